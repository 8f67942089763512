//! A program that is to end soon: what it reads, how long it may take, what it says at the end.

use std::{
    io::{Read, Write as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{
    error::{Result, reason},
    threads,
};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// What is kept of what it says, in bytes; the end counts.
const KEPT: usize = 16 * 1024;

/// How a program ended.
pub(super) enum Ended {
    /// With exit code 0, and with this on its standard output.
    Well(String),
    /// In any other way.
    Badly {
        /// The exit code, if it had one.
        code: Option<i32>,
        /// As the end of a sentence about the program, with its last words.
        how: String,
    },
    /// It could not be started.
    Never {
        /// As the end of a sentence about the program.
        how: String,
        /// Whether there is no such program.
        absent: bool,
    },
    /// Its time was over, and it was killed with all that it started.
    TooLate,
}

/// Gives a program its input and waits for its end.
pub(super) fn run(mut command: Command, input: Vec<u8>, limit: Duration) -> Ended {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Ended::Never {
                how: format!("cannot be run: {}", reason(&error)),
                absent: error.kind() == std::io::ErrorKind::NotFound,
            };
        }
    };
    // A program that does not read must not keep us: the pipe is filled by a thread that ends with
    // the program.
    let stdin = child.stdin.take();
    let fed = stdin.map_or(Ok(()), |mut stdin| {
        threads::start("input", move || stdin.write_all(&input)).map(drop)
    });
    let outputs = fed.and_then(|()| {
        let said = last_words(child.stdout.take())?;
        Ok((said, last_words(child.stderr.take())?))
    });
    let (said, complained) = match outputs {
        Ok(outputs) => outputs,
        Err(error) => {
            end(&mut child);
            return Ended::Never {
                how: format!("cannot be run: {}", error.message),
                absent: false,
            };
        }
    };
    // What its own children still hold open is not waited for.
    let soon = |words: &Receiver<String>| words.recv_timeout(LOOK * 10).unwrap_or_default();
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ended::Well(soon(&said)),
            Ok(Some(status)) => {
                return Ended::Badly {
                    code: status.code(),
                    how: how(status, &soon(&complained)),
                };
            }
            Ok(None) if started.elapsed() < limit => std::thread::sleep(LOOK),
            Ok(None) => {
                end(&mut child);
                return Ended::TooLate;
            }
            Err(error) => {
                return Ended::Badly {
                    code: None,
                    how: format!("was lost sight of: {}", reason(&error)),
                };
            }
        }
    }
}

/// Kills a program with all that it started.
fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.wait();
}

/// As the end of a sentence about a program.
fn how(status: ExitStatus, said: &str) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    };
    match said
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
    {
        Some(line) => format!("{how}: {line}"),
        None => how,
    }
}

/// The end of what a child writes.
fn last_words(output: Option<impl Read + Send + 'static>) -> Result<Receiver<String>> {
    let (sender, receiver) = channel();
    if let Some(mut output) = output {
        threads::start("output", move || {
            let mut kept = Vec::new();
            let mut block = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut block) {
                kept.extend_from_slice(&block[..length]);
                let surplus = kept.len().saturating_sub(KEPT);
                kept.drain(..surplus);
            }
            let lines: Vec<String> = kept
                .split(|byte| *byte == b'\n')
                .map(schema::escape::display)
                .collect();
            let _ = sender.send(lines.join("\n"));
        })?;
    }
    Ok(receiver)
}
