use crate::redis::Redis;
use crate::server::Server;
use crate::{soon, sound, start, wait_until};
use podferry::check::outage;
use podferry::client::Kind;
use podferry::clock;
use podferry::record::{At, History};
use podferry::stats::{median, quantile};
use std::time::Duration;

/// Redis stands still for a known time; the writer's history must say for how long, to a millisecond.
#[test]
fn a_known_outage_is_measured_to_a_millisecond() {
    let redis = Redis::start();
    // The stamps are this thread's: it must not lose its processor between one and what it stands for.
    let thread = rustix::process::Pid::from_raw(nix::unistd::gettid().as_raw());
    rustix::process::setpriority_process(thread, -19).expect("root may");
    for wanted in [20, 50, 100].map(Duration::from_millis) {
        let mut errors = Vec::new();
        for _ in 0..10 {
            let client = start(Kind::RedisWriter, "redis", redis.address);
            client.wait_answers(60, soon()).unwrap();
            let asked = clock::now();
            redis.freeze();
            let from = clock::now();
            wait_until(from + wanted);
            let to = clock::now();
            redis.thaw();
            let thawed = clock::now();
            let answered = client.answered();
            client.wait_answers(answered + 60, soon()).unwrap();
            let history = client.stop();
            sound(&history);
            let seen = outage(&history, (from, to)).unwrap();
            // It stood still for at least the first of these and at most the second: they differ where the machine took
            // this thread's processor away between a signal and its stamp.
            let truth = to.since(from).as_secs_f64()..=thawed.since(asked).as_secs_f64();
            let seen = seen.as_secs_f64();
            errors.push((truth.start() - seen).max(seen - truth.end()).max(0.0) * 1e3);
        }
        let error = median(&errors).unwrap();
        eprintln!("frozen for {wanted:?}: error of the measured outage: median {error:.3} ms of {errors:.3?}");
        assert!(error <= 1.0, "{wanted:?}: median error {error:.3} ms of {errors:.3?}");
    }
}

fn latencies(history: &History) -> Vec<f64> {
    history.ops.iter().map(|op| op.done.since(op.intended).as_secs_f64() * 1e3).collect()
}

/// 100 ms of 2 s stand still. Operations that fall due then wait 100 ms down to nothing, so one in a hundred of all
/// waits more than 100 ms - 1 % of 2 s = 80 ms. A client that waits for its answers would make one such operation and
/// have a p99 below a millisecond.
#[test]
fn a_stall_shows_in_the_p99_as_theory_says() {
    let server = Server::start();
    let errors: Vec<f64> = (0..3).map(|_| error_of_a_stall(&server)).collect();
    // One try in which the machine stood still as well says nothing of the client.
    let error = median(&errors).unwrap();
    assert!(error <= 0.1, "p99 is off by {error:.2} of what theory says: {errors:.2?}");
}

/// By how much of it the p99 misses what theory says.
fn error_of_a_stall(server: &Server) -> f64 {
    let client = start(Kind::CounterReader, "counter", server.address);
    client.wait_answers(900, soon()).unwrap();
    let closed = server.gate.write().unwrap();
    let from = clock::now();
    wait_until(from + Duration::from_millis(100));
    let opened = clock::now();
    drop(closed);
    client.wait_answers(2000, soon()).unwrap();
    let history = client.stop();
    sound(&history);
    // It stood still until the gate was opened at least, and until the next answer at most.
    let went_on = history.ops.iter().map(|op| op.done).filter(|done| *done >= opened).min().unwrap();
    let theory = |until: At| until.since(from).as_secs_f64() * 1e3 - 0.01 * history.ops.len() as f64;
    let (least, most) = (theory(opened), theory(went_on));
    let p99 = quantile(&latencies(&history), 0.99).unwrap();
    eprintln!("p99 {p99:.1} ms, theory {least:.1} to {most:.1} ms");
    (least - p99).max(p99 - most).max(0.0) / least
}

/// The schedule does not drift, and the client's own error is small and said.
#[test]
fn the_schedule_is_kept_and_the_error_is_said() {
    let server = Server::start();
    let client = start(Kind::TcpEcho, "echo", server.address);
    client.wait_answers(1000, soon()).unwrap();
    let history = client.stop();
    sound(&history);
    assert!(history.ops.iter().all(|op| op.value == op.key));
    let late: Vec<f64> = history.ops.iter().map(|op| op.sent.since(op.intended).as_secs_f64() * 1e3).collect();
    assert!(median(&late).unwrap() < 0.5, "median lateness {:?} ms", median(&late));
    let worst = history.ops.iter().map(|op| op.sent.since(op.intended).as_nanos()).max().unwrap();
    let said = u128::from(history.worst_lateness_ns);
    assert!(said > 0 && said <= worst, "said {said} ns, and sent {worst} ns late");
}
