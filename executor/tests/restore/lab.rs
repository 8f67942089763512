//! A destination with one snapshot, and a place to restore to.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use executor::{
    Error, ErrorKind,
    event::{Context, Silent, Stop},
    manifest::{self, Entry, Writer, xattrs_digest},
    restore::{Choice, RecordedSnapshot, Request, plan_restore, run_restore_step},
    store::Store,
    survey::Bounds,
    sys::{Dir, Kind, attributes},
    walk::{Visit, Walk},
};
use schema::{
    Digest, SnapshotId,
    journal::{Outcome, Status},
    pattern::Excludes,
    plan::RestoreStep,
};
use test_support::skip;

pub(crate) const SUFFIX: &str = ".before-2025-01-17_03-00-00";

/// A destination with one snapshot, and a place to restore to.
pub(crate) struct Lab {
    pub(crate) root: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) id: SnapshotId,
}

pub(crate) fn dir(path: &Path) -> Dir {
    let file = File::open(path).unwrap();
    Dir::from_fd(file.into())
}

/// The manifest's entries of a tree.
pub(crate) fn entries(tree: &Path) -> Vec<Entry> {
    let (excludes, root) = (Excludes::default(), dir(tree));
    let bounds = Bounds {
        excludes: &excludes,
        one_file_system: false,
        never: &[],
    };
    let stat = root.stat(OsStr::new(".")).unwrap();
    let mut walk = Walk::new(root, ".".into(), &stat, bounds);
    let mut groups: HashMap<u64, u64> = HashMap::new();
    let mut entries = Vec::new();
    while let Some(visit) = walk.next() {
        let (Visit::Enter(stat) | Visit::Leaf(stat)) = visit else {
            continue;
        };
        let mut entry = Entry::of(walk.path(), &stat);
        let path = tree.join(OsStr::from_bytes(walk.path()));
        match stat.kind {
            Kind::File => {
                if stat.size < 1 << 30 {
                    entry.digest = Some(Digest::of(&fs::read(&path).unwrap()));
                }
                if stat.nlink > 1 {
                    let next = groups.len() as u64;
                    entry.group = Some(*groups.entry(stat.ino).or_insert(next));
                }
            }
            Kind::Symlink => {
                let target = fs::read_link(&path).unwrap();
                entry.target = Some(target.as_os_str().as_bytes().to_vec());
            }
            _ => {}
        }
        if matches!(stat.kind, Kind::File | Kind::Folder) {
            let file = File::open(&path).unwrap();
            entry.xattrs_digest = xattrs_digest(&attributes::of_fd(&file).unwrap());
        }
        entries.push(entry);
    }
    entries
}

/// The record of a snapshot whose manifest has this digest.
pub(crate) fn record(id: SnapshotId, digest: Digest) -> String {
    let at = "2025-01-16T02:00:00+00:00";
    serde_json::json!({
        "format_version": 1, "id": id, "host": "host", "run_id": "run", "started_at": at,
        "sealed_at": at, "day": "2025-01-16", "complete": true, "suspect": [], "basis": null,
        "engine": "built-in", "made_by": "a test", "sources": [], "exclude_patterns": [],
        "totals": {
            "entries": 0, "files": 0, "folders": 0, "bytes": 0, "files_copied": 0,
            "bytes_copied": 0, "files_linked": 0, "bytes_linked": 0, "errors": 0, "vanished": 0,
            "torn": 0, "renamed": 1
        },
        "stored_by": {}, "manifest": manifest::FILE_NAME, "manifest_digest": digest,
        "problems": []
    })
    .to_string()
}

impl Lab {
    /// A snapshot whose tree is built by the first and whose manifest is changed by the second.
    pub(crate) fn with(build: impl FnOnce(&Path), change: impl FnOnce(&mut Vec<Entry>)) -> Self {
        let lab = Self::unmanaged(build);
        let records = lab.host().join(format!(".backup/snapshots/{}", lab.id));
        fs::create_dir_all(&records).unwrap();
        let mut list = entries(&lab.tree());
        change(&mut list);
        let mut writer =
            Writer::new(File::create(records.join(manifest::FILE_NAME)).unwrap()).unwrap();
        for entry in &list {
            writer.write(entry).unwrap();
        }
        let digest = writer.finish().unwrap();
        fs::write(records.join("snapshot.json"), record(lab.id, digest)).unwrap();
        lab
    }

    pub(crate) fn new(build: impl FnOnce(&Path)) -> Self {
        Self::with(build, |_| {})
    }

    pub(crate) fn unmanaged(build: impl FnOnce(&Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let id: SnapshotId = "2025-01-16_02-00-00".parse().unwrap();
        let host = root.path().join("mnt/host");
        let tree = host.join(format!("daily/{id}"));
        fs::create_dir_all(&tree).unwrap();
        fs::create_dir_all(host.join(".backup")).unwrap();
        fs::create_dir_all(root.path().join("out")).unwrap();
        build(&tree);
        let mount = dir(&root.path().join("mnt"));
        let path = root.path().join("mnt");
        let store = Store::open(&mount, path.to_str().unwrap(), "host");
        Self {
            store: store.unwrap().unwrap(),
            id,
            root,
        }
    }

    pub(crate) fn host(&self) -> PathBuf {
        self.root.path().join("mnt/host")
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.host().join(format!("daily/{}", self.id))
    }

    /// A path to restore to.
    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.root.path().join("out").join(name)
    }

    pub(crate) fn plan(
        &self,
        path: &str,
        target: &Path,
        overwrite: bool,
    ) -> Result<RestoreStep, Error> {
        let home_folder = format!("daily/{}", self.id);
        let request = Request {
            from: &RecordedSnapshot::new(&self.store, Some(self.id)),
            home_folder: &home_folder,
            tree: dir(&self.tree()),
            path: Path::new(path),
            target,
            overwrite,
            aside_suffix: SUFFIX.into(),
            choice: Choice::default(),
            through: Vec::new(),
        };
        let stop = Stop::default();
        plan_restore(&request, &context(&stop))
    }

    pub(crate) fn run(&self, step: &RestoreStep) -> Result<Outcome, Error> {
        let stop = Stop::default();
        run_restore_step(&self.store, step, &context(&stop))
    }

    pub(crate) fn restore(
        &self,
        path: &str,
        target: &Path,
        overwrite: bool,
    ) -> Result<Outcome, Error> {
        self.run(&self.plan(path, target, overwrite)?)
    }

    /// Restores, and everything must have gone well.
    pub(crate) fn good(&self, path: &str, target: &Path) -> Outcome {
        let outcome = self.restore(path, target, false).unwrap();
        assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
        outcome
    }
}

pub(crate) fn context(stop: &Stop) -> Context<'_> {
    Context {
        observer: &Silent,
        stop,
        clock: executor::clock::Clock::default(),
        threads: 2,
        widens: false,
    }
}

pub(crate) fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    File::open(path).unwrap().set_modified(time).unwrap();
}

/// Everything below a folder: path, mode, owner, time, and content or symlink target.
pub(crate) fn picture(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let entry = entry.unwrap();
        let stat = entry.path().symlink_metadata().unwrap();
        let what = if stat.is_file() && stat.len() < 1 << 20 {
            format!("{:?}", Digest::of(&fs::read(entry.path()).unwrap()))
        } else if stat.is_symlink() {
            format!("{:?}", fs::read_link(entry.path()).unwrap())
        } else {
            String::new()
        };
        lines.push(format!(
            "{:?} {:o} {}:{} {}.{:09} {} {what}",
            entry.path().strip_prefix(root).unwrap(),
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.mtime(),
            stat.mtime_nsec(),
            if stat.is_file() { stat.len() } else { 0 },
        ));
    }
    lines
}

/// Names of a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub(crate) fn refused(result: Result<impl std::fmt::Debug, Error>) -> (String, String) {
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error:?}");
    (error.message.clone(), error.hint.unwrap())
}

/// Whether this runs as root; says so loudly if not.
pub(crate) fn as_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(&format!("{test} because this is not root"));
    }
    root
}

pub(crate) fn documents(tree: &Path) {
    write(&tree.join("home/ann/docs/letter"), "dear bob");
    write(&tree.join("home/ann/docs/deep/er/note"), "a note");
    write(&tree.join("home/ann/docs/empty"), "");
    symlink("../letter", tree.join("home/ann/docs/deep/link")).unwrap();
    set_mode(&tree.join("home/ann/docs/letter"), 0o640);
    set_mode(&tree.join("home/ann/docs/deep"), 0o750);
    for path in ["letter", "deep/er/note", "deep/er", "deep", ""] {
        set_time(&tree.join("home/ann/docs").join(path), 1_600_000_000);
    }
}

pub(crate) fn absent(path: &str, kind: Kind) -> Entry {
    let line = format!("./{path} type=dir mode=0640 uid=0 gid=0 time=1300000000.000000000 absent");
    Entry {
        kind,
        ..Entry::from_line(&line).unwrap()
    }
}
