//! Servers of the line protocol that stall, fall silent and come back as told.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;

/// Counts requests; serves until the process ends.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// While it is held for writing, nothing is answered.
    pub(crate) gate: Arc<RwLock<()>>,
    /// How many connections it has taken.
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::on(TcpListener::bind("127.0.0.1:0").unwrap(), true)
    }

    /// Takes requests and answers none.
    pub(crate) fn silent() -> Server {
        Server::on(TcpListener::bind("127.0.0.1:0").unwrap(), false)
    }

    pub(crate) fn on(listener: TcpListener, answers: bool) -> Server {
        let address = listener.local_addr().unwrap();
        let gate = Arc::new(RwLock::new(()));
        let theirs = Arc::clone(&gate);
        let connections = Arc::new(AtomicUsize::new(0));
        let taken = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let gate = Arc::clone(&theirs);
                taken.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || serve(stream.unwrap(), &gate, answers));
            }
        });
        Server { address, gate, connections }
    }
}

fn serve(mut stream: TcpStream, gate: &RwLock<()>, answers: bool) {
    let requests = BufReader::new(stream.try_clone().unwrap());
    for (n, line) in requests.lines().enumerate() {
        let Ok(line) = line else { return };
        if !answers {
            continue;
        }
        let _open = gate.read().unwrap();
        let answer = match line.strip_prefix("ECHO ") {
            Some(text) => format!("{text}\n"),
            None => format!("{n}\n"),
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// An address on which nobody listens (yet).
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
