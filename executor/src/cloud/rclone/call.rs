//! Calling rclone: its environment, its output, its end.
//!
//! Owns what an end means. An exit code that is not known to be good is a failure: codes 1 and 2
//! changed their places between 1.68 and 1.73 (<https://rclone.org/docs/#exit-code>). Secrets stay
//! in rclone's own configuration, of which it gets a copy; what rclone says is freed of them.

use std::{
    fs::File,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use schema::FailureCode;

use super::{
    credentials::Credentials,
    installed::clean_environment,
    log::{FileFaults, Log},
};
use crate::{
    error::{Error, Result, system_reason},
    event::{Context, Event},
    process::{
        ChildGroup, Limits, LineEnd, ProcessExit, ReadingStall, parent::die_with_parent, supervise,
    },
};

/// How often the time and the request to stop are looked at between two attempts.
const LOOK: Duration = Duration::from_millis(50);
/// Waits between the attempts of a call that found no connection.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// Longest silence of a remote, rclone's own default: some servers put a large file together before
/// they answer.
const LONGEST_STALL: Duration = Duration::from_secs(300);
/// Shortest that is told from the second between two statistics on a busy machine.
const SHORTEST_STALL: Duration = Duration::from_secs(5);
/// Part of `cloud.timeout`: a call has three attempts, all of which end before that time is over.
const PART: u32 = 8;

/// How long a remote may be silent before a call is ended, for a step that may take `limit`.
#[must_use]
pub fn longest_stall(limit: Option<Duration>) -> Duration {
    limit.map_or(LONGEST_STALL, |limit| {
        (limit / PART).clamp(SHORTEST_STALL, LONGEST_STALL)
    })
}

/// How rclone is called for one remote.
pub struct Rclone<'a> {
    /// The program.
    pub program: &'a str,
    /// Options of every call.
    pub options: &'a [String],
    /// Its configuration, for all calls of one piece of work.
    pub credentials: &'a Credentials,
    /// The step's name, for events.
    pub step: &'a str,
    /// When the time is over, with its length as people wrote it.
    pub until: Option<(Instant, String)>,
    /// How long the remote may be silent before a call is ended.
    pub stall: Duration,
    /// Bytes that a list of what is on the remote may take in memory ([`listing_limit`]).
    pub most_listed: u64,
    /// Whom to tell, and when to stop.
    pub context: Context<'a>,
}

/// What a list of a remote may take in memory in any case, in bytes: half a million paths.
const MOST_LISTED: u64 = 128 << 20;
/// What it may take for each entry that is known to be there, or on its way.
const LISTED_ENTRY: u64 = 512;
/// What an item takes besides its path.
const LISTED_BESIDES: u64 = 100;
/// How much longer than what it takes in memory the text of a list may be.
const LISTED_TEXT: u64 = 4;

/// Bytes that a list of a remote may take in memory where so many entries are expected there.
#[must_use]
pub fn listing_limit(entries: u64) -> u64 {
    MOST_LISTED.max(entries.saturating_mul(LISTED_ENTRY))
}

/// Lets a program write no file that is longer: an answer may have no end.
fn limit_output(process: u32, longest: u64) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: Some(longest),
        maximum: Some(longest),
    };
    // Where it cannot be limited, the list is refused when it is read.
    let _ = prlimit(pid, Resource::Fsize, limit);
}

/// How a call ended.
#[derive(Debug)]
pub enum RcloneExit {
    /// With exit code 0.
    Well,
    /// A folder or file that it was to read is not there (exit codes 3 and 4).
    NotThere,
    /// In any other way.
    Badly {
        /// Whether the remote was not reached.
        connection: bool,
        /// What happened, as a sentence about rclone.
        message: String,
    },
}

impl Rclone<'_> {
    /// What room a list leaves after an item of this path.
    ///
    /// # Errors
    /// Fails if there is none: the remote names more than is there, or without an end.
    pub fn take_room(&self, room: u64, path: &str, folder: &str) -> Result<u64> {
        let takes = path.len() as u64 + LISTED_BESIDES;
        room.checked_sub(takes).ok_or_else(|| self.too_long(folder))
    }

    fn too_long(&self, folder: &str) -> Error {
        let limit = schema::amount::bytes(self.most_listed);
        Error::failed(format!(
            "cloud copy failed: the list of what is on {folder} is longer than {limit}"
        ))
        .hint(format!(
            "far more is there than was ever uploaded: look at it with `{} lsf {folder}`, and take \
             away what is not of this program",
            self.program
        ))
    }

    /// Calls rclone; `copied` sees each file that was transferred and checked, or moved there.
    ///
    /// # Errors
    /// An interruption, the end of the time, or a program that cannot be run.
    pub fn call(
        &self,
        arguments: &[&str],
        output: Option<File>,
        told: &mut FileFaults,
        copied: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<RcloneExit> {
        let answer = output.as_ref().and_then(|file| file.try_clone().ok());
        let mut command = self.command(arguments, output, told.held.is_some());
        // One that outlived us would write where the next attempt writes.
        die_with_parent(&mut command);
        let mut child = ChildGroup::start(&mut command).map_err(|error| {
            Error::failed(format!(
                "cloud copy failed: {} cannot be run: {}",
                self.program,
                system_reason(&error)
            ))
            .coded(FailureCode::ProgramMissing)
            .because(error)
            .hint("install rclone and make sure that it is on the PATH")
        })?;
        let longest = self.most_listed.saturating_mul(LISTED_TEXT);
        if answer.is_some() {
            limit_output(child.id(), longest);
        }
        let lines = child.lines(LineEnd::Newline)?;
        let mut log = Log::new((self.step, self.context), self.credentials, told, copied);
        let mut stall = ReadingStall::new(self.stall);
        let until = self.until.as_ref().map(|(until, _)| *until);
        let limits = Limits::until(until)
            .stopped_by(self.context.stop)
            .unless_stalled(&mut stall);
        let exit = supervise(&mut child, &lines, limits, &mut log)?;
        let length = answer
            .and_then(|file| file.metadata().ok())
            .map(|of| of.len());
        if length.is_some_and(|length| length >= longest) {
            return Err(self.too_long(arguments.get(1).copied().unwrap_or("the remote")));
        }
        Ok(match (&exit, exit.code()) {
            (ProcessExit::TimedOut, _) => return Err(self.too_late()),
            (ProcessExit::Stalled(span), _) => RcloneExit::Badly {
                connection: true,
                message: format!(
                    "{}: the remote did not answer for {} s",
                    self.program,
                    span.as_secs()
                ),
            },
            (_, Some(0)) => RcloneExit::Well,
            (_, Some(3 | 4)) => RcloneExit::NotThere,
            (exit, _) => RcloneExit::Badly {
                connection: log.connection,
                message: format!("{} {exit}: {}", self.program, log.last),
            },
        })
    }

    /// The command of a call; one that `is_held` can be done again.
    fn command(&self, arguments: &[&str], output: Option<File>, is_held: bool) -> Command {
        let mut command = Command::new(self.program);
        clean_environment(&mut command);
        command
            .args(arguments)
            .args(self.credentials.options(self.options))
            .args(["--use-json-log", "--log-level", "INFO"])
            .args(["--stats", "1s", "--stats-log-level", "NOTICE"])
            .args(["--ask-password=false", "--no-unicode-normalization"])
            .args(["--contimeout", "30s", "--low-level-retries", "3"])
            // What can be done again is tried again by us, which an interruption can end.
            .args(["--retries", if is_held { "1" } else { "3" }])
            .args(["--retries-sleep", "2s"])
            // Longer than any silence that is borne here: what rclone begins anew would hide it.
            .args(["--timeout", "6m"])
            // A remote may be a folder named relative to where rclone runs: never in a snapshot.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::piped());
        command
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let until = self.until.as_ref();
        until.is_some_and(|(until, _)| Instant::now() >= *until)
    }

    fn in_time(&self) -> Result<()> {
        match self.is_over() {
            true => Err(self.too_late()),
            false => Ok(()),
        }
    }

    fn too_late(&self) -> Error {
        let span = self
            .until
            .as_ref()
            .map_or("its time", |(_, span)| span.as_str());
        Error::failed(format!(
            "cloud copy failed: {} did not end within {span} (cloud.timeout)",
            self.program
        ))
        .hint("raise cloud.timeout; the next run goes on with what is not uploaded yet")
    }

    /// Calls rclone for something that can be done again, and waits a little where there is no
    /// connection; any end but a good one is an error, but `NotThere` if that is `expected`.
    ///
    /// # Errors
    /// As [`Self::call`], or that it failed.
    pub fn must(
        &self,
        arguments: &[&str],
        output: &dyn Fn() -> Result<Option<File>>,
    ) -> Result<bool> {
        let mut waits = BACKOFF.iter();
        loop {
            // That nothing is there yet is no news, and rclone's words for it are alarming.
            let mut told = FileFaults::quiet();
            let ended = self.call(arguments, output()?, &mut told, &mut |_| Ok(()))?;
            if matches!(ended, RcloneExit::Badly { .. }) {
                let held = told.held.into_iter().flatten();
                held.for_each(|line| self.tell(&line));
            }
            let failure = match ended {
                RcloneExit::Well => return Ok(true),
                RcloneExit::NotThere => return Ok(false),
                RcloneExit::Badly {
                    connection,
                    message,
                } => (connection, message),
            };
            match waits.next().filter(|_| failure.0) {
                Some(wait) => self.wait(*wait)?,
                None => return Err(self.failed(failure.0, &failure.1)),
            }
        }
    }

    fn tell(&self, line: &str) {
        let step = self.step;
        self.context
            .observer
            .event(Event::ScriptLine { step, line });
    }

    /// Waits, and ends that if it was asked to stop or the time is over.
    pub(in crate::cloud) fn wait(&self, span: Duration) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < span {
            self.context.stop.check()?;
            self.in_time()?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The error of a call that ended badly.
    #[must_use]
    pub fn failed(&self, connection: bool, message: &str) -> Error {
        let (what, code) = if connection {
            ("connection failed", FailureCode::Unreachable)
        } else {
            ("cloud copy failed", FailureCode::ProgramFailed)
        };
        Error::failed(format!("{what}: {message}")).coded(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_attempts_of_a_silent_call_end_before_the_step_must() {
        let hour = Duration::from_secs(3600);
        assert_eq!(longest_stall(None), LONGEST_STALL);
        assert_eq!(longest_stall(Some(hour * 6)), LONGEST_STALL);
        assert!(longest_stall(Some(hour / 6)) * 3 < hour / 6);
        assert_eq!(longest_stall(Some(Duration::from_secs(1))), SHORTEST_STALL);
    }
}
