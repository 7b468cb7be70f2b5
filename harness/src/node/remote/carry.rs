//! A connection at one end of a line, made of a connection at the other.

use super::frame::{self, CHUNK, Tag};
use super::line::Stream;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Carries bytes both ways until both directions have ended, each as it ended at the other side: a connection that is reset
/// there is reset here.
pub(super) async fn carry<S>(socket: S, stream: Stream)
where
    S: AsyncRead + AsyncWrite + AsFd + Unpin,
{
    let (mut from_stream, mut to_stream) = tokio::io::split(stream);
    let (mut from_socket, mut to_socket) = tokio::io::split(socket);
    let done = {
        let outwards = async {
            let mut bytes = vec![0; CHUNK];
            loop {
                match from_socket.read(&mut bytes).await? {
                    0 => return frame::write(&mut to_stream, Tag::End, &[]).await,
                    n => frame::write(&mut to_stream, Tag::Data, &bytes[..n]).await?,
                }
            }
        };
        let inwards = async {
            loop {
                match frame::read(&mut from_stream).await? {
                    Some((Tag::Data, bytes)) => to_socket.write_all(&bytes).await?,
                    Some((Tag::End, _)) => {
                        // Its other direction may have ended first.
                        let _ = to_socket.shutdown().await;
                        return Ok(());
                    }
                    _ => return Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                }
            }
        };
        tokio::try_join!(outwards, inwards)
    };
    if done.is_err() {
        // A socket that lingers for no time is reset when it is closed. One of the file system has no such thing.
        let _ = rustix::net::sockopt::set_socket_linger(from_socket.unsplit(to_socket), Some(Duration::ZERO));
    }
    // A stream that ends without an `End` says the same to the other side.
}
