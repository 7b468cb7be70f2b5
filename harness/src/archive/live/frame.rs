//! How the files of a checkpoint go over one connection at once. Pure.
//!
//! A frame is a kind (u8), a file's number (u32) and a length (u32), in the network's byte order, and so many bytes.

use std::path::{Component, Path, PathBuf};

/// The length of a frame's head.
pub(super) const HEAD: usize = 9;
/// No frame has more bytes.
pub(super) const MOST: usize = 1 << 20;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file begins; its name.
    Open,
    /// More of it.
    Data,
    /// Its end.
    Close,
    /// Nothing: the sender is there and has nothing to send yet.
    Still,
    /// The end of all; the digest of everything before.
    End,
}

const KINDS: [Kind; 5] = [Kind::Open, Kind::Data, Kind::Close, Kind::Still, Kind::End];

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) file: u32,
    pub(super) length: u32,
}

impl Head {
    pub(super) fn bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[0] =
            KINDS.iter().position(|kind| *kind == self.kind).map_or(u8::MAX, |at| u8::try_from(at).unwrap_or(u8::MAX));
        bytes[1..5].copy_from_slice(&self.file.to_be_bytes());
        bytes[5..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    /// `None`: no sender of ours wrote that.
    pub(super) fn of(bytes: [u8; HEAD]) -> Option<Head> {
        let [kind, a, b, c, d, e, f, g, h] = bytes;
        let head = Head {
            kind: *KINDS.get(usize::from(kind))?,
            file: u32::from_be_bytes([a, b, c, d]),
            length: u32::from_be_bytes([e, f, g, h]),
        };
        (head.length as usize <= MOST).then_some(head)
    }
}

/// The path of a file below a checkpoint, by the name that came: names alone, and not too deep.
pub(super) fn path(name: &[u8]) -> Option<PathBuf> {
    let name = Path::new(std::str::from_utf8(name).ok()?);
    let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    let depth = name.components().count();
    (plain && (1..=2).contains(&depth) && !name.as_os_str().as_encoded_bytes().contains(&0)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_head_comes_back(kind in 0..KINDS.len(), file: u32, length in 0..=u32::try_from(MOST).unwrap()) {
            let head = Head { kind: KINDS[kind], file, length };
            prop_assert_eq!(Head::of(head.bytes()), Some(head));
        }

        #[test]
        fn what_is_no_head_is_none(mut bytes: [u8; HEAD], kind in u8::try_from(KINDS.len()).unwrap()..) {
            bytes[0] = kind;
            prop_assert_eq!(Head::of(bytes), None);
            bytes[0] = 1;
            bytes[5..].copy_from_slice(&(u32::try_from(MOST).unwrap() + 1).to_be_bytes());
            prop_assert_eq!(Head::of(bytes), None);
        }

        #[test]
        fn no_name_leads_out(name: Vec<u8>) {
            if let Some(path) = path(&name) {
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }

    #[test]
    fn names_are_below_the_checkpoint() {
        for good in ["meta.json", "checkpoint/pages-1.img"] {
            assert_eq!(path(good.as_bytes()), Some(PathBuf::from(good)));
        }
        for bad in ["", "/etc/passwd", "../x", "checkpoint/../../x", "./x", "a/b/c", "a\0b"] {
            assert_eq!(path(bad.as_bytes()), None, "{bad}");
        }
    }
}
