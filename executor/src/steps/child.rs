//! Running a program to its end: no shell, its own process group, an end to its time.
//!
//! Owns the process and its output; what its end means is the step's.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{
    error::{Error, Result, reason},
    event::{Context, Event},
    threads,
};

/// How long a program that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How often the time and the request to stop are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How a program ended.
pub(crate) enum Ended {
    /// With exit code 0.
    Well,
    /// In any other way, or it could not be started.
    Badly {
        /// As the end of a sentence about the program.
        how: String,
        /// The last line that it printed.
        last_line: String,
    },
    /// Its time was over.
    TooLate,
}

/// Runs a program to its end; its output becomes events of the step.
///
/// # Errors
/// An interruption, or the system's reason for losing sight of the program.
pub(crate) fn run(
    mut command: Command,
    step: &str,
    limit: Duration,
    context: Context<'_>,
) -> Result<Ended> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Ok(Ended::Badly {
                how: format!("cannot be run: {}", reason(&error)),
                last_line: String::new(),
            });
        }
    };
    let lines = match lines(&mut child) {
        Ok(lines) => lines,
        Err(error) => {
            end_group(&mut child);
            return Err(error);
        }
    };
    let mut last_line = String::new();
    let mut tell = |line: String| {
        context
            .observer
            .event(Event::ScriptLine { step, line: &line });
        if !line.trim().is_empty() {
            last_line = line;
        }
    };
    let started = Instant::now();
    let ended = loop {
        match lines.recv_timeout(LOOK) {
            Ok(line) => tell(line),
            Err(RecvTimeoutError::Timeout) => {}
            // Both outputs are closed; the process may live on.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
        }
        let status = child
            .try_wait()
            .map_err(|error| Error::io("wait for", step.as_bytes(), error))?;
        if status.is_some() {
            break status;
        }
        if context.stop.is_asked() {
            end_group(&mut child);
            return Err(Error::interrupted());
        }
        if started.elapsed() >= limit {
            end_group(&mut child);
            break None;
        }
    };
    // What the program's own children still hold open is not waited for.
    while let Ok(line) = lines.recv_timeout(LOOK) {
        tell(line);
    }
    Ok(match ended {
        Some(status) if status.success() => Ended::Well,
        Some(status) => Ended::Badly {
            how: how(status),
            last_line,
        },
        None => Ended::TooLate,
    })
}

/// As the end of a sentence about a program.
pub(crate) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// Both outputs of a child, line by line.
fn lines(child: &mut Child) -> Result<Receiver<String>> {
    let (sender, receiver) = channel();
    let outputs: [Option<Box<dyn std::io::Read + Send>>; 2] = [
        child.stdout.take().map(|output| Box::new(output) as _),
        child.stderr.take().map(|output| Box::new(output) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        threads::start("output", move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output
                .read_until(b'\n', &mut line)
                .is_ok_and(|length| length > 0)
            {
                let text = schema::escape::display(line.trim_ascii_end());
                line.clear();
                if sender.send(text).is_err() {
                    break;
                }
            }
        })?;
    }
    Ok(receiver)
}

/// Ends a program with all that it started: first asked, then killed.
pub(crate) fn end_group(child: &mut Child) {
    let Ok(group) = i32::try_from(child.id()) else {
        return;
    };
    let group = Pid::from_raw(group);
    let _ = killpg(group, Signal::SIGTERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            break;
        }
        std::thread::sleep(LOOK);
    }
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}
