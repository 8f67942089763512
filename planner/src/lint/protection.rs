//! Whether a plan deletes what a law protects.

use std::collections::BTreeSet;

use schema::{
    Plan, SnapshotId,
    plan::{
        Action, CloudSyncStep, DeletePurpose, DeleteStep, Deletion, ExpireStep, RepairFrom,
        RepairStep, RotateStep, Rotation, Step, UploadFeed,
    },
    remote_history::RemoteContent,
};

use super::{
    Broken, TOUCHES_PROTECTED,
    standing::{Good, Standing, is_suspect},
};

/// What snapshots go for, and so what holds of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The policy lets them go after a new snapshot.
    Rotation,
    /// The policy lets them go, because a person asks for it.
    Prune,
    /// The next snapshot needs their room.
    Room,
    /// A person named them.
    ByHand,
    /// The remote has them.
    InTheCloud,
}

pub(super) fn check(plan: &Plan, standing: &Standing<'_>, broken: &mut Broken) {
    let mut check = Protection {
        plan,
        standing,
        gone: BTreeSet::new(),
        broken,
    };
    for step in &plan.steps {
        check.feeds(step);
        match &step.action {
            Action::Delete(delete) => check.delete(step, delete),
            Action::Rotate(rotate) => check.rotate(step, rotate),
            Action::CloudSync(sync) => check.cloud(step, sync),
            Action::Expire(expire) => check.expiry(step, expire),
            Action::Repair(repair) => check.repair(step, repair),
            _ => {}
        }
    }
}

struct Protection<'a, 'b> {
    plan: &'a Plan,
    standing: &'a Standing<'a>,
    /// What the steps before have deleted.
    gone: BTreeSet<SnapshotId>,
    broken: &'b mut Broken,
}

impl Protection<'_, '_> {
    fn delete(&mut self, step: &Step, delete: &DeleteStep) {
        let why = match delete.purpose {
            DeletePurpose::MakeRoom => Why::Room,
            DeletePurpose::Prune => Why::Prune,
            DeletePurpose::Delete => Why::ByHand,
        };
        let rotation = &delete.rotation;
        self.rotation(step, rotation, why, None);
        let goes = |id: &SnapshotId| rotation.deletions.iter().any(|one| one.id == *id);
        let all = &self.standing.snapshots;
        if self.standing.is_new && !all.is_empty() && all.keys().all(goes) {
            self.broken.step(
                TOUCHES_PROTECTED,
                step,
                "would delete every snapshot that there is",
            );
        }
        self.gone
            .extend(rotation.deletions.iter().map(|one| one.id));
    }

    fn rotate(&mut self, step: &Step, rotate: &RotateStep) {
        let Some(snapshot) = self.plan.snapshot() else {
            return;
        };
        let doubtful = self.standing.is_doubtful(self.plan, snapshot);
        let new = |complete: bool| (!doubtful).then(|| Good::new(snapshot, complete));
        let incomplete = rotate.on_incomplete.as_deref();
        let alternatives = [
            (&rotate.on_complete, true),
            (incomplete.unwrap_or(&rotate.on_complete), false),
        ];
        for (rotation, complete) in alternatives {
            self.rotation(step, rotation, Why::Rotation, new(complete));
            if doubtful && let Some(first) = rotation.deletions.first() {
                self.would_delete(step, first, "while a source that had files has none");
            }
            if let Some(own) = rotation.deletions.iter().find(|one| one.id == snapshot.id) {
                self.would_delete(step, own, "which the same run makes");
            }
        }
    }

    fn cloud(&mut self, step: &Step, sync: &CloudSyncStep) {
        let new = self.plan.snapshot().map(|one| Good::new(one, true));
        self.deletions(step, &sync.give_back, Why::InTheCloud, new);
        let Some(cloud) = self.standing.cloud else {
            return;
        };
        for id in &sync.expire {
            let known = cloud.memory.history.iter().any(|one| one.id == *id);
            let why = if !known {
                "which this machine does not know".to_owned()
            } else if let Some(suspect) = self.standing.suspect() {
                format!("while {suspect} is suspect and nobody has accepted it")
            } else {
                continue;
            };
            let what = format!("would delete history/{id} of the remote, {why}");
            self.broken.step(TOUCHES_PROTECTED, step, what);
        }
    }

    /// What goes to a remote is read from disks, and changes nothing there.
    fn feeds(&mut self, step: &Step) {
        let writes = |feed: &&UploadFeed| {
            let check = &feed.destination;
            !check.read_only || check.create || check.remember || check.take_over.is_some()
        };
        if let Some(feed) = step.action.feeds().iter().find(writes) {
            let what = format!("would write to {}, which it is to read", feed.of);
            self.broken.step(TOUCHES_PROTECTED, step, what);
        }
    }

    /// Only what is known of a remote goes there, never what was made last, what is pinned, or what nobody
    /// let go before.
    fn expiry(&mut self, step: &Step, expire: &ExpireStep) {
        // What a remote has is known of new plans alone.
        let Some(cloud) = self.standing.cloud else {
            return;
        };
        let nothing = RemoteContent::default();
        let content = cloud.history.as_ref().unwrap_or(&nothing);
        let last = content
            .snapshots
            .iter()
            .max_by_key(|one| (one.record.sequence, one.record.sealed_at, one.record.id));
        for one in &expire.expire {
            let found = content.snapshots.iter().find(|it| it.record.id == one.id);
            let why = match found {
                None => "which is not known to be there",
                Some(found) if found.marks.pinned => "which is pinned",
                Some(found) if last.is_some_and(|last| last.record.id == found.record.id) => {
                    "which is the newest there"
                }
                Some(_) => continue,
            };
            let what = format!("would let {} go, {why}", one.id);
            self.broken.step(TOUCHES_PROTECTED, step, what);
        }
        for id in expire.sweep.iter().map(|one| one.id) {
            if content.expired.iter().all(|one| one.id != id) {
                let what = format!("would take {id} away, which nobody let go");
                self.broken.step(TOUCHES_PROTECTED, step, what);
            }
        }
    }

    /// A repair touches snapshots that this program made, and no other folder.
    fn repair(&mut self, step: &Step, repair: &RepairStep) {
        let names = repair.files.iter().flat_map(|file| {
            let from = match &file.from {
                RepairFrom::Stored { name } => Some(name),
                RepairFrom::Source { .. } => None,
            };
            file.names.iter().map(|one| &one.name).chain(from)
        });
        let folders = repair.folders.iter().map(|one| &one.name);
        let names = names.chain(folders).map(|name| name.snapshot);
        let records = repair.records.iter().map(|one| one.id);
        let ids: BTreeSet<SnapshotId> = names.chain(records).collect();
        let Some(found) = self.standing.destination else {
            return;
        };
        for id in ids {
            let name = id.to_string();
            let mut unmanaged = found.unmanaged.iter();
            let damaged = unmanaged.any(|one| one.name == name && one.record_fault.is_some());
            if !damaged && !self.standing.snapshots.contains_key(&id) {
                let what = format!("would repair {id}, which is no snapshot of this program");
                self.broken.step(TOUCHES_PROTECTED, step, what);
            }
        }
    }

    fn rotation(&mut self, step: &Step, rotation: &Rotation, why: Why, new: Option<Good>) {
        self.deletions(step, &rotation.deletions, why, new);
        for one in &rotation.deletions {
            if rotation.keep.iter().any(|kept| kept.id == one.id) {
                self.would_delete(step, one, "which it says is kept");
            }
            if rotation.withheld_because.is_some() {
                self.would_delete(step, one, "although it says that deletions are withheld");
            }
        }
    }

    fn deletions(&mut self, step: &Step, deletions: &[Deletion], why: Why, new: Option<Good>) {
        let newest_good = match why {
            Why::ByHand => self.standing.newest_by_all(),
            _ => self.standing.newest_good(new),
        };
        let newest = [
            (newest_good, "the newest good snapshot"),
            (
                self.by_policy(why, self.standing.newest_complete(new)),
                "the newest snapshot without errors",
            ),
            (
                self.by_policy(why, self.standing.newest_verified()),
                "the newest verified snapshot",
            ),
        ];
        let suspect = self.standing.suspect();
        let mut seen = self.gone.clone();
        for one in deletions {
            for (id, what) in newest {
                if id == Some(one.id) {
                    self.would_delete(step, one, what);
                }
            }
            if why != Why::InTheCloud && !seen.insert(one.id) {
                self.would_delete(step, one, "which is deleted already");
            }
            if let Some(suspect) = suspect.filter(|_| why != Why::ByHand) {
                let what = format!("while {suspect} is suspect and nobody has accepted it");
                self.would_delete(step, one, &what);
            }
            if why == Why::Room {
                self.needed(step, one);
            }
            self.one(step, one, why);
        }
    }

    /// What the policy protects besides the newest good one.
    fn by_policy(&self, why: Why, id: Option<SnapshotId>) -> Option<SnapshotId> {
        id.filter(|_| matches!(why, Why::Rotation | Why::Prune | Why::Room))
    }

    /// What holds of each deletion by itself.
    fn one(&mut self, step: &Step, one: &Deletion, why: Why) {
        let standing = self.standing;
        let by_hand = why == Why::ByHand;
        let damaged = by_hand && standing.is_damaged(one.home, one.id);
        if damaged {
            return;
        }
        if standing.is_unmanaged(one.home, one.id) {
            self.would_delete(step, one, "which this program did not make or cannot read");
        }
        let Some(found) = standing.snapshots.get(&one.id) else {
            if standing.is_new {
                self.would_delete(step, one, "which is no snapshot");
            }
            return;
        };
        if standing.is_new && found.home != one.home {
            self.would_delete(step, one, &format!("which stands in {}", found.home));
        }
        if found.marks.pinned {
            self.would_delete(step, one, "which is pinned");
        }
        if is_suspect(found) && !by_hand {
            self.would_delete(step, one, "which is suspect and not yet accepted");
        }
        if standing.is_in_the_future(found) && !by_hand {
            self.would_delete(step, one, "which is dated in the future");
        }
    }

    /// What makes room is nothing that the snapshot is made from or judged by.
    fn needed(&mut self, step: &Step, one: &Deletion) {
        let Some(snapshot) = self.plan.snapshot() else {
            return;
        };
        let mut basis = snapshot.basis.iter().chain(&snapshot.also_link);
        if basis.any(|basis| basis.id == one.id) {
            self.would_delete(step, one, "which the new snapshot is linked to");
        }
        if snapshot.suspect_when.reference == Some(one.id) {
            self.would_delete(step, one, "which the new snapshot is judged by");
        }
    }

    fn would_delete(&mut self, step: &Step, one: &Deletion, why: &str) {
        let comma = if why.starts_with("while") || why.starts_with("although") {
            ""
        } else {
            ","
        };
        let what = format!("would delete {}/{}{comma} {why}", one.home, one.id);
        self.broken.step(TOUCHES_PROTECTED, step, what);
    }
}
