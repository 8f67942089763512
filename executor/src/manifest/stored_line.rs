//! A manifest's line as it stands there, read as far as is needed of a file that is as it was.
//!
//! Most files of most runs are that: their line goes from the basis' manifest into the new one without
//! being taken apart and put together again.

use schema::{Digest, escape::unescape};

use super::{
    Looks,
    words::{parse_device, parse_digits, parse_kind, parse_nanos, words_of},
};
use crate::sys::Kind;

/// A line, of which nothing is copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredLine<'a> {
    /// All of it, without its newline.
    pub(crate) text: &'a [u8],
    /// What tells whether its source is as it was.
    pub(crate) looks: Looks,
    /// What its user and group are called, as text of a line.
    pub(crate) names: [Option<&'a [u8]>; 2],
    /// The snapshot that first stored its content, as text.
    pub(crate) stored: Option<&'a [u8]>,
    /// It has the digest of attributes.
    pub(crate) has_attributes: bool,
    /// It says where a symlink leads, and how many bytes it has.
    has_target: bool,
    is_sized: bool,
    /// It has no words but those of an entry that has one name, its own, and was stored whole: the line of an
    /// untouched source is this line again.
    pub(crate) is_plain: bool,
}

impl<'a> StoredLine<'a> {
    /// Reads a line; none where [`super::Entry::from_line`] would not.
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        let mut words = words_of(text);
        let path = words.next()?;
        if !path.starts_with(b"./") && path != b"." {
            return None;
        }
        let mut this = Self {
            text,
            looks: Looks {
                kind: Kind::Socket,
                mode: 0,
                uid: 0,
                gid: 0,
                size: 0,
                mtime: 0,
                ctime: 0,
                ino: 0,
                device: None,
                has_digest: false,
                is_stored: false,
                torn: false,
                unread: false,
                absent: false,
                tree: 0,
            },
            names: [None; 2],
            stored: None,
            has_attributes: false,
            has_target: false,
            is_sized: false,
            is_plain: true,
        };
        let mut typed = false;
        for word in words {
            let at = word.iter().position(|byte| *byte == b'=');
            let (key, value) = at.map_or((word, &b""[..]), |at| (&word[..at], &word[at + 1..]));
            this.set_word(key, value)?;
            typed |= key == b"type";
        }
        if this.looks.kind != Kind::File {
            this.looks.size = 0;
            this.is_plain &= !this.is_sized;
        }
        this.is_plain &= this.has_target == (this.looks.kind == Kind::Symlink);
        typed.then_some(this)
    }

    fn set_word(&mut self, key: &[u8], value: &'a [u8]) -> Option<()> {
        let looks = &mut self.looks;
        match key {
            b"type" => looks.kind = parse_kind(value)?,
            b"mode" => looks.mode = parse_digits(value, 8).filter(|mode| *mode <= 0o7777)?,
            b"uid" => looks.uid = parse_digits(value, 10)?,
            b"gid" => looks.gid = parse_digits(value, 10)?,
            b"uname" => self.names[0] = Some(value),
            b"gname" => self.names[1] = Some(value),
            b"size" => {
                looks.size = parse_digits(value, 10)?;
                self.is_sized = true;
            }
            b"link" => {
                unescape(value)?;
                self.has_target = true;
            }
            b"time" => looks.mtime = parse_nanos(value)?,
            b"ctime" => looks.ctime = parse_nanos(value)?,
            b"inode" => looks.ino = parse_digits(value, 10)?,
            b"sha256digest" => looks.has_digest = Digest::from_hex(value).map(|_| true)?,
            b"xattrsdigest" => {
                Digest::from_hex(value)?;
                self.has_attributes = true;
            }
            b"stored" => {
                looks.is_stored = true;
                self.stored = Some(value);
            }
            _ => {
                self.is_plain = false;
                match key {
                    b"device" => looks.device = Some(parse_device(value)?),
                    b"torn" => looks.torn = true,
                    b"unread" => looks.unread = true,
                    b"absent" => looks.absent = true,
                    _ => {}
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Entry, *};

    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn lines() -> Vec<String> {
        let plain = format!(
            "./home/ann/a\\040b type=file mode=4755 uid=1000 gid=100 uname=ann\\040b gname=users \
             size=5 time=-1.999999999 sha256digest={DIGEST} inode=18446744073709551615 \
             ctime=1736992800.123456789 stored=2025-01-16_02-00-00"
        );
        let mut lines = vec![
            plain.clone(),
            format!("{plain} xattrsdigest={DIGEST}"),
            ". type=dir mode=0755 uid=0 gid=0 time=0.000000000 inode=2 ctime=0.000000000"
                .to_owned(),
            "./l type=link mode=0777 uid=0 gid=0 time=0.000000000 link=../a\\040b inode=3 \
             ctime=0.000000000"
                .to_owned(),
        ];
        for more in [
            "group=3",
            "flags=schg",
            "xattr.user.a=00ff",
            "as=home~1",
            "torn",
            "unread",
            "absent",
            "later=1",
        ] {
            lines.push(format!("{plain} {more}"));
        }
        lines.push("./l type=link mode=0777 uid=0 gid=0 link=../x size=7".to_owned());
        lines.push("./l type=link mode=0777 uid=0 gid=0".to_owned());
        lines.push("./f type=fifo mode=0777 uid=0 gid=0 link=../x".to_owned());
        lines.push("./d type=block mode=0600 uid=0 gid=0 device=linux,8,1".to_owned());
        lines
    }

    #[test]
    fn a_line_looks_as_its_entry_does() {
        for text in lines() {
            let line = StoredLine::read(text.as_bytes()).unwrap();
            let entry = Entry::from_line(&text).unwrap();
            assert_eq!(line.looks, Looks::from(&entry), "{text}");
            let stored = line
                .stored
                .map(|id| String::from_utf8_lossy(id).into_owned());
            assert_eq!(stored, entry.stored.map(|id| id.to_string()), "{text}");
        }
    }

    #[test]
    fn a_plain_line_is_the_line_of_its_entry_and_no_other_is_plain() {
        for (at, text) in lines().into_iter().enumerate() {
            let line = StoredLine::read(text.as_bytes()).unwrap();
            assert_eq!(line.is_plain, at < 4, "{text}");
            if line.is_plain {
                let mut again = Vec::new();
                Entry::from_line(&text).unwrap().write_line(&mut again);
                assert_eq!(again, format!("{text}\n").as_bytes());
            }
        }
    }

    #[test]
    fn what_is_no_entry_is_no_line() {
        for bad in [
            "",
            "x type=file",
            "./a",
            "./a type=what",
            "./a type=file size=x",
            "./a type=file uid=4294967296",
            "./a type=file mode=9",
            "./a type=file time=1.5",
            "./a type=file sha256digest=abc",
            "./a type=file xattrsdigest=",
            "./a type=link link=\\",
        ] {
            assert!(Entry::from_line(bad).is_err(), "{bad}");
            assert!(StoredLine::read(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
