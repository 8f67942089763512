//! File names as text: bytes that are not printable stand as `\ooo`, as mtree(5) writes them.
//!
//! One spelling per name, so escaped texts compare equal exactly when the names do.

use crate::outside::sight::Sight;

/// A name or path as printable ASCII-and-UTF-8 text without blanks, for files read by line.
///
/// Control characters, blanks, `\`, `#`, `=` and bytes that are not UTF-8 become `\ooo`
/// (mtree(5), vis(3) with `VIS_OCTAL`).
#[must_use]
pub fn escape(name: &[u8]) -> String {
    if is_plain(name)
        && let Ok(name) = std::str::from_utf8(name)
    {
        return name.to_owned();
    }
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            let escaped = character.is_control()
                || character.is_whitespace()
                || matches!(character, '\\' | '#' | '=' | '*' | '?' | '[');
            push(&mut text, character, escaped);
        }
        octal(&mut text, chunk.invalid());
    }
    text
}

/// Appends a name or path as [`escape`] makes it.
pub fn push_escaped(text: &mut Vec<u8>, name: &[u8]) {
    if is_plain(name) {
        text.extend_from_slice(name);
    } else {
        text.extend_from_slice(escape(name).as_bytes());
    }
}

/// Whether a name is as [`escape`] makes it. Nearly all are, and a manifest has millions of them.
fn is_plain(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    bytes.all(|byte| byte.is_ascii_graphic() && !b"\\#=*?[".contains(byte))
}

/// A path for people: as it is where that is seen as itself, with `\ooo` for what is not
/// ([`crate::outside`] says what that is) and for `\`.
///
/// Unlike [`escape`] this keeps blanks, so it is for messages and reports only.
#[must_use]
pub fn display(path: &[u8]) -> String {
    // Nearly all paths are plain ASCII.
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
    if path.iter().all(plain)
        && let Ok(path) = std::str::from_utf8(path)
    {
        return path.to_owned();
    }
    let mut text = String::with_capacity(path.len());
    let mut sight = Sight::default();
    for chunk in path.utf8_chunks() {
        let mut characters = chunk.valid().chars().peekable();
        while let Some(character) = characters.next() {
            let is_seen = sight.sees(character, characters.peek().copied());
            push(&mut text, character, !is_seen || character == '\\');
        }
        if !chunk.invalid().is_empty() {
            sight.interrupt();
            octal(&mut text, chunk.invalid());
        }
    }
    text
}

fn push(text: &mut String, character: char, escaped: bool) {
    if escaped {
        let mut buffer = [0; 4];
        octal(text, character.encode_utf8(&mut buffer).as_bytes());
    } else {
        text.push(character);
    }
}

fn octal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push('\\');
        for shift in [6, 3, 0] {
            text.push(char::from(b'0' + ((byte >> shift) & 7)));
        }
    }
}

/// The bytes behind a text made by [`escape`] or [`display`].
///
/// `None` where a backslash is not followed by three octal digits of one byte.
#[must_use]
pub fn unescape(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    let mut rest = text.as_ref();
    if !rest.contains(&b'\\') {
        return Some(rest.to_vec());
    }
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'\\' {
            bytes.push(byte);
            rest = tail;
            continue;
        }
        let (digits, tail) = tail.split_at_checked(3)?;
        let mut value = 0u16;
        for digit in digits {
            if !(b'0'..=b'7').contains(digit) {
                return None;
            }
            value = value * 8 + u16::from(digit - b'0');
        }
        bytes.push(u8::try_from(value).ok()?);
        rest = tail;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back_and_fills_one_line() {
        let every_byte: Vec<u8> = (1..=255).collect();
        let odd: [&[u8]; 6] = [
            b"plain",
            b"with blank\nand line",
            "gr\u{fc}n \u{1f4f7}".as_bytes(),
            b"\xff\xfe",
            b"a\\b#c=d",
            &every_byte,
        ];
        for name in odd {
            let text = escape(name);
            assert!(!text.contains(char::is_whitespace), "{text}");
            assert_eq!(unescape(&text).as_deref(), Some(name));
            assert_eq!(unescape(display(name)).as_deref(), Some(name));
            let mut pushed = b"x ".to_vec();
            push_escaped(&mut pushed, name);
            assert_eq!(pushed, format!("x {text}").into_bytes());
        }
        assert_eq!(escape(b"a b"), "a\\040b");
        assert_eq!(unescape("\\400"), None);
        assert_eq!(unescape("\\0"), None);
    }
}
