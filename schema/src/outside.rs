//! Text from outside made harmless before people see it: names, and what scripts, programs, disks and
//! servers say.
//!
//! Owns which characters are dangerous and where a text is cut. Whatever is shown in a terminal, a
//! log, a notification or a message passes through here.

use std::fmt::Write as _;

/// Whether a character moves the cursor, ends a line or turns the direction of writing, instead of
/// being seen.
#[must_use]
pub fn is_steering(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character cannot be seen, whether it steers or only hides.
#[must_use]
pub fn is_invisible(character: char) -> bool {
    is_steering(character)
        || matches!(character, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}')
}

/// The text in one line for a terminal or a log: what steers stands as `\ooo`.
#[must_use]
pub fn one_line(text: &str) -> String {
    replaced(text, is_steering, |safe, character| {
        let mut buffer = [0; 4];
        for byte in character.encode_utf8(&mut buffer).bytes() {
            // Writing to a String cannot fail.
            let _ = write!(safe, "\\{byte:03o}");
        }
    })
}

/// The text in one line with all that is invisible written as JSON writes it, for a document of a
/// person's own in which it must be found.
#[must_use]
pub fn visible(text: &str) -> String {
    replaced(text, is_invisible, push_json_escape)
}

/// The text in one line of at most `limit` characters, for people who read it elsewhere: line ends
/// become blanks, and what else steers a mark for "something was here".
#[must_use]
pub fn brief_line(text: &str, limit: usize) -> String {
    let (start, rest) = split_at_char(text, limit);
    let mut safe = replaced(start, is_steering, |safe, character| {
        safe.push(match character {
            '\n' | '\t' => ' ',
            _ => char::REPLACEMENT_CHARACTER,
        });
    });
    if !rest.is_empty() {
        safe.push_str(" ...");
    }
    safe
}

/// The text cut to at most `limit` characters, the last one `…` where something is missing.
#[must_use]
pub fn shortened(text: &str, limit: usize) -> String {
    if split_at_char(text, limit).1.is_empty() {
        return text.to_owned();
    }
    let (start, _) = split_at_char(text, limit.saturating_sub(1));
    format!("{start}…")
}

/// The first part of a text that has at most this many bytes, cut between characters.
#[must_use]
pub fn first_bytes(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Adds a character as JSON escapes it.
pub fn push_json_escape(text: &mut String, character: char) {
    let mut units = [0; 2];
    for unit in character.encode_utf16(&mut units) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\u{unit:04x}");
    }
}

fn split_at_char(text: &str, limit: usize) -> (&str, &str) {
    let end = text.char_indices().nth(limit);
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

fn replaced(
    text: &str,
    is_replaced: impl Fn(char) -> bool,
    put: impl Fn(&mut String, char),
) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_replaced(character) {
            put(&mut safe, character);
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_written_out() {
        assert_eq!(
            one_line("a\x1b[2Jb\nc\u{202e}d\u{9b}"),
            "a\\033[2Jb\\012c\\342\\200\\256d\\302\\233"
        );
        assert_eq!(one_line("grün \\ plain"), "grün \\ plain");
        // What only joins letters and pictures is part of names.
        assert_eq!(one_line("\u{200d}"), "\u{200d}");
    }

    #[test]
    fn what_hides_is_written_out_where_it_must_be_found() {
        assert_eq!(visible("a\u{200b}b\u{1b}"), "a\\u200bb\\u001b");
        assert_eq!(visible("plain"), "plain");
    }

    #[test]
    fn a_brief_line_has_an_end_and_no_line_ends() {
        assert_eq!(brief_line("a\tb\n\u{1b}[2J", 100), "a b \u{fffd}[2J");
        assert_eq!(brief_line("four", 4), "four");
        assert_eq!(brief_line("fives", 4), "five ...");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("größe", 5), "größe");
        assert_eq!(shortened("größer", 5), "größ…");
        assert_eq!(first_bytes("grün", 3), "gr");
        assert_eq!(first_bytes("grün", 4), "grü");
    }
}
