//! Whether each name and path of a plan is inside its root.
//!
//! Paths in snapshots and names of other tools stand escaped; what is judged are the bytes behind them.

use schema::{
    Plan, Tier,
    config::AbsolutePath,
    escape::unescape,
    plan::{
        Action, AdoptStep, Channel, CloudSyncStep, DestinationCheckStep, RemoteCall, RepairFrom,
        RepairStep, RestoreStep, SnapshotStep, Step, UploadStep,
    },
    verify::StoredName,
};

use super::{Broken, PATH_OUTSIDE, standing::Standing};

pub(super) fn check(plan: &Plan, standing: &Standing<'_>, broken: &mut Broken) {
    for (what, name) in [("the run", &plan.run_id), ("the host", &plan.host)] {
        if !is_name(name.as_bytes()) {
            broken.plan(PATH_OUTSIDE, format!("`{name}` is no name for {what}"));
        }
    }
    for step in &plan.steps {
        let mut paths = Paths { step, broken };
        if !is_step_name(&step.id) {
            paths.outside(&step.id, "a step");
        }
        paths.of_step(plan, standing);
    }
}

/// The paths of one step.
struct Paths<'a> {
    step: &'a Step,
    broken: &'a mut Broken,
}

impl Paths<'_> {
    fn of_step(&mut self, plan: &Plan, standing: &Standing<'_>) {
        match &self.step.action {
            Action::PreScript(script) | Action::PostScript(script) => {
                self.absolute(&script.program, "a script");
            }
            Action::DestinationCheck(check) => self.of_destination(check, plan, standing),
            Action::Snapshot(snapshot) => self.of_snapshot(snapshot, standing),
            Action::CloudSync(sync) => self.of_cloud(sync, plan, standing),
            Action::Upload(upload) => self.of_upload(upload, plan),
            Action::Expire(expire) => self.of_call(&expire.call, plan),
            Action::Restore(restore) => self.of_restore(restore),
            Action::Repair(repair) => self.of_repair(repair),
            Action::Adopt(adopt) => self.of_adoption(adopt),
            Action::Notify(notify) => notify.channels.iter().for_each(|one| self.of_channel(one)),
            Action::Announce(announce) => {
                let file = announce.url_file.iter();
                file.for_each(|file| self.absolute(file, "a file"));
            }
            // Ids and tiers are types of their own: they hold no path.
            Action::PlanAgain
            | Action::SpaceCheck(_)
            | Action::Rotate(_)
            | Action::Delete(_)
            | Action::Mark(_) => {}
            Action::RemoteMark(mark) => self.of_call(&mark.call, plan),
        }
    }

    fn of_destination(
        &mut self,
        check: &DestinationCheckStep,
        plan: &Plan,
        standing: &Standing<'_>,
    ) {
        self.absolute(&check.mount_point, "a mount point");
        if let Some(found) = standing.destination
            && found.mount_point != check.mount_point
        {
            let what = format!("the destination, which is {}", found.mount_point);
            self.outside(check.mount_point.as_str(), &what);
        }
        self.of_host(&check.folder, plan);
        let other = check.take_over.as_ref();
        if let Some(folder) = other.and_then(|other| other.folder.as_ref()) {
            // As it stands on the destination, and not escaped.
            if !is_name(folder.as_bytes()) {
                self.outside(folder, "a host's folder");
            }
        }
    }

    fn of_snapshot(&mut self, snapshot: &SnapshotStep, standing: &Standing<'_>) {
        let calls = snapshot.rsync.iter().flat_map(|rsync| &rsync.calls);
        let called = calls.clone().map(|call| &call.source);
        for source in snapshot.sources.iter().map(|one| &one.path).chain(called) {
            self.absolute(source, "a source");
            let found = standing.sources;
            if found.is_some_and(|all| all.iter().all(|one| one.path != *source)) {
                self.outside(source.as_str(), "a source that was surveyed");
            }
        }
        for list in calls.filter_map(|call| call.list.as_ref()) {
            self.name(list, "a list beside the snapshot's record");
        }
    }

    fn of_cloud(&mut self, sync: &CloudSyncStep, plan: &Plan, standing: &Standing<'_>) {
        self.of_remote(&sync.remote, sync.config_file.as_ref(), plan);
        if let Some(check) = &sync.destination {
            self.of_destination(check, plan, standing);
        }
        self.of_what_goes_there(plan);
    }

    fn of_upload(&mut self, upload: &UploadStep, plan: &Plan) {
        self.of_call(&upload.call, plan);
        self.of_what_goes_there(plan);
    }

    /// Where that comes from which goes to a remote.
    fn of_what_goes_there(&mut self, plan: &Plan) {
        let step = self.step;
        for check in step.action.feeds().iter().map(|feed| &feed.destination) {
            self.absolute(&check.mount_point, "a mount point");
            self.of_host(&check.folder, plan);
        }
        let live = step
            .action
            .live()
            .into_iter()
            .flat_map(|live| &live.sources);
        live.for_each(|source| self.absolute(source, "a source"));
    }

    fn of_call(&mut self, call: &RemoteCall, plan: &Plan) {
        self.of_remote(&call.remote, call.config_file.as_ref(), plan);
        self.of_host(&call.folder, plan);
    }

    fn of_host(&mut self, folder: &str, plan: &Plan) {
        if folder != plan.host {
            self.outside(folder, &format!("the folder of {}", plan.host));
        }
    }

    fn of_remote(&mut self, remote: &str, config_file: Option<&AbsolutePath>, plan: &Plan) {
        let above = remote.strip_suffix(plan.host.as_str());
        if !above.is_some_and(|above| above.ends_with(['/', ':'])) {
            self.outside(remote, &format!("the remote's folder of {}", plan.host));
        }
        if let Some(file) = config_file {
            self.absolute(file, "a file");
        }
    }

    fn of_restore(&mut self, restore: &RestoreStep) {
        let folder = restore.folder.split_once('/');
        let in_tier = folder.is_some_and(|(tier, name)| {
            tier.parse::<Tier>().is_ok() && is_path(name) && !name.contains('/')
        });
        if !in_tier {
            self.outside(&restore.folder, "a snapshot in a tier");
        }
        self.path(&restore.path, "the snapshot");
        for name in &restore.only {
            self.name(name, "an entry of the path");
        }
        if !restore.target.starts_with('/') {
            self.outside(&restore.target, "an absolute target");
        }
        if restore.aside_suffix.is_empty() || restore.aside_suffix.contains('/') {
            self.outside(&restore.aside_suffix, "a suffix of what is kept aside");
        }
        let put_right = restore.put_right.iter().map(|one| &one.path);
        // What differs may be the target itself, which stands as a point.
        let differs = restore.conflicts.iter().chain(put_right);
        let below = differs.filter(|path| *path != ".");
        below
            .chain(&restore.through)
            .for_each(|path| self.path(path, "the target"));
    }

    fn of_repair(&mut self, repair: &RepairStep) {
        for file in &repair.files {
            file.names.iter().for_each(|one| self.stored(&one.name));
            match &file.from {
                RepairFrom::Source { source, path } => {
                    self.absolute(source, "a source");
                    self.path(path, "the source");
                }
                RepairFrom::Stored { name } => self.stored(name),
            }
        }
        repair.folders.iter().for_each(|one| self.stored(&one.name));
        let sources = repair.records.iter().flat_map(|one| &one.sources);
        sources.for_each(|source| self.absolute(source, "a source"));
    }

    fn of_adoption(&mut self, adopt: &AdoptStep) {
        if !adopt.root.starts_with('/') {
            self.outside(&adopt.root, "an absolute folder");
        }
        for tree in &adopt.trees {
            self.path(&tree.from, "the folder that is adopted from");
            if tree.from.is_empty() {
                self.outside(&adopt.root, "a folder below the one that is adopted from");
            }
            self.path(&tree.at, "a snapshot");
        }
        adopt
            .sources
            .iter()
            .for_each(|source| self.absolute(source, "a source"));
    }

    fn of_channel(&mut self, channel: &Channel) {
        match channel {
            Channel::Ntfy {
                token_file: one,
                topic_file: other,
                ..
            }
            | Channel::Webhook {
                headers_file: one,
                url_file: other,
                ..
            } => {
                let files = one.iter().chain(other);
                files.for_each(|file| self.absolute(file, "a file"));
            }
            Channel::Healthcheck { url_file, .. } => {
                url_file
                    .iter()
                    .for_each(|file| self.absolute(file, "a file"));
            }
            Channel::Command { program } => self.absolute(program, "a program"),
            Channel::Desktop | Channel::Email { .. } => {}
        }
    }

    fn stored(&mut self, name: &StoredName) {
        self.path(&name.path, &format!("snapshot {}", name.snapshot));
    }

    /// A path relative to `root`; empty for the root itself.
    fn path(&mut self, escaped: &str, root: &str) {
        if !escaped.is_empty() && !is_path(escaped) {
            self.outside(escaped, &format!("a path below {root}"));
        }
    }

    fn name(&mut self, escaped: &str, what: &str) {
        if escaped.contains('/') || !is_path(escaped) {
            self.outside(escaped, what);
        }
    }

    fn absolute(&mut self, path: &AbsolutePath, what: &str) {
        let below = path.as_str().strip_prefix('/');
        if !below.is_some_and(|below| below.is_empty() || are_names(below.as_bytes())) {
            self.outside(path.as_str(), &format!("an absolute path of {what}"));
        }
    }

    fn outside(&mut self, path: &str, what: &str) {
        self.broken.step(
            PATH_OUTSIDE,
            self.step,
            format!("names `{path}`, which is not {what}"),
        );
    }
}

/// Whether an escaped text is a relative path without `.`, `..` and empty names.
fn is_path(escaped: &str) -> bool {
    unescape(escaped).is_some_and(|path| are_names(&path))
}

fn are_names(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').all(is_name)
}

/// Whether these bytes can name one entry of a folder.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

fn is_step_name(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !id.is_empty() && id.bytes().all(plain)
}
