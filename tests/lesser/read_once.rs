//! Several disks and a source that takes longer to read: what was read of it for one of them is not read again
//! for the next, and what that one has lost meanwhile comes from the source all the same.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};

use crate::{
    fuse::{Lacks, Mounted},
    lab::{HOST, World, run_tool},
    nas::skipped_without,
};

const FIRST: &str = "2025-01-12T02:00:00+00:00";
const SECOND: &str = "2025-01-13T02:00:00+00:00";
const THIRD: &str = "2025-01-14T02:00:00+00:00";
/// The disks beside `local`, in the order of a run.
const DISKS: [&str; 2] = ["usb", "vault"];
/// Comes before all other files, and has an attribute, which only the source has for sure.
const TAGGED: &str = "0-tagged";
const FILES: usize = 12;
const SIZE: usize = 40_000;

/// A source behind a program, and three disks of this machine.
struct Slow {
    world: World,
    source: Mounted,
}

impl Slow {
    fn new(engine: bool, lacks: Lacks) -> Self {
        let mut world = World::new(&json!({ "useRsync": engine, "keepLast": 3 }));
        for name in DISKS {
            fs::create_dir(world.path(name)).unwrap();
            let disk = json!({
                "type": "disk",
                "mountPoint": world.path(name),
                "requireMount": false,
                "useRsync": engine,
                "minSpaceGB": 0,
            });
            world.set(&format!("destinations.{name}"), disk);
        }
        let source = Mounted::new(&world.path("below"), &world.source(), lacks);
        let this = Self { world, source };
        let at = |name: &str| this.world.source().join(name);
        for folder in ["b", "c"] {
            fs::create_dir(at(folder)).unwrap();
            for number in 0..FILES {
                fs::write(at(folder).join(number.to_string()), text(folder, number)).unwrap();
            }
        }
        fs::hard_link(at("b/1"), at("c/another name")).unwrap();
        fs::write(at("c/empty"), "").unwrap();
        let holes = fs::File::create(at("c/holes")).unwrap();
        holes.set_len(1 << 20).unwrap();
        fs::write(at(TAGGED), "tagged").unwrap();
        let tag = ["-n", "user.tag", "-v", "red", at(TAGGED).to_str().unwrap()].map(str::to_owned);
        run_tool("setfattr", tag.iter().map(String::as_str));
        this
    }

    /// Each disk has what the source has, and finds it to be so.
    #[track_caller]
    fn is_everywhere(&self) {
        let expected = test_support::contents_below(&self.world.source());
        for disk in ["local"].iter().chain(&DISKS) {
            let stored = self.stored(disk);
            assert_eq!(test_support::contents_below(&stored), expected, "{disk}");
            let names = [stored.join("b/1"), stored.join("c/another name")];
            let [one, other] = names.map(|path| fs::metadata(path).unwrap().ino());
            assert_eq!(one, other, "{disk}");
            let tag = getfattr(&stored.join(TAGGED));
            assert!(tag.contains("red"), "{disk}: {tag}");
        }
    }

    #[track_caller]
    fn is_whole(&self, disk: &str) {
        let words = ["verify", "--full", "--destination", disk];
        self.world.run(&words).expect(0);
    }

    /// Where the source stands in the newest snapshot of a disk.
    fn stored(&self, disk: &str) -> PathBuf {
        let disk = if disk == "local" { "dst" } else { disk };
        let source = self.world.source();
        let latest = self.world.path(disk).join(HOST).join("latest");
        latest.join(source.strip_prefix("/").unwrap())
    }
}

fn text(folder: &str, number: usize) -> String {
    format!("{folder} {number} ").repeat(SIZE / 8)
}

fn getfattr(path: &Path) -> String {
    let path = path.to_str().unwrap();
    let mut command = std::process::Command::new("getfattr");
    let output = command
        .args(["--only-values", "-n", "user.tag", path])
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// Bytes of all files, each counted once, and with their holes, which nobody can tell through this mount.
fn bytes_of(source: &Path) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let all = walkdir::WalkDir::new(source).into_iter();
    let all = all.map(|entry| entry.unwrap().metadata().unwrap());
    let files = all.filter(|file| file.is_file() && seen.insert(file.ino()));
    files.map(|file| file.len()).sum()
}

/// What a step of a report says.
#[track_caller]
fn message<'a>(report: &'a Value, step: &str) -> &'a str {
    let steps = report["steps"].as_array().unwrap().iter();
    let mut found = steps.filter(|one| one["step"] == step);
    found.next().unwrap()["outcome"]["message"]
        .as_str()
        .unwrap()
}

#[test]
fn what_is_read_for_one_disk_is_not_read_again_for_the_next() {
    let name = "what_is_read_for_one_disk_is_not_read_again_for_the_next";
    if skipped_without(name, &["setfattr", "getfattr"]) {
        return;
    }
    for engine in [false, true] {
        let slow = Slow::new(engine, Lacks::default());
        let reads = &slow.source.faults().reads;
        let all = bytes_of(&slow.world.source());
        let plan = slow.world.run(&["plan", "--json", "--now", FIRST]);
        let from = |step: &str| -> Vec<String> {
            let plan = plan.json();
            let steps = plan["steps"].as_array().unwrap().iter();
            let mut steps = steps.filter(|one| one["id"] == step);
            let from = steps.next().unwrap()["action"]["content_from"].clone();
            let from = from.as_array().cloned().unwrap_or_default();
            from.iter()
                .map(|one| one["of"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(from("snapshot"), [""; 0]);
        assert_eq!(from("snapshot:usb"), ["local"]);
        assert_eq!(from("snapshot:vault"), ["local", "usb"]);

        reads.take_bytes();
        let report = slow.world.backup(FIRST);
        let read = reads.take_bytes();
        let most = all + all / 10;
        assert!(read >= all && read <= most, "{read} of {all}");
        for disk in DISKS {
            let said = message(&report, &format!("snapshot:{disk}"));
            assert!(said.contains("came from local"), "{said}");
        }
        slow.is_everywhere();

        // So young that each could have been changed while it was read: all is read once more, once.
        reads.take_bytes();
        slow.world.backup(SECOND);
        let read = reads.take_bytes();
        assert!(read >= all && read <= most, "{read} of {all}");

        fs::write(slow.world.source().join("b/3"), text("new", 3)).unwrap();
        fs::write(slow.world.source().join("c/more"), text("more", 1)).unwrap();
        reads.take_bytes();
        slow.world.backup(THIRD);
        let read = reads.take_bytes();
        assert!(read <= most + 2 * SIZE as u64, "{read} of {all}");
        slow.is_everywhere();
        for disk in ["local"].iter().chain(&DISKS) {
            slow.is_whole(disk);
        }
    }
}

#[test]
fn what_the_first_disk_has_lost_meanwhile_comes_from_the_source() {
    let name = "what_the_first_disk_has_lost_meanwhile_comes_from_the_source";
    if skipped_without(name, &["setfattr", "getfattr"]) {
        return;
    }
    let slow = Slow::new(false, Lacks::default());
    let stored = slow.stored("local");
    // Opened for its attribute, when the first disk has its snapshot.
    slow.source.faults().reads.at_opening(TAGGED, 2, move || {
        let damaged = stored.join("b/5");
        let time = fs::metadata(&damaged).unwrap().modified().unwrap();
        test_support::flip_byte(&damaged);
        let file = fs::File::options().write(true).open(&damaged).unwrap();
        file.set_modified(time).unwrap();
        fs::remove_file(stored.join("b/6")).unwrap();
    });
    let mut command = slow.world.command(&["apply", "--json", "--now", FIRST]);
    command.env("BACKUP_THREADS", "1");
    let done = test_support::run_command(command, &["apply"]).expect(0);
    let report = done.json();
    for disk in DISKS {
        let said = message(&report, &format!("snapshot:{disk}"));
        assert!(
            said.contains("local did not have what it was given of 2 files"),
            "{said}"
        );
        assert!(said.contains("src/b/5"), "{said}");
        slow.is_whole(disk);
        let stored = slow.stored(disk);
        for number in [5, 6] {
            let found = fs::read_to_string(stored.join(format!("b/{number}"))).unwrap();
            assert_eq!(found, text("b", number), "{disk}");
        }
    }
    slow.world.run(&["verify", "--full"]).expect(3);
}

#[test]
fn a_run_that_was_killed_between_two_disks_reads_nothing_twice() {
    let name = "a_run_that_was_killed_between_two_disks_reads_nothing_twice";
    if skipped_without(name, &["setfattr", "getfattr"]) {
        return;
    }
    // As sshfs: the time of the last change of content stands for that of any change.
    let lacks = Lacks {
        change_times: true,
        ..Lacks::default()
    };
    let slow = Slow::new(false, lacks);
    let source = slow.world.source();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for entry in walkdir::WalkDir::new(&source).contents_first(true) {
        let file = fs::File::open(entry.unwrap().path()).unwrap();
        file.set_modified(old).unwrap();
    }
    let reads = &slow.source.faults().reads;
    reads.take_bytes();
    let running: Arc<Mutex<Option<u32>>> = Arc::default();
    let killed = Arc::clone(&running);
    reads.at_opening(TAGGED, 2, move || {
        let id = killed.lock().unwrap().unwrap().to_string();
        run_tool("kill", ["-9", &id]);
    });
    let mut child = {
        let mut running = running.lock().unwrap();
        let child = slow.world.start(FIRST);
        *running = Some(child.id());
        child
    };
    assert!(!child.wait().unwrap().success());
    assert!(!slow.stored("usb").exists());
    let since = Instant::now();
    loop {
        let done = slow.world.apply(FIRST).expect_one_of(&[0, 75]);
        if done.code == 0 {
            break;
        }
        // What the killed one left goes with it in a moment.
        assert!(since.elapsed() < Duration::from_secs(60), "{}", done.all());
        std::thread::sleep(Duration::from_millis(100));
    }
    let all = bytes_of(&source);
    let read = reads.take_bytes();
    assert!(read <= all + all / 10, "{read} of {all}");
    slow.is_everywhere();
    for disk in ["local"].iter().chain(&DISKS) {
        slow.is_whole(disk);
    }
    reads.take_bytes();
    slow.world.backup(SECOND);
    assert_eq!(reads.take_bytes(), 0);
}

#[test]
fn what_changes_between_two_disks_comes_from_the_source() {
    let name = "what_changes_between_two_disks_comes_from_the_source";
    if skipped_without(name, &["setfattr", "getfattr"]) {
        return;
    }
    let slow = Slow::new(false, Lacks::default());
    let below = slow.world.path("below");
    // Before the first disk comes to it, after the sources were looked at: it has another state than was found.
    slow.source.faults().reads.at_opening(TAGGED, 1, move || {
        fs::write(below.join("c/7"), text("changed", 7)).unwrap();
    });
    let mut command = slow.world.command(&["apply", "--now", FIRST]);
    command.env("BACKUP_THREADS", "1");
    test_support::run_command(command, &["apply"]).expect(0);
    assert!(slow.source.faults().reads.opened("7") > 3);
    slow.is_everywhere();
    for disk in ["local"].iter().chain(&DISKS) {
        slow.is_whole(disk);
    }
}
