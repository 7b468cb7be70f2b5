//! What the machine did while figures were taken, and whether figures of such a machine say anything.

use crate::record::MachineUse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often the load is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A share of the processors' time that went to other machines, which a reader should know of.
const TOLD_STOLEN: f64 = 0.02;

/// Watches the machine while figures are taken.
pub struct Watch {
    began: Option<f64>,
    time: Option<Time>,
    over: Arc<AtomicBool>,
    loads: JoinHandle<Vec<f64>>,
}

/// Processors' time in ticks, of all of them together since boot.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Time {
    all: u64,
    /// Wanted by this machine, and given to another one by the host of both.
    stolen: u64,
}

impl Watch {
    /// Begins to watch `/proc`.
    pub fn begin() -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let loads = thread::spawn(move || {
            let mut seen = Vec::new();
            // Once at least, however soon it is over.
            loop {
                if !ended.load(Ordering::Relaxed) {
                    thread::park_timeout(EVERY);
                }
                seen.extend(load(&read("loadavg")));
                if ended.load(Ordering::Relaxed) {
                    return seen;
                }
            }
        });
        Watch { began: load(&read("loadavg")), time: time(&read("stat")), over, loads }
    }

    /// What it was like.
    pub fn end(self) -> MachineUse {
        self.over.store(true, Ordering::Relaxed);
        self.loads.thread().unpark();
        let loads = self.loads.join().unwrap_or_default();
        MachineUse {
            processors: u32::try_from(thread::available_parallelism().map_or(1, usize::from)).unwrap_or(u32::MAX),
            load_at_begin: self.began,
            load: (!loads.is_empty()).then(|| loads.iter().sum::<f64>() / loads.len() as f64),
            stolen: self.time.zip(time(&read("stat"))).and_then(|(from, to)| stolen(from, to)),
        }
    }
}

/// What was not quiet, a sentence each: it widens intervals and moves none.
pub fn unquiet(seen: &MachineUse) -> Vec<String> {
    let busy = seen.load_at_begin.filter(|load| *load > f64::from(seen.processors) / 2.0).map(|load| {
        format!("others used the machine when it began: load average {load}, {} processors", seen.processors)
    });
    let stolen = seen
        .stolen
        .filter(|share| *share > TOLD_STOLEN)
        .map(|share| format!("{:.0} % of the processors' time went to other machines on the same host", share * 100.0));
    busy.into_iter().chain(stolen).collect()
}

/// Why figures of such a machine say nothing, by these bounds: the share of time that others may have, and the load for each
/// processor.
pub fn unfit(seen: &MachineUse, most_stolen: f64, most_load: f64) -> Option<String> {
    let share = seen.stolen.filter(|share| *share > most_stolen);
    if let Some(share) = share {
        let (share, most) = (share * 100.0, most_stolen * 100.0);
        return Some(format!(
            "the machine was not fit: {share:.0} % of the processors' time went to other machines, the bound is {most:.0} %"
        ));
    }
    let each = seen.load? / f64::from(seen.processors.max(1));
    (each > most_load).then(|| {
        format!("the machine was not fit: a load of {each:.1} for each processor while figures were taken, the bound is {most_load:.1}")
    })
}

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{file}")).unwrap_or_default()
}

fn load(loadavg: &str) -> Option<f64> {
    loadavg.split(' ').next()?.parse().ok()
}

/// The line `cpu` of proc(5): user, nice, system, idle, iowait, irq, softirq, steal; then time of guests, which is in user.
fn time(stat: &str) -> Option<Time> {
    let line = stat.lines().find(|l| l.starts_with("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).map_while(|t| t.parse().ok()).collect();
    Some(Time { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
}

fn stolen(from: Time, to: Time) -> Option<f64> {
    let (all, stolen) = (to.all.checked_sub(from.all)?, to.stolen.checked_sub(from.stolen)?);
    Some(stolen as f64 / all.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(load: f64, stolen: f64) -> MachineUse {
        MachineUse { processors: 2, load_at_begin: Some(load), load: Some(load), stolen: Some(stolen) }
    }

    #[test]
    fn what_is_not_quiet_is_told() {
        let from = time("cpu  10 0 10 70 0 0 0 10 5 0\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!(from, Time { all: 100, stolen: 10 });
        assert_eq!(stolen(from, Time { all: 200, stolen: 20 }), Some(0.1));
        assert_eq!(load("0.52 0.6 0.7 1/2 3\n"), Some(0.52));
        assert_eq!(unquiet(&seen(0.9, 0.01)), Vec::<String>::new());
        let told = unquiet(&seen(1.5, 0.1));
        assert!(told[0].ends_with("load average 1.5, 2 processors"), "{told:?}");
        assert_eq!(told[1], "10 % of the processors' time went to other machines on the same host");
    }

    #[test]
    fn beyond_a_bound_a_machine_is_not_fit() {
        assert_eq!(unfit(&seen(7.9, 0.1), 0.1, 4.0), None);
        let why = unfit(&seen(0.1, 0.14), 0.1, 4.0).unwrap();
        assert!(why.ends_with("14 % of the processors' time went to other machines, the bound is 10 %"), "{why}");
        let why = unfit(&seen(9.0, 0.0), 0.1, 4.0).unwrap();
        assert!(why.contains("a load of 4.5 for each processor"), "{why}");
        assert_eq!(unfit(&MachineUse::default(), 0.1, 4.0), None, "what cannot be read bounds nothing");
    }

    #[test]
    fn a_machine_is_watched() {
        let watch = Watch::begin();
        let seen = watch.end();
        assert!(seen.load.is_some_and(|load| load >= 0.0) && seen.processors > 0, "{seen:?}");
        assert!(seen.stolen.is_some_and(|share| (0.0..=1.0).contains(&share)), "{seen:?}");
    }
}
