//! A made disk, for who looks at screens.

use std::{collections::BTreeMap, sync::Mutex};

use schema::{StoredPath, StoredPathBuf, output::EntryKind};

use crate::{
    Cancel, Fault, Folder, FoundPath, Item, Overview, Read, Snapshot, Source, Standing, Version,
    Versions,
};

/// Its snapshots, the newest first.
pub(super) const SNAPSHOTS: [&str; 3] = [
    "2025-01-17_02-00-00",
    "2025-01-16_02-00-00",
    "2025-01-12_02-00-00",
];

/// A disk with three snapshots of a few files.
#[derive(Default)]
pub(super) struct Made {
    /// Contents by path, oldest snapshot first; what is not there is none.
    pub(super) files: BTreeMap<&'static str, [Option<Vec<u8>>; 3]>,
    /// Folders that were listed.
    pub(super) listed: Mutex<Vec<String>>,
    /// Why there is nothing to be seen.
    pub(super) fault: Option<Fault>,
}

impl Made {
    pub(super) fn new() -> Self {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let files = [
            (
                "home/ann/letter.txt",
                [
                    text("Dear all,\nhere is rain.\nYours\nAnn\n"),
                    text("Dear all,\nhere is rain.\nYours\nAnn\n"),
                    text("Dear all,\nhere is sun.\nBring the hats.\nYours\nAnn\n"),
                ],
            ),
            (
                "home/ann/photo.jpg",
                [None, Some(vec![0; 34_000]), Some(vec![0; 34_000])],
            ),
            ("home/ann/old/list", [text("milk\n"), text("milk\n"), None]),
            (
                "home/ann/notes/a b\u{1b}c",
                [text("x"), text("x"), text("x")],
            ),
        ];
        Self {
            files: files.into(),
            ..Self::default()
        }
    }

    fn content(&self, age: usize, path: &str) -> Option<&Vec<u8>> {
        self.files.get(path)?[age].as_ref()
    }
}

/// How old a snapshot is: 0 the oldest.
fn age(name: &str) -> usize {
    2 - SNAPSHOTS.iter().position(|one| *one == name).unwrap()
}

fn text_of(path: &StoredPath) -> String {
    String::from_utf8(path.as_bytes().to_vec()).unwrap()
}

impl Source for Made {
    fn overview(&self) -> Read<Overview> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let snapshots = SNAPSHOTS.iter().enumerate().map(|(at, name)| Snapshot {
            name: (*name).to_owned(),
            time: format!("{} 02:00", &name[..10]),
            tiers: ["D--", "D--", "DW-"][at].to_owned(),
            alone: ["12.0 KiB", ">34.2 GiB", "0 B"][at].to_owned(),
            holds: "4 files, 33.3 KiB".to_owned(),
            state: ["complete", "2 problems", "complete, pinned"][at].to_owned(),
            why: "kept: one of the last 3".to_owned(),
            standing: [Standing::Good, Standing::Doubtful, Standing::Good][at],
            pinned: at == 2,
            has_record: true,
        });
        Ok(Overview {
            place: "atlas on /mnt/backup".to_owned(),
            destination: Some("usb".to_owned()),
            snapshots: snapshots.collect(),
            notes: Vec::new(),
        })
    }

    fn folder(&self, snapshot: &str, path: &StoredPath, _: &Cancel) -> Read<Folder> {
        let folder = text_of(path);
        self.listed
            .lock()
            .unwrap()
            .push(format!("{snapshot} {folder}"));
        let age = age(snapshot);
        let mut items: BTreeMap<String, (EntryKind, u64)> = BTreeMap::new();
        for (path, contents) in &self.files {
            let Some(content) = &contents[age] else {
                continue;
            };
            let below = match folder.as_str() {
                "" => Some(*path),
                folder => path
                    .strip_prefix(folder)
                    .and_then(|rest| rest.strip_prefix('/')),
            };
            match below.map(|below| below.split_once('/')) {
                Some(Some((name, _))) => {
                    items.insert(name.to_owned(), (EntryKind::Folder, 0));
                }
                Some(None) => {
                    let name = path.rsplit('/').next().unwrap().to_owned();
                    items.insert(name, (EntryKind::File, content.len() as u64));
                }
                None => {}
            }
        }
        Ok(Folder {
            is_there: !items.is_empty(),
            items: items
                .into_iter()
                .map(|(name, (kind, size))| Item {
                    name: name.into_bytes().into(),
                    kind,
                    size,
                    mtime: Some(0),
                })
                .collect(),
            fault: None,
        })
    }

    fn versions(&self, path: &StoredPath, _: &Cancel) -> Read<Versions> {
        let path = text_of(path);
        let mut versions: Vec<(Option<&Vec<u8>>, Version)> = Vec::new();
        for (at, name) in SNAPSHOTS.iter().rev().enumerate() {
            let content = self.content(at, &path);
            match versions.last_mut() {
                Some((before, version)) if *before == content => {
                    version.last = (*name).to_owned();
                    version.snapshots += 1;
                }
                None if content.is_none() => {}
                _ => versions.push((
                    content,
                    Version {
                        first: (*name).to_owned(),
                        last: (*name).to_owned(),
                        snapshots: 1,
                        kind: content.map(|_| EntryKind::File),
                        size: content.map_or(0, |content| content.len() as u64),
                        mtime: content.map(|_| 60 * at as i64),
                        about: vec![
                            ("owner", "ann:users".to_owned()),
                            ("mode", "0644".to_owned()),
                        ],
                    },
                )),
            }
        }
        Ok(Versions {
            versions: versions.into_iter().rev().map(|(_, one)| one).collect(),
            fault: None,
        })
    }

    fn find(
        &self,
        text: &str,
        _: &Cancel,
        each: &mut dyn FnMut(FoundPath) -> bool,
    ) -> Read<Option<String>> {
        for (path, contents) in &self.files {
            let newest = contents.iter().rposition(Option::is_some).unwrap();
            let is_meant = path.rsplit('/').next().unwrap().contains(text);
            let found = FoundPath {
                path: StoredPathBuf::of_typed(path),
                kind: EntryKind::File,
                newest: SNAPSHOTS[2 - newest].to_owned(),
                is_current: newest == 2,
                versions: 1,
            };
            if is_meant && !each(found) {
                break;
            }
        }
        Ok(None)
    }

    fn changes(&self, before: &str, after: &str, _: &StoredPath, _: &Cancel) -> Read<Vec<String>> {
        Ok(vec![
            format!("changed   since {before}"),
            format!("until {after}"),
        ])
    }

    fn content(
        &self,
        snapshot: &str,
        path: &StoredPath,
        most: u64,
        _: &Cancel,
    ) -> Read<Option<Vec<u8>>> {
        let content = Made::content(self, age(snapshot), &text_of(path)).cloned();
        Ok(content.filter(|content| content.len() as u64 <= most))
    }

    fn time(&self, seconds: i64) -> String {
        format!("1970-01-01 00:{:02}", seconds / 60)
    }
}
