//! Names as rclone writes them in listings, logs and lists of files.
//!
//! rclone shows each backend's names in one form, its "standard" encoding
//! (<https://rclone.org/overview/#encoding>): control characters stand as their pictures, and a
//! picture that really is in a name is quoted. What a remote refuses beyond that, rclone encodes
//! and decodes by itself, so such names come back as they were.
//!
//! A file that stands under a safe name on the destination has that one on the remote as well; the
//! manifest, which is beside it, gives the true one back.

use schema::StoredPath;

use crate::manifest::Entry;

/// rclone's sign before a character that is meant as it is.
const QUOTE: char = '\u{201b}';
/// Pictures of control characters start here.
const PICTURES: u32 = 0x2400;

/// A path in rclone's form; none where rclone could not give the name back.
///
/// Names that are not UTF-8 stand with a replacement character in rclone, several as one; names
/// with rclone's own quotation mark are not read back by it as they were (both seen with 1.60.1 and
/// 1.75.2).
#[must_use]
pub fn standard_encoding(path: &StoredPath) -> Option<String> {
    let text = std::str::from_utf8(path).ok()?;
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match u32::from(character) {
            code @ 0x01..=0x1f => out.extend(char::from_u32(PICTURES + code)),
            0x7f => out.push('\u{2421}'),
            0x2401..=0x241f | 0x2421 => {
                out.push(QUOTE);
                out.push(character);
            }
            _ if character == QUOTE => return None,
            _ => out.push(character),
        }
    }
    Some(out)
}

/// The name under which rclone knows a file of a manifest: by where it stands on the destination.
#[must_use]
pub fn remote_name(entry: &Entry) -> Option<String> {
    standard_encoding(entry.stored_path())
}

/// Why a name has no form in rclone, as the end of a sentence.
#[must_use]
pub fn why_not(path: &StoredPath) -> &'static str {
    if std::str::from_utf8(path).is_err() {
        "its name is not UTF-8, which rclone cannot keep"
    } else {
        "its name has the character U+201B, which rclone cannot keep"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_stand_as_pictures_and_pictures_are_quoted() {
        assert_eq!(
            standard_encoding(StoredPath::new(b"a/b c")).as_deref(),
            Some("a/b c")
        );
        assert_eq!(
            standard_encoding(StoredPath::new(b"x\ny\x7f")).as_deref(),
            Some("x\u{240a}y\u{2421}")
        );
        assert_eq!(
            standard_encoding(StoredPath::new("\u{240a}")).as_deref(),
            Some("\u{201b}\u{240a}")
        );
        assert_eq!(
            standard_encoding(StoredPath::new("\u{2400}")).as_deref(),
            Some("\u{2400}")
        );
    }

    #[test]
    fn what_rclone_cannot_give_back_has_no_form() {
        assert_eq!(standard_encoding(StoredPath::new(b"gro\xdf")), None);
        assert_eq!(standard_encoding(StoredPath::new("a\u{201b}b")), None);
        assert!(why_not(StoredPath::new(b"gro\xdf")).contains("UTF-8"));
    }
}
