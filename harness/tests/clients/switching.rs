use crate::server::{Server, free_address};
use crate::{config, count, soon, sound, start};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, socket};
use podferry::client::{Client, Endpoint, Kind, WaitError};
use podferry::clock;
use podferry::record::{At, ConnectionEnd, OpOutcome};
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[test]
fn a_switch_leaves_the_unanswered_unknown_and_goes_on_at_once() {
    let (old, new) = (Server::silent(), Server::start());
    let client = start(Kind::CounterReader, "src", old.address);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(client.answered(), 0);
    let told = clock::now();
    client.switch("copy", Endpoint::Tcp(new.address)).unwrap();
    let first = client.first_answer_from("copy", soon()).unwrap();
    assert!(first >= told && first.since(told) < Duration::from_millis(20), "{:?}", first.since(told));
    client.wait_answers(50, soon()).unwrap();
    let last = client.last_answer().unwrap();
    let history = client.stop();
    sound(&history);
    assert!(last.at >= first && last.key > 40);
    assert_eq!(history.endpoints.iter().map(|e| e.instance.as_str()).collect::<Vec<_>>(), ["src", "copy"]);
    let unknown: Vec<_> = history.ops.iter().filter(|op| op.outcome == OpOutcome::Unknown).collect();
    assert!(unknown.len() >= 45, "{}", unknown.len());
    assert!(unknown.iter().all(|op| op.endpoint == 0), "all were asked of the old one");
    let copy: Vec<_> = history.ops.iter().filter(|op| op.endpoint == 1).collect();
    assert!(count(&history, OpOutcome::Ok) >= 50 && copy.iter().all(|op| op.outcome != OpOutcome::Unknown));
    assert!(copy.iter().filter(|op| op.outcome == OpOutcome::NotSent).count() <= 5, "only while it connected");
}

#[test]
fn one_that_moved_with_its_address_keeps_its_connection_and_who_answers_late_is_the_copy() {
    let server = Server::start();
    let client = start(Kind::TcpEcho, "src", server.address);
    client.wait_answers(20, soon()).unwrap();
    let closed = server.gate.write().unwrap();
    let frozen = clock::now();
    thread::sleep(Duration::from_millis(50));
    assert!(client.moved("copy").unwrap());
    thread::sleep(Duration::from_millis(20));
    drop(closed);
    client.first_answer_from("copy", soon()).unwrap();
    client.wait_answers(client.answered() + 20, soon()).unwrap();
    let history = client.stop();
    sound(&history);
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
    assert_eq!(history.connections.len(), 1);
    assert_eq!(history.connections[0].ended, None);
    assert_eq!(history.endpoints.len(), 2);
    // Asked of the source while it stood still, answered by the copy.
    let late = history.ops.iter().filter(|op| op.sent > frozen && op.sent < history.endpoints[1].at);
    assert!(late.clone().count() > 20 && late.into_iter().all(|op| op.endpoint == 1));
}

#[test]
fn what_ended_a_connection_is_kept() {
    let (one, other) = (Server::start(), Server::start());
    let client = start(Kind::TcpEcho, "src", one.address);
    client.wait_answers(10, soon()).unwrap();
    client.switch("copy", Endpoint::Tcp(other.address)).unwrap();
    client.first_answer_from("copy", soon()).unwrap();
    let ends = |history: &podferry::record::History| -> Vec<_> {
        history.connections.iter().map(|c| c.ended.map(|(_, how)| how)).collect()
    };
    assert_eq!(ends(&client.stop()), [Some(ConnectionEnd::Left), None]);
    // Accepted and closed at once.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = start(Kind::TcpEcho, "rude", listener.local_addr().unwrap());
    drop(listener.accept().unwrap());
    let second = listener.accept().unwrap();
    let history = client.stop();
    drop(second);
    assert!(matches!(ends(&history)[0], Some(ConnectionEnd::Closed | ConnectionEnd::Reset)), "{:?}", ends(&history));
}

#[test]
fn what_falls_due_without_a_connection_is_not_sent() {
    let address = free_address();
    let client = start(Kind::CounterReader, "late", address);
    thread::sleep(Duration::from_millis(50));
    let up = clock::now();
    let _server = Server::on(TcpListener::bind(address).unwrap(), true);
    let first = client.first_answer_from("late", soon()).unwrap();
    assert!(first.since(up) < Duration::from_millis(20), "it is tried again each ms: {:?}", first.since(up));
    let history = client.stop();
    sound(&history);
    assert!(count(&history, OpOutcome::NotSent) >= 45);
    assert_eq!(count(&history, OpOutcome::Unknown), 0);
}

/// A listener with a full queue drops SYNs, as CRIU's network lock does; the kernel would try again after 1 s.
#[test]
fn a_dropped_syn_costs_no_second() {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&fd, Backlog::new(1).unwrap()).unwrap();
    let listener = TcpListener::from(fd);
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
        queue.push(stream);
    }
    let client = start(Kind::CounterReader, "copy", address);
    thread::sleep(Duration::from_millis(100));
    let unlocked = clock::now();
    let _server = Server::on(listener, true);
    let first = client.first_answer_from("copy", soon()).unwrap();
    assert!(first.since(unlocked) < Duration::from_millis(100), "{:?}", first.since(unlocked));
    let history = client.stop();
    sound(&history);
    assert!(count(&history, OpOutcome::NotSent) >= 80);
}

#[test]
fn an_operation_timeout_gives_the_connection_up() {
    let server = Server::silent();
    let mut config = config(Kind::CounterReader, "mute", Endpoint::Tcp(server.address));
    config.op_timeout = Some(Duration::from_millis(20));
    let client = Client::start(config).unwrap();
    let until = soon();
    while server.connections.load(Ordering::Relaxed) < 4 {
        assert!(clock::now() < until, "it keeps to a connection that does not answer");
        thread::sleep(Duration::from_millis(1));
    }
    let history = client.stop();
    sound(&history);
    // Three connections were given up, each when its first operation had waited for 20 ms: whatever was due meanwhile is
    // in the history, sent or not, since the schedule waits for nobody.
    let (unknown, not_sent) = (count(&history, OpOutcome::Unknown), count(&history, OpOutcome::NotSent));
    assert!(unknown >= 3 && unknown + not_sent >= 60, "{unknown} unanswered, {not_sent} not sent");
    assert_eq!(count(&history, OpOutcome::Ok), 0);
}

#[test]
fn a_wait_in_vain_says_what_it_waited_for() {
    let server = Server::silent();
    let client = start(Kind::CounterReader, "mute", server.address);
    let error = client.wait_answers(3, clock::now() + Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.to_string(), "client `test` waited in vain for 3 answers; it was connected, and no answer came");
    let error = client.first_answer_from("other", soon()).unwrap_err();
    assert!(matches!(error, WaitError::NotAnEndpoint { .. }), "{error}");
    let watch = client.watch().clone();
    let waiter = thread::spawn(move || watch.first_answer_from("mute", soon()));
    thread::sleep(Duration::from_millis(20));
    client.stop();
    let error = waiter.join().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "client `test` ended while the first answer of `mute` was waited for; it was connected, and no answer came"
    );
}

/// Says the same to whoever connects, asked or not, and keeps the connection.
fn says(text: &'static str) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Only after it was asked: what comes is the answer to that.
            let _ = std::io::Read::read(&mut stream, &mut [0; 5]);
            let _ = std::io::Write::write_all(&mut stream, text.as_bytes());
            kept.push(stream);
        }
    });
    address
}

#[test]
fn what_a_client_does_not_take_is_said_with_what_it_asked() {
    let client = start(Kind::TcpEcho, "web", says("HTTP/1.1 400 Bad Request\r\n"));
    let (silence, patience) = (Duration::from_secs(5), Duration::from_millis(50));
    let error = client.watch().wait_understood(silence, patience).unwrap_err();
    let saw = "answers came that a tcp-echo does not take, the first was `HTTP/1.1 400 Bad Request` to `ECHO 0`";
    assert_eq!(error.to_string(), format!("client `test` waited in vain for an answer; {saw}"));
    assert_eq!(
        error.hint(),
        Some("a tcp-echo sends the line `ECHO N` and takes the line `N`, the same number and nothing else")
    );
    let error = client.first_answer_from("web", clock::now()).unwrap_err();
    assert!(error.to_string().ends_with(saw), "{error}");

    let client = start(Kind::CounterReader, "web", says("41"));
    assert!(client.watch().wait_understood(Duration::from_millis(20), patience).is_ok(), "it may yet say more");
    let error = client.wait_answers(1, clock::now() + Duration::from_millis(20)).unwrap_err();
    assert!(error.to_string().ends_with("; what came has no end of line: `41`"), "{error}");

    let nobody = start(Kind::CounterReader, "web", free_address());
    let error = nobody.wait_answers(1, clock::now() + Duration::from_millis(20)).unwrap_err();
    assert!(error.to_string().ends_with("; it was never connected: connection refused"), "{error}");
}

#[test]
fn a_full_memory_ends_the_client_and_is_said() {
    let server = Server::start();
    let mut config = config(Kind::CounterReader, "counter", Endpoint::Tcp(server.address));
    config.max_ops = 30;
    let client = Client::start(config).unwrap();
    client.wait_answers(30, soon()).unwrap();
    thread::sleep(Duration::from_millis(10));
    let history = client.stop();
    assert_eq!(history.ops.len(), 30);
    assert_eq!(history.ended_early.as_deref(), Some("it had made 30 operations, the most that it keeps"));
}

#[test]
fn the_vantage_is_taken_on_the_clients_thread_and_its_failure_is_told() {
    let server = Server::start();
    let stood = Arc::new(Mutex::new(None));
    let there = Arc::clone(&stood);
    let mut there_config = config(Kind::CounterReader, "counter", Endpoint::Tcp(server.address));
    there_config.vantage = Arc::new(move || {
        *there.lock().unwrap() = thread::current().name().map(str::to_owned);
        Ok(())
    });
    drop(Client::start(there_config).unwrap());
    assert_eq!(stood.lock().unwrap().as_deref(), Some("client test"));
    let mut nowhere = config(Kind::CounterReader, "counter", Endpoint::Tcp(server.address));
    nowhere.vantage = Arc::new(|| Err(io::Error::new(ErrorKind::NotFound, "no such namespace")));
    assert_eq!(Client::start(nowhere).unwrap_err().to_string(), "no such namespace");
    let log = Endpoint::Log { path: "/log".into(), not_before: Some(At(0)) };
    let error = Client::start(config(Kind::CounterReader, "counter", log)).unwrap_err();
    assert_eq!(error.to_string(), "a counter-reader can't use the endpoint /log");
}
