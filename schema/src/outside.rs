//! Text from outside made harmless before people see it: names, and what scripts, programs, disks and
//! servers say.
//!
//! Owns which characters are dangerous and where a text is cut. Whatever is shown in a terminal, a
//! log, a notification or a message passes through here.
//!
//! What is not seen as itself is written out: controls and line ends, what turns the direction of
//! writing, what has no width, what only one font knows, and marks that stand on nothing or on too
//! many others. Letters with their accents, wide letters and pictures stay as they are.

use std::fmt::Write as _;

use crate::columns;

pub(crate) mod sight;

use self::sight::Sight;

/// The text in one line for a terminal or a log: what is not seen as itself stands as `\ooo`, byte by
/// byte.
#[must_use]
pub fn one_line(text: &str) -> String {
    replaced(text, |safe, character| {
        let mut buffer = [0; 4];
        for byte in character.encode_utf8(&mut buffer).bytes() {
            // Writing to a String cannot fail.
            let _ = write!(safe, "\\{byte:03o}");
        }
    })
}

/// The text in one line with all that is not seen as itself written as JSON writes it, for a document
/// of a person's own in which it must be found.
#[must_use]
pub fn visible(text: &str) -> String {
    replaced(text, push_json_escape)
}

/// JSON that means the same and has nothing in it that is not seen as itself, but its own line ends.
#[must_use]
pub fn visible_json(json: &str) -> String {
    let mut lines = json.split('\n');
    let mut safe = lines.next().map(visible).unwrap_or_default();
    for line in lines {
        safe.push('\n');
        safe.push_str(&visible(line));
    }
    safe
}

/// The text in one line of at most `limit` columns, for people who read it elsewhere: line ends
/// become blanks, and what else is not seen as itself a mark for "something was here". ` ...` follows
/// what was cut.
#[must_use]
pub fn brief_line(text: &str, limit: usize) -> String {
    let safe = replaced(text, |safe, character| {
        safe.push(match character {
            '\n' | '\t' => ' ',
            _ => char::REPLACEMENT_CHARACTER,
        });
    });
    let start = columns::start_within(&safe, limit);
    if start.len() == safe.len() {
        return safe;
    }
    format!("{start} ...")
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
fn push_json_escape(text: &mut String, character: char) {
    let mut units = [0; 2];
    for unit in character.encode_utf16(&mut units) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\u{unit:04x}");
    }
}

fn replaced(text: &str, put: impl Fn(&mut String, char)) -> String {
    // Nearly all texts are plain ASCII.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    let mut sight = Sight::default();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if sight.sees(character, characters.peek().copied()) {
            safe.push(character);
        } else {
            put(&mut safe, character);
        }
    }
    safe
}

#[cfg(test)]
#[path = "outside_tests.rs"]
mod tests;
