//! Terminals.

use crate::zoo::kind::{Area, Kind, Label, absent, same};
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, Read, Write};

/// A pseudoterminal, both ends of it.
pub(super) struct Pty {
    master: File,
    slave: File,
}

const ERASE: u8 = 0x15;

impl Kind for Pty {
    const LABEL: Label = Label::new("pty", Area::Files, "a pseudoterminal with a size, settings and bytes on the way")
        .zdtm("pty00 pty01 pty02 pty03 pty04 pty-console tty00 tty02 tty03 console vt")
        .outside(&["fd."]);

    fn hold() -> io::Result<Self> {
        let size = Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
        let made = openpty(Some(&size), None).map_err(|e| absent(format!("the container has no terminals: {e}")))?;
        let OpenptyResult { master, slave } = made;
        let mut settings = tcgetattr(&slave)?;
        settings.local_flags.remove(LocalFlags::ECHO);
        settings.control_chars[SpecialCharacterIndices::VERASE as usize] = ERASE;
        tcsetattr(&slave, SetArg::TCSANOW, &settings)?;
        let mut held = Pty { master: File::from(master), slave: File::from(slave) };
        held.master.write_all(b"on its way\n")?;
        Ok(held)
    }

    fn verify(&mut self) -> io::Result<String> {
        let settings = tcgetattr(&self.slave)?;
        same("that it echoes", &false, &settings.local_flags.contains(LocalFlags::ECHO))?;
        same("its sign for erasing", &ERASE, &settings.control_chars[SpecialCharacterIndices::VERASE as usize])?;
        nix::poll::poll(
            &mut [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&self.slave), nix::poll::PollFlags::POLLIN)],
            nix::poll::PollTimeout::from(500_u16),
        )
        .map_err(io::Error::from)
        .and_then(|ready| same("that bytes wait", &1, &ready))?;
        let mut line = [0; 64];
        let read = self.slave.read(&mut line)?;
        same("the bytes on the way", &"on its way\n", &std::str::from_utf8(&line[..read]).unwrap_or("?"))?;
        self.master.write_all(b"on its way\n")?;
        Ok("a line on its way, no echo".to_owned())
    }
}
