//! What a kind of state is.

use std::fmt::Debug;
use std::io;
use std::marker::PhantomData;
use std::path::PathBuf;

/// What part of a system a kind belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Processes and threads, and how they hang together.
    Processes,
    /// Who a process is and what it may do.
    Rights,
    /// Memory and mappings.
    Memory,
    /// Open files.
    Files,
    /// Locks on files.
    Locks,
    /// Pipes and sockets within the machine.
    Local,
    /// Sockets of networks.
    Network,
    /// Descriptors that wait for things.
    Events,
    /// IPC of System V and POSIX.
    Ipc,
    /// Signals.
    Signals,
    /// Timers and clocks.
    Time,
    /// Files in the root file system, open or not.
    RootFs,
    /// What a program knows of its place.
    Identity,
}

impl Area {
    /// All of them, in the order of a table.
    pub const ALL: [Area; 13] = [
        Area::Processes,
        Area::Rights,
        Area::Memory,
        Area::Files,
        Area::Locks,
        Area::Local,
        Area::Network,
        Area::Events,
        Area::Ipc,
        Area::Signals,
        Area::Time,
        Area::RootFs,
        Area::Identity,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Area::Processes => "processes",
            Area::Rights => "rights and limits",
            Area::Memory => "memory",
            Area::Files => "open files",
            Area::Locks => "file locks",
            Area::Local => "pipes and unix sockets",
            Area::Network => "network sockets",
            Area::Events => "event descriptors",
            Area::Ipc => "SysV and POSIX IPC",
            Area::Signals => "signals",
            Area::Time => "timers and clocks",
            Area::RootFs => "root file system",
            Area::Identity => "identity",
        }
    }
}

/// What is known of a kind beside its code.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name: `umask`.
    pub name: &'static str,
    /// Where it belongs.
    pub area: Area,
    /// What is held, in a few words.
    pub about: &'static str,
    /// Tests of zdtm that hold the same, separated by blanks; empty: none does.
    pub zdtm: &'static str,
    /// What a witness outside compares: names of a process's picture, or their beginnings.
    pub outside: &'static [&'static str],
    /// Why it is tried alone: it is known to be refused, or it would change what others see.
    pub alone: Option<&'static str>,
}

impl Label {
    /// A kind that is held with others, and that nobody outside looks at.
    pub const fn new(name: &'static str, area: Area, about: &'static str) -> Self {
        Label { name, area, about, zdtm: "", outside: &[], alone: None }
    }

    /// With the tests of zdtm that hold the same.
    #[must_use]
    pub const fn zdtm(self, tests: &'static str) -> Self {
        Label { zdtm: tests, ..self }
    }

    /// With what a witness outside compares.
    #[must_use]
    pub const fn outside(self, names: &'static [&'static str]) -> Self {
        Label { outside: names, ..self }
    }

    /// To be tried alone.
    #[must_use]
    pub const fn alone(self, why: &'static str) -> Self {
        Label { alone: Some(why), ..self }
    }
}

/// A kind of state.
pub(crate) trait Kind: Sized + 'static {
    /// What is known of it.
    const LABEL: Label;

    /// Takes it. An error of the kind `Unsupported` says that it cannot be had here, and why; any other is a fault.
    fn hold() -> io::Result<Self>;

    /// Looks whether all of it is there, by using it, and leaves it as it was: it is looked at before the checkpoint and
    /// after each restore. Says what it saw; an error says how the loss showed.
    fn verify(&mut self) -> io::Result<String>;
}

/// A kind that is held.
pub(crate) trait Held {
    /// See [`Kind::verify`].
    fn look(&mut self) -> io::Result<String>;
}

impl<K: Kind> Held for K {
    fn look(&mut self) -> io::Result<String> {
        self.verify()
    }
}

/// A kind in the list of all.
#[derive(Clone, Copy)]
pub struct Specimen {
    /// What is known of it.
    pub label: Label,
    pub(crate) hold: fn() -> io::Result<Box<dyn Held>>,
}

/// A line of the list.
pub(crate) const fn of<K: Kind>() -> Specimen {
    Specimen { label: K::LABEL, hold: || K::hold().map(|k| Box::new(k) as Box<dyn Held>) }
}

/// A value of the process that is set once and read back.
pub(crate) trait Setting: 'static {
    /// What is known of it.
    const LABEL: Label;

    /// Sets it to what it is not by itself.
    fn set() -> io::Result<()>;

    /// Reads it.
    fn get() -> io::Result<String>;
}

/// A [`Setting`] that was set, with the value that was read then.
pub(crate) struct Set<S>(String, PhantomData<S>);

impl<S: Setting> Kind for Set<S> {
    const LABEL: Label = S::LABEL;

    fn hold() -> io::Result<Self> {
        let before = S::get()?;
        S::set()?;
        let set = S::get()?;
        match before == set {
            // A value that stays what every process has would be kept by a cold start too.
            true => Err(io::Error::other(format!("setting it changed nothing: `{set}`"))),
            false => Ok(Set(set, PhantomData)),
        }
    }

    fn verify(&mut self) -> io::Result<String> {
        same("it", &self.0, &S::get()?)?;
        Ok(self.0.clone())
    }
}

/// That a thing is what it was.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, was: &T, is: &T) -> io::Result<()> {
    if was == is { Ok(()) } else { lost(format!("{what} was {was:?}, is {is:?}")) }
}

/// A loss.
pub(crate) fn lost<T>(how: impl Into<String>) -> io::Result<T> {
    Err(io::Error::other(how.into()))
}

/// A kind that cannot be had here.
pub(crate) fn absent(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why.into())
}

/// The folder for files: `/zoo` of the container, or where `ZOO_HOME` says.
pub(crate) fn home() -> PathBuf {
    std::env::var_os("ZOO_HOME").map_or_else(|| PathBuf::from("/zoo"), PathBuf::from)
}

/// Bytes that follow from a number and repeat nowhere soon.
pub(crate) fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|i| ((i % 251) as u8) ^ ((i / 251) as u8).wrapping_add(seed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Setting for Nothing {
        const LABEL: Label = Label::new("nothing", Area::Rights, "nothing");

        fn set() -> io::Result<()> {
            Ok(())
        }

        fn get() -> io::Result<String> {
            Ok("same".to_owned())
        }
    }

    #[test]
    fn a_value_that_nobody_changed_is_not_held() {
        let error = Set::<Nothing>::hold().err().unwrap().to_string();
        assert_eq!(error, "setting it changed nothing: `same`");
    }

    #[test]
    fn bytes_differ_by_their_seed() {
        assert_ne!(bytes(1, 4096), bytes(2, 4096));
        assert_eq!(bytes(1, 4096), bytes(1, 4096));
        assert_ne!(bytes(1, 512)[..251], bytes(1, 512)[251..502]);
    }
}
