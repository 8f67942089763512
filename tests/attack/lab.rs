//! Two users with their sources, root's own outside, a destination, and what must hold of them.

use std::{
    fs,
    io::Read as _,
    ops::Deref,
    os::unix::fs::{PermissionsExt as _, lchown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use chrono::{Days, NaiveDate};
use schema::{Digest, StoredPath};
use serde_json::json;
use tempfile::TempDir;
use test_support::{Lab, Ran, everything_below, wait_in_time};

/// The one who attacks.
pub(crate) const MALLORY: u32 = 64_102;
/// The one who only wants a backup.
pub(crate) const ANN: u32 = 64_101;
/// Content that nobody but root may read.
pub(crate) const SECRET: &[u8] = b"the secret that only root may read";
/// Content that nobody but Ann and root may read.
pub(crate) const LETTER: &[u8] = b"a letter of ann's that is nobody's business";

/// Files of Ann's.
const LETTERS: usize = 40;
/// No run may take longer, whatever it meets.
const LIMIT: Duration = Duration::from_secs(240);
const HOST: &str = "host";

/// Users, sources and a destination.
pub(crate) struct World {
    lab: Lab,
    /// Days of runs so far.
    runs: u64,
    outside: std::collections::BTreeMap<PathBuf, String>,
}

impl World {
    pub(crate) fn new(use_rsync: bool) -> Self {
        let folder = TempDir::with_prefix("attack.").unwrap();
        let lab = Lab::new(env!("CARGO_BIN_EXE_backup"), folder, |folder| {
            json!({
                "version": 1,
                "hostname": HOST,
                "local": {
                    "enable": true,
                    "mountPoint": folder.join("dst"),
                    "requireMount": false,
                    "useRsync": use_rsync,
                    "minSpaceGB": 0,
                    "keepDaily": 1000,
                    "sources": [folder.join("src")],
                    "excludePatterns": [],
                },
                "schedule": { "onlyOnAC": false },
            })
        });
        let mut world = Self {
            lab: lab.in_time_zone("UTC"),
            runs: 0,
            outside: Default::default(),
        };
        world.make_folders();
        world
    }

    fn make_folders(&mut self) {
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(""), open).unwrap();
        for name in ["dst", "state", "outside"] {
            fs::create_dir(self.path(name)).unwrap();
        }
        for (user, name) in [
            (ANN, "src/ann"),
            (MALLORY, "src/mallory"),
            (MALLORY, "desk"),
        ] {
            fs::create_dir_all(self.path(name)).unwrap();
            lchown(self.path(name), Some(user), Some(user)).unwrap();
        }
        for number in 0..LETTERS {
            let path = self.letter(number);
            fs::write(&path, LETTER).unwrap();
            lchown(&path, Some(ANN), Some(ANN)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        for name in ["secret", "folder/secret"] {
            let path = self.path("outside").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, SECRET).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        self.outside = everything_below(&self.path("outside"));
    }

    /// Limits the holes that are read.
    pub(crate) fn set_limit(&mut self, gib: u32) {
        self.lab.set("local.maxHolesGB", gib);
    }

    fn letter(&self, number: usize) -> PathBuf {
        self.path(format!("src/ann/letter {number:02}"))
    }

    /// Runs the program, which must end in time and without a panic.
    #[track_caller]
    pub(crate) fn end_in_time(&self, arguments: &[&str]) -> Ran {
        let output = self.path(format!("output {}", arguments[0]));
        let done = wait_in_time(self.command(arguments), LIMIT, &output);
        let ran = Ran::from_output(arguments, &done);
        assert!(
            ran.signal.is_none() && !ran.stdout.contains("panicked"),
            "{ran}"
        );
        ran
    }

    /// Makes a backup of the next day, which is published whatever is done meanwhile; gives its id and
    /// whether it is complete.
    #[track_caller]
    pub(crate) fn back_up(&mut self) -> (String, bool) {
        let day = NaiveDate::from_ymd_opt(2025, 2, 1).unwrap() + Days::new(self.runs);
        self.runs += 1;
        // A new time for some of Ann's files, so that there is something to copy.
        for number in (0..LETTERS).step_by(2) {
            fs::write(self.letter(number), LETTER).unwrap();
        }
        let ran = self.end_in_time(&["apply", "--fresh", "--now", &format!("{day}T02:00:00Z")]);
        let ran = ran.expect_one_of(&[0, 3]);
        let id = format!("{day}_02-00-00");
        let record = self.record(&id);
        assert_eq!(record["complete"], ran.code == 0, "{ran}");
        (id, ran.code == 0)
    }

    /// That all snapshots are what their manifests say and hold what the others have, and nothing of
    /// root's.
    #[track_caller]
    pub(crate) fn check_snapshots(&self, ids: &[String]) {
        self.end_in_time(&["verify", "--all"]).expect(0);
        let secret = Digest::of(SECRET);
        for id in ids {
            let mut letters = 0;
            for entry in self.manifest(id) {
                let path = entry.path.shown();
                assert_ne!(entry.digest, Some(secret), "{id}: {path}");
                if entry.digest == Some(Digest::of(LETTER)) {
                    assert_eq!((entry.uid, entry.mode), (ANN, 0o600), "{id}: {path}");
                    letters += 1;
                }
            }
            assert_eq!(letters, LETTERS, "{id} lacks files of another user");
        }
        for place in ["dst", "state", "log"].map(|name| self.path(name)) {
            assert_eq!(
                holding(&place, SECRET),
                [""; 0],
                "a secret of root's was copied"
            );
        }
    }

    /// That nobody touched what is outside.
    #[track_caller]
    pub(crate) fn check_outside(&self) {
        assert_eq!(everything_below(&self.path("outside")), self.outside);
    }

    fn manifest(&self, id: &str) -> Vec<executor::manifest::Entry> {
        let records = fs::File::open(self.stored(&format!(".backup/snapshots/{id}"))).unwrap();
        let records = executor::sys::Dir::from_fd(records.into());
        let reader = executor::manifest::Reader::of_records(&records).unwrap();
        reader.map(Result::unwrap).collect()
    }

    /// That a restore of a snapshot to where nobody is makes all that its manifest lists, with owner
    /// and mode, and nothing else.
    #[track_caller]
    pub(crate) fn check_restore(&self, id: &str) {
        use std::os::unix::fs::MetadataExt as _;
        let to = self.path("quiet");
        let source = self.text("src");
        self.end_in_time(&["restore", id, &source, to.to_str().unwrap()])
            .expect(0);
        let below = StoredPath::of_absolute(&source);
        let mut listed = 0;
        for entry in self.manifest(id) {
            let Some(rest) = entry.path.rest_below(below) else {
                continue;
            };
            let path = to.join(String::from_utf8_lossy(rest).as_ref());
            let stat = path.symlink_metadata();
            let stat = stat.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(
                (stat.uid(), stat.gid()),
                (entry.uid, entry.gid),
                "{}",
                path.display()
            );
            if !stat.is_symlink() {
                assert_eq!(stat.mode() & 0o7777, entry.mode, "{}", path.display());
            }
            listed += 1;
        }
        assert_eq!(walkdir::WalkDir::new(&to).into_iter().count(), listed);
        fs::remove_dir_all(&to).unwrap();
    }
}

/// Regular files below a folder that hold some content.
pub(crate) fn holding(folder: &Path, content: &[u8]) -> Vec<String> {
    // What is there may go away under who looks.
    let entries = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files = entries.filter(|entry| entry.file_type().is_file());
    let holds = |path: &Path| {
        let mut read = Vec::new();
        let opened = fs::File::open(path);
        let length = opened.map(|file| file.take(1 << 20).read_to_end(&mut read));
        length.is_ok() && read.windows(content.len()).any(|part| part == content)
    };
    files
        .filter(|entry| holds(entry.path()))
        .map(|entry| entry.path().display().to_string())
        .collect()
}

impl Deref for World {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The attackers leave folders that not even their owner may enter.
        let _ = Command::new("rm")
            .args(["-rf", "--one-file-system"])
            .arg(self.path(""))
            .stderr(Stdio::null())
            .status();
    }
}
