//! The programs themselves, on a loopback port that the kernel chooses.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Program {
    child: Child,
    address: String,
}

impl Program {
    fn start(path: &str, args: &[&str]) -> Self {
        let mut child = Command::new(path)
            .args(["--bind", "127.0.0.1", "--port", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Program { child, address }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        BufReader::new(stream)
    }

    fn ask(&self, question: &str) -> String {
        let mut c = self.connect();
        c.get_ref().write_all(format!("{question}\n").as_bytes()).unwrap();
        read(&mut c)
    }
}

fn read(c: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    c.read_line(&mut line).unwrap();
    line.trim_end_matches('\n').to_owned()
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a value of a counter, at most 10 s.
fn value_at_least(p: &Program, least: u64) -> u64 {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let value = p.ask("GET").parse().unwrap();
        if value >= least {
            return value;
        }
        assert!(Instant::now() < end, "still {value}");
    }
}

#[test]
fn the_counter_counts_and_both_journals_agree() {
    let file = std::env::temp_dir().join(format!("podferry-counter-test-{}", std::process::id()));
    let path = file.to_str().unwrap();
    let p = Program::start(env!("CARGO_BIN_EXE_counter"), &["--interval-ms", "2", "--journal", path]);
    value_at_least(&p, 20);
    let mut c = p.connect();
    c.get_ref().write_all(b"ECHO x y\nGET\nJOURNAL\nFILE\nSTATE\n").unwrap();
    assert_eq!(read(&mut c), "x y");
    let value: u64 = read(&mut c).parse().unwrap();
    let journal: Vec<u64> = read(&mut c).split(' ').map(|v| v.parse().unwrap()).collect();
    assert!(journal.len() as u64 >= value);
    assert_eq!(journal, (1..=journal.len() as u64).collect::<Vec<_>>());
    let in_file = read(&mut c);
    let (lines, last) = in_file.split_once(' ').unwrap();
    let state = read(&mut c);
    let (nonce, last) = last.split_once(' ').unwrap();
    assert_eq!(lines, last);
    assert!(state.contains(nonce), "{state}");
    assert!(state.contains(&format!(r#""pid":{}"#, p.child.id())), "{state}");
    drop(p);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn sigterm_ends_it_at_once_with_code_0() {
    let mut p = Program::start(env!("CARGO_BIN_EXE_counter"), &["--journal", "none"]);
    let kill = Command::new("kill").args(["-TERM", &p.child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(p.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_stopped_counter_goes_on_where_it_was() {
    let p = Program::start(env!("CARGO_BIN_EXE_counter"), &["--interval-ms", "5", "--journal", "none"]);
    let before = value_at_least(&p, 3);
    let signal =
        |s: &str| assert!(Command::new("kill").args([s, &p.child.id().to_string()]).status().unwrap().success());
    signal("-STOP");
    std::thread::sleep(Duration::from_millis(500));
    signal("-CONT");
    let after: u64 = p.ask("GET").parse().unwrap();
    assert!(after - before < 60, "{before} -> {after}: it ran after the clock");
}

#[test]
fn the_memory_is_dirtied_and_stays_whole() {
    let p = Program::start(env!("CARGO_BIN_EXE_memory"), &["--mib", "4", "--seed", "9", "--dirty-mib-s", "100"]);
    let fresh = p.ask("HASH");
    assert!(fresh.starts_with("ok "), "{fresh}");
    value_at_least(&p, 2000);
    assert_eq!(p.ask("HASH"), fresh);
    assert_eq!(p.ask("DIRTY off"), "ok");
    // The tick under way may still land.
    std::thread::sleep(Duration::from_millis(50));
    let still = p.ask("GET");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(p.ask("GET"), still);
    assert_eq!(p.ask("DIRTY 50"), "ok");
    assert!(p.ask("STATE").contains(r#""dirty_mib_s":50"#));
    assert_eq!(p.ask("DIRTY fast"), "error: DIRTY takes on, off or a rate in MiB/s, not `fast`");
}

#[test]
fn nonsense_on_the_command_line_is_refused() {
    for (program, args) in [
        (env!("CARGO_BIN_EXE_counter"), ["--interval-ms", "0"]),
        (env!("CARGO_BIN_EXE_counter"), ["--journal", "/nonexistent/x"]),
        (env!("CARGO_BIN_EXE_memory"), ["--mib", "0"]),
        (env!("CARGO_BIN_EXE_memory"), ["--dirty-mib-s", "-1"]),
    ] {
        let out = Command::new(program).args(args).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(!out.stderr.is_empty());
    }
}
