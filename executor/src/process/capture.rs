//! A program whose answer is wanted at its end: what it reads, how long it may take, what it says.

use std::process::{Command, Stdio};

use super::{
    child::{ChildGroup, with_piped_output},
    exit::ProcessExit,
    lines::{LineEnd, OutputLine, Stream},
    supervise::{Limits, supervise},
};
use crate::error::Result;

/// What is kept of each output, in bytes; the end counts.
const KEPT: usize = 64 * 1024;

/// A program that has ended, and what it said.
#[derive(Debug)]
pub(crate) struct Captured {
    /// How it ended.
    pub(crate) exit: ProcessExit,
    /// The end of its standard output.
    pub(crate) stdout: String,
    /// The end of its standard error.
    pub(crate) stderr: String,
}

impl Captured {
    /// How it ended, with its last words: the end of a sentence about the program.
    pub(crate) fn with_last_words(&self) -> String {
        let mut lines = self.stderr.lines().rev().map(str::trim);
        match (&self.exit, lines.find(|line| !line.is_empty())) {
            (ProcessExit::Ended(_), Some(line)) => format!("{}: {line}", self.exit),
            (exit, _) => exit.to_string(),
        }
    }
}

/// Gives a program its input, waits for its end, and gives what it said.
///
/// # Errors
/// An interruption, where the limits allow one.
pub(crate) fn capture_output(
    command: &mut Command,
    input: Vec<u8>,
    limits: Limits<'_>,
) -> Result<Captured> {
    let mut stdout = String::new();
    let mut stderr = String::new();
    let mut keep = |line: OutputLine| {
        let kept = match line.stream {
            Stream::Stdout => &mut stdout,
            Stream::Stderr => &mut stderr,
        };
        kept.push_str(&line.text());
        kept.push('\n');
        let surplus = kept.len().saturating_sub(KEPT);
        let mut ends = surplus..;
        kept.drain(
            ..ends
                .find(|at| kept.is_char_boundary(*at))
                .unwrap_or(surplus),
        );
    };
    let stdin = if input.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    let not_started = |because| ProcessExit::NotStarted {
        because,
        is_absent: false,
    };
    let exit = match ChildGroup::start(with_piped_output(command, stdin)) {
        Err(error) => ProcessExit::not_started(&error),
        Ok(mut child) => {
            let lines = child
                .feed(input)
                .and_then(|()| child.lines(LineEnd::Newline));
            match lines {
                Err(error) => not_started(error.message),
                Ok(lines) => supervise(&mut child, &lines, limits, &mut keep)?,
            }
        }
    };
    Ok(Captured {
        exit,
        stdout,
        stderr,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn captured(script: &str, input: &[u8]) -> Captured {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        capture_output(&mut command, input.to_vec(), Limits::within(Duration::MAX)).unwrap()
    }

    #[test]
    fn a_program_gets_its_input_and_the_end_of_what_it_says_is_kept() {
        let echoed = captured("cat", b"one\ntwo");
        assert_eq!(echoed.stdout, "one\ntwo\n");
        let long = captured("seq 100000", b"");
        assert!(long.stdout.len() <= KEPT && long.stdout.ends_with("\n100000\n"));
        // One that does not read does not keep us.
        assert!(captured("true", &vec![b'x'; 1 << 20]).exit.is_success());
    }

    #[test]
    fn last_words_are_the_last_line_that_says_something() {
        let failed = captured("echo why >&2; echo >&2; exit 75", b"");
        assert_eq!(failed.with_last_words(), "failed with exit code 75: why");
        assert_eq!(failed.exit.code(), Some(75));
        let killed = captured("kill -9 $$", b"");
        assert_eq!(killed.with_last_words(), "was ended by signal 9");
    }
}
