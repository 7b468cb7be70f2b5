//! Registers of the floating-point unit, kept by a thread that waits in the kernel.

use std::io;

/// Loads sixteen numbers into the registers xmm8 and xmm9, reads a byte from a descriptor (which blocks), and gives what
/// is in the registers then.
#[cfg(target_arch = "x86_64")]
pub(crate) fn through_a_read(fd: i32, numbers: [u8; 32]) -> io::Result<[u8; 32]> {
    let (mut byte, mut after) = ([0_u8], [0_u8; 32]);
    let read: i64;
    // SAFETY: the system call read(2) into a byte that is there; registers that it or we change are said to be.
    unsafe {
        std::arch::asm!(
            "movdqu xmm8, [{from}]",
            "movdqu xmm9, [{from} + 16]",
            "syscall",
            "movdqu [{to}], xmm8",
            "movdqu [{to} + 16], xmm9",
            from = in(reg) numbers.as_ptr(),
            to = in(reg) after.as_mut_ptr(),
            inout("rax") libc::SYS_read => read,
            in("rdi") i64::from(fd),
            in("rsi") byte.as_mut_ptr(),
            in("rdx") 1_usize,
            out("rcx") _,
            out("r11") _,
            out("xmm8") _,
            out("xmm9") _,
        );
    }
    match read {
        1 => Ok(after),
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        e => Err(io::Error::from_raw_os_error(i32::try_from(-e).unwrap_or(libc::EIO))),
    }
}

/// Other machines have other registers.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn through_a_read(_fd: i32, _numbers: [u8; 32]) -> io::Result<[u8; 32]> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "registers are held on x86_64 only"))
}
