//! What a neighbour's manifest tells of a tree that the tree itself cannot: owners and modes that
//! the destination does not hold, attributes that are kept in manifests, true names, entries that
//! could not be stored at all.

use std::{collections::HashMap, os::unix::ffi::OsStrExt as _, sync::Arc};

use schema::{StoredPath, StoredPathBuf, record::Capabilities};

use super::held::Wanted;
use crate::{
    adopt::read::Model,
    error::{Error, Result},
    event::Context,
    manifest::{Cursor, Entry, Reader},
    names::StoredNames,
    sys::{Kind, Owners, attributes::Attributes, bytes, stat::same_time},
    verify::compare,
};

/// The nearest neighbour whose manifest is whole; none where there is none.
pub(super) struct Neighbour {
    can: Capabilities,
    cursor: Option<Cursor>,
    names: StoredNames,
    absent: Vec<Entry>,
    users: HashMap<u32, Arc<str>>,
    groups: HashMap<u32, Arc<str>>,
}

impl Neighbour {
    /// Nothing more is known than the tree tells.
    pub(super) fn none(can: Capabilities) -> Self {
        Self {
            can,
            cursor: None,
            names: StoredNames::default(),
            absent: Vec::new(),
            users: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    /// Reads a neighbour's manifest, which is opened anew each time, once for what concerns the whole
    /// tree. Of entries that no tree has only those are taken that are `wanted`.
    pub(super) fn read(
        can: Capabilities,
        open: &dyn Fn() -> Result<Reader>,
        wanted: &dyn Fn(&StoredPath) -> bool,
        context: Context<'_>,
    ) -> Result<Self> {
        let mut all = Self::none(can);
        let io = |error| Error::io("read", b"a neighbour's manifest", error);
        for entry in open()? {
            context.stop.check()?;
            let entry = entry.map_err(io)?;
            all.names.add(&entry);
            if let Some(user) = &entry.owners.user {
                all.users.insert(entry.uid, Arc::clone(user));
            }
            if let Some(group) = &entry.owners.group {
                all.groups.insert(entry.gid, Arc::clone(group));
            }
            if entry.absent && wanted(&entry.path) {
                all.absent.push(Entry {
                    // Of the source's inode nothing is known: the next run looks at it anew.
                    ino: 0,
                    ctime: 0,
                    ..entry
                });
            }
        }
        all.absent.sort_by(|a, b| a.path.cmp(&b.path));
        all.cursor = Some(Cursor::new(open()?));
        Ok(all)
    }

    fn is_like(&self, entry: &Entry, known: &Entry) -> bool {
        entry.kind == known.kind
            && !known.absent
            && entry.size == known.size
            && entry.target == known.target
            && (!self.keeps_time(entry.kind)
                || same_time(entry.mtime, known.mtime, self.can.time_step_ns))
    }

    fn keeps_time(&self, kind: Kind) -> bool {
        self.can.times && (kind != Kind::Symlink || self.can.symlink_metadata)
    }

    /// Takes what the destination does not hold from what is known of the same entry.
    fn take(&self, entry: &mut Entry, known: Entry, attributes: &Attributes) {
        let holds_all = entry.kind != Kind::Symlink || self.can.symlink_metadata;
        if !self.can.owners || !holds_all {
            (entry.uid, entry.gid) = (known.uid, known.gid);
        }
        if !self.can.modes || !holds_all {
            entry.mode = known.mode;
        }
        if !self.can.hard_links {
            entry.group = known.group;
        }
        entry.mtime = known.mtime;
        if !known.xattrs_kept.is_empty() && compare::is_right(&known, attributes.clone()) {
            entry.xattrs_digest = known.xattrs_digest;
            entry.xattrs_kept = known.xattrs_kept;
        }
        entry.immutable = known.immutable;
        entry.append_only = known.append_only;
        entry.torn = known.torn && entry.digest == known.digest;
    }
}

/// What a neighbour tells of a part of the tree.
pub(super) struct Within<'a> {
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) model: Neighbour,
}

impl Model for Within<'_> {
    fn is_wanted(&self, path: &StoredPath) -> bool {
        (self.wanted)(path)
    }

    fn path(&self, stored: StoredPathBuf) -> StoredPathBuf {
        self.model.path(stored)
    }

    fn complete(&mut self, entry: &mut Entry, attributes: &Attributes) -> Result<bool> {
        self.model.complete(entry, attributes)
    }

    fn is_unordered(&self) -> bool {
        self.model.is_unordered()
    }

    fn absent(&mut self) -> Vec<Entry> {
        self.model.absent()
    }
}

impl Model for Neighbour {
    fn path(&self, stored: StoredPathBuf) -> StoredPathBuf {
        if self.names.is_empty() {
            return stored;
        }
        let mut path = StoredPathBuf::new();
        for name in stored.names() {
            let name = std::ffi::OsStr::from_bytes(name).to_owned();
            let own = self.names.own_name(&path, name);
            path.push(bytes(&own));
        }
        path
    }

    fn complete(&mut self, entry: &mut Entry, attributes: &Attributes) -> Result<bool> {
        let stored = self.names.stored_name(&entry.path);
        if bytes(stored) != entry.path.file_name() {
            entry.stored_as = Some(stored.to_owned());
        }
        let known = match &mut self.cursor {
            Some(cursor) => cursor
                .find(&entry.path)
                .map_err(|error| Error::io("read", b"a neighbour's manifest", error))?,
            None => None,
        };
        let is_like = match known {
            Some(known) if self.is_like(entry, &known) => {
                self.take(entry, known, attributes);
                true
            }
            _ => false,
        };
        entry.owners = Owners {
            user: self.users.get(&entry.uid).cloned(),
            group: self.groups.get(&entry.gid).cloned(),
        };
        Ok(is_like)
    }

    fn is_unordered(&self) -> bool {
        !self.names.is_empty() || !self.absent.is_empty()
    }

    fn absent(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.absent)
    }
}
