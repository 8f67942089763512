//! The walk itself: what was read ahead, put in the manifest's order and told one by one.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, sync::Arc};

use rustix::io::Errno;

use super::{
    Below, Bounds, Encountered, Record,
    ahead::Reader,
    folder_task::{FolderPart, FolderTask, SeenEntry, SeenKind},
    record::Recorder,
    roots::Base,
    tags::{Measured, Tagged, Tags},
};
use schema::{StoredPath, StoredPathBuf};

use crate::{
    error::{Error, Result},
    event::Context,
    sys::{Folder, Kind, Stat, bytes, mounts, resolve::Resolved},
    threads::start_scoped_thread,
};

/// What is known of an entry's content when it is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing, or it has none.
    Unknown,
    /// It is a file with the inode, the looks and the change time that the basis has of it.
    Same,
    /// It is a file, and its content surely is not what the basis has at its path.
    Other,
    /// The same, and both are so large that most of it may be as it was.
    Changed,
    /// It is a file of more holes than are read.
    LeftOut,
}

/// What the walk tells besides what it records.
pub(crate) enum WalkEvent {
    /// What was met at a path relative to the source.
    Encountered(Encountered),
    /// An entry that is left out, by the pattern at this place in the list where one does it.
    Excluded(Option<usize>),
    /// A folder of which a tag leaves out all or the most, and how much that is.
    LeftOut(Tagged, Measured),
}

struct Frame {
    seen: std::vec::IntoIter<SeenEntry>,
    more: std::vec::IntoIter<Arc<FolderTask>>,
    path_length: usize,
}

/// Walks one source with those that are within it.
///
/// `tell` hears of each entry and its path relative to the source, in the manifest's order, and says
/// what is known of its content.
pub(crate) fn survey_source(
    source: &Resolved,
    below: &Below<'_>,
    (bounds, tags): (Bounds<'_>, Tags<'_>),
    context: Context<'_>,
    tell: &mut dyn FnMut(&StoredPath, WalkEvent) -> Result<Content>,
) -> Result<Record> {
    let root = &source.stat;
    let parent = source.parent.again().map(Folder::top);
    let parent = parent.map_err(|error| Error::io("open", bytes(&source.name), error))?;
    let mounts = mounts::all_mounts().unwrap_or_default();
    let own = mounts::mount_of(&mounts, root).filter(|mount| !mount.may_fall_silent());
    let reader = Reader::new((bounds, tags), below, own.map(|mount| mount.id));
    let mut walk = Walk {
        reader: &reader,
        recorder: Recorder::default(),
        stack: Vec::new(),
        path: StoredPathBuf::new(),
        context,
        tell,
    };
    let what = if root.kind == Kind::Folder {
        let task = FolderTask::new(
            parent.child(&source.name),
            StoredPathBuf::new(),
            Base::of(root, StoredPath::root()),
        );
        SeenKind::Folder(*root, task)
    } else {
        SeenKind::Leaf(*root)
    };
    let threads = if root.kind == Kind::Folder && context.threads > 1 {
        context.threads
    } else {
        0
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            // What no thread reads ahead is read when it is needed.
            if start_scoped_thread(scope, "survey", || reader.read_ahead()).is_err() {
                break;
            }
        }
        // Also if the walk panics: the scope waits for its threads.
        let _end = End(&reader);
        walk.all(&source.name, what)?;
        let recorder = std::mem::take(&mut walk.recorder);
        recorder.finish().map_err(damaged_record)
    })
}

struct End<'a>(&'a Reader<'a>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

struct Walk<'a, 'r> {
    reader: &'r Reader<'a>,
    recorder: Recorder,
    stack: Vec<Frame>,
    path: StoredPathBuf,
    context: Context<'a>,
    tell: &'r mut dyn FnMut(&StoredPath, WalkEvent) -> Result<Content>,
}

impl Walk<'_, '_> {
    fn all(&mut self, name: &OsStr, what: SeenKind) -> Result<()> {
        self.entry(name, what)?;
        while let Some(frame) = self.stack.last_mut() {
            self.path.truncate(frame.path_length);
            if let Some(seen) = frame.seen.next() {
                self.path.push(bytes(&seen.name));
                self.entry(&seen.name, seen.what)?;
            } else if let Some(more) = frame.more.next() {
                match self.reader.take(&more) {
                    Ok(part) => frame.seen = part.seen.into_iter(),
                    // The folder itself was entered: the rest of it cannot be had.
                    Err(error) => {
                        let met = Encountered::Unreadable(None, error);
                        (self.tell)(&self.path, WalkEvent::Encountered(met))?;
                        let name = OsStr::from_bytes(self.path.file_name());
                        self.recorder
                            .rest_unreadable(name, error)
                            .map_err(damaged_record)?;
                    }
                }
            } else {
                self.stack.pop();
                self.met(OsStr::new(""), Encountered::Leave)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &OsStr, what: SeenKind) -> Result<()> {
        self.context.stop.check()?;
        let met = match what {
            SeenKind::Leaf(stat) => Encountered::Leaf(stat),
            SeenKind::MountPoint(stat) => Encountered::MountPoint(stat),
            SeenKind::Unreadable(error) => Encountered::Unreadable(None, error),
            SeenKind::Vanished => Encountered::Vanished,
            SeenKind::Excluded(pattern) => {
                self.recorder.exclude(name).map_err(damaged_record)?;
                return (self.tell)(&self.path, WalkEvent::Excluded(pattern)).map(|_| ());
            }
            SeenKind::Destination => {
                self.recorder.pass_over();
                return Ok(());
            }
            SeenKind::Folder(stat, task) => match self.reader.take(&task) {
                Ok(part) => return self.enter_unless_left_out(name, stat, part),
                Err(Errno::NOENT) => Encountered::Vanished,
                // Something was mounted there since it was looked at.
                Err(Errno::XDEV) => Encountered::MountPoint(stat),
                Err(error) => Encountered::Unreadable(Some(stat), error),
            },
        };
        self.met(name, met)
    }

    /// Enters a folder, unless a tag leaves out the whole of it and no source is in it.
    fn enter_unless_left_out(&mut self, name: &OsStr, stat: Stat, part: FolderPart) -> Result<()> {
        let Some((tagged, measured)) = part.left_out else {
            return self.enter(name, stat, part);
        };
        let is_empty = part.seen.is_empty() && part.more.is_empty();
        if !(tagged == Tagged::Whole && is_empty) {
            self.enter(name, stat, part)?;
        }
        self.recorder.pass_over();
        (self.tell)(&self.path, WalkEvent::LeftOut(tagged, measured)).map(|_| ())
    }

    fn enter(&mut self, name: &OsStr, stat: Stat, part: FolderPart) -> Result<()> {
        // What was opened may not be what was looked at.
        self.met(name, Encountered::Enter(part.folder.unwrap_or(stat)))?;
        self.stack.push(Frame {
            seen: part.seen.into_iter(),
            more: part.more.into_iter(),
            path_length: self.path.len(),
        });
        Ok(())
    }

    fn met(&mut self, name: &OsStr, met: Encountered) -> Result<()> {
        let content = (self.tell)(&self.path, WalkEvent::Encountered(met))?;
        let met = match (met, content) {
            (Encountered::Leaf(stat), Content::LeftOut) => Encountered::Hollow(stat),
            (met, _) => met,
        };
        self.recorder
            .add(name, &met, content)
            .map_err(damaged_record)
    }
}

fn damaged_record(error: std::io::Error) -> Error {
    Error::failed(format!("cannot keep the survey of the sources: {error}"))
}
