//! A program in a pod, by `pods/exec` over a WebSocket, and its streams. `kube`'s own (5.0) sends its input in pieces of 4 KiB,
//! and reads nothing while it sends.

use super::failure;
use crate::record::Failure;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use kube::api::AttachParams;
use kube::core::Request as Of;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, SimplexStream, WriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::Message;

/// The first byte of each message, by the API server's protocol of channels.
const INPUT: u8 = 0;
const OUTPUT: u8 = 1;
const ERROR: u8 = 2;
const STATUS: u8 = 3;
const CLOSE: u8 = 255;

/// What goes and comes before the one side waits for the other.
const BUFFER: usize = 1 << 20;
const PIECE: usize = 64 << 10;
/// Proxies on the way end what is silent.
const PING: Duration = Duration::from_secs(30);
/// More than an agent ever says on standard error.
const MOST: usize = 64 << 10;

/// The streams of a program.
pub(super) struct Streams {
    from: ReadHalf<SimplexStream>,
    to: WriteHalf<SimplexStream>,
    /// The connection goes when this is dropped.
    _end: oneshot::Sender<()>,
}

/// What it said on standard error.
#[derive(Clone, Default)]
pub(super) struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    pub(super) fn lines(&self) -> Vec<String> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).lines().map(str::to_owned).collect()
    }
}

/// Starts it. To be called where its streams are to be carried. The handle ends with the program.
pub(super) async fn exec(
    client: &kube::Client,
    namespace: &str,
    pod: &str,
    command: &[&str],
) -> Result<(Streams, Said, JoinHandle<()>), Failure> {
    let cannot = format!("can't start a program in pod {pod}");
    let how = AttachParams { stdin: true, ..AttachParams::default() };
    let of = Of::new(format!("/api/v1/namespaces/{namespace}/pods"));
    let request: Request<Vec<u8>> = of.exec(pod, command.iter().copied(), &how).map_err(|e| failure(&cannot, &e))?;
    let connection = client.connect(request).await.map_err(|e| failure(&cannot, &e))?;
    let closes = connection.supports_stream_close();
    let (mut send, mut receive) = connection.into_stream().split();
    let (mut input, to) = tokio::io::simplex(BUFFER);
    let (from, mut output) = tokio::io::simplex(BUFFER);
    let (end, ended) = oneshot::channel::<()>();
    let said = Said::default();
    let hears = said.clone();
    let hear = async move {
        while let Some(Ok(message)) = receive.next().await {
            let Message::Binary(bytes) = message else { continue };
            let Some((channel, bytes)) = bytes.split_first() else { continue };
            match *channel {
                OUTPUT if output.write_all(bytes).await.is_err() => break,
                OUTPUT => {}
                ERROR => {
                    let mut said = hears.0.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = MOST.saturating_sub(said.len());
                    said.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                STATUS => break,
                _ => {}
            }
        }
        let _ = output.shutdown().await;
    };
    let speak = async move {
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut piece = vec![INPUT; 1 + PIECE];
        let mut ended = ended;
        loop {
            let message = tokio::select! {
                biased;
                read = input.read(&mut piece[1..]) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(n) => Message::binary(piece[..=n].to_vec()),
                },
                _ = pings.tick() => Message::Ping(Vec::new().into()),
                // An error: its sender was dropped, which is the sign.
                _ = &mut ended => break,
            };
            if send.send(message).await.is_err() {
                return;
            }
        }
        // Who knows no end of one channel is told the end of all.
        let last = if closes { Message::binary(vec![CLOSE, INPUT]) } else { Message::Close(None) };
        let _ = send.send(last).await;
        // The other half goes on until the program has ended.
        std::future::pending().await
    };
    let task = tokio::spawn(async move {
        tokio::select! {
            () = hear => {}
            () = speak => {}
        }
    });
    Ok((Streams { from, to, _end: end }, said, task))
}

impl AsyncRead for Streams {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.from).poll_read(cx, into)
    }
}

impl AsyncWrite for Streams {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.to).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(cx)
    }
}
