//! README's way back after machine and drive are gone does what README says, word by word.

use std::{fs, path::Path, process::Command};

use crate::{
    far::{Far, Speaks},
    lab::{PROGRAM, ran, skipped},
    odd,
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
    let commands = block("console");
    let commands = commands
        .lines()
        .map(str::trim)
        .filter(|one| !one.is_empty());
    let commands = commands.map(|one| one.strip_prefix("# ").unwrap().to_owned());
    (block("json"), commands.collect())
}

#[test]
fn the_readme_brings_everything_back_from_the_remote_alone() {
    let test = "the_readme_brings_everything_back_from_the_remote_alone";
    if !rustix::process::geteuid().is_root() {
        skipped(&format!("{test} because owners return only to root"));
        return;
    }
    let Some(mut far) = Far::new(test, Speaks::Webdav, true) else {
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
    let empty = far.lab.path("empty");
    fs::create_dir(&empty).unwrap();
    // Only what would be the machine's own is elsewhere.
    assert!(config.contains("\"/etc/rclone.conf\""), "{config}");
    let config = config.replace("/etc/rclone.conf", conf.to_str().unwrap());
    fs::write(empty.join("recover.json"), config).unwrap();
    let [list, restore] = &commands[..] else {
        panic!("{commands:?}");
    };
    let follow = |line: &str| -> Command {
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some("backup"), "{line}");
        let mut command = far.lab.bare(PROGRAM);
        command
            .env("PATH", far.path())
            .current_dir(&empty)
            .args(words.map(|word| word.replace("/mnt/new", empty.join("new").to_str().unwrap())))
            .args(["--state-dir", "state", "--log-dir", "log"]);
        command
    };
    ran(follow(list), &[list]).expect(0).says(&id(1));
    assert!(restore.ends_with(" / /mnt/new"), "{restore}");
    ran(follow(restore), &[restore]).expect(0);

    let was = far.lab.path("home");
    let back = empty.join("new").join(was.strip_prefix("/").unwrap());
    let (back, was) = (odd::told(&back), odd::told(&was));
    for (path, told) in &was {
        assert_eq!(back.get(path), Some(told), "{}", path.display());
    }
    assert_eq!(back.len(), was.len());
    assert!(!far.lab.path("mnt").exists());
}
