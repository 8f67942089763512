//! A disk with snapshots, a remote, and a machine that remembers it.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use executor::{
    Result,
    cloud::{
        fetch::{Brought, WantedFiles},
        memory::RemoteCache,
        rclone::{Credentials, Rclone},
        remote_history::{
            Compared, HistoryOptions, HistoryRemote, HistorySource, KnownHistory, UploadedHistory,
            object_file,
        },
        verify::{Share, VerifyDepth},
    },
    event::{Context, Stop},
    manifest::{self, Entry, Reader, Writer},
    survey::Bounds,
    sys::{Dir, Kind},
    walk::{Visit, Walk},
};
use schema::{
    Digest, ExpireReason, SnapshotId, Span, StoredPathBuf,
    journal::Outcome,
    output::cloud::CloudVerification,
    pattern::Excludes,
    plan::{ExpireStep, RemoteCall, RemoteExpiry, RemoteSweep},
    record::{SnapshotMarks, SnapshotRecord},
};
use test_support::{is_installed, skip};

pub(crate) const HOST: &str = "atlas";

/// A disk, a remote, and what is remembered of it.
pub(crate) struct Lab {
    pub(crate) root: tempfile::TempDir,
    /// The host's folder on the remote, as rclone names it.
    pub(crate) remote: String,
    pub(crate) stop: Stop,
    /// The folder of what is remembered: another one is another machine's, or one that was lost.
    pub(crate) cache: String,
    pub(crate) may_delete: bool,
}

/// rclone, but each call is noted; after as many files as `budget` has, it is killed, and nothing works any
/// more. `hook` is run once before the nth call.
const WRAPPER: &str = r#"#!/bin/sh
printf '%s\n' "$*" >> DIR/calls
if [ -x DIR/hook ] && [ "$(grep -c . DIR/calls)" = "$(cat DIR/hook.at)" ]; then DIR/hook; fi
[ -e DIR/budget ] || exec RCLONE "$@"
[ "$(cat DIR/budget)" -gt 0 ] || { : > DIR/exhausted; exit 137; }
log=DIR/log.$$
mkfifo "$log"
RCLONE "$@" --transfers 1 2> "$log" &
pid=$!
while IFS= read -r line; do
  printf '%s\n' "$line" >&2
  case $line in *'Copied ('* | *Deleted*)
    left=$(($(cat DIR/budget) - 1))
    echo "$left" > DIR/budget
    [ "$left" -gt 0 ] || { kill -9 "$pid"; : > DIR/exhausted; exit 137; } ;;
  esac
done < "$log"
wait "$pid"
"#;

pub(crate) fn id(day: u32) -> SnapshotId {
    format!("2025-03-{day:02}_02-00-00").parse().unwrap()
}

pub(crate) fn dir(path: &Path) -> Dir {
    Dir::from_fd(File::open(path).unwrap().into())
}

impl Lab {
    /// A lab whose remote is a folder; none, said loudly, without rclone.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !is_installed("rclone") {
            skip(&format!("{test} because rclone is not installed"));
            return None;
        }
        let root = tempfile::TempDir::with_prefix("backup-history.").unwrap();
        let this = Self {
            remote: format!("{}/far/{HOST}", root.path().display()),
            root,
            stop: Stop::default(),
            cache: "cache".to_owned(),
            may_delete: true,
        };
        for folder in [
            "disk/atlas/daily",
            "disk/atlas/.backup",
            "far",
            "bin",
            "cache",
        ] {
            fs::create_dir_all(this.path(folder)).unwrap();
        }
        let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join("rclone"))
            .find(|path| path.exists())
            .unwrap();
        let bin = this.path("bin");
        let script = WRAPPER
            .replace("DIR", bin.to_str().unwrap())
            .replace("RCLONE", real.to_str().unwrap());
        let program = bin.join("rclone");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Some(this)
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    /// Writes a file of a snapshot's tree.
    pub(crate) fn write(&self, day: u32, path: impl AsRef<OsStr>, content: impl AsRef<[u8]>) {
        let path = self.tree(day).join(path.as_ref());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn tree(&self, day: u32) -> PathBuf {
        self.path(&format!("disk/{HOST}/daily/{}", id(day)))
    }

    /// Seals the tree of a day: its manifest and record.
    pub(crate) fn seal(&self, day: u32) -> Sealed {
        self.seal_list(day, &entries(&self.tree(day), id(day)))
    }

    /// Seals a tree whose manifest has these entries.
    pub(crate) fn seal_list(&self, day: u32, list: &[Entry]) -> Sealed {
        let records = self.path(&format!("disk/{HOST}/.backup/snapshots/{}", id(day)));
        fs::create_dir_all(&records).unwrap();
        let file = records.join(manifest::FILE_NAME);
        let mut writer = Writer::new(File::create(&file).unwrap()).unwrap();
        for entry in list {
            writer.write(entry).unwrap();
        }
        let digest = writer.finish().unwrap();
        let record = record(id(day), list, digest);
        fs::write(
            records.join("snapshot.json"),
            serde_json::to_vec(&record).unwrap(),
        )
        .unwrap();
        Sealed {
            record,
            manifest: file,
        }
    }

    /// Works with the remote.
    pub(crate) fn with<T>(&self, work: impl FnOnce(HistoryRemote<'_>) -> T) -> T {
        let path = self.path(&self.cache);
        fs::create_dir_all(&path).unwrap();
        let cache = RemoteCache::of(dir(&path), path.to_str().unwrap().to_owned());
        let credentials = Credentials::none();
        let program = self.path("bin/rclone");
        let rclone = Rclone {
            program: program.to_str().unwrap(),
            options: &[],
            credentials: &credentials,
            step: "upload",
            until: None,
            stall: Duration::from_secs(60),
            most_listed: 1 << 27,
            context: Context::silent(&self.stop),
        };
        work(HistoryRemote {
            rclone: &rclone,
            cache: &cache,
            remote: &self.remote,
            host: HOST,
        })
    }

    pub(crate) fn upload_sealed(&self, day: u32, sealed: &Sealed) -> Result<UploadedHistory> {
        self.upload_marked(day, sealed, &SnapshotMarks::default())
    }

    pub(crate) fn upload_marked(
        &self,
        day: u32,
        sealed: &Sealed,
        marks: &SnapshotMarks,
    ) -> Result<UploadedHistory> {
        let tree = self.tree(day);
        let source = HistorySource {
            folder: tree.to_str().unwrap(),
            tree: &dir(&tree),
            record: &sealed.record,
            manifest: Reader::new(File::open(&sealed.manifest).unwrap()).unwrap(),
            live: None,
            marks,
        };
        let options = HistoryOptions {
            may_delete: self.may_delete,
        };
        self.with(|remote| remote.upload(source, options))
    }

    /// Seals and uploads a day, which must succeed.
    #[track_caller]
    pub(crate) fn upload(&self, day: u32) -> UploadedHistory {
        self.upload_sealed(day, &self.seal(day)).unwrap()
    }

    /// Lets these days go, and takes away what those had.
    pub(crate) fn expire(&self, days: &[u32], sweep: &[u32]) -> Result<Outcome> {
        let ids: Vec<SnapshotId> = days.iter().copied().map(id).collect();
        self.expire_these(&ids, sweep)
    }

    /// The same of snapshots by their ids.
    pub(crate) fn expire_these(&self, ids: &[SnapshotId], sweep: &[u32]) -> Result<Outcome> {
        let step = ExpireStep {
            call: RemoteCall {
                program: "rclone".to_owned(),
                options: Vec::new(),
                remote: self.remote.clone(),
                folder: HOST.to_owned(),
                config_file: None,
                timeout: Span::hours(1),
            },
            asked: None,
            expire: ids
                .iter()
                .map(|id| RemoteExpiry {
                    id: *id,
                    reason: ExpireReason::ByHand,
                    lost: None,
                })
                .collect(),
            withheld: Vec::new(),
            keep_days: 3,
            sweep: sweep
                .iter()
                .map(|day| RemoteSweep {
                    id: id(*day),
                    lost: None,
                })
                .collect(),
        };
        let planned_at = id(9).local().and_utc().fixed_offset();
        self.with(|remote| remote.expire(&step, planned_at))
    }

    pub(crate) fn known(&self) -> KnownHistory {
        self.with(|remote| remote.refresh()).unwrap()
    }

    /// Brings a snapshot to `into`, and gives where its tree is.
    pub(crate) fn fetch(&self, day: Option<u32>, paths: &[&str]) -> (Brought, PathBuf) {
        let into = self.path("into");
        fs::create_dir_all(&into).unwrap();
        let paths: Vec<StoredPathBuf> = paths
            .iter()
            .map(|path| path.as_bytes().to_vec().into())
            .collect();
        let wanted = WantedFiles {
            remote: &self.remote,
            host: HOST,
            id: day.map(id),
            paths: &paths,
        };
        let (open, named) = (dir(&into), into.to_str().unwrap());
        let brought = self
            .with(|remote| remote.fetch_files((&open, named), &wanted))
            .unwrap();
        let tree = into.join(HOST).join("daily").join(brought.id.to_string());
        (brought, tree)
    }

    pub(crate) fn verify(&self, share: Share) -> CloudVerification {
        self.verify_of(Compared::All, share)
    }

    pub(crate) fn verify_of(&self, what: Compared, share: Share) -> CloudVerification {
        let into = self.path("verified");
        fs::create_dir_all(&into).unwrap();
        let look = VerifyDepth {
            share,
            hashes_first: true,
        };
        let (open, named) = (dir(&into), into.to_str().unwrap());
        let found = self
            .with(|remote| remote.verify(what, (&open, named), look))
            .unwrap();
        assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
        found
    }

    /// A path in the host's folder behind the remote.
    pub(crate) fn far(&self, relative: &str) -> PathBuf {
        self.path("far").join(HOST).join(relative)
    }

    /// Where a content is behind the remote.
    pub(crate) fn object(&self, content: impl AsRef<[u8]>) -> PathBuf {
        self.far("objects")
            .join(object_file(Digest::of(content.as_ref())))
    }

    /// All files behind the remote, with what tells whether they were written again.
    pub(crate) fn all_far(&self) -> BTreeMap<PathBuf, (u64, i64, Vec<u8>)> {
        walkdir::WalkDir::new(self.path("far"))
            .into_iter()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let stat = entry.metadata().unwrap();
                let content = fs::read(entry.path()).unwrap();
                (
                    entry.path().to_owned(),
                    (stat.ino(), stat.ctime_nsec(), content),
                )
            })
            .collect()
    }

    /// The calls of rclone since this was asked last.
    pub(crate) fn calls(&self) -> Vec<String> {
        let file = self.path("bin/calls");
        let calls = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        calls.lines().map(str::to_owned).collect()
    }
}

/// A snapshot that was sealed.
pub(crate) struct Sealed {
    pub(crate) record: SnapshotRecord,
    pub(crate) manifest: PathBuf,
}

/// The manifest's entries of a tree.
pub(crate) fn entries(tree: &Path, id: SnapshotId) -> Vec<Entry> {
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
                entry.digest = Some(Digest::of(&fs::read(&path).unwrap()));
                entry.stored = Some(id);
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
        entries.push(entry);
    }
    entries
}

fn record(id: SnapshotId, list: &[Entry], digest: Digest) -> SnapshotRecord {
    let files = list.iter().filter(|entry| entry.kind == Kind::File);
    let at = format!("{}+00:00", id.local().format("%Y-%m-%dT%H:%M:%S"));
    serde_json::from_value(serde_json::json!({
        "format_version": 1, "id": id, "host": HOST, "run_id": "run", "started_at": at,
        "sealed_at": at, "day": id.local().date(), "complete": true, "suspect": [], "basis": null,
        "engine": "built-in", "made_by": "a test", "sources": [], "exclude_patterns": [],
        "totals": {
            "entries": list.len(), "files": files.clone().count(), "folders": 0,
            "bytes": files.map(|entry| entry.size).sum::<u64>(), "files_copied": 0,
            "bytes_copied": 0, "files_linked": 0, "bytes_linked": 0, "errors": 0, "vanished": 0,
            "torn": 0
        },
        "stored_by": { id.to_string(): 1 }, "manifest": manifest::FILE_NAME,
        "manifest_digest": digest, "problems": []
    }))
    .unwrap()
}

/// The content of each regular file below a folder.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap().to_owned();
            (path, fs::read(entry.path()).unwrap())
        })
        .collect()
}
