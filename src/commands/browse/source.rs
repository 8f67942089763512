//! What is browsed, from manifests, records and trees.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use backup::{
    Engine,
    engine::{BrowsedSnapshot, Browser, FoundVersions, Listing, Search, Version as FoundVersion},
};
use browse::{
    Cancel, Fault, Folder, FoundPath, Item, Overview, Read, Snapshot, Source, Standing, Version,
    Versions,
};
use chrono::{DateTime, Local, TimeZone as _};
use executor::{
    Error,
    event::{Silent, Stop},
    history::{FolderEntry, entry_kind},
    manifest::Entry,
};
use schema::{SnapshotId, StoredPath, amount, escape, output::list::ListedSnapshot};

use crate::{
    render::{self, diff::diff_lines, list},
    style::Style,
};

const NANOS: i128 = 1_000_000_000;

/// The snapshots of the destination that an engine is of.
pub(super) struct SnapshotSource {
    engine: Engine,
    opened: Mutex<Option<Arc<Opened>>>,
}

/// What was found when it was looked at last.
pub(super) struct Opened {
    pub(super) browser: Browser,
    /// By the names that commands have for them.
    places: BTreeMap<String, BrowsedSnapshot>,
    /// Those with a manifest, the oldest first.
    recorded: Vec<SnapshotId>,
    /// The others, the oldest first.
    folders: Vec<(String, BrowsedSnapshot)>,
}

impl SnapshotSource {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            opened: Mutex::default(),
        }
    }

    /// What was found, or what is found now.
    pub(super) fn opened(&self) -> Result<Arc<Opened>, Error> {
        match self.known() {
            Some(opened) => Ok(opened),
            None => Ok(self.look()?.0),
        }
    }

    fn known(&self) -> Option<Arc<Opened>> {
        let known = self.opened.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn look(&self) -> Result<(Arc<Opened>, Listing), Error> {
        let browser = match self.known() {
            Some(opened) => opened.browser.again(&Silent)?,
            None => self.engine.browse(&Silent)?,
        };
        let listing = browser.list()?;
        let snapshots = listing.list.snapshots.iter();
        let places = snapshots
            .clone()
            .map(|one| {
                let place = BrowsedSnapshot::Recorded(one.id, one.home);
                (one.id.to_string(), place)
            })
            .collect();
        let mut opened = Opened {
            browser,
            places,
            recorded: snapshots.rev().map(|one| one.id).collect(),
            folders: Vec::new(),
        };
        for one in &listing.list.unmanaged {
            let place = BrowsedSnapshot::Folder(one.tier, one.name.clone());
            opened
                .folders
                .push((format!("{}/{}", one.tier, one.name), place));
        }
        // Their names are dates, whatever tier they are in.
        let date = |name: &str| name.split_once('/').map(|(_, date)| date.to_owned());
        opened.folders.sort_by_key(|(name, _)| date(name));
        opened.places.extend(opened.folders.iter().cloned());
        let opened = Arc::new(opened);
        let mut known = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Arc::clone(&opened));
        Ok((opened, listing))
    }
}

impl Opened {
    pub(super) fn place(&self, name: &str) -> Result<&BrowsedSnapshot, Error> {
        let gone = || Error::refused(format!("the snapshot {name} is not there any more"));
        self.places.get(name).ok_or_else(gone)
    }

    fn id(&self, name: &str) -> Result<SnapshotId, Error> {
        match self.place(name)? {
            BrowsedSnapshot::Recorded(id, _) => Ok(*id),
            BrowsedSnapshot::Folder(..) => Err(Error::refused(format!(
                "{name} has no manifest that could be compared"
            ))
            .hint("`backup adopt` makes one of what other tools left; `diff -r` compares folders")),
        }
    }

    fn versions_by_manifests(&self, path: &StoredPath, stop: &Stop) -> Result<Versions, Error> {
        let (found, unread) = self.browser.versions(&self.recorded, path, stop)?;
        let name = |at: usize| self.recorded.get(at).map(ToString::to_string);
        let versions = found.iter().rev().filter_map(|one| {
            let entry = one.entry.as_ref();
            Some(Version {
                first: name(one.first)?,
                last: name(one.last)?,
                snapshots: one.snapshots as u64,
                kind: entry.map(|entry| entry_kind(entry.kind)),
                size: entry.map_or(0, |entry| entry.size),
                mtime: entry.and_then(|entry| seconds(entry.mtime)),
                about: entry.map(about).unwrap_or_default(),
            })
        });
        Ok(Versions {
            versions: versions.collect(),
            fault: unread.first().map(|first| {
                let others = match unread.len() {
                    1 => String::new(),
                    all => format!(" and {} others", amount::count(all as u64 - 1)),
                };
                format!("not read: {}{others}: {}", first.id, first.because)
            }),
        })
    }

    /// Runs of folders in which what stands at a path looks the same.
    fn versions_by_trees(&self, path: &StoredPath, stop: &Stop) -> Result<Versions, Error> {
        let places: Vec<_> = self
            .folders
            .iter()
            .map(|(_, place)| place.clone())
            .collect();
        let looks = self.browser.look(&places, path, stop)?;
        let mut versions: Vec<(Option<FolderEntry>, Version)> = Vec::new();
        for ((name, _), look) in self.folders.iter().zip(looks) {
            match versions.last_mut() {
                Some((before, version)) if *before == look => {
                    version.last.clone_from(name);
                    version.snapshots += 1;
                }
                None if look.is_none() => {}
                _ => {
                    let version = Version {
                        first: name.clone(),
                        last: name.clone(),
                        snapshots: 1,
                        kind: look.as_ref().map(|look| entry_kind(look.kind)),
                        size: look.as_ref().map_or(0, |look| look.size),
                        mtime: look.as_ref().and_then(|look| seconds(look.mtime)),
                        about: Vec::new(),
                    };
                    versions.push((look, version));
                }
            }
        }
        Ok(Versions {
            versions: versions.into_iter().rev().map(|(_, one)| one).collect(),
            fault: None,
        })
    }

    fn found_path(&self, found: &FoundVersions) -> Option<FoundPath> {
        let there = |one: &&FoundVersion| one.entry.is_some();
        let newest = found.versions.iter().rev().find(there)?;
        let entry = newest.entry.as_ref()?;
        Some(FoundPath {
            path: found.path.clone(),
            kind: entry_kind(entry.kind),
            newest: self.recorded.get(newest.last)?.to_string(),
            is_current: newest.last + 1 == self.recorded.len(),
            versions: found.versions.iter().filter(there).count(),
        })
    }
}

impl Source for SnapshotSource {
    fn overview(&self) -> Read<Overview> {
        let (opened, listing) = self.look().map_err(fault)?;
        let tiers = list::shown_tiers(&listing.list.snapshots);
        let snapshots = listing.list.snapshots.iter();
        let mut all: Vec<Snapshot> = snapshots.map(|one| snapshot(one, &tiers)).collect();
        let whose = listing.list.record_fault.clone();
        all.extend(opened.folders.iter().rev().map(|(name, _)| {
            let date = name.split_once('/').map_or(&**name, |(_, date)| date);
            Snapshot {
                time: date
                    .parse::<SnapshotId>()
                    .map_or_else(|_| date.to_owned(), time_of_id),
                state: "no record that could be read".to_owned(),
                why: whose.clone().unwrap_or_else(|| {
                    "not made by this program, or its record is damaged; never deleted".to_owned()
                }),
                name: name.clone(),
                standing: Standing::Unknown,
                ..Snapshot::default()
            }
        }));
        let host = opened.browser.host();
        let destination = opened.browser.destination();
        let at = match &destination {
            Some(name) => format!("{host} on {name}, {}", listing.list.mount_point),
            None => format!("{host} on {}", listing.list.mount_point),
        };
        let notes = listing.refusals.into_iter().map(|one| Fault {
            message: one.message,
            hint: one
                .hint
                .map(|hint| render::hint::pasted(&hint).into_owned()),
        });
        Ok(Overview {
            place: at,
            destination: destination.map(|name| name.to_string()),
            snapshots: all,
            notes: notes.collect(),
        })
    }

    fn folder(&self, snapshot: &str, path: &StoredPath, cancel: &Cancel) -> Read<Folder> {
        let opened = self.opened().map_err(fault)?;
        let place = opened.place(snapshot).map_err(fault)?;
        let content = opened
            .browser
            .folder(place, path, &Stop::from(cancel.cell()));
        let content = content.map_err(fault)?;
        let items = content.entries.into_iter().map(|entry| Item {
            kind: entry_kind(entry.kind),
            size: entry.size,
            mtime: seconds(entry.mtime),
            name: entry.name,
        });
        Ok(Folder {
            is_there: content.is_there,
            items: items.collect(),
            fault: content.unread,
        })
    }

    fn versions(&self, path: &StoredPath, cancel: &Cancel) -> Read<Versions> {
        let opened = self.opened().map_err(fault)?;
        let stop = Stop::from(cancel.cell());
        let found = match opened.recorded.is_empty() {
            true => opened.versions_by_trees(path, &stop),
            false => opened.versions_by_manifests(path, &stop),
        };
        found.map_err(fault)
    }

    fn find(
        &self,
        text: &str,
        cancel: &Cancel,
        each: &mut dyn FnMut(FoundPath) -> bool,
    ) -> Read<Option<String>> {
        let opened = self.opened().map_err(fault)?;
        if opened.recorded.is_empty() {
            return Err(Fault {
                message: "there is no manifest here that could be searched".to_owned(),
                hint: None,
            });
        }
        let search = Search::pattern_any_case(pattern_of(text)).map_err(|_| Fault {
            message: format!("`{text}` is no pattern"),
            hint: None,
        })?;
        let mut is_enough = false;
        let searched = opened.browser.find(
            &opened.recorded,
            &search,
            &Stop::from(cancel.cell()),
            &mut |found| match opened.found_path(&found).is_none_or(&mut *each) {
                true => Ok(()),
                false => {
                    is_enough = true;
                    Err(Error::interrupted())
                }
            },
        );
        match searched {
            Ok(unread) => Ok(unread
                .first()
                .map(|first| format!("{}: {}", first.id, first.because))),
            Err(_) if is_enough => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }

    fn changes(
        &self,
        before: &str,
        after: &str,
        path: &StoredPath,
        cancel: &Cancel,
    ) -> Read<Vec<String>> {
        let opened = self.opened().map_err(fault)?;
        let ids = opened
            .id(before)
            .and_then(|before| Ok((before, opened.id(after)?)));
        let (before, after) = ids.map_err(fault)?;
        let stop = Stop::from(cancel.cell());
        let diff = opened
            .browser
            .diff(before, after, path, &stop)
            .map_err(fault)?;
        let text = diff_lines(&diff, &Style::default());
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn content(
        &self,
        snapshot: &str,
        path: &StoredPath,
        most: u64,
        _: &Cancel,
    ) -> Read<Option<Vec<u8>>> {
        let opened = self.opened().map_err(fault)?;
        let place = opened.place(snapshot).map_err(fault)?;
        opened.browser.content(place, path, most).map_err(fault)
    }

    fn time(&self, seconds: i64) -> String {
        let time = Local.timestamp_opt(seconds, 0).earliest();
        time.map_or_else(String::new, |time| time.format(TIME).to_string())
    }
}

/// How times are shown: the columns of all of them are the same.
const TIME: &str = "%Y-%m-%d %H:%M";

fn fault(error: Error) -> Fault {
    Fault {
        message: error.message,
        hint: error
            .hint
            .map(|hint| render::hint::pasted(&hint).into_owned()),
    }
}

/// What is searched for a text that somebody types: a part of a name, or with a slash before it the beginning of
/// a path.
fn pattern_of(text: &str) -> Vec<u8> {
    let body = text.trim_end_matches('/');
    let end = if body.len() < text.len() { "/" } else { "" };
    let has_wildcards = body.contains(['*', '?', '[']);
    let body = match has_wildcards {
        true => body.to_owned(),
        // The stars make it a pattern, in which this is an escape.
        false => body.replace('\\', "\\\\"),
    };
    let start = match body.starts_with('/') {
        true => "",
        false => "*",
    };
    format!("{start}{body}*{end}").into_bytes()
}

fn snapshot(one: &ListedSnapshot, tiers: &[schema::Tier]) -> Snapshot {
    let is_doubtful =
        !one.complete || one.is_suspect() || one.damaged > 0 || one.manifest_fault.is_some();
    // Of a remote nobody knows what a deletion frees.
    let is_known = one.frees > 0 || one.frees_is_exact;
    Snapshot {
        name: one.id.to_string(),
        time: one.started_at.format(TIME).to_string(),
        tiers: list::tier_columns(tiers, &one.tiers),
        alone: match is_known {
            true => format!("{}{}", list::at_least_sign(one), amount::bytes(one.frees)),
            false => String::new(),
        },
        holds: format!(
            "{}, {}",
            amount::plural(one.files, "file", "files"),
            amount::bytes(one.bytes)
        ),
        state: list::state_words(one, &Style::default()).replace('\u{1}', " "),
        why: format!("{}{}", list::retention_reason(one), list::gone_then(one)),
        standing: match is_doubtful {
            true => Standing::Doubtful,
            false => Standing::Good,
        },
        pinned: one.pinned,
        has_record: true,
    }
}

/// The time in the name of a snapshot.
fn time_of_id(id: SnapshotId) -> String {
    let text = id.to_string();
    match text.split_once('_') {
        Some((date, time)) => {
            let time: Vec<&str> = time.split('-').take(2).collect();
            format!("{date} {}", time.join(":"))
        }
        None => text,
    }
}

fn seconds(time: i128) -> Option<i64> {
    let seconds = i64::try_from(time.div_euclid(NANOS)).ok()?;
    DateTime::from_timestamp(seconds, 0).map(|_| seconds)
}

/// What is said of an entry besides its size and time.
fn about(entry: &Entry) -> Vec<(&'static str, String)> {
    let name = |name: Option<&str>, number: u32| {
        name.map_or_else(
            || number.to_string(),
            |name| escape::display(name.as_bytes()),
        )
    };
    let user = name(entry.owners.user.as_deref(), entry.uid);
    let group = name(entry.owners.group.as_deref(), entry.gid);
    let mut about = vec![
        ("owner", format!("{user}:{group}")),
        ("mode", format!("{:04o}", entry.mode)),
    ];
    if let Some(target) = &entry.target {
        about.push(("to", escape::display(target)));
    }
    if let Some(digest) = &entry.digest {
        about.push(("sha256", digest.short()));
    }
    if entry.torn {
        about.push(("note", "it changed while it was read".to_owned()));
    }
    if entry.unread {
        about.push(("note", "not all of it could be read".to_owned()));
    }
    about
}
