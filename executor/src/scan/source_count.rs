//! Counts a source while it is surveyed: what it holds, whatever it is compared with.

use rustix::io::Errno;
use schema::{
    LeftOut, StoredPath, escape,
    inventory::{DataPassedOver, Presence, SourceScan},
};

use super::{
    databases::{Names, add_database},
    tally::{MAX_LISTED, Tally, within},
};
use crate::{
    error::{Result, system_reason},
    event::{Context, Event, Progress},
    survey::{Below, Content, Encountered, LeftOutFolders, Measured, Tagged, WalkEvent},
    sys::{Kind, Stat, mounts::Mount},
};

/// What is counted of one source and those within it.
pub(super) struct SourceCount<'a, 'b> {
    /// What compares it with the basis and the destination.
    pub(super) tally: Tally<'a, 'b>,
    pub(super) below: &'a Below<'a>,
    /// Whether each exclude pattern has left something out.
    pub(super) patterns_used: &'a mut [bool],
    /// The folders that tags leave out.
    pub(super) left_out: &'a mut LeftOutFolders,
    pub(super) progress: &'a mut Progress,
    pub(super) context: Context<'a>,
    pub(super) prefix: &'a StoredPath,
    /// What tells databases among the entries of each open folder.
    pub(super) names: Names,
}

impl SourceCount<'_, '_> {
    /// Counts what was met; says what is known of its content.
    pub(super) fn told(&mut self, path: &StoredPath, told: WalkEvent) -> Result<Content> {
        let at = self.tally.owner(path);
        self.look_for_databases(at, path, &told);
        let content = self.tally.told(path, &told)?;
        let within = within(&self.tally.inner, at, path);
        let own = &mut self.tally.own[at];
        own.met = true;
        let scan = &mut own.state.scan;
        match told {
            WalkEvent::Excluded(pattern) => {
                scan.excluded += 1;
                if let Some(used) = pattern.and_then(|at| self.patterns_used.get_mut(at)) {
                    *used = true;
                }
            }
            WalkEvent::LeftOut(tagged, measured) => {
                let path = self.prefix.join(path);
                let what = describe_left_out(&path, tagged, measured);
                own.state.left_out.get_or_insert_default().add(&what);
                self.left_out.add(path, &what);
                return Ok(content);
            }
            WalkEvent::Encountered(Encountered::Enter(stat)) => {
                scan.entries += 1;
                scan.folders += 1;
                count_flags(scan, &stat);
            }
            WalkEvent::Encountered(Encountered::Leaf(stat)) => {
                scan.entries += 1;
                count_flags(scan, &stat);
                if stat.kind == Kind::File {
                    scan.files += 1;
                    scan.bytes += stat.size;
                    self.progress.bytes += stat.size;
                }
            }
            WalkEvent::Encountered(Encountered::MountPoint(stat)) => {
                scan.entries += 1;
                scan.folders += 1;
                let within = escape::display(within);
                own.state.mounts_passed_over.push(within.clone());
                let data = data_of(self.below.mount(path), &stat, within);
                own.state.data_passed_over.extend(data);
            }
            WalkEvent::Encountered(Encountered::Unreadable(stat, error)) => {
                if within.is_empty() {
                    own.state.presence = unreadable_presence(error);
                }
                scan.unreadable += 1;
                if stat.is_some_and(|stat| stat.kind == Kind::Folder) {
                    scan.entries += 1;
                    scan.folders += 1;
                }
                if own.state.unreadable.len() < MAX_LISTED {
                    own.state.unreadable.push(escape::display(within));
                }
            }
            WalkEvent::Encountered(Encountered::Leave) => {
                self.names.leave();
                return Ok(content);
            }
            WalkEvent::Encountered(Encountered::Hollow(_) | Encountered::Vanished) => {
                return Ok(content);
            }
        }
        self.progress.entries += 1;
        if self.progress.entries.is_multiple_of(1000) {
            self.context.observer.event(Event::Progress(*self.progress));
        }
        Ok(content)
    }

    /// Counts a database of which this entry is the telling one.
    fn look_for_databases(&mut self, at: usize, path: &StoredPath, told: &WalkEvent) {
        let (is_file, enters) = match told {
            WalkEvent::Encountered(Encountered::Leaf(stat)) => (stat.kind == Kind::File, false),
            WalkEvent::Encountered(Encountered::Enter(_)) => (false, true),
            // A log that is left out makes it no better.
            WalkEvent::Excluded(_) | WalkEvent::LeftOut(..) => (false, false),
            WalkEvent::Encountered(_) => return,
        };
        let name = path.file_name();
        let found = if enters {
            self.names.folder(name)
        } else {
            self.names.leaf(name, is_file)
        };
        if enters {
            self.names.enter();
        }
        if let Some((kind, less)) = found {
            let database = &path[..path.len() - less];
            let database = StoredPath::new(database.strip_suffix(b"/").unwrap_or(database));
            let example = within(&self.tally.inner, at, database);
            add_database(&mut self.tally.own[at].state.databases, kind, example);
        }
    }
}

/// What a tag leaves out of one folder.
fn describe_left_out(path: &StoredPath, tagged: Tagged, measured: Measured) -> LeftOut {
    let (caches, folders) = match tagged {
        Tagged::Cache => (1, 0),
        Tagged::Whole => (0, 1),
    };
    LeftOut {
        caches,
        folders,
        entries: measured.entries,
        bytes: measured.bytes,
        at_least: measured.at_least,
        most: path.shown(),
        most_bytes: measured.bytes,
    }
}

/// What is passed over at a mount point or a subvolume, if it holds data of this machine.
fn data_of(mount: Option<&Mount>, stat: &Stat, path: String) -> Option<DataPassedOver> {
    match mount {
        Some(mount) => mount.holds_data().then(|| DataPassedOver {
            path,
            file_system: Some(mount.file_system.clone()),
            device: mount.device.clone(),
            within: Some(escape::display(&mount.root)),
        }),
        // Mounted after the walk began.
        None if stat.mount_root => None,
        None => Some(DataPassedOver {
            path,
            file_system: None,
            device: stat.device_text(),
            within: None,
        }),
    }
}

fn count_flags(scan: &mut SourceScan, stat: &Stat) {
    scan.immutable += u64::from(stat.immutable || stat.append_only);
}

pub(super) fn unreadable_presence(error: Errno) -> Presence {
    Presence::Unreadable {
        because: system_reason(&error.into()),
    }
}
