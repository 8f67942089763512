//! What a neighbour's manifest tells of a tree that the tree itself cannot: owners and modes that
//! the destination does not hold, attributes that are kept in manifests, true names, entries that
//! could not be stored at all.

use std::{collections::HashMap, os::unix::ffi::OsStrExt as _, sync::Arc};

use schema::{StoredPathBuf, record::Capabilities};

use crate::{
    adopt::read::Model,
    error::{Error, Result},
    event::Context,
    manifest::{Cursor, Entry},
    names::StoredNames,
    store::Store,
    sys::{Kind, Owners, attributes::Attributes, bytes, stat::same_time},
    verify::{compare, snapshots::FoundSnapshot},
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

    /// Reads a neighbour's manifest once for what concerns the whole tree.
    pub(super) fn read(
        can: Capabilities,
        store: &Store,
        found: &FoundSnapshot,
        context: Context<'_>,
    ) -> Result<Self> {
        let mut all = Self::none(can);
        let io = |error| store.io("read", &format!("the manifest of {}", found.id), error);
        for entry in store.manifest(found.id)? {
            context.stop.check()?;
            let entry = entry.map_err(io)?;
            all.names.add(&entry);
            if let Some(user) = &entry.owners.user {
                all.users.insert(entry.uid, Arc::clone(user));
            }
            if let Some(group) = &entry.owners.group {
                all.groups.insert(entry.gid, Arc::clone(group));
            }
            if entry.absent {
                all.absent.push(Entry {
                    // Of the source's inode nothing is known: the next run looks at it anew.
                    ino: 0,
                    ctime: 0,
                    ..entry
                });
            }
        }
        all.absent.sort_by(|a, b| a.path.cmp(&b.path));
        all.cursor = Some(Cursor::new(store.manifest(found.id)?));
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
