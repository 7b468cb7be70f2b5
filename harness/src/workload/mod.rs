//! The programs that run in containers: what they are made of, how they are started and filled, and what they say of
//! themselves.

mod error;
mod fill;
mod images;
mod line;
mod logged;
mod memcached;
mod nginx;
mod redis;
mod settings;
mod talk;

pub use error::{ProbeError, WorkloadError};
pub use images::pause;
pub use logged::numbers;
pub use settings::{KINDS, counting, settings};
pub use talk::{Connect, Target};

use crate::image::{Image, ImageError, ImageSpec, NodeRoot, Store, WorkloadBinaries, build, import};
use crate::record::{KindReport, SelfReport};
use settings::Values;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use talk::{Deadline, Talk};

/// A workload with its settings understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its name in the catalogue.
    pub kind: String,
    /// Where its image comes from.
    pub source: ImageSource,
    /// Program and arguments; empty: the image's own.
    pub args: Vec<String>,
    /// The port that it listens on, if it does.
    pub port: Option<u16>,
    speech: Speech,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// It is made of parts.
    Made(ImageSpec),
    /// It is the user's own, in this file.
    Archive(PathBuf),
}

/// How a workload is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    None,
    Tcp,
    Log,
    Counter,
    Memory,
    Exchange,
    Zoo,
    Redis { keys: u64, digest: bool },
    Memcached { keys: u64 },
    Nginx,
}

const LOOP: &str = "i=0; while true; do echo $i; i=$(expr $i + 1); sleep 1; done";

impl Workload {
    /// Understands a workload as a plan has it.
    pub fn new(kind: &str, with: &BTreeMap<String, String>) -> Result<Self, WorkloadError> {
        let values = Values { kind, with };
        values.check()?;
        if kind == "archive" {
            return archive(&values);
        }
        let spec = images::image(kind).ok_or_else(|| WorkloadError::UnknownKind(kind.to_owned()))?;
        let (args, port, speech) = program(&values)?;
        Ok(Workload { kind: kind.to_owned(), source: ImageSource::Made(spec), args, port, speech })
    }

    /// The files that it writes and that a copy of it needs: where none of its volumes holds them, they are changes of its
    /// root.
    pub fn writes(&self) -> impl Iterator<Item = &str> {
        let values = self.args.windows(2).filter(|pair| ["--journal", "--note"].contains(&pair[0].as_str()));
        values.map(|pair| pair[1].as_str()).filter(|file| *file != "none")
    }

    /// Makes its image or takes it in; a second time it is only looked up.
    pub async fn image(
        &self,
        store: &Store,
        root: NodeRoot<'_>,
        binaries: &WorkloadBinaries,
    ) -> Result<Image, ImageError> {
        match &self.source {
            ImageSource::Made(spec) => build(store, root, binaries, spec).await,
            ImageSource::Archive(path) => import(store, path),
        }
    }

    /// Waits until it answers. Blocks: call it where blocking is allowed.
    pub fn ready(&self, target: &Target, limit: Duration) -> Result<(), ProbeError> {
        let deadline = Deadline::new(limit);
        match (self.speech, self.port) {
            (Speech::None, _) => Ok(()),
            (Speech::Log, _) | (_, None) => logged::ready(target, deadline),
            (Speech::Nginx, Some(port)) => nginx::ready(target, port, deadline),
            (speech, Some(port)) => {
                let mut talk = Talk::open(target, port, deadline)?;
                match speech {
                    Speech::Redis { .. } => redis::ready(&mut talk, deadline)?,
                    Speech::Counter | Speech::Memory | Speech::Exchange | Speech::Zoo => drop(talk.ask("GET")?),
                    Speech::Memcached { .. } => drop(talk.ask("version\r")?),
                    _ => {}
                }
                talk.close()
            }
        }
    }

    /// Fills a fresh instance with its data. Blocks.
    pub fn load(&self, target: &Target, limit: Duration) -> Result<(), ProbeError> {
        let deadline = Deadline::new(limit);
        match (self.speech, self.port) {
            (Speech::Redis { keys, .. }, Some(port)) if keys > 0 => {
                let mut talk = Talk::open(target, port, deadline)?;
                redis::load(&mut talk, keys)?;
                talk.close()
            }
            (Speech::Memcached { keys }, Some(port)) => {
                let mut talk = Talk::open(target, port, deadline)?;
                memcached::load(&mut talk, &nonce(), keys)?;
                talk.close()
            }
            _ => Ok(()),
        }
    }

    /// Asks it for all that it says of itself. Blocks.
    pub fn probe(&self, target: &Target, limit: Duration) -> Result<SelfReport, ProbeError> {
        let deadline = Deadline::new(limit);
        let (speech, port) = match (self.speech, self.port) {
            (Speech::Log, _) => return logged::probe(target),
            (Speech::Nginx, Some(port)) => return nginx::probe(target, port, deadline),
            (Speech::None, _) | (_, None) => return Ok(SelfReport::default()),
            (speech, Some(port)) => (speech, port),
        };
        let mut talk = Talk::open(target, port, deadline)?;
        let report = match speech {
            Speech::Counter => line::counter(&mut talk)?,
            Speech::Memory => line::memory(&mut talk)?,
            Speech::Exchange => line::exchange(&mut talk)?,
            Speech::Zoo => line::zoo(&mut talk)?,
            Speech::Redis { keys, digest } => redis::probe(&mut talk, keys, digest)?,
            Speech::Memcached { keys } => memcached::probe(&mut talk, keys)?,
            _ => SelfReport::default(),
        };
        talk.close()?;
        Ok(report)
    }

    /// What a zoo says of each kind that it holds. Blocks.
    pub fn kinds(&self, target: &Target, limit: Duration) -> Result<Vec<KindReport>, ProbeError> {
        let (Speech::Zoo, Some(port)) = (self.speech, self.port) else { return Ok(Vec::new()) };
        let mut talk = Talk::open(target, port, Deadline::new(limit))?;
        let kinds = line::kinds(&mut talk)?;
        talk.close()?;
        Ok(kinds)
    }

    /// The sequence numbers that a writer's journal in it holds (redis), or the counter's own journal; `None` if it has
    /// none. Blocks.
    pub fn journal(&self, target: &Target, limit: Duration) -> Result<Option<Vec<u64>>, ProbeError> {
        let (Speech::Redis { .. } | Speech::Counter, Some(port)) = (self.speech, self.port) else { return Ok(None) };
        let mut talk = Talk::open(target, port, Deadline::new(limit))?;
        let journal = match self.speech {
            Speech::Counter => line::journal(&mut talk)?,
            _ => redis::journal(&mut talk)?,
        };
        talk.close()?;
        Ok(Some(journal))
    }
}

fn nonce() -> String {
    let random = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
    random.map_or_else(|_| format!("{:?}", std::time::Instant::now()), |id| id.trim().to_owned())
}

/// Arguments, port and speech of a program of the catalogue.
fn program(values: &Values<'_>) -> Result<(Vec<String>, Option<u16>, Speech), WorkloadError> {
    let line = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let interval = || values.duration("interval", Duration::from_millis(10)).map(|d| d.as_secs_f64() * 1e3);
    let keys = || values.size("data", 0).map(|bytes| bytes.div_ceil(redis::VALUE as u64));
    Ok(match values.kind {
        "looper" => (vec!["/bin/sh".to_owned(), "-c".to_owned(), LOOP.to_owned()], None, Speech::Log),
        "counter" => {
            let file = values.text("file").unwrap_or("/journal");
            if !file.starts_with('/') || file.contains(char::is_whitespace) {
                return Err(values.wrong("file", "is not a path from the root"));
            }
            let journal = if values.flag("journal", true)? { file } else { "none" };
            let mut args =
                line(format!("/usr/bin/counter --port 7000 --interval-ms {} --journal {journal}", interval()?));
            let startup = values.duration("startup", Duration::ZERO)?;
            let (grow, most) = (values.size("grow", 0)?, values.size("growTo", 0)?);
            // Only what was asked for, so that the plain counter's arguments are those that a person would type.
            let more = [("--startup-ms", startup.as_millis()), ("--grow", grow.into()), ("--grow-to", most.into())];
            let more = more.into_iter().filter(|(_, value)| *value > 0);
            args.extend(more.flat_map(|(name, value)| [name.to_owned(), value.to_string()]));
            if values.flag("log", false)? {
                args.extend(["--log", "true"].map(str::to_owned));
            }
            match values.size("preamble", 0)? >> 10 {
                0 => {}
                kib => args.extend(["--preamble-kib".to_owned(), kib.to_string()]),
            }
            if values.flag("note", false)? {
                args.extend(["--note", "/note"].map(str::to_owned));
            }
            if let Some(thing) = values.text("hold") {
                args.extend(["--hold".to_owned(), thing.to_string()]);
            }
            match values.size("data", 0)? >> 20 {
                0 => {}
                mib => args.extend(["--mib".to_owned(), mib.to_string()]),
            }
            (args, Some(7000), Speech::Counter)
        }
        "exchange" => {
            let role = values.text("role").unwrap_or("first");
            let file = values.text("file").unwrap_or("/exchange");
            if !file.starts_with('/') || file.contains(char::is_whitespace) {
                return Err(values.wrong("file", "is not a path from the root"));
            }
            // Both are in one network.
            let port = if role == "second" { 7003 } else { 7002 };
            let text = format!("/usr/bin/exchange --role {role} --file {file} --port {port}");
            (line(text), Some(port), Speech::Exchange)
        }
        "memory" => {
            let mib = values.size("data", 64 << 20)? >> 20;
            if mib == 0 {
                return Err(values.wrong("data", "less than 1Mi"));
            }
            let rate = values.size("dirty", 0)? as f64 / f64::from(1 << 20);
            let seed = values.count("seed", 1)?;
            let text = format!("/usr/bin/memory --port 7001 --mib {mib} --seed {seed} --dirty-mib-s {rate}");
            (line(text), Some(7001), Speech::Memory)
        }
        "zoo" => {
            let hold = values.text("hold").unwrap_or("all");
            if hold.contains(char::is_whitespace) {
                return Err(values.wrong("hold", "is a list separated by commas alone"));
            }
            (line(format!("/usr/bin/zoo --port 7002 --hold {hold}")), Some(7002), Speech::Zoo)
        }
        "redis" => {
            let mut args = line("/usr/bin/redis-server --port 6379 --bind 0.0.0.0 --protected-mode no".to_owned());
            // One thread does all, and nothing is ever written to a file: what is lost from memory is lost.
            args.extend(line("--appendonly no --io-threads 1 --enable-debug-command yes --save".to_owned()));
            args.push(String::new());
            (args, Some(6379), Speech::Redis { keys: keys()?, digest: values.flag("digest", true)? })
        }
        "memcached" => {
            let keys = keys()?;
            // Values of 4000 bytes go into a size class of 4544; and it must never evict.
            let mib = 64 + keys * 5000 / (1 << 20);
            let text = format!("/usr/bin/memcached -u root -l 0.0.0.0 -p 11211 -t 2 -M -m {mib}");
            (line(text), Some(11211), Speech::Memcached { keys })
        }
        "nginx" => {
            let workers = values.count("workers", 2)?;
            (line(format!("/bin/sh /start {workers}")), Some(8080), Speech::Nginx)
        }
        "python" => {
            let text = format!("/usr/bin/python3 -I -S -B /counter.py 7000 {}", interval()?);
            (line(text), Some(7000), Speech::Counter)
        }
        other => return Err(WorkloadError::UnknownKind(other.to_owned())),
    })
}

fn archive(values: &Values<'_>) -> Result<Workload, WorkloadError> {
    let path = values.text("archive").unwrap_or_default();
    let port = match values.text("port") {
        None => None,
        Some(text) => Some(text.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(|| values.wrong("port", "no port"))?),
    };
    let speech = match values.text("probe").unwrap_or(if port.is_some() { "tcp" } else { "none" }) {
        "none" => Speech::None,
        "tcp" => Speech::Tcp,
        "log" => Speech::Log,
        "counter" => Speech::Counter,
        "memory" => Speech::Memory,
        "redis" => Speech::Redis { keys: 0, digest: false },
        "memcached" => Speech::Memcached { keys: 0 },
        "nginx" => Speech::Nginx,
        other => return Err(values.wrong("probe", &format!("there is no probe `{other}`"))),
    };
    if port.is_none() && !matches!(speech, Speech::None | Speech::Log) {
        return Err(values.wrong("port", "is needed by this probe"));
    }
    let args = values.text("args").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let source = ImageSource::Archive(PathBuf::from(path));
    Ok(Workload { kind: "archive".to_owned(), source, args, port, speech })
}

#[cfg(test)]
mod tests;
