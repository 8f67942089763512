//! Checking whether the backup can be relied on.

use std::{cell::RefCell, collections::BTreeMap};

use executor::{
    Error, ErrorKind,
    error::Result,
    event::Event,
    health::measure_health,
    scan,
    state_dir::{StateDir, note_changed},
};
use planner::findings::code;
use schema::{
    FailureCode, Finding, Inventory, Severity,
    health::{Health, HealthVerdict, Measured},
    inventory::DestinationState,
};

use super::{
    Engine, Notice, Observer, apply::of_destination, destination::RecordReading, logs::LogKind,
    operation::Operation,
};

/// A health check that is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct HealthRequest {
    /// Read no stored data.
    pub quick: bool,
    /// Read no stored data either, remember nothing, and tell nobody.
    pub dry_run: bool,
}

impl Engine {
    /// Checks, remembers the result, tells people of what is news, and writes the metrics. By a time
    /// that is only supposed, or where that is asked for, nothing is read, remembered or told.
    ///
    /// # Errors
    /// Fails on an interruption, or if the state directory cannot be read.
    pub fn check_health(&self, request: HealthRequest, observer: &dyn Observer) -> Result<Health> {
        if request.dry_run || self.supposed_now.is_some() {
            let operation = self.unlogged(observer);
            return operation
                .check_each(|operation, _| operation.judge_health(Measured::default(), None));
        }
        self.logged(LogKind::HealthCheck, observer, |operation| {
            let health =
                operation.check_each(|operation, told| operation.check_health(request, told))?;
            operation.write_metrics();
            operation.mail_report_if_due();
            Ok(health)
        })
    }
}

/// What one check has told already.
#[derive(Default)]
struct Told(RefCell<Vec<Finding>>);

impl Told {
    /// Those of the findings that were not told yet; they count as told from here on.
    fn new_among(&self, findings: &[Finding]) -> Vec<Finding> {
        let mut told = self.0.borrow_mut();
        let new = findings.iter().filter(|one| !told.contains(one));
        let new: Vec<Finding> = new.cloned().collect();
        told.extend(new.iter().cloned());
        new
    }
}

impl Operation<'_> {
    /// Checks each destination by itself; what is found of one as of another is told once.
    fn check_each(
        &self,
        check: impl Fn(&Operation<'_>, &Told) -> Result<Health>,
    ) -> Result<Health> {
        let told = Told::default();
        let check = |operation: &Operation<'_>| check(operation, &told);
        let named = self.engine.named();
        if named.is_empty() {
            return check(self);
        }
        let mut others = BTreeMap::new();
        for name in named {
            let engine = self.engine.view_of(Some(&name))?;
            others.insert(name, check(&self.in_view(&engine))?);
        }
        let base = self.engine.base();
        let base = match self.engine.has_base() {
            true => Some(check(&self.in_view(&base))?),
            false => None,
        };
        planner::health::join_health(base, others)
            .ok_or_else(|| Error::failed("there is no destination to check"))
    }

    fn check_health(&self, request: HealthRequest, told: &Told) -> Result<Health> {
        let state = self.engine.state_or_new();
        let mut measured = Measured::default();
        if let (Ok(state), false) = (&state, request.quick) {
            measured = self.read_next_share(state)?;
        }
        let mut health = self.judge_health(measured, state.as_ref().ok())?;
        let checked = format!("checked: {}", planner::health::summary(&health));
        let checked = Finding::new(Severity::Note, code::HEALTH_CHECKED, checked);
        let new = told.new_among(&health.findings);
        for finding in [&checked].into_iter().chain(&new) {
            let finding = match &self.engine.of {
                Some(name) => &of_destination(name, finding),
                None => finding,
            };
            self.context.observer.event(Event::Noticed(finding));
        }
        let last = state.as_ref().ok().and_then(StateDir::health);
        let is_news = planner::health::is_news(&health, last.as_ref());
        if health.verdict != HealthVerdict::Ok && !is_news {
            health.told_at = last.and_then(|last| last.told_at);
        }
        let remember = |health: &Health| match &state {
            Ok(state) => state.remember_health(health),
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = remember(&health) {
            let because = &error.message;
            self.notice(&Notice::NotRemembered { because });
        }
        let is_told = || {
            let is_said = new.is_empty() && !health.findings.is_empty();
            is_said
                || self.notify_of_health(&Health {
                    findings: new.clone(),
                    ..health.clone()
                })
        };
        // Remembered before, because telling may take its time and be ended.
        if is_news && is_told() {
            health.told_at = Some(self.context.clock.now());
            let _ = remember(&health);
        }
        Ok(health)
    }

    /// The destination as it is, each record read, and what is remembered of it: in `memory` also since
    /// when snapshots are not those that were sealed.
    fn look_at_all_records(&self, memory: Option<&StateDir>) -> Result<DestinationState> {
        let engine = self.engine;
        let (mut found, mut store) = engine.scan_destination(RecordReading::All, self.context)?;
        if let (Some(state), Some(store)) = (memory, &mut store) {
            let records = found.snapshots.iter().map(|one| &one.record);
            let _ = note_changed(state, store, records, self.now);
            // What was noted now is told at once.
            state.read_kept_digests(store);
        }
        engine.recall_destination(&mut found, store.as_ref())?;
        Ok(found)
    }

    /// Measures the rest and judges it; `read` is what was read of the stored data, and in `memory` is
    /// remembered what is seen.
    fn judge_health(&self, read: Measured, memory: Option<&StateDir>) -> Result<Health> {
        let engine = self.engine;
        let config = &engine.config;
        let state = engine.state()?;
        let enabled = config.local.enable;
        let found = enabled.then(|| self.look_at_all_records(memory));
        let (destination, destination_fault) = match found.transpose() {
            Ok(found) => {
                found
                    .iter()
                    .try_for_each(|found| engine.require_records(found))?;
                (found, None)
            }
            // That this user may not look is no word about the backup.
            Err(error) if error.code == Some(FailureCode::PermissionDenied) => return Err(error),
            Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
            Err(error) => (None, Some(error.message)),
        };
        let store = enabled.then(|| engine.open_store().ok().flatten());
        let store = store.flatten();
        let remote = engine.cloud_remote();
        let (state, store) = (state.as_ref(), store.as_ref());
        let measured = measure_health(config, state, store, &remote, self.context)?;
        let measured = Measured {
            verified: read.verified,
            not_verified: read.not_verified,
            put_off: read.put_off,
            destination_fault,
            drills_remote: engine.is_of_remote(),
            ..measured
        };
        let copies = config.cloud.enable.then(|| engine.remembered_copies());
        let inventory = Inventory {
            cloud: copies.flatten(),
            rsync: (enabled && config.local.use_rsync).then(scan::find_rsync),
            ..self.inventory_of(destination)?
        };
        let mut health = planner::health::assess_health(config, &inventory, &measured);
        engine.tell_in_own_words(&mut health.findings);
        Ok(health)
    }
}
