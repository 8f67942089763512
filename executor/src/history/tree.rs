//! What stands in a snapshot's tree at a path: for snapshots without a manifest, and for their content.
//!
//! By descriptor, and no symlink is followed. Nothing is written.

use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;
use schema::{SnapshotId, StoredPath, StoredPathBuf, Tier};

use super::{FolderContent, FolderEntry, find_entry};
use crate::{
    bounded::read_bounded,
    copy::Copier,
    error::{Error, Result, system_reason},
    event::Stop,
    store::Store,
    sys::{Dir, Kind, Stat},
    verify::compare_file,
};

/// Where the tree of a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreePlace {
    /// The tier whose folder holds it.
    pub home: Tier,
    /// The name of its folder, escaped.
    pub folder: String,
    /// Its id, if it has a manifest.
    pub id: Option<SnapshotId>,
}

impl TreePlace {
    fn named(&self, path: &StoredPath) -> String {
        let own = format!("{}/{}", self.home, self.folder);
        StoredPath::new(own.as_bytes()).join(path).shown()
    }

    /// Opens the tree, for a path in it.
    fn open(&self, store: &Store, path: &StoredPath) -> Result<Dir> {
        // A manifest is data that others may have had their hands on.
        if path.names().any(|name| matches!(name, b"." | b"..")) {
            let named = self.named(path);
            return Err(Error::refused(format!(
                "{named} is at no place in the snapshot"
            )));
        }
        store.folder(&[self.home.folder(), &self.folder])
    }

    fn io(&self, store: &Store, path: &StoredPath, error: Errno) -> Error {
        store.io("open", self.named(path).trim_start_matches('/'), error)
    }

    /// What is in a folder of the tree.
    ///
    /// # Errors
    /// It cannot be listed; an interruption.
    pub fn list(&self, store: &Store, path: &StoredPath, stop: &Stop) -> Result<FolderContent> {
        let tree = self.open(store, path)?;
        let opened = match path.is_root() {
            true => tree.again(),
            false => tree.folder_below(path),
        };
        let dir = match opened {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(FolderContent::default()),
            Err(error) => return Err(self.io(store, path, error)),
        };
        let mut names = dir.names().map_err(|error| self.io(store, path, error))?;
        names.sort_unstable();
        let mut content = FolderContent {
            is_there: true,
            ..FolderContent::default()
        };
        for name in names {
            stop.check()?;
            match dir.look(&name) {
                Ok(Some(stat)) => content.entries.push(FolderEntry {
                    name: name.as_bytes().into(),
                    kind: stat.kind,
                    size: size_of(&stat),
                    mtime: stat.mtime,
                }),
                Ok(None) => {}
                Err(error) => {
                    let because = || system_reason(&error.into());
                    content.unread.get_or_insert_with(because);
                }
            }
        }
        Ok(content)
    }

    /// What stands at a path; none where nothing does.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn look(&self, store: &Store, path: &StoredPath) -> Result<Option<FolderEntry>> {
        let tree = self.open(store, path)?;
        let found = tree.descend(path).and_then(|(dir, name)| dir.look(name));
        match found {
            Ok(found) => Ok(found.map(|stat| FolderEntry {
                name: path.file_name().into(),
                kind: stat.kind,
                size: size_of(&stat),
                mtime: stat.mtime,
            })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(self.io(store, path, error)),
        }
    }

    /// The content of a file; none where it is longer than `most` bytes.
    ///
    /// # Errors
    /// It cannot be read, or is no file.
    pub fn content(&self, store: &Store, path: &StoredPath, most: u64) -> Result<Option<Vec<u8>>> {
        let tree = self.open(store, path)?;
        // The name itself may be another file's, where the destination takes capitals and small letters for one.
        // Without a manifest that can be read nothing else is known.
        let stored = self.stored_path(store, path);
        let stored = stored.unwrap_or_else(|_| path.to_owned());
        let opened = tree.descend(&stored).and_then(|(dir, name)| dir.file(name));
        let file = opened.map_err(|error| self.io(store, path, error))?;
        let stat = Stat::of_fd(&file).map_err(|error| self.io(store, path, error))?;
        if stat.kind != Kind::File {
            return Err(Error::failed(format!("{} is no file", self.named(path))));
        }
        if stat.size > most {
            return Ok(None);
        }
        let read = read_bounded(file, most);
        let read = read.map_err(|error| store.io("read", &self.named(path), error))?;
        Ok(Some(read))
    }

    /// Reads a file and compares it with what the manifest says: how many bytes it has, or what is wrong with
    /// it.
    ///
    /// # Errors
    /// The manifest cannot be read or says nothing of it; an interruption.
    pub fn verify(
        &self,
        store: &Store,
        path: &StoredPath,
        stop: &Stop,
    ) -> Result<std::result::Result<u64, String>> {
        let named = self.named(path);
        let recorded = match self.id {
            Some(id) => find_entry(store, id, path)?,
            None => None,
        };
        let digest = recorded.as_ref().and_then(|entry| entry.digest);
        let (Some(entry), Some(digest)) = (recorded, digest) else {
            return Err(Error::refused(format!("nothing is recorded of {named}"))
                .hint("only files are compared, of snapshots that have a manifest"));
        };
        let tree = self.open(store, path)?;
        let path = self.stored_path(store, path)?;
        let mut copier = Copier::reading_from(&tree);
        let mut tick = |_| stop.check();
        let compared = compare_file(&tree, &path, (entry.size, digest), &mut copier, &mut tick);
        stop.check()?;
        Ok(compared.map(|bytes| bytes.unwrap_or_default()))
    }

    /// Where a path stands, with the names that the destination can hold.
    fn stored_path(&self, store: &Store, path: &StoredPath) -> Result<StoredPathBuf> {
        let Some(id) = self.id else {
            return Ok(path.to_owned());
        };
        let mut stored = StoredPathBuf::new();
        for part in path.ancestors_from_top() {
            let entry = find_entry(store, id, part)?;
            let renamed = entry.as_ref().and_then(|entry| entry.stored_as.as_ref());
            stored.push(renamed.map_or(part.file_name(), |name| name.as_bytes()));
        }
        Ok(stored)
    }
}

fn size_of(stat: &Stat) -> u64 {
    match stat.kind {
        Kind::File => stat.size,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        manifest::{Entry, FILE_NAME, Writer},
        sys::resolve::resolve,
    };

    const ID: &str = "2025-01-01_02-00-00";

    /// A host with a snapshot whose manifest has these lines and whose tree has these files.
    fn store(top: &std::path::Path, lines: &[&str], files: &[&str]) -> Store {
        let records = top.join(format!("host/.backup/snapshots/{ID}"));
        fs::create_dir_all(&records).unwrap();
        let manifest = fs::File::create(records.join(FILE_NAME)).unwrap();
        let mut manifest = Writer::new(manifest).unwrap();
        for line in lines {
            manifest.write(&Entry::from_line(line).unwrap()).unwrap();
        }
        manifest.finish().unwrap();
        let tree = top.join(format!("host/daily/{ID}"));
        fs::create_dir_all(&tree).unwrap();
        for name in files {
            fs::write(tree.join(name), format!("of {name}")).unwrap();
        }
        let mount = resolve(top).unwrap().folder().unwrap();
        let store = Store::open(&mount, top.to_str().unwrap(), "host").unwrap();
        store.unwrap()
    }

    fn place() -> TreePlace {
        TreePlace {
            home: Tier::Daily,
            folder: ID.to_owned(),
            id: ID.parse().ok(),
        }
    }

    #[test]
    fn content_is_read_from_where_it_stands_and_not_from_what_has_its_name_there() {
        let temporary = tempfile::tempdir().unwrap();
        let lines = [
            ". type=dir",
            "./README type=file size=9",
            "./readme type=file size=11 as=readme~1",
        ];
        // On a disk that takes both for one, this is what is found at either name.
        let store = store(temporary.path(), &lines, &["README", "readme", "readme~1"]);
        let content = |path: &[u8]| {
            let content = place().content(&store, StoredPath::new(path), 100).unwrap();
            String::from_utf8(content.unwrap()).unwrap()
        };
        assert_eq!(content(b"readme"), "of readme~1");
        assert_eq!(content(b"README"), "of README");
    }

    #[test]
    fn a_path_leads_nowhere_else() {
        let temporary = tempfile::tempdir().unwrap();
        let store = store(temporary.path(), &[". type=dir"], &["here"]);
        fs::write(temporary.path().join("host/daily/elsewhere"), "secret").unwrap();
        for path in ["../elsewhere", "..", "./../elsewhere"] {
            let path = StoredPath::new(path.as_bytes());
            let refused = place().content(&store, path, 100).unwrap_err();
            assert!(refused.message.contains("at no place"), "{refused:?}");
            let stop = Stop::default();
            assert!(place().verify(&store, path, &stop).is_err());
            assert!(place().list(&store, path, &stop).is_err());
            assert!(place().look(&store, path).is_err());
        }
    }
}
