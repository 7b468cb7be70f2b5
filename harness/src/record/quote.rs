//! What a program of somebody else's said, fit to stand in an error.

/// So many characters are shown.
const SHOWN: usize = 80;

/// The first line of what was said, between backticks: with what is no letter, digit, sign or blank made visible, and cut.
pub fn quoted(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let line = text.trim_end_matches(['\r', '\n']);
    let mut shown = String::new();
    for (count, c) in line.chars().enumerate() {
        if count == SHOWN {
            return format!("`{shown}` and more");
        }
        match c {
            '`' => shown.push('\''),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_was_said_is_printable_and_short() {
        assert_eq!(quoted(b"HTTP/1.1 400 Bad Request\r\n"), "`HTTP/1.1 400 Bad Request`");
        assert_eq!(quoted(b"\x1b[31mred `it`\r\nnext\r\n"), "`\\u{1b}[31mred 'it'\\r\\nnext`");
        assert_eq!(quoted(b"\xff"), "`\u{fffd}`");
        assert_eq!(quoted(&[b'x'; 200]), format!("`{}` and more", "x".repeat(80)));
    }
}
