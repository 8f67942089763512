//! A server on loopback, the folder behind it, and a laboratory that copies to it.

use std::{
    ffi::OsString,
    fs,
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::lab::{HOST, Lab, Ran, run_command, skip, wait_for};

/// The protocol that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Webdav,
    Sftp,
    S3,
}

/// The rclone that serves, and that is the client where nothing else is said: the newest there is.
pub(crate) fn rclone() -> Option<PathBuf> {
    let named = std::env::var_os("BACKUP_TEST_RCLONE").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("rclone"));
    named
        .into_iter()
        .chain(found)
        .find(|program| program.exists())
}

/// Whether an rclone can serve this.
fn serves(rclone: &Path, protocol: Protocol) -> bool {
    let mut command = Command::new(rclone);
    command.args(["serve", protocol.word(), "--help"]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success()
        && text.contains(&format!("rclone serve {} remote:path", protocol.word()))
}

impl Protocol {
    fn word(self) -> &'static str {
        match self {
            Self::Webdav => "webdav",
            Self::Sftp => "sftp",
            Self::S3 => "s3",
        }
    }
}

/// A laboratory with a remote.
pub(crate) struct RemoteLab {
    pub(crate) lab: Lab,
    rclone: PathBuf,
    pub(crate) protocol: Protocol,
    crypt: bool,
    pub(crate) port: u16,
    server: Option<Child>,
}

impl RemoteLab {
    /// A lab with a mirror; none, said loudly, where the server cannot be.
    pub(crate) fn new(test: &str, protocol: Protocol, crypt: bool) -> Option<Self> {
        let mut far = Self::served(test, protocol, crypt)?;
        far.lab.set("cloud.enable", true);
        far.lab.set("cloud.configFile", far.lab.text("rclone.conf"));
        Some(far)
    }

    /// A lab with a remote that has a history, `b2`, which keeps two days; none, said loudly, where the
    /// server cannot be.
    pub(crate) fn with_history(test: &str, protocol: Protocol, crypt: bool) -> Option<Self> {
        let mut far = Self::served(test, protocol, crypt)?;
        far.lab.set(
            "destinations",
            far.destinations(&far.lab.text("rclone.conf")),
        );
        Some(far)
    }

    /// `destinations` of a machine with a history on this remote.
    pub(crate) fn destinations(&self, config_file: &str) -> Value {
        json!({ "b2": {
            "type": "remote", "remote": "proton:", "configFile": config_file,
            "keepLast": 0, "keepDaily": 2, "keepWeekly": 0, "keepMonthly": 0, "keepHistoryDays": 0,
        }})
    }

    /// Starts a server and says where it is.
    fn served(test: &str, protocol: Protocol, crypt: bool) -> Option<Self> {
        let Some(rclone) = rclone() else {
            skip(&format!("{test} because rclone is not installed"));
            return None;
        };
        if !serves(&rclone, protocol) {
            skip(&format!(
                "{test} because rclone cannot serve {}",
                protocol.word()
            ));
            return None;
        }
        let lab = Lab::new();
        fs::create_dir_all(lab.path("far/bucket")).unwrap();
        fs::create_dir_all(lab.path("bin")).unwrap();
        std::os::unix::fs::symlink(&rclone, lab.path("bin/rclone")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut far = Self {
            lab,
            rclone,
            protocol,
            crypt,
            port,
            server: None,
        };
        far.connect_by(port);
        far.start();
        Some(far)
    }

    /// Has the program ask this port.
    pub(crate) fn connect_by(&self, port: u16) {
        let base = match self.protocol {
            Protocol::Webdav => {
                format!("type = webdav\nurl = http://127.0.0.1:{port}/\nvendor = other\n")
            }
            Protocol::Sftp => format!(
                "type = sftp\nhost = 127.0.0.1\nport = {port}\nuser = u\npass = {}\n",
                self.obscured("p")
            ),
            Protocol::S3 => format!(
                "type = s3\nprovider = Other\nendpoint = http://127.0.0.1:{port}\n\
                 access_key_id = LONGKEY123\nsecret_access_key = LONGSECRET123\n\
                 force_path_style = true\n"
            ),
        };
        let proton = if self.crypt {
            let password = self.obscured("secret");
            format!("type = crypt\nremote = base:bucket\npassword = {password}\n")
        } else {
            "type = alias\nremote = base:bucket\n".to_owned()
        };
        let file = self.lab.path("rclone.conf");
        fs::write(&file, format!("[base]\n{base}\n[proton]\n{proton}")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn obscured(&self, password: &str) -> String {
        let mut command = Command::new(&self.rclone);
        let output = command.args(["obscure", password]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Starts the server, and waits until it answers.
    pub(crate) fn start(&mut self) {
        let address = format!("127.0.0.1:{}", self.port);
        let mut command = self.lab.bare(&self.rclone);
        command
            .args(["serve", self.protocol.word()])
            .arg(self.lab.path("far"))
            .args(["--addr", &address])
            .args(["--config", "/dev/null"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match self.protocol {
            Protocol::Webdav => {}
            Protocol::Sftp => {
                command.args(["--user", "u", "--pass", "p"]);
            }
            Protocol::S3 => {
                command.args(["--auth-key", "LONGKEY123,LONGSECRET123"]);
            }
        }
        self.server = Some(command.spawn().unwrap());
        wait_for("the server", || TcpStream::connect(&address).is_ok());
    }

    /// Kills the server.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Freezes the server, or lets it go on: its connections stay, and nobody answers.
    pub(crate) fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let process = self.server.as_ref().unwrap().id().to_string();
        let mut command = Command::new("kill");
        assert!(command.args([signal, &process]).status().unwrap().success());
    }

    /// The program with the chosen rclone on its path.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.lab.command(arguments);
        command.env("PATH", self.programs());
        command
    }

    /// A path on which the chosen rclone comes first.
    pub(crate) fn programs(&self) -> OsString {
        let mut path = self.lab.path("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run_command(self.command(arguments), arguments)
    }

    pub(crate) fn at(&self, now: &str, arguments: &[&str]) -> Ran {
        self.run(&[arguments, &["--now", now]].concat())
    }

    /// Makes a backup at this time, which must succeed; gives the report.
    #[track_caller]
    pub(crate) fn backup(&self, now: &str) -> Value {
        self.at(now, &["apply", "--json"]).expect(0).json()
    }

    /// Starts a backup at this time.
    pub(crate) fn started(&self, now: &str) -> Child {
        let mut command = self.command(&["apply", "--now", now]);
        command.process_group(0);
        command.spawn().unwrap()
    }

    /// rclone as the test uses it.
    pub(crate) fn rclone(&self, arguments: &[&str]) -> Ran {
        let mut command = self.lab.bare(&self.rclone);
        command
            .args(arguments)
            .arg("--config")
            .arg(self.lab.path("rclone.conf"));
        run_command(command, arguments)
    }

    /// A path of the host's folder on the remote, as rclone names it.
    pub(crate) fn remote(&self, path: &str) -> String {
        format!("proton:Backups/{HOST}/{path}")
    }

    /// All files below a folder of the remote, sorted.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let listed = self.rclone(&["lsf", "-R", "--files-only", &self.remote(folder)]);
        let mut files: Vec<String> = listed.stdout.lines().map(str::to_owned).collect();
        files.sort();
        files
    }

    /// The content of a file on the remote.
    #[track_caller]
    pub(crate) fn content(&self, path: &str) -> String {
        self.rclone(&["cat", &self.remote(path)]).expect(0).stdout
    }

    /// Where a path of the lab is on the remote.
    pub(crate) fn current(&self, relative: &str) -> String {
        format!("current{}", self.lab.text(relative))
    }

    /// Bytes in the folder behind the server.
    pub(crate) fn bytes_there(&self) -> u64 {
        walkdir::WalkDir::new(self.lab.path("far"))
            .into_iter()
            .filter_map(|entry| entry.ok()?.metadata().ok())
            .filter(fs::Metadata::is_file)
            .map(|stat| stat.len())
            .sum()
    }
}

impl Drop for RemoteLab {
    fn drop(&mut self) {
        self.stop();
    }
}
