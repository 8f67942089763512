//! One row of the table in docs/destinations.md for each server: what happens to snapshots on a remote with
//! a history there, over ten nights.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    damage::flip_at,
    lab::{Ran, entry_names, step_outcome, wait_for, wait_for_child},
    odd,
    remote_lab::{Protocol, RemoteLab},
    rows::{BIG, all_or, at_once, day, id, write_big},
};

/// Names that servers refuse, change or take for each other, and that rclone cannot write.
const NO_SERVER_HOLDS: [&[u8]; 6] = [
    b"no text \xff",
    "\u{201b}quoted".as_bytes(),
    b"a:b*c?<d>|\"",
    b"Case",
    b"cASE",
    &[b'n'; 255],
];

/// Files of an upload whose server is killed, besides the large one.
const MANY: usize = 30;
/// Files that rclone has in hand at once: what is put of these when it is killed nobody noted.
const IN_HAND: usize = 4;

/// What tells of a file behind a server whether it was written again.
type Told = (u64, i64, i64, u64);

/// A night on which one file gets a content that it had on no other.
pub(crate) fn night(far: &RemoteLab, n: u32) -> Value {
    write_night(far, n);
    far.backup(&day(n))
}

pub(crate) fn write_night(far: &RemoteLab, n: u32) {
    far.lab.write("home/ann/daily.txt", &of_night(n));
}

/// What that file has on a night.
pub(crate) fn of_night(n: u32) -> String {
    format!("written in night {n}\n")
}

/// What a report says of the upload, which went well.
#[track_caller]
pub(crate) fn uploaded(report: &Value) -> String {
    let step = step_outcome(report, "upload:b2");
    assert_eq!(step["status"], "succeeded", "{step:#}");
    step["message"].as_str().unwrap().to_owned()
}

/// Everything behind the server, with what tells whether it was written again.
pub(crate) fn there(far: &RemoteLab) -> BTreeMap<PathBuf, Told> {
    let all = walkdir::WalkDir::new(far.lab.path("far/bucket")).into_iter();
    all.map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let stat = entry.metadata().unwrap();
            let told = (stat.ino(), stat.ctime(), stat.ctime_nsec(), stat.len());
            (entry.into_path(), told)
        })
        .collect()
}

/// How many of these files are gone, or were written again.
fn touched(before: &BTreeMap<PathBuf, Told>, far: &RemoteLab) -> usize {
    let now = there(far);
    let is_same = |one: &(&PathBuf, &Told)| now.get(one.0) == Some(one.1);
    before.len() - before.iter().filter(is_same).count()
}

/// The verb on the remote.
pub(crate) fn on_b2(far: &RemoteLab, words: &[&str]) -> Ran {
    far.run(&[&words[..1], &["--destination", "b2"], &words[1..]].concat())
}

/// The ids of the snapshots on the remote, the newest first.
pub(crate) fn listed(far: &RemoteLab) -> Vec<String> {
    let list = on_b2(far, &["list", "--json"]).expect(0).json();
    let all = list["snapshots"].as_array().unwrap().iter();
    all.map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

fn row(test: &str, protocol: Protocol, crypt: bool) {
    let Some(mut far) = RemoteLab::with_history(test, protocol, crypt) else {
        return;
    };
    fill(&far);
    first_upload(&far);
    nothing_changed(&far);
    all_renamed(&far);
    far.lab.set("destinations.b2.bandwidthLimit", "1M");
    killed_server(&mut far);
    killed_client(&far);
    flipped_byte(&far);
    looked_into(&far);
    let_go(&far);
    damaged_source(&far);
    restored(&far);
}

fn fill(far: &RemoteLab) {
    for n in 0..20 {
        far.lab.write(
            &format!("home/ann/papers/{n:02}.txt"),
            &format!("paper {n}\n"),
        );
    }
    odd::fill(&far.lab);
    let folder = far.lab.path("home/ann/odd");
    for name in NO_SERVER_HOLDS {
        fs::write(folder.join(OsStr::from_bytes(name)), name).unwrap();
    }
}

/// The contents of all files of the source, each once.
fn contents(far: &RemoteLab) -> BTreeSet<Vec<u8>> {
    let all = walkdir::WalkDir::new(far.lab.path("home")).into_iter();
    all.map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| fs::read(entry.path()).unwrap())
        .collect()
}

fn first_upload(far: &RemoteLab) {
    let said = uploaded(&night(far, 1));
    let count = contents(far).len();
    assert!(said.contains(&format!("{count} new contents")), "{said}");
    assert_eq!(far.files("manifests"), [format!("{}.mtree.zst", id(1))]);
    let objects = far.files("objects");
    assert_eq!(objects.len(), count);
    for name in &objects {
        let (folder, digest) = name.split_once('/').unwrap();
        assert!(
            schema::Digest::from_hex(digest.as_bytes()).is_some(),
            "{name}"
        );
        assert_eq!(folder, &digest[..2]);
    }
}

fn nothing_changed(far: &RemoteLab) {
    let before = there(far);
    let said = uploaded(&far.backup(&day(2)));
    assert!(said.contains("has nothing that"), "{said}");
    assert_eq!(there(far), before);
}

fn all_renamed(far: &RemoteLab) {
    let before = there(far);
    let papers = far.lab.path("home/ann/papers");
    fs::rename(papers, far.lab.path("home/ann/letters")).unwrap();
    fs::copy(
        far.lab.path("home/ann/photo.jpg"),
        far.lab.path("home/bob/photo too.jpg"),
    )
    .unwrap();
    let said = uploaded(&far.backup(&day(3)));
    assert!(said.contains("0 new contents (0 B) uploaded"), "{said}");
    // Its manifest and its record are new.
    assert_eq!(touched(&before, far), 0);
    assert_eq!(there(far).len(), before.len() + 2);
}

fn killed_server(far: &mut RemoteLab) {
    write_night(far, 4);
    for n in 0..MANY {
        far.lab.write(
            &format!("home/ann/many/{n}"),
            &format!("one of many: {n}\n"),
        );
    }
    let until = write_big(far, "a");
    let child = far.started(&day(4));
    wait_for("the upload", || far.bytes_there() > until);
    far.stop();
    wait_for_child(child, &["apply"])
        .expect(1)
        .says("connection failed")
        .hints("rclone --config=");
    let before = there(far);
    far.start();
    assert_eq!(listed(far), [id(3), id(1)]);
    let said = uploaded(&night(far, 5));
    assert!(touched(&before, far) <= IN_HAND, "{said}");
    assert_eq!(listed(far), [id(5), id(3), id(1)]);
    on_b2(far, &["pin", &id(5)]).expect(0);
}

fn killed_client(far: &RemoteLab) {
    write_night(far, 6);
    let until = write_big(far, "b");
    let mut child = far.started(&day(6));
    wait_for("the upload", || far.bytes_there() > until);
    child.kill().unwrap();
    wait_for_child(child, &["apply"]);
    let before = there(far);
    // The run goes on.
    let said = uploaded(&far.backup(&day(6)));
    assert!(touched(&before, far) <= IN_HAND, "{said}");
    on_b2(far, &["verify", "--full"]).expect(0);
}

fn flipped_byte(far: &RemoteLab) {
    flip_at(far, BIG as u64 / 2);
    on_b2(far, &["verify", "--quick"]).expect(0);
    on_b2(far, &["verify", "--full"])
        .expect(3)
        .says("home/ann/big.bin")
        .says("uploads them again");
    let said = uploaded(&night(far, 7));
    assert!(said.contains("2 new contents (3.0 MiB)"), "{said}");
    on_b2(far, &["verify", "--full"]).expect(0);
}

/// `list`, `find` and `diff`.
fn looked_into(far: &RemoteLab) {
    // What has the first has the second night, too, and the rules know of an upload from the next night on.
    assert_eq!(listed(far), [id(7), id(6), id(5)]);
    on_b2(far, &["list"]).expect(0).says("pinned");
    on_b2(far, &["find", "daily.txt"])
        .expect(0)
        .says(&id(5))
        .says(&id(6))
        .says(&id(7));
    on_b2(far, &["diff", &id(6), &id(7)])
        .expect(0)
        .says("home/ann/daily.txt");
}

/// What the rules let go is taken away, and what others need or a person pinned is not.
fn let_go(far: &RemoteLab) {
    let object = |n: u32| {
        let digest = schema::Digest::of(of_night(n).as_bytes()).to_string();
        format!("{}/{digest}", &digest[..2])
    };
    let has = |n: u32| far.files("objects").contains(&object(n));
    assert!(has(1) && has(5));
    for n in 8..=10 {
        night(far, n);
    }
    // Of the first two snapshots nothing is left, and of the pinned one all.
    assert!(!has(1), "what only those had that were let go is there");
    assert!(has(5));
    assert_eq!(listed(far), [id(10), id(9), id(8), id(5)]);
    let records = far.files("records");
    for n in [1, 3] {
        assert!(!records.contains(&format!("{}.json", id(n))), "{records:?}");
        let expired = format!("{}.expired.json", id(n));
        assert!(!records.contains(&expired), "{records:?}");
    }
    let notes = |name: &&String| name.starts_with("upload-") || name.starts_with("expiry-");
    assert_eq!(records.iter().filter(notes).count(), 0, "{records:?}");
    on_b2(far, &["verify", "--full"]).expect(0);
}

/// Half of the files are gone: nothing of that goes up, and nothing is let go for it.
fn damaged_source(far: &RemoteLab) {
    let both = || ["objects", "manifests"].map(|folder| far.files(folder));
    let before = both();
    let home = far.lab.path("home/ann");
    let away = far.lab.path("away");
    let modified = fs::metadata(&home).unwrap().modified().unwrap();
    fs::create_dir(&away).unwrap();
    for name in entry_names(&home) {
        fs::rename(home.join(&name), away.join(&name)).unwrap();
    }
    far.at(&day(11), &["apply"]).expect(3).says("is suspect");
    assert_eq!(both(), before);
    for name in entry_names(&away) {
        fs::rename(away.join(&name), home.join(&name)).unwrap();
    }
    fs::File::open(&home)
        .unwrap()
        .set_modified(modified)
        .unwrap();
}

fn restored(far: &RemoteLab) {
    // Machine and drive are gone: the configuration and the remote are all there is.
    for lost in ["mnt", "state", "log"] {
        fs::remove_dir_all(far.lab.path(lost)).unwrap();
    }
    let (home, back) = (far.lab.text("home"), far.lab.text("back"));
    on_b2(far, &["restore", "latest", &home, &back]).expect(0);
    let (back, was) = (odd::told(Path::new(&back)), odd::told(Path::new(&home)));
    for (path, told) in &was {
        assert_eq!(back.get(path), Some(told), "{}", path.display());
    }
    assert_eq!(back.len(), was.len());
    let (daily, file) = (far.lab.text("home/ann/daily.txt"), far.lab.text("file"));
    on_b2(far, &["restore", &id(5), &daily, &file]).expect(0);
    assert_eq!(fs::read_to_string(file).unwrap(), of_night(5));
}

/// All at once, since a row waits more than it works: the first one, and with `KILLS` set each.
#[test]
fn each_server_keeps_snapshots_as_its_row_says() {
    let rows = [
        ("history_webdav", Protocol::Webdav, false),
        ("history_sftp", Protocol::Sftp, false),
        ("history_s3_encrypted", Protocol::S3, true),
        ("history_webdav_encrypted", Protocol::Webdav, true),
        ("history_sftp_encrypted", Protocol::Sftp, true),
        ("history_s3", Protocol::S3, false),
    ];
    let rows = rows.into_iter().take(all_or(1));
    at_once(rows.map(|(name, protocol, crypt)| (name, move || row(name, protocol, crypt))));
}
