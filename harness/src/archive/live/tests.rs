use super::{Capture, Sent, extract};
use crate::archive::ArchiveError;
use crate::record::ErrorClass;
use prost::Message;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A dump as CRIU streams it.
struct Dump(UnixStream);

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, required, tag = "1")]
    filename: String,
}

impl Dump {
    fn begin(folder: &Path) -> Dump {
        Dump(UnixStream::connect(folder.join("streamer-capture.sock")).unwrap())
    }

    fn image(&mut self, name: &str) -> io::PipeWriter {
        let message = Entry { filename: name.into() }.encode_to_vec();
        self.0.write_all(&u32::try_from(message.len()).unwrap().to_ne_bytes()).unwrap();
        self.0.write_all(&message).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let files = [reader.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        assert!(beside.push(SendAncillaryMessage::ScmRights(&files)));
        sendmsg(&self.0, &[IoSlice::new(&[0])], &mut beside, SendFlags::empty()).unwrap();
        writer
    }
}

struct Bed {
    dir: tempfile::TempDir,
    /// Closed when CRIU has ended.
    running: io::PipeWriter,
    last: mpsc::Sender<Vec<(String, Vec<u8>)>>,
    sending: thread::JoinHandle<Result<Sent, ArchiveError>>,
    arriving: thread::JoinHandle<Result<Sent, ArchiveError>>,
}

/// The bytes go through `way` on their way.
fn bed(way: impl FnOnce(TcpStream, TcpStream) + Send + 'static) -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let capture = Capture::listen(dir.path()).unwrap();
    let (near, far) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let out = TcpStream::connect(near.local_addr().unwrap()).unwrap();
    let between = TcpStream::connect(far.local_addr().unwrap()).unwrap();
    let (near, mut inward) = (near.accept().unwrap().0, far.accept().unwrap().0);
    for end in [&out, &inward] {
        end.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        end.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    }
    thread::spawn(move || way(near, between));
    let (ended, running) = io::pipe().unwrap();
    let (last, rest) = mpsc::channel();
    let (reader, mut writer) = io::pipe().unwrap();
    thread::spawn(move || writer.write_all(b"changes").unwrap());
    let sending = thread::spawn(move || capture.send(&out, vec![("rootfs-diff.tar".into(), reader)], &ended, &rest));
    let to: PathBuf = dir.path().join("arrived");
    let arriving = thread::spawn(move || extract(&mut inward, &to));
    Bed { dir, running, last, sending, arriving }
}

/// There and back, as they come.
fn plain(near: TcpStream, between: TcpStream) {
    let (mut back_from, mut back_to) = (between.try_clone().unwrap(), near.try_clone().unwrap());
    thread::spawn(move || io::copy(&mut back_from, &mut back_to));
    let (mut near, mut between) = (near, between);
    let _ = io::copy(&mut near, &mut between);
    let _ = between.shutdown(std::net::Shutdown::Write);
}

#[test]
fn images_arrive_while_they_are_written() {
    let bed = bed(plain);
    let mut dump = Dump::begin(bed.dir.path());
    let mut pages = dump.image("pages-1.img");
    let mut core = dump.image("core-1.img");
    let memory: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    core.write_all(b"core").unwrap();
    pages.write_all(&memory).unwrap();
    let arrived = bed.dir.path().join("arrived/checkpoint/pages-1.img");
    // All of it is there, and the image is still open.
    let from = std::time::Instant::now();
    while fs::metadata(&arrived).map_or(0, |m| m.len()) < memory.len() as u64 {
        assert!(from.elapsed() < Duration::from_secs(10), "the image does not grow");
        thread::sleep(Duration::from_millis(1));
    }
    drop((core, pages, dump, bed.running));
    bed.last.send(vec![("meta.json".into(), b"{}".to_vec())]).unwrap();
    let (sent, came) = (bed.sending.join().unwrap().unwrap(), bed.arriving.join().unwrap().unwrap());
    assert_eq!(sent, came);
    assert_eq!(fs::read(arrived).unwrap(), memory);
    let read = |name: &str| fs::read(bed.dir.path().join("arrived").join(name)).unwrap();
    assert_eq!(read("checkpoint/core-1.img"), b"core");
    assert_eq!((read("meta.json"), read("rootfs-diff.tar")), (b"{}".to_vec(), b"changes".to_vec()));
}

#[test]
fn a_bit_that_turns_on_the_way_is_seen() {
    let bed = bed(|mut near, between| {
        let (mut back_from, mut back_to) = (between.try_clone().unwrap(), near.try_clone().unwrap());
        thread::spawn(move || io::copy(&mut back_from, &mut back_to));
        let (mut between, mut bytes) = (between, vec![0; 1 << 16]);
        while let Ok(got @ 1..) = near.read(&mut bytes) {
            if let Some(at) = bytes[..got].windows(6).position(|w| w == b"memory") {
                bytes[at] ^= 1;
            }
            if between.write_all(&bytes[..got]).is_err() {
                return;
            }
        }
        let _ = between.shutdown(std::net::Shutdown::Write);
    });
    let mut dump = Dump::begin(bed.dir.path());
    dump.image("pages-1.img").write_all(b"memory").unwrap();
    drop((dump, bed.running));
    bed.last.send(Vec::new()).unwrap();
    assert!(bed.sending.join().unwrap().is_err());
    let error = bed.arriving.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("not what was sent"), "{error}");
    assert!(!bed.dir.path().join("arrived").exists());
}

#[test]
fn a_dump_that_fails_leaves_nothing() {
    for begun in [false, true] {
        let bed = bed(plain);
        if begun {
            let mut dump = Dump::begin(bed.dir.path());
            dump.image("pages-1.img").write_all(b"half").unwrap();
        }
        drop((bed.running, bed.last));
        let error = bed.sending.join().unwrap().unwrap_err();
        assert!(error.to_string().contains("CRIU did not write it to its end"), "{error}");
        let error = bed.arriving.join().unwrap().unwrap_err();
        assert_eq!(error.class(), ErrorClass::LinkBroken, "{error}");
        assert!(!bed.dir.path().join("arrived").exists());
    }
}

/// What is under way is bounded: a target that takes nothing stops the dump, and is given up.
#[test]
fn a_target_that_takes_nothing_holds_the_dump_back() {
    let bed = bed(|near, between| {
        thread::sleep(Duration::from_secs(6));
        drop((near, between));
    });
    let mut dump = Dump::begin(bed.dir.path());
    let mut pages = dump.image("pages-1.img");
    let mut written = 0;
    while pages.write_all(&[7; 64 << 10]).is_ok() {
        written += 64 << 10;
        assert!(written < 64 << 20, "it takes {written} bytes that nobody reads");
    }
    let error = bed.sending.join().unwrap().unwrap_err();
    assert_eq!(error.class(), ErrorClass::LinkBroken, "{error}");
}
