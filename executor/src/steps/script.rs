//! Runs a script: no shell, no arguments, its own process group, an end to its time.

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
use schema::{
    config::OnPreBackupFailure,
    journal::{Outcome, Status},
    plan::ScriptStep,
};

use crate::{
    error::{Error, Result, reason},
    event::{Context, Event},
};

/// How long a script that was asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How often the time and the request to stop are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the script of a step; its output becomes events.
///
/// # Errors
/// An interruption only: a failed script is an outcome.
pub fn run(
    name: &str,
    step: &ScriptStep,
    environment: &[(&str, String)],
    context: Context<'_>,
) -> Result<Outcome> {
    let program = step.program.as_str();
    let hint = format!("run {program} by hand to see why");
    let fail = |message: String| {
        let status = match step.on_failure {
            OnPreBackupFailure::Abort => Status::Failed,
            OnPreBackupFailure::Warn => Status::Incomplete,
        };
        Outcome::not(status, message, hint.clone())
    };
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    for (key, value) in environment {
        command.env(key, value);
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Ok(fail(format!(
                "{name} {program} cannot be run: {}",
                reason(&error)
            )));
        }
    };
    let lines = lines(&mut child);
    let started = Instant::now();
    let limit = step.timeout.as_duration();
    let ended = loop {
        pass_on(&lines, name, context);
        if let Some(status) = child.try_wait().map_err(|e| wait_fault(program, e))? {
            break Some(status);
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
    // What the script's own children still hold open is not waited for.
    while let Ok(line) = lines.recv_timeout(LOOK) {
        context.observer.event(Event::ScriptLine {
            step: name,
            line: &line,
        });
    }
    Ok(match ended {
        Some(status) if status.success() => Outcome::success(format!("{program} succeeded")),
        Some(status) => fail(format!("{name} {program} {}", how(status))),
        None => fail(format!(
            "{name} {program} did not end within {}",
            step.timeout
        )),
    })
}

fn wait_fault(program: &str, error: std::io::Error) -> Error {
    Error::io("wait for", program.as_bytes(), error)
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// Both outputs of a child, line by line.
fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let outputs: [Option<Box<dyn std::io::Read + Send>>; 2] = [
        child.stdout.take().map(|output| Box::new(output) as _),
        child.stderr.take().map(|output| Box::new(output) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        std::thread::spawn(move || {
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
        });
    }
    receiver
}

/// Passes lines on for a moment.
fn pass_on(lines: &Receiver<String>, name: &str, context: Context<'_>) {
    match lines.recv_timeout(LOOK) {
        Ok(line) => context.observer.event(Event::ScriptLine {
            step: name,
            line: &line,
        }),
        Err(RecvTimeoutError::Timeout) => {}
        // Both outputs are closed; the process may live on.
        Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
    }
}

/// Ends a script with all that it started: first asked, then killed.
fn end_group(child: &mut Child) {
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
