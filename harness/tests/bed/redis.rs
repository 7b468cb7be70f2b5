//! Asking a redis from a node's own network, as `redis-cli` does: not every node has that program.

use podferry::node::SharedNode;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(1);

/// Opens a connection and sends a command.
pub(crate) fn send(node: &SharedNode, address: Ipv4Addr, words: &[String]) -> std::io::Result<TcpStream> {
    let mut stream = node.connect(SocketAddr::from((address, 6379)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let all: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    stream.write_all(format!("*{}\r\n{all}", words.len()).as_bytes())?;
    Ok(stream)
}

/// What it answers, as `redis-cli` prints it where nobody looks; `None`: nothing within a second.
pub(crate) fn ask(node: &SharedNode, address: Ipv4Addr, words: &[String]) -> Option<String> {
    let stream = send(node, address, words).ok()?;
    reply(&mut BufReader::new(stream)).map(|text| text.trim().to_owned())
}

fn reply(from: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    let (kind, rest) = line.strip_suffix("\r\n")?.split_at_checked(1)?;
    match (kind, rest.parse::<usize>()) {
        ("+" | "-" | ":", _) => Some(rest.to_owned()),
        ("$", Ok(length)) => {
            let mut text = vec![0; length + 2];
            from.read_exact(&mut text).ok()?;
            text.truncate(length);
            String::from_utf8(text).ok()
        }
        ("*", Ok(count)) => {
            let parts: Option<Vec<String>> = (0..count).map(|_| reply(from)).collect();
            Some(parts?.join("\n"))
        }
        // There is none.
        ("$" | "*", Err(_)) => Some(String::new()),
        _ => panic!("redis says `{line}`"),
    }
}
