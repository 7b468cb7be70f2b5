//! What each containerd can do, as a pure function of its version: read from its sources at the release tags.

/// What one version can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Support {
    /// Major, minor and patch number.
    pub(in crate::engine) number: (u32, u32, u32),
    /// `CheckpointContainer`; `Err` says why not.
    pub(in crate::engine) checkpoint: Result<(), String>,
    /// Restore through `CreateContainer`, from an archive or a checkpoint image; likewise.
    pub(in crate::engine) restore: Result<(), String>,
    /// Whether restore is there but off unless the configuration switches it on.
    pub(in crate::engine) switched: bool,
}

impl Support {
    /// Which layout its configuration file has: 2 up to containerd 1.7, 3 from 2.0 on.
    pub(in crate::engine) fn config_version(&self) -> u32 {
        if self.number.0 < 2 { 2 } else { 3 }
    }
}

/// Finds the version in what `containerd --version` prints (`containerd github.com/containerd/containerd/v2 2.1.9~ds1
/// 5fb4..`) and says what it can do. `None`: there is no version in it.
pub(in crate::engine) fn support(printed: &str) -> Option<Support> {
    let number = printed.split_whitespace().find_map(parse)?;
    let (checkpoint, restore, switched) = match number {
        (0 | 1, ..) => (
            Err("containerd 1.x does not implement CheckpointContainer".to_owned()),
            Err("containerd 1.x does not restore: 2.1 is the first that does".to_owned()),
            false,
        ),
        (2, 0, _) => (Ok(()), Err("containerd 2.0 takes checkpoints but restores none: 2.1 does".to_owned()), false),
        (2, 1, _) | (2, 2, ..=6) | (2, 3, ..=3) => (Ok(()), Ok(()), false),
        (2, 2 | 3, _) => (Ok(()), Ok(()), true),
        _ => (Ok(()), Err("containerd 2.4 removed the restore through CreateContainer".to_owned()), false),
    };
    Some(Support { number, checkpoint, restore, switched })
}

/// Whether a containerd of this version (`2.1.9~ds1-1`) restores by CRI, or why not. One whose version says nothing is not
/// judged.
///
/// # Errors
/// Why it does not.
pub fn restores(version: &str) -> Result<(), String> {
    support(version).map_or(Ok(()), |support| support.restore)
}

/// `v2.1.9+unknown`, `2.1.9~ds1-1`, `2.4.0-beta.0`: the three numbers; a pre-release counts as what it leads to.
fn parse(word: &str) -> Option<(u32, u32, u32)> {
    let mut parts = word.strip_prefix('v').unwrap_or(word).splitn(3, '.');
    let (major, minor, rest) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    let patch = rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((major, minor, patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("containerd containerd.io 1.7.34 abc", (1, 7, 34), false, false, false)]
    #[case("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+b1", (1, 6, 20), false, false, false)]
    #[case("containerd github.com/containerd/containerd/v2 v2.0.5 fb4c", (2, 0, 5), true, false, false)]
    #[case("containerd github.com/containerd/containerd/v2 2.1.0 fb4c", (2, 1, 0), true, true, false)]
    #[case("containerd github.com/containerd/containerd/v2 2.1.9+unknown ", (2, 1, 9), true, true, false)]
    #[case("2.2.0-rc.1", (2, 2, 0), true, true, false)]
    #[case("2.2.6", (2, 2, 6), true, true, false)]
    #[case("2.2.7", (2, 2, 7), true, true, true)]
    #[case("v2.3.0", (2, 3, 0), true, true, false)]
    #[case("2.3.3", (2, 3, 3), true, true, false)]
    #[case("2.3.4", (2, 3, 4), true, true, true)]
    #[case("2.3.10", (2, 3, 10), true, true, true)]
    #[case("2.4.0-beta.0", (2, 4, 0), true, false, false)]
    #[case("3.0.0", (3, 0, 0), true, false, false)]
    fn table(
        #[case] printed: &str,
        #[case] number: (u32, u32, u32),
        #[case] checkpoint: bool,
        #[case] restore: bool,
        #[case] switched: bool,
    ) {
        let s = support(printed).expect("a version");
        assert_eq!(
            (s.number, s.checkpoint.is_ok(), s.restore.is_ok(), s.switched),
            (number, checkpoint, restore, switched)
        );
        assert_eq!(s.config_version(), if number.0 == 1 { 2 } else { 3 });
    }

    #[rstest]
    #[case("")]
    #[case("containerd")]
    #[case("containerd v2 unknown")]
    #[case("2.1")]
    fn no_version(#[case] printed: &str) {
        assert_eq!(support(printed), None);
    }

    proptest! {
        #[test]
        fn never_restores_what_cannot_checkpoint(major in 0u32..4, minor in 0u32..12, patch in 0u32..40) {
            let s = support(&format!("v{major}.{minor}.{patch}-x")).unwrap();
            prop_assert_eq!(s.number, (major, minor, patch));
            prop_assert!(s.checkpoint.is_ok() || s.restore.is_err());
            prop_assert!(!s.switched || s.restore.is_ok());
        }

        #[test]
        fn any_text_is_survived(text in "\\PC*") {
            support(&text);
        }
    }
}
