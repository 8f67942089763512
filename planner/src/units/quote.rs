//! What must be quoted in unit files, and the names of units (systemd.syntax(7), systemd.unit(5)).

use std::fmt::Write as _;

/// A path where specifiers and blanks have a meaning: a list of paths, one word of it.
pub(super) fn quote_path(path: &str) -> String {
    quote_word(path, false)
}

/// A word of a command line, where `$` has a meaning as well.
pub(super) fn quote_argument(text: &str) -> String {
    quote_word(text, true)
}

fn quote_word(text: &str, dollar: bool) -> String {
    let mut word = String::with_capacity(text.len());
    let mut quoted = text.is_empty();
    for c in text.chars() {
        match c {
            '%' => word.push_str("%%"),
            '$' if dollar => word.push_str("$$"),
            '"' | '\\' => {
                quoted = true;
                word.push('\\');
                word.push(c);
            }
            c if c.is_control() => {
                quoted = true;
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(word, "\\x{byte:02x}");
                }
            }
            c => {
                quoted |= c.is_whitespace() || matches!(c, '\'' | ';');
                word.push(c);
            }
        }
    }
    if quoted { format!("\"{word}\"") } else { word }
}

/// A path that stands alone on its line, which is not split into words.
pub(super) fn quote_line(path: &str) -> String {
    path.replace('%', "%%")
}

/// The name of the unit that mounts a path, as `systemd-escape --path --suffix=mount` gives it
/// (systemd.unit(5), "String Escaping for Inclusion in Unit Names").
#[must_use]
pub fn mount_unit(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let path = parts.join("/");
    if path.is_empty() {
        return "-.mount".to_owned();
    }
    let mut name = String::with_capacity(path.len() + 6);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => {
                name.push(char::from(byte));
            }
            _ => {
                let _ = write!(name, "\\x{byte:02x}");
            }
        }
    }
    name + ".mount"
}
