//! What CRIU's lazy-pages daemon and its page server say to each other (`criu/page-xfer.c`, criu 4.2.1), as far as it
//! takes to follow it. Pure.
//!
//! Requests and the heads of answers have one form, `struct page_server_iov` with the padding that a C compiler gives it
//! on 64 bits: command (u32), 4 bytes that say nothing, number of pages, address, process (u64 each), in the machine's
//! byte order. An answer's pages follow its head.

/// The length of a request, and of the head of an answer.
pub(super) const HEAD: usize = 32;
/// The length of the answer to the end.
pub(super) const FAREWELL: usize = 4;
/// What is sent for a page.
const PAGE: u64 = 4096;

const GET: u32 = 7;
const CLOSE: u32 = 0x1023;
const FORCE_CLOSE: u32 = 0x1024;
/// No command of any version: CRIU gives up when it meets one that it does not know.
const UNKNOWN: u32 = 0xffff;

/// What the daemon says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// It asks for pages.
    Pages,
    /// It needs no more.
    Close,
    /// Anything else.
    Other,
}

/// A request by its bytes.
pub(super) fn request(head: &[u8; HEAD]) -> Request {
    // The upper half has flags.
    match command(head) & 0xffff {
        GET => Request::Pages,
        CLOSE | FORCE_CLOSE => Request::Close,
        _ => Request::Other,
    }
}

/// How many bytes of pages follow the head of an answer; `None` if no sane head says so.
pub(super) fn follows(head: &[u8; HEAD]) -> Option<u64> {
    let pages = u64::from_ne_bytes(head[8..16].try_into().expect("eight bytes"));
    // No request of CRIU's asks for more than its pipes hold (819 pages).
    (pages <= 1 << 20).then(|| pages * PAGE)
}

/// The end.
pub(super) fn close() -> [u8; HEAD] {
    of(CLOSE)
}

/// A request at which a page server fails, and lets its process live.
pub(super) fn refusal() -> [u8; HEAD] {
    of(UNKNOWN)
}

fn of(command: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&command.to_ne_bytes());
    head
}

fn command(head: &[u8; HEAD]) -> u32 {
    u32::from_ne_bytes(head[..4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(command: u32, pages: u64, rest: [u8; 16]) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&command.to_ne_bytes());
        head[8..16].copy_from_slice(&pages.to_ne_bytes());
        head[16..].copy_from_slice(&rest);
        head
    }

    proptest! {
        #[test]
        fn what_it_is_hangs_on_the_command_alone(flags: u16, pages: u64, rest: [u8; 16]) {
            let of = |known: u32| request(&head(u32::from(flags) << 16 | known, pages, rest));
            prop_assert_eq!(of(GET), Request::Pages);
            prop_assert_eq!(of(CLOSE), Request::Close);
            prop_assert_eq!(of(FORCE_CLOSE), Request::Close);
            for other in [0, 1, 3, 6, UNKNOWN] {
                prop_assert_eq!(of(other), Request::Other);
            }
        }

        #[test]
        fn as_many_bytes_follow_as_pages_are_named(command: u32, pages in 0..=1_u64 << 20, rest: [u8; 16]) {
            prop_assert_eq!(follows(&head(command, pages, rest)), Some(pages * 4096));
        }

        #[test]
        fn a_mad_number_is_none(pages in (1_u64 << 20) + 1.., rest: [u8; 16]) {
            prop_assert_eq!(follows(&head(6, pages, rest)), None);
        }
    }

    #[test]
    fn a_refusal_is_no_request() {
        assert_eq!(request(&refusal()), Request::Other);
        assert_eq!(request(&close()), Request::Close);
    }
}
