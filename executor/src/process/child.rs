//! A running program with all that it starts: a process group of its own.

use std::{
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::lines::{self, LineEnd, OutputLine, Stream};
use crate::{
    error::{Error, Result},
    threads,
};

/// How long a program that was asked to end may take before it is killed.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// The shortest pause between two looks at whether a program has ended, and the longest.
pub(super) const PAUSES: (Duration, Duration) =
    (Duration::from_millis(1), Duration::from_millis(50));

/// A program in a process group of its own. One that is dropped before it has ended is ended.
pub(crate) struct ChildGroup {
    child: Child,
    /// The program's name, for messages.
    program: Vec<u8>,
}

impl ChildGroup {
    /// Starts a program.
    ///
    /// # Errors
    /// Fails if there is no such program, or the system lets none start.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        Ok(Self {
            child,
            program: command.get_program().as_encoded_bytes().to_vec(),
        })
    }

    /// The number of the process, which is that of its group as well.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives the program its standard input.
    ///
    /// One that does not read must not keep us: the pipe is filled by a thread that ends with the
    /// program.
    ///
    /// # Errors
    /// Fails if no thread can be started.
    pub(crate) fn feed(&mut self, input: Vec<u8>) -> Result<()> {
        match self.child.stdin.take() {
            Some(mut stdin) => {
                threads::start_thread("input", move || stdin.write_all(&input)).map(drop)
            }
            None => Ok(()),
        }
    }

    /// Reads the outputs that are piped, line by line. Where too many lines wait to be taken, the
    /// program waits.
    ///
    /// # Errors
    /// Fails if no thread can be started.
    pub(crate) fn lines(&mut self, end: LineEnd) -> Result<Receiver<OutputLine>> {
        let (sender, receiver) = lines::line_channel();
        if let Some(output) = self.child.stdout.take() {
            lines::read_lines(output, Stream::Stdout, end, sender.clone())?;
        }
        if let Some(output) = self.child.stderr.take() {
            lines::read_lines(output, Stream::Stderr, end, sender)?;
        }
        Ok(receiver)
    }

    /// How the program ended; none while it runs.
    ///
    /// # Errors
    /// Fails if the system does not tell.
    pub(crate) fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .map_err(|error| Error::io("wait for", &self.program, error))
    }

    /// Ends the program with all that it started: first asked, then, after `grace`, killed.
    pub(crate) fn end(&mut self, grace: Duration) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            let group = Pid::from_raw(group);
            if !grace.is_zero() {
                let _ = killpg(group, Signal::SIGTERM);
                wait_within(&mut self.child, grace);
            }
            let _ = killpg(group, Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for ChildGroup {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.end(GRACE);
        }
    }
}

/// Waits for the end of a process, but no longer than this; gives whether it has ended.
pub(crate) fn wait_within(child: &mut Child, patience: Duration) -> bool {
    let begun = Instant::now();
    let (mut pause, longest) = PAUSES;
    while let Ok(None) = child.try_wait() {
        if begun.elapsed() >= patience {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
    true
}

/// The command with this input, and with both outputs piped.
pub(crate) fn with_piped_output(command: &mut Command, input: Stdio) -> &mut Command {
    command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}

/// Gives a program an environment in which nothing but its arguments say what it does: none of its
/// own variables, no aliases from a home folder, and messages in one language.
pub(crate) fn isolate_environment(command: &mut Command) {
    command.env_clear().env("LC_ALL", "C");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
}
