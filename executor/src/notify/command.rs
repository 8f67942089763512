//! An executable that gets the report on standard input.

use std::{process::Command, time::Duration};

use schema::{Report, config::AbsolutePath, shell};

use super::{
    attempt::{Failure, Tried},
    program::run_notifier,
};
use crate::{process::ProcessExit, trust};

/// Runs it. It is tried again only where it says itself that this may help: exit code 75,
/// `EX_TEMPFAIL` of sysexits(3); what it did until it failed is not known.
pub(super) fn notify_by_command(program: &AbsolutePath, report: &Report, limit: Duration) -> Tried {
    let word = shell::word(program.as_str());
    let hint = format!("run `{word}` by hand with a report on standard input");
    if let Ok(Some(distrust)) = trust::find_distrust(program.as_path()) {
        let how = format!("is not started: {}", distrust.because);
        return Err(Failure::lasting(how, distrust.hint));
    }
    let mut json = serde_json::to_vec_pretty(report)
        .map_err(|error| Failure::lasting(format!("got no report: {error}"), ""))?;
    json.push(b'\n');
    let mut command = Command::new(program.as_path());
    command
        .env("BACKUP_RESULT", report.result.word())
        .env("BACKUP_RUN_ID", &report.run_id);
    let ended = run_notifier(&mut command, json, limit);
    match &ended.exit {
        exit if exit.is_success() => Ok(None),
        exit if exit.code() == Some(75) => Err(Failure::passing(ended.with_last_words(), hint)),
        ProcessExit::TimedOut => {
            let how = format!("did not end within {} s", limit.as_secs());
            Err(Failure::lasting(how, hint))
        }
        _ => Err(Failure::lasting(ended.with_last_words(), hint)),
    }
}
