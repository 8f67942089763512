//! Desktop notifications over a real session bus, to a mock of a notification daemon.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::lab;
use crate::lab::{Lab, PROGRAM, Ran, is_installed, run_command, skip, wait_for};

/// Who owns nothing on any system.
const NOBODY: u32 = 65534;

/// A session bus with a notification daemon, both of one user.
struct Desktop {
    log: PathBuf,
    address: String,
    daemons: Vec<Child>,
    runtime: Option<PathBuf>,
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if let Some(runtime) = &self.runtime {
            let _ = fs::remove_dir_all(runtime);
        }
    }
}

impl Desktop {
    /// Starts both with this user's rights; the bus is in this folder, as in a real session.
    fn new(lab: &Lab, folder: &Path, uid: Option<u32>) -> Self {
        let (log, bus) = (lab.path("notified.log"), folder.join("bus"));
        fs::write(&log, "").unwrap();
        if let Some(uid) = uid {
            chown(folder, Some(uid), Some(uid)).unwrap();
            chown(&log, Some(uid), Some(uid)).unwrap();
        }
        let address = format!("unix:path={}", bus.display());
        let start = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command
                .args(arguments)
                .env("DBUS_SESSION_BUS_ADDRESS", &address)
                .current_dir("/")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            if let Some(uid) = uid {
                command.uid(uid).gid(uid);
            }
            command.spawn().unwrap()
        };
        let mut desktop = Self {
            daemons: vec![start(
                "dbus-daemon",
                &["--session", "--nofork", "--address", &address],
            )],
            log,
            address: address.clone(),
            runtime: None,
        };
        wait_for("the bus", || bus.exists());
        let log = desktop.log.to_str().unwrap();
        let mock = [
            "-m",
            "dbusmock",
            "--template",
            "notification_daemon",
            "-l",
            log,
        ];
        desktop.daemons.push(start(python(), &mock));
        wait_for("the notification daemon", || {
            let mut ask = Command::new("dbus-send");
            ask.arg(format!("--bus={address}"))
                .args(["--print-reply", "--dest=org.freedesktop.DBus", "/"])
                .arg("org.freedesktop.DBus.NameHasOwner")
                .arg("string:org.freedesktop.Notifications");
            if let Some(uid) = uid {
                ask.uid(uid).gid(uid);
            }
            let said = ask.output().unwrap();
            String::from_utf8_lossy(&said.stdout).contains("boolean true")
        });
        desktop
    }

    /// The notifications that were shown.
    fn shown(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap();
        let lines = log.lines().filter(|line| line.contains(" Notify "));
        lines.map(str::to_owned).collect()
    }
}

/// The Python that has the mock: on Debian the system's own, whatever else is first in the path.
fn python() -> &'static str {
    let own = "/usr/bin/python3";
    if Path::new(own).exists() {
        own
    } else {
        "python3"
    }
}

/// Whether all of it is there; says so if not.
fn possible(test: &str) -> bool {
    let mock = Command::new(python())
        .args(["-c", "import dbusmock"])
        .stderr(Stdio::null())
        .status();
    let there = ["dbus-daemon", "dbus-send", "notify-send"]
        .into_iter()
        .all(is_installed);
    let possible = there && mock.is_ok_and(|status| status.success());
    if !possible {
        skip(&format!(
            "{test} because dbus, notify-send or python3-dbusmock is missing"
        ));
    }
    possible
}

fn desktop_lab() -> Lab {
    let mut lab = lab();
    lab.set("notifications.desktop", true);
    lab
}

#[test]
fn a_normal_user_is_told_in_the_own_session() {
    if !possible("a_normal_user_is_told_in_the_own_session") {
        return;
    }
    let lab = desktop_lab();
    let is_root = nix::unistd::geteuid().is_root();
    fs::copy(PROGRAM, lab.path("backup")).unwrap();
    fs::create_dir(lab.path("runtime")).unwrap();
    if is_root {
        for entry in walkdir::WalkDir::new(lab.path("")) {
            chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    let desktop = Desktop::new(&lab, &lab.path("runtime"), is_root.then_some(NOBODY));
    let run = |with_bus: bool| -> Ran {
        let mut command = lab.bare(lab.path("backup"));
        command
            .arg("notify-test")
            .arg("--config")
            .arg(lab.path("config.json"));
        if with_bus {
            command.env("DBUS_SESSION_BUS_ADDRESS", &desktop.address);
        } else {
            // As from cron: the folder of the session is known to systemd only.
            command.env("XDG_RUNTIME_DIR", lab.path("runtime"));
        }
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        run_command(command, &["notify-test"])
    };
    run(true).expect(0).says("told the desktop of");
    run(false).expect(0).says("told the desktop of");
    let shown = desktop.shown();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(
        shown[0].contains("\"Backup of atlas: test message\""),
        "{shown:?}"
    );
}

#[test]
fn root_tells_each_graphical_session_as_its_user_and_nobody_else() {
    let test = "root_tells_each_graphical_session";
    if !nix::unistd::geteuid().is_root() {
        skip(&format!("{test} because it needs root"));
        return;
    }
    let runtime = PathBuf::from(format!("/run/user/{NOBODY}"));
    if runtime.exists() {
        skip(&format!("{test} because {} is in use", runtime.display()));
        return;
    }
    if !possible(test) {
        return;
    }
    let mut lab = desktop_lab();
    // Root's home of the lab is closed to the user whose daemon writes a log there.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(lab.path(""), open).unwrap();
    fs::create_dir_all(&runtime).unwrap();
    let mut desktop = Desktop::new(&lab, &runtime, Some(NOBODY));
    desktop.runtime = Some(runtime);
    // What logind would say; a real one needs a booted systemd with a graphical login.
    let logind = format!(
        "case $1 in\n\
         list-sessions) printf '  1 {NOBODY} nobody seat0 tty2\\n c1 0 root - tty1\\n 7 0 gdm\\n' ;;\n\
         show-session) case $2 in\n\
         1) printf 'User={NOBODY}\\nType=wayland\\nClass=user\\nState=active\\n' ;;\n\
         c1) printf 'User=0\\nType=tty\\nClass=user\\nState=active\\n' ;;\n\
         7) printf 'User=0\\nType=wayland\\nClass=greeter\\nState=online\\n' ;;\n\
         esac ;; esac"
    );
    lab.script("bin/loginctl", &logind);
    let run = |lab: &Lab, arguments: &[&str]| {
        let mut command = lab.command(arguments);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", lab.text("bin")));
        run_command(command, arguments)
    };
    run(&lab, &["notify-test"])
        .expect(0)
        .says("told the desktop of nobody");

    // A name that looks like markup is shown as it is.
    lab.set("preBackupScript", lab.script("pre<b>&", "exit 9"));
    run(&lab, &["apply", "--now", super::FIRST]).expect(1);
    let shown = desktop.shown();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(
        shown[1].contains("\"Backup of atlas: FAILED\""),
        "{shown:?}"
    );
    let log = fs::read_to_string(&desktop.log).unwrap();
    assert!(log.contains("pre&lt;b&gt;&amp; failed"), "{log}");

    // Nobody is logged in: that is no failure.
    lab.script("bin/loginctl", "exit 0");
    run(&lab, &["notify-test"])
        .expect(0)
        .says("no graphical session");
    // A session that does not answer is.
    lab.script("bin/loginctl", &logind);
    for daemon in &mut desktop.daemons {
        daemon.kill().unwrap();
    }
    run(&lab, &["notify-test"])
        .expect(1)
        .says("of nobody not told")
        .hints("notification daemon");
}
