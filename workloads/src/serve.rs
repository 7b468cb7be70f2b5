use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// The longest line that is taken, in bytes with its end; a longer one ends the connection.
pub const MAX_LINE: u64 = 1 << 20;

/// Listens, and says on standard output where (`listening on 127.0.0.1:7000`): port 0 lets the kernel choose.
pub fn listen(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::new(address, port))
        .map_err(|e| io::Error::new(e.kind(), format!("can't listen on {address}:{port}: {e}")))?;
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {}", listener.local_addr()?)?;
    out.flush()?;
    Ok(listener)
}

/// Answers each line of each connection by one line, in order, for ever; a thread a connection.
pub fn serve<F>(listener: &TcpListener, answer: F) -> !
where
    F: Fn(&str) -> String + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    loop {
        // A client that left before it was accepted is no reason to end.
        let Ok((stream, _)) = listener.accept() else { continue };
        let answer = Arc::clone(&answer);
        let talk = move || {
            let _ = converse(&stream, |line| answer(line));
        };
        // Out of threads: the connection is dropped, the workload lives on.
        let _ = std::thread::Builder::new().stack_size(256 << 10).spawn(talk);
    }
}

fn converse(stream: &TcpStream, answer: impl Fn(&str) -> String) -> io::Result<()> {
    stream.set_nodelay(true)?;
    talk(BufReader::with_capacity(64 << 10, stream), stream, answer)
}

/// Answers are held back while further whole lines are at hand, so that a batch in one segment costs one write.
fn talk<R: Read>(mut from: BufReader<R>, mut to: impl Write, answer: impl Fn(&str) -> String) -> io::Result<()> {
    let mut line = Vec::new();
    let mut out = Vec::new();
    loop {
        line.clear();
        (&mut from).take(MAX_LINE).read_until(b'\n', &mut line)?;
        let Some(text) = line.strip_suffix(b"\n") else {
            // The end, or a line without one: neither gets an answer.
            return to.write_all(&out);
        };
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        out.extend_from_slice(answer(&String::from_utf8_lossy(text)).as_bytes());
        out.push(b'\n');
        if !from.buffer().contains(&b'\n') || out.len() > 1 << 20 {
            to.write_all(&out)?;
            out.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_LINE, talk};
    use std::io::{self, BufReader, Write};

    /// Counts its writes.
    #[derive(Default)]
    struct Sink {
        bytes: Vec<u8>,
        writes: usize,
    }

    impl Write for &mut Sink {
        fn write(&mut self, b: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            self.bytes.extend_from_slice(b);
            Ok(b.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(input: &[u8]) -> (String, usize) {
        let mut sink = Sink::default();
        talk(BufReader::with_capacity(2 << 20, input), &mut sink, |l| format!("<{l}>")).unwrap();
        (String::from_utf8(sink.bytes).unwrap(), sink.writes)
    }

    #[test]
    fn many_lines_in_one_segment_are_answered_in_order_by_one_write() {
        assert_eq!(said(b"GET\r\nECHO a b\n\nGET\n"), ("<GET>\n<ECHO a b>\n<>\n<GET>\n".to_owned(), 1));
    }

    #[test]
    fn a_line_that_never_ended_gets_no_answer() {
        assert_eq!(said(b"GET\nGE").0, "<GET>\n");
        assert_eq!(said(b"").0, "");
    }

    #[test]
    fn a_line_without_bounds_ends_the_connection() {
        let mut long = vec![b'x'; usize::try_from(MAX_LINE).unwrap() + 10];
        long.push(b'\n');
        assert_eq!(said(&long).0, "");
    }
}
