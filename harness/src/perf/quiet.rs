//! Whether the machine was left alone while figures were taken.

/// What the machine was like when measuring began.
pub struct Quiet {
    load: Option<f64>,
    time: Option<Time>,
}

/// Processors' time in ticks, of all of them together since boot.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Time {
    all: u64,
    /// Wanted by this machine, and given to another one by the host of both.
    stolen: u64,
}

impl Quiet {
    /// Looks at `/proc`.
    pub fn begin() -> Quiet {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        Quiet { load: load(&read("/proc/loadavg")), time: time(&read("/proc/stat")) }
    }

    /// What was not quiet, a sentence each.
    pub fn end(self) -> Vec<String> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let now = Quiet::begin();
        let stolen = self.time.zip(now.time).and_then(|(from, to)| stolen(from, to));
        busy(self.load, processors).into_iter().chain(stolen).collect()
    }
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

fn busy(load: Option<f64>, processors: usize) -> Option<String> {
    let load = load.filter(|load| *load > processors as f64 / 2.0)?;
    Some(format!("others used the machine when it began: load average {load}, {processors} processors"))
}

fn stolen(from: Time, to: Time) -> Option<String> {
    let (all, stolen) = (to.all.checked_sub(from.all)?, to.stolen.checked_sub(from.stolen)?);
    let share = stolen as f64 / all.max(1) as f64;
    (share > 0.02)
        .then(|| format!("{:.0} % of the processors' time went to other machines on the same host", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_quiet_is_told() {
        let from = time("cpu  10 0 10 70 0 0 0 10 5 0\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!(from, Time { all: 100, stolen: 10 });
        let told = stolen(from, Time { all: 200, stolen: 20 });
        assert_eq!(told.as_deref(), Some("10 % of the processors' time went to other machines on the same host"));
        assert_eq!(stolen(from, Time { all: 200, stolen: 11 }), None);
        assert_eq!(load("0.52 0.6 0.7 1/2 3\n"), Some(0.52));
        assert_eq!(busy(Some(0.9), 2), None);
        assert!(busy(Some(1.5), 2).unwrap().ends_with("load average 1.5, 2 processors"));
    }
}
