//! What a program knows of its place.

use crate::zoo::kind::{Area, Kind, Label, Setting, home, lost, same};
use crate::zoo::sys;
use nix::ifaddrs::getifaddrs;
use nix::unistd::{gethostname, getpid};
use std::fs;
use std::io;
use std::path::PathBuf;

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Identity, about)
}

/// Arguments and environment.
pub(super) struct Environment(Vec<u8>, Vec<u8>);

impl Environment {
    fn read() -> io::Result<Self> {
        Ok(Environment(fs::read("/proc/self/cmdline")?, fs::read("/proc/self/environ")?))
    }
}

impl Kind for Environment {
    const LABEL: Label = label("environment", "arguments and environment, as the process and as others see them")
        .zdtm("cmdlinenv00 env00")
        .outside(&["cmdline", "environ"]);

    fn hold() -> io::Result<Self> {
        Environment::read()
    }

    fn verify(&mut self) -> io::Result<String> {
        let now = Environment::read()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', " ").trim().to_owned();
        same("the arguments", &text(&self.0), &text(&now.0))?;
        same("the environment", &text(&self.1), &text(&now.1))?;
        same("a variable", &true, &std::env::var("PATH").is_ok_and(|path| text(&self.1).contains(&path)))?;
        Ok(text(&now.0))
    }
}

/// The working folder.
pub(super) struct WorkingFolder(PathBuf);

impl Kind for WorkingFolder {
    const LABEL: Label = label("working-folder", "the folder that it works in")
        .zdtm("cwd00 cwd01 cwd02 chroot chroot-file")
        .outside(&["cwd", "root"]);

    fn hold() -> io::Result<Self> {
        let folder = home().join("work/here");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("inside"), "x")?;
        std::env::set_current_dir(&folder)?;
        Ok(WorkingFolder(folder))
    }

    fn verify(&mut self) -> io::Result<String> {
        same("the folder", &self.0, &std::env::current_dir()?)?;
        same("a file in it", &"x".to_owned(), &fs::read_to_string("inside")?)?;
        Ok(self.0.display().to_string())
    }
}

/// The process's name.
pub(super) struct Name;

impl Setting for Name {
    const LABEL: Label = label("process-name", "the name of the process").zdtm("comm").outside(&["status.Name"]);

    fn set() -> io::Result<()> {
        sys::name_process(c"zoo-renamed")
    }

    fn get() -> io::Result<String> {
        Ok(fs::read_to_string("/proc/self/comm")?.trim().to_owned())
    }
}

/// The host's name.
pub(super) struct Hostname(String);

fn hostname() -> io::Result<String> {
    Ok(gethostname()?.to_string_lossy().into_owned())
}

impl Kind for Hostname {
    const LABEL: Label = label("hostname", "the host's name").zdtm("utsname uts_namespace");

    fn hold() -> io::Result<Self> {
        hostname().map(Hostname)
    }

    fn verify(&mut self) -> io::Result<String> {
        same("the name", &self.0, &hostname()?)?;
        Ok(self.0.clone())
    }
}

/// Its addresses.
pub(super) struct Address(Vec<String>);

fn addresses() -> io::Result<Vec<String>> {
    let mut found: Vec<String> = getifaddrs()?
        .filter_map(|i| Some(format!("{} {}", i.interface_name, i.address?.as_sockaddr_in()?.ip())))
        .collect();
    found.sort();
    Ok(found)
}

impl Kind for Address {
    const LABEL: Label = label("address", "its addresses, which the new place gives it")
        .zdtm("netns netns-dev netns-nf netns_sub cr_veth macvlan sit bridge route_rules conntracks");

    fn hold() -> io::Result<Self> {
        addresses().map(Address)
    }

    fn verify(&mut self) -> io::Result<String> {
        let now = addresses()?;
        if self.0 == now {
            Ok(now.join(", "))
        } else {
            lost(format!("{} became {}", self.0.join(", "), now.join(", ")))
        }
    }
}

/// A generator's state.
pub(super) struct Random {
    state: u64,
    drawn: u64,
    seed: u64,
}

impl Random {
    fn next(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }
}

impl Kind for Random {
    const LABEL: Label =
        label("random-state", "the state of a program's own random generator: each copy goes on with the same numbers");

    fn hold() -> io::Result<Self> {
        let mut seed = [0; 8];
        io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut seed)?;
        let seed = u64::from_le_bytes(seed) | 1;
        Ok(Random { state: seed, drawn: 0, seed })
    }

    fn verify(&mut self) -> io::Result<String> {
        Self::next(&mut self.state);
        self.drawn += 1;
        let mut again = self.seed;
        let expected = (0..self.drawn).map(|_| Self::next(&mut again)).last();
        same("the number drawn", &expected, &Some(self.state))?;
        Ok(format!("number {} of process {} is {:016x}", self.drawn, getpid(), self.state))
    }
}
