//! A source of all kinds, and a destination that lacks something.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown},
    path::{Path, PathBuf},
};

use executor::{manifest, manifest::Entry, sys::Dir};
use schema::record::{DestinationRecord, SnapshotRecord};
use serde_json::{Value, json};
use test_support::{entry_names, id_of, restore_with_example, skip};

use crate::{
    fuse::{Faults, Lacks, Mounted, cannot_mount},
    lab::{Ran, World, is_missing as lacks_tools, run_tool},
    tree,
};

/// The times of the runs of a test.
pub(crate) const FIRST: &str = "2025-02-07T02:00:00+00:00";
pub(crate) const SECOND: &str = "2025-02-08T02:00:00+00:00";
pub(crate) const THIRD: &str = "2025-02-09T02:00:00+00:00";

/// A world whose destination lacks something. The mount goes first.
pub(crate) struct Nas {
    mounted: Option<On>,
    pub(crate) world: World,
    lacks: Lacks,
}

/// What is mounted as the destination.
enum On {
    /// Our own file system.
    Ours(Mounted),
    /// A real one, which is unmounted when this is dropped.
    Real { _disk: test_support::Mounted },
}

impl Nas {
    /// With an empty source; `changes` are settings below `local`.
    pub(crate) fn empty(lacks: Lacks, changes: &Value) -> Self {
        let mut world = World::new(&json!({ "requireMount": true }));
        world.configure(changes);
        let mut nas = Self {
            mounted: None,
            world,
            lacks,
        };
        nas.mount();
        nas
    }

    /// With a source of all kinds, on a real file system; `mount` mounts it at a folder.
    pub(crate) fn real(
        changes: &Value,
        mount: impl FnOnce(&World, &Path) -> test_support::Mounted,
    ) -> Self {
        let mut world = World::new(&json!({ "requireMount": true }));
        world.configure(changes);
        let disk = mount(&world, &world.path("dst"));
        fill(&world.source());
        Self {
            mounted: Some(On::Real { _disk: disk }),
            world,
            lacks: Lacks::default(),
        }
    }

    /// With a source of all kinds.
    pub(crate) fn full(lacks: Lacks, changes: &Value) -> Self {
        let nas = Self::empty(lacks, changes);
        fill(&nas.world.source());
        nas
    }

    pub(crate) fn mount(&mut self) {
        let (below, at) = (self.world.path("below"), self.world.path("dst"));
        let mounted = Mounted::new(&below, &at, self.lacks.clone());
        self.mounted = Some(On::Ours(mounted));
    }

    /// What is to fail on the destination.
    pub(crate) fn faults(&self) -> &Faults {
        match self.mounted.as_ref().unwrap() {
            On::Ours(mounted) => mounted.faults(),
            On::Real { .. } => panic!("a real disk does not fail on demand"),
        }
    }

    /// Unmounts and mounts again.
    pub(crate) fn mount_again(&mut self) {
        self.mounted = None;
        self.mount();
    }

    /// Unmounts and mounts as something that lacks other things.
    pub(crate) fn mount_with(&mut self, lacks: Lacks) {
        self.lacks = lacks;
        self.mount_again();
    }

    /// Runs `apply` at a time.
    #[track_caller]
    pub(crate) fn apply(&self, now: &str, code: i32) -> Ran {
        self.world.apply(now).expect(code)
    }

    /// A path in the source.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        self.world.source().join(name)
    }

    /// Where a path of the source is in the snapshot of a time.
    pub(crate) fn stored(&self, now: &str, name: &str) -> PathBuf {
        let id = id_of(now);
        let tiers = ["daily", "weekly", "monthly"];
        let of = |tier: &&str| {
            let home = self.world.host().join(tier).join(&id);
            fs::symlink_metadata(home).is_ok_and(|found| found.is_dir())
        };
        let home = tiers.iter().find(|tier| of(tier));
        let home = home.unwrap_or_else(|| panic!("no snapshot {id}"));
        self.world.in_snapshot(&format!("{home}/{id}")).join(name)
    }

    /// What `plan` says at a time, on one line.
    #[track_caller]
    pub(crate) fn plan(&self, now: &str) -> String {
        self.world.at(now, &["-v", "plan"]).expect(0).in_one_line()
    }

    /// What the destination was found to hold.
    pub(crate) fn destination(&self) -> DestinationRecord {
        read(&self.world.host().join(".backup/destination.json"))
    }

    /// The record of the snapshot of a time.
    pub(crate) fn record(&self, now: &str) -> SnapshotRecord {
        read(&self.records(now).join("snapshot.json"))
    }

    /// What the manifest of a time says of a path in the source.
    pub(crate) fn entry(&self, now: &str, name: &str) -> Option<Entry> {
        let records = Dir::from_fd(fs::File::open(self.records(now)).unwrap().into());
        let path = self.source(name).into_os_string().into_encoded_bytes();
        let mut all = manifest::Reader::of_records(&records)
            .unwrap()
            .map(Result::unwrap);
        all.find(|entry| entry.path.as_bytes() == &path[1..])
    }

    fn records(&self, now: &str) -> PathBuf {
        let records = self.world.host().join(".backup/snapshots");
        records.join(id_of(now))
    }

    /// Ends the test unless nothing was copied anew in the snapshot of a time.
    #[track_caller]
    pub(crate) fn all_linked(&self, now: &str) {
        let totals = self.record(now).totals;
        assert_eq!(totals.files_copied, 0, "{totals:?}");
        assert!(totals.files_linked > 40, "{totals:?}");
    }

    /// Ends the test unless a restore of the snapshot of a time gives all of the source back.
    #[track_caller]
    pub(crate) fn restores_all(&self, now: &str) {
        let target = self.restore(now, 0);
        assert_eq!(different(&self.world.source(), &target), "");
        // The same by the page on formats alone.
        let (source, target) = (self.world.source(), self.world.path("by the page"));
        let (host, paths) = (self.world.host(), [&*source, &*target]);
        if let Some(read) = restore_with_example("lesser", &host, &id_of(now), paths) {
            read.expect(0);
            assert_eq!(different(&source, &target), "");
            fs::remove_dir_all(target).unwrap();
        }
    }

    /// Restores the source from the snapshot of a time.
    #[track_caller]
    pub(crate) fn restore(&self, now: &str, code: i32) -> PathBuf {
        let target = self.world.path(format!("restored {}", id_of(now)));
        let source = self.world.source();
        self.restore_to(now, &source, &target, code);
        target
    }

    /// Restores one path of the source from the snapshot of a time.
    #[track_caller]
    pub(crate) fn restore_path(&self, now: &str, path: &str, code: i32) -> PathBuf {
        let at = tempfile::tempdir_in(self.world.path("")).unwrap();
        let target = at.keep().join("one");
        self.restore_to(now, &self.source(path), &target, code);
        target
    }

    #[track_caller]
    fn restore_to(&self, now: &str, path: &Path, target: &Path, code: i32) {
        let [path, target] = [path, target].map(|path| path.to_str().unwrap());
        self.world
            .run(&["restore", &id_of(now), path, target])
            .expect(code);
    }

    /// Verifies the snapshot of a time.
    #[track_caller]
    pub(crate) fn verify(&self, now: &str, code: i32) -> Ran {
        self.world.run(&["verify", &id_of(now)]).expect(code)
    }

    /// Ends the test unless nothing unfinished is left and the probe left nothing.
    #[track_caller]
    pub(crate) fn tidy(&self) {
        let backup = self.world.host().join(".backup");
        for area in ["partial", "trash"] {
            assert_eq!(entry_names(&backup.join(area)), Vec::<String>::new());
        }
        assert!(
            !entry_names(&backup)
                .iter()
                .any(|name| name.contains("probe"))
        );
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// In what two folders differ by all that rsync knows, to the nanosecond.
pub(crate) fn different(from: &Path, to: &Path) -> String {
    let slash = |path: &Path| format!("{}/", path.display());
    let options = [
        "-aHAXnci",
        "--delete",
        "--numeric-ids",
        "--modify-window=-1",
    ];
    let paths = [slash(from), slash(to)];
    run_tool(
        "rsync",
        options.into_iter().chain(paths.iter().map(String::as_str)),
    )
}

/// Whether two names are one inode.
pub(crate) fn same_inode(one: &Path, other: &Path) -> bool {
    let of = |path: &Path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()));
    of(one).unwrap() == of(other).unwrap()
}

/// A source of all kinds, with what only root can make.
fn fill(source: &Path) {
    tree::make(source, false);
    let at = |name: &str| source.join(name);
    let text = |name: &str| at(name).to_str().unwrap().to_owned();
    fs::write(at("special/listed"), "access is in a list").unwrap();
    run_tool(
        "setfacl",
        ["-m", "u:1234:rw,g:5678:r", &text("special/listed")],
    );
    run_tool("setfacl", ["-d", "-m", "u:1234:rwx", &text("special")]);
    fs::write(at("special/ping"), "may open raw sockets").unwrap();
    run_tool("setcap", ["cap_net_raw=ep", &text("special/ping")]);
    run_tool("mknod", [&text("special/null"), "c", "1", "3"]);
    run_tool("mknod", [&text("special/disk"), "b", "7", "200"]);
    tree::attribute(&at("special/listed"), "trusted.secret", "root's own");
    tree::attribute(&at("special/fifo"), "trusted.fifo", "too");
    // Folders in which not even their owner may look.
    fs::create_dir(at("modes/dark")).unwrap();
    fs::write(at("modes/dark/inside"), "dark").unwrap();
    lchown(at("modes/dark"), Some(1234), Some(5678)).unwrap();
    fs::set_permissions(at("modes/dark"), Permissions::from_mode(0o000)).unwrap();
    fs::File::open(at("special"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_700_000_000, 123_456_789))
        .unwrap();
}

/// Leaves out of the source the names that Windows' file systems refuse.
pub(crate) fn without_odd_names(nas: &Nas) {
    for entry in fs::read_dir(nas.source("odd names")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        // The last is what stands for bytes that are no text.
        if name.contains(['*', '\\', '\n', '\u{fffd}']) {
            fs::remove_file(&path).unwrap();
        }
    }
}

/// Says that a test cannot run here, unless what it needs is there.
#[track_caller]
pub(crate) fn skipped(test: &str) -> bool {
    skipped_without(test, &[])
}

/// The same for a test that needs more tools.
#[track_caller]
pub(crate) fn skipped_without(test: &str, more: &[&str]) -> bool {
    // mount(8) looks for its helpers there, and not on the PATH.
    let (helpers, more): (Vec<&str>, Vec<&str>) =
        more.iter().partition(|tool| tool.starts_with("mount."));
    let tools = [&["rsync", "setfacl", "setcap", "mknod"], more.as_slice()].concat();
    if lacks_tools(test, &tools, true) {
        return true;
    }
    let mut missing = helpers
        .into_iter()
        .filter(|helper| !Path::new("/sbin").join(helper).exists());
    let because = match missing.next() {
        Some(helper) => Some(format!("there is no /sbin/{helper}")),
        None => cannot_mount(),
    };
    because.is_some_and(|because| passed_over(test, &because))
}

/// Says that a test is passed over, which is a failure where nothing may be.
#[track_caller]
pub(crate) fn passed_over(test: &str, because: &str) -> bool {
    skip(&format!("{test} because {because}"));
    true
}

/// The program that serves files to sshfs, where this machine has it.
pub(crate) fn sftp_server() -> Option<PathBuf> {
    let places = [
        "/usr/lib/openssh",
        "/usr/lib/ssh",
        "/usr/libexec/openssh",
        "/run/current-system/sw/libexec",
    ];
    let mut programs = places
        .map(|place| Path::new(place).join("sftp-server"))
        .into_iter();
    programs.find(|program| program.exists())
}
