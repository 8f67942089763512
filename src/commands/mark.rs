//! `pin`, `unpin`, `accept`: what a person knows of a snapshot and the program cannot.

use anyhow::Result;
use chrono::Local;
use schema::{
    SnapshotId,
    inventory::DestinationState,
    plan::{Action, MarkStep},
};

use crate::{
    cli::One,
    commands::{apply::Worker, list::present},
    exit,
    out::Out,
    render,
    settings::Settings,
    snapshots, take,
};

/// Keeps a snapshot whatever the retention says.
pub(crate) fn pin(one: &One, settings: &Settings, out: &Out) -> Result<u8> {
    mark(one, settings, out, |_, id| vec![MarkStep::Pin { id }])
}

/// Leaves a snapshot to the retention again.
pub(crate) fn unpin(one: &One, settings: &Settings, out: &Out) -> Result<u8> {
    mark(one, settings, out, |_, id| vec![MarkStep::Unpin { id }])
}

/// Says that a suspect snapshot is as it should be, and with it all that are like it.
pub(crate) fn accept(one: &One, settings: &Settings, out: &Out) -> Result<u8> {
    mark(one, settings, out, |destination, id| {
        // `latest` is never a suspect one; here it is the last one that was made.
        let newest = destination.snapshots.last();
        let newest = newest.filter(|newest| {
            one.snapshot == "latest" && !newest.record.suspect.is_empty() && !newest.marks.accepted
        });
        let id = newest.map_or(id, |newest| newest.record.id);
        let all = planner::accepted_with(destination, id).into_iter();
        all.map(|id| MarkStep::Accept { id }).collect()
    })
}

fn mark(
    one: &One,
    settings: &Settings,
    out: &Out,
    steps: impl FnOnce(&DestinationState, SnapshotId) -> Vec<MarkStep>,
) -> Result<u8> {
    let config = settings.config(out)?;
    let now = Local::now().fixed_offset();
    let destination = present(settings, &config)?;
    let named = snapshots::find(&one.snapshot, &destination, now)?;
    let mut unmanaged = destination.unmanaged.iter();
    let there = unmanaged.find(|one| one.tier == named.home && one.name == named.folder);
    if let Some(fault) = there.and_then(|one| one.record_fault.as_ref()) {
        return Err(executor::Error::refused(format!(
            "the record of {}/{} is damaged: {fault}",
            named.home, named.folder
        ))
        .hint("it is kept whatever the retention says; `backup health` says how to mend it")
        .into());
    }
    let Some(id) = named.id.filter(|_| named.managed) else {
        return Err(executor::Error::refused(format!(
            "{}/{} was not made by this program",
            named.home, named.folder
        ))
        .hint("unmanaged folders are never deleted")
        .into());
    };
    let worker = Worker::new(settings, out, &config, now);
    let report = worker.with(|context| {
        let steps = steps(&destination, id);
        let inventory = take::inventory_of(settings, now, Some(destination))?;
        let actions = steps.into_iter().map(Action::Mark).collect();
        let plan = planner::small_all(&config, &inventory, actions);
        worker.small(&plan, &inventory, context)
    })?;
    show(&report, settings, out);
    Ok(exit::of_result(report.result))
}

/// Shows what the last step of a small plan came to.
pub(crate) fn show(report: &schema::Report, settings: &Settings, out: &Out) {
    if settings.json {
        out.data_json(report);
        return;
    }
    if let Some(last) = report
        .steps
        .iter()
        .rev()
        .find(|done| !done.outcome.message.is_empty())
    {
        let outcome = &last.outcome;
        if outcome.status == schema::journal::Status::Succeeded {
            out.say(&outcome.message);
        } else {
            out.note(&render::report::error_lines(
                &outcome.message,
                outcome.hint.as_deref(),
                &settings.error_style,
            ));
        }
    }
}
