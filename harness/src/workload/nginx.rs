//! Probing nginx, by HTTP/1.0: an answer is a connection.

use super::ProbeError;
use super::talk::{Deadline, Talk, Target};
use crate::record::SelfReport;

/// Its configuration. The shell that starts it puts a fresh random id in the place of `@NONCE@` each time, and what a
/// running nginx answers is what it read then: a cold start answers another one.
pub(super) const CONFIG: &str = include_str!("nginx.conf");
/// The script that starts it.
pub(super) const START: &str = r#"read N < /proc/sys/kernel/random/uuid
sed "s/@NONCE@/$N/; s/@WORKERS@/$1/" /etc/nginx/podferry.conf > /run/nginx.conf
exec /usr/sbin/nginx -c /run/nginx.conf
"#;

fn get(target: &Target, port: u16, path: &str, deadline: Deadline) -> Result<String, ProbeError> {
    let mut talk = Talk::open(target, port, deadline)?;
    talk.send(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let answer = talk.rest()?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(talk.nonsense(path, &answer)),
    }
}

pub(super) fn ready(target: &Target, port: u16, deadline: Deadline) -> Result<(), ProbeError> {
    get(target, port, "/nonce", deadline).map(drop)
}

pub(super) fn probe(target: &Target, port: u16, deadline: Deadline) -> Result<SelfReport, ProbeError> {
    let nonce = get(target, port, "/nonce", deadline)?;
    let status = get(target, port, "/status", deadline)?;
    let mut report = SelfReport { nonce: Some(nonce.trim().to_owned()), ..SelfReport::default() };
    report.counter = requests(&status);
    report.boot.insert("version".to_owned(), get(target, port, "/version", deadline)?.trim().to_owned());
    Ok(report)
}

/// How many requests nginx has served, from its `stub_status` page; all workers count in shared memory.
fn requests(status: &str) -> Option<u64> {
    let figures = status.lines().skip_while(|l| !l.starts_with("server accepts")).nth(1)?;
    figures.split_ascii_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::requests;

    #[test]
    fn the_status_page_is_read() {
        let page =
            "Active connections: 1 \nserver accepts handled requests\n 5 5 7 \nReading: 0 Writing: 1 Waiting: 0 \n";
        assert_eq!(requests(page), Some(7));
        assert_eq!(requests("404"), None);
    }
}
