//! What becomes of a run that was begun and not ended: it is continued, or planned anew.
//!
//! Owns the reasons. The cheap ones come first: the destination, which may sleep, is looked at only
//! where nothing else asks for a new plan.

use chrono::{DateTime, FixedOffset, TimeDelta};
use schema::{
    Config, FailureCode, Plan, Report, RunResult, SnapshotId,
    amount::times,
    clock::is_ahead,
    config::DestinationName,
    inventory::DestinationState,
    journal::Status,
    plan::{Action, SnapshotStep},
};

use crate::{Wanted, facts, lint, stale::LONGEST};

type Time = DateTime<FixedOffset>;

/// Interruptions in one and the same step after which a run is planned anew, once.
const ENOUGH: u64 = 4;

/// A run that was begun and not ended.
#[derive(Debug, Clone, Copy)]
pub struct UnfinishedRun<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// The configuration that it was made from.
    pub config: &'a Config,
    /// The step it was in when it was interrupted, if it was in one.
    pub step: Option<&'a str>,
    /// How often in a row it was interrupted in that step.
    pub interruptions: u64,
    /// The interruptions of the runs that it took the place of, for the same reason.
    pub inherited: u64,
}

/// Why an unfinished run is planned anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replan {
    /// In a few words.
    pub because: String,
    /// Whether the new run counts on from the interruptions of this one: it may meet the same.
    pub counts_on: bool,
}

impl Replan {
    /// Something else than the run itself asks for a new one.
    fn asked(because: impl Into<String>) -> Self {
        Self {
            because: because.into(),
            counts_on: false,
        }
    }

    /// It came about, and the new one may meet the same.
    fn counting(because: impl Into<String>) -> Self {
        Self {
            because: because.into(),
            counts_on: true,
        }
    }
}

/// Why the run is planned anew, as far as that can be said without looking at anything; `is_fresh`
/// says that a person asked for a new one.
#[must_use]
pub fn why_replan(
    run: &UnfinishedRun<'_>,
    config: &Config,
    is_fresh: bool,
    now: Time,
) -> Option<Replan> {
    if is_fresh {
        return Some(Replan::asked("--fresh asks for a new one"));
    }
    if run.config != config {
        return Some(Replan::asked("the configuration has changed since"));
    }
    // Its snapshot's name and day would lie.
    let planned_at = run.plan.created_at;
    if now.signed_duration_since(planned_at) >= LONGEST || is_ahead(planned_at, now) {
        return Some(Replan::counting("it was planned on another day"));
    }
    // Once: what dies in the new one as well is not mended by planning.
    if run.interruptions >= ENOUGH && run.inherited == 0 {
        let step = run.step.unwrap_or("one step");
        let times = times(run.interruptions);
        let because = format!("it was interrupted {times} in {step}, and is planned anew");
        return Some(Replan::counting(because));
    }
    None
}

/// Why the run is planned anew where this destination is mounted: what is left of it would break a
/// law there, or it is another one's.
#[must_use]
pub fn why_replan_here(plan: &Plan, destination: &DestinationState) -> Option<Replan> {
    if let Some(broken) = lint::check_continued(plan, destination).first() {
        return Some(Replan::asked(&*broken.message));
    }
    let planned = plan.bound_to.destination_id.as_deref()?;
    let found = destination.record.as_ref().map(|record| record.id.as_str());
    (planned != found?)
        .then(|| Replan::asked("it belongs to another destination than the one mounted now"))
}

/// Why the run is planned anew where its destination is away: a script that may mount it comes before a
/// whole run, and came before this one when that was begun, perhaps before the machine was started anew.
#[must_use]
pub fn why_replan_away(
    plan: &Plan,
    config: &Config,
    destination: &DestinationState,
) -> Option<Replan> {
    let is_whole = plan.only.is_none() && plan.does_something();
    (is_whole && facts::may_be_mounted_by_script(config, destination))
        .then(|| Replan::counting("its destination is not there, and the pre-script may mount it"))
}

/// That the run is planned anew because it is not what the present configuration gives
/// ([`crate::accord`]).
#[must_use]
pub fn replan_other(difference: &str) -> Replan {
    Replan::asked(format!(
        "its plan is not what the configuration gives: {difference}"
    ))
}

/// Why the run is planned anew by a person who approves deletions.
#[must_use]
pub fn why_replan_approved(plan: &Plan) -> Option<Replan> {
    withholds_deletions(plan)
        .then(|| Replan::asked("its plan withholds the deletions that are approved now"))
}

/// That the run is planned anew because its basis cannot be used, and why not.
#[must_use]
pub fn replan_without_basis(basis: SnapshotId, fault: &str) -> Replan {
    Replan::asked(format!("its basis {basis} cannot be used: {fault}"))
}

/// Whether a plan withholds deletions until a person approves them.
fn withholds_deletions(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match &step.action {
        Action::Rotate(step) => {
            let others = step.on_incomplete.iter().map(AsRef::as_ref);
            let mut all = std::iter::once(&step.on_complete).chain(others);
            all.any(|rotation| !rotation.unapproved.is_empty())
        }
        Action::Expire(step) => !step.withheld.is_empty(),
        _ => false,
    })
}

/// The step of a plan that makes its snapshot.
#[must_use]
pub fn snapshot_step(plan: &Plan) -> Option<&SnapshotStep> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Snapshot(step) => Some(step),
        _ => None,
    })
}

/// The destinations that a plan is for.
#[must_use]
pub fn destinations_of(plan: &Plan, config: &Config) -> Vec<DestinationName> {
    match (plan.chains.is_empty(), plan.only, plan.only_of.as_slice()) {
        (true, Some(part), _) => Wanted::of_part(part).names,
        (false, _, names) if !names.is_empty() => names.to_vec(),
        (is_base, ..) => {
            let mut names = config.names();
            names.retain(|name| !is_base || name.is_predefined());
            names
        }
    }
}

/// The destinations that are wanted beside those of an unfinished run, which is continued first: it holds
/// them up no more than one that ended.
#[must_use]
pub fn wanted_besides(plan: &Plan, config: &Config, wanted: &Wanted) -> Vec<DestinationName> {
    let mut names = config.names();
    if config.chains().is_empty() {
        // A part of it that ran alone counts for itself, and the other is due by itself.
        return Vec::new();
    }
    let own = destinations_of(plan, config);
    names.retain(|name| wanted.has(name) && !own.contains(name));
    names
}

/// Why a basis cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableBasis {
    /// The reason.
    pub because: String,
    /// What happened, where it was not the manifest that is damaged.
    pub code: Option<FailureCode>,
}

/// The basis of a plan whose run failed because it could not be read, with the reason: a new run,
/// which does without it, takes its place.
#[must_use]
pub fn unusable_basis(plan: &Plan, report: &Report) -> Option<(SnapshotId, UnusableBasis)> {
    let mut outcomes = report.steps.iter().map(|step| &step.outcome);
    let unusable = outcomes.find_map(|outcome| {
        Some(UnusableBasis {
            because: outcome.unusable_basis.clone()?,
            code: outcome
                .code
                .filter(|code| *code == FailureCode::TreeUnreadable),
        })
    })?;
    Some((snapshot_step(plan)?.basis.as_ref()?.id, unusable))
}

/// Whether a run that was continued could only be ended: the step that failed, and without which
/// there is no snapshot, did so before the interruption. A new run takes its place.
#[must_use]
pub fn had_failed_before(report: &Report) -> bool {
    report.snapshot.is_none()
        && report.steps.iter().any(|step| {
            step.started_at.is_none()
                && matches!(step.outcome.status, Status::Failed | Status::Refused)
        })
}

/// The time of a run that is tried once more, after so many tries in the same call: each is a run of
/// its own, with a name of its own.
#[must_use]
pub fn time_of_try(now: Time, tries_before: usize) -> Time {
    now + TimeDelta::seconds(i64::try_from(tries_before).unwrap_or_default())
}

/// How the main process of a unit ended, as systemd says (systemd.exec(5), `$SERVICE_RESULT` and
/// `$EXIT_STATUS`; empty where they are not set): in words, and as the result of its run.
#[must_use]
pub fn judge_service_end(service_result: &str, exit_status: &str) -> (String, RunResult) {
    match (service_result, exit_status) {
        ("" | "success", "130" | "143" | "INT" | "TERM" | "HUP" | "") => {
            ("it was asked to stop".to_owned(), RunResult::Interrupted)
        }
        ("signal" | "core-dump", signal) => (
            format!("it was ended by signal {signal}"),
            RunResult::Failed,
        ),
        ("oom-kill", _) => ("memory was short".to_owned(), RunResult::Failed),
        ("exit-code" | "success", code) => {
            (format!("it ended with exit code {code}"), RunResult::Failed)
        }
        (other, _) => (format!("systemd says {other}"), RunResult::Failed),
    }
}

#[cfg(test)]
mod tests {
    use schema::{
        journal::{Outcome, REPORT_FORMAT_VERSION, StepReport},
        plan::{Chain, Part},
    };
    use serde_json::json;

    use super::*;
    use crate::test_support::{destination, plan, snapshot};

    const NIGHT: &str = "2025-01-16T02:00:00Z";

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn config() -> Config {
        serde_json::from_value(json!({"local": {
            "enable": true,
            "useRsync": false,
            "keepLast": 0,
            "keepWeekly": 0,
            "keepMonthly": 0,
            "sources": ["/home"],
            "excludePatterns": [],
        }}))
        .unwrap()
    }

    fn nightly() -> Plan {
        let found = destination(true, &json!([snapshot("2025-01-15", false)]));
        plan(&config(), &found, NIGHT)
    }

    fn run<'a>(plan: &'a Plan, config: &'a Config) -> UnfinishedRun<'a> {
        UnfinishedRun {
            plan,
            config,
            step: Some("snapshot"),
            interruptions: 1,
            inherited: 0,
        }
    }

    #[test]
    fn a_run_is_continued_unless_a_person_the_config_or_the_day_says_otherwise() {
        let (plan, config) = (nightly(), config());
        let run = run(&plan, &config);
        let why = |config: &Config, is_fresh, now: &str| {
            why_replan(&run, config, is_fresh, at(now)).map(|why| (why.because, why.counts_on))
        };
        assert_eq!(why(&config, false, "2025-01-16T09:00:00Z"), None);
        let asked = why(&config, true, NIGHT);
        assert_eq!(
            asked,
            Some(("--fresh asks for a new one".to_owned(), false))
        );
        let mut changed = config.clone();
        changed.local.keep_daily += 1;
        let changed = why(&changed, false, NIGHT).unwrap();
        assert_eq!(
            changed,
            ("the configuration has changed since".to_owned(), false)
        );
        for day in ["2025-01-17T02:00:00Z", "2025-01-14T02:00:00Z"] {
            let old = why(&config, false, day).unwrap();
            assert_eq!(old, ("it was planned on another day".to_owned(), true));
        }
    }

    #[test]
    fn what_is_wanted_beside_an_unfinished_run_is_what_it_is_not_for() {
        let name = |text: &str| DestinationName::new(text);
        let mut several = serde_json::to_value(config()).unwrap();
        let disk = |path: &str| json!({"type": "disk", "mountPoint": path});
        several["destinations"] = json!({"nas": disk("/nas"), "usb": disk("/usb")});
        let several: Config = serde_json::from_value(several).unwrap();
        let mut plan = nightly();
        let rest = |plan: &Plan, wanted: &Wanted| wanted_besides(plan, &several, wanted);
        let all = Wanted::default();
        assert_eq!(rest(&plan, &all), [name("nas"), name("usb")]);
        let usb = Wanted::only(vec![name("usb")]);
        assert_eq!(rest(&plan, &usb), [name("usb")]);
        let chain = Chain {
            bound_to: plan.bound_to.clone(),
            findings: Vec::new(),
            totals: plan.totals,
        };
        plan.chains.insert(name("usb"), chain);
        assert!(rest(&plan, &all).is_empty());
        plan.only_of = vec![name("usb")];
        assert_eq!(rest(&plan, &all), [name("local"), name("nas")]);
        // A part of the only one that there is counts for itself.
        let mut part = nightly();
        part.only = Some(Part::Local);
        assert!(wanted_besides(&part, &config(), &all).is_empty());
    }

    #[test]
    fn what_dies_in_one_step_again_and_again_is_planned_anew_once() {
        let (plan, config) = (nightly(), config());
        let why = |interruptions, inherited| {
            let run = UnfinishedRun {
                interruptions,
                inherited,
                ..run(&plan, &config)
            };
            why_replan(&run, &config, false, at(NIGHT))
        };
        assert_eq!(why(3, 0), None);
        let anew = why(4, 0).unwrap();
        assert!(anew.counts_on);
        assert!(
            anew.because.contains("4 times in snapshot"),
            "{}",
            anew.because
        );
        assert_eq!(why(9, 4), None);
    }

    #[test]
    fn a_run_belongs_to_its_destination() {
        let plan = nightly();
        let mut found = destination(true, &json!([snapshot("2025-01-15", false)]));
        assert_eq!(why_replan_here(&plan, &found), None);
        found.record.as_mut().unwrap().id = "another".to_owned();
        let why = why_replan_here(&plan, &found).unwrap();
        assert!(
            why.because.contains("another destination"),
            "{}",
            why.because
        );
        // One whose record cannot be read is judged by the run itself.
        found.record = None;
        assert_eq!(why_replan_here(&plan, &found), None);
    }

    #[test]
    fn a_run_is_planned_anew_that_would_delete_what_was_pinned_meanwhile() {
        let mut config = config();
        config.local.keep_daily = 1;
        let old = (1..=3).map(|day| snapshot(&format!("2025-01-0{day}"), false));
        let mut found = destination(true, &old.collect());
        let planned = plan(&config, &found, NIGHT);
        assert_eq!(why_replan_here(&planned, &found), None);
        found.snapshots[0].marks.pinned = true;
        let why = why_replan_here(&planned, &found).unwrap();
        assert!(
            why.because.contains("2025-01-01_02-00-00"),
            "{}",
            why.because
        );
    }

    #[test]
    fn only_what_was_withheld_is_planned_anew_for_an_approval() {
        assert_eq!(why_replan_approved(&nightly()), None);
        let mut config = config();
        config.local.keep_daily = 1;
        let old = (1..=9).map(|day| snapshot(&format!("2025-01-0{day}"), false));
        let mut found = destination(true, &old.collect());
        let rotated = json!({"rotated_at": "2025-01-09T02:05:00Z", "run_id": "r"});
        found.rotation = serde_json::from_value(rotated).unwrap();
        let withheld = plan(&config, &found, NIGHT);
        let why = why_replan_approved(&withheld).unwrap();
        assert!(!why.counts_on && why.because.contains("approved now"));
    }

    #[test]
    fn a_report_says_whether_a_new_run_takes_the_place_of_this_one() {
        let plan = nightly();
        let report = |status: Status, started: bool, unusable: Option<&str>| Report {
            format_version: REPORT_FORMAT_VERSION,
            run_id: plan.run_id.clone(),
            host: plan.host.clone(),
            started_at: at(NIGHT),
            ended_at: at(NIGHT),
            result: RunResult::Failed,
            only: None,
            only_of: Vec::new(),
            destinations: std::collections::BTreeMap::new(),
            snapshot: None,
            findings: Vec::new(),
            steps: vec![StepReport {
                step: "snapshot".to_owned(),
                started_at: started.then(|| at(NIGHT)),
                ended_at: at(NIGHT),
                outcome: Outcome {
                    status,
                    unusable_basis: unusable.map(str::to_owned),
                    ..Outcome::default()
                },
            }],
        };
        assert!(had_failed_before(&report(Status::Failed, false, None)));
        assert!(!had_failed_before(&report(Status::Failed, true, None)));
        assert!(!had_failed_before(&report(Status::Succeeded, false, None)));
        let failed = report(Status::Failed, true, Some("damaged"));
        let (basis, unusable) = unusable_basis(&plan, &failed).unwrap();
        assert_eq!(basis.to_string(), "2025-01-15_02-00-00");
        assert_eq!((&unusable.because[..], unusable.code), ("damaged", None));
        let mut failed = failed;
        for (code, told) in [
            (FailureCode::UnusableBasis, None),
            (
                FailureCode::TreeUnreadable,
                Some(FailureCode::TreeUnreadable),
            ),
        ] {
            failed.steps[0].outcome.code = Some(code);
            let (_, unusable) = unusable_basis(&plan, &failed).unwrap();
            assert_eq!(unusable.code, told);
        }
        assert_eq!(
            unusable_basis(&plan, &report(Status::Failed, true, None)),
            None
        );
    }

    #[test]
    fn systemd_says_whether_a_run_was_asked_to_stop() {
        for (result, status, because, is_asked) in [
            ("", "", "it was asked to stop", true),
            ("success", "143", "it was asked to stop", true),
            ("signal", "KILL", "it was ended by signal KILL", false),
            ("oom-kill", "KILL", "memory was short", false),
            ("exit-code", "1", "it ended with exit code 1", false),
            ("watchdog", "ABRT", "systemd says watchdog", false),
        ] {
            let (said, end) = judge_service_end(result, status);
            assert_eq!(said, because);
            assert_eq!(end == RunResult::Interrupted, is_asked, "{result} {status}");
        }
    }
}
