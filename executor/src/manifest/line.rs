//! One manifest line to and from text. Nothing here reads or writes a file.

use std::{cmp::Ordering, fmt, io, os::unix::ffi::OsStrExt as _};

use memchr::memchr;
use schema::{
    Digest, StoredPath, StoredPathBuf,
    escape::{self, escape, push_escaped, unescape},
};

use super::{
    Entry, MOST_ATTRIBUTES,
    words::{
        parse_device, parse_digits, parse_hex, parse_kind, parse_nanos, parse_owner, plain_name,
        push_name, push_number, push_octal, push_time, push_word, type_word, words_of,
    },
};
use crate::sys::{Kind, Owners, attributes::Attributes};

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

/// What is needed of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    All,
    /// All but what user and group are called.
    NoNames,
}

/// The path that stands in a line.
pub(crate) fn stored_path(line: &[u8]) -> StoredPathBuf {
    let path = unescape(line).unwrap_or_default();
    match path.strip_prefix(b"./") {
        Some(path) => path.to_vec().into(),
        // The snapshot itself.
        None => StoredPathBuf::new(),
    }
}

/// The order of two paths as they stand in manifests.
pub(crate) fn order_of_paths(one: &[u8], other: &[u8]) -> Ordering {
    if one == other {
        return Ordering::Equal;
    }
    if memchr(b'\\', one).is_none() && memchr(b'\\', other).is_none() {
        return StoredPath::new(one).cmp(StoredPath::new(other));
    }
    let path = |line| StoredPathBuf::from(unescape(line).unwrap_or_default());
    path(one).cmp(&path(other))
}

/// Makes lines of entries, one after the other.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    #[cfg(debug_assertions)]
    last: Option<StoredPathBuf>,
}

impl Lines {
    /// The line of the next entry, newline included. Invariant: its path follows the last one in path
    /// order.
    pub(super) fn line_of(&mut self, entry: &Entry) -> &[u8] {
        #[cfg(debug_assertions)]
        {
            if let Some(last) = &self.last {
                assert!(*last < entry.path, "manifest out of order");
            }
            self.last = Some(entry.path.clone());
        }
        self.line.clear();
        entry.write_line(&mut self.line);
        &self.line
    }
}

impl Entry {
    /// Appends the entry's line, newline included.
    pub fn write_line(&self, line: &mut Vec<u8>) {
        self.write_line_of(&self.owners, line);
    }

    /// The same with these names of its user and group.
    pub fn write_line_of(&self, owners: &Owners, line: &mut Vec<u8>) {
        if self.path.is_empty() {
            line.push(b'.');
        } else {
            line.extend_from_slice(b"./");
            push_escaped(line, self.path.as_bytes());
        }
        push_word(line, "type", type_word(self.kind).as_bytes());
        line.extend_from_slice(b" mode=");
        push_octal(line, self.mode);
        push_number(line, "uid", self.uid.into());
        push_number(line, "gid", self.gid.into());
        for (key, name) in [("uname", &owners.user), ("gname", &owners.group)] {
            if let Some(name) = name {
                push_name(line, key, name.as_bytes());
            }
        }
        if self.kind == Kind::File {
            push_number(line, "size", self.size);
        }
        push_time(line, "time", self.mtime);
        if let Some(digest) = &self.digest {
            push_word(line, "sha256digest", &digest.hex());
        }
        if let Some(target) = &self.target {
            push_name(line, "link", target);
        }
        if let Some((major, minor)) = self.device {
            push_word(line, "device", format!("linux,{major},{minor}").as_bytes());
        }
        push_number(line, "inode", self.ino);
        push_time(line, "ctime", self.ctime);
        if let Some(stored) = self.stored {
            push_word(line, "stored", b"");
            stored.push_to(line);
        }
        if let Some(group) = self.group {
            push_number(line, "group", group);
        }
        match (self.immutable, self.append_only) {
            (false, false) => {}
            (true, false) => push_word(line, "flags", b"schg"),
            (false, true) => push_word(line, "flags", b"sappnd"),
            (true, true) => push_word(line, "flags", b"sappnd,schg"),
        }
        if let Some(digest) = &self.xattrs_digest {
            push_word(line, "xattrsdigest", &digest.hex());
        }
        for (name, value) in &self.xattrs_kept {
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            push_word(line, &format!("xattr.{}", escape(name)), hex.as_bytes());
        }
        if let Some(name) = &self.stored_as {
            push_name(line, "as", name.as_bytes());
        }
        if self.torn {
            line.extend_from_slice(b" torn");
        }
        if self.unread {
            line.extend_from_slice(b" unread");
        }
        if self.absent {
            line.extend_from_slice(b" absent");
        }
        line.push(b'\n');
    }

    /// Reads a line without its newline.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn from_line(line: impl AsRef<[u8]>) -> Result<Self, InvalidLine> {
        Self::from_line_for(line.as_ref(), Wanted::All)
    }

    /// The same without what its user and group are called, for who has that from elsewhere.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub(crate) fn from_nameless_line(line: &[u8]) -> io::Result<Self> {
        Self::from_line_for(line, Wanted::NoNames)
            .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))
    }

    /// The same for who needs no more than this of it.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub(super) fn from_line_for(line: &[u8], wanted: Wanted) -> Result<Self, InvalidLine> {
        let fault = |because: &str| InvalidLine {
            because: format!(
                "{because}: `{}`",
                escape::display(&line[..line.len().min(120)])
            ),
        };
        let mut words = words_of(line);
        let path = words.next().unwrap_or_default();
        let path = match path.strip_prefix(b"./") {
            Some(path) => unescape(path).ok_or_else(|| fault("bad escape in path"))?,
            None if path == b"." => Vec::new(),
            None => return Err(fault("path does not start with ./")),
        };
        let mut entry = Self::without_words(path);
        let mut typed = false;
        for word in words {
            let at = word.iter().position(|byte| *byte == b'=');
            let (key, value) = at.map_or((word, &b""[..]), |at| (&word[..at], &word[at + 1..]));
            if wanted == Wanted::NoNames && matches!(key, b"uname" | b"gname") {
                continue;
            }
            entry
                .set_word(key, value)
                .ok_or_else(|| fault(&format!("bad value of {}", escape::display(key))))?;
            typed |= key == b"type";
        }
        if !typed {
            return Err(fault("no type"));
        }
        if entry.kind != Kind::File {
            // Nothing else has one, whatever its line says.
            entry.size = 0;
        }
        Ok(entry)
    }

    /// The entry of a path of which no word is read yet.
    #[inline]
    fn without_words(path: Vec<u8>) -> Self {
        Self {
            path: path.into(),
            kind: Kind::Socket,
            mode: 0,
            uid: 0,
            gid: 0,
            owners: Owners::default(),
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
            unread: false,
            absent: false,
            stored_as: None,
            immutable: false,
            append_only: false,
            tree: 0,
            stands_at: None,
        }
    }

    /// Takes over what a word says; none where its value is bad.
    #[inline]
    fn set_word(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"type" => self.kind = parse_kind(value)?,
            b"mode" => self.mode = parse_digits(value, 8).filter(|mode| *mode <= 0o7777)?,
            b"uid" => self.uid = parse_digits(value, 10)?,
            b"gid" => self.gid = parse_digits(value, 10)?,
            b"uname" => self.owners.user = parse_owner(value),
            b"gname" => self.owners.group = parse_owner(value),
            b"size" => self.size = parse_digits(value, 10)?,
            b"time" => self.mtime = parse_nanos(value)?,
            b"ctime" => self.ctime = parse_nanos(value)?,
            b"inode" => self.ino = parse_digits(value, 10)?,
            b"sha256digest" => self.digest = Some(Digest::from_hex(value)?),
            b"stored" => {
                let id = std::str::from_utf8(value).ok()?;
                self.stored = Some(id.parse().ok()?);
            }
            b"link" => self.target = Some(unescape(value)?),
            b"device" => self.device = Some(parse_device(value)?),
            b"group" => self.group = Some(parse_digits(value, 10)?),
            b"flags" => {
                let mut flags = value.split(|byte| *byte == b',');
                self.immutable = flags.clone().any(|flag| flag == b"schg");
                self.append_only = flags.any(|flag| flag == b"sappnd");
            }
            b"xattrsdigest" => self.xattrs_digest = Some(Digest::from_hex(value)?),
            b"as" => self.stored_as = Some(plain_name(value)?),
            b"torn" => self.torn = true,
            b"unread" => self.unread = true,
            b"absent" => self.absent = true,
            // Words of later versions are passed over, as mtree's readers do.
            _ => {
                if let Some(name) = key.strip_prefix(b"xattr.") {
                    if self.xattrs_kept.len() == MOST_ATTRIBUTES {
                        return None;
                    }
                    self.xattrs_kept.push((unescape(name)?, parse_hex(value)?));
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back_from_its_line() {
        let file = Entry {
            path: b"home/ann/a b\n\xff=#".to_vec().into(),
            kind: Kind::File,
            mode: 0o4755,
            uid: 1000,
            gid: 100,
            owners: Owners {
                user: Some("ann b".into()),
                group: Some("users".into()),
            },
            mtime: -1,
            ctime: 1_736_992_800_123_456_789,
            ino: u64::MAX,
            size: 5,
            digest: Some(Digest::of(b"x")),
            stored: "2025-01-16_02-00-00".parse().ok(),
            target: None,
            device: None,
            group: Some(3),
            xattrs_digest: Some(Digest::of(b"y")),
            xattrs_kept: vec![(b"user.a b".to_vec(), b"\0\xff".to_vec())],
            torn: true,
            unread: true,
            absent: true,
            stored_as: Some("home~1 \n".into()),
            immutable: true,
            append_only: true,
            tree: 0,
            stands_at: None,
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
            path: Vec::new().into(),
            target: None,
            device: Some((8, 1)),
            ..link.clone()
        };
        for entry in [file, link, device] {
            let mut line = Vec::new();
            entry.write_line(&mut line);
            assert_eq!(
                line.iter().position(|byte| *byte == b'\n'),
                Some(line.len() - 1)
            );
            let line = line.trim_ascii_end();
            assert_eq!(Entry::from_line(line), Ok(entry.clone()));
            // Who does without names has all the rest.
            let nameless = Entry {
                owners: Owners::default(),
                ..entry
            };
            assert_eq!(Entry::from_line_for(line, Wanted::NoNames), Ok(nameless));
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
            "./a type=file size=",
            "./a type=file size=99999999999999999999",
            "./a type=file uid=4294967296",
            "./a type=file mode=9",
            "./a type=file time=1.5",
            "./\\9 type=file",
            "./a type=file as=",
            "./a type=file as=..",
            "./a type=file as=b/c",
        ] {
            assert!(Entry::from_line(bad).is_err(), "{bad}");
        }
        assert!(Entry::from_line("./a type=file later=1 flag").is_ok());
    }
}
