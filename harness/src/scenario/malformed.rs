//! What to do about a text that is no YAML. The parser says what it met; who wrote the text wants to know what to change.

/// How to mend it: by what the parser says, and by how the lines are indented.
pub(super) fn mend(message: &str, text: &str, line: u32) -> String {
    let how = if message.contains("tabs") {
        Some("indent with spaces".to_owned())
    } else if message.contains("or '}'") {
        Some("write a `,` or a `}` before this".to_owned())
    } else if message.contains("or ']'") {
        Some("write a `,` or a `]` before this".to_owned())
    } else if message.contains("mapping values are not allowed") {
        Some(indentation(text, line).unwrap_or_else(|| "put the text in quotes if a `: ` is part of it".to_owned()))
    } else if message.contains("quoted scalar") {
        Some("close the quote".to_owned())
    } else if message.contains("block") || message.contains("expected") {
        indentation(text, line)
    } else {
        None
    };
    let how = how.map(|how| format!("{how}; ")).unwrap_or_default();
    format!("{how}mend this first: nothing after it was read")
}

/// How deep a line stands, if it has anything in it.
fn depth(line: &str) -> Option<usize> {
    let code = line.trim_start();
    (!code.is_empty() && !code.starts_with('#')).then(|| line.len() - code.len())
}

/// Where a line could have stood, if it stands beside none of the blocks that are open above it.
fn indentation(text: &str, line: u32) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let at = (line as usize).checked_sub(1)?;
    let here = depth(lines.get(at)?)?;
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (number, above) in lines[..at].iter().enumerate().rev() {
        let Some(depth) = depth(above) else { continue };
        // An item's own keys stand behind its dash.
        let dash = above.trim_start().strip_prefix("- ").map(|rest| above.len() - rest.trim_start().len());
        for depth in dash.into_iter().chain([depth]) {
            if open.last().is_none_or(|(least, _)| depth < *least) {
                open.push((depth, number + 1));
            }
        }
    }
    if open.iter().any(|(depth, _)| *depth == here) {
        return None;
    }
    let places: Vec<String> = open.iter().map(|(depth, number)| format!("{depth} (line {number})")).collect();
    Some(format!(
        "this line is indented by {here}, and the blocks that are open above it by {}: line it up with one, or one of them with it",
        places.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::{indentation, mend};

    #[test]
    fn a_line_between_two_blocks_is_told_where_they_stand() {
        let text = "spec:\n  workloads:\n    c: 1\nclients:\n    lines: 2\n  steps:\n";
        let told = indentation(text, 6).expect("it stands between");
        assert!(
            told.starts_with(
                "this line is indented by 2, and the blocks that are open above it by 4 (line 5), 0 (line 4):"
            ),
            "{told}"
        );
        assert_eq!(indentation("a:\n  b: 1\n  c: 2\n", 3), None, "it stands beside its neighbour");
        assert_eq!(indentation("a:\n  - b: 1\n    c: 2\n", 3), None, "an item's second key stands behind the dash");
        assert_eq!(indentation("", 0), None);
        assert_eq!(indentation("a", 9), None);
    }

    #[test]
    fn what_is_not_known_is_still_to_be_mended_first() {
        assert_eq!(mend("the file ends too early", "a: {", 1), "mend this first: nothing after it was read");
    }
}
