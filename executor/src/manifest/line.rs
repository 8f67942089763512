//! One manifest line to and from text. Nothing here reads or writes a file.

use std::{fmt, fmt::Write as _};

use schema::escape::{escape, unescape};

use super::Entry;
use crate::sys::{Kind, attributes::Attributes, stat::Nanos};

/// A line that is not a manifest entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidLine {
    /// What is wrong with it.
    pub because: String,
}

impl fmt::Display for InvalidLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.because)
    }
}

impl std::error::Error for InvalidLine {}

impl Entry {
    /// Appends the entry's line, newline included.
    pub fn write_line(&self, line: &mut String) {
        // Writing to a String cannot fail.
        let _ = self.try_write(line);
    }

    fn try_write(&self, line: &mut String) -> fmt::Result {
        if self.path.is_empty() {
            line.push('.');
        } else {
            line.push_str("./");
            for (at, part) in self.path.split(|byte| *byte == b'/').enumerate() {
                if at > 0 {
                    line.push('/');
                }
                line.push_str(&escape(part));
            }
        }
        write!(
            line,
            " type={} mode={:04o} uid={} gid={}",
            word(self.kind),
            self.mode,
            self.uid,
            self.gid
        )?;
        if self.kind == Kind::File {
            write!(line, " size={}", self.size)?;
        }
        line.push_str(" time=");
        write_time(line, self.mtime)?;
        if let Some(digest) = self.digest {
            write!(line, " sha256digest={digest}")?;
        }
        if let Some(target) = &self.target {
            write!(line, " link={}", escape(target))?;
        }
        if let Some((major, minor)) = self.device {
            write!(line, " device=linux,{major},{minor}")?;
        }
        write!(line, " inode={} ctime=", self.ino)?;
        write_time(line, self.ctime)?;
        if let Some(stored) = self.stored {
            write!(line, " stored={stored}")?;
        }
        if let Some(group) = self.group {
            write!(line, " group={group}")?;
        }
        if let Some(digest) = self.xattrs_digest {
            write!(line, " xattrsdigest={digest}")?;
        }
        for (name, value) in &self.xattrs_kept {
            write!(line, " xattr.{}=", escape(name))?;
            value
                .iter()
                .try_for_each(|byte| write!(line, "{byte:02x}"))?;
        }
        if self.torn {
            line.push_str(" torn");
        }
        if self.absent {
            line.push_str(" absent");
        }
        line.push('\n');
        Ok(())
    }

    /// Reads a line without its newline.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn from_line(line: &str) -> Result<Self, InvalidLine> {
        let fault = |because: &str| InvalidLine {
            because: format!(
                "{because}: `{}`",
                line.chars().take(120).collect::<String>()
            ),
        };
        let mut words = line.split(' ');
        let path = words.next().unwrap_or_default();
        let path = match path.strip_prefix("./") {
            Some(path) => unescape(path).ok_or_else(|| fault("bad escape in path"))?,
            None if path == "." => Vec::new(),
            None => return Err(fault("path does not start with ./")),
        };
        let mut entry = Self {
            path,
            kind: Kind::Socket,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: 0,
            ctime: 0,
            ino: 0,
            size: 0,
            digest: None,
            stored: None,
            target: None,
            device: None,
            group: None,
            xattrs_digest: None,
            xattrs_kept: Attributes::new(),
            torn: false,
            absent: false,
        };
        let mut typed = false;
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let bad = || fault(&format!("bad value of {key}"));
            match key {
                "type" => {
                    entry.kind = kind(value).ok_or_else(bad)?;
                    typed = true;
                }
                "mode" => entry.mode = u32::from_str_radix(value, 8).map_err(|_| bad())?,
                "uid" => entry.uid = value.parse().map_err(|_| bad())?,
                "gid" => entry.gid = value.parse().map_err(|_| bad())?,
                "size" => entry.size = value.parse().map_err(|_| bad())?,
                "time" => entry.mtime = time(value).ok_or_else(bad)?,
                "ctime" => entry.ctime = time(value).ok_or_else(bad)?,
                "inode" => entry.ino = value.parse().map_err(|_| bad())?,
                "sha256digest" => entry.digest = Some(value.parse().map_err(|_| bad())?),
                "stored" => entry.stored = Some(value.parse().map_err(|_| bad())?),
                "link" => entry.target = Some(unescape(value).ok_or_else(bad)?),
                "device" => entry.device = Some(device(value).ok_or_else(bad)?),
                "group" => entry.group = Some(value.parse().map_err(|_| bad())?),
                "xattrsdigest" => entry.xattrs_digest = Some(value.parse().map_err(|_| bad())?),
                "torn" => entry.torn = true,
                "absent" => entry.absent = true,
                // Words of later versions are passed over, as mtree's readers do.
                _ => {
                    if let Some(name) = key.strip_prefix("xattr.") {
                        let name = unescape(name).ok_or_else(bad)?;
                        entry.xattrs_kept.push((name, hex(value).ok_or_else(bad)?));
                    }
                }
            }
        }
        if !typed {
            return Err(fault("no type"));
        }
        Ok(entry)
    }
}

fn word(kind: Kind) -> &'static str {
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

fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        "file" => Kind::File,
        "dir" => Kind::Folder,
        "link" => Kind::Symlink,
        "fifo" => Kind::Fifo,
        "socket" => Kind::Socket,
        "char" => Kind::CharDevice,
        "block" => Kind::BlockDevice,
        _ => return None,
    })
}

fn write_time(line: &mut String, time: Nanos) -> fmt::Result {
    const SECOND: Nanos = 1_000_000_000;
    write!(
        line,
        "{}.{:09}",
        time.div_euclid(SECOND),
        time.rem_euclid(SECOND)
    )
}

fn time(text: &str) -> Option<Nanos> {
    let (seconds, nanos) = text.split_once('.')?;
    let whole: Nanos = i64::into(seconds.parse().ok()?);
    (nanos.len() == 9).then_some(())?;
    Some(whole * 1_000_000_000 + Nanos::from(nanos.parse::<u32>().ok()?))
}

fn device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.strip_prefix("linux,")?.split_once(',')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn hex(text: &str) -> Option<Vec<u8>> {
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
    fn every_field_comes_back_from_its_line() {
        let file = Entry {
            path: b"home/ann/a b\n\xff=#".to_vec(),
            kind: Kind::File,
            mode: 0o4755,
            uid: 1000,
            gid: 100,
            mtime: -1,
            ctime: 1_736_992_800_123_456_789,
            ino: u64::MAX,
            size: 5,
            digest: Some(schema::Digest::of(b"x")),
            stored: "2025-01-16_02-00-00".parse().ok(),
            target: None,
            device: None,
            group: Some(3),
            xattrs_digest: Some(schema::Digest::of(b"y")),
            xattrs_kept: vec![(b"user.a b".to_vec(), b"\0\xff".to_vec())],
            torn: true,
            absent: true,
        };
        let link = Entry {
            kind: Kind::Symlink,
            target: Some(b"../x y".to_vec()),
            size: 0,
            digest: None,
            ..file.clone()
        };
        let device = Entry {
            kind: Kind::BlockDevice,
            path: Vec::new(),
            target: None,
            device: Some((8, 1)),
            ..link.clone()
        };
        for entry in [file, link, device] {
            let mut line = String::new();
            entry.write_line(&mut line);
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Entry::from_line(line.trim_end_matches('\n')), Ok(entry));
        }
    }

    #[test]
    fn a_damaged_line_is_an_error_and_a_later_word_is_not() {
        for bad in [
            "",
            "x type=file",
            "./a",
            "./a type=what",
            "./a type=file size=x",
            "./\\9 type=file",
        ] {
            assert!(Entry::from_line(bad).is_err(), "{bad}");
        }
        assert!(Entry::from_line("./a type=file later=1 flag").is_ok());
    }
}
