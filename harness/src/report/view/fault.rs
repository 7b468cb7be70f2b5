use super::ms;
use crate::record::{At, FaultRecord, Millis};
use crate::report::text;
use serde::Serialize;

/// Something that was broken on purpose.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct FaultView {
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
        title: text::line(&f.title),
        node: text::line(&f.node),
        from_ms: ms(epoch, f.from),
        ms: f.mended.map(|mended| ms(f.from, mended)),
    };
    faults.iter().map(view).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_mended_is_said() {
        let fault =
            |mended| FaultRecord { id: 1, title: "pause node a".into(), node: "a".into(), from: At(5_000_000), mended };
        let said = |mended| of(&[fault(mended)], At(0))[0].sentence();
        assert_eq!(said(Some(At(17_000_000))), "pause node a, mended after 12 ms");
        assert_eq!(said(None), "pause node a, never mended");
    }
}
