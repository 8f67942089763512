//! The words of a manifest line: numbers, times, kinds and names to and from text.
//!
//! Numbers are written without the formatter and read by hand: a manifest has a dozen in each of its
//! millions of lines.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, sync::Arc};

use memchr::memchr_iter;
use schema::escape::{push_escaped, unescape};

use crate::sys::{Kind, stat::Nanos};

pub(super) fn push_word(line: &mut Vec<u8>, key: &str, value: &[u8]) {
    line.push(b' ');
    line.extend_from_slice(key.as_bytes());
    line.push(b'=');
    line.extend_from_slice(value);
}

pub(super) fn push_number(line: &mut Vec<u8>, key: &str, value: u64) {
    push_word(line, key, b"");
    push_decimal(line, value, 1);
}

/// A number with zeros before it up to a width.
fn push_decimal(line: &mut Vec<u8>, value: u64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value);
    line.extend(std::iter::repeat_n(b'0', width.saturating_sub(text.len())));
    line.extend_from_slice(text.as_bytes());
}

pub(super) fn push_octal(line: &mut Vec<u8>, mode: u32) {
    for shift in [9, 6, 3, 0] {
        line.push(b'0' + u8::try_from(mode >> shift & 7).unwrap_or(0));
    }
}

pub(super) fn push_time(line: &mut Vec<u8>, key: &str, time: Nanos) {
    const SECOND: Nanos = 1_000_000_000;
    push_word(line, key, b"");
    let seconds = time.div_euclid(SECOND);
    if seconds < 0 {
        line.push(b'-');
    }
    let whole = u64::try_from(seconds.unsigned_abs()).unwrap_or(u64::MAX);
    push_decimal(line, whole, 1);
    line.push(b'.');
    push_decimal(line, u64::try_from(time.rem_euclid(SECOND)).unwrap_or(0), 9);
}

/// What a line is split into.
pub(super) fn words_of(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr_iter(b' ', line).chain([line.len()]);
    ends.scan(0, |from, end| {
        let word = &line[*from..end];
        *from = end + 1;
        Some(word)
    })
}

pub(super) fn push_name(line: &mut Vec<u8>, key: &str, name: &[u8]) {
    push_word(line, key, b"");
    push_escaped(line, name);
}

/// The name of a user or group; none for what is no text, which numbers stand for as well.
pub(super) fn parse_owner(text: &[u8]) -> Option<Arc<str>> {
    let name = String::from_utf8(unescape(text)?).ok()?;
    (!name.is_empty()).then(|| name.into())
}

/// Digits of a base only, of at least one and no more than fit.
pub(super) fn parse_digits<T: TryFrom<u64>>(text: &[u8], base: u64) -> Option<T> {
    let mut value = 0_u64;
    for digit in text {
        let digit = u64::from(digit.wrapping_sub(b'0'));
        (digit < base).then_some(())?;
        value = value.checked_mul(base)?.checked_add(digit)?;
    }
    (!text.is_empty()).then(|| T::try_from(value).ok())?
}

pub(super) fn parse_nanos(text: &[u8]) -> Option<Nanos> {
    let at = text.iter().position(|byte| *byte == b'.')?;
    let (seconds, nanos) = (&text[..at], &text[at + 1..]);
    let (negative, seconds) = match seconds.strip_prefix(b"-") {
        Some(seconds) => (true, seconds),
        None => (false, seconds),
    };
    let whole: Nanos = parse_digits::<u64>(seconds, 10)?.into();
    (nanos.len() == 9).then_some(())?;
    let whole = if negative { -whole } else { whole };
    Some(whole * 1_000_000_000 + Nanos::from(parse_digits::<u64>(nanos, 10)?))
}

pub(super) fn type_word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "dir",
        Kind::Symlink => "link",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice => "char",
        Kind::BlockDevice => "block",
    }
}

pub(super) fn parse_kind(word: &[u8]) -> Option<Kind> {
    Some(match word {
        b"file" => Kind::File,
        b"dir" => Kind::Folder,
        b"link" => Kind::Symlink,
        b"fifo" => Kind::Fifo,
        b"socket" => Kind::Socket,
        b"char" => Kind::CharDevice,
        b"block" => Kind::BlockDevice,
        _ => return None,
    })
}

pub(super) fn parse_device(text: &[u8]) -> Option<(u32, u32)> {
    let text = text.strip_prefix(b"linux,")?;
    let at = text.iter().position(|byte| *byte == b',')?;
    Some((
        parse_digits(&text[..at], 10)?,
        parse_digits(&text[at + 1..], 10)?,
    ))
}

/// One name of a folder, which leads nowhere else.
pub(super) fn plain_name(text: &[u8]) -> Option<OsString> {
    let name = unescape(text)?;
    let leads_away = matches!(name.as_slice(), b"" | b"." | b"..")
        || name.iter().any(|byte| matches!(byte, b'/' | b'\0'));
    (!leads_away).then(|| OsString::from_vec(name))
}

pub(super) fn parse_hex(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_each_blank() {
        for line in [
            "",
            " ",
            "a",
            " a",
            "a ",
            "a  b",
            "./a type=file  mode=0644 ",
        ] {
            let line = line.as_bytes();
            let split: Vec<_> = line.split(|byte| *byte == b' ').collect();
            assert_eq!(words_of(line).collect::<Vec<_>>(), split);
        }
    }
}
