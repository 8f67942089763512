//! The script before a backup, and what it says that it could not do.
//!
//! A script ends well or it fails. What lies between, such as one dump of five that could not be
//! written, it appends to a file, a line for each: the backup is made, and the run is incomplete.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{Read as _, Seek as _},
    os::unix::ffi::OsStringExt as _,
};

use schema::{
    FailureCode, Plan,
    journal::{Outcome, Status},
    outside::brief_line,
    plan::ScriptStep,
    shell,
};

use super::script::{run_script_step, script_environment};
use crate::{
    error::{Error, Result},
    event::Context,
    state_dir::StateDir,
    sys::dir::Dir,
};

/// The variable that names the file.
const VARIABLE: &str = "BACKUP_INCOMPLETE";

/// The variable that says after how many seconds the script is ended.
const TIME: &str = "BACKUP_TIMEOUT_SECONDS";

/// The file in the run's folder, while the script runs.
const FILE: &str = "incomplete";

/// Bytes of the file that are read.
const MOST_BYTES: u64 = 64 << 10;

/// Lines of it that are told.
const MOST_LINES: usize = 20;

/// Characters of a line that are told.
const LONGEST_LINE: usize = 400;

/// Runs the script.
///
/// # Errors
/// An interruption, or that the run's folder cannot be written: a failed script is an outcome.
pub(crate) fn run_pre_script_step(
    state: &StateDir,
    plan: &Plan,
    name: &str,
    step: &ScriptStep,
    context: Context<'_>,
) -> Result<Outcome> {
    let run = state.run(&plan.run_id)?;
    let at = format!("{}/{FILE}", state.run_path(&plan.run_id));
    let io = |error: std::io::Error| Error::io("write", at.as_bytes(), error);
    let (mut file, path) = open_file(&run).map_err(io)?;
    let mut environment = script_environment(plan, None, None);
    environment.push((VARIABLE, path));
    let seconds = step.timeout.as_duration().as_secs();
    environment.push((TIME, seconds.to_string().into()));
    let ended = run_script_step(name, step, &environment, context);
    let lines = read_lines(&mut file);
    let _ = run.remove_file(OsStr::new(FILE));
    Ok(with_what_lacks(
        ended?,
        step,
        &lines.map_err(|error| Error::io("read", at.as_bytes(), error))?,
    ))
}

/// An empty file, with the path that a script knows it by.
fn open_file(run: &Dir) -> std::io::Result<(File, OsString)> {
    let name = OsStr::new(FILE);
    let file = run.file_or_new(name, 0o600)?;
    file.set_len(0)?;
    Ok((file, OsString::from_vec(run.proc_name(name)?)))
}

fn read_lines(file: &mut File) -> std::io::Result<Vec<String>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text
        .lines()
        .map(|line| brief_line(line.trim(), LONGEST_LINE));
    Ok(lines.filter(|line| !line.is_empty()).collect())
}

/// The script's end, with what it said that it could not do.
fn with_what_lacks(ended: Outcome, step: &ScriptStep, lines: &[String]) -> Outcome {
    if lines.is_empty() {
        return ended;
    }
    let mut message = lines[..lines.len().min(MOST_LINES)].join("; ");
    if lines.len() > MOST_LINES {
        message = format!("{message}; and {} more", lines.len() - MOST_LINES);
    }
    if ended.status != Status::Succeeded {
        return Outcome {
            message: format!("{}; before that: {message}", ended.message),
            ..ended
        };
    }
    Outcome {
        code: Some(FailureCode::ProgramFailed),
        ..Outcome::unsuccessful(
            Status::Incomplete,
            message,
            format!(
                "mend what it names, then run `{}` by hand to see whether it goes well",
                shell::word(step.program.as_str())
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step() -> ScriptStep {
        serde_json::from_value(serde_json::json!({
            "program": "/bin/pre", "timeout": "1h", "on_failure": "abort",
        }))
        .unwrap()
    }

    #[test]
    fn what_lacks_is_told_and_makes_a_good_end_incomplete() {
        let good = || Outcome::success("/bin/pre succeeded");
        assert_eq!(with_what_lacks(good(), &step(), &[]), good());
        let lines = ["app: not dumped".to_owned(), "web: not dumped".to_owned()];
        let told = with_what_lacks(good(), &step(), &lines);
        assert_eq!(told.status, Status::Incomplete);
        assert_eq!(told.message, "app: not dumped; web: not dumped");
        assert!(told.hint.unwrap().contains("/bin/pre"));
    }

    #[test]
    fn a_failure_stays_one_and_says_both() {
        let failed = Outcome::unsuccessful(Status::Failed, "it failed", "look");
        let told = with_what_lacks(failed, &step(), &["app: not dumped".to_owned()]);
        assert_eq!(told.status, Status::Failed);
        assert_eq!(told.message, "it failed; before that: app: not dumped");
    }

    #[test]
    fn lines_beyond_the_limit_are_counted() {
        let lines: Vec<String> = (0..MOST_LINES + 2).map(|n| n.to_string()).collect();
        let told = with_what_lacks(Outcome::success(""), &step(), &lines);
        assert!(told.message.ends_with("19; and 2 more"), "{}", told.message);
    }
}
