//! A program that the harness talks with until its end.

use super::control::Started;
use crate::process::Output;
use std::io::{self, PipeReader};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// The output of a program that runs.
#[derive(Debug)]
pub(super) struct Talk {
    out: pipe::Receiver,
    err: pipe::Receiver,
    output: Output,
}

impl Talk {
    pub(super) fn new(out: PipeReader, err: PipeReader) -> io::Result<Talk> {
        let receiver = |pipe: PipeReader| pipe::Receiver::from_owned_fd(pipe.into());
        Ok(Talk { out: receiver(out)?, err: receiver(err)?, output: Output::default() })
    }

    /// Reads until the program has ended. Its pipes may stay open longer than that, held by a child in the background.
    pub(super) async fn until(
        &mut self,
        program: &mut Started,
        feed: impl Future<Output = io::Result<()>>,
    ) -> io::Result<i32> {
        tokio::pin!(feed);
        let (mut out_open, mut err_open, mut feeding) = (true, true, true);
        loop {
            tokio::select! {
                code = program.exit() => return code,
                read = self.out.read_buf(&mut self.output.stdout), if out_open => out_open = read? > 0,
                read = self.err.read_buf(&mut self.output.stderr), if err_open => err_open = read? > 0,
                fed = &mut feed, if feeding => { fed?; feeding = false; }
            }
        }
    }

    /// Takes what is still in the pipes: all that the program wrote is there by now.
    pub(super) fn finish(mut self, code: i32) -> io::Result<Output> {
        self.output.code = code;
        drain(&self.out, &mut self.output.stdout)?;
        drain(&self.err, &mut self.output.stderr)?;
        Ok(self.output)
    }
}

fn drain(pipe: &pipe::Receiver, into: &mut Vec<u8>) -> io::Result<()> {
    let mut bytes = [0; 64 << 10];
    // At most a pipe's capacity is left, so a child in the background that writes on can't keep this here.
    for _ in 0..16 {
        match nix::unistd::read(pipe, &mut bytes) {
            Ok(0) | Err(nix::errno::Errno::EAGAIN) => break,
            Ok(n) => into.extend_from_slice(&bytes[..n]),
            Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
