//! Lists the files that rsync is to copy: those whose content surely is nowhere in the basis.
//!
//! Owns the choice and its form: a list for `--files-from` and `--from0`. What may be linked is not
//! in it, nor what only reading could tell, so that no byte is written that the plan did not
//! foretell. A folder in which all files are to be copied stands for them with all that is below:
//! rsync opens each listed path part by part, and a folder once.

use std::{
    collections::HashSet,
    io::{self, Write},
    os::unix::ffi::OsStrExt as _,
};

use schema::{
    record::Capabilities,
    rsync::{RsyncCall, SPARSE},
};

use crate::{
    survey::{Encountered, Moves, Record, excess_holes},
    sys::{Kind, Stat},
};

/// The longest path that is listed, in bytes; rsync's own end at 4096.
const LONGEST: usize = 4000;

/// Bytes of holes of a file that rsync is spared.
const MANY_HOLES: u64 = 64 << 20;

/// A folder that is being gone through.
#[derive(Default)]
struct Frame {
    /// Bytes of its path.
    length: usize,
    /// Something in it is not to be copied by rsync: what is gets listed one by one.
    is_mixed: bool,
    /// The destination cannot hold it under its name.
    is_refused: bool,
    /// What would be listed of it if it became mixed.
    entries: Vec<u8>,
    /// Files in it that are to be copied.
    files: u64,
}

/// What rsync is to copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ToCopy {
    /// Files.
    pub(super) files: u64,
    /// Their bytes, holes included, as the survey found them.
    pub(super) bytes: u64,
    /// All that is in the source is to be copied.
    pub(super) is_all: bool,
}

/// What rsync can be given.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    /// What the destination can hold.
    pub(super) can: &'a Capabilities,
    /// What has changed is compared with the basis' file, and shares blocks with it.
    pub(super) shares: bool,
}

/// What is gone through.
struct Lister<'a> {
    moves: &'a Moves,
    choice: Choice<'a>,
    /// rsync is called without `--sparse`.
    fills_holes: bool,
    groups: HashSet<(u64, u64)>,
    path: Vec<u8>,
    stack: Vec<Frame>,
    /// Bytes of the files that were listed.
    bytes: u64,
    /// The source itself was listed.
    is_all: bool,
}

/// Lists what is to be copied of one source, whose record is read to its end; gives how much it is.
///
/// # Errors
/// Those of `to`, or that the record is damaged.
pub(super) fn write_file_list(
    record: Record,
    moves: &Moves,
    choice: Choice<'_>,
    call: &RsyncCall,
    to: &mut dyn Write,
) -> io::Result<ToCopy> {
    go_through(record, moves, choice, call, &mut |_| Ok(()), to)
}

/// Shows `each` the path of each file that is to be copied of one source: relative to it, with a slash
/// before each name.
///
/// # Errors
/// Those of `each`, or that the record is damaged.
pub(super) fn visit_files(
    record: Record,
    moves: &Moves,
    choice: Choice<'_>,
    call: &RsyncCall,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    go_through(record, moves, choice, call, each, &mut io::sink()).map(|_| ())
}

fn go_through(
    mut record: Record,
    moves: &Moves,
    choice: Choice<'_>,
    call: &RsyncCall,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    to: &mut dyn Write,
) -> io::Result<ToCopy> {
    let mut lister = Lister {
        moves,
        choice,
        fills_holes: !call.arguments.iter().any(|argument| argument == SPARSE),
        groups: HashSet::new(),
        path: Vec::new(),
        stack: Vec::new(),
        bytes: 0,
        is_all: false,
    };
    let mut files = 0;
    while let Some((name, met)) = record.next_met()? {
        if record.passed_over() {
            lister.mix(to)?;
        }
        let is_top = lister.stack.is_empty();
        let length = lister.path.len();
        if !is_top && met != Encountered::Leave {
            lister.path.push(b'/');
            lister.path.extend_from_slice(name.as_bytes());
        }
        match met {
            Encountered::Enter(_) => {
                lister.enter(name.as_bytes(), length);
                continue;
            }
            Encountered::Leave => {
                files += lister.leave(to)?;
                continue;
            }
            Encountered::Leaf(stat) if stat.kind == Kind::File => {
                let copies = record.is_other()
                    && !(lister.choice.shares && record.is_changed())
                    && lister.copies(name.as_bytes(), &stat, is_top);
                files += u64::from(copies && is_top);
                if copies {
                    each(&lister.path)?;
                }
                lister.add_file(&stat, copies, to)?;
            }
            // Links and all else that has no content: rsync passes them over.
            Encountered::Leaf(_) => {}
            Encountered::MountPoint(_)
            | Encountered::Unreadable(..)
            | Encountered::Hollow(_)
            | Encountered::Vanished => lister.mix(to)?,
        }
        lister.path.truncate(length);
    }
    Ok(ToCopy {
        files,
        bytes: lister.bytes,
        is_all: lister.is_all,
    })
}

impl Lister<'_> {
    /// Whether rsync is to copy a file of which the survey says that its content is new.
    fn copies(&self, name: &[u8], stat: &Stat, is_top: bool) -> bool {
        let refused = self.stack.last().is_some_and(|frame| frame.is_refused)
            || (!is_top && self.choice.can.refuses_name(name).is_some())
            || self.choice.can.refuses_size(stat.size).is_some()
            // rsync reads holes byte by byte, and sends them.
            || excess_holes(stat) > MANY_HOLES
            || (self.fills_holes && stat.has_holes());
        !refused && self.path.len() <= LONGEST && !self.moves.may_be(stat)
    }

    /// Enters the folder at hand; `length` are the bytes of the path above it.
    fn enter(&mut self, name: &[u8], length: usize) {
        let is_refused = self
            .stack
            .last()
            .is_some_and(|above| above.is_refused || self.choice.can.refuses_name(name).is_some());
        let is_mixed = is_refused || self.path.len() > LONGEST;
        self.stack.push(Frame {
            length,
            is_mixed,
            is_refused,
            ..Frame::default()
        });
    }

    /// Lists a file if rsync is to copy it.
    fn add_file(&mut self, stat: &Stat, copies: bool, to: &mut dyn Write) -> io::Result<()> {
        // rsync does not know which names are one file: further ones are made of the first.
        let has_more = stat.nlink > 1;
        let is_first = !has_more || self.groups.insert((stat.dev, stat.ino));
        if !copies || has_more {
            self.mix(to)?;
        }
        if copies && is_first {
            self.bytes = self.bytes.saturating_add(stat.size);
            self.add(b"", 1, to)?;
        }
        Ok(())
    }

    /// Lists the path at hand, which stands for so many files.
    fn add(&mut self, tail: &[u8], files: u64, to: &mut dyn Write) -> io::Result<()> {
        let Some(frame) = self.stack.last_mut() else {
            return Ok(());
        };
        frame.files += files;
        // No name can be taken for a comment after these two bytes; the path begins with a slash.
        let parts = [b".", self.path.as_slice(), tail, b"\0"];
        if frame.is_mixed {
            parts.iter().try_for_each(|part| to.write_all(part))
        } else {
            parts
                .iter()
                .for_each(|part| frame.entries.extend_from_slice(part));
            Ok(())
        }
    }

    /// Something in the folder at hand is not rsync's.
    fn mix(&mut self, to: &mut dyn Write) -> io::Result<()> {
        match self.stack.last_mut() {
            Some(frame) if !frame.is_mixed => {
                frame.is_mixed = true;
                to.write_all(&std::mem::take(&mut frame.entries))
            }
            _ => Ok(()),
        }
    }

    /// Leaves the folder at hand; gives the files of the source after its last folder.
    fn leave(&mut self, to: &mut dyn Write) -> io::Result<u64> {
        let Some(frame) = self.stack.pop() else {
            return Ok(0);
        };
        if frame.is_mixed {
            self.mix(to)?;
        } else if self.stack.is_empty() && frame.files > 0 {
            self.is_all = true;
            to.write_all(b"./\0")?;
        } else if frame.files > 0 {
            self.add(b"/", 0, to)?;
        }
        self.path.truncate(frame.length);
        match self.stack.last_mut() {
            Some(above) => {
                above.files += frame.files;
                Ok(0)
            }
            None => Ok(frame.files),
        }
    }
}
