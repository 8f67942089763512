//! A machine with a real systemd: a small Debian in a container of systemd-nspawn, with the built
//! program, a configuration and a disk of its own.
//!
//! The Debian is made once by debootstrap and kept in the cache folder; each machine is an overlay
//! over it that goes with the test.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{is_installed, skipped};

/// Longest wait for something that must happen. Only a broken program reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// What the Debian has besides the least.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,libpam-systemd,rsync,procps,util-linux,mount,\
acl,attr,libcap2-bin,sudo,postgresql,mariadb-server-core,mariadb-client,sqlite3,nginx";
/// What its folder's name begins with: another one for another list, as others may use the one that is there.
const TREE: &str = "debian-with-databases";

/// A machine that runs until it is dropped.
pub(crate) struct Machine {
    work: TempDir,
    nspawn: Option<Child>,
    leader: Option<u32>,
    group: String,
    disk: String,
}

/// What a command in the machine said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Self {
            code: output.status.code(),
            text: text.trim_end().to_owned(),
        }
    }

    /// The text, of a command that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.text);
        self.text
    }
}

/// The base tree, or why there can be none.
fn tree() -> Result<&'static Path, &'static str> {
    static TREE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let tree = TREE.get_or_init(make_tree).as_ref();
    tree.map(PathBuf::as_path).map_err(String::as_str)
}

/// The release of Debian: `bookworm` has systemd 252; `SUITE=trixie` tries 257, `sid` the newest.
fn suite() -> String {
    std::env::var("SUITE").unwrap_or_else(|_| "bookworm".to_owned())
}

fn make_tree() -> Result<PathBuf, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("this is not root".to_owned());
    }
    for tool in ["systemd-nspawn", "nsenter", "losetup", "mkfs.ext4"] {
        if !is_installed(tool) {
            return Err(format!("{tool} is not installed"));
        }
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    let cache = cache.join("backup-tests");
    let suite = suite();
    let tree = cache.join(format!("{TREE}-{suite}"));
    fs::create_dir_all(&cache).map_err(|error| error.to_string())?;
    // Another process may be at it.
    let lock = fs::File::create(cache.join("systemd.lock")).map_err(|error| error.to_string())?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| error.to_string())?;
    if tree.join("usr/lib/systemd/systemd").exists() {
        return Ok(tree);
    }
    if !is_installed("debootstrap") {
        return Err("debootstrap is not installed".to_owned());
    }
    let new = cache.join(format!("{TREE}-{suite}.new"));
    let _ = fs::remove_dir_all(&new);
    let output = Command::new("debootstrap")
        .args([
            "--variant=minbase",
            &format!("--include={PACKAGES}"),
            &suite,
        ])
        .arg(&new)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let last = said.lines().last().unwrap_or_default();
        return Err(format!("debootstrap could not make a Debian: {last}"));
    }
    // Servers run where a test starts them, of what it gives them.
    let wanted = new.join("etc/systemd/system/multi-user.target.wants");
    for server in ["postgresql.service", "nginx.service"] {
        let _ = fs::remove_file(wanted.join(server));
    }
    for made in ["var/lib/postgresql", "etc/postgresql"] {
        let _ = fs::remove_dir_all(new.join(made));
    }
    let packages = fs::read_dir(new.join("var/cache/apt/archives"));
    for package in packages.into_iter().flatten().flatten() {
        let _ = fs::remove_file(package.path());
    }
    fs::rename(&new, &tree).map_err(|error| error.to_string())?;
    Ok(tree)
}

/// A machine that is not booted yet, or none where none can be, which is said.
pub(crate) fn machine(test: &str) -> Option<Machine> {
    let machine = bare_machine(test, 96 << 20)?;
    host("mkfs.ext4", &["-q", &machine.disk]).ok();
    machine.furnish();
    Some(machine)
}

/// The same with nothing but Debian, and an empty disk of so many bytes, which is also `/dev/sdX1`.
pub(crate) fn bare_machine(test: &str, disk: u64) -> Option<Machine> {
    let tree = match tree() {
        Ok(tree) => tree,
        Err(because) => {
            skipped(test, because);
            return None;
        }
    };
    let machine = Machine::new(tree, disk);
    if let Err(because) = &machine {
        skipped(test, because);
    }
    machine.ok()
}

/// A configuration that backs `/home` up to the disk, with everything that can be heard of.
pub(crate) fn config() -> Value {
    json!({
        "hostname": "lab",
        "local": {"enable": true, "useRsync": false, "minSpaceGB": 0, "sources": ["/home"]},
        "schedule": {"enable": true, "timeOfDay": "00:00", "randomDelay": "0s"},
        "preBackupScript": "/lab/pre",
        "postBackupScript": "/lab/post",
        "notifications": {
            "enable": true, "onSuccess": true, "desktop": false, "command": "/lab/tell",
        },
    })
}

impl Machine {
    fn new(tree: &Path, disk: u64) -> Result<Self, String> {
        let work = TempDir::with_prefix("backup-systemd.").unwrap();
        let group = work
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let mut machine = Self {
            work,
            nspawn: None,
            leader: None,
            group,
            disk: String::new(),
        };
        for folder in ["root", "upper", "work"] {
            fs::create_dir(machine.work.path().join(folder)).unwrap();
        }
        let at = |name: &str| machine.work.path().join(name).to_str().unwrap().to_owned();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            tree.to_str().unwrap(),
            at("upper"),
            at("work")
        );
        let mounted = host(
            "mount",
            &["-t", "overlay", "lab", "-o", &options, &at("root")],
        );
        if mounted.code != Some(0) {
            return Err(format!("no overlay can be mounted: {}", mounted.text));
        }
        let image = at("disk.img");
        fs::File::create(&image).unwrap().set_len(disk).unwrap();
        let looped = host("losetup", &["--find", "--show", &image]);
        if looped.code != Some(0) {
            return Err(format!("no loop device: {}", looped.text));
        }
        machine.disk = looped.text;
        fs::write(machine.path("etc/machine-id"), "").unwrap();
        fs::write(machine.path("etc/hostname"), "lab\n").unwrap();
        fs::write(machine.path("etc/hosts"), "127.0.0.1 localhost lab\n").unwrap();
        fs::create_dir_all(machine.path("var/log/journal")).unwrap();
        Ok(machine)
    }

    /// What most machines have: the program, a source, the scripts, the disk's mount unit.
    fn furnish(&self) {
        for folder in ["lab", "mnt/backup", "etc/backup"] {
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        fs::copy(env!("CARGO_BIN_EXE_backup"), self.path("usr/bin/backup")).unwrap();
        for number in 0..50 {
            self.write(&format!("home/ann/{number}"), &format!("letter {number}\n"));
        }
        self.script("lab/pre", "echo \"$BACKUP_RUN_ID\" >> /lab/pre.log");
        self.script(
            "lab/post",
            "echo \"$BACKUP_RESULT $BACKUP_RUN_ID $BACKUP_SNAPSHOT\" >> /lab/post.log",
        );
        // Whoever reads the file finds whole messages in it.
        self.script(
            "lab/tell",
            "{ echo \"result $BACKUP_RESULT\"; cat; echo; } > /tmp/telling.$$\n\
             cat /tmp/telling.$$ >> /lab/told.log\nrm /tmp/telling.$$",
        );
        let mount = format!(
            "[Mount]\nWhat={}\nWhere=/mnt/backup\nType=ext4\n",
            self.disk
        );
        self.write("etc/systemd/system/mnt-backup.mount", &mount);
        // systemd forgets how a unit ended that nothing refers to.
        let keep = "[Unit]\nPropagatesReloadTo=backup.service backup-local.service backup-health-check.service\n";
        self.write("etc/systemd/system/keep.target", keep);
    }

    /// Writes the configuration and its units.
    pub(crate) fn configure(&self, config: &Value) {
        self.write("etc/backup/config.json", &config.to_string());
        let root = self.path("");
        let root = root.to_str().unwrap();
        let units = [
            "systemd-units",
            "--program",
            "/usr/bin/backup",
            "--to",
            "/etc/systemd/system",
        ];
        host("chroot", &[&[root, "/usr/bin/backup"][..], &units].concat()).ok();
    }

    /// Adds to a unit.
    pub(crate) fn drop_in(&self, unit: &str, text: &str) {
        self.write(&format!("etc/systemd/system/{unit}.d/test.conf"), text);
        if self.leader.is_some() {
            self.sh("systemctl daemon-reload").ok();
        }
    }

    /// Boots and waits until it is up.
    #[track_caller]
    pub(crate) fn boot(&mut self) {
        let root = self.path("");
        let spawn = format!(
            "for h in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do \
             [ -e $h/cgroup.procs ] && mkdir -p $h/{group} && echo $$ > $h/{group}/cgroup.procs; \
             done 2>/dev/null; \
             exec systemd-nspawn --boot --directory={root} --register=no --keep-unit \
             --console=pipe --machine={machine} --hostname=lab --private-network \
             --bind={disk} --bind={disk}:/dev/sdX1",
            group = self.group,
            root = root.to_str().unwrap(),
            machine = self.group.replace('.', "-").to_lowercase(),
            disk = self.disk,
        );
        let console = fs::File::create(self.work.path().join("console")).unwrap();
        let child = Command::new("sh")
            .args(["-c", &spawn])
            // cgroup v2 inside, which newer systemd insists on.
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn()
            .unwrap();
        let pid = child.id();
        self.nspawn = Some(child);
        self.wait_for("the machine's first process", || {
            self.leader.is_some() || first_process(pid).is_some()
        });
        self.leader = first_process(pid);
        self.wait_for("the machine to be up", || {
            let said = self.sh("systemctl is-system-running").text;
            said.contains("running") || said.contains("degraded")
        });
        if self.path("etc/systemd/system/keep.target").exists() {
            self.sh("systemctl start keep.target").ok();
        }
    }

    /// Waits for something that happens in its own time.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, mut there: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !there() {
            assert!(
                begun.elapsed() < PATIENCE,
                "waited in vain for {what}\n{}\n{}",
                fs::read_to_string(self.work.path().join("console")).unwrap_or_default(),
                self.leader.map_or_else(String::new, |_| {
                    self.sh("journalctl --no-pager -o short-monotonic | tail -n 80")
                        .text
                })
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs a script in the machine.
    pub(crate) fn sh(&self, script: &str) -> Said {
        let leader = self.leader.unwrap().to_string();
        let output = Command::new("nsenter")
            .args([
                "-t", &leader, "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--",
            ])
            .args(["/usr/bin/env", "-i"])
            .args([
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root",
                "LANG=C.UTF-8",
                "SYSTEMD_PAGER=cat",
                "SYSTEMD_COLORS=0",
            ])
            .args(["/bin/sh", "-c", script])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Said::of(&output)
    }

    /// The disk's device.
    pub(crate) fn disk(&self) -> &str {
        &self.disk
    }

    /// A property of a unit.
    pub(crate) fn property(&self, unit: &str, property: &str) -> String {
        self.sh(&format!("systemctl show --value -p {property} {unit}"))
            .ok()
    }

    /// The journal of a unit.
    pub(crate) fn journal(&self, unit: &str) -> String {
        self.sh("journalctl --sync").ok();
        self.sh(&format!("journalctl --no-pager -o cat -u {unit}"))
            .ok()
    }

    /// A path of the machine, as this process sees it.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.work.path().join("root").join(relative)
    }

    /// A file's content; empty where there is none.
    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap_or_default()
    }

    /// Writes a file.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes an executable script.
    pub(crate) fn script(&self, relative: &str, body: &str) {
        self.write(relative, &format!("#!/bin/sh\n{body}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(relative), mode).unwrap();
    }

    /// Names of the snapshots on the mounted disk.
    pub(crate) fn snapshots(&self) -> Vec<String> {
        let text = self.sh("ls /mnt/backup/lab/.backup/snapshots").text;
        let names = text.lines().filter(|name| name.starts_with("20"));
        names.map(str::to_owned).collect()
    }

    /// What people were told of runs that ended so.
    pub(crate) fn told(&self, result: &str) -> Vec<String> {
        let told = format!("\n{}", self.read("lab/told.log"));
        let messages = told.split("\nresult ").skip(1);
        let messages = messages.filter_map(|one| one.strip_prefix(result));
        messages.map(|one| one.trim().to_owned()).collect()
    }

    /// Why runs ended so, for messages: their reports' findings and steps, and the journal's end.
    pub(crate) fn why(&self, result: &str) -> String {
        let reports = self.sh("cat /var/lib/backup/runs/*/report.json").text;
        let reports = serde_json::Deserializer::from_str(&reports).into_iter::<Value>();
        let reports = reports.map_while(Result::ok);
        let reports: Vec<String> = reports
            .filter(|report| report["result"] == result)
            .map(|report| format!("{:#} {:#}", report["findings"], report["steps"]))
            .collect();
        let journal =
            self.sh("journalctl --sync; journalctl --no-pager -o short-monotonic | tail -n 60");
        format!(
            "told: {:#?}\n{result} reports: {}\njournal: {}",
            self.told(result),
            reports.join("\n"),
            journal.text
        )
    }

    /// The newest report, which a run has when it ended.
    pub(crate) fn report(&self) -> Value {
        let text = self
            .sh("cat \"$(ls -t /var/lib/backup/runs/*/report.json | head -n 1)\"")
            .ok();
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() && self.leader.is_some() {
            let journal =
                self.sh("journalctl --no-pager -o short-monotonic -u 'backup*' | tail -n 150");
            eprintln!("{}", journal.text);
        }
        if let Some(leader) = self.leader {
            // An orderly halt (systemd(1), SIGRTMIN+3), then an end.
            host("kill", &["-s", "RTMIN+3", &leader.to_string()]);
            for _ in 0..100 {
                if !Path::new(&format!("/proc/{leader}")).exists() {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
            host("kill", &["-s", "KILL", &leader.to_string()]);
        }
        if let Some(mut nspawn) = self.nspawn.take() {
            for _ in 0..60 {
                if matches!(nspawn.try_wait(), Ok(Some(_))) {
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
            let _ = nspawn.kill();
            let _ = nspawn.wait();
        }
        let root = self.path("");
        let root = root.to_str().unwrap();
        if host("umount", &[root]).code != Some(0) {
            host("umount", &["-l", root]);
        }
        if !self.disk.is_empty() {
            host("losetup", &["--detach", &self.disk]);
        }
        for hierarchy in ["systemd", "unified", "."] {
            let folder = Path::new("/sys/fs/cgroup")
                .join(hierarchy)
                .join(&self.group);
            let folder = folder.to_str().unwrap();
            host(
                "find",
                &[folder, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"],
            );
        }
    }
}

/// Runs a tool of this machine.
fn host(tool: &str, arguments: &[&str]) -> Said {
    let output = Command::new(tool)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Said::of(&output)
}

/// The first process in the container that this process runs.
fn first_process(nspawn: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children.split_whitespace().find_map(|child| {
        let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        // Before it runs systemd it is nspawn itself.
        (name.trim() == "systemd").then(|| child.parse().ok())?
    })
}
