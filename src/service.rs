//! Being a service: telling systemd what goes on, and keeping the machine awake while a snapshot is
//! written. Without systemd nothing of this happens, and nothing of it can fail a run.

use std::{
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use executor::event::{Event, Phase, Progress};
use schema::{outside::one_line, plan::chain::plain_id};
use sd_notify::NotifyState;

use crate::{render::amount, supervised};

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
                if inner.told.is_some_and(|told| told.elapsed() < EVERY) {
                    return;
                }
                inner.told = Some(Instant::now());
                progress_line(progress)
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

/// Progress in one line.
fn progress_line(progress: &Progress) -> String {
    let what = match progress.phase {
        Phase::Scan => "reading the sources",
        Phase::Rsync => "rsync is copying",
        Phase::Copy => "copying",
        Phase::Sync => "waiting for the disk",
        Phase::Remove => "removing an old snapshot",
        Phase::Restore => "restoring",
        Phase::Verify => "comparing",
        Phase::Cloud => "transferring",
    };
    let of = |total: u64, text: String| match total {
        0 => String::new(),
        _ => format!(" of {text}"),
    };
    format!(
        "{what}: {} entries{}, {}{}",
        progress.entries,
        of(progress.entries_total, progress.entries_total.to_string()),
        amount::bytes(progress.bytes),
        of(progress.bytes_total, amount::bytes(progress.bytes_total)),
    )
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
