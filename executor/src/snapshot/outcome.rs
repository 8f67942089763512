//! Says what a sealed snapshot means for its step.

use rustix::io::Errno;
use schema::{
    LeftOut, amount,
    inventory::Cost,
    journal::{Outcome, Problem, ProblemKind, Sealed, Status},
    record::SnapshotRecord,
};

use crate::error::system_reason;

/// That a snapshot is suspect, why, and what ends it.
pub(crate) fn describe_suspicion(record: &SnapshotRecord) -> (String, String) {
    let since = record.suspect_since;
    let message = format!(
        "snapshot {} is suspect{}: {}",
        record.id,
        since
            .filter(|since| *since != record.id)
            .map_or_else(String::new, |since| format!(" as {since} is")),
        record.suspect.join("; ")
    );
    let hint = format!(
        "look at what changed; if it is as it should be: `backup accept {}`",
        since.unwrap_or(record.id)
    );
    (message, hint)
}

/// What a sealed snapshot means for its step; with what took most of what was to be copied and
/// what tags left out, where that is known, and with what keeps it from being closed to all who write.
pub(super) fn outcome_of_snapshot(
    record: &SnapshotRecord,
    (costs_most, left_out): (Option<Cost>, Option<LeftOut>),
    open_because: Option<Errno>,
) -> Outcome {
    let totals = record.totals;
    let sealed = Sealed {
        id: record.id,
        complete: record.complete,
        suspect: record.suspect.clone(),
        totals,
        costs_most,
        left_out,
        gone: record.gone.clone(),
    };
    let unlisted = totals.errors + totals.torn;
    let (status, mut message, mut hint) = if !record.suspect.is_empty() {
        let (message, hint) = describe_suspicion(record);
        (Status::Incomplete, message, Some(hint))
    } else if !record.complete {
        (
            Status::Incomplete,
            format!(
                "snapshot {} has {}",
                record.id,
                amount::plural(unlisted, "problem", "problems")
            ),
            Some(hint_for_problems(&record.problems).to_owned()),
        )
    } else {
        (
            Status::Succeeded,
            format!(
                "snapshot {}: {}, {} copied, {} {}{}",
                record.id,
                amount::plural(totals.files, "file", "files"),
                amount::count(totals.files_copied),
                amount::count(totals.files_linked),
                if record.subvolume {
                    "cloned"
                } else {
                    "hard-linked"
                },
                record
                    .gone
                    .as_ref()
                    .map_or_else(String::new, |gone| format!("; gone: {gone}"))
            ),
            None,
        )
    };
    if let Some(error) = open_because {
        let because = system_reason(&error.into());
        message.push_str("; it could not be made read-only, which the next run tries again: ");
        message.push_str(&because);
        // A hint is told also where the rest of a good end is not.
        let look =
            "nothing is missing from it; if this comes again, look what the destination refuses";
        hint.get_or_insert_with(|| look.to_owned());
    }
    Outcome {
        status,
        message,
        hint,
        sealed: Some(sealed),
        problems: record.problems.clone(),
        ..Outcome::default()
    }
}

/// What to do about the problems of a snapshot.
fn hint_for_problems(problems: &[Problem]) -> &'static str {
    let not_stored = |problem: &Problem| problem.kind == ProblemKind::NotStored;
    if problems.iter().any(not_stored) {
        "see the paths listed; what the destination cannot hold, rename or leave out with \
         local.excludePatterns, or use a drive with ext4, xfs or btrfs"
    } else {
        "see the paths listed; exclude what need not be backed up"
    }
}
