//! What CRIU says to an image streamer (`criu/img-streamer.c`, criu 4.2.1): a length (u32, the machine's byte order), as
//! much of a protobuf message that names an image, and a byte that a pipe comes with.

use prost::Message;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::{self, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// CRIU's names of images are a few letters and numbers.
const LONGEST: u32 = 4096;

/// `img_streamer_request_entry`.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, required, tag = "1")]
    filename: String,
}

/// The name in a message.
fn named(message: &[u8]) -> io::Result<String> {
    let entry = Entry::decode(message).map_err(|e| invalid(format!("a request of CRIU's cannot be decoded: {e}")))?;
    let plain = |name: &str| !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    if plain(&entry.filename) {
        Ok(entry.filename)
    } else {
        Err(invalid(format!("CRIU names an image `{}`", entry.filename)))
    }
}

/// The next image with the pipe that its bytes come through; `None`: there will be no more.
pub(super) fn next(from: &mut UnixStream) -> io::Result<Option<(String, OwnedFd)>> {
    let mut length = [0; 4];
    match from.read(&mut length)? {
        0 => return Ok(None),
        got => from.read_exact(&mut length[got..])?,
    }
    let length = u32::from_ne_bytes(length);
    if length > LONGEST {
        return Err(invalid(format!("a request of CRIU's has {length} bytes")));
    }
    let mut message = vec![0; length as usize];
    from.read_exact(&mut message)?;
    let name = named(&message)?;
    pipe(from)?
        .map(|pipe| Some((name, pipe)))
        .ok_or_else(|| invalid("an image of CRIU's comes without a pipe".to_owned()))
}

fn pipe(from: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    let mut found = None;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(files) = message {
            found = files.last().or(found);
        }
    }
    Ok(found)
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plain_name_comes_through(name in "[a-z0-9.-]{1,40}") {
            prop_assume!(name != "." && name != "..");
            prop_assert_eq!(named(&Entry { filename: name.clone() }.encode_to_vec()).unwrap(), name);
        }

        #[test]
        fn a_name_that_leads_elsewhere_is_refused(before in ".{0,8}", after in ".{0,8}") {
            let message = Entry { filename: format!("{before}/{after}") }.encode_to_vec();
            prop_assert!(named(&message).is_err());
        }

        #[test]
        fn any_bytes_are_a_name_or_an_error(bytes: Vec<u8>) {
            let _ = named(&bytes);
        }
    }

    #[test]
    fn a_name_is_needed() {
        for name in ["", ".", "..", "a\0b"] {
            assert!(named(&Entry { filename: name.into() }.encode_to_vec()).is_err(), "{name:?}");
        }
        assert!(named(&[]).is_err());
    }
}
