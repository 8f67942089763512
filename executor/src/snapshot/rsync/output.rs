//! Parses what rsync says, line by line: entries, progress, faults. Touches no file.
//!
//! With `LC_ALL=C` rsync writes every byte of a name that is not printable ASCII as `\#ooo`, so no
//! name can end a line or look like another one.

use std::borrow::Cow;

use schema::{StoredPath, StoredPathBuf, path::rest_below};

/// How the opened source is named: it is rsync's standard input.
pub(super) const SOURCE: &str = "/proc/self/fd/0";

/// A line, or what stands between two carriage returns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OutputEvent<'a> {
    /// A file was copied from the source, or is about to be finished. Its path is relative to the
    /// source.
    Copied(Cow<'a, [u8]>),
    /// So many bytes were copied by this call.
    Bytes(u64),
    /// A file is being copied that has grown since it was listed, and is this much longer at least. rsync
    /// counts with the length that it listed and the place in the file as it opened it
    /// (`rprint_progress` of its progress.c), which gives numbers below zero.
    Grown(u64),
    /// Anything else.
    Other,
}

/// Reads a line of the standard output, as the plan's `--out-format` and `--info` give it.
pub(super) fn parse_output(line: &[u8]) -> OutputEvent<'_> {
    if let Some(item) = line.strip_prefix(b"|") {
        let Some(at) = item.iter().position(|byte| *byte == b'|') else {
            return OutputEvent::Other;
        };
        let (what, name) = (&item[..at], &item[at + 1..]);
        // `>` is a transfer and `f` a regular file; folders are told of, too.
        return match what {
            [b'>', b'f', ..] => OutputEvent::Copied(decode_name(name)),
            _ => OutputEvent::Other,
        };
    }
    let number = line.trim_ascii_start();
    let below_zero = number.strip_prefix(b"-");
    let digits = below_zero.unwrap_or(number);
    let length = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let number = std::str::from_utf8(&digits[..length]).ok();
    match number.and_then(|number| number.parse().ok()) {
        Some(bytes) if digits[length..].starts_with(b" ") && digits.contains(&b'%') => {
            match below_zero {
                Some(_) => OutputEvent::Grown(bytes),
                None => OutputEvent::Bytes(bytes),
            }
        }
        _ => OutputEvent::Other,
    }
}

/// The bytes behind a name as rsync writes it.
fn decode_name(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.windows(2).any(|pair| pair == b"\\#") {
        return name.into();
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        if let [
            b'\\',
            b'#',
            a @ b'0'..=b'3',
            b @ b'0'..=b'7',
            c @ b'0'..=b'7',
            after @ ..,
        ] = rest
        {
            bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
            rest = after;
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    bytes.into()
}

/// A line of the standard error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RsyncFault<'a> {
    /// An entry that was listed and then was not there.
    Vanished,
    /// Something that could not be done with an entry of this path, where it is one in the source.
    With(Option<StoredPathBuf>, &'a [u8]),
    /// What only sums up or tells of no entry.
    Summary,
}

/// Reads a line of the standard error. `into` is the folder of the new tree that rsync runs in.
pub(super) fn parse_fault<'a>(line: &'a [u8], into: &[u8]) -> RsyncFault<'a> {
    let path_in = |text| quoted_part(text).and_then(|path| path_below(path, into));
    if line.starts_with(b"file has vanished: ") {
        return RsyncFault::Vanished;
    }
    let summaries: [&[u8]; 4] = [
        b"rsync error: ",
        b"rsync warning: ",
        b"WARNING:",
        // Modes are not rsync's business here.
        b"default_perms_for_dir: ",
    ];
    if line.is_empty() || summaries.iter().any(|start| line.starts_with(start)) {
        return RsyncFault::Summary;
    }
    RsyncFault::With(path_in(line), line)
}

/// What stands between the first and the last quotation mark.
fn quoted_part(line: &[u8]) -> Option<&[u8]> {
    let first = line.iter().position(|byte| *byte == b'"')?;
    let last = line.iter().rposition(|byte| *byte == b'"')?;
    line.get(first + 1..last)
}

/// The path relative to the source, of an entry of the source or of what stands for it.
fn path_below(path: &[u8], into: &[u8]) -> Option<StoredPathBuf> {
    let path = decode_name(path);
    if let Some(path) = rest_below(&path, SOURCE.as_bytes()) {
        return Some(path.into());
    }
    let path = StoredPath::new(rest_below(&path, into)?);
    let (folder, name) = path.split_name().unwrap_or_default();
    // A file that is not finished yet: its name between a dot and a dot with six random characters.
    let name = match name {
        [b'.', rest @ ..] if rest.len() > 7 && rest[rest.len() - 7] == b'.' => {
            &rest[..rest.len() - 7]
        }
        name => name,
    };
    Some(folder.join(name))
}

/// What an exit code means, in rsync's own words.
pub(super) fn exit_code_meaning(code: i32) -> &'static str {
    match code {
        1 => "syntax or usage error",
        2 => "protocol incompatibility",
        3 => "errors selecting input and output files",
        4 => "requested action not supported",
        5 => "error starting client-server protocol",
        6 => "errors with its log file",
        10 => "error in socket i/o",
        11 => "error in file i/o",
        12 => "error in rsync protocol data stream",
        13 => "errors with program diagnostics",
        14 => "error in ipc code",
        19 | 20 => "ended by a signal",
        21 => "error in waitpid()",
        22 => "out of memory",
        25 => "stopped at a limit of deletions",
        30 | 35 => "timeout",
        _ => "unknown error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_from_progress_and_from_all_else() {
        let copied = |name: &'static [u8]| OutputEvent::Copied(name.into());
        for (line, expected) in [
            (&b"|>f+++++++++|sub/a b"[..], copied(b"sub/a b")),
            (b"|>f.st......|a|b", copied(b"a|b")),
            (b"|>f+++++++++|new\\#012line", copied(b"new\nline")),
            (b"|>f+++++++++|\\#377\\#376", copied(b"\xff\xfe")),
            (
                b"|>f+++++++++|back\\#134#012slash",
                copied(b"back\\#012slash"),
            ),
            (b"|>f+++++++++|\\#4", copied(b"\\#4")),
            (b"|cf...p.....|a", OutputEvent::Other),
            (b"|cd+++++++++|sub/", OutputEvent::Other),
            (b"|>f", OutputEvent::Other),
            (b"", OutputEvent::Other),
            (b"12", OutputEvent::Other),
            (b"12 files", OutputEvent::Other),
            (
                b"     52428806  99%  354.61MB/s    0:00:00 (xfr#6, to-chk=1/12)",
                OutputEvent::Bytes(52_428_806),
            ),
            (
                b"            1   0%    0.00kB/s    0:00:00  ",
                OutputEvent::Bytes(1),
            ),
            (
                b" -8796089858366 -293202799% -2811761549.69kB/s   ??:??:??  ",
                OutputEvent::Grown(8_796_089_858_366),
            ),
            (b"skipping non-regular file \"x\"", OutputEvent::Other),
        ] {
            assert_eq!(
                parse_output(line),
                expected,
                "{}",
                String::from_utf8_lossy(line)
            );
        }
    }

    #[test]
    fn faults_name_the_path_below_the_source() {
        let path = |path: &[u8]| Some(StoredPathBuf::from(path));
        let unfinished = b"rsync: mkstemp \"/mnt/new/sub/.x.y.AbCdEf\" failed";
        let elsewhere = b"rsync: mkstemp \"/mnt/newer/x\" failed";
        let denied = b"rsync: [sender] send_files failed to open \"/proc/self/fd/0/a \\#012\"b\": Permission denied (13)";
        for (line, expected) in [
            (
                &b"file has vanished: \"/proc/self/fd/0/sub/x\""[..],
                RsyncFault::Vanished,
            ),
            (denied, RsyncFault::With(path(b"a \n\"b"), denied)),
            (
                b"rsync: [sender] opendir \"/proc/self/fd/0\" failed: x",
                RsyncFault::With(
                    path(b""),
                    b"rsync: [sender] opendir \"/proc/self/fd/0\" failed: x",
                ),
            ),
            (unfinished, RsyncFault::With(path(b"sub/x.y"), unfinished)),
            (elsewhere, RsyncFault::With(None, elsewhere)),
            (b"what \"", RsyncFault::With(None, b"what \"")),
            (
                b"rsync error: some files (code 23) at main.c",
                RsyncFault::Summary,
            ),
            (b"", RsyncFault::Summary),
        ] {
            let found = parse_fault(line, b"/mnt/new");
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(line));
        }
    }
}
