//! An executable that gets the report on standard input.

use std::{process::Command, time::Duration};

use schema::{Report, config::AbsolutePath};

use super::{
    Failure, Tried,
    process::{self, Ended},
};

/// Runs it. It is tried again only where it says itself that this may help: exit code 75,
/// `EX_TEMPFAIL` of sysexits(3); what it did until it failed is not known.
pub(super) fn tell(program: &AbsolutePath, report: &Report, limit: Duration) -> Tried {
    let hint = format!("run {program} by hand with a report on standard input");
    let mut json = serde_json::to_vec_pretty(report)
        .map_err(|error| Failure::lasting(format!("got no report: {error}"), ""))?;
    json.push(b'\n');
    let mut command = Command::new(program.as_path());
    command
        .env("BACKUP_RESULT", report.result.word())
        .env("BACKUP_RUN_ID", &report.run_id);
    match process::run(command, json, limit) {
        Ended::Well(_) => Ok(None),
        Ended::Badly {
            code: Some(75),
            how,
        } => Err(Failure::passing(how, hint)),
        Ended::Badly { how, .. } | Ended::Never { how, .. } => Err(Failure::lasting(how, hint)),
        Ended::TooLate => {
            let how = format!("did not end within {} s", limit.as_secs());
            Err(Failure::lasting(how, hint))
        }
    }
}
