//! Asks a program which version it is.

use std::{process::Command, time::Duration};

use super::{Limits, ProcessExit, capture_output};

/// Longest time for the answer: a disk that wakes up, on a machine that has just started.
const ANSWERS: Duration = Duration::from_secs(120);

/// Runs a program that tells its version and ends; `parse` finds it in the first line that it prints.
///
/// # Errors
/// Why no version is known: the end of a sentence about the program.
pub(crate) fn ask_version(
    command: &mut Command,
    parse: impl FnOnce(&str) -> Option<String>,
) -> Result<String, String> {
    let asked = capture_output(command, Vec::new(), Limits::within(ANSWERS))
        .map_err(|error| format!("it cannot be run: {}", error.message))?;
    let program = command.get_program().to_string_lossy();
    let arguments = command.get_args().map(|one| one.to_string_lossy());
    let called: Vec<_> = std::iter::once(program.clone()).chain(arguments).collect();
    match &asked.exit {
        ProcessExit::NotStarted {
            is_absent: true, ..
        } if !program.contains('/') => return Err(format!("there is no {program} on the PATH")),
        ProcessExit::NotStarted { .. } => return Err(format!("it {}", asked.exit)),
        ProcessExit::TimedOut => return Err("it does not answer".to_owned()),
        ProcessExit::Ended(_) | ProcessExit::Stalled(_) | ProcessExit::GivenUp => {}
    }
    let line = asked.stdout.lines().next().unwrap_or_default();
    parse(line).ok_or_else(|| {
        if asked.exit.is_success() {
            format!("`{}` tells no version: {line}", called.join(" "))
        } else {
            format!("it {}", asked.exit)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(script: &str) -> Result<String, String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        ask_version(&mut command, |line| {
            line.strip_prefix("it v").map(str::to_owned)
        })
    }

    #[test]
    fn a_version_is_found_or_it_is_said_why_there_is_none() {
        assert_eq!(ask("echo it v1.2; echo more"), Ok("1.2".to_owned()));
        let none = Err("`sh -c echo usage` tells no version: usage".to_owned());
        assert_eq!(ask("echo usage"), none);
        assert_eq!(ask("exit 3"), Err("it failed with exit code 3".to_owned()));
        let absent = ask_version(&mut Command::new("no-such-program"), |_| None);
        assert_eq!(
            absent,
            Err("there is no no-such-program on the PATH".to_owned())
        );
        let absent = ask_version(&mut Command::new("/no/such/program"), |_| None);
        assert!(absent.unwrap_err().starts_with("it "));
    }
}
