//! Words of a command line that people may copy into their shell, whatever a file is called.

use std::fmt::Write as _;

use crate::{escape, outside::sight::Sight};

/// A name or path as one word of a shell's command line, in one line and with nothing in it that is
/// not seen as itself.
///
/// Plain words stand as they are and others in `'...'`; what cannot be seen or is not UTF-8 makes it
/// `$'...'` with `\ooo`, as bash, zsh, ksh and POSIX.1-2024 read it. A word never looks like an
/// option.
#[must_use]
pub fn word(path: impl AsRef<[u8]>) -> String {
    let path = path.as_ref();
    if path.starts_with(b"-") {
        return format!("./{}", quoted_word(path));
    }
    quoted_word(path)
}

/// A word that was typed, as the same word of a command line: an option stays one.
#[must_use]
pub fn argument(word: impl AsRef<[u8]>) -> String {
    let word = word.as_ref();
    let value = word.iter().position(|byte| *byte == b'=');
    match value.filter(|_| word.starts_with(b"--")) {
        Some(at) => {
            let (option, value) = word.split_at(at + 1);
            quoted_word(&option[..at]) + "=" + &quoted_word(value)
        }
        None => quoted_word(word),
    }
}

/// The same of a path as records and plans write it, with `\ooo` for what is not printable.
#[must_use]
pub fn word_of_escaped(path: &str) -> String {
    escape::unescape(path).map_or_else(|| word(path), word)
}

fn quoted_word(path: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(byte);
    match std::str::from_utf8(path) {
        Ok(path) if !path.is_empty() && path.bytes().all(|byte| plain(&byte)) => path.to_owned(),
        Ok(path) if is_seen(path) => format!("'{}'", path.replace('\'', r"'\''")),
        _ => with_escapes(path),
    }
}

fn is_seen(text: &str) -> bool {
    let mut sight = Sight::default();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if !sight.sees(character, characters.peek().copied()) {
            return false;
        }
    }
    true
}

fn with_escapes(path: &[u8]) -> String {
    let mut word = String::from("$'");
    let mut sight = Sight::default();
    for chunk in path.utf8_chunks() {
        let mut characters = chunk.valid().chars().peekable();
        while let Some(character) = characters.next() {
            let is_seen = sight.sees(character, characters.peek().copied());
            if is_seen && !matches!(character, '\'' | '\\') {
                word.push(character);
            } else {
                sight.interrupt();
                let mut buffer = [0; 4];
                push_octal(&mut word, character.encode_utf8(&mut buffer).as_bytes());
            }
        }
        sight.interrupt();
        push_octal(&mut word, chunk.invalid());
    }
    word.push('\'');
    word
}

fn push_octal(word: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(word, "\\{byte:03o}");
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, process::Command};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_says_what_it_is_and_does_nothing() {
        for (name, expected) in [
            (&b"/home/ann/a.txt"[..], "/home/ann/a.txt"),
            (b"", "''"),
            (b"na me", "'na me'"),
            (b"it's", r"'it'\''s'"),
            (b"$(rm -rf ~)", "'$(rm -rf ~)'"),
            ("größe".as_bytes(), "'größe'"),
            (b"-rf", "./-rf"),
            (b"a\nb'c\\", r"$'a\012b\047c\134'"),
            (b"caf\xe9", r"$'caf\351'"),
            ("a\u{202e}b".as_bytes(), r"$'a\342\200\256b'"),
        ] {
            assert_eq!(word(name), expected);
        }
    }

    #[test]
    fn an_option_stays_one() {
        for (typed, expected) in [
            ("--yes", "--yes"),
            ("--config=/a b/c", "--config='/a b/c'"),
            ("-F", "-F"),
            ("a=b c", "'a=b c'"),
        ] {
            assert_eq!(argument(typed), expected);
        }
    }

    /// What a shell makes of a word.
    fn word_in_shell(text: &str) -> Vec<u8> {
        let mut command = Command::new("bash");
        let script = format!("printf %s {text}");
        command.args(["-c", &script]).env("LC_ALL", "C.UTF-8");
        command.output().unwrap().stdout
    }

    #[test]
    fn a_shell_reads_every_byte_as_it_was() {
        let all: Vec<u8> = (1..=255).collect();
        assert_eq!(word_in_shell(&word(&all)), all);
        for name in [
            &b"a'b"[..],
            b"a b\n",
            b"\xff'\\",
            "日本 \u{200b}".as_bytes(),
        ] {
            assert_eq!(word_in_shell(&word(name)), name);
        }
    }

    proptest! {
        #[test]
        fn no_word_breaks_a_line_or_ends_early(name: Vec<u8>) {
            let text = word(&name);
            prop_assert_eq!(&crate::outside::one_line(&text), &text);
            let name = OsStr::from_bytes(&name);
            prop_assert!(!text.starts_with('-'), "{:?}", name);
        }
    }
}
