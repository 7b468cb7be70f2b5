//! What to do about a text that is no YAML. The parser says what it met; who wrote the text wants to know what to change.

use super::slips;

/// How to mend it: by what the parser says, by the line, and by how the lines are indented.
pub(super) fn mend(message: &str, text: &str, line: u32) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let at = (line as usize).saturating_sub(1);
    let how = if message.contains("tabs") {
        Some("indent with spaces".to_owned())
    } else if let Some(how) = unquoted(message, &lines, at).or_else(|| unspaced(message, &lines, at)) {
        Some(how)
    } else if message.contains("or '}'") {
        Some("write a `,` or a `}` before this".to_owned())
    } else if message.contains("or ']'") {
        Some("write a `,` or a `]` before this".to_owned())
    } else if message.contains("mapping values are not allowed") {
        Some(indentation(text, line).unwrap_or_else(|| "put the text in quotes if a `: ` is part of it".to_owned()))
    } else if message.contains("quoted scalar") {
        Some("close the quote".to_owned())
    } else if message.contains("expected ':'") {
        word(&lines, at)
    } else if message.contains("block") || message.contains("expected") {
        indentation(text, line).or_else(|| dash(&lines, at))
    } else {
        None
    };
    let how = how.map(|how| format!("{how}; ")).unwrap_or_default();
    format!("{how}mend this first: nothing after it was read")
}

/// An expression in `{...}` or `[...]` without quotes around it.
fn unquoted(message: &str, lines: &[&str], at: usize) -> Option<String> {
    let line = lines.get(at)?;
    let bare = |start: &usize| {
        let before = &line[..*start];
        let closed = |quote: char| before.matches(quote).count() % 2 == 0;
        closed('"') && closed('\'') && (message.contains("flow") || before.contains(['{', '[']))
    };
    let start = line.match_indices("${").map(|(start, _)| start).find(bare)?;
    let mut depth = 0;
    let ends = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == '}' && depth == 0
    };
    let end = line[start..].find(ends).map_or(line.len(), |end| start + end + 1);
    let expression = &line[start..end];
    Some(format!(
        "put quotes around the expression in line {}: `\"{expression}\"`, since YAML reads its brace otherwise in `{{...}}` and `[...]`",
        at + 1
    ))
}

/// The lines down to this one that have something in them, the last first, with their numbers from 0.
fn upwards<'t>(lines: &'t [&'t str], from: usize) -> impl Iterator<Item = (usize, &'t str)> {
    let upto = lines.len().min(from + 1);
    lines[..upto].iter().copied().enumerate().rev().filter(|(_, line)| depth(line).is_some())
}

/// A key without a space behind its colon, in this line or in the one above it.
fn unspaced(message: &str, lines: &[&str], at: usize) -> Option<String> {
    if message.contains("quoted") {
        return None;
    }
    upwards(lines, at).take(2).find_map(|(number, line)| {
        let meant = slips::spaced(item(line))?;
        Some(format!("put a space after the colon in line {}: `{meant}`", number + 1))
    })
}

/// What a line has behind its dash, or behind its indentation.
fn item(line: &str) -> &str {
    let line = line.trim();
    line.strip_prefix("- ").map_or(line, str::trim_start)
}

/// A word that stands where a key and its colon are wanted.
fn word(lines: &[&str], at: usize) -> Option<String> {
    let word = item(lines.get(at)?);
    let lone = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    lone.then(|| format!("write a colon behind it: `{word}:`"))
}

/// A dash that is missing here, or above; or keys that stand below a dash and not behind it.
fn dash(lines: &[&str], at: usize) -> Option<String> {
    let line = lines.get(at)?;
    let here = depth(line)?;
    let is_item = |line: &str| line.trim_start().starts_with("- ");
    let (above_number, above) = upwards(lines, at.checked_sub(1)?).find(|(_, above)| depth(above) == Some(here))?;
    let code = line.trim();
    match (is_item(line), is_item(above)) {
        // `- capture:` and, right below the dash, `of: job`.
        (false, true) if above.trim_end().ends_with(':') => {
            let key = item(above).trim_end_matches(':');
            Some(format!(
                "if this is of `{key}`, indent it by four more: `{}{code}`; if not, write `- {code}`",
                " ".repeat(here + 4)
            ))
        }
        (false, true) => Some(format!("write a dash before it: `- {code}`")),
        (true, false) => Some(format!("write a dash in line {} too: `- {}`", above_number + 1, above.trim())),
        _ => None,
    }
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

    #[track_caller]
    fn told(text: &str) -> String {
        let found = crate::scenario::yaml::parse(text).expect_err("it is no YAML");
        let told = mend(&found.message, text, found.place.line);
        told.strip_suffix("; mend this first: nothing after it was read").unwrap_or(&told).to_owned()
    }

    #[test]
    fn an_expression_without_quotes() {
        let quotes = "since YAML reads its brace otherwise in `{...}` and `[...]`";
        for text in [
            "a: 1\nb: {c: ${matrix.x}, d: 2}\n",
            "a: 1\nb: [1, ${matrix.x}]\n",
            "b: {c: \"${args.y}\",\n  d: ${matrix.x}}\n",
        ] {
            assert_eq!(
                told(text),
                format!("put quotes around the expression in line 2: `\"${{matrix.x}}\"`, {quotes}"),
                "{text}"
            );
        }
        let nested = told("b: {c: ${if a { 1 } else { 2 }}}\n");
        assert!(nested.contains("`\"${if a { 1 } else { 2 }}\"`"), "{nested}");
    }

    #[test]
    fn a_colon_without_its_space() {
        assert_eq!(told("a:\n  b:c\n  d: e\n"), "put a space after the colon in line 2: `b: c`");
        assert_eq!(told("a:\n  d: e\n  b:c d\n"), "put a space after the colon in line 3: `b: c d`");
        assert_eq!(told("a:\n  - b:{c: d, e: f}\n"), "put a space after the colon in line 2: `b: {c: d, e: f}`");
        assert_eq!(told("a: 1\nb\n  c: 1\n"), "write a colon behind it: `b:`");
    }

    #[test]
    fn a_dash_that_is_missing() {
        assert_eq!(told("a:\n  - b: 1\n  c: {d: 1}\n"), "write a dash before it: `- c: {d: 1}`");
        assert_eq!(told("a:\n  b: {d: 1}\n  - c: 1\n"), "write a dash in line 2 too: `- b: {d: 1}`");
        let below = "if this is of `b`, indent it by four more: `      c: 1`; if not, write `- c: 1`";
        assert_eq!(told("a:\n  - b:\n  c: 1\n"), below);
    }
}
