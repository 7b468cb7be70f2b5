//! Messages on a stream: a length, a tag, and so many bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// The first of a stream: what it is for.
    Call,
    /// Whether that is to be had.
    Answer,
    /// Bytes: of a connection, of a file system's request, of a program's input or output.
    Data,
    /// Bytes of a program's standard error.
    Error,
    /// No more bytes come from this side.
    End,
    /// What becomes of a program.
    Reply,
    /// A signal for a program.
    Signal,
}

const TAGS: [Tag; 7] = [Tag::Call, Tag::Answer, Tag::Data, Tag::Error, Tag::End, Tag::Reply, Tag::Signal];
/// The kernel's largest request of a file system has a mebibyte of data, and a header.
const LONGEST: usize = (1 << 20) + (64 << 10);
const HEAD: usize = 5;

/// What is read at once of a connection or a pipe.
pub(super) const CHUNK: usize = 64 << 10;

pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), tag: Tag, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(HEAD + bytes.len());
    message.extend_from_slice(&length.to_le_bytes());
    message.push(tag as u8);
    message.extend_from_slice(bytes);
    to.write_all(&message).await?;
    to.flush().await
}

pub(super) async fn write_json(to: &mut (impl AsyncWrite + Unpin), tag: Tag, value: &impl Serialize) -> io::Result<()> {
    write(to, tag, &serde_json::to_vec(value)?).await
}

/// The next message; `None`: the stream has ended.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(Tag, Vec<u8>)>> {
    let mut head = [0; HEAD];
    match from.read_exact(&mut head).await {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => drop(read?),
    }
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let odd = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("a message {what}"));
    if length > LONGEST {
        return Err(odd("is too long"));
    }
    let tag = TAGS.get(usize::from(head[4])).copied().ok_or_else(|| odd("is of no known kind"))?;
    let mut bytes = vec![0; length];
    match from.read_exact(&mut bytes).await {
        // Cut off: the other side has gone.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        read => read.map(|_| Some((tag, bytes))),
    }
}

/// The next message, which must be of this kind.
pub(super) async fn expect<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin), tag: Tag) -> io::Result<T> {
    match read(from).await? {
        Some((is, bytes)) if is == tag => Ok(serde_json::from_slice(&bytes)?),
        Some((is, _)) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{is:?} came in place of {tag:?}"))),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        for (n, tag) in TAGS.into_iter().enumerate() {
            write(&mut bytes, tag, &vec![7; n]).await.unwrap();
        }
        let mut from = bytes.as_slice();
        for (n, tag) in TAGS.into_iter().enumerate() {
            assert_eq!(read(&mut from).await.unwrap(), Some((tag, vec![7; n])));
        }
        assert_eq!(read(&mut from).await.unwrap(), None);
        assert_eq!(read(&mut &bytes[..3]).await.unwrap(), None, "cut in the head");
        assert_eq!(read(&mut &[9, 0, 0, 0, 2, 1][..]).await.unwrap(), None, "cut in the bytes");
        assert!(read(&mut &[0, 0, 0, 0, 99][..]).await.is_err(), "a tag that there is not");
        assert!(read(&mut &[255, 255, 255, 255, 2][..]).await.is_err(), "longer than any message");
    }
}
