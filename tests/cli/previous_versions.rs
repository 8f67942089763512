//! Previous versions where people look for them: a real Samba server with the settings of the page, and what the
//! package gives file managers.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use test_support::{is_missing, read_pages, run_tool};

use crate::lab::{Lab, Ran, is_installed, run_command, skip, wait_for};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-07-06T02:00:00+02:00";

/// A Samba server on a port of loopback, which serves one folder to guests.
struct Server {
    child: Child,
    port: u16,
    config: PathBuf,
}

impl Server {
    fn start(lab: &Lab, share: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut config = format!(
            "[global]\nserver role = standalone server\nmap to guest = Bad User\n\
             guest account = nobody\nsmb ports = {port}\nbind interfaces only = yes\n\
             interfaces = lo\ndisable netbios = yes\nload printers = no\nprintcap name = /dev/null\n\
             disable spoolss = yes\nusershare max shares = 0\nlogging = file\n"
        );
        for folder in ["private", "lock", "state", "cache", "pid", "ncalrpc"] {
            let path = lab.path(format!("samba/{folder}"));
            fs::create_dir_all(&path).unwrap();
            let key = match folder {
                "private" | "ncalrpc" => format!("{folder} dir"),
                other => format!("{other} directory"),
            };
            config += &format!("{key} = {}\n", path.display());
        }
        config += &format!("log file = {}\n", lab.text("samba/log"));
        lab.write(
            "samba/smb.conf",
            &format!("{config}{share}guest ok = yes\n"),
        );
        let config = lab.path("samba/smb.conf");
        let child = lab
            .bare("smbd")
            .args(["--foreground", "--configfile"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            child,
            port,
            config,
        };
        wait_for("the server", || {
            std::net::TcpStream::connect(("127.0.0.1", server.port)).is_ok()
        });
        server
    }

    /// What a client is told that gives this command.
    fn ask(&self, lab: &Lab, command: &str) -> Ran {
        let mut client = lab.bare("smbclient");
        client
            .args([
                "//127.0.0.1/ann",
                "--no-pass",
                "--port",
                &self.port.to_string(),
            ])
            .arg(format!("--configfile={}", self.config.display()))
            .args(["--command", command]);
        run_command(client, &[command])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.child.wait();
    }
}

/// The settings of the page for a share of the lab's `home/ann`.
fn settings_of_page(lab: &Lab) -> String {
    let page = read_pages(Path::new(ROOT));
    let page = page
        .into_iter()
        .find(|page| page.name == "docs/previous-versions.md")
        .unwrap();
    let mut blocks = page.blocks().into_iter();
    let block = blocks.find(|one| one.text.contains("shadow_copy2"));
    let home = lab.text("home/ann");
    let stored = lab.stored("");
    let stored = stored.to_str().unwrap().trim_end_matches('/');
    block
        .unwrap()
        .text
        .replace("path = /home/ann", &format!("path = {home}"))
        .replace("path = home/ann", &format!("path = {}", &home[1..]))
        .replace("/mnt/backup/HOST", stored)
}

#[test]
fn clients_of_a_samba_server_see_each_snapshot_as_a_previous_version() {
    let name = "clients_of_a_samba_server_see_each_snapshot_as_a_previous_version";
    if is_missing(name, &["smbd", "smbclient"], true) {
        return;
    }
    let mut lab = Lab::short();
    for open in ["", "mnt", "home", "home/ann"] {
        fs::set_permissions(lab.path(open), fs::Permissions::from_mode(0o755)).unwrap();
    }
    lab.set("local.readableByUsers", true);
    lab.backup(FIRST);
    lab.write("home/ann/letter.txt", "dear all, again\n");
    lab.backup(SECOND);
    lab.write("home/ann/letter.txt", "dear all, now\n");
    let server = Server::start(&lab, &settings_of_page(&lab));

    let told = server.ask(&lab, "allinfo letter.txt");
    let versions: Vec<&str> = told
        .stdout
        .lines()
        .filter(|line| line.starts_with("@GMT-"))
        .collect();
    // A winter's night and a summer's.
    let (first, second) = ("@GMT-2025.03.05-01.00.00", "@GMT-2025.07.06-00.00.00");
    assert_eq!(versions, [second, first], "{told}");
    for (version, expected) in [
        (format!("{first}\\"), "dear all\n"),
        (format!("{second}\\"), "dear all, again\n"),
        (String::new(), "dear all, now\n"),
    ] {
        let told = server.ask(&lab, &format!("get \"{version}letter.txt\" got"));
        let got = fs::read_to_string(lab.path("got"));
        assert_eq!(got.ok().as_deref(), Some(expected), "{told}");
        fs::remove_file(lab.path("got")).unwrap();
    }
    let told = server.ask(&lab, &format!("ls \"{first}\\*\""));
    assert!(told.stdout.contains("photo.jpg"), "{told}");
    // Nobody writes there.
    lab.write("new", "spoilt\n");
    server.ask(&lab, &format!("put new \"{first}\\letter.txt\""));
    let told = server.ask(&lab, &format!("get \"{first}\\letter.txt\" got"));
    assert_eq!(
        fs::read_to_string(lab.path("got")).unwrap(),
        "dear all\n",
        "{told}"
    );
    drop(server);
    lab.run(&["verify"]).expect(0);
    lab.run(&["view", "--remove"]).expect(0);
}

/// Runs one of the scripts with nothing on the path but these programs, each of which says how it was called.
fn run_script(
    script: &str,
    programs: &[&str],
    environment: &[(&str, &str)],
    words: &[&str],
) -> String {
    let folder = tempfile::tempdir().unwrap();
    for program in programs {
        let path = folder.path().join(program);
        fs::write(&path, format!("#!/bin/sh\nprintf '%s|' {program} \"$@\"\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let head = run_tool("sh", ["-c", "command -v head"]);
    let own = Path::new(ROOT).join("desktop/backup-previous-versions");
    for (tool, from) in [
        ("head", PathBuf::from(head.trim())),
        ("backup-previous-versions", own),
    ] {
        symlink(from, folder.path().join(tool)).unwrap();
    }
    let output = Command::new(Path::new(ROOT).join("desktop").join(script))
        .args(words)
        .env_clear()
        .env("PATH", folder.path())
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn file_managers_open_a_terminal_or_show_a_list() {
    let script = "backup-previous-versions";
    let chosen = "/home/ann/a letter.txt";
    let terminal = ["backup", "xterm", "xdg-terminal-exec"];
    // Which waits where that fails, so that people can read why.
    let opens = |told: &str, start: &str| {
        let shell = told.strip_prefix(start).unwrap_or_else(|| panic!("{told}"));
        let waits = shell.strip_suffix(&format!("|sh|backup|browse|{chosen}|"));
        assert!(
            waits.is_some_and(|waits| waits.contains("|| { printf ") && waits.contains("read -r")),
            "{told}"
        );
    };
    opens(
        &run_script(script, &terminal, &[], &[chosen]),
        "xdg-terminal-exec|sh|-c|",
    );
    opens(
        &run_script(script, &["backup", "xterm"], &[], &[chosen]),
        "xterm|-e|sh|-c|",
    );
    assert_eq!(
        run_script(script, &["backup"], &[], &[chosen]),
        format!("backup|find|{chosen}|\n")
    );
    let title = "Previous versions of a letter.txt";
    assert_eq!(
        run_script(script, &["backup", "kdialog"], &[], &[chosen]),
        format!("kdialog|--title|{title}|--msgbox|backup|find|{chosen}||")
    );
    let selected = format!("{chosen}\n/home/ann/other\n");
    let nautilus = [("NAUTILUS_SCRIPT_SELECTED_FILE_PATHS", selected.as_str())];
    opens(
        &run_script("nautilus/Previous versions", &terminal, &nautilus, &[]),
        "xdg-terminal-exec|sh|-c|",
    );
}

#[test]
fn the_desktop_file_is_valid() {
    if !is_installed("desktop-file-validate") {
        return skip("desktop-file-validate of desktop-file-utils is not installed");
    }
    let file = "desktop/applications/backup-previous-versions.desktop";
    let told = run_tool("desktop-file-validate", [Path::new(ROOT).join(file)]);
    assert_eq!(told, "");
}

#[test]
fn each_action_of_the_service_menu_has_a_name_and_the_command() {
    // Of a type that KDE alone knows, which the tool of the specification refuses.
    let file = "desktop/kde/backup-previous-versions.desktop";
    let text = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
    let actions = text.lines().find_map(|line| line.strip_prefix("Actions="));
    let actions: Vec<&str> = actions.unwrap().split_terminator(';').collect();
    assert!(!actions.is_empty());
    for action in actions {
        let group = format!("[Desktop Action {action}]\n");
        let group = text.split(&group).nth(1).unwrap();
        assert!(group.contains("Name=Previous Versions\n"), "{group}");
        assert!(
            group.contains("Exec=backup-previous-versions %f\n"),
            "{group}"
        );
    }
}
