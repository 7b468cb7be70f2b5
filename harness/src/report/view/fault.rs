use super::ms;
use crate::record::{At, FaultRecord, Millis};
use crate::report::text;
use serde::Serialize;

/// Something that was broken on purpose.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct FaultView {
    /// The name that the scenario gave it, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was broken, for people.
    pub title: String,
    /// Where.
    pub node: String,
    /// When its laying began.
    pub from_ms: f64,
    /// How long it lasted; `null` if it was never mended.
    pub ms: Option<f64>,
}

impl FaultView {
    /// In one line: `kill containerd on a, mended after 1.2 s`.
    pub fn sentence(&self) -> String {
        match self.ms {
            Some(ms) => format!("{}, mended after {}", self.title, Millis(ms)),
            None => format!("{}, never mended", self.title),
        }
    }
}

pub(super) fn of(faults: &[FaultRecord], epoch: At) -> Vec<FaultView> {
    let view = |f: &FaultRecord| FaultView {
        name: f.name.as_deref().map(text::line),
        title: text::line(&f.title),
        node: text::line(&f.node),
        from_ms: ms(epoch, f.from),
        ms: f.mended.map(|mended| ms(f.from, mended)),
    };
    faults.iter().map(view).collect()
}

/// The faults of the scenario's own that were at work in a step: what it met may be what they broke.
pub(super) fn at_work(faults: &[FaultRecord], (from, to): (At, At)) -> Vec<String> {
    let in_it = faults.iter().filter(|f| f.from <= to && f.mended.is_none_or(|mended| mended >= from));
    let told = |f: &FaultRecord| {
        let name = f.name.as_deref().map(|name| format!(" `{}`", text::line(name))).unwrap_or_default();
        let since = Millis(ms(f.from, to));
        format!(
            "the scenario's own fault{name} was at work: {}, {since} before the end of the step",
            text::line(&f.title)
        )
    };
    in_it.map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_mended_is_said() {
        let fault = |mended| FaultRecord {
            id: 1,
            name: None,
            title: "pause node a".into(),
            node: "a".into(),
            from: At(5_000_000),
            mended,
        };
        let said = |mended| of(&[fault(mended)], At(0))[0].sentence();
        assert_eq!(said(Some(At(17_000_000))), "pause node a, mended after 12 ms");
        assert_eq!(said(None), "pause node a, never mended");
    }

    #[test]
    fn only_what_was_at_work_in_the_step_is_told_of_it() {
        let (from, mended) = (At(5_000_000), Some(At(17_000_000)));
        let fault = FaultRecord {
            id: 1,
            name: Some("dead".into()),
            title: "kill containerd on b".into(),
            node: "b".into(),
            from,
            mended,
        };
        let told = |from, to| at_work(std::slice::from_ref(&fault), (At(from), At(to)));
        assert_eq!(
            told(8_000_000, 15_000_000),
            ["the scenario's own fault `dead` was at work: kill containerd on b, 10 ms before the end of the step"]
        );
        assert_eq!(told(1, 4_000_000), [""; 0], "not yet");
        assert_eq!(told(18_000_000, 19_000_000), [""; 0], "mended before");
    }
}
