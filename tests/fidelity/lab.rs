//! Sources, a destination, a state directory, and the program that works on them with one engine.

use std::{
    ffi::OsStr,
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use schema::record::SnapshotRecord;
use serde_json::json;
use tempfile::TempDir;
pub(crate) use test_support::{Lab, Ran, id_of, is_missing, run_tool, wait_in_time};

/// The host's folder below the mount point.
const HOST: &str = "host";

/// Times of runs, a day apart.
pub(crate) const DAYS: [&str; 3] = [
    "2025-02-01T02:00:00+00:00",
    "2025-02-02T02:00:00+00:00",
    "2025-02-03T02:00:00+00:00",
];

/// What copies the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    BuiltIn,
    Rsync,
}

/// Both engines.
pub(crate) const ENGINES: [Engine; 2] = [Engine::BuiltIn, Engine::Rsync];

/// Sources, a destination, a state directory.
pub(crate) struct World(Lab);

impl World {
    /// An empty one with these sources, which are folders of it.
    pub(crate) fn new(engine: Engine, sources: &[&str]) -> Self {
        let folder = TempDir::with_prefix("fidelity.").unwrap();
        let lab = Lab::new(env!("CARGO_BIN_EXE_backup"), folder, |folder| {
            let sources: Vec<_> = sources.iter().map(|name| folder.join(name)).collect();
            json!({
                "version": 1,
                "hostname": HOST,
                "local": {
                    "enable": true,
                    "mountPoint": folder.join("dst"),
                    "requireMount": false,
                    "useRsync": engine == Engine::Rsync,
                    "minSpaceGB": 0,
                    "keepDaily": 1000,
                    "sources": sources,
                    "excludePatterns": [],
                },
                "schedule": { "onlyOnAC": false },
            })
        });
        for name in ["dst", "state"].iter().chain(sources) {
            fs::create_dir(lab.path(name)).unwrap();
        }
        Self(lab.in_time_zone("UTC"))
    }

    /// The same with a destination on a file system of its own; none where it cannot be had.
    pub(crate) fn on(file_system: &str, engine: Engine, sources: &[&str]) -> Option<Self> {
        let world = Self::new(engine, sources);
        let image = world.path("image");
        // As small as XFS can be.
        fs::File::create(&image)
            .unwrap()
            .set_len(400 << 20)
            .unwrap();
        run_tool(
            &format!("mkfs.{file_system}"),
            [OsStr::new("-q"), image.as_os_str()],
        );
        world.mount_image().then_some(world)
    }

    /// Mounts the destination; says whether it could.
    fn mount_image(&self) -> bool {
        let mounted = Command::new("mount")
            .args(["-o", "loop"])
            .args([self.path("image"), self.path("dst")])
            .output()
            .unwrap();
        mounted.status.success()
    }

    /// Has the kernel forget what it knows of the destination, which has a file system of its own.
    pub(crate) fn mount_again(&self) {
        run_tool("umount", [self.path("dst")]);
        assert!(self.mount_image());
    }

    /// Puts source and destination into two folders of the destination's file system; gives the
    /// source and the host's folder.
    pub(crate) fn side_by_side(&mut self) -> (PathBuf, PathBuf) {
        let (source, to) = (self.path("dst/home"), self.path("dst/to"));
        for folder in [&source, &to] {
            fs::create_dir(folder).unwrap();
        }
        self.0.set("local.useRsync", false);
        self.0.set("local.mountPoint", json!(to));
        self.0.set("local.sources", json!([source]));
        (source, self.host())
    }

    /// Leaves these out from now on.
    pub(crate) fn exclude(&mut self, patterns: &[&str]) {
        self.0.set("local.excludePatterns", json!(patterns));
    }

    /// The host's folder on the destination.
    pub(crate) fn host(&self) -> PathBuf {
        self.stored("")
    }

    /// Where a path of this world stands in a snapshot, such as `latest`.
    pub(crate) fn in_snapshot(&self, snapshot: &str, name: impl AsRef<Path>) -> PathBuf {
        let original = self.path(name);
        let below = original.strip_prefix("/").unwrap();
        self.snapshot(snapshot).join(below)
    }

    /// The folder of a snapshot, by its id or `latest`.
    pub(crate) fn snapshot(&self, id: &str) -> PathBuf {
        let all = ["", "monthly", "weekly", "daily"].map(|tier| self.host().join(tier).join(id));
        let found = all.into_iter().find(|path| path.exists());
        found.unwrap_or_else(|| panic!("no snapshot {id}"))
    }

    /// What the program wrote of a snapshot.
    pub(crate) fn snapshot_record(&self, id: &str) -> SnapshotRecord {
        let path = self.records(id).join("snapshot.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// The folder of a snapshot's record and manifest.
    pub(crate) fn records(&self, id: &str) -> PathBuf {
        self.host().join(".backup/snapshots").join(id)
    }

    /// The entries of a snapshot's manifest.
    pub(crate) fn manifest(&self, id: &str) -> Vec<executor::manifest::Entry> {
        let records = fs::File::open(self.records(id)).unwrap();
        let records = executor::sys::Dir::from_fd(records.into());
        let reader = executor::manifest::Reader::of_records(&records).unwrap();
        reader.map(Result::unwrap).collect()
    }

    /// Makes a snapshot at a time, which must end with this code; gives its id.
    #[track_caller]
    pub(crate) fn apply(&self, now: &str, code: i32) -> String {
        self.at(now, &["apply"]).expect(code);
        id_of(now)
    }

    /// Restores a path of this world from the newest snapshot.
    #[track_caller]
    pub(crate) fn restore(&self, name: &str, to: &Path) {
        let (from, to) = (self.text(name), to.to_str().unwrap());
        self.run(&["restore", "latest", &from, to]).expect(0);
    }
}

impl Deref for World {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["-q", "-l"])
            .arg(self.path("dst"))
            .stderr(Stdio::null())
            .status();
        // Neither can be removed by the standard library: what is immutable, and what is deep.
        let attributes = ["-R", "-f", "-i", "-a"].map(OsStr::new);
        for (tool, arguments) in [("chattr", &attributes[..]), ("rm", &["-rf".as_ref()])] {
            let _ = Command::new(tool)
                .args(arguments)
                .arg(self.path(""))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}
