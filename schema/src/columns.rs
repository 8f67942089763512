//! How many columns of a terminal a text fills, and where it can be cut.
//!
//! A wide letter fills two, an accent none. Nothing is cut between a letter and its marks, or within a
//! picture that is made of several.

use unicode_width::UnicodeWidthStr as _;

use crate::outside::sight::{is_mark, is_picture};

/// The columns that a text fills, by Unicode's East Asian Width and the widths of pictures.
#[must_use]
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    clusters(text).map(|cluster| cluster.width()).sum()
}

/// The longest start of a text that fills at most this many columns.
#[must_use]
pub fn start_within(text: &str, columns: usize) -> &str {
    if text.len() <= columns {
        // No character fills more columns than it has bytes.
        return text;
    }
    let (mut end, mut filled) = (0, 0);
    for cluster in clusters(text) {
        filled += cluster.width();
        if filled > columns {
            break;
        }
        end += cluster.len();
    }
    &text[..end]
}

/// The text cut to at most this many columns, the last one `…` where something is missing.
#[must_use]
pub fn shortened(text: &str, columns: usize) -> String {
    if start_within(text, columns).len() == text.len() {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    format!("{}…", start_within(text, columns - 1))
}

/// The text in pieces that belong together: a letter with its marks, a picture with what it is made of.
fn clusters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = first_cluster(rest)?;
        let (cluster, after) = rest.split_at(end);
        rest = after;
        Some(cluster)
    })
}

/// Where the first piece ends; none where there is none.
fn first_cluster(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    let (_, first) = characters.next()?;
    let (mut before, mut is_open_flag) = (first, is_flag_letter(first));
    for (at, character) in characters {
        let belongs = match character {
            '\u{200d}' => is_picture(first),
            '\u{1f3fb}'..='\u{1f3ff}' => is_picture(before),
            letter if is_flag_letter(letter) => std::mem::take(&mut is_open_flag),
            other => is_mark(other) || (before == '\u{200d}' && is_picture(other)),
        };
        if !belongs {
            return Some(at);
        }
        before = character;
    }
    Some(text.len())
}

/// Two of these make a flag.
fn is_flag_letter(character: char) -> bool {
    matches!(character, '\u{1f1e6}'..='\u{1f1ff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_letters_fill_two_columns_and_marks_none() {
        for (text, columns) in [
            ("", 0),
            ("plain", 5),
            ("größe", 5),
            ("gro\u{308}\u{df}e", 5),
            ("日本語", 6),
            ("한국어", 6),
            ("\u{1112}\u{1161}\u{11ab}", 2),
            ("क्षि", 3),
            ("\u{1f4f7}", 2),
            ("\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}", 2),
            ("\u{1f44d}\u{1f3fd}", 2),
            ("\u{1f1e9}\u{1f1ea}\u{1f1eb}\u{1f1f7}", 4),
        ] {
            assert_eq!(width(text), columns, "{text}");
        }
    }

    #[test]
    fn a_text_is_cut_between_what_belongs_together() {
        assert_eq!(shortened("größe", 5), "größe");
        assert_eq!(shortened("größer", 5), "größ…");
        assert_eq!(shortened("日本語", 6), "日本語");
        assert_eq!(shortened("日本語", 5), "日本…");
        assert_eq!(shortened("日本語", 4), "日…");
        assert_eq!(shortened("ae\u{301}\u{302}bc", 3), "ae\u{301}\u{302}…");
        assert_eq!(shortened("a\u{1f468}\u{200d}\u{1f469}b", 3), "a…");
        assert_eq!(shortened("ab", 1), "…");
        assert_eq!(shortened("ab", 0), "");
    }

    proptest! {
        #[test]
        fn no_text_is_wider_than_it_is_to_be(text: String, columns in 0..40_usize) {
            let start = start_within(&text, columns);
            prop_assert!(width(start) <= columns);
            prop_assert!(text.starts_with(start));
            prop_assert!(width(&shortened(&text, columns)) <= columns);
            prop_assert_eq!(start_within(&text, width(&text)), &*text);
        }
    }
}
