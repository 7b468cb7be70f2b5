//! As much of CRIU's image format as it takes to see that an image set is whole. Read off criu 4.2.1's images; the
//! fields that are declared here have been there since criu 2.0, `nr_pages` as a 64-bit field since 4.0.
//!
//! An image begins with two magic numbers (the inventory with one more of its own kind), then come entries: a length
//! (u32) and a protobuf message.

use prost::Message;

/// Head of all images but the inventory (version 1.1 of the format).
const COMMON: u32 = 0x5456_4319;
/// Head of the service files (`stats-dump`).
const SERVICE: u32 = 0x5510_5940;
const PAGEMAP: u32 = 0x5608_4025;
const PSTREE: u32 = 0x5027_3030;
const STATS: u32 = 0x5709_3306;
const INVENTORY: u32 = 0x5831_3116;
const CORE: u32 = 0x5505_3847;
const MM: u32 = 0x5749_2820;
const FILES: u32 = 0x5630_3138;
const FDINFO: u32 = 0x5621_3732;
const FS: u32 = 0x5140_3912;
const IDS: u32 = 0x5443_2030;

/// No image that is read whole here is larger: a pagemap entry of some 16 bytes stands for at least one page.
pub(super) const LARGEST_IMAGE: u64 = 1 << 30;

/// The page's bytes are in the pages image.
const PE_PRESENT: u32 = 1 << 2;

#[derive(Clone, PartialEq, Message)]
pub(super) struct PagemapHead {
    #[prost(uint32, required, tag = "1")]
    pub(super) pages_id: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PagemapEntry {
    #[prost(uint64, required, tag = "1")]
    pub(super) vaddr: u64,
    /// 0 when `nr_pages` is there.
    #[prost(uint32, required, tag = "2")]
    pub(super) compat_nr_pages: u32,
    #[prost(bool, optional, tag = "3")]
    pub(super) in_parent: Option<bool>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) flags: Option<u32>,
    #[prost(uint64, optional, tag = "5")]
    pub(super) nr_pages: Option<u64>,
}

impl PagemapEntry {
    /// How many pages of it are in the pages image. `PE_LAZY` beside `PE_PRESENT` says only that they may be fetched
    /// late; lazy alone, or in the parent image, says that they are not here.
    fn present(&self) -> u64 {
        let here = match self.flags {
            Some(flags) => flags & PE_PRESENT != 0,
            None => !self.in_parent.unwrap_or(false),
        };
        if here { self.nr_pages.unwrap_or(u64::from(self.compat_nr_pages)) } else { 0 }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PstreeEntry {
    #[prost(uint32, required, tag = "1")]
    pub(super) pid: u32,
    #[prost(uint32, repeated, packed = "false", tag = "5")]
    pub(super) threads: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct StatsEntry {
    #[prost(message, optional, tag = "1")]
    dump: Option<RawDumpStats>,
}

#[derive(Clone, PartialEq, Message)]
struct RawDumpStats {
    #[prost(uint32, required, tag = "1")]
    freezing_time: u32,
    #[prost(uint32, required, tag = "2")]
    frozen_time: u32,
    #[prost(uint32, required, tag = "3")]
    memdump_time: u32,
    #[prost(uint32, required, tag = "4")]
    memwrite_time: u32,
    #[prost(uint64, required, tag = "5")]
    pages_scanned: u64,
    #[prost(uint64, required, tag = "7")]
    pages_written: u64,
}

/// CRIU's own figures on a dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpStats {
    /// How long it took to freeze the tasks, in microseconds.
    pub freezing_us: u32,
    /// How long they stood still, in microseconds. A container that was frozen before stood still longer.
    pub frozen_us: u32,
    /// Of that, draining the memory into pipes, in microseconds.
    pub memdump_us: u32,
    /// Writing it to the images, in microseconds.
    pub memwrite_us: u32,
    /// Pages looked at.
    pub pages_scanned: u64,
    /// Pages written.
    pub pages_written: u64,
}

/// The entries of an image of a kind that has nothing but entries.
fn entries<'a>(bytes: &'a [u8], heads: &[u32]) -> Result<Vec<&'a [u8]>, String> {
    let mut rest = bytes;
    for head in heads {
        let found = take_u32(&mut rest).ok_or("it is cut within its head")?;
        if found != *head {
            return Err(format!("it is no such image: its head says {found:#010x}, {head:#010x} is wanted"));
        }
    }
    let mut found = Vec::new();
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let length = take_u32(&mut rest).ok_or_else(|| format!("it is cut at byte {at}"))? as usize;
        if length > rest.len() {
            return Err(format!("it is cut: its entry at byte {at} has {} of {length} bytes", rest.len()));
        }
        let (entry, after) = rest.split_at(length);
        found.push(entry);
        rest = after;
    }
    Ok(found)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (head, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_le_bytes(*head))
}

fn decode<M: Message + Default>(entry: &[u8]) -> Result<M, String> {
    M::decode(entry).map_err(|e| format!("an entry cannot be decoded: {e}"))
}

/// What a `pagemap-*.img` says: the id of its pages image, and how many pages of it are there.
pub(super) fn pagemap(bytes: &[u8]) -> Result<(u32, u64), String> {
    let all = entries(bytes, &[COMMON, PAGEMAP])?;
    let (head, rest) = all.split_first().ok_or("it has no head entry")?;
    let head: PagemapHead = decode(head)?;
    let mut pages = 0_u64;
    for entry in rest {
        let entry: PagemapEntry = decode(entry)?;
        pages = pages.checked_add(entry.present()).ok_or("its page counts overflow")?;
    }
    Ok((head.pages_id, pages))
}

/// The processes that `pstree.img` lists.
pub(super) fn pstree(bytes: &[u8]) -> Result<Vec<PstreeEntry>, String> {
    entries(bytes, &[COMMON, PSTREE])?.into_iter().map(decode).collect()
}

/// Checks the framing of an image whose kind consists of entries alone, by its file name. Kinds that carry raw bytes
/// between or after their entries (pipes, sockets, ghost files, tar files of a tmpfs) are left to the digest.
pub(super) fn check_framing(name: &str, bytes: &[u8]) -> Result<(), String> {
    let stem = name.strip_suffix(".img").unwrap_or(name);
    let kind = stem.split_once('-').map_or(stem, |(kind, _)| kind);
    let (heads, least): (&[u32], usize) = match kind {
        "inventory" => (&[INVENTORY], 1),
        "pstree" => (&[COMMON, PSTREE], 1),
        "core" => (&[COMMON, CORE], 1),
        "mm" => (&[COMMON, MM], 1),
        "files" => (&[COMMON, FILES], 0),
        "fdinfo" => (&[COMMON, FDINFO], 0),
        "fs" => (&[COMMON, FS], 1),
        "ids" => (&[COMMON, IDS], 1),
        _ => return Ok(()),
    };
    let found = entries(bytes, heads)?.len();
    if found < least { Err("it has no entry".into()) } else { Ok(()) }
}

/// Whether [`check_framing`] knows this kind.
pub(super) fn has_framing(name: &str) -> bool {
    let kind = name.split(['-', '.']).next().unwrap_or_default();
    ["inventory", "pstree", "core", "mm", "files", "fdinfo", "fs", "ids"].contains(&kind)
}

pub(super) fn dump_stats(bytes: &[u8]) -> Result<DumpStats, String> {
    let all = entries(bytes, &[SERVICE, STATS])?;
    let entry: StatsEntry = decode(all.first().ok_or("it has no entry")?)?;
    let raw = entry.dump.ok_or("it holds no figures of a dump")?;
    Ok(DumpStats {
        freezing_us: raw.freezing_time,
        frozen_us: raw.frozen_time,
        memdump_us: raw.memdump_time,
        memwrite_us: raw.memwrite_time,
        pages_scanned: raw.pages_scanned,
        pages_written: raw.pages_written,
    })
}
