use super::identity::{self, KNOWN, Known};
use super::{Built, NodeImage, Progress};
use crate::process::ExecError;
use crate::record::ComponentRecord;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A binary of the user's own in the place of the node image's: `--component NAME=PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Which program: `containerd`, `containerd-shim-runc-v2`, `crio`, `runc`, `crun`, `criu`, `redis-server`.
    pub name: &'static str,
    /// The binary on the host.
    pub path: PathBuf,
    /// Where it is from, if podferry built it.
    pub built: Option<String>,
}

/// A file of the host that is to appear in every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The file on the host.
    pub host: PathBuf,
    /// Its place inside the node, where the image has a file.
    pub inside: PathBuf,
}

/// An override that was found to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Where it goes.
    pub bind: Bind,
    /// What it is.
    pub record: ComponentRecord,
}

/// Why a binary can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OverrideError {
    /// No `=`, or nothing on one of its sides.
    #[error("`{0}` is not NAME=PATH")]
    Form(String),
    /// No such program.
    #[error("unknown component `{name}`{}", did_you_mean(name))]
    Unknown {
        /// What was written.
        name: String,
    },
    /// One program is given twice.
    #[error("component {0} is given twice")]
    Twice(&'static str),
    /// The file can't be read.
    #[error("component {name}: can't read {}", path.display())]
    Read {
        /// The program.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file is no program that this machine can run.
    #[error("component {name}: {} {what}", path.display())]
    NoProgram {
        /// The program.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// `is no ELF program`.
        what: String,
    },
    /// It does not run inside a node.
    #[error("component {name}: {} does not run in the node image: {why}", path.display())]
    DoesNotRun {
        /// The program.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What it said.
        why: String,
    },
    /// It could not be tried.
    #[error("component {name}: can't try {}", path.display())]
    Try {
        /// The program.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: ExecError,
    },
}

impl OverrideError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            OverrideError::Form(_) => {
                Some("for example --component runc=/home/me/runc/runc, or containerd=module@v2.3.7".to_owned())
            }
            OverrideError::Unknown { .. } => Some(format!("one of {}", KNOWN.map(|k| k.name).join(", "))),
            OverrideError::DoesNotRun { why, .. } if why.contains("shared librar") || why.contains("GLIBC_") => {
                Some("link it statically, or build it against the libraries of the node image's suite".to_owned())
            }
            _ => None,
        }
    }
}

fn did_you_mean(name: &str) -> String {
    let best = KNOWN.iter().map(|k| (strsim::jaro_winkler(name, k.name), k.name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((likeness, known)) if likeness > 0.75 => format!(": did you mean {known}?"),
        _ => String::new(),
    }
}

impl Override {
    /// One that podferry built.
    ///
    /// # Errors
    /// It is none of a node's programs.
    pub fn built(built: &Built) -> Result<Override, OverrideError> {
        let unknown = || OverrideError::Unknown { name: built.record.name.clone() };
        let known = identity::known(&built.record.name).ok_or_else(unknown)?;
        Ok(Override { name: known.name, path: built.path.clone(), built: Some(built.record.source.clone()) })
    }
}

impl FromStr for Override {
    type Err = OverrideError;

    fn from_str(s: &str) -> Result<Override, OverrideError> {
        match s.split_once('=') {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => {
                let unknown = || OverrideError::Unknown { name: name.to_owned() };
                Ok(Override { name: identity::known(name).ok_or_else(unknown)?.name, path: path.into(), built: None })
            }
            _ => Err(OverrideError::Form(s.to_owned())),
        }
    }
}

/// Checks the user's binaries and finds out what they are, by running each inside the node image. A containerd that has
/// a `containerd-shim-runc-v2` beside it brings that along, and says so: the two speak a protocol of their own.
///
/// # Errors
/// A file is not there, is no program for this machine, or does not run in the node image.
pub async fn resolve(
    overrides: &[Override],
    image: &NodeImage,
    progress: &dyn Progress,
) -> Result<Vec<Resolved>, OverrideError> {
    let mut resolved: Vec<Resolved> = Vec::new();
    for it in with_shim(overrides, progress)? {
        let known = identity::known(it.name).expect("parsed from the table");
        let path = check(&it)?;
        let said = try_out(&it, known, &path, &image.rootfs).await?;
        let read = |source| OverrideError::Read { name: it.name, path: it.path.clone(), source };
        let digest = File::open(&path).and_then(identity::digest).map_err(read)?;
        let source = it.built.unwrap_or_else(|| format!("path {}", path.display()));
        let record = identity::record(known, &said, source, digest);
        progress.say(&format!("{} {} from {}", record.name, record.version, path.display()));
        resolved.push(Resolved { bind: Bind { host: path, inside: known.path.into() }, record });
    }
    Ok(resolved)
}

/// Looks at the files alone, which takes no time: a wrong path is told before a node image is made.
///
/// # Errors
/// A program is given twice, a file is not there, or it is no program for this machine.
pub fn look_at(overrides: &[Override]) -> Result<(), OverrideError> {
    with_shim(overrides, &())?.iter().try_for_each(|it| check(it).map(drop))
}

/// The overrides, and the shim that lies beside a containerd if no other is given.
fn with_shim(overrides: &[Override], progress: &dyn Progress) -> Result<Vec<Override>, OverrideError> {
    const SHIM: &str = "containerd-shim-runc-v2";
    let mut all: Vec<Override> = Vec::new();
    for it in overrides {
        if all.iter().any(|o| o.name == it.name) {
            return Err(OverrideError::Twice(it.name));
        }
        all.push(it.clone());
    }
    let containerd = all.iter().find(|o| o.name == "containerd");
    let beside = containerd.map(|c| c.path.with_file_name(SHIM)).filter(|shim| shim.is_file());
    // Out of one archive, they have one source.
    let built = containerd.and_then(|c| c.built.clone());
    if let Some(path) = beside.filter(|_| all.iter().all(|o| o.name != SHIM)) {
        progress.say(&format!("{SHIM}: taking {}, which lies beside containerd", path.display()));
        all.push(Override { name: SHIM, path, built });
    }
    Ok(all)
}

/// Whether it is a program for this machine; gives its absolute path.
fn check(it: &Override) -> Result<PathBuf, OverrideError> {
    let read = |source| OverrideError::Read { name: it.name, path: it.path.clone(), source };
    let no_program = |what: String| OverrideError::NoProgram { name: it.name, path: it.path.clone(), what };
    let path = fs::canonicalize(&it.path).map_err(read)?;
    let meta = fs::metadata(&path).map_err(read)?;
    if !meta.is_file() {
        return Err(no_program("is no file".to_owned()));
    }
    let mut head = Vec::new();
    File::open(&path).and_then(|f| f.take(20).read_to_end(&mut head)).map_err(read)?;
    machine_fits(&head).map_err(no_program)?;
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(no_program("is not executable: chmod +x it".to_owned()));
    }
    Ok(path)
}

/// Whether the first 20 bytes of a file are those of an ELF program for this machine (ELF header: `e_ident`, `e_type`,
/// `e_machine`; numbers from the System V ABI).
fn machine_fits(head: &[u8]) -> Result<(), String> {
    if head.len() < 20 || &head[..4] != b"\x7fELF" {
        return Err("is no ELF program".to_owned());
    }
    let machines = [("x86_64", 62), ("aarch64", 183), ("riscv64", 243), ("powerpc64", 21), ("s390x", 22)];
    let little = head[5] == 1;
    let number = [head[18], head[19]];
    let number = if little { u16::from_le_bytes(number) } else { u16::from_be_bytes(number) };
    let own = std::env::consts::ARCH;
    match machines.iter().find(|(name, _)| *name == own) {
        Some((_, machine)) if *machine != number => {
            let its = machines.iter().find(|(_, m)| *m == number);
            let its = its.map_or_else(|| format!("machine {number}"), |(name, _)| (*name).to_owned());
            Err(format!("is a program for {its}, and this machine is {own}"))
        }
        _ => Ok(()),
    }
}

/// Runs it in its place in the node image and gives what it says.
async fn try_out(it: &Override, known: &Known, path: &Path, rootfs: &Path) -> Result<String, OverrideError> {
    let fail = |source| OverrideError::Try { name: it.name, path: it.path.clone(), source };
    let output = identity::ask_version(rootfs, known, Some(path)).output().await.map_err(fail)?;
    if output.code != 0 {
        return Err(OverrideError::DoesNotRun { name: it.name, path: it.path.clone(), why: output.tail() });
    }
    Ok(identity::said(&output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("runc", "`runc` is not NAME=PATH")]
    #[case("runc=", "`runc=` is not NAME=PATH")]
    #[case("=x", "`=x` is not NAME=PATH")]
    #[case("containerdd=/x", "unknown component `containerdd`: did you mean containerd?")]
    #[case("criuu=/x", "unknown component `criuu`: did you mean criu?")]
    #[case("kubelet=/x", "unknown component `kubelet`")]
    fn a_wrong_override_is_named(#[case] text: &str, #[case] error: &str) {
        assert_eq!(text.parse::<Override>().unwrap_err().to_string(), error);
    }

    #[test]
    fn a_path_may_hold_an_equals_sign() {
        let it: Override = "criu=/a=b/criu".parse().unwrap();
        assert_eq!((it.name, it.path), ("criu", PathBuf::from("/a=b/criu")));
    }

    #[test]
    fn what_is_no_program_for_this_machine_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let error = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            let it = Override { name: "runc", path, built: None };
            check(&it).unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR")
        };
        assert_eq!(error("script", b"#!/bin/sh\nexec runc \"$@\"\n"), "component runc: DIR/script is no ELF program");
        assert_eq!(error("empty", b""), "component runc: DIR/empty is no ELF program");
        let mut elf = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x08\0";
        let other = error("mips", &elf);
        assert!(other.contains("is a program for machine 8, and this machine is "), "{other}");
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        elf.copy_from_slice(&own[..20]);
        assert_eq!(error("plain", &elf), "component runc: DIR/plain is not executable: chmod +x it");
        assert_eq!(
            check(&Override { name: "runc", path: dir.path().join("none"), built: None }).unwrap_err().to_string(),
            format!("component runc: can't read {}/none", dir.path().display())
        );
    }

    #[test]
    fn a_shim_beside_containerd_comes_along_unless_one_is_given() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("containerd-shim-runc-v2"), "").unwrap();
        let containerd = Override { name: "containerd", path: dir.path().join("containerd"), built: None };
        let all = with_shim(std::slice::from_ref(&containerd), &()).unwrap();
        assert_eq!(all[1].path, dir.path().join("containerd-shim-runc-v2"));
        let own = Override { name: "containerd-shim-runc-v2", path: "/mine".into(), built: None };
        assert_eq!(with_shim(&[containerd.clone(), own.clone()], &()).unwrap(), [containerd.clone(), own]);
        let twice = with_shim(&[containerd.clone(), containerd], &()).unwrap_err();
        assert_eq!(twice.to_string(), "component containerd is given twice");
    }
}
