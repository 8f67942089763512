//! Drills: trial restores of the last good snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
};

use executor::{
    Error, ErrorKind,
    drill::{held_paths, run_room},
    error::Result,
    event::Event,
    store::Store,
    sys::{Dir, Kind, resolve::resolve},
    trust,
};
use planner::{
    drill::{
        CONTAINER_PLACES, DrillFacts, MACHINE_PLACES, MachinePlace, ProgramFact, SampleChooser,
    },
    findings::code,
    lint,
};
use schema::{
    FailureCode, Finding, Severity,
    config::{AbsolutePath, DestinationName, DrillCheck, IfAbsent},
    drill::{Drill, DrillPlan, DrillVerdict, RoomOutcome, SampleFile},
    escape,
};

use super::{
    Engine, Notice, Observer, apply::of_destination, containers::look_at_systemd,
    destination::naming_error, logs::LogKind, operation::Operation,
};

/// A drill that is asked for.
#[derive(Debug, Clone, Default)]
pub struct DrillRequest {
    /// The snapshot; none for the last good one.
    pub snapshot: Option<String>,
}

impl Engine {
    /// What a drill would show and run. Writes nothing.
    ///
    /// # Errors
    /// Refused if the destination is not there, or the name means no snapshot.
    pub fn plan_drill(&self, request: &DrillRequest, observer: &dyn Observer) -> Result<DrillPlan> {
        let operation = self.unlogged(observer);
        match self.is_of_remote() {
            true => operation.plan_far_drill(request),
            false => Ok(operation.plan_drill(request)?.0),
        }
    }

    /// Tries a restore, remembers the result, and tells people of one that failed.
    ///
    /// The program of [`executor::drill::set_room_program`] is started for it.
    ///
    /// # Errors
    /// Refused as [`Self::plan_drill`], or where there can be no room; an interruption. What went wrong in the
    /// room is the result.
    pub fn drill(&self, request: &DrillRequest, observer: &dyn Observer) -> Result<Drill> {
        self.logged(LogKind::Drill, observer, |operation| {
            match self.is_of_remote() {
                true => operation.drill_far(request),
                false => operation.drill(request),
            }
        })
    }

    /// The engines of all destinations of which a restore can be tried, with their names: `local` or the only
    /// disk, and remotes with history.
    #[must_use]
    pub fn drilled(&self) -> Vec<(DestinationName, Self)> {
        let config = &self.config;
        let only = config.only_disk();
        let names = config.names().into_iter();
        let each = names.filter_map(|name| {
            let view = self.of(&name)?;
            let is_local = name.as_str() == DestinationName::LOCAL;
            let is_drilled = is_local || only.as_ref() == Some(&name) || view.is_of_remote();
            is_drilled.then_some((name, view))
        });
        each.collect()
    }
}

impl Operation<'_> {
    fn drill(&self, request: &DrillRequest) -> Result<Drill> {
        let (plan, store, is_of_another) = self.plan_drill(request)?;
        let outcome = match self.restore_in_room(&plan, &store) {
            Ok(outcome) => outcome,
            Err(error) if error.kind != ErrorKind::Failed => return Err(error),
            Err(error) => RoomOutcome {
                fault: Some(error.message),
                hint: error.hint,
                ..RoomOutcome::default()
            },
        };
        Ok(self.end_drill(&plan, outcome, is_of_another))
    }

    /// Judges what came of a drill, remembers it, and tells people of one that failed.
    pub(super) fn end_drill(
        &self,
        plan: &DrillPlan,
        outcome: RoomOutcome,
        is_of_another: bool,
    ) -> Drill {
        let drill = planner::drill::judge_drill(plan, outcome, self.context.clock.now());
        let mut finding = finding_of(&drill);
        if let Some(name) = &self.engine.of {
            self.engine.tell_in_own_words([&mut finding]);
            finding = of_destination(name, &finding);
        }
        self.context.observer.event(Event::Noticed(&finding));
        let remembered = match is_of_another && drill.verdict == DrillVerdict::Passed {
            // That an older one can be restored says nothing of the newest.
            true => Ok(()),
            false => self
                .engine
                .state_or_new()
                .and_then(|state| state.remember_drill(&drill)),
        };
        if let Err(error) = remembered {
            let because = &error.message;
            self.notice(&Notice::NotRemembered { because });
        }
        // Remembered before, because telling may take its time and be ended.
        if drill.verdict == DrillVerdict::Failed {
            self.notify_of_drill(&drill, finding);
        }
        self.write_metrics();
        drill
    }

    fn restore_in_room(&self, plan: &DrillPlan, store: &Store) -> Result<RoomOutcome> {
        let sample = self.choose_sample(plan, store)?;
        let mut outcome = run_room(plan, sample, store, self.context)?;
        let id = plan.snapshot.id;
        if matches!(store.home_of(id), Ok(None)) {
            outcome.fault = Some(format!("{id} was removed while the drill was on"));
            outcome.hint = Some("run it again".to_owned());
        }
        Ok(outcome)
    }

    /// Which files are read, and how many there are.
    fn choose_sample(&self, plan: &DrillPlan, store: &Store) -> Result<(Vec<SampleFile>, u64)> {
        const LOOK: usize = 4096;
        let seed = plan.planned_at.timestamp().unsigned_abs();
        let mut chooser = SampleChooser::new(seed);
        let id = plan.snapshot.id;
        let entries = store.manifest(id)?.without_names();
        for (number, entry) in entries.enumerate() {
            if number % LOOK == 0 {
                self.context.stop.check()?;
            }
            let entry = entry.map_err(|error| {
                store
                    .io("read", &format!(".backup/snapshots/{id}/manifest"), error)
                    .hint(format!("`backup verify --repair {id}` heals what it can"))
            })?;
            let is_held = entry.kind == Kind::File && !entry.absent;
            let Some(digest) = entry.digest.filter(|_| is_held) else {
                continue;
            };
            let stored = entry.stored_path();
            if planner::drill::is_lost(plan, stored) {
                return Err(Error::failed(format!(
                    "/{} is in the manifest of {id}, and its source is not in the snapshot",
                    stored.escaped()
                ))
                .hint(format!("`backup verify --repair {id}` heals what it can")));
            }
            if !planner::drill::is_restored(plan, stored) {
                continue;
            }
            chooser.offer(stored.as_bytes(), entry.size, || SampleFile {
                path: escape::escape(stored.as_bytes()),
                size: entry.size,
                digest,
            });
        }
        Ok(chooser.choose())
    }

    /// The plan, and whether it is of another snapshot than the last good one.
    fn plan_drill(&self, request: &DrillRequest) -> Result<(DrillPlan, Store, bool)> {
        let engine = self.engine;
        let config = &engine.config;
        let destination = self.destination_with_records().map_err(|mut error| {
            let is_absent = error.code == Some(FailureCode::NotMounted);
            if is_absent && config.local.if_absent == IfAbsent::Defer {
                // As for a backup: a drive that is away is no failure.
                error.kind = ErrorKind::Busy;
            }
            error
        })?;
        let store = engine.open_store_present()?;
        let name = request.snapshot.as_deref();
        let snapshot = planner::drill::choose_snapshot(name, &destination, self.now);
        let snapshot = snapshot.map_err(naming_error)?;
        let wanted = planner::drill::wanted_paths(config, snapshot);
        let held: BTreeSet<String> = held_paths(&store, snapshot, &wanted)?;
        let checks = config.monitoring.drill.checks.iter();
        let programs: Vec<ProgramFact> = checks.map(look_at_check).collect();
        let systemd = look_at_systemd();
        let plan = planner::drill::plan_drill(&DrillFacts {
            config,
            host: &engine.host_folder(),
            now: self.now,
            destination: &destination,
            snapshot,
            held: &held,
            machine: &look_at_machine(),
            programs: &programs,
            systemd: &systemd,
        });
        if let Some(fault) = lint::check_drill(&plan, config) {
            return Err(
                Error::refused(format!("the plan of the drill breaks a law: {fault}")).hint(
                    "nothing was changed; this is a fault of the program: please report it with what \
                     `backup drill --dry-run --json` prints",
                ),
            );
        }
        let newest = planner::drill::choose_snapshot(None, &destination, self.now);
        let is_of_another = newest.is_ok_and(|newest| newest.record.id != snapshot.record.id);
        Ok((plan, store, is_of_another))
    }
}

/// What a drill came to as a finding.
fn finding_of(drill: &Drill) -> Finding {
    let id = drill.snapshot.id;
    match drill.verdict {
        DrillVerdict::Passed => Finding::new(
            Severity::Note,
            code::DRILL_DONE,
            format!("a trial restore of {id} passed: {}", drill.summary),
        ),
        DrillVerdict::Failed => planner::health::describe_failed_drill(drill),
    }
}

/// What stands at the places of the machine that a room may show.
fn look_at_machine() -> BTreeMap<String, MachinePlace> {
    let Ok(root) = Dir::root() else {
        return BTreeMap::new();
    };
    let look = |path: &str| {
        let (parent, name) = root.descend(path.trim_start_matches('/').as_bytes()).ok()?;
        match parent.stat(name).ok()?.kind {
            Kind::Folder => Some(MachinePlace::Folder),
            Kind::Symlink => {
                let target = parent.read_symlink(name).ok()?.into_string().ok()?;
                Some(MachinePlace::Link(target))
            }
            _ => None,
        }
    };
    let places = MACHINE_PLACES.iter().chain(&CONTAINER_PLACES);
    places
        .filter_map(|path| Some(((*path).to_owned(), look(path)?)))
        .collect()
}

/// What is known of a check's program; nothing where it is a service.
fn look_at_check(check: &DrillCheck) -> ProgramFact {
    match check {
        DrillCheck::Program(path) => look_at_program(path),
        DrillCheck::Service(_) => ProgramFact::default(),
    }
}

/// What is known of a check's program.
fn look_at_program(check: &AbsolutePath) -> ProgramFact {
    let real = resolve(check.as_path()).ok().and_then(|found| {
        let path = found.parent.proc_name(OsStr::new(&found.name)).ok()?;
        OsStr::from_bytes(&path).to_str().map(str::to_owned)
    });
    let distrust = trust::find_distrust(check.as_path());
    ProgramFact {
        real,
        distrust: distrust.ok().flatten().map(|one| one.because),
    }
}
