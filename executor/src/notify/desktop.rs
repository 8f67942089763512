//! A notification in each logged-in graphical session.
//!
//! Sessions are asked of logind. Each is told over its own session bus, as its own user: a program
//! of root has no place there, and what a user put into that folder is met with that user's rights
//! only. A normal user tells the own session alone.

use std::{
    collections::BTreeSet,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::unistd::{Uid, User, geteuid};

use super::{
    Message, NotificationPriority,
    attempt::{Failure, Tried},
    program::run_notifier,
    text,
};
use crate::{
    error::Error,
    process::{Captured, ProcessExit},
    threads::start_scoped_thread,
};

/// Longest body, in bytes: it is to be read at a glance.
const LONGEST: usize = 600;

/// One user's session bus.
struct Session {
    user: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
    bus: String,
    runtime: PathBuf,
}

/// Tells all sessions at once.
pub(super) fn notify_desktops(message: &Message, limit: Duration) -> Tried {
    let root = geteuid().is_root();
    let sessions = if root {
        graphical_sessions(limit)?
    } else {
        own_session().into_iter().collect()
    };
    if sessions.is_empty() {
        let said = "no graphical session is there to be told (notifications.desktop)";
        return Ok(Some(said.to_owned()));
    }
    let mut told = Vec::new();
    let mut failures = Vec::new();
    for (session, ended) in ask_all(&sessions, message, root, limit) {
        match outcome_of(&session.user, ended, limit) {
            Ok(()) => told.push(session.user.as_str()),
            Err(failure) => failures.push(failure),
        }
    }
    match failures.into_iter().next() {
        None => Ok(Some(format!("told the desktop of {}", told.join(", ")))),
        Some(failure) => Err(failure),
    }
}

/// Runs `notify-send` in all sessions at once.
fn ask_all<'a>(
    sessions: &'a [Session],
    message: &Message,
    root: bool,
    limit: Duration,
) -> Vec<(&'a Session, Result<Captured, Error>)> {
    std::thread::scope(|scope| {
        let tellers: Vec<_> = sessions
            .iter()
            .map(|session| {
                let mut command = notify_send_command(session, message, root);
                let tell = move || run_notifier(&mut command, Vec::new(), limit);
                (session, start_scoped_thread(scope, "desktop", tell))
            })
            .collect();
        tellers
            .into_iter()
            .filter_map(|(session, teller)| match teller {
                Ok(teller) => Some((session, Ok(teller.join().ok()?))),
                Err(error) => Some((session, Err(error))),
            })
            .collect()
    })
}

/// What came of telling one user.
fn outcome_of(user: &str, ended: Result<Captured, Error>, limit: Duration) -> Result<(), Failure> {
    const BY_HAND: &str = "try by hand: notify-send test";
    let ended = ended.map_err(|error| {
        let how = error.message;
        Failure::lasting(format!("of {user} not told: notify-send {how}"), BY_HAND)
    })?;
    let how = format!(
        "of {user} not told: notify-send {}",
        ended.with_last_words()
    );
    match &ended.exit {
        exit if exit.is_success() => Ok(()),
        ProcessExit::NotStarted { is_absent, .. } => Err(Failure::lasting(
            how,
            if *is_absent {
                "install notify-send (libnotify), or set notifications.desktop to false"
            } else {
                BY_HAND
            },
        )),
        ProcessExit::TimedOut => Err(Failure::lasting(
            format!("of {user} not told: no answer within {} s", limit.as_secs()),
            format!("see whether the session of {user} still responds"),
        )),
        ProcessExit::Ended(_) | ProcessExit::Stalled(_) | ProcessExit::GivenUp => {
            Err(Failure::lasting(
                how,
                format!("see whether a notification daemon runs for {user}"),
            ))
        }
    }
}

/// `notify-send` in a session.
fn notify_send_command(session: &Session, message: &Message, root: bool) -> Command {
    let (urgency, icon) = match message.priority {
        NotificationPriority::Good => ("normal", "dialog-information"),
        NotificationPriority::Doubtful => ("critical", "dialog-warning"),
        NotificationPriority::Bad => ("critical", "dialog-error"),
    };
    let mut command = Command::new("notify-send");
    command
        .args([
            "--app-name",
            "backup",
            "--urgency",
            urgency,
            "--icon",
            icon,
            "--",
        ])
        .arg(&message.title)
        .arg(escape_markup(&text::shorten_text(
            &at_a_glance(&message.body),
            LONGEST,
        )))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &session.home)
        .env("USER", &session.user)
        .env("XDG_RUNTIME_DIR", &session.runtime)
        .env("DBUS_SESSION_BUS_ADDRESS", &session.bus)
        .current_dir("/");
    if root {
        // Supplementary groups of root go with it: std drops them where a uid is set.
        command.uid(session.uid).gid(session.gid);
    }
    command
}

/// A body without the list of paths: all sessions are shown it, and arguments are seen by all users,
/// so what one user's files are called is not for the others.
fn at_a_glance(body: &str) -> String {
    let lines = body.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("  ")).collect()
}

/// The body may hold markup by the Desktop Notifications Specification, so what looks like it is
/// written as text.
fn escape_markup(body: &str) -> String {
    body.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The users that logind knows a graphical session of, each once.
fn graphical_sessions(limit: Duration) -> Result<Vec<Session>, Failure> {
    let Some(listed) = ask_loginctl(&["list-sessions", "--no-legend"], limit) else {
        return Err(Failure::lasting(
            "cannot be found: loginctl does not say who is logged in",
            "set notifications.desktop to false where there is no systemd-logind",
        ));
    };
    let mut users = BTreeSet::new();
    for id in listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        let shown = [
            "show-session",
            id,
            "-p",
            "Type",
            "-p",
            "Class",
            "-p",
            "State",
            "-p",
            "User",
        ];
        if let Some(uid) = ask_loginctl(&shown, limit)
            .as_deref()
            .and_then(graphical_user)
        {
            users.insert(uid);
        }
    }
    Ok(users.into_iter().filter_map(of_user).collect())
}

/// The user of a session that logind describes so, if a person sees a desktop in it.
fn graphical_user(properties: &str) -> Option<u32> {
    let get = |name: &str| {
        let mut lines = properties.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let graphical = matches!(get("Type")?, "x11" | "wayland" | "mir");
    // A greeter has a desktop too, and nobody who owns a backup before it.
    let person = get("Class")?.starts_with("user");
    let open = get("State")? != "closing";
    (graphical && person && open)
        .then(|| get("User")?.parse().ok())
        .flatten()
}

fn ask_loginctl(arguments: &[&str], limit: Duration) -> Option<String> {
    let mut command = Command::new("loginctl");
    command.args(arguments).env("LC_ALL", "C");
    let ended = run_notifier(&mut command, Vec::new(), limit);
    ended.exit.is_success().then_some(ended.stdout)
}

fn of_user(uid: u32) -> Option<Session> {
    let user = User::from_uid(Uid::from_raw(uid)).ok()??;
    let runtime = PathBuf::from(format!("/run/user/{uid}"));
    let bus = runtime.join("bus");
    bus.symlink_metadata().ok()?;
    Some(Session {
        user: user.name,
        uid,
        gid: user.gid.as_raw(),
        home: user.dir,
        bus: format!("unix:path={}", bus.display()),
        runtime,
    })
}

/// The session of whoever runs this, if there is one.
fn own_session() -> Option<Session> {
    let user = User::from_uid(geteuid()).ok()??;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(
        || PathBuf::from(format!("/run/user/{}", user.uid)),
        PathBuf::from,
    );
    let bus = std::env::var("DBUS_SESSION_BUS_ADDRESS")
        .ok()
        .filter(|address| !address.is_empty())
        .or_else(|| of_folder(&runtime))?;
    Some(Session {
        user: user.name,
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        home: user.dir,
        bus,
        runtime,
    })
}

fn of_folder(runtime: &Path) -> Option<String> {
    let bus = runtime.join("bus");
    bus.exists().then(|| format!("unix:path={}", bus.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_persons_who_see_a_desktop_are_told() {
        let of = |kind: &str, class: &str, state: &str| {
            graphical_user(&format!(
                "User=1000\nType={kind}\nClass={class}\nState={state}\n"
            ))
        };
        assert_eq!(of("wayland", "user", "active"), Some(1000));
        assert_eq!(of("x11", "user", "online"), Some(1000));
        assert_eq!(of("x11", "greeter", "active"), None);
        assert_eq!(of("tty", "user", "active"), None);
        assert_eq!(of("wayland", "user", "closing"), None);
        assert_eq!(graphical_user("nonsense"), None);
    }

    #[test]
    fn what_the_files_of_others_are_called_is_not_shown() {
        let body = "Step snapshot is incomplete:\n  /home/ann/diary: permission denied\n\nSafe.\n";
        assert_eq!(at_a_glance(body), "Step snapshot is incomplete:\n\nSafe.\n");
    }

    #[test]
    fn what_looks_like_markup_is_text() {
        assert_eq!(escape_markup("a<b> & c"), "a&lt;b&gt; &amp; c");
    }
}
