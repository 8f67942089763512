//! How the backups went over a period and how they stand: gathered from what is kept of runs, snapshots and
//! checks. Nothing is read of the sources, and of what is stored only manifests and records.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, TimeDelta};
use executor::{
    Error, ErrorKind, error::Result, event::Silent, history::tally_folders, state_dir::StateDir,
    store::Store,
};
use planner::{folders::report_folders, period::conclude, retention::outlook::foretell_stays};
use schema::{
    Report, SnapshotId,
    config::{DestinationName, Expire},
    health::EndedRun,
    inventory::DestinationState,
    output::{
        list::SnapshotList,
        period_report::{
            FORMAT_VERSION, FolderReport, PeriodReport, ReportedCloud, ReportedDestination,
            ReportedRun, ReportedSnapshot, SizePoint,
        },
        status::BackupStatus,
    },
};

use super::{Engine, HealthRequest};

type Time = DateTime<FixedOffset>;

/// Runs and sizes are shown for at least so long, if they are known.
const CONTEXT: TimeDelta = TimeDelta::weeks(13);
/// Snapshots that are compared with each other at most.
const MOST_COMPARED: usize = 32;
/// The step that makes a snapshot.
const SNAPSHOT: &str = "snapshot";

impl Engine {
    /// Reports how the backups went since a time, and how they stand. What cannot be looked at is part of the
    /// answer.
    ///
    /// # Errors
    /// As [`Self::status`]; an interruption.
    pub fn report_period(&self, since: Time) -> Result<PeriodReport> {
        let now = self.now();
        let (status, _) = self.look_at_status()?;
        let mut not_told = Vec::new();
        let request = HealthRequest {
            quick: true,
            dry_run: true,
        };
        let health = self.unless_told(self.check_health(request, &Silent), &mut not_told)?;
        let named = self.named();
        let base = (self.has_base() || named.is_empty()).then_some(None);
        let mut destinations = Vec::new();
        for of in base.into_iter().chain(named.iter().map(Some)) {
            let view = match named.is_empty() {
                true => self.clone(),
                false => self.view_of(of)?,
            };
            let name = of.cloned().or_else(|| self.config.base_name());
            let name = name.filter(|_| !named.is_empty());
            let own = name.as_ref().and_then(|name| status.destinations.get(name));
            let own = own.unwrap_or(&status);
            destinations.push(view.report_destination(name, own, since, &mut not_told)?);
        }
        let conclusion = conclude(&status, health.as_ref(), not_told.is_empty());
        let context = now - CONTEXT;
        let shown_from = first_known(&destinations);
        let shown_from = shown_from.map_or(since.max(context), |first| {
            first.clamp(since.min(context), since.max(context))
        });
        Ok(PeriodReport {
            format_version: FORMAT_VERSION,
            host: self.host_folder(),
            made_at: now,
            made_by: concat!("backup ", env!("CARGO_PKG_VERSION")).to_owned(),
            since,
            shown_from,
            verdict: conclusion.verdict,
            summary: conclusion.summary,
            remedy: conclusion.remedy,
            findings: conclusion.findings,
            status,
            health,
            not_told,
            destinations,
        })
    }

    /// The only destination, or the one whose view this is.
    fn report_destination(
        &self,
        name: Option<DestinationName>,
        status: &BackupStatus,
        since: Time,
        not_told: &mut Vec<String>,
    ) -> Result<ReportedDestination> {
        let state = self.state()?;
        let mut reports = match &state {
            Some(state) => state.reports()?,
            None => Vec::new(),
        };
        reports.reverse();
        let held = self.unless_told(self.held_snapshots(), not_told)?.flatten();
        let found = held.as_ref().map(|held| &held.destination);
        let folders = match &held {
            Some(held) => self.unless_told(held.report_folders(self, since), not_told)?,
            None => None,
        };
        let folders = folders.flatten();
        let destination_id = found.and_then(|found| Some(found.record.as_ref()?.id.clone()));
        let room = state.as_ref().zip(destination_id);
        let room = room.map(|(state, id)| state.free_space(&id)).transpose()?;
        let never_goes = self
            .remote
            .is_some_and(|remote| remote.expire == Expire::Never);
        let outlook = found.filter(|_| !never_goes);
        let outlook = outlook.and_then(|found| foretell_stays(&self.config, found, self.now()));
        let (stays, foretold_by) = match outlook {
            Some(outlook) => (outlook.stays, Some(outlook.calendar)),
            None => (BTreeMap::new(), None),
        };
        let snapshots = held.iter().flat_map(|held| &held.list.snapshots);
        let snapshots = snapshots.map(|listed| ReportedSnapshot {
            stays: stays.get(&listed.id).copied(),
            listed: listed.clone(),
        });
        let is_remote = self.is_of_remote() || !self.config.local.enable;
        let state = state.as_ref();
        Ok(ReportedDestination {
            name,
            place: match is_remote {
                true => self.cloud_remote(),
                false => self.stored_folder(),
            },
            runs: reports.iter().map(reported_run).collect(),
            sizes: sizes(&reports, found),
            snapshots: snapshots.collect(),
            foretold_by,
            room: room.unwrap_or_default(),
            reserve_bytes: self.config.local.min_space_bytes(),
            folders,
            read_back: state.map_or_else(Default::default, |state| {
                state.read_back(&self.config, &self.cloud_remote())
            }),
            share: state
                .and_then(StateDir::health)
                .and_then(|last| last.verified),
            drill: state.and_then(StateDir::drill),
            drills: self.config.monitoring.drill.enable,
            cloud: (self.config.cloud.enable && !self.is_of_remote()).then(|| ReportedCloud {
                remote: self.cloud_remote(),
                newest: status.cloud.clone(),
            }),
        })
    }

    /// What was found; none where it could not be looked at, which is told with what to do about it.
    fn unless_told<T>(&self, found: Result<T>, not_told: &mut Vec<String>) -> Result<Option<T>> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let Error { message, hint, .. } = self.error_in_own_words(error);
                not_told.push(match hint {
                    Some(hint) => format!("{message}; {hint}"),
                    None => message,
                });
                Ok(None)
            }
        }
    }

    /// The snapshots of the destination, of a remote as far as they are known; none where it is away, or has
    /// none of its own.
    fn held_snapshots(&self) -> Result<Option<Held>> {
        let Some(known) = self.unasked().filter(|known| known.config.local.enable) else {
            return Ok(None);
        };
        let operation = known.unlogged(&Silent);
        let (destination, store) = match operation.destination_and_store() {
            // That it is away is told by the status.
            Err(error) if error.kind == ErrorKind::Refused => return Ok(None),
            found => found?,
        };
        known.require_records(&destination)?;
        let list = match &known.known_of {
            Some(remote) => {
                planner::list_remote_snapshots(&known.config, &destination, remote, operation.now)
            }
            None => planner::list_snapshots(&known.config, &destination, operation.now),
        };
        Ok(Some(Held {
            destination,
            store,
            list,
        }))
    }
}

/// What stands on a destination.
struct Held {
    destination: DestinationState,
    store: Option<Store>,
    list: SnapshotList,
}

impl Held {
    /// The folders of the newest snapshot, and how they changed in the period.
    fn report_folders(&self, engine: &Engine, since: Time) -> Result<Option<FolderReport>> {
        let readable = self.list.snapshots.iter().rev();
        let readable = readable.filter(|one| one.manifest_fault.is_none());
        let readable: Vec<(Time, SnapshotId)> =
            readable.map(|one| (one.started_at, one.id)).collect();
        let compared = compared_snapshots(&readable, since);
        let (Some(store), false) = (&self.store, compared.is_empty()) else {
            return Ok(None);
        };
        let context = engine.unlogged(&Silent).context;
        let tallied = tally_folders(store, &compared, context)?;
        Ok(Some(report_folders(&tallied, &compared)))
    }
}

/// The snapshots of the period with the last one before it, oldest first, and of many some at even distances.
fn compared_snapshots(oldest_first: &[(Time, SnapshotId)], since: Time) -> Vec<SnapshotId> {
    let first = oldest_first.partition_point(|(at, _)| *at <= since);
    let wanted = &oldest_first[first.saturating_sub(1)..];
    let last = wanted.len().saturating_sub(1);
    let steps = last.min(MOST_COMPARED - 1);
    let chosen = (0..=steps).filter_map(|step| wanted.get(step * last / steps.max(1)));
    chosen.map(|(_, id)| *id).collect()
}

fn reported_run(report: &Report) -> ReportedRun {
    let ended = EndedRun::of(report);
    let made = report.snapshot.as_ref();
    let mut steps = report.steps.iter();
    let step = steps.find(|done| done.step == SNAPSHOT && done.outcome.sealed.is_some());
    let took = step.and_then(|done| Some((done.ended_at - done.started_at?).num_milliseconds()));
    ReportedRun {
        run_id: ended.run_id,
        started_at: ended.started_at,
        ended_at: ended.ended_at,
        result: ended.result,
        only: ended.only,
        undone: ended.undone,
        snapshot: made.map(|made| made.id),
        new_bytes: made.map_or(0, |made| made.totals.bytes_copied),
        new_files: made.map_or(0, |made| made.totals.files_copied),
        snapshot_millis: took.and_then(|took| u64::try_from(took).ok()),
        cloud: ended.cloud.map(|cloud| cloud.status),
    }
}

/// How much each snapshot held: of those that are held, and of those that the remembered runs made.
fn sizes(reports: &[Report], found: Option<&DestinationState>) -> Vec<SizePoint> {
    let held = found.into_iter().flat_map(|found| &found.snapshots);
    let held = held.map(|one| (&one.record.id, one.record.started_at, &one.record.totals));
    let made = reports.iter().filter_map(|report| {
        let made = report.snapshot.as_ref()?;
        Some((&made.id, report.started_at, &made.totals))
    });
    let points = made.chain(held).map(|(id, at, totals)| SizePoint {
        id: *id,
        at,
        files: totals.files,
        bytes: totals.bytes,
        new_bytes: totals.bytes_copied,
    });
    let by_id: BTreeMap<SnapshotId, SizePoint> = points.map(|one| (one.id, one)).collect();
    let mut points: Vec<SizePoint> = by_id.into_values().collect();
    points.sort_by_key(|one| one.at);
    points
}

/// When the first run or snapshot was that is known of.
fn first_known(destinations: &[ReportedDestination]) -> Option<Time> {
    let runs = destinations.iter().flat_map(|one| &one.runs);
    let runs = runs.map(|run| run.started_at);
    let sizes = destinations.iter().flat_map(|one| &one.sizes);
    runs.chain(sizes.map(|one| one.at)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nights_until(count: u32) -> Vec<(Time, SnapshotId)> {
        let first: Time = "2025-01-01T02:00:00+00:00".parse().unwrap();
        let nights = (0..count).map(|night| first + TimeDelta::days(night.into()));
        nights
            .map(|at| (at, SnapshotId::from_local(at.naive_local())))
            .collect()
    }

    fn days(nights: u32, since: &str) -> Vec<String> {
        let compared = compared_snapshots(&nights_until(nights), since.parse().unwrap());
        let days = compared
            .iter()
            .map(|id| id.local().format("%m-%d").to_string());
        days.collect()
    }

    #[test]
    fn what_is_compared_begins_with_the_last_snapshot_before_the_period() {
        let since = "2025-01-08T00:00:00Z";
        assert_eq!(days(9, since), ["01-07", "01-08", "01-09"]);
        assert_eq!(days(3, since), ["01-03"]);
        assert_eq!(days(2, "2024-12-01T00:00:00Z"), ["01-01", "01-02"]);
        assert_eq!(days(0, since), [""; 0]);
        let many = days(200, "2024-12-01T00:00:00Z");
        assert_eq!(many.len(), MOST_COMPARED);
        assert_eq!((many[0].as_str(), many[31].as_str()), ("01-01", "07-19"));
    }
}
