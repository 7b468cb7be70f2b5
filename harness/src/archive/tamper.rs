use super::listing::{Item, Listing};
use super::{ArchiveError, Form, copy};
use crate::scenario::plan::Damage;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Makes a damaged copy of a checkpoint at `out`, where nothing may be yet; the original is not touched. On an error
/// nothing is left at `out`.
///
/// | damage | archive | folder |
/// |---|---|---|
/// | truncate | the file is cut | the largest `pages-*.img` is cut |
/// | empty | a file of no bytes | a folder without files |
/// | random | all bytes, by a generator with a fixed seed | likewise, in every file |
/// | cut entry | the entry is cut, its header says so | the file is cut |
/// | drop entry, flip bit | of the entry; the bit is in the middle of it | likewise |
/// | flip bit of no entry | in the name in the first header | likewise of `rootfs-diff.tar`, the only tar file |
/// | escaping entry | a file `../escaped` is added | a link `escaped` that leads out is added |
/// | escaping link | a link `way-out` to `/tmp` is added, and a file behind it | such a link, in `checkpoint/` |
///
/// An entry may be named with a `*`, for what differs from dump to dump; the last that fits is meant.
///
/// [`super::verify`] sees all of these but two: a bit turned where structure does not tell (memory pages), and an entry
/// dropped that no restore needs (`dump.log`). The digest sees those.
///
/// # Errors
/// The entry named is not there, the damage would change nothing, or a file cannot be read or written.
pub fn tamper(path: &Path, out: &Path, damage: &Damage) -> Result<(), ArchiveError> {
    let form = Form::of(path)?;
    let done = match form {
        Form::CriArchive | Form::PodmanArchive | Form::OciArchive => tamper_archive(path, form, out, damage),
        Form::ImageFolder => tamper_folder(path, out, damage),
    };
    // What lies at `out` is ours, unless the error is that something lay there before.
    let taken = matches!(&done, Err(ArchiveError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists);
    if done.is_err() && !taken {
        let _ = if form.is_archive() { fs::remove_file(out) } else { fs::remove_dir_all(out) };
    }
    done
}

fn tamper_archive(path: &Path, form: Form, out: &Path, damage: &Damage) -> Result<(), ArchiveError> {
    match damage {
        Damage::Truncate { keep } => {
            copy(path, out)?;
            cut(out, *keep)
        }
        Damage::CutEntry { entry, keep } => cut_entry(path, form, out, entry, *keep),
        Damage::Empty => OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(out)
            .map(drop)
            .map_err(|e| ArchiveError::io("write", out, e)),
        Damage::Random => {
            copy(path, out)?;
            scramble(out)
        }
        Damage::DropEntry { entry } => {
            let listing = Listing::read(path, form)?;
            let item = find(&listing, entry)?;
            let length = fs::metadata(path).map_err(|e| ArchiveError::io("read", path, e))?.len();
            let mut target = create(out)?;
            append(path, &mut target, out, 0, item.header)?;
            append(path, &mut target, out, item.end, length - item.end)?;
            shrink_outer(out, item, item.end - item.header)
        }
        Damage::FlipBit { entry: Some(entry) } => {
            let listing = Listing::read(path, form)?;
            let item = find(&listing, entry)?;
            copy(path, out)?;
            flip(out, item)
        }
        Damage::FlipBit { entry: None } => {
            copy(path, out)?;
            turn(out, 0)
        }
        Damage::EscapingEntry | Damage::EscapingLink => {
            let listing = Listing::read(path, form)?;
            let mut target = create(out)?;
            append(path, &mut target, out, 0, listing.end)?;
            let written = match damage {
                Damage::EscapingLink => write_way_out(&mut target),
                _ => write_escaping(&mut target),
            };
            written.map_err(|e| ArchiveError::io("write", out, e))
        }
    }
}

fn tamper_folder(path: &Path, out: &Path, damage: &Damage) -> Result<(), ArchiveError> {
    let listing = Listing::read(path, Form::ImageFolder)?;
    let write = |e| ArchiveError::io("write", out, e);
    match damage {
        Damage::Empty => fs::create_dir(out).map_err(write),
        Damage::Truncate { keep } => {
            let pages = listing.items.iter().filter(|i| i.name.starts_with("checkpoint/pages-")).max_by_key(|i| i.size);
            let pages = pages.ok_or_else(|| no_entry(path, "checkpoint/pages-*.img"))?;
            copy(path, out)?;
            cut(&out.join(&pages.name), *keep)
        }
        Damage::CutEntry { entry, keep } => {
            let item = find(&listing, entry)?;
            copy(path, out)?;
            cut(&out.join(&item.name), *keep)
        }
        Damage::Random => {
            copy(path, out)?;
            listing.items.iter().try_for_each(|item| scramble(&out.join(&item.name)))
        }
        Damage::DropEntry { entry } => {
            let item = find(&listing, entry)?;
            copy(path, out)?;
            fs::remove_file(out.join(&item.name)).map_err(write)
        }
        Damage::FlipBit { entry: Some(entry) } => {
            let item = find(&listing, entry)?;
            copy(path, out)?;
            flip(&out.join(&item.name), item)
        }
        Damage::FlipBit { entry: None } => {
            let item = find(&listing, "rootfs-diff.tar")?;
            copy(path, out)?;
            turn(&out.join(&item.name), 0)
        }
        Damage::EscapingEntry => {
            copy(path, out)?;
            std::os::unix::fs::symlink("../../escaped", out.join("escaped")).map_err(write)
        }
        Damage::EscapingLink => {
            copy(path, out)?;
            std::os::unix::fs::symlink("/tmp", out.join("checkpoint/way-out")).map_err(write)
        }
    }
}

fn no_entry(path: &Path, entry: &str) -> ArchiveError {
    ArchiveError::NoEntry { archive: path.to_owned(), entry: entry.to_owned() }
}

fn find<'a>(listing: &'a Listing, entry: &str) -> Result<&'a Item, ArchiveError> {
    let fits = |name: &str| match entry.split_once('*') {
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
        None => name == entry,
    };
    listing.items.iter().rev().find(|i| fits(&i.name)).ok_or_else(|| no_entry(&listing.path, entry))
}

fn create(out: &Path) -> Result<File, ArchiveError> {
    OpenOptions::new().write(true).create_new(true).open(out).map_err(|e| ArchiveError::io("write", out, e))
}

fn cut(file: &Path, keep: u64) -> Result<(), ArchiveError> {
    let length = fs::metadata(file).map_err(|e| ArchiveError::io("read", file, e))?.len();
    shorter(file, None, length, keep)?;
    let cut = OpenOptions::new().write(true).open(file).and_then(|f| f.set_len(keep));
    cut.map_err(|e| ArchiveError::io("write", file, e))
}

fn shorter(path: &Path, entry: Option<&str>, length: u64, keep: u64) -> Result<(), ArchiveError> {
    if keep < length {
        return Ok(());
    }
    let what = format!("it has {length} bytes: cutting it to {keep} would not damage it");
    Err(ArchiveError::invalid(path, entry, what))
}

/// Cuts an entry of a tar file, which says of it in its header that it was never longer.
fn cut_entry(path: &Path, form: Form, out: &Path, entry: &str, keep: u64) -> Result<(), ArchiveError> {
    let listing = Listing::read(path, form)?;
    let item = find(&listing, entry)?;
    shorter(path, Some(&item.name), item.size, keep)?;
    let length = fs::metadata(path).map_err(|e| ArchiveError::io("read", path, e))?.len();
    let mut header = tar::Header::new_old();
    let read = File::open(path).and_then(|f| f.read_exact_at(header.as_mut_bytes(), item.data - 512));
    read.map_err(|e| ArchiveError::io("read", path, e))?;
    header.set_size(keep);
    header.set_cksum();
    let mut target = create(out)?;
    // Extension headers, if it has any, stay before its own.
    append(path, &mut target, out, 0, item.data - 512)?;
    target.write_all(header.as_bytes()).map_err(|e| ArchiveError::io("write", out, e))?;
    append(path, &mut target, out, item.data, keep)?;
    let padding = keep.next_multiple_of(512) - keep;
    target.write_all(&[0; 512][..padding as usize]).map_err(|e| ArchiveError::io("write", out, e))?;
    append(path, &mut target, out, item.end, length - item.end)?;
    shrink_outer(out, item, item.end - item.data - keep - padding)
}

/// What an entry lost is lost to the one that it is within, whose header must say so: the outer archive stays whole.
fn shrink_outer(out: &Path, item: &Item, by: u64) -> Result<(), ArchiveError> {
    let Some(at) = item.outer_header() else { return Ok(()) };
    let mut header = tar::Header::new_old();
    let shrunk = OpenOptions::new().read(true).write(true).open(out).and_then(|file| {
        file.read_exact_at(header.as_mut_bytes(), at)?;
        header.set_size(header.entry_size()? - by);
        header.set_cksum();
        file.write_all_at(header.as_bytes(), at)
    });
    shrunk.map_err(|e| ArchiveError::io("write", out, e))
}

/// The same bytes in every run, so that what an engine says of them can be compared.
fn scramble(path: &Path) -> Result<(), ArchiveError> {
    let write = |e| ArchiveError::io("write", path, e);
    let file = OpenOptions::new().write(true).open(path).map_err(write)?;
    let mut left = file.metadata().map_err(write)?.len();
    let mut state = 0x706f_6466_6572_7279_u64;
    let mut target = io::BufWriter::with_capacity(1 << 20, file);
    while left > 0 {
        let word = splitmix64(&mut state).to_le_bytes();
        let n = usize::try_from(left.min(8)).unwrap_or(8);
        target.write_all(&word[..n]).map_err(write)?;
        left -= n as u64;
    }
    target.flush().map_err(write)
}

/// Sebastiano Vigna's SplitMix64 generator.
fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn flip(file: &Path, item: &Item) -> Result<(), ArchiveError> {
    if item.size == 0 {
        return Err(ArchiveError::invalid(file, Some(&item.name), "it has no bytes: there is no bit to turn"));
    }
    turn(file, item.data + item.size / 2)
}

fn turn(file: &Path, at: u64) -> Result<(), ArchiveError> {
    let mut byte = [0];
    let turned = OpenOptions::new().read(true).write(true).open(file).and_then(|f| {
        f.read_exact_at(&mut byte, at)?;
        f.write_all_at(&[byte[0] ^ 1], at)
    });
    turned.map_err(|e| ArchiveError::io("write", file, e))
}

fn append(path: &Path, target: &mut File, out: &Path, start: u64, length: u64) -> Result<(), ArchiveError> {
    use std::io::{Read, Seek};
    let mut source = File::open(path).map_err(|e| ArchiveError::io("read", path, e))?;
    source.seek(io::SeekFrom::Start(start)).map_err(|e| ArchiveError::io("read", path, e))?;
    io::copy(&mut source.take(length), target).map(drop).map_err(|e| ArchiveError::io("write", out, e))
}

/// A link that leads out, and a file that would be written through it. `/tmp` is there on every node.
fn write_way_out(target: &mut File) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_path("way-out")?;
    header.set_link_name("/tmp")?;
    header.set_mode(0o777);
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_cksum();
    target.write_all(header.as_bytes())?;
    write_file(target, b"way-out/escaped")
}

fn write_escaping(target: &mut File) -> io::Result<()> {
    // The setter refuses such a name, as it should.
    write_file(target, b"../escaped")
}

/// The last file of an archive, with the blocks that end it.
fn write_file(target: &mut File, name: &[u8]) -> io::Result<()> {
    let content = b"this must not be unpacked\n";
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    target.write_all(header.as_bytes())?;
    target.write_all(content)?;
    target.write_all(&vec![0; 512 - content.len() + 1024])
}
