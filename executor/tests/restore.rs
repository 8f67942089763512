//! Restoring out of a snapshot, on real temporary directories.
//!
//! Each test's name is the fact it shows. Those that need root say SKIPPED without it, and fail
//! where the environment has `CI`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    missing_docs,
    reason = "tests end at the first surprise and say what they skip"
)]

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use executor::{
    Error, ErrorKind,
    event::{Context, Event, Observer, Phase, Silent, Stop},
    manifest::{self, Entry, Writer, xattrs_digest},
    restore::{Choice, Request, check_room, plan_restore, run_restore_step},
    store::Store,
    survey::Bounds,
    sys::{Dir, Kind, attributes},
    walk::{Visit, Walk},
};
use schema::{
    Digest, SnapshotId,
    escape::{escape, unescape},
    journal::{Outcome, ProblemKind, Status},
    pattern::Excludes,
    plan::RestoreStep,
};
use test_support::skip;

const SUFFIX: &str = ".before-2025-01-17_03-00-00";

/// A destination with one snapshot, and a place to restore to.
struct Lab {
    root: tempfile::TempDir,
    store: Store,
    id: SnapshotId,
}

fn dir(path: &Path) -> Dir {
    let file = File::open(path).unwrap();
    Dir::from_fd(file.into())
}

/// The manifest's entries of a tree.
fn entries(tree: &Path) -> Vec<Entry> {
    let (excludes, root) = (Excludes::default(), dir(tree));
    let bounds = Bounds {
        excludes: &excludes,
        one_file_system: false,
        never: None,
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
fn record(id: SnapshotId, digest: Digest) -> String {
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
    fn with(build: impl FnOnce(&Path), change: impl FnOnce(&mut Vec<Entry>)) -> Self {
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

    fn new(build: impl FnOnce(&Path)) -> Self {
        Self::with(build, |_| {})
    }

    fn unmanaged(build: impl FnOnce(&Path)) -> Self {
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

    fn host(&self) -> PathBuf {
        self.root.path().join("mnt/host")
    }

    fn tree(&self) -> PathBuf {
        self.host().join(format!("daily/{}", self.id))
    }

    /// A path to restore to.
    fn out(&self, name: &str) -> PathBuf {
        self.root.path().join("out").join(name)
    }

    fn plan(&self, path: &str, target: &Path, overwrite: bool) -> Result<RestoreStep, Error> {
        let home_folder = format!("daily/{}", self.id);
        let request = Request {
            store: &self.store,
            snapshot: Some(self.id),
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

    fn run(&self, step: &RestoreStep) -> Result<Outcome, Error> {
        let stop = Stop::default();
        run_restore_step(&self.store, step, &context(&stop))
    }

    fn restore(&self, path: &str, target: &Path, overwrite: bool) -> Result<Outcome, Error> {
        self.run(&self.plan(path, target, overwrite)?)
    }

    /// Restores, and everything must have gone well.
    fn good(&self, path: &str, target: &Path) -> Outcome {
        let outcome = self.restore(path, target, false).unwrap();
        assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
        outcome
    }
}

fn context(stop: &Stop) -> Context<'_> {
    Context {
        observer: &Silent,
        stop,
        clock: executor::clock::Clock::default(),
        threads: 2,
    }
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    File::open(path).unwrap().set_modified(time).unwrap();
}

/// Everything below a folder: path, mode, owner, time, and content or symlink target.
fn picture(root: &Path) -> Vec<String> {
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
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn refused(result: Result<impl std::fmt::Debug, Error>) -> (String, String) {
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error:?}");
    (error.message.clone(), error.hint.unwrap())
}

/// Whether this runs as root; says so loudly if not.
fn as_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(&format!("{test} because this is not root"));
    }
    root
}

fn documents(tree: &Path) {
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

#[test]
fn the_target_becomes_the_folder_and_nothing_nests() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    assert_eq!((step.creates, step.already_there), (7, 0));
    assert_eq!(step.bytes, 14);
    assert!(!target.exists(), "planning wrote");
    assert_eq!(lab.run(&step).unwrap().status, Status::Succeeded);
    assert_eq!(picture(&target), picture(&lab.tree().join("home/ann/docs")));

    // The same with the folder already there, named with a slash, the path without one.
    let again = lab.out("docs/");
    lab.good("home/ann/docs/", &again);
    assert!(!target.join("docs").exists());
    assert_eq!(picture(&target), picture(&lab.tree().join("home/ann/docs")));
}

#[test]
fn a_file_becomes_the_target_file() {
    let lab = Lab::new(documents);
    let target = lab.out("copy of letter");
    lab.good("/home/ann/docs/letter", &target);
    assert_eq!(read(&target), "dear bob");
    assert_eq!(names(&lab.out("")), ["copy of letter"]);
    assert_eq!(target.metadata().unwrap().mtime(), 1_600_000_000);
}

#[test]
fn a_symlink_is_restored_as_a_symlink() {
    let lab = Lab::new(documents);
    lab.good("/home/ann/docs/deep/link", &lab.out("link"));
    assert_eq!(
        fs::read_link(lab.out("link")).unwrap(),
        Path::new("../letter")
    );
}

#[test]
fn the_whole_snapshot_can_be_restored() {
    let lab = Lab::new(documents);
    for (path, target) in [("/", "a"), (".", "b")] {
        lab.good(path, &lab.out(target));
        assert_eq!(picture(&lab.out(target)), picture(&lab.tree()));
    }
}

#[test]
fn a_file_does_not_go_into_a_folder_unasked() {
    let lab = Lab::new(documents);
    let target = lab.out("there");
    fs::create_dir(&target).unwrap();
    for overwrite in [false, true] {
        let (message, hint) = refused(lab.plan("/home/ann/docs/letter", &target, overwrite));
        assert!(message.contains("is a folder"), "{message}");
        assert!(hint.contains("there/letter"), "{hint}");
    }
}

#[test]
fn a_folder_does_not_replace_a_file() {
    let lab = Lab::new(documents);
    write(&lab.out("there"), "mine");
    for overwrite in [false, true] {
        refused(lab.plan("/home/ann/docs", &lab.out("there"), overwrite));
    }
    assert_eq!(read(&lab.out("there")), "mine");
}

#[test]
fn the_folder_that_holds_the_target_must_be_there() {
    let lab = Lab::new(documents);
    let (message, hint) = refused(lab.plan("/home/ann/docs", &lab.out("no/where"), false));
    assert!(message.contains("is not there"), "{message}");
    assert!(hint.contains("mkdir -p"), "{hint}");
    assert!(!lab.out("no").exists());
}

#[test]
fn running_twice_does_nothing_the_second_time() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    lab.run(&step).unwrap();
    let before: Vec<_> = walkdir::WalkDir::new(&target)
        .into_iter()
        .map(|entry| entry.unwrap().path().symlink_metadata().unwrap().ino())
        .collect();
    let outcome = lab.run(&step).unwrap();
    assert!(
        outcome.message.contains("restored 0 entries"),
        "{}",
        outcome.message
    );
    let after: Vec<_> = walkdir::WalkDir::new(&target)
        .into_iter()
        .map(|entry| entry.unwrap().path().symlink_metadata().unwrap().ino())
        .collect();
    assert_eq!(before, after);
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    assert_eq!((step.creates, step.already_there, step.bytes), (0, 7, 0));
}

#[test]
fn a_conflict_refuses_before_anything_changes() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    write(&target.join("letter"), "my own words");
    let before = picture(&lab.out(""));
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    assert_eq!(step.conflicts, ["letter"]);
    assert_eq!(step.conflict_count, 1);
    let (message, hint) = refused(lab.run(&step));
    assert!(message.contains("docs/letter"), "{message}");
    assert!(
        hint.contains("--overwrite") && hint.contains(SUFFIX),
        "{hint}"
    );
    assert_eq!(picture(&lab.out("")), before);
}

/// What a plan would put right, as `path (what)`.
fn put_right(step: &RestoreStep) -> Vec<String> {
    let all = step.put_right.iter();
    all.map(|one| format!("{} ({})", one.path, one.what))
        .collect()
}

#[test]
fn what_differs_in_metadata_only_is_told_and_put_right_where_it_is() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    lab.good("/home/ann/docs", &target);
    let whole = picture(&target);
    let inode = |name: &str| target.join(name).metadata().unwrap().ino();
    let before = (inode("letter"), inode("empty"));
    set_time(&target.join("letter"), 1_700_000_000);
    set_mode(&target.join("letter"), 0o666);
    set_time(&target.join("empty"), 1_700_000_001);
    let file = File::open(target.join("deep/er/note")).unwrap();
    let has_attributes = attributes::set_fd(&file, b"user.mine", b"1").is_ok();
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    let mut expected = vec!["empty (time)", "letter (mode, time)"];
    if has_attributes {
        expected.insert(0, "deep/er/note (attributes)");
    }
    assert_eq!(put_right(&step), expected);
    assert_eq!(step.conflict_count, 0);
    let touched = picture(&target);
    let (message, _) = refused(lab.run(&step));
    assert!(message.contains("docs/letter (mode, time)"), "{message}");
    assert_eq!(picture(&target), touched);

    let outcome = lab.restore("/home/ann/docs", &target, true).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    assert!(outcome.message.contains("were put right"), "{outcome:?}");
    assert_eq!(picture(&target), whole);
    assert_eq!(attributes::of_fd(&file).unwrap(), []);
    // Nothing was made anew or kept aside.
    assert_eq!((inode("letter"), inode("empty")), before);
    assert_eq!(names(&target), ["deep", "empty", "letter"]);
}

#[test]
fn damage_of_the_same_size_and_time_is_found_and_kept_aside() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    lab.good("/home/ann/docs", &target);
    let whole = picture(&target);
    fs::write(target.join("letter"), "dear eve").unwrap();
    set_time(&target.join("letter"), 1_600_000_000);
    let mut step = lab.plan("/home/ann/docs", &target, false).unwrap();
    assert_eq!(step.conflicts, ["letter"]);
    refused(lab.run(&step));
    assert_eq!(read(&target.join("letter")), "dear eve");

    step.overwrite = true;
    step.read_back = true;
    let outcome = lab.run(&step).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    let aside = format!("letter{SUFFIX}");
    assert_eq!(names(&target), ["deep", "empty", "letter", &aside]);
    assert_eq!(read(&target.join(&aside)), "dear eve");
    fs::remove_file(target.join(&aside)).unwrap();
    lab.good("/home/ann/docs", &target);
    assert_eq!(picture(&target), whole);
}

#[test]
fn what_has_a_name_elsewhere_is_made_anew_and_not_changed() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    lab.good("/home/ann/docs", &target);
    set_mode(&target.join("letter"), 0o600);
    fs::hard_link(target.join("letter"), lab.out("elsewhere")).unwrap();
    let outcome = lab.restore("/home/ann/docs", &target, true).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!(mode(&lab.out("elsewhere")), 0o600);
    assert_eq!(mode(&target.join("letter")), 0o640);
}

#[test]
fn a_folder_that_is_whole_gets_its_time_and_one_with_more_in_it_says_that_it_does_not() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    lab.good("/home/ann/docs", &target);
    let whole = picture(&target);
    set_time(&target.join("deep"), 1_700_000_000);
    let outcome = lab.good("/home/ann/docs", &target);
    assert!(!outcome.message.contains("note:"), "{outcome:?}");
    assert_eq!(picture(&target), whole);
    write(&target.join("deep/mine"), "more");
    let outcome = lab.good("/home/ann/docs", &target);
    assert!(
        outcome.message.contains("1 folder keeps its own time"),
        "{outcome:?}"
    );
}

#[test]
fn flags_that_are_not_set_are_said() {
    let lab = Lab::with(documents, |entries| {
        for entry in entries {
            entry.immutable = entry.path.ends_with(b"letter");
            entry.append_only = entry.path.ends_with(b"note");
        }
    });
    let outcome = lab.good("/home/ann/docs", &lab.out("docs"));
    for said in ["flags are not restored; 2 entries", "docs/letter", "chattr"] {
        assert!(outcome.message.contains(said), "{outcome:?}");
    }
}

#[test]
fn what_was_backed_up_through_a_symlink_is_restored_through_it() {
    let lab = Lab::new(|tree| {
        write(&tree.join("var/foo/state"), "good");
        write(&tree.join("var/bar/state"), "good too");
    });
    // As systemd has it for a service with a user of its own.
    for name in ["foo", "bar"] {
        fs::create_dir_all(lab.out("var/private").join(name)).unwrap();
        let link = lab.out("var").join(name);
        symlink(format!("private/{name}"), link).unwrap();
    }
    write(&lab.out("var/private/foo/state"), "bad");
    let restore = |path: &str, target: &Path, through: &[&str]| {
        let home_folder = format!("daily/{}", lab.id);
        let request = Request {
            store: &lab.store,
            snapshot: Some(lab.id),
            home_folder: &home_folder,
            tree: dir(&lab.tree()),
            path: Path::new(path),
            target,
            overwrite: true,
            aside_suffix: SUFFIX.into(),
            choice: Choice {
                read_back: true,
                ..Choice::default()
            },
            through: through.iter().map(|one| one.as_bytes().to_vec()).collect(),
        };
        let stop = Stop::default();
        let step = plan_restore(&request, &context(&stop)).unwrap();
        let outcome = lab.run(&step).unwrap();
        assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
        outcome
    };
    let links = || ["foo", "bar"].map(|name| fs::read_link(lab.out("var").join(name)).is_ok());
    let outcome = restore("var", &lab.out("var"), &["", "bar", "foo"]);
    assert!(outcome.message.contains("2 files read back"), "{outcome:?}");
    assert_eq!(links(), [true, true]);
    assert_eq!(read(&lab.out("var/private/foo/state")), "good");
    assert_eq!(read(&lab.out("var/private/bar/state")), "good too");

    write(&lab.out("var/private/foo/state"), "bad again");
    restore("var/foo", &lab.out("var/foo"), &[""]);
    assert_eq!(links(), [true, true]);
    assert_eq!(read(&lab.out("var/private/foo/state")), "good");

    // Nobody said that this one is to be followed.
    restore("var/foo", &lab.out("var/foo"), &[]);
    assert_eq!(links(), [false, true]);
    assert_eq!(read(&lab.out("var/foo/state")), "good");
}

#[test]
fn a_single_file_is_compared_by_content_though_size_and_time_agree() {
    let lab = Lab::new(documents);
    lab.good("/home/ann/docs/letter", &lab.out("letter"));
    fs::write(lab.out("letter"), "dear eve").unwrap();
    set_time(&lab.out("letter"), 1_600_000_000);
    let step = lab
        .plan("/home/ann/docs/letter", &lab.out("letter"), false)
        .unwrap();
    assert_eq!(step.conflicts, ["."]);
    let (message, _) = refused(lab.run(&step));
    assert!(message.contains("out/letter"), "{message}");
}

#[test]
fn the_first_hundred_conflicts_are_listed_and_all_are_counted() {
    let lab = Lab::new(|tree| {
        for number in 0..150 {
            write(&tree.join(format!("x/{number:03}")), "theirs");
        }
    });
    for number in 0..150 {
        write(&lab.out("x").join(format!("{number:03}")), "something else");
    }
    let step = lab.plan("x", &lab.out("x"), false).unwrap();
    assert_eq!((step.conflicts.len(), step.conflict_count), (100, 150));
    let (message, _) = refused(lab.run(&step));
    assert!(message.contains("and 145 more"), "{message}");
}

#[test]
fn overwriting_keeps_the_old_aside_and_leaves_others_alone() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    write(&target.join("letter"), "my own words");
    write(&target.join(format!("letter{SUFFIX}")), "an older one");
    write(&target.join("mine"), "not in the snapshot");
    // A folder where the snapshot has a file, and a file where it has a folder.
    write(&target.join("empty/full"), "of things");
    write(&target.join("deep"), "shallow");
    let step = lab.plan("/home/ann/docs", &target, true).unwrap();
    assert_eq!((step.conflict_count, step.creates), (3, 6));
    let outcome = lab.run(&step).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    assert!(
        outcome.message.contains("3 that differed"),
        "{}",
        outcome.message
    );
    assert_eq!(read(&target.join("letter")), "dear bob");
    assert_eq!(
        read(&target.join(format!("letter{SUFFIX}-2"))),
        "my own words"
    );
    assert_eq!(
        read(&target.join(format!("letter{SUFFIX}"))),
        "an older one"
    );
    assert_eq!(read(&target.join("mine")), "not in the snapshot");
    assert_eq!(
        read(&target.join(format!("empty{SUFFIX}/full"))),
        "of things"
    );
    assert_eq!(read(&target.join(format!("deep{SUFFIX}"))), "shallow");
    assert_eq!(read(&target.join("deep/er/note")), "a note");
}

#[test]
fn a_symlink_below_the_target_is_never_followed() {
    let lab = Lab::new(documents);
    let (target, secret) = (lab.out("docs"), lab.out("secret"));
    fs::create_dir(&secret).unwrap();
    fs::create_dir(&target).unwrap();
    symlink(&secret, target.join("deep")).unwrap();
    symlink(lab.out("victim"), target.join("letter")).unwrap();
    let step = lab.plan("/home/ann/docs", &target, false).unwrap();
    assert_eq!(step.conflicts, ["deep", "letter"]);
    refused(lab.run(&step));

    let outcome = lab.restore("/home/ann/docs", &target, true).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    assert_eq!(names(&secret), Vec::<String>::new());
    assert!(!lab.out("victim").exists());
    assert_eq!(
        fs::read_link(target.join(format!("deep{SUFFIX}"))).unwrap(),
        secret
    );
    assert!(target.join("deep").symlink_metadata().unwrap().is_dir());
    assert_eq!(read(&target.join("deep/er/note")), "a note");
}

#[test]
fn a_target_that_is_a_symlink_is_a_conflict() {
    let lab = Lab::new(documents);
    fs::create_dir(lab.out("elsewhere")).unwrap();
    symlink("elsewhere", lab.out("docs")).unwrap();
    for target in ["docs", "docs/"] {
        let step = lab.plan("/home/ann/docs", &lab.out(target), false).unwrap();
        assert_eq!(step.conflicts, ["."]);
        let (_, hint) = refused(lab.run(&step));
        assert!(hint.contains("symlink points to"), "{hint}");
    }
    lab.restore("/home/ann/docs", &lab.out("docs"), true)
        .unwrap();
    assert_eq!(names(&lab.out("elsewhere")), Vec::<String>::new());
    assert_eq!(read(&lab.out("docs/letter")), "dear bob");
}

#[test]
fn the_way_to_the_target_follows_only_trusted_symlinks() {
    if !as_root("the_way_to_the_target_follows_only_trusted_symlinks") {
        return;
    }
    let lab = Lab::new(documents);
    fs::create_dir(lab.out("real")).unwrap();
    symlink("real", lab.out("way")).unwrap();
    lab.good("/home/ann/docs", &lab.out("way/docs"));
    assert_eq!(read(&lab.out("real/docs/letter")), "dear bob");
    std::os::unix::fs::lchown(lab.out("way"), Some(1234), Some(1234)).unwrap();
    let (message, _) = refused(lab.plan("/home/ann/docs", &lab.out("way/more"), false));
    assert!(message.contains("symlink"), "{message}");
}

#[test]
fn the_destination_is_no_target() {
    let lab = Lab::new(documents);
    let inside = lab.tree().join("home/ann/docs");
    for target in [inside.clone(), inside.join("new"), lab.host()] {
        let (message, _) = refused(lab.plan("/home/ann/docs", &target, true));
        assert!(message.contains("destination"), "{message}");
    }
    // Nor is a folder that leads into it.
    let lab = Lab::new(|tree| write(&tree.join("mnt/host/daily/x"), "y"));
    let (message, _) = refused(lab.plan("/", lab.root.path(), false));
    assert!(message.contains("destination itself"), "{message}");
}

/// Asks to stop once so many entries are restored.
struct StopAfter<'a>(&'a Stop, u64);

impl Observer for StopAfter<'_> {
    fn event(&self, event: Event<'_>) {
        if let Event::Progress(progress) = event
            && progress.phase == Phase::Restore
            && progress.entries >= self.1
        {
            self.0.ask(15);
        }
    }
}

#[test]
fn a_stopped_restore_goes_on_where_it_stopped() {
    let lab = Lab::new(|tree| {
        for folder in 0..10 {
            for file in 0..20 {
                let path = tree.join(format!("x/{folder}/sub/{file}"));
                write(&path, &format!("{folder} {file}"));
                set_mode(&path, 0o604);
            }
            set_mode(&tree.join(format!("x/{folder}/sub")), 0o705);
            set_time(&tree.join(format!("x/{folder}/sub")), 1_500_000_000);
        }
        set_time(&tree.join("x"), 1_500_000_000);
    });
    let target = lab.out("x");
    let step = lab.plan("x", &target, false).unwrap();
    let stop = Stop::default();
    let observer = StopAfter(&stop, 100);
    let context = Context {
        observer: &observer,
        stop: &stop,
        clock: executor::clock::Clock::default(),
        // One after the other, so that about half of it is there.
        threads: 1,
    };
    let error = run_restore_step(&lab.store, &step, &context).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Interrupted);
    assert!(error.hint.unwrap().contains("same restore again"));
    let halfway = lab.plan("x", &target, false).unwrap();
    assert_eq!(halfway.conflict_count, 0);
    assert!(
        halfway.already_there > 100 && halfway.creates > 50,
        "{halfway:?}"
    );

    // What a killed process would have left besides.
    write(&target.join(".5.backup-restore-1f-0"), "half a fi");
    write(
        &lab.out(".x.backup-restore-1f-1/.backup-restore-unfinished"),
        "",
    );
    // What the stopped run wrote was never read back, so that is done as well.
    let step = RestoreStep {
        read_back: true,
        ..step
    };
    let outcome = lab.run(&step).unwrap();
    assert_eq!(outcome.status, Status::Succeeded);
    assert!(
        outcome.message.contains("200 files read back"),
        "{outcome:?}"
    );
    assert!(picture(&target) == picture(&lab.tree().join("x")));
    assert_eq!(names(&lab.out("")), ["x"]);
}

/// Writes other content into a file as soon as it is there: a disk that does not keep what it got.
struct Spoils(PathBuf);

impl Observer for Spoils {
    fn event(&self, event: Event<'_>) {
        if let Event::Progress(progress) = event
            && progress.phase == Phase::Restore
            && self.0.exists()
        {
            fs::write(&self.0, "rottn").unwrap();
        }
    }
}

#[test]
fn what_does_not_come_back_as_it_was_written_does_not_keep_its_name() {
    let lab = Lab::new(|tree| {
        write(&tree.join("x/good"), "good");
        write(&tree.join("x/sound"), "sound");
    });
    let target = lab.out("x");
    let mut step = lab.plan("x", &target, false).unwrap();
    step.read_back = true;
    let stop = Stop::default();
    let observer = Spoils(target.join("sound"));
    let context = Context {
        observer: &observer,
        ..context(&stop)
    };
    let outcome = run_restore_step(&lab.store, &step, &context).unwrap();
    assert_eq!(outcome.status, Status::Incomplete, "{outcome:?}");
    assert!(outcome.message.contains("1 file read back"), "{outcome:?}");
    assert_eq!(outcome.problems.len(), 1);
    assert_eq!(outcome.problems[0].path, "/x/sound");
    assert_eq!(names(&target), ["good", "sound.damaged"]);
    // The same restore again makes it whole.
    assert_eq!(lab.run(&step).unwrap().status, Status::Succeeded);
    assert_eq!(read(&target.join("sound")), "sound");
}

#[test]
fn a_file_that_is_stopped_halfway_has_no_name() {
    let lab = Lab::new(|tree| {
        write(&tree.join("x/huge"), "");
        File::options()
            .write(true)
            .open(tree.join("x/huge"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
    });
    let target = lab.out("x");
    let step = lab.plan("x", &target, false).unwrap();
    assert_eq!(step.bytes, 0);
    let stop = Stop::default();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !target.join(".backup-restore-unfinished").exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(30));
            stop.ask(2);
        });
        run_restore_step(&lab.store, &step, &context(&stop)).unwrap_err()
    });
    assert_eq!(error.kind, ErrorKind::Interrupted);
    assert_eq!(names(&target), [".backup-restore-unfinished"]);
}

const VICTIM: &str = "RESTORE_TEST_VICTIM";

/// Not a test of its own: the process that
/// [`a_restore_killed_at_any_instant_has_no_half_file_and_goes_on`] kills.
#[test]
fn victim() {
    let Some(root) = std::env::var_os(VICTIM).map(PathBuf::from) else {
        return;
    };
    let mount = root.join("mnt");
    let store = Store::open(&dir(&mount), mount.to_str().unwrap(), "host").unwrap();
    let step = serde_json::from_slice(&fs::read(root.join("step")).unwrap()).unwrap();
    let stop = Stop::default();
    fs::write(root.join("begun"), "").unwrap();
    run_restore_step(&store.unwrap(), &step, &context(&stop)).unwrap();
}

#[test]
fn a_restore_killed_at_any_instant_has_no_half_file_and_goes_on() {
    let lab = Lab::new(|tree| {
        for folder in 0..60 {
            for file in 0..5 {
                let path = tree.join(format!("x/{folder}/sub/{file}"));
                write(&path, &format!("{folder}{file} ").repeat(5000));
                set_time(&path, 1_500_000_000 + file);
            }
            fs::hard_link(
                tree.join(format!("x/{folder}/sub/1")),
                tree.join(format!("x/{folder}/link")),
            )
            .unwrap();
            set_mode(&tree.join(format!("x/{folder}/sub")), 0o750);
            set_time(&tree.join(format!("x/{folder}/sub")), 1_400_000_000);
            set_time(&tree.join(format!("x/{folder}")), 1_400_000_001);
        }
    });
    let target = lab.out("x");
    let step = lab.plan("x", &target, false).unwrap();
    let json = serde_json::to_vec(&step).unwrap();
    fs::write(lab.root.path().join("step"), json).unwrap();
    let mut killed = 0;
    for attempt in 0..30 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim"])
            .env(VICTIM, lab.root.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while fs::remove_file(lab.root.path().join("begun")).is_err() {
            std::thread::sleep(Duration::from_micros(100));
        }
        std::thread::sleep(Duration::from_micros(attempt * 900));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        for entry in walkdir::WalkDir::new(&target).into_iter().flatten() {
            let name = entry.file_name().to_string_lossy();
            if entry.file_type().is_file() && !name.contains(".backup-restore-") {
                let path = entry.path().strip_prefix(&target).unwrap();
                let original = lab.tree().join("x").join(path);
                assert!(
                    read(entry.path()) == read(&original),
                    "half a file: {path:?}"
                );
            }
        }
        let step = lab.plan("x", &target, false).unwrap();
        assert_eq!(step.conflict_count, 0);
    }
    assert!(killed > 0, "too fast to be killed");
    let there = walkdir::WalkDir::new(&target).into_iter().flatten().count();
    assert!(there > 0, "killed before it began");
    eprintln!("killed {killed} times, the last with {there} entries there");
    assert_eq!(lab.run(&step).unwrap().status, Status::Succeeded);
    assert_eq!(picture(&target), picture(&lab.tree().join("x")));
    assert_eq!(names(&lab.out("")), ["x"]);
    let inode = |name: &str| target.join(name).metadata().unwrap().ino();
    assert_eq!(inode("7/link"), inode("7/sub/1"));
}

#[test]
fn names_that_are_not_utf_8_come_back() {
    let odd = OsStr::from_bytes(b"\xff\xfe a\nb\\");
    let lab = Lab::new(|tree| {
        write(&tree.join("x").join(odd).join(odd), "odd");
        symlink(odd, tree.join("x/link")).unwrap();
    });
    let target = lab.root.path().join("out").join(odd);
    let step = {
        let home_folder = format!("daily/{}", lab.id);
        let path = Path::new("x").join(odd);
        let request = Request {
            store: &lab.store,
            snapshot: Some(lab.id),
            home_folder: &home_folder,
            tree: dir(&lab.tree()),
            path: &path,
            target: &target,
            overwrite: false,
            aside_suffix: SUFFIX.into(),
            choice: Choice::default(),
            through: Vec::new(),
        };
        plan_restore(&request, &context(&Stop::default())).unwrap()
    };
    assert!(step.target.is_ascii() && unescape(&step.target).is_some());
    lab.run(&step).unwrap();
    assert_eq!(read(&target.join(odd)), "odd");
    lab.good("x", &lab.out("all"));
    assert_eq!(picture(&lab.out("all")), picture(&lab.tree().join("x")));
}

#[test]
fn a_name_of_full_length_is_restored_and_kept_aside() {
    let long = "n".repeat(255);
    let lab = Lab::new(|tree| write(&tree.join("x").join(&long), "theirs"));
    write(&lab.out("x").join(&long), "mine");
    lab.restore("x", &lab.out("x"), true).unwrap();
    assert_eq!(read(&lab.out("x").join(&long)), "theirs");
    assert_eq!(names(&lab.out("x")).len(), 2);
}

#[test]
fn sparse_files_stay_sparse() {
    let lab = Lab::new(|tree| {
        write(&tree.join("x/disk"), "");
        let file = File::options()
            .write(true)
            .open(tree.join("x/disk"))
            .unwrap();
        file.write_all_at(b"in the middle", 20 << 20).unwrap();
        file.set_len(40 << 20).unwrap();
    });
    let step = lab.plan("x", &lab.out("x"), false).unwrap();
    assert!(step.bytes < 1 << 20, "{}", step.bytes);
    assert_eq!(lab.run(&step).unwrap().status, Status::Succeeded);
    let copy = lab.out("x/disk");
    assert_eq!(copy.metadata().unwrap().len(), 40 << 20);
    assert!(copy.metadata().unwrap().blocks() * 512 < 1 << 20);
    let original = fs::read(lab.tree().join("x/disk")).unwrap();
    assert!(fs::read(copy).unwrap() == original);
}

#[test]
fn hard_links_stay_hard_links_and_never_of_the_snapshot() {
    let build = |tree: &Path| {
        write(&tree.join("x/a/one"), "shared");
        fs::create_dir(tree.join("x/b")).unwrap();
        fs::hard_link(tree.join("x/a/one"), tree.join("x/b/two")).unwrap();
        fs::hard_link(tree.join("x/a/one"), tree.join("x/three")).unwrap();
        write(&tree.join("x/other"), "shared");
    };
    for lab in [Lab::new(build), Lab::unmanaged(build)] {
        let target = lab.out("x");
        let step = lab.plan("x", &target, false).unwrap();
        assert_eq!(step.bytes, 12);
        lab.run(&step).unwrap();
        let inode = |name: &str| target.join(name).metadata().unwrap().ino();
        assert_eq!(inode("a/one"), inode("b/two"));
        assert_eq!(inode("a/one"), inode("three"));
        assert_ne!(inode("a/one"), inode("other"));
        assert_ne!(
            inode("a/one"),
            lab.tree().join("x/three").metadata().unwrap().ino()
        );
        // One that went missing is linked again to those that are there.
        fs::remove_file(target.join("b/two")).unwrap();
        lab.run(&step).unwrap();
        assert_eq!(inode("a/one"), inode("b/two"));
    }
}

#[test]
fn extended_attributes_come_from_the_tree_and_from_the_manifest() {
    let probe = tempfile::tempfile().unwrap();
    if attributes::set_fd(&probe, b"user.probe", b"x").is_err() {
        return skip("extended_attributes because there are no user attributes here");
    }
    let lab = Lab::with(
        |tree| {
            for name in ["x/file", "x/bare"] {
                write(&tree.join(name), "y");
            }
            for name in ["x", "x/file"] {
                let file = File::open(tree.join(name)).unwrap();
                attributes::set_fd(&file, b"user.colour", b"blue\0").unwrap();
            }
            // The destination's own, which the source did not have.
            let bare = File::open(tree.join("x/bare")).unwrap();
            attributes::set_fd(&bare, b"user.DOSATTRIB", b"0x20").unwrap();
        },
        |entries| {
            for entry in entries {
                match entry.path.as_bytes() {
                    b"x/file" => entry.xattrs_kept = vec![(b"user.kept".to_vec(), b"1".to_vec())],
                    b"x/bare" => entry.xattrs_digest = None,
                    _ => {}
                }
            }
        },
    );
    lab.good("x", &lab.out("x"));
    let of = |name: &str| attributes::of_fd(File::open(lab.out(name)).unwrap()).unwrap();
    let colour = (b"user.colour".to_vec(), b"blue\0".to_vec());
    assert_eq!(of("x"), std::slice::from_ref(&colour));
    assert_eq!(
        of("x/file"),
        [colour, (b"user.kept".to_vec(), b"1".to_vec())]
    );
    assert_eq!(of("x/bare"), []);
}

#[test]
fn owners_set_id_bits_and_capabilities_come_back() {
    if !as_root("owners_set_id_bits_and_capabilities_come_back") {
        return;
    }
    const CAPABILITY: &[u8] = b"security.capability";
    // cap_net_raw=ep, in version 2 of linux/capability.h's vfs_cap_data.
    let value = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let lab = Lab::new(|tree| {
        write(&tree.join("x/su"), "program");
        write(&tree.join("x/ping"), "program");
        symlink("su", tree.join("x/link")).unwrap();
        for (name, mode) in [("x/su", 0o6755), ("x/ping", 0o755), ("x", 0o3770)] {
            std::os::unix::fs::chown(tree.join(name), Some(1234), Some(2345)).unwrap();
            set_mode(&tree.join(name), mode);
        }
        std::os::unix::fs::lchown(tree.join("x/link"), Some(1234), Some(2345)).unwrap();
        let ping = File::open(tree.join("x/ping")).unwrap();
        attributes::set_fd(&ping, CAPABILITY, &value).unwrap();
        set_time(&tree.join("x"), 1_400_000_000);
    });
    lab.good("x", &lab.out("x"));
    assert_eq!(picture(&lab.out("x")), picture(&lab.tree().join("x")));
    let ping = File::open(lab.out("x/ping")).unwrap();
    let attributes = attributes::of_fd(&ping).unwrap();
    assert_eq!(attributes, [(CAPABILITY.to_vec(), value.to_vec())]);
}

#[test]
fn the_manifest_speaks_for_a_destination_that_holds_no_metadata() {
    let root = rustix::process::geteuid().is_root();
    let lab = Lab::with(
        |tree| {
            write(&tree.join("x/y/file"), "content");
            set_mode(&tree.join("x/y/file"), 0o777);
        },
        |entries| {
            for entry in entries {
                entry.mtime = 1_300_000_000_000_000_001;
                entry.mode = if entry.kind == Kind::Folder {
                    0o710
                } else {
                    0o4640
                };
                if root {
                    (entry.uid, entry.gid) = (1001, 1002);
                }
            }
        },
    );
    lab.good("x", &lab.out("x"));
    for (name, mode) in [("x", 0o710), ("x/y", 0o710), ("x/y/file", 0o4640)] {
        let stat = lab.out(name).metadata().unwrap();
        assert_eq!(stat.mode() & 0o7777, mode, "{name}");
        assert_eq!(
            (stat.mtime(), stat.mtime_nsec()),
            (1_300_000_000, 1),
            "{name}"
        );
        assert!(!root || (stat.uid(), stat.gid()) == (1001, 1002));
    }
    let step = lab.plan("x", &lab.out("x"), false).unwrap();
    assert_eq!((step.creates, step.conflict_count), (0, 0));
}

fn absent(path: &str, kind: Kind) -> Entry {
    let line = format!("./{path} type=dir mode=0640 uid=0 gid=0 time=1300000000.000000000 absent");
    Entry {
        kind,
        ..Entry::from_line(&line).unwrap()
    }
}

#[test]
fn what_the_destination_could_not_hold_is_made_again() {
    let root = as_root("what_the_destination_could_not_hold_is_made_again (the device)");
    let lab = Lab::with(
        |tree| write(&tree.join("x/m/file"), "content"),
        |entries| {
            let mut link = absent("x/a", Kind::Symlink);
            link.target = Some(b"m/file".to_vec());
            let mut nested = absent("x/m/zz", Kind::Symlink);
            nested.target = Some(b"\xff".to_vec());
            entries.extend([link, nested, absent("x/m/fifo", Kind::Fifo)]);
            entries.extend([absent("x/s", Kind::Socket), absent("x/void", Kind::Folder)]);
            if root {
                let mut device = absent("x/z", Kind::CharDevice);
                device.device = Some((1, 3));
                entries.push(device);
            } else {
                let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
                for entry in entries.iter_mut() {
                    (entry.uid, entry.gid) = (uid.as_raw(), gid.as_raw());
                }
            }
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        },
    );
    let target = lab.out("x");
    lab.good("x", &target);
    assert_eq!(
        fs::read_link(target.join("a")).unwrap(),
        Path::new("m/file")
    );
    assert_eq!(
        fs::read_link(target.join("m/zz")).unwrap(),
        Path::new(OsStr::from_bytes(b"\xff"))
    );
    let stat = target.join("m/fifo").symlink_metadata().unwrap();
    assert!(stat.file_type().is_fifo());
    assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0o640, 1_300_000_000));
    assert!(
        target
            .join("s")
            .symlink_metadata()
            .unwrap()
            .file_type()
            .is_socket()
    );
    assert!(target.join("void").is_dir());
    if root {
        let stat = target.join("z").symlink_metadata().unwrap();
        assert!(stat.file_type().is_char_device());
        assert_eq!(stat.rdev(), rustix::fs::makedev(1, 3));
    }
    // Also alone, and twice.
    lab.good("x/m/zz", &lab.out("alone"));
    assert!(
        lab.good("x", &target)
            .message
            .contains("restored 0 entries")
    );
}

#[test]
fn damaged_content_never_gets_the_files_name() {
    let lab = Lab::with(
        |tree| {
            write(&tree.join("x/bad"), "as it was");
            write(&tree.join("x/good"), "as it is");
        },
        |entries| {
            let bad = entries
                .iter_mut()
                .find(|entry| entry.path.as_bytes() == b"x/bad")
                .unwrap();
            bad.digest = Some(Digest::of(b"something else"));
        },
    );
    let target = lab.out("x");
    write(&target.join("bad"), "my own words");
    for _ in 0..2 {
        let outcome = lab.restore("x", &target, true).unwrap();
        assert_eq!(outcome.status, Status::Incomplete);
        assert_eq!(outcome.problems.len(), 1);
        assert_eq!(outcome.problems[0].path, "/x/bad");
        assert!(
            outcome.problems[0]
                .message
                .contains("not what the manifest recorded")
        );
        assert!(outcome.hint.is_some());
        assert_eq!(names(&target), ["bad", "bad.damaged", "good"]);
        assert_eq!(read(&target.join("bad")), "my own words");
        assert_eq!(read(&target.join("bad.damaged")), "as it was");
        assert_eq!(read(&target.join("good")), "as it is");
    }
}

#[test]
fn content_that_was_exchanged_gets_no_set_id_bit() {
    let lab = Lab::with(
        |tree| {
            for name in ["x/exchanged", "x/unread", "x/good"] {
                write(&tree.join(name), "as it is");
                set_mode(&tree.join(name), 0o6755);
            }
        },
        |entries| {
            for entry in entries {
                match entry.path.as_bytes() {
                    b"x/exchanged" => entry.digest = Some(Digest::of(b"as it was")),
                    b"x/unread" => entry.digest = None,
                    _ => {}
                }
            }
        },
    );
    let target = lab.out("x");
    lab.restore("x", &target, false).unwrap();
    let mode = |name: &str| target.join(name).symlink_metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode("good"), 0o6755);
    assert_eq!(mode("exchanged.damaged"), 0o755);
    assert_eq!(mode("unread"), 0o755);
}

#[test]
fn a_file_that_the_snapshot_lost_is_listed_and_the_rest_restored() {
    let lab = Lab::new(documents);
    fs::remove_file(lab.tree().join("home/ann/docs/letter")).unwrap();
    fs::remove_dir_all(lab.tree().join("home/ann/docs/deep")).unwrap();
    let outcome = lab.restore("/home/ann", &lab.out("ann"), false).unwrap();
    assert_eq!(outcome.status, Status::Incomplete);
    let lost: Vec<_> = outcome
        .problems
        .iter()
        .map(|p| (p.path.as_str(), p.kind))
        .collect();
    let kind = ProblemKind::Unreadable;
    assert_eq!(
        lost,
        [
            ("/home/ann/docs/deep/er/note", kind),
            ("/home/ann/docs/letter", kind)
        ]
    );
    assert!(lab.out("ann/docs/empty").exists());
    assert!(lab.out("ann/docs/deep/link").is_symlink());
    assert_eq!(
        lab.out("ann/docs/deep").metadata().unwrap().mode() & 0o777,
        0o750
    );
}

#[test]
fn a_snapshot_without_a_manifest_gives_what_its_tree_holds() {
    let lab = Lab::unmanaged(documents);
    lab.good("/home/ann/docs", &lab.out("docs"));
    assert_eq!(
        picture(&lab.out("docs")),
        picture(&lab.tree().join("home/ann/docs"))
    );
}

#[test]
fn a_damaged_manifest_is_reported_and_keeps_nobody_from_the_files() {
    let lab = Lab::new(documents);
    let path = lab.host().join(format!(
        ".backup/snapshots/{}/{}",
        lab.id,
        manifest::FILE_NAME
    ));
    for content in [&b"rubbish"[..], &fs::read(&path).unwrap()[..60]] {
        fs::write(&path, content).unwrap();
        let target = lab.out("docs");
        let outcome = lab.restore("/home/ann/docs", &target, false).unwrap();
        assert_eq!(outcome.status, Status::Incomplete);
        assert!(outcome.problems[0].message.contains("manifest is damaged"));
        assert_eq!(picture(&target), picture(&lab.tree().join("home/ann/docs")));
        fs::remove_dir_all(target).unwrap();
    }
}

#[test]
fn a_hostile_manifest_leads_nowhere() {
    let lab = Lab::with(
        |tree| write(&tree.join("x/file"), "content"),
        |entries| {
            let mut climb = absent("x/..", Kind::Symlink);
            climb.target = Some(b"/etc/passwd".to_vec());
            let mut beside = absent("x/gone/deeper", Kind::Symlink);
            beside.target = Some(b"/etc/passwd".to_vec());
            entries.extend([climb, beside]);
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        },
    );
    let outcome = lab.restore("x", &lab.out("x"), true).unwrap();
    assert_eq!(
        (outcome.status, outcome.problems.len()),
        (Status::Incomplete, 2)
    );
    assert_eq!(names(&lab.out("")), ["x"]);
    assert_eq!(names(&lab.out("x")), ["file"]);
}

#[test]
fn a_path_that_is_not_there_is_refused_with_what_is() {
    let lab = Lab::new(|tree| {
        documents(tree);
        symlink("docs/deep", tree.join("home/ann/short")).unwrap();
    });
    let plan = |path| refused(lab.plan(path, &lab.out("t"), false));
    let (message, hint) = plan("/home/ann/Docs/letter");
    assert!(
        message.contains("/home/ann/Docs/letter is not in snapshot"),
        "{message}"
    );
    assert!(hint.contains("/home/ann/docs"), "{hint}");
    let (message, hint) = plan("home/ann/short/link");
    assert!(
        message.contains("/home/ann/short is a symlink to docs/deep"),
        "{message}"
    );
    assert!(hint.contains("/home/ann/docs/deep"), "{hint}");
    assert!(plan("/home/ann/docs/letter/x").0.contains("not a folder"));
    assert!(plan("/home/../etc").0.contains("`..`"));
    assert!(plan("/nothing/like/it").1.contains("/ is there"));
}

#[test]
fn a_folder_with_content_and_another_mode_is_told_and_gets_the_snapshots_when_overwritten() {
    let lab = Lab::new(documents);
    let target = lab.out("docs");
    write(&target.join("mine"), "x");
    set_mode(&target, 0o700);
    let (message, _) = refused(lab.restore("/home/ann/docs", &target, false));
    assert!(message.contains("docs (mode)"), "{message}");
    assert_eq!(target.metadata().unwrap().mode() & 0o777, 0o700);
    lab.restore("/home/ann/docs", &target, true).unwrap();
    let wanted = lab.tree().join("home/ann/docs").metadata().unwrap();
    assert_eq!(target.metadata().unwrap().mode(), wanted.mode());
    assert_eq!(target.metadata().unwrap().mtime(), wanted.mtime());

    // An empty one becomes the snapshot's altogether.
    fs::create_dir(lab.out("empty")).unwrap();
    set_mode(&lab.out("empty"), 0o700);
    lab.good("/home/ann/docs", &lab.out("empty"));
    assert_eq!(
        picture(&lab.out("empty")),
        picture(&lab.tree().join("home/ann/docs"))
    );
}

#[test]
fn a_read_only_folder_comes_back_with_its_content() {
    let lab = Lab::new(|tree| {
        write(&tree.join("x/locked/file"), "content");
        set_mode(&tree.join("x/locked"), 0o555);
    });
    lab.good("x", &lab.out("x"));
    assert_eq!(picture(&lab.out("x")), picture(&lab.tree().join("x")));
    for locked in [lab.out("x/locked"), lab.tree().join("x/locked")] {
        set_mode(&locked, 0o755);
    }
}

#[test]
fn entries_do_not_inherit_what_the_target_folder_passes_on() {
    const DEFAULT: &[u8] = b"system.posix_acl_default";
    // Version 2 of linux/posix_acl_xattr.h: owner, user 1234, group, mask, others.
    let mut acl = vec![2, 0, 0, 0];
    for (tag, rights, id) in [
        (1_u16, 7_u16, !0_u32),
        (2, 7, 1234),
        (4, 5, !0),
        (16, 7, !0),
        (32, 5, !0),
    ] {
        acl.extend(tag.to_le_bytes());
        acl.extend(rights.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    let lab = Lab::new(documents);
    let out = File::open(lab.out("")).unwrap();
    if attributes::set_fd(&out, DEFAULT, &acl).is_err() {
        return skip("entries_do_not_inherit because there are no access control lists here");
    }
    lab.good("/home/ann/docs", &lab.out("docs"));
    lab.good("/home/ann/docs/letter", &lab.out("letter"));
    assert_eq!(
        picture(&lab.out("docs")),
        picture(&lab.tree().join("home/ann/docs"))
    );
    for path in ["docs", "docs/deep", "docs/letter", "letter"] {
        let file = File::open(lab.out(path)).unwrap();
        assert_eq!(attributes::of_fd(&file).unwrap(), [], "{path}");
    }
}

#[test]
fn the_snapshot_is_not_touched() {
    let lab = Lab::new(|tree| {
        documents(tree);
        fs::hard_link(
            tree.join("home/ann/docs/letter"),
            tree.join("home/ann/same"),
        )
        .unwrap();
    });
    let times = || -> Vec<_> {
        walkdir::WalkDir::new(lab.host())
            .sort_by_file_name()
            .into_iter()
            .map(|entry| {
                let stat = entry.unwrap().path().symlink_metadata().unwrap();
                (stat.ctime(), stat.ctime_nsec(), stat.nlink(), stat.ino())
            })
            .collect()
    };
    let before = times();
    lab.good("/", &lab.out("all"));
    write(&lab.out("all/home/ann/docs/letter"), "mine");
    lab.restore("/", &lab.out("all"), true).unwrap();
    assert_eq!(times(), before);
}

#[test]
fn a_target_without_room_is_refused_with_the_numbers() {
    if !as_root("a_target_without_room_is_refused_with_the_numbers") {
        return;
    }
    let lab = Lab::new(|tree| {
        write(&tree.join("x/big"), &"x".repeat(3 << 20));
        write(&tree.join("y/small"), "x");
        write(&tree.join("z/half"), &"x".repeat(600 << 10));
    });
    let target = lab.out("small");
    fs::create_dir(&target).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(&target)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        return skip("a_target_without_room_is_refused because nothing can be mounted");
    }
    let result = lab.restore("x", &target, false);
    let left = names(&target);
    // What has room goes to the file system that is mounted there.
    let fits = lab.restore("y", &target, false);
    let there = target.join("small").exists();
    // Two that fit each alone and not together.
    let half = |to: &str| lab.plan("z", &target.join(to), false).unwrap();
    let one = check_room(&lab.store, &[half("a")]);
    let both = check_room(&lab.store, &[half("a"), half("b")]);
    Command::new("umount").arg(&target).status().unwrap();
    let (message, hint) = refused(result);
    assert!(message.starts_with("insufficient space"), "{message}");
    assert!(
        message.contains("needs") && message.contains("free"),
        "{message}"
    );
    assert!(hint.contains("free space"), "{hint}");
    assert_eq!(fits.unwrap().status, Status::Succeeded);
    one.unwrap();
    let (message, _) = refused(both);
    assert!(message.starts_with("insufficient space"), "{message}");
    assert!(there && !target.join("small").exists());
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_deep_tree_costs_no_stack() {
    let lab = Lab::new(|tree| {
        let mut path = tree.join("x");
        for _ in 0..150 {
            path.push("d");
        }
        write(&path.join("bottom"), "deep");
    });
    lab.good("x", &lab.out("x"));
    assert_eq!(picture(&lab.out("x")), picture(&lab.tree().join("x")));
}

#[test]
fn owners_come_back_by_name_where_it_is_known_and_by_number_where_not() {
    if !as_root("owners_come_back_by_name_where_it_is_known_and_by_number_where_not") {
        return;
    }
    let lab = Lab::with(
        |tree| {
            write(&tree.join("x/known"), "1");
            write(&tree.join("x/gone"), "2");
            write(&tree.join("x/plain"), "3");
        },
        |entries| {
            for entry in entries.iter_mut() {
                (entry.uid, entry.gid) = (64_001, 64_002);
                let (user, group) = match entry.path.as_bytes() {
                    b"x/known" => ("daemon", "daemon"),
                    b"x/gone" => ("nobody has this name", "nor this"),
                    _ => continue,
                };
                entry.owners.user = Some(user.into());
                entry.owners.group = Some(group.into());
            }
        },
    );
    let owner = |path: PathBuf| {
        let stat = path.metadata().unwrap();
        (stat.uid(), stat.gid())
    };
    let daemon = (
        executor::sys::owners::user_number(&"daemon".into()).unwrap(),
        executor::sys::owners::group_number(&"daemon".into()).unwrap(),
    );
    let target = lab.out("x");
    let mut step = lab.plan("x", &target, false).unwrap();
    let outcome = lab.run(&step).unwrap();
    assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
    for said in [
        "user nobody has this name is 64001",
        "group nor this is 64002",
    ] {
        assert!(outcome.message.contains(said), "{}", outcome.message);
    }
    assert!(!outcome.message.contains("daemon"), "{}", outcome.message);
    assert_eq!(owner(target.join("known")), daemon);
    assert_eq!(owner(target.join("gone")), (64_001, 64_002));
    assert_eq!(owner(target.join("plain")), (64_001, 64_002));
    // What is there by name is there.
    assert_eq!(lab.plan("x", &target, false).unwrap().conflict_count, 0);

    let by_number = lab.out("y");
    step.target = escape(by_number.as_os_str().as_bytes());
    step.numeric_ids = true;
    let outcome = lab.run(&step).unwrap();
    assert!(!outcome.message.contains("note:"), "{}", outcome.message);
    assert_eq!(owner(by_number.join("known")), (64_001, 64_002));
}
