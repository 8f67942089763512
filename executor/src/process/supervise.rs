//! Following a program to its end: its lines, its time, a request to stop, a stall.

use std::{
    process::{Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use super::{
    child::{ChildGroup, GRACE, PAUSES, with_piped_output},
    exit::ProcessExit,
    lines::{LineEnd, OutputLine},
    stall::StallDetector,
};
use crate::{error::Result, event::Stop};

/// How often the time, the request to stop and the listener are given a turn.
const TURN: Duration = Duration::from_millis(50);
/// How long the outputs of a program that has ended may stay open before its last words are taken for
/// heard, if nothing more waits to be taken. Only what its own children hold open takes that long: what it
/// wrote itself is in the pipe, and the thread that reads it is late at worst, on a machine with too much
/// to do.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The same where something always waits: its children may talk for ever.
const LAST_WORDS_AT_MOST: Duration = Duration::from_secs(60);

/// What a program may not go beyond.
pub(crate) struct Limits<'a> {
    /// When its time is over; never if there is none.
    until: Option<Instant>,
    /// Who may ask it to stop.
    stop: Option<&'a Stop>,
    /// What tells that it will never go on.
    stall: Option<&'a mut dyn StallDetector>,
    /// How long it may take to end once it was asked to.
    grace: Duration,
}

impl<'a> Limits<'a> {
    /// A program that may take this long.
    pub(crate) fn within(limit: Duration) -> Self {
        Self::until(Instant::now().checked_add(limit))
    }

    /// A program that may run until then.
    pub(crate) fn until(until: Option<Instant>) -> Self {
        Self {
            until,
            stop: None,
            stall: None,
            grace: GRACE,
        }
    }

    /// Someone may ask it to stop, which interrupts the caller.
    pub(crate) fn stopped_by(self, stop: &'a Stop) -> Self {
        Self {
            stop: Some(stop),
            ..self
        }
    }

    /// It is ended once it will never go on.
    pub(crate) fn unless_stalled(self, stall: &'a mut dyn StallDetector) -> Self {
        Self {
            stall: Some(stall),
            ..self
        }
    }

    /// It is killed at once where it must end.
    pub(crate) fn without_grace(self) -> Self {
        Self {
            grace: Duration::ZERO,
            ..self
        }
    }

    fn check_stop(&self) -> Result<()> {
        self.stop.map_or(Ok(()), Stop::check)
    }

    fn is_time_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Ends a program that is beyond a limit; none where it may go on.
    fn end_beyond(&mut self, child: &mut ChildGroup, is_given_up: bool) -> Option<ProcessExit> {
        let exit = if self.is_time_over() {
            ProcessExit::TimedOut
        } else if is_given_up {
            ProcessExit::GivenUp
        } else {
            let stall = self.stall.as_deref_mut()?;
            ProcessExit::Stalled(stall.stalled_for(child.id())?)
        };
        child.end(self.grace);
        Some(exit)
    }
}

/// Hears what a program says while it runs.
pub(crate) trait Listener {
    /// Takes a line; gives whether it shows that the program gets on.
    ///
    /// # Errors
    /// Whatever ends the program.
    fn line(&mut self, line: OutputLine) -> Result<bool>;

    /// Whether what was said shows that the program will not end in any useful time: then it is ended.
    fn gives_up(&self) -> bool {
        false
    }

    /// Called again and again, whether or not something is said.
    ///
    /// # Errors
    /// Whatever ends the program.
    fn tick(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<F: FnMut(OutputLine)> Listener for F {
    fn line(&mut self, line: OutputLine) -> Result<bool> {
        self(line);
        Ok(true)
    }
}

/// Runs a program without input to its end; its output goes to the listener.
///
/// # Errors
/// An interruption, and whatever the listener fails with; the program has ended then.
pub(crate) fn run_to_end(
    command: &mut Command,
    limits: Limits<'_>,
    listener: &mut dyn Listener,
) -> Result<ProcessExit> {
    let mut child = match ChildGroup::start(with_piped_output(command, Stdio::null())) {
        Ok(child) => child,
        Err(error) => return Ok(ProcessExit::not_started(&error)),
    };
    let lines = child.lines(LineEnd::Newline)?;
    supervise(&mut child, &lines, limits, listener)
}

/// Follows a program to its end, and until it has nothing more to say. What its own children hold open
/// after that is listened to for [`LAST_WORDS`], or [`LAST_WORDS_AT_MOST`] where they go on talking.
///
/// # Errors
/// An interruption, and whatever the listener fails with. The program may still run then.
pub(crate) fn supervise(
    child: &mut ChildGroup,
    lines: &Receiver<OutputLine>,
    mut limits: Limits<'_>,
    listener: &mut dyn Listener,
) -> Result<ProcessExit> {
    let mut last_turn = Instant::now();
    let (mut pause, longest) = PAUSES;
    let exit = loop {
        match lines.recv_timeout(TURN) {
            Ok(line) => {
                if listener.line(line)?
                    && let Some(stall) = limits.stall.as_deref_mut()
                {
                    stall.got_on();
                }
                // A talkative program must not keep us from looking at the time.
                if last_turn.elapsed() < TURN {
                    continue;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            // Both outputs are closed; the process may live on.
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(longest);
            }
        }
        last_turn = Instant::now();
        if let Some(status) = child.try_wait()? {
            break ProcessExit::Ended(status);
        }
        limits.check_stop()?;
        if let Some(exit) = limits.end_beyond(child, listener.gives_up()) {
            break exit;
        }
        // Last, since it may take long, in which the program is not listened to.
        listener.tick()?;
    };
    hear_last_words(lines, listener)?;
    Ok(exit)
}

/// Hears what a program that has ended said before. Neither its time nor a request to stop cut that short:
/// what it did is done, and must be known.
fn hear_last_words(lines: &Receiver<OutputLine>, listener: &mut dyn Listener) -> Result<()> {
    let ended = Instant::now();
    while ended.elapsed() < LAST_WORDS_AT_MOST {
        match lines.recv_timeout(TURN) {
            Ok(line) => {
                listener.line(line)?;
            }
            Err(RecvTimeoutError::Timeout) if ended.elapsed() < LAST_WORDS => {}
            Err(_) => return listener.tick(),
        }
    }
    listener.tick()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn run(script: &str, limits: Limits<'_>) -> (Result<ProcessExit>, Vec<String>) {
        let mut heard = Vec::new();
        let mut listen = |line: OutputLine| heard.push(line.text());
        let exit = run_to_end(&mut shell(script), limits, &mut listen);
        (exit, heard)
    }

    #[test]
    fn a_program_is_heard_to_its_end_and_its_children_in_the_background_are_not_waited_for() {
        let script = "echo one; echo two >&2; sleep 600 & echo $!; exit 3";
        let (exit, mut heard) = run(script, Limits::within(Duration::MAX));
        heard.sort();
        assert_eq!(exit.unwrap().code(), Some(3));
        assert_eq!(heard[1..], ["one", "two"]);
        let sleeper = nix::unistd::Pid::from_raw(heard[0].parse().unwrap());
        nix::sys::signal::kill(sleeper, nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    #[test]
    fn what_a_program_says_when_it_is_asked_to_end_is_heard() {
        let script = "trap 'echo bye; exit 7' TERM; echo hello; while :; do sleep 0.05; done";
        let (exit, heard) = run(script, Limits::within(Duration::from_millis(300)));
        assert_eq!(exit.unwrap(), ProcessExit::TimedOut);
        // The shell may tell of its own child as well, and that comes by another pipe.
        let said = heard
            .iter()
            .filter(|line| *line == "hello" || *line == "bye");
        assert_eq!(said.collect::<Vec<_>>(), ["hello", "bye"], "{heard:?}");
    }

    #[test]
    fn children_in_the_background_that_talk_do_not_hold_up_the_end() {
        let script = "(while echo still; do sleep 0.3; done) & echo $!";
        let (exit, heard) = run(script, Limits::within(Duration::MAX));
        assert!(exit.unwrap().is_success());
        let talker =
            nix::unistd::Pid::from_raw(heard.iter().find_map(|line| line.parse().ok()).unwrap());
        nix::sys::signal::kill(talker, nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    #[test]
    fn a_program_beyond_its_time_is_ended_even_if_it_ignores_being_asked() {
        let limits = Limits::within(Duration::from_millis(100)).without_grace();
        let (exit, _) = run("trap '' TERM; while :; do echo; done", limits);
        assert_eq!(exit.unwrap(), ProcessExit::TimedOut);
    }

    #[test]
    fn a_request_to_stop_interrupts_and_an_absent_program_was_not_started() {
        let stop = Stop::default();
        stop.ask(15);
        let limits = Limits::within(Duration::MAX).stopped_by(&stop);
        let (exit, _) = run("sleep 600", limits);
        assert_eq!(exit.unwrap_err().kind, crate::ErrorKind::Interrupted);
        let mut absent = Command::new("/nonexistent/program");
        let limits = Limits::within(Duration::MAX);
        let exit = run_to_end(&mut absent, limits, &mut |_: OutputLine| {}).unwrap();
        assert!(matches!(
            exit,
            ProcessExit::NotStarted {
                is_absent: true,
                ..
            }
        ));
    }
}
