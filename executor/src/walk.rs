//! Walking a source by directory descriptors, in the manifest's order.
//!
//! One walk serves scan, copy and restore: it decides what belongs to a source (patterns, mount
//! points, the destination itself) and nothing else. No recursion: depth costs memory, not stack.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use crate::{
    survey::Bounds,
    sys::{Dir, Kind, Stat, bytes},
};
use rustix::io::Errno;

/// What the walk met.
#[derive(Debug)]
pub enum Visit {
    /// A folder, before its content; [`Walk::folder`] is the folder itself.
    Enter(Stat),
    /// The same folder, after its content.
    Leave(Stat),
    /// Anything else.
    Leaf(Stat),
    /// An entry that a pattern leaves out.
    Excluded,
    /// A mount point that is not crossed; the folder itself belongs to the source.
    MountPoint(Stat),
    /// The destination, met inside a source.
    Destination,
    /// An entry that cannot be looked at. For a folder that is there but cannot be opened, what
    /// the kernel says of it.
    Unreadable(Option<Stat>, Errno),
    /// An entry that was listed and then was not there.
    Vanished,
}

struct Frame {
    dir: Dir,
    stat: Stat,
    /// The names still to visit, last first.
    names: Vec<OsString>,
    /// Length of the walk's path when this folder was entered.
    path_length: usize,
}

/// A walk through one source.
pub struct Walk<'a> {
    bounds: Bounds<'a>,
    root_dir: Dir,
    root_name: OsString,
    started: bool,
    root_mount: u64,
    stack: Vec<Frame>,
    path: Vec<u8>,
    name: OsString,
    /// The current entry's folder is the last frame but one after `Enter`.
    entered: bool,
}

impl<'a> Walk<'a> {
    /// A walk of the entry `name` of `dir`; `root` is what the kernel says of that entry.
    #[must_use]
    pub fn new(dir: Dir, name: OsString, root: &Stat, bounds: Bounds<'a>) -> Self {
        Self {
            bounds,
            root_dir: dir,
            root_name: name,
            started: false,
            root_mount: root.mount,
            stack: Vec::new(),
            path: Vec::new(),
            name: OsString::new(),
            entered: false,
        }
    }

    /// Path of the current entry relative to the source; empty for the source itself.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Name of the current entry.
    #[must_use]
    pub fn name(&self) -> &OsString {
        &self.name
    }

    /// The folder that holds the current entry.
    #[must_use]
    pub fn parent(&self) -> &Dir {
        let depth = self.stack.len() - usize::from(self.entered);
        match depth.checked_sub(1) {
            Some(at) => &self.stack[at].dir,
            None => &self.root_dir,
        }
    }

    /// After [`Visit::Enter`]: the folder that was entered.
    #[must_use]
    pub fn folder(&self) -> &Dir {
        self.stack.last().map_or(&self.root_dir, |frame| &frame.dir)
    }

    /// After [`Visit::Enter`]: the names that will be visited, last first.
    #[must_use]
    pub fn names(&self) -> &[OsString] {
        self.stack.last().map_or(&[], |frame| &frame.names)
    }

    /// After [`Visit::Enter`]: passes the folder's content over; `Leave` still comes.
    pub fn skip_content(&mut self) {
        if let Some(frame) = self.stack.last_mut() {
            frame.names.clear();
        }
    }

    fn visit(&mut self, is_root: bool) -> Visit {
        let stat = match self.parent().stat(&self.name) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Visit::Vanished,
            Err(error) => return Visit::Unreadable(None, error),
        };
        let is_folder = stat.kind == Kind::Folder;
        if !is_root
            && self
                .bounds
                .excludes
                .matches(&self.path, is_folder)
                .is_some()
        {
            return Visit::Excluded;
        }
        if !is_folder {
            return Visit::Leaf(stat);
        }
        if self.bounds.never == Some((stat.dev, stat.ino)) {
            return Visit::Destination;
        }
        if !is_root && self.bounds.one_file_system && stat.mount != self.root_mount {
            return Visit::MountPoint(stat);
        }
        let opened = self.parent().folder(&self.name).and_then(|dir| {
            // What was opened may not be what was looked at.
            let stat = dir.stat_self()?;
            let names = dir.names()?;
            Ok((dir, stat, names))
        });
        match opened {
            Ok((dir, opened, mut names)) => {
                names.reverse();
                self.stack.push(Frame {
                    dir,
                    stat: opened,
                    names,
                    path_length: self.path.len(),
                });
                self.entered = true;
                Visit::Enter(opened)
            }
            Err(Errno::NOENT) => Visit::Vanished,
            Err(error) => Visit::Unreadable(Some(stat), error),
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Visit;

    fn next(&mut self) -> Option<Visit> {
        self.entered = false;
        let is_root = !self.started;
        if is_root {
            self.started = true;
            self.name.clone_from(&self.root_name);
        } else {
            let frame = self.stack.last_mut()?;
            self.path.truncate(frame.path_length);
            let Some(name) = frame.names.pop() else {
                let frame = self.stack.pop()?;
                self.name = if self.stack.is_empty() {
                    self.root_name.clone()
                } else {
                    let last = self.path.rsplit(|byte| *byte == b'/').next();
                    OsStr::from_bytes(last.unwrap_or_default()).to_owned()
                };
                return Some(Visit::Leave(frame.stat));
            };
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(bytes(&name));
            self.name = name;
        }
        Some(self.visit(is_root))
    }
}
