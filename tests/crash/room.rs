//! A disk that is full, of bytes or of inodes: killed, or failing, at each call that moves, links or
//! removes, while room is made, snapshots are promoted, pruned or deleted. What stays is whole and
//! can be reached at every instant, and the same command once more ends it.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _};

use serde_json::json;

use crate::{
    check::{all_whole, equal, fingerprint, layout},
    lab::{
        BEFORE, Mounted, NOW, Ran, Random, World, copy, every_point, is_missing, make_ext4,
        run_tool,
    },
};

const TOOLS: [&str; 6] = [
    "rsync",
    "mkfs.ext4",
    "blkid",
    "losetup",
    "setfattr",
    "strace",
];
/// What moves, links and removes.
const CALLS: [&str; 6] = [
    "renameat",
    "renameat2",
    "linkat",
    "symlinkat",
    "mkdirat",
    "unlinkat",
];
const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EDQUOT", "EROFS"];
/// The snapshots that nothing here deletes: the monthly one and the last two.
const STAY: [&str; 2] = ["2025-02-01_02-00-00", "2025-02-08_02-00-00"];
/// Files that each night has for itself; with the others too few to be suspect.
const OWN: usize = 12;

/// What the disk has too little of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lacking {
    Bytes,
    Inodes,
    Nothing,
}

/// A small disk with four snapshots, of which the next run lets two go.
struct Disk {
    world: World,
    mounted: Option<Mounted>,
}

impl Disk {
    fn new(lacking: Lacking) -> Self {
        let world = World::new(&json!({ "requireMount": true, "minSpaceGB": 0 }));
        let options: &[&str] = &["-N", "512", "-O", "^has_journal"];
        make_ext4(&world.path("image"), 32, options);
        let mut disk = Self {
            world,
            mounted: None,
        };
        disk.mount();
        for (number, now) in BEFORE.iter().enumerate() {
            disk.tonight(number);
            disk.world.apply(now).expect(0);
        }
        disk.tonight(BEFORE.len());
        disk.fill(lacking);
        disk.mounted = None;
        copy(&disk.world.path("image"), &disk.world.path("kept.image"));
        copy(&disk.world.path("state"), &disk.world.path("kept.state"));
        disk.mount();
        disk
    }

    fn mount(&mut self) {
        let (image, at) = (self.world.path("image"), self.world.path("dst"));
        self.mounted = Some(Mounted::image(&image, "noatime", &at));
    }

    /// What each night has for itself: many small files, and a large one.
    fn tonight(&self, number: usize) {
        let folder = self.world.source().join("own");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let mut random = Random::from_environment(number as u64 + 20);
        for file in 0..OWN {
            fs::write(folder.join(file.to_string()), random.bytes(300)).unwrap();
        }
        fs::write(folder.join("large"), random.bytes(3 << 20)).unwrap();
        fs::write(self.world.source().join("same"), "the same").unwrap();
    }

    /// Somebody else's files, until there is too little for the next snapshot.
    fn fill(&self, lacking: Lacking) {
        let others = self.world.path("dst/others");
        fs::create_dir(&others).unwrap();
        let size = || rustix::fs::statvfs(self.world.path("dst")).unwrap();
        match lacking {
            Lacking::Nothing => {}
            Lacking::Bytes => {
                let free = usize::try_from(size().f_bavail * size().f_frsize).unwrap();
                let bytes = Random::from_environment(3).bytes(free - (2 << 20));
                fs::write(others.join("film"), bytes).unwrap();
            }
            Lacking::Inodes => {
                for number in 0..size().f_favail - OWN as u64 / 2 {
                    fs::write(others.join(number.to_string()), "").unwrap();
                }
            }
        }
    }

    /// All as it was before the command.
    fn bring_back(&mut self, words: &[&str]) {
        self.mounted = None;
        copy(&self.world.path("kept.image"), &self.world.path("image"));
        run_tool("rm", ["-rf".as_ref(), self.world.path("state").as_os_str()]);
        copy(&self.world.path("kept.state"), &self.world.path("state"));
        self.mount();
        self.ready(words);
    }

    /// What a prune has to do comes of lower numbers.
    fn ready(&mut self, words: &[&str]) {
        if words[0] == "prune" {
            let fewer = json!({ "keepDaily": 1, "keepWeekly": 0 });
            self.world.configure(&fewer);
        }
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.world.run(words)
    }

    /// Below strace, with this done to a call.
    fn traced(&self, words: &[&str], call: &str, inject: Option<&str>) -> Ran {
        let calls = format!("trace={call}");
        let inject = inject.map(|inject| format!("inject={call}:{inject}"));
        let mut options = vec!["-e", &calls];
        if let Some(inject) = &inject {
            options.extend(["-e", inject]);
        }
        self.world.trace_words(words, &options)
    }

    /// Ends the test unless what nothing deletes is there under one of its names, whole, and every
    /// link leads somewhere.
    #[track_caller]
    fn stands(&self, what: &str) {
        let host = self.world.host();
        all_whole(&host);
        let latest = fs::metadata(host.join("latest"));
        assert!(latest.is_ok_and(|at| at.is_dir()), "{what}: latest");
        for (id, number) in STAY.iter().zip([0, 3]) {
            let tiers = ["daily", "weekly", "monthly"].map(|tier| format!("{tier}/{id}"));
            let mut at = tiers.iter().filter(|at| host.join(at).is_dir());
            let at = at.next().unwrap_or_else(|| panic!("{what}: {id} is gone"));
            let own = self.world.in_snapshot(at).join("own");
            let mut random = Random::from_environment(number + 20);
            for file in 0..OWN {
                let found = fs::read(own.join(file.to_string())).unwrap();
                assert!(found == random.bytes(300), "{what}: {at} {file}");
            }
            assert_eq!(fs::metadata(own.join("large")).unwrap().size(), 3 << 20);
        }
    }

    /// What stands in the host's folder; not what is left of snapshots that are being removed, which
    /// the next backup clears away.
    fn looks(&self) -> BTreeMap<String, String> {
        let mut found = layout(&self.world.host());
        let going = |path: &String| {
            let below = path.strip_prefix(".backup/trash/");
            let below = below.or_else(|| path.strip_prefix(".backup/snapshots/"));
            let id = below.and_then(|below| below.split('/').next());
            id.is_some_and(|id| !found_in_tiers(&self.world, id))
        };
        found.retain(|path, _| !going(path));
        found
    }

    /// The command once more ends it, and then has nothing to do.
    #[track_caller]
    fn ends_right(&self, words: &[&str], wanted: &BTreeMap<String, String>, what: &str) {
        let again = self.run(words);
        // What was to be deleted may be gone by then.
        let is_gone = words[0] == "delete" && again.code == 4;
        assert!(again.code == 0 || is_gone, "{what}: {}", again.all());
        self.stands(what);
        let found = self.looks();
        let differs: Vec<_> = found
            .iter()
            .filter(|one| wanted.get(one.0) != Some(one.1))
            .collect();
        assert!(found == *wanted, "{what}: {differs:?} {}", again.all());
        if words[0] == "apply" {
            equal(&self.world, "latest");
            return;
        }
        // Each writes its number into the lock, and when it was into the record of the rotation.
        let without = [".backup/rotation.json", ".backup/lock", ".backup\t"];
        let before = fingerprint(&self.world.host(), &without);
        let once_more = self.run(words);
        assert!([0, 4].contains(&once_more.code), "{what}");
        let after = fingerprint(&self.world.host(), &without);
        assert!(before == after, "{what}: twice is not once");
    }

    /// Nothing is left of what was interrupted or went wrong once a backup succeeds.
    #[track_caller]
    fn ends_clean(&mut self, what: &str) {
        self.world
            .configure(&json!({ "keepDaily": 2, "keepWeekly": 1 }));
        // What went wrong may have left a snapshot more than there is room for.
        let _ = fs::remove_dir_all(self.world.path("dst/others"));
        for (hour, last) in [("03", false), ("04", true)] {
            // A run that had failed is begun anew at most once.
            let now = format!("2025-02-09T{hour}:00:00+00:00");
            let done = self.world.apply(&now);
            if done.code == 0 {
                break;
            }
            assert!(!last, "{what}: {}", done.all());
        }
        self.stands(what);
        equal(&self.world, "latest");
        for area in ["partial", "trash", "moving"] {
            let area = self.world.host().join(".backup").join(area);
            let left: Vec<_> = fs::read_dir(area).into_iter().flatten().collect();
            assert!(left.is_empty(), "{what}: {left:?}");
        }
        let records = fs::read_dir(self.world.host().join(".backup/snapshots")).unwrap();
        for record in records {
            let id = record.unwrap().file_name().into_string().unwrap();
            assert!(found_in_tiers(&self.world, &id), "{what}: {id}");
        }
    }
}

/// Whether a snapshot stands in a tier.
fn found_in_tiers(world: &World, id: &str) -> bool {
    let tiers = ["daily", "weekly", "monthly"];
    tiers.iter().any(|tier| {
        let at = world.host().join(tier).join(id);
        at.symlink_metadata().is_ok_and(|of| of.is_dir())
    })
}

/// Which calls of a trace are tried: all of them, or so many.
fn points(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let step = if every_point() {
        1
    } else {
        count.div_ceil(most)
    };
    (1..=count).step_by(step.max(1))
}

/// Tries a command with kills and failures at each call.
fn tried(lacking: Lacking, words: &[&str], calls: &[&str], most: usize) {
    let mut disk = Disk::new(lacking);
    disk.ready(words);
    let all = calls.join(",");
    disk.traced(words, &all, None).expect(0);
    let trace = fs::read_to_string(disk.world.path("trace")).unwrap();
    disk.stands("undisturbed");
    let wanted = disk.looks();
    let (mut killed, mut failed, mut number) = (0, 0, 0_usize);
    for call in calls {
        let count = trace.matches(&format!(" {call}(")).count();
        for nth in points(count, most) {
            let what = format!("{words:?} {lacking:?}, killed at {call} {nth} of {count}");
            disk.bring_back(words);
            let kill = format!("signal=SIGKILL:when={nth}");
            let done = disk.traced(words, call, Some(&kill));
            killed += usize::from(done.signal == Some(9));
            disk.stands(&what);
            let runs = disk.world.planned_runs().len();
            if words[0] == "apply" && runs > BEFORE.len() && disk.world.unfinished().is_none() {
                // It had ended.
                assert_eq!(disk.looks(), wanted, "{what}: {}", done.all());
                continue;
            }
            disk.ends_right(words, &wanted, &what);
            if words[0] != "apply" && nth % 2 == 1 {
                disk.ends_clean(&what);
            }
        }
        for nth in points(count, most.div_ceil(2)) {
            number += 1;
            let error = ERRORS[number % ERRORS.len()];
            let what = format!("{words:?} {lacking:?}, {error} at {call} {nth} of {count}");
            disk.bring_back(words);
            let done = disk.traced(words, call, Some(&format!("error={error}:when={nth}")));
            let code = done.code;
            assert!([0, 1, 3, 4].contains(&code), "{what}: {}", done.all());
            assert!(!done.all().contains("panicked"), "{what}: {}", done.all());
            let hinted = code == 0 || done.all().contains("hint");
            assert!(hinted, "{what}: {}", done.all());
            failed += usize::from(code != 0);
            disk.stands(&what);
            disk.ends_clean(&what);
        }
    }
    eprintln!("{words:?} {lacking:?}: {killed} killed, {failed} failed");
    assert!(killed >= 4, "{killed}");
}

fn apply() -> [&'static str; 3] {
    ["apply", "--now", NOW]
}

#[test]
fn room_is_made_for_bytes() {
    if is_missing("room_is_made_for_bytes", &TOOLS, true) {
        return;
    }
    tried(Lacking::Bytes, &apply(), &CALLS, 3);
}

#[test]
fn room_is_made_for_inodes() {
    if is_missing("room_is_made_for_inodes", &TOOLS, true) {
        return;
    }
    tried(Lacking::Inodes, &apply(), &["renameat2", "unlinkat"], 4);
}

#[test]
fn snapshots_are_pruned() {
    if is_missing("snapshots_are_pruned", &TOOLS, true) {
        return;
    }
    let prune = ["prune", "--yes", "--now", NOW];
    tried(Lacking::Nothing, &prune, &CALLS, 3);
}

#[test]
fn a_snapshot_is_deleted_on_a_full_disk() {
    if is_missing("a_snapshot_is_deleted_on_a_full_disk", &TOOLS, true) {
        return;
    }
    let delete = ["delete", "2025-02-07_02-00-00", "--yes"];
    tried(Lacking::Bytes, &delete, &CALLS, 3);
}
