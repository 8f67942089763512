//! Being a service: telling systemd what goes on, and keeping the machine awake while a snapshot is
//! written. Without systemd nothing of this happens, and nothing of it can fail a run.

use std::{
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use executor::event::{Event, Phase};
use schema::{outside::one_line, plan::chain::plain_id};
use sd_notify::NotifyState;

use crate::{progress::Pace, supervised};

/// How often the status line changes.
const EVERY: Duration = Duration::from_secs(2);

/// Tells systemd that the service is up (sd_notify(3)); everything after that is its work.
pub(crate) fn notify_ready() {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}

/// Tells systemd what goes on.
pub(crate) fn notify_status(text: &str) {
    let _ = sd_notify::notify(&[NotifyState::Status(text)]);
}

/// Tells systemd of events.
#[derive(Default)]
pub(crate) struct Service {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    told: Option<Instant>,
    pace: Option<Pace>,
    awake: Option<Awake>,
}

impl Service {
    /// Tells systemd of an event.
    pub(crate) fn notify_event(&self, event: &Event<'_>) {
        let Ok(mut inner) = self.inner.lock() else {
            return;
        };
        let status = match event {
            Event::StepStarted { step } => {
                if plain_id(step) == "snapshot" {
                    inner.awake = Awake::new();
                }
                (*step).to_owned()
            }
            Event::StepFinished { step, outcome } => {
                if plain_id(step) == "snapshot" {
                    inner.awake = None;
                }
                format!("{step}: {}", outcome.message)
            }
            Event::Progress(progress) => {
                let now = Instant::now();
                let pace = match inner.pace.take() {
                    Some(mut pace) if pace.phase() == progress.phase => {
                        pace.advance(progress, now);
                        pace
                    }
                    _ => Pace::new(progress, now),
                };
                let pace = inner.pace.insert(pace);
                let says = format!("{}: {}", phase_words(progress.phase), pace.describe());
                if inner.told.is_some_and(|told| told.elapsed() < EVERY) {
                    return;
                }
                inner.told = Some(now);
                says
            }
            Event::RunStarted { run_id, .. } => format!("run {run_id}"),
            Event::Noticed(_) | Event::ScriptLine { .. } => return,
        };
        let status = one_line(&status);
        if !supervised::forward_status(&status) {
            notify_status(&status);
        }
    }
}

/// What the work is.
fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Scan => "reading the sources",
        Phase::Rsync => "rsync is copying",
        Phase::Copy => "copying",
        Phase::Sync => "waiting for the disk",
        Phase::Remove => "removing an old snapshot",
        Phase::Restore => "restoring",
        Phase::Verify => "comparing",
        Phase::Cloud => "transferring",
    }
}

/// Sleep and shutdown wait while this lives.
///
/// `systemd-inhibit` holds logind's lock for as long as the program that it runs; that program ends
/// when its input does, so the lock goes with this process however it ends.
struct Awake(Child);

impl Awake {
    fn new() -> Option<Self> {
        // There is nobody to ask without systemd, and a user is not allowed to.
        if !nix::unistd::geteuid().is_root() || !sd_notify::booted().unwrap_or(false) {
            return None;
        }
        let child = Command::new("systemd-inhibit")
            .args(["--what=sleep:shutdown", "--who=backup", "--mode=block"])
            .args(["--why=a snapshot is being written", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_remove("NOTIFY_SOCKET")
            .spawn();
        child.ok().map(Self)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // Its input ends, so `cat` does, and with it the lock.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
