//! What redis holds of a writer's journal at the end.

use super::Vantage;
use crate::clock;
use crate::record::At;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The list that redis writers append to.
pub const JOURNAL: &str = "podferry:journal";

/// Reads the whole journal of the redis at `address`, in the list's order, from where clients stand. Blocks: up to
/// `timeout` in all, from a thread of its own.
///
/// # Errors
/// When the vantage or redis cannot be reached, redis answers with an error, or an entry is no number.
pub fn read_journal(vantage: &Vantage, address: SocketAddr, timeout: Duration) -> io::Result<Vec<u64>> {
    let vantage = vantage.clone();
    let reader = std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
        vantage()?;
        read(address, clock::now() + timeout)
    })?;
    reader.join().unwrap_or_else(|_| Err(io::Error::other("the journal's reader panicked")))
}

fn read(address: SocketAddr, deadline: At) -> io::Result<Vec<u64>> {
    let left = || {
        let left = deadline.since(clock::now());
        (!left.is_zero()).then_some(left).ok_or_else(|| {
            io::Error::new(io::ErrorKind::TimedOut, format!("redis at {address} did not give its journal in time"))
        })
    };
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    write!(stream, "*4\r\n$6\r\nLRANGE\r\n${}\r\n{JOURNAL}\r\n$1\r\n0\r\n$2\r\n-1\r\n", JOURNAL.len())?;
    let mut answer = BufReader::with_capacity(1 << 16, stream);
    answer.get_ref().set_read_timeout(Some(left()?))?;
    let count = length(&mut answer, '*')?;
    let mut journal = Vec::with_capacity(count.min(1 << 20));
    for i in 0..count {
        if i % 4096 == 0 {
            answer.get_ref().set_read_timeout(Some(left()?))?;
        }
        let size = length(&mut answer, '$')?;
        let mut entry = vec![0; size.min(1024) + 2];
        answer.read_exact(&mut entry)?;
        let text = String::from_utf8_lossy(&entry);
        let number = text.trim_end().parse().map_err(|_| nonsense(address, text.trim_end()))?;
        journal.push(number);
    }
    Ok(journal)
}

/// Reads a RESP line of a type byte and a length.
fn length(answer: &mut BufReader<TcpStream>, kind: char) -> io::Result<usize> {
    let mut line = String::new();
    answer.by_ref().take(1024).read_line(&mut line)?;
    let line = line.trim_end();
    let number = line.strip_prefix(kind).and_then(|n| n.parse().ok());
    let peer = answer.get_ref().peer_addr()?;
    number.ok_or_else(|| nonsense(peer, line))
}

fn nonsense(address: SocketAddr, said: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("redis at {address} said `{said}` when asked for its journal"))
}
