//! README's way back after machine and drive are gone does what README says, word by word, in a
//! container that has programs and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    lab::{PROGRAM, Ran, run_command, skip},
    odd,
    remote_lab::{Protocol, RemoteLab, rclone},
    rows::{day, id, message},
};

/// The configuration and the commands of README's recovery.
fn recipe() -> (String, Vec<String>) {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, section) = readme
        .split_once("## Recovery after losing everything\n")
        .unwrap();
    let section = section.split("\n## ").next().unwrap();
    let block = |language: &str| {
        let (_, rest) = section.split_once(&format!("```{language}\n")).unwrap();
        rest.split("```").next().unwrap().to_owned()
    };
    let commands = block("sh needs a remote");
    let commands = commands
        .lines()
        .map(str::trim)
        .filter(|one| !one.is_empty());
    let commands = commands.map(|one| one.strip_prefix("sudo ").unwrap().to_owned());
    (block("json"), commands.collect())
}

#[test]
fn the_readme_brings_everything_back_from_the_remote_alone() {
    let test = "the_readme_brings_everything_back_from_the_remote_alone";
    if !rustix::process::geteuid().is_root() {
        skip(&format!("{test} because owners return only to root"));
        return;
    }
    if Command::new("systemd-nspawn")
        .arg("--version")
        .output()
        .is_err()
    {
        skip(&format!("{test} because systemd-nspawn is not installed"));
        return;
    }
    if !Path::new("/usr/bin/sh").exists() {
        skip(&format!(
            "{test} because this system's programs are not all below /usr"
        ));
        return;
    }
    let Some(mut far) = RemoteLab::new(test, Protocol::Webdav, true) else {
        return;
    };
    // The remote has README's name.
    let conf = far.lab.path("rclone.conf");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, text.replace("[proton]", "[nas]")).unwrap();
    far.lab.set("cloud.provider", "custom");
    far.lab.set("cloud.remote", "nas:");
    odd::fill(&far.lab);
    let said = message(&far.backup(&day(1)));
    assert!(said.contains(" at nas:Backups/atlas: "), "{said}");

    for lost in ["mnt", "state", "log", "user", "config.json"] {
        let lost = far.lab.path(lost);
        let gone = if lost.is_dir() {
            fs::remove_dir_all(lost)
        } else if lost.exists() {
            fs::remove_file(lost)
        } else {
            Ok(())
        };
        gone.unwrap();
    }
    let (config, commands) = recipe();
    let [list, restore] = &commands[..] else {
        panic!("{commands:?}");
    };
    let machine = Empty::new(&far, &config);
    machine.run(list).expect(0).says(&id(1));
    assert!(restore.ends_with(" / /mnt/new"), "{restore}");
    machine.run(restore).expect(0);

    let was = far.lab.path("home");
    let back = machine.new.join(was.strip_prefix("/").unwrap());
    let (back, was) = (odd::told(&back), odd::told(&was));
    for (path, told) in &was {
        assert_eq!(back.get(path), Some(told), "{}", path.display());
    }
    assert_eq!(back.len(), was.len());
    assert!(!far.lab.path("mnt").exists());
}

/// A machine with programs and nothing else: a container whose `/usr` is this machine's, with an
/// empty `/etc`, `/var` and `/root`.
struct Empty<'a> {
    far: &'a RemoteLab,
    work: PathBuf,
    /// Where the new disk is.
    new: PathBuf,
}

impl<'a> Empty<'a> {
    fn new(far: &'a RemoteLab, config: &str) -> Self {
        let work = far.lab.path("empty");
        for folder in ["root", "mnt", "programs"] {
            fs::create_dir_all(work.join(folder)).unwrap();
        }
        fs::write(work.join("root/recover.json"), config).unwrap();
        // Both are installed, as README's first step says.
        fs::copy(PROGRAM, work.join("programs/backup")).unwrap();
        fs::copy(rclone().unwrap(), work.join("programs/rclone")).unwrap();
        let new = work.join("mnt/new");
        Self { far, work, new }
    }

    /// Runs a line of README as it stands there.
    fn run(&self, line: &str) -> Ran {
        let bind =
            |option: &str, from: &Path, to: &str| format!("--{option}={}:{to}", from.display());
        let mut command = self.far.lab.bare("systemd-nspawn");
        command
            .args(["--quiet", "--directory=/", "--volatile=yes", "--as-pid2"])
            .args(["--register=no", "--keep-unit", "--pipe"])
            .arg(format!("--machine=empty-{}", std::process::id()))
            .arg(bind("bind-ro", &self.work.join("programs"), "/opt/bin"))
            .arg(bind(
                "bind-ro",
                &self.far.lab.path("rclone.conf"),
                "/etc/rclone.conf",
            ))
            .arg(bind("bind", &self.work.join("root"), "/root"))
            .arg(bind("bind", &self.work.join("mnt"), "/mnt"))
            .args(["--setenv=PATH=/opt/bin:/usr/bin:/bin", "--chdir=/root"])
            .args(["sh", "-c", line]);
        run_command(command, &[line])
    }
}
