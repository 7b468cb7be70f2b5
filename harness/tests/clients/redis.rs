use crate::server::free_address;
use crate::{count, soon, sound, start};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use podferry::client::{Kind, Vantage};
use podferry::record::OpOutcome;
use podferry::workload::{ProbeError, Target, Workload};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A real redis on loopback, from the node image. Ends when dropped, and with this process at the latest.
pub(crate) struct Redis {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Redis {
    pub(crate) fn start() -> Redis {
        let address = free_address();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "chroot"])
            .arg(crate::node_image::rootfs())
            .args(["redis-server", "--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("setpriv starts");
        // What it is late for a processor, once it may go on, is no error of who measures it.
        let pid = rustix::process::Pid::from_raw(child.id().cast_signed());
        rustix::process::setpriority_process(pid, -19).expect("root may");
        let redis = Redis { child, address };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(10), "redis does not listen on {address}");
            std::thread::sleep(Duration::from_millis(1));
        }
        redis
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// What it holds of a writer's journal, as a run reads it at the end.
    fn journal(&self) -> Result<Option<Vec<u64>>, ProbeError> {
        let mut workload = Workload::new("redis", &BTreeMap::new()).expect("redis is in the catalogue");
        workload.port = Some(self.address.port());
        let SocketAddr::V4(address) = self.address else { panic!("{} is no IPv4 address", self.address) };
        let here: Vantage = Arc::new(|| Ok(()));
        let target = Target { connect: Arc::new(here), address: *address.ip(), log: PathBuf::new() };
        workload.journal(&target, Duration::from_secs(5))
    }

    /// Stops all its threads; returns when they stand still.
    pub(crate) fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
        let status = waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(status, WaitStatus::Stopped(..)), "{status:?}");
    }

    pub(crate) fn thaw(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_redis_acknowledged_is_in_its_journal() {
    let redis = Redis::start();
    let client = start(Kind::RedisWriter, "redis", redis.address);
    client.wait_answers(500, soon()).unwrap();
    let history = client.stop();
    sound(&history);
    assert_eq!(count(&history, OpOutcome::Ok), history.ops.len(), "a healthy redis answers all");
    assert!(history.ops.iter().all(|op| op.value == op.key + 1), "the answer is the length of the list");
    let journal = redis.journal().unwrap();
    assert_eq!(journal.unwrap(), (0..history.ops.len() as u64).collect::<Vec<_>>());
}

/// Requests wait in a frozen server's socket; none is lost, and latency counts from when they were due.
#[test]
fn a_frozen_redis_answers_late_and_loses_nothing() {
    let redis = Redis::start();
    let client = start(Kind::RedisWriter, "redis", redis.address);
    client.wait_answers(50, soon()).unwrap();
    redis.freeze();
    std::thread::sleep(Duration::from_millis(200));
    let before = client.answered();
    redis.thaw();
    client.wait_answers(before + 250, soon()).unwrap();
    let history = client.stop();
    sound(&history);
    assert_eq!(count(&history, OpOutcome::Ok), history.ops.len());
    let worst = history.ops.iter().map(|op| op.done.since(op.intended)).max().unwrap();
    assert!(worst >= Duration::from_millis(195), "{worst:?}");
}

#[test]
fn an_answer_that_is_an_error_is_no_acknowledgement() {
    let redis = Redis::start();
    let mut plain = TcpStream::connect(redis.address).unwrap();
    std::io::Write::write_all(&mut plain, b"SET podferry:journal x\r\n").unwrap();
    std::io::Read::read_exact(&mut plain, &mut [0; 5]).unwrap();
    let client = start(Kind::RedisWriter, "redis", redis.address);
    std::thread::sleep(Duration::from_millis(50));
    let history = client.stop();
    sound(&history);
    assert!(count(&history, OpOutcome::Error) > 20);
    assert_eq!(count(&history, OpOutcome::Error), history.ops.len(), "WRONGTYPE, each time");
    let error = redis.journal().unwrap_err();
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
}
