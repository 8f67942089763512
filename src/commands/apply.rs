//! `apply`: runs a saved plan, continues an unfinished run, or plans and runs.

use std::path::Path;

use anyhow::Result;
use backup::engine::{ApplyOutcome, ApplyRequest, BackupKind, Wanted};
use executor::{store::LONGEST_JSON, trust};
use planner::notices::TimerCall;
use schema::{
    FailureCode,
    config::DestinationName,
    plan::{Part, SavedPlan},
};

use crate::{
    cli::Apply,
    commands::{only, outcome, plan},
    exit::{self, invalid_input},
    out::Out,
    screen::Screen,
    settings::Settings,
    style::shown,
};

/// Runs a saved plan, continues an unfinished run, or plans and runs.
pub(crate) fn apply_backup(arguments: &Apply, settings: &Settings, out: &Out) -> Result<u8> {
    if arguments.dry_run {
        let approved = arguments.deletions.approve_deletions;
        return plan::show_plan_instead(
            arguments.only.clone(),
            approved,
            arguments.at.now,
            settings,
            out,
        );
    }
    let engine = settings.open_engine_at(arguments.at.now, out)?;
    only::check_names(&arguments.only, engine.config())?;
    let request = ApplyRequest {
        kind: backup_kind(arguments)?,
        fresh: arguments.fresh,
        approve_deletions: arguments.deletions.approve_deletions,
        by_units: arguments.by_units,
        as_unit: settings.as_unit,
    };
    let screen = Screen::new(settings, out);
    let applied = engine.apply(&request, &screen);
    screen.clear();
    Ok(match applied? {
        ApplyOutcome::NothingDue { because } => {
            out.print_line_unless_quiet(&format!("nothing is due: {because}"));
            exit::DONE
        }
        ApplyOutcome::Run(run) => outcome::show_backup(&run, None, &engine, settings, out),
    })
}

fn backup_kind(arguments: &Apply) -> Result<BackupKind> {
    if let Some(path) = &arguments.plan {
        return Ok(BackupKind::Saved(Box::new(read_plan(path)?)));
    }
    match arguments.only.as_slice() {
        [] => {}
        [one] if one.as_str() == DestinationName::LOCAL => {
            return Ok(BackupKind::Part(Part::Local));
        }
        [one] if one.as_str() == DestinationName::CLOUD => {
            return Ok(BackupKind::Part(Part::Cloud));
        }
        names => return Ok(BackupKind::Only(Wanted::only(names.to_vec()))),
    }
    Ok(timer_call(arguments).map_or(BackupKind::Whole, BackupKind::IfDue))
}

/// The call of a timer, if it is one.
pub(crate) fn timer_call(arguments: &Apply) -> Option<TimerCall> {
    arguments.if_due.then(|| TimerCall {
        is_retry: is_retry(),
    })
}

/// Whether the timer that asks again is what started this process (systemd.exec(5),
/// `$TRIGGER_UNIT`; systemd 252 and newer say so).
fn is_retry() -> bool {
    std::env::var_os("TRIGGER_UNIT").is_some_and(|unit| unit == planner::units::RETRY_TIMER)
}

/// Reads a saved plan, which nobody else may have been able to change.
fn read_plan(path: &Path) -> Result<SavedPlan> {
    let named = shown(path);
    let hint = "`backup plan --out plan.json` makes one";
    let read = trust::read_file(path, "the plan", LONGEST_JSON);
    let bytes = read.map_err(|error| match error.code {
        Some(FailureCode::Untrusted) => error.into(),
        _ => invalid_input(error.message, hint),
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| invalid_input(format!("{named} is not a saved plan: {error}"), hint))
}
