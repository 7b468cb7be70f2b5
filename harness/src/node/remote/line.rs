//! Many streams over one stream of bytes.

use super::frame::{self, Tag};
use super::protocol::{Answer, Call};
use crate::node::control::gone;
use serde::de::DeserializeOwned;
use std::io;
use std::task::{Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use yamux::{Config, Connection, Mode};

/// One of them.
pub(super) type Stream = Compat<yamux::Stream>;

/// Opens streams. The line ends with the last of these, or when the other side does.
#[derive(Clone, Debug)]
pub(super) struct Opener {
    wanted: mpsc::Sender<oneshot::Sender<io::Result<Stream>>>,
    ended: watch::Receiver<Option<String>>,
}

/// Requests of a stream that wait to be made.
const WAITING: usize = 64;
/// Each connection, program and file system is one.
const MOST_STREAMS: usize = 2048;
const SPLIT: usize = 64 << 10;

impl Opener {
    /// A stream for a call, as soon as its answer is there.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: &Call) -> io::Result<(Stream, T)> {
        let mut stream = self.open().await?;
        frame::write_json(&mut stream, Tag::Call, call).await?;
        let answer: Answer<T> = frame::expect(&mut stream, Tag::Answer).await.map_err(|e| self.why(e))?;
        answer.into_result().map(|value| (stream, value))
    }

    /// A stream that nothing was said on.
    pub(super) async fn open(&self) -> io::Result<Stream> {
        let (give, take) = oneshot::channel();
        self.wanted.send(give).await.map_err(|_| self.why(gone()))?;
        take.await.map_err(|_| self.why(gone()))?
    }

    /// Why the line has ended, if it has.
    pub(super) fn end(&self) -> Option<String> {
        let why = self.ended.borrow().clone();
        // Who would say why is gone: the line was given up.
        why.or_else(|| self.ended.has_changed().is_err().then(|| "nothing is heard of it".to_owned()))
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        // An error: who drives it is gone, and it with that.
        let _ = self.ended.clone().wait_for(Option::is_some).await;
    }

    fn why(&self, e: io::Error) -> io::Error {
        match self.end() {
            Some(why) => io::Error::new(e.kind(), format!("the line to the node has ended: {why}")),
            None => e,
        }
    }
}

/// Two ends of a line: who opens streams on it, and the future that carries them, which must run for that. `inbound` gets
/// the streams that the other side opens. The line is closed when `close` comes back.
pub(super) fn line<T>(
    io: T,
    mode: Mode,
    close: impl Future<Output = ()>,
    inbound: impl FnMut(Stream),
) -> (Opener, impl Future<Output = ()>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (wanted, requests) = mpsc::channel(WAITING);
    let (tell, ended) = watch::channel(None);
    let drive = async move {
        let why = drive(io, mode, requests, close, inbound).await;
        tell.send_replace(Some(why));
    };
    (Opener { wanted, ended }, drive)
}

/// Carries all streams until either side ends; says why that was.
async fn drive<T>(
    io: T,
    mode: Mode,
    mut requests: mpsc::Receiver<oneshot::Sender<io::Result<Stream>>>,
    close: impl Future<Output = ()>,
    mut inbound: impl FnMut(Stream),
) -> String
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut config = Config::default();
    config.set_max_connection_receive_window(None).set_max_num_streams(MOST_STREAMS).set_split_send_size(SPLIT);
    let mut connection = Connection::new(io.compat(), config, mode);
    let mut waiting: Option<oneshot::Sender<io::Result<Stream>>> = None;
    let mut closing = false;
    let mut close = Box::pin(close);
    std::future::poll_fn(move |cx| {
        loop {
            closing = closing || close.as_mut().poll(cx).is_ready();
            if closing {
                let _ = ready!(connection.poll_close(cx));
                return Poll::Ready("it was closed".to_owned());
            }
            if waiting.is_none() {
                match requests.poll_recv(cx) {
                    Poll::Ready(Some(give)) => waiting = Some(give),
                    Poll::Ready(None) => {
                        closing = true;
                        continue;
                    }
                    Poll::Pending => {}
                }
            }
            let mut moved = false;
            if waiting.is_some()
                && let Poll::Ready(opened) = connection.poll_new_outbound(cx)
            {
                let opened = opened.map(FuturesAsyncReadCompatExt::compat).map_err(io::Error::other);
                // Who asked may have gone meanwhile.
                let _ = waiting.take().map(|give| give.send(opened));
                moved = true;
            }
            match connection.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(stream))) => {
                    inbound(stream.compat());
                    moved = true;
                }
                Poll::Ready(Some(Err(e))) => return Poll::Ready(e.to_string()),
                Poll::Ready(None) => return Poll::Ready("the other side closed it".to_owned()),
                Poll::Pending => {}
            }
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await
}
