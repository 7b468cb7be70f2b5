//! Pipes.

use crate::zoo::kind::{Area, Kind, Label, bytes, home, same};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::{mkfifo, pipe2};
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};

const fn label(name: &'static str, about: &'static str) -> Label {
    Label::new(name, Area::Local, about).outside(&["fd."])
}

/// A pipe with bytes in it.
pub(super) struct Pipe {
    from: PipeReader,
    to: PipeWriter,
}

const SIZE: i32 = 256 << 10;

impl Kind for Pipe {
    const LABEL: Label = label("pipe", "a pipe of another size than usual, with 100,000 bytes in it")
        .zdtm("pipe00 pipe01 pipe02 pipe03 shared_slave_mount_children");

    fn hold() -> io::Result<Self> {
        let (from, mut to) = io::pipe()?;
        fcntl(&to, FcntlArg::F_SETPIPE_SZ(SIZE))?;
        to.write_all(&bytes(40, 100_000))?;
        Ok(Pipe { from, to })
    }

    fn verify(&mut self) -> io::Result<String> {
        same("its size", &SIZE, &fcntl(&self.to, FcntlArg::F_GETPIPE_SZ)?)?;
        let mut read = vec![0; 100_000];
        self.from.read_exact(&mut read)?;
        same("the bytes in it", &true, &(read == bytes(40, 100_000)))?;
        self.to.write_all(&read)?;
        Ok("100,000 bytes of 256 KiB".to_owned())
    }
}

/// A pipe in which writes keep their bounds.
pub(super) struct Packets {
    from: File,
    to: File,
}

const PACKETS: [&str; 3] = ["one", "two and", "three"];

impl Kind for Packets {
    const LABEL: Label = label("packet-pipe", "a pipe in which each write is a packet of its own (O_DIRECT)")
        .zdtm("pipe02")
        .alone("CRIU says that it does not support such pipes yet");

    fn hold() -> io::Result<Self> {
        let (from, to) = pipe2(OFlag::O_DIRECT | OFlag::O_NONBLOCK)?;
        let mut held = Packets { from: File::from(from), to: File::from(to) };
        held.fill()?;
        Ok(held)
    }

    fn verify(&mut self) -> io::Result<String> {
        let mut found = Vec::new();
        let mut buffer = [0; 64];
        while let Ok(read) = self.from.read(&mut buffer) {
            found.push(String::from_utf8_lossy(&buffer[..read]).into_owned());
        }
        self.fill()?;
        same("the packets", &PACKETS.map(str::to_owned).to_vec(), &found)?;
        Ok("three packets".to_owned())
    }
}

impl Packets {
    fn fill(&mut self) -> io::Result<()> {
        PACKETS.iter().try_for_each(|packet| self.to.write_all(packet.as_bytes()))
    }
}

/// A pipe with a name.
pub(super) struct Fifo(File);

impl Kind for Fifo {
    const LABEL: Label = label("fifo", "a pipe with a name, with bytes in it")
        .zdtm("fifo fifo-ghost fifo-rowo-pair fifo_ro fifo_wronly unlink_fifo unlink_fifo_wronly fifo_loop");

    fn hold() -> io::Result<Self> {
        let path = home().join("fifo");
        fs::create_dir_all(home())?;
        let _ = fs::remove_file(&path);
        mkfifo(&path, Mode::from_bits_truncate(0o640))?;
        let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
        file.write_all(&bytes(41, 5000))?;
        Ok(Fifo(file))
    }

    fn verify(&mut self) -> io::Result<String> {
        // By its name and by the descriptor that it had: one pipe.
        let mut by_name = OpenOptions::new().read(true).write(true).open(home().join("fifo"))?;
        let mut read = vec![0; 5000];
        by_name.read_exact(&mut read)?;
        same("the bytes in it", &true, &(read == bytes(41, 5000)))?;
        self.0.write_all(&read)?;
        Ok("5000 bytes".to_owned())
    }
}
