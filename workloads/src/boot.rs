use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::time::{SystemTime, UNIX_EPOCH};

/// What is fixed when the process starts and never read again: a restore must keep it, a cold start cannot.
#[derive(Clone, Debug)]
pub struct Boot {
    /// 128 random bits in hex, kept only in memory.
    pub nonce: String,
    /// The process id as the process sees it.
    pub pid: u32,
    /// Nanoseconds since 1970 by the container's clock.
    pub started_realtime_ns: u128,
    /// The host name; a restore in another pod may change the real one, never this.
    pub hostname: String,
    /// The working directory.
    pub cwd: String,
    /// The command line.
    pub argv: Vec<String>,
}

impl Boot {
    /// Draws the nonce and takes the values.
    pub fn new() -> io::Result<Self> {
        let mut random = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let mut nonce = String::with_capacity(32);
        for byte in random {
            let _ = write!(nonce, "{byte:02x}");
        }
        Ok(Boot {
            nonce,
            pid: std::process::id(),
            started_realtime_ns: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos(),
            hostname: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
            cwd: std::env::current_dir().map(|d| d.display().to_string()).unwrap_or_default(),
            argv: std::env::args().collect(),
        })
    }

    /// The members of a JSON object, without its braces, so that a program can add its own.
    pub fn json_members(&self) -> String {
        format!(
            r#""nonce":{},"pid":{},"started_realtime_ns":"{}","hostname":{},"cwd":{},"argv":{}"#,
            json_string(&self.nonce),
            self.pid,
            self.started_realtime_ns,
            json_string(&self.hostname),
            json_string(&self.cwd),
            json_string(&self.argv.join(" ")),
        )
    }
}

/// A JSON string literal.
pub fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{Boot, json_string};

    #[test]
    fn strings_are_escaped() {
        assert_eq!(json_string("a\"b\\c\n\u{1}ä"), r#""a\"b\\c\u000a\u0001ä""#);
    }

    #[test]
    fn two_starts_have_two_nonces() {
        let (a, b) = (Boot::new().unwrap(), Boot::new().unwrap());
        assert_eq!(a.nonce.len(), 32);
        assert_ne!(a.nonce, b.nonce);
    }
}
