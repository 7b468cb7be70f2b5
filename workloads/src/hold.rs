//! Things of the kernel that a process may hold while it is checkpointed, and that CRIU refuses or carries. Each is taken
//! at the start and can be looked at from the inside at any time: a restore that has dropped it without a word is seen.

use crate::kernel::{self, Watch};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// The file that is locked.
const LOCKED: &str = "/locked";
/// The file that is deleted while it is open. CRIU carries such files up to 1 MiB unless told otherwise (criu 4.2.1).
const DELETED: &str = "/deleted";
/// Its length in bytes.
const DELETED_SIZE: usize = 3 << 20;
/// The folder that is watched.
const WATCHED: &str = "/watched";
/// Where the socket to the outside is: in a folder that another container has too.
const OUTSIDE: &str = "/outside/socket";
/// How long a byte over a connection may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is held.
#[derive(Debug)]
pub enum Hold {
    /// An established TCP connection, both ends of it.
    Tcp(TcpStream, TcpStream),
    /// A lock on a file.
    FileLock(File),
    /// An io_uring.
    IoUring(OwnedFd),
    /// An inotify watch on a folder.
    Inotify(Watch),
    /// A file that has no name any more, with its content.
    DeletedFile(File),
    /// A unix socket whose other end is in another container.
    UnixSocket(UnixStream),
    /// The other end of such sockets.
    UnixListener(UnixListener),
}

impl Hold {
    /// Takes hold of a thing by its name; `None` of nothing (`none`).
    ///
    /// # Errors
    /// The kernel refuses it, or there is no such thing.
    pub fn take(name: &str) -> io::Result<Option<Self>> {
        let held = match name {
            "none" => return Ok(None),
            "tcp" => {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                let near = TcpStream::connect(listener.local_addr()?)?;
                let (far, _) = listener.accept()?;
                for end in [&near, &far] {
                    end.set_read_timeout(Some(PATIENCE))?;
                }
                Hold::Tcp(near, far)
            }
            "file-lock" => {
                let file = File::create(LOCKED)?;
                file.lock()?;
                Hold::FileLock(file)
            }
            "io-uring" => Hold::IoUring(kernel::io_uring()?),
            "inotify" => {
                fs::create_dir_all(WATCHED)?;
                Hold::Inotify(Watch::of(WATCHED)?)
            }
            "deleted-file" => {
                let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(DELETED)?;
                (&file).write_all(&content())?;
                fs::remove_file(DELETED)?;
                Hold::DeletedFile(file)
            }
            "unix-socket" => Hold::UnixSocket(UnixStream::connect(OUTSIDE)?),
            "unix-listener" => {
                let listener = UnixListener::bind(OUTSIDE)?;
                let accepting = listener.try_clone()?;
                std::thread::Builder::new().spawn(move || echo(&accepting))?;
                Hold::UnixListener(listener)
            }
            other => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("nothing to hold is named `{other}`")));
            }
        };
        Ok(Some(held))
    }

    /// Looks whether it is held still, by using it.
    ///
    /// # Errors
    /// It is not, and this is how that showed.
    pub fn look(&self) -> io::Result<()> {
        let lost = |why: &str| Err(io::Error::other(why.to_owned()));
        match self {
            Hold::Tcp(near, far) => {
                let mut byte = [0];
                (&*near).write_all(b"x").and_then(|()| (&*far).read_exact(&mut byte))
            }
            // A lock belongs to an opening of the file: by another one it cannot be had while it is held.
            Hold::FileLock(_) => match File::open(LOCKED)?.try_lock() {
                Err(TryLockError::WouldBlock) => Ok(()),
                Err(TryLockError::Error(e)) => Err(e),
                Ok(()) => lost("the lock is free"),
            },
            Hold::IoUring(ring) => kernel::is_io_uring(ring),
            Hold::Inotify(watch) => {
                let file = format!("{WATCHED}/new");
                File::create(&file)?;
                fs::remove_file(&file)?;
                if watch.delivered()? { Ok(()) } else { lost("the watch told nothing of a new file") }
            }
            Hold::DeletedFile(file) => {
                let mut now = vec![0; DELETED_SIZE];
                file.read_exact_at(&mut now, 0)?;
                if now == content() { Ok(()) } else { lost("its content is another one") }
            }
            Hold::UnixSocket(near) => {
                let mut byte = [0];
                near.set_read_timeout(Some(PATIENCE))?;
                (&*near).write_all(b"x").and_then(|()| (&*near).read_exact(&mut byte))
            }
            Hold::UnixListener(_) => Ok(()),
        }
    }
}

/// Gives back what comes, a thread a connection.
fn echo(listener: &UnixListener) {
    loop {
        let Ok((stream, _)) = listener.accept() else { continue };
        let give_back = move || drop(io::copy(&mut &stream, &mut &stream));
        let _ = std::thread::Builder::new().stack_size(256 << 10).spawn(give_back);
    }
}

/// What is in the deleted file.
fn content() -> Vec<u8> {
    (0..DELETED_SIZE).map(|i| (i % 251) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_held_until_it_is_closed() {
        let Some(held) = Hold::take("tcp").unwrap() else { panic!("nothing is held") };
        held.look().unwrap();
        held.look().unwrap();
        let Hold::Tcp(near, _) = &held else { panic!("{held:?}") };
        near.shutdown(std::net::Shutdown::Both).unwrap();
        held.look().unwrap_err();
    }

    #[test]
    fn nothing_is_nothing_and_the_unknown_is_told() {
        assert!(Hold::take("none").unwrap().is_none());
        assert!(Hold::take("breath").unwrap_err().to_string().contains("`breath`"));
    }
}
