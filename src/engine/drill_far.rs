//! Drills of remotes with history: a sample of the last good snapshot is brought here and restored, with owners
//! and times, into a folder that is removed again. A room would need all of it.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
    time::Instant,
};

use executor::{
    Error, ErrorKind,
    cloud::staging::Staging,
    error::Result,
    event::Silent,
    remove::remove_tree,
    sys::{Dir, Kind, resolve::resolve},
};
use planner::{drill::SampleChooser, health::REMEDY_FAR, restore::is_pattern};
use schema::{
    FailureCode, RunResult,
    drill::{Drill, DrillPlan, MOST_DAMAGES, RoomOutcome, SampleDamage, SampleFile, SampleRead},
    escape,
};

use super::{
    DrillRequest, Engine, RestoreRequest, TypedPath, destination::naming_error,
    operation::Operation, remote::Ask,
};

/// Where the sample is restored to.
const RESTORED: &str = "restored";

impl Operation<'_> {
    /// What a drill of the remote would restore.
    pub(super) fn plan_far_drill(&self, request: &DrillRequest) -> Result<DrillPlan> {
        Ok(self.plan_far(request)?.0)
    }

    /// Tries a restore of a sample. That nobody reaches the remote now says nothing of what is there.
    pub(super) fn drill_far(&self, request: &DrillRequest) -> Result<Drill> {
        let (plan, known, is_of_another) = self.plan_far(request)?;
        // What says nothing of what is there.
        let is_no_drill = |error: &Error| {
            let is_of_here = [FailureCode::Unreachable, FailureCode::NoSpace].map(Some);
            let is_tried = [ErrorKind::Failed, ErrorKind::Refused].contains(&error.kind);
            !is_tried || is_of_here.contains(&error.code)
        };
        let outcome = match self.restore_sample(&plan, &known) {
            Ok(outcome) => outcome,
            Err(error) if is_no_drill(&error) => return Err(error),
            Err(error) => RoomOutcome {
                fault: Some(format!("not all of a sample came back: {}", error.message)),
                ..RoomOutcome::default()
            },
        };
        let outcome = RoomOutcome {
            hint: Some(self.engine.in_own_words(REMEDY_FAR)),
            ..outcome
        };
        Ok(self.end_drill(&plan, outcome, is_of_another))
    }

    /// The plan, the engine of what is known of the remote, and whether it is of another snapshot than the last
    /// good one.
    fn plan_far(&self, request: &DrillRequest) -> Result<(DrillPlan, Engine, bool)> {
        let engine = self.engine;
        let known = engine.known(Ask::Always, self.observer)?;
        let destination = known.unlogged(&Silent).destination_with_records()?;
        let choose = |name| planner::drill::choose_snapshot(name, &destination, self.now);
        let snapshot = choose(request.snapshot.as_deref()).map_err(naming_error)?;
        let (host, remote) = (engine.host_folder(), engine.cloud_remote());
        let plan =
            planner::drill::plan_remote_drill(&host, self.now, &remote, &destination, snapshot);
        let newest = choose(None);
        let is_of_another = newest.is_ok_and(|newest| newest.record.id != snapshot.record.id);
        Ok((plan, known, is_of_another))
    }

    fn restore_sample(&self, plan: &DrillPlan, known: &Engine) -> Result<RoomOutcome> {
        let (sample, of_files) = self.choose_far_sample(plan, known)?;
        if sample.is_empty() {
            let sample = SampleRead {
                of_files,
                ..SampleRead::default()
            };
            return Ok(RoomOutcome {
                sample: Some(sample),
                ..RoomOutcome::default()
            });
        }
        let remote = self.engine.cloud_remote();
        let staging = self
            .engine
            .open_staging(None, &format!("drill of {remote}"))?;
        let done = self.restore_to(&staging, plan, &sample);
        // Whatever came of it nothing stays.
        let removed = self.remove_staging(&staging);
        let outcome = done?;
        removed?;
        Ok(RoomOutcome {
            sample: outcome.sample.map(|read| SampleRead { of_files, ..read }),
            ..outcome
        })
    }

    /// Brings the sample and restores it; says which of it came back.
    fn restore_to(
        &self,
        staging: &Staging,
        plan: &DrillPlan,
        sample: &[SampleFile],
    ) -> Result<RoomOutcome> {
        let Staging { folder, path } = staging;
        let restored = OsStr::new(RESTORED);
        // What a drill left that was killed.
        remove_tree(folder, restored, RESTORED, self.context)?;
        let made = folder.folder_or_new(restored, 0o700);
        let made = made.map_err(|error| Error::io("make", path.as_os_str().as_bytes(), error))?;
        let target = path.join(RESTORED);
        let begun = Instant::now();
        let request = RestoreRequest {
            paths: sample
                .iter()
                .map(|one| TypedPath::from(path_of(one)))
                .collect(),
            staging: Some(path.clone()),
            ..RestoreRequest::new(
                plan.snapshot.id.to_string(),
                "/",
                match sample {
                    [one] => target.join(name_of(one)),
                    _ => target,
                },
            )
        };
        let prepared = self.engine.prepare_restore(&request, &Silent)?;
        let outcome = self.engine.restore(prepared, &Silent)?;
        let report = outcome.report();
        let undone = report
            .steps
            .iter()
            .find(|done| report.result != RunResult::Success && !done.outcome.status.serves());
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let read = look_at_restored(&made, sample, millis);
        Ok(RoomOutcome {
            ready_millis: Some(millis),
            fault: undone
                .map(|done| done.outcome.message.clone())
                .filter(|_| read.damage_count == 0),
            sample: Some(read),
            ..RoomOutcome::default()
        })
    }

    /// Removes the folder of the downloads with all that is in it.
    fn remove_staging(&self, staging: &Staging) -> Result<()> {
        let path = &staging.path;
        let found =
            resolve(path).map_err(|error| Error::io("open", path.as_os_str().as_bytes(), error))?;
        let named = path.to_string_lossy();
        remove_tree(&found.parent, &found.name, &named, self.context)
    }

    /// Which files are restored, each with a name of its own, and how many there are.
    fn choose_far_sample(
        &self,
        plan: &DrillPlan,
        known: &Engine,
    ) -> Result<(Vec<SampleFile>, u64)> {
        const LOOK: usize = 4096;
        let mut chooser = SampleChooser::of_remote(plan.planned_at.timestamp().unsigned_abs());
        let store = known.open_store_present()?;
        let id = plan.snapshot.id;
        for (number, entry) in store.manifest(id)?.without_names().enumerate() {
            if number % LOOK == 0 {
                self.context.stop.check()?;
            }
            let entry =
                entry.map_err(|error| store.io("read", &format!("manifest of {id}"), error))?;
            let is_held = entry.kind == Kind::File && !entry.absent && !entry.torn;
            let Some(digest) = entry.digest.filter(|_| is_held) else {
                continue;
            };
            // It would be taken for a pattern.
            if is_pattern(&PathBuf::from(OsString::from_vec(entry.path.to_absolute()))) {
                continue;
            }
            chooser.offer(entry.path.as_bytes(), entry.size, || SampleFile {
                path: escape::escape(entry.path.as_bytes()),
                size: entry.size,
                digest,
            });
        }
        let (mut sample, of_files) = chooser.choose();
        let mut names = BTreeSet::new();
        sample.retain(|one| names.insert(name_of(one)));
        Ok((sample, of_files))
    }
}

/// The path of a file of the sample on the machine.
fn path_of(file: &SampleFile) -> PathBuf {
    let path = escape::unescape(&file.path).unwrap_or_default();
    PathBuf::from(OsString::from_vec([b"/", path.as_slice()].concat()))
}

fn name_of(file: &SampleFile) -> OsString {
    path_of(file).file_name().unwrap_or_default().to_owned()
}

/// What of the sample stands where it was restored to. Its content was read back by the restore.
fn look_at_restored(folder: &Dir, sample: &[SampleFile], millis: u64) -> SampleRead {
    let mut read = SampleRead {
        millis,
        ..SampleRead::default()
    };
    for file in sample {
        read.files += 1;
        let stat = folder.stat(&name_of(file));
        if stat.is_ok_and(|stat| stat.kind == Kind::File && stat.size == file.size) {
            read.bytes = read.bytes.saturating_add(file.size);
            continue;
        }
        read.damage_count += 1;
        if read.damage.len() < MOST_DAMAGES {
            read.damage.push(SampleDamage {
                path: format!("/{}", file.path),
                message: "did not come back".to_owned(),
            });
        }
    }
    read
}
