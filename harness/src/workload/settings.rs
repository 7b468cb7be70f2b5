//! What scenarios may write under `with`, and its values.

use super::WorkloadError;
use crate::scenario::plan::ClientKind as Client;
use crate::scenario::{self, Given, Setting, SettingKind as Kind, Variant, WorkloadKind};
use std::collections::BTreeMap;
use std::time::Duration;

const fn setting(name: &'static str, kind: Kind, about: &'static str) -> Setting {
    Setting { name, kind, required: false, about }
}

/// What a program tells by some of its settings: a counter, a nonce, a digest of its memory.
const fn tells(
    name: &'static str,
    [counter, identity, memory_digest]: [bool; 3],
    clients: &'static [Client],
) -> WorkloadKind {
    WorkloadKind { name, about: "", settings: &[], counter, identity, memory_digest, clients, variants: &[] }
}

const NOTHING: [bool; 3] = [false; 3];

const ANY: &[Client] = &[Client::RedisWriter, Client::CounterReader, Client::TcpEcho, Client::LogFollower];

/// An image of one's own by its probe: what that needs, and what it tells.
macro_rules! probe {
    ($word:literal, $needs:expr, $tells:expr) => {
        Variant {
            when: &[("probe", Given::Word($word))],
            needs: $needs,
            kind: tells(concat!("probe: ", $word), $tells, ANY),
        }
    };
}

const INTERVAL: Setting =
    setting("interval", Kind::Duration, "how long one step of the counter takes; 10ms if not given");

/// What the counter can hold.
const HOLDS: &[&str] =
    &["tcp", "file-lock", "io-uring", "inotify", "deleted-file", "unix-socket", "unix-listener", "none"];

/// Every workload that there is. Pure data: `scenario` gets it from its caller.
pub const KINDS: &[WorkloadKind] = &[
    WorkloadKind {
        name: "looper",
        about: "a shell loop of busybox that prints a number each second",
        settings: &[],
        counter: true,
        identity: false,
        memory_digest: false,
        clients: &[Client::LogFollower],
        variants: &[],
    },
    WorkloadKind {
        name: "counter",
        about: "counts by itself, with a nonce in memory and a journal in memory and on file",
        settings: &[
            INTERVAL,
            setting("journal", Kind::Flag, "whether it writes the journal file too; true if not given"),
            setting("file", Kind::Text, "the journal file, which may be on a volume; /journal if not given"),
            setting(
                "startup",
                Kind::Duration,
                "how long it computes, on a processor, before it answers; 0s if not given",
            ),
            setting("grow", Kind::Size, "how much more memory it takes with each count; 0 if not given"),
            setting("growTo", Kind::Size, "where it stops to grow; without end if not given"),
            setting(
                "hold",
                Kind::Word(HOLDS),
                "what it holds while it counts, for CRIU to refuse or to carry; nothing if not given",
            ),
            setting(
                "preamble",
                Kind::Size,
                "how much it prints before it begins to count, in whole KiB; 0 if not given",
            ),
            setting("log", Kind::Flag, "whether it prints every value too; false if not given"),
            setting(
                "note",
                Kind::Flag,
                "whether it writes a file at its start that it never opens again; false if not given",
            ),
            setting("data", Kind::Size, "how much memory it holds beside, in whole MiB; 0 if not given"),
        ],
        counter: true,
        identity: true,
        memory_digest: false,
        clients: &[Client::CounterReader, Client::TcpEcho],
        variants: &[],
    },
    WorkloadKind {
        name: "exchange",
        about: "one of two that exchange numbers through a file that both have mapped, and see when they are out of step",
        settings: &[
            setting("role", Kind::Word(&["first", "second"]), "who gives, and who takes; first if not given"),
            setting("file", Kind::Text, "the file, on a volume that both have; /exchange if not given"),
        ],
        counter: true,
        identity: true,
        memory_digest: false,
        clients: &[Client::CounterReader, Client::TcpEcho],
        variants: &[],
    },
    WorkloadKind {
        name: "memory",
        about: "holds memory filled from a seed, dirties it at a rate, and checks every word of it",
        settings: &[
            setting("data", Kind::Size, "how much memory, in whole MiB; 64Mi if not given"),
            setting("seed", Kind::Count, "what the memory is filled from; 1 if not given"),
            setting("dirty", Kind::Size, "how much of it is rewritten each second; 0 if not given"),
        ],
        counter: false,
        identity: true,
        memory_digest: true,
        clients: &[Client::CounterReader, Client::TcpEcho],
        variants: &[],
    },
    WorkloadKind {
        name: "zoo",
        about: "holds kinds of state, each in a process of its own, and says of each whether it is still there",
        settings: &[setting(
            "hold",
            Kind::Text,
            "the kinds, separated by commas: what `podferry survey --list` names, all, or none; all if not given",
        )],
        counter: false,
        identity: true,
        memory_digest: false,
        clients: &[Client::TcpEcho],
        variants: &[],
    },
    WorkloadKind {
        name: "redis",
        about: "the distribution's redis-server, in memory alone",
        settings: &[
            setting("data", Kind::Size, "how many bytes of values it holds before anything starts; 0 if not given"),
            setting("digest", Kind::Flag, "whether a capture digests those values; true if not given"),
        ],
        counter: true,
        identity: true,
        memory_digest: true,
        clients: &[Client::RedisWriter],
        variants: &[Variant {
            when: &[("digest", Given::Word("false"))],
            needs: &[],
            kind: tells("digest: false", [true, true, false], &[Client::RedisWriter]),
        }],
    },
    WorkloadKind {
        name: "memcached",
        about: "the distribution's memcached",
        settings: &[setting("data", Kind::Size, "how many bytes of values it holds; 0 if not given")],
        counter: false,
        identity: true,
        memory_digest: true,
        clients: &[],
        variants: &[],
    },
    WorkloadKind {
        name: "nginx",
        about: "the distribution's nginx: a master, workers, and figures in shared memory",
        settings: &[setting("workers", Kind::Count, "number of worker processes; 2 if not given")],
        counter: true,
        identity: true,
        memory_digest: false,
        clients: &[],
        variants: &[],
    },
    WorkloadKind {
        name: "python",
        about: "a counter in the distribution's Python, with a nonce in memory",
        settings: &[INTERVAL],
        counter: true,
        identity: true,
        memory_digest: false,
        clients: &[Client::CounterReader, Client::TcpEcho],
        variants: &[],
    },
    WorkloadKind {
        name: "archive",
        about: "an image of your own: an OCI layout in a tar, or what `docker save` writes",
        settings: &[
            Setting {
                name: "archive",
                kind: Kind::File,
                required: true,
                about: "the file, by its path from the scenario's own folder",
            },
            setting(
                "args",
                Kind::Text,
                "program and arguments in the place of the image's entry point and command, separated by blanks (quotes mean nothing); the image's own if not given",
            ),
            setting("port", Kind::Port, "the TCP port that it listens on, if it does"),
            setting(
                "probe",
                Kind::Word(&["none", "tcp", "log", "counter", "memory", "redis", "memcached", "nginx"]),
                "what it speaks; tcp if a port is given, else none",
            ),
        ],
        // Where the probe differs from cell to cell, it may tell all of this.
        counter: true,
        identity: true,
        memory_digest: true,
        clients: ANY,
        variants: &[
            Variant {
                when: &[("probe", Given::Not), ("port", Given::Somehow)],
                needs: &[],
                kind: tells("probe: tcp", NOTHING, ANY),
            },
            Variant { when: &[("probe", Given::Not)], needs: &[], kind: tells("probe: none", NOTHING, ANY) },
            probe!("none", &[], NOTHING),
            probe!("tcp", &["port"], NOTHING),
            probe!("log", &[], [true, false, false]),
            probe!("counter", &["port"], [true, true, false]),
            probe!("memory", &["port"], [false, true, true]),
            probe!("redis", &["port"], [true, true, false]),
            probe!("memcached", &["port"], [false, true, false]),
            probe!("nginx", &["port"], [true, true, false]),
        ],
    },
];

/// The settings of a workload, by its name in the catalogue.
pub fn settings(kind: &str) -> Option<&'static [Setting]> {
    KINDS.iter().find(|k| k.name == kind).map(|k| k.settings)
}

/// The ways to ask an image of one's own by which it tells a counter: `probe: log`, ...
pub fn counting() -> Vec<&'static str> {
    let archives = KINDS.iter().filter(|kind| kind.name == "archive").flat_map(|kind| kind.variants);
    archives.map(|variant| &variant.kind).filter(|kind| kind.counter).map(|kind| kind.name).collect()
}

/// Values as written, read by their kinds.
pub(super) struct Values<'a> {
    pub(super) kind: &'a str,
    pub(super) with: &'a BTreeMap<String, String>,
}

impl Values<'_> {
    /// Tells of keys that the workload does not have and of required ones that are missing: who builds plans by hand
    /// was not checked by `lint`.
    pub(super) fn check(&self) -> Result<(), WorkloadError> {
        let known = settings(self.kind).ok_or_else(|| WorkloadError::UnknownKind(self.kind.to_owned()))?;
        for key in self.with.keys() {
            if !known.iter().any(|s| s.name == key) {
                return Err(self.wrong(key, "there is no such setting"));
            }
        }
        match known.iter().find(|s| s.required && !self.with.contains_key(s.name)) {
            Some(missing) => Err(self.wrong(missing.name, "is needed")),
            None => Ok(()),
        }
    }

    pub(super) fn wrong(&self, key: &str, why: &str) -> WorkloadError {
        WorkloadError::Setting { kind: self.kind.to_owned(), key: key.to_owned(), why: why.to_owned() }
    }

    fn read<T>(
        &self,
        key: &str,
        default: T,
        parse: impl Fn(&str) -> Option<T>,
        what: Kind,
    ) -> Result<T, WorkloadError> {
        match self.with.get(key) {
            None => Ok(default),
            Some(text) => parse(text).ok_or_else(|| self.wrong(key, &format!("`{text}` is not {}", what.what()))),
        }
    }

    pub(super) fn size(&self, key: &str, default: u64) -> Result<u64, WorkloadError> {
        self.read(key, default, scenario::size, Kind::Size)
    }

    pub(super) fn duration(&self, key: &str, default: Duration) -> Result<Duration, WorkloadError> {
        self.read(key, default, scenario::duration, Kind::Duration)
    }

    pub(super) fn count(&self, key: &str, default: u64) -> Result<u64, WorkloadError> {
        self.read(key, default, |t| t.parse().ok(), Kind::Count)
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, WorkloadError> {
        self.read(key, default, |t| t.parse().ok(), Kind::Flag)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.with.get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::{KINDS, Kind, Values, settings};
    use crate::scenario::{duration, size};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    proptest! {
        #[test]
        fn what_lint_accepts_is_understood(text in "[0-9]{1,5}(\\.[0-9]{1,3})?(us|ms|s|m|h|B|Ki|KiB|Mi|MiB|Gi|GiB)?") {
            if Kind::Size.accepts(&text) {
                prop_assert!(size(&text).is_some());
            }
            if Kind::Duration.accepts(&text) {
                prop_assert!(duration(&text).is_some());
            }
        }
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(size("64Mi"), Some(64 << 20));
        assert_eq!(size("7"), Some(7));
        assert_eq!(size("99999999999Gi"), None);
        assert_eq!(duration("2.5ms"), Some(Duration::from_micros(2500)));
        assert_eq!(duration("5"), None);
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let with = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let bad = with(&[("dada", "1")]);
        let text = Values { kind: "redis", with: &bad }.check().unwrap_err().to_string();
        assert_eq!(text, "workload redis: `dada`: there is no such setting");
        let none = with(&[]);
        let text = Values { kind: "archive", with: &none }.check().unwrap_err().to_string();
        assert_eq!(text, "workload archive: `archive`: is needed");
        let odd = with(&[("data", "much")]);
        let text = Values { kind: "redis", with: &odd }.size("data", 0).unwrap_err().to_string();
        assert_eq!(text, "workload redis: `data`: `much` is not a size such as `64Mi`");
        assert!(Values { kind: "mysql", with: &none }.check().is_err());
    }

    #[test]
    fn names_and_settings_are_unique() {
        for (i, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..i].iter().all(|k| k.name != kind.name), "{}", kind.name);
            let own = settings(kind.name).unwrap();
            for (i, s) in own.iter().enumerate() {
                assert!(own[..i].iter().all(|o| o.name != s.name), "{}", s.name);
            }
        }
    }
}
