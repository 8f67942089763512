//! Verbs on remotes with history: what is there, what changed, bringing it back, whether it is whole.

use std::{
    ffi::OsStr,
    fs::{self, File},
    net::{TcpListener, TcpStream},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, MetadataExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use test_support::{is_missing, restore_with_example, run_tool};

use crate::{
    cloud::remote,
    lab::{HOST, Lab, contents_below, id_of, is_installed, skip, wait_for},
};

pub(crate) const FIRST: &str = "2025-03-05T02:00:00+01:00";
pub(crate) const SECOND: &str = "2025-03-06T02:00:00+01:00";
pub(crate) const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// A lab with the remote `b2` beside `local`, which is the folder `far`.
pub(crate) fn lab(test: &str) -> Option<Lab> {
    if !is_installed("rclone") {
        skip(&format!("{test} because rclone is not installed"));
        return None;
    }
    let mut lab = Lab::new();
    fs::create_dir(lab.path("far")).unwrap();
    point_to(&lab, &lab.path("far"));
    let file = lab.text("rclone.conf");
    lab.set("destinations", json!({}));
    lab.set(
        "destinations.b2",
        json!({ "type": "remote", "remote": "far:", "configFile": file, "keepLast": 0 }),
    );
    Some(lab)
}

/// Has the remote be this folder.
pub(crate) fn point_to(lab: &Lab, folder: &Path) {
    let config = format!("[far]\ntype = alias\nremote = {}\n", folder.display());
    remote(lab, &config);
}

/// Has nobody answer for the remote.
pub(crate) fn cut_off(lab: &Lab) {
    remote(
        lab,
        "[far]\ntype = webdav\nurl = http://127.0.0.1:9/\nvendor = other\n",
    );
}

/// A path in the host's folder behind the remote.
pub(crate) fn far(lab: &Lab, relative: &str) -> PathBuf {
    lab.path("far").join("Backups").join(HOST).join(relative)
}

/// The objects behind the remote, by their paths.
pub(crate) fn objects(lab: &Lab) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(far(lab, "objects")).into_iter();
    let files = all
        .map(Result::unwrap)
        .filter(|one| one.file_type().is_file());
    let mut paths: Vec<PathBuf> = files.map(walkdir::DirEntry::into_path).collect();
    paths.sort();
    paths
}

/// Makes a snapshot and uploads it.
pub(crate) fn back_up(lab: &Lab, now: &str) {
    lab.at(now, &["apply"]).expect(0);
}

/// The machine is lost with its disk: what is left is the configuration and the remote.
pub(crate) fn lose_machine(lab: &Lab) {
    fs::remove_dir_all(lab.path("mnt")).unwrap();
    fs::remove_dir_all(lab.path("state")).unwrap();
}

/// The snapshots of `b2` in a list.
fn listed(list: &Value) -> Vec<&str> {
    let all = list["destinations"]["b2"]["snapshots"].as_array().unwrap();
    all.iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[test]
fn a_new_machine_lists_and_restores_from_the_remote_alone() {
    let Some(mut lab) = lab("a_new_machine") else {
        return;
    };
    back_up(&lab, FIRST);
    lab.write("home/ann/letter.txt", "dear both\n");
    back_up(&lab, SECOND);
    let home = contents_below(&lab.path("home"));
    lose_machine(&lab);
    fs::remove_dir_all(lab.path("home")).unwrap();
    let list = lab.at(THIRD, &["list", "--json"]).expect(0).json();
    assert_eq!(listed(&list), [id_of(SECOND), id_of(FIRST)]);
    let whole = &list["destinations"]["b2"]["snapshots"];
    let mut whole = whole.as_array().unwrap().iter();
    assert!(whole.all(|one| one["manifest_fault"].is_null() && one["complete"] == true));
    let letter = lab.text("home/ann/letter.txt");
    let out = lab.text("out");
    // Without a name the nearest that is there is taken, and it is said which that is.
    lab.run(&["restore", "latest", &letter, &out])
        .expect(0)
        .says("b2 is used (local: destination not mounted");
    assert_eq!(fs::read_to_string(lab.path("out")).unwrap(), "dear both\n");
    fs::remove_file(lab.path("out")).unwrap();
    lab.run(&[
        "restore",
        "--destination",
        "b2",
        "2025-03-05",
        &letter,
        &out,
    ])
    .expect(0);
    assert_eq!(fs::read_to_string(lab.path("out")).unwrap(), "dear all\n");
    let all = lab.text("all");
    lab.run(&["restore", "latest", &lab.text("home"), &all])
        .expect(0);
    assert_eq!(contents_below(&lab.path("all")), home);
    // One that has no drive at all, and a folder for downloads of its own.
    lab.set("local", json!({}));
    fs::remove_dir_all(lab.path("state")).unwrap();
    fs::create_dir(lab.path("room")).unwrap();
    let staging = ["--staging", &lab.text("room")];
    let again = lab.text("again");
    let words = ["restore", "latest", &lab.text("home"), &again];
    let ran = lab.run(&[&words[..], &staging].concat()).expect(0);
    assert!(!ran.stderr.contains("is used"), "{ran}");
    assert_eq!(contents_below(&lab.path("again")), home);
    assert_eq!(fs::read_dir(lab.path("room")).unwrap().count(), 0);
    // What was downloaded for it is gone with it.
    let left = fs::read_dir(lab.path("state")).unwrap();
    let left = left.map(|one| one.unwrap().file_name());
    assert!(
        left.filter(|name| name.as_bytes().starts_with(b"download-"))
            .count()
            == 0
    );
}

#[test]
fn what_a_remote_cannot_hold_comes_back_from_the_manifest() {
    let tools = ["rsync", "setfattr", "setfacl"];
    if is_missing("what_a_remote_cannot_hold", &tools, false) {
        return;
    }
    let Some(lab) = lab("what_a_remote_cannot_hold") else {
        return;
    };
    let home = lab.path("home");
    fs::hard_link(home.join("ann/letter.txt"), home.join("bob/linked.txt")).unwrap();
    symlink("../ann/letter.txt", home.join("bob/symlink")).unwrap();
    fs::create_dir(home.join("empty")).unwrap();
    fs::write(home.join("nothing"), "").unwrap();
    for name in [
        &b"new\nline"[..],
        b"back\\slash",
        b"no text \xff",
        b" blank ",
        b"a:b*c?",
    ] {
        fs::write(home.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let sparse = File::create(home.join("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    sparse.write_at(b"end", (64 << 20) - 3).unwrap();
    for command in [
        [
            "setfattr",
            "-n",
            "user.note",
            "-v",
            "kept",
            "ann/letter.txt",
        ]
        .as_slice(),
        &["setfacl", "-m", "u:12345:r", "ann/photo.jpg"],
        &["chmod", "0750", "bob"],
        &[
            "touch",
            "-d",
            "2001-02-03 04:05:06.789",
            "bob/notes/list.md",
        ],
    ] {
        let mut run = Command::new(command[0]);
        run.args(&command[1..]).current_dir(&home);
        assert!(run.status().unwrap().success(), "{command:?}");
    }
    back_up(&lab, FIRST);
    lose_machine(&lab);
    lab.run(&[
        "restore",
        "--destination",
        "b2",
        "latest",
        "/",
        &lab.text("all"),
    ])
    .expect(0);
    let restored = lab.path("all").join(home.strip_prefix("/").unwrap());
    let differences = |one: &Path, other: &Path| {
        let [one, other] = [one, other].map(|path| format!("{}/", path.display()));
        let options = ["-aHAXnic", "--delete", "--modify-window=-1"];
        run_tool("rsync", options.into_iter().chain([&*one, &*other]))
    };
    assert_eq!(differences(&home, &restored), "");
    // By the page on formats alone it comes back the same.
    let (all, by_page) = (lab.path("all"), lab.path("by the page"));
    let paths = [Path::new("/"), &by_page];
    if let Some(read) = restore_with_example("odd names", &far(&lab, ""), &id_of(FIRST), paths) {
        read.expect(0);
        assert_eq!(differences(&all, &by_page), "");
    }
    let blocks = fs::metadata(restored.join("sparse")).unwrap().blocks();
    assert!(blocks * 512 < 1 << 20, "{blocks}");
    let inode = |name: &str| fs::metadata(restored.join(name)).unwrap().ino();
    assert_eq!(inode("ann/letter.txt"), inode("bob/linked.txt"));
    // A folder of it, and the end of a path that was typed.
    lab.run(&[
        "restore",
        "--destination",
        "b2",
        "latest",
        "home/bob",
        &lab.text("bob"),
    ])
    .expect(0);
    assert_eq!(
        contents_below(&lab.path("bob")),
        contents_below(&home.join("bob"))
    );
}

#[test]
fn what_changed_is_found_on_the_remote_and_from_memory_where_nobody_answers() {
    let Some(lab) = lab("what_changed_is_found") else {
        return;
    };
    back_up(&lab, FIRST);
    lab.write("home/ann/letter.txt", "dear both\n");
    lab.write("home/new.txt", "new\n");
    back_up(&lab, SECOND);
    lose_machine(&lab);
    let find = ["find", "--destination", "b2", "letter.txt"];
    let told = lab.run(&find).expect(0);
    told.says("2025-03-05_02-00-00").says("2025-03-06_02-00-00");
    let diff = ["diff", "--destination", "b2", "2025-03-05", "latest"];
    lab.run(&diff).expect(0).says("new.txt").says("letter.txt");
    let list = ["list", "--destination", "b2"];
    let there = lab.run(&list).expect(0);
    cut_off(&lab);
    for verb in [&find[..], &diff, &list] {
        let away = lab.run(verb).expect(0).says("cannot be asked now");
        assert!(!away.stderr.contains("cloud | "), "{away}");
    }
    assert_eq!(lab.run(&list).stdout, there.stdout);
    // Who names none gets what is known, and waits for nobody.
    let quiet = lab.run(&["find", "letter.txt"]).expect(0);
    assert!(
        !quiet.stderr.contains("cannot be asked"),
        "{}",
        quiet.stderr
    );
    // What is to be brought is not there.
    lab.run(&[
        "restore",
        "--destination",
        "b2",
        "latest",
        &lab.text("home/new.txt"),
        &lab.text("out"),
    ])
    .expect(1)
    .says("connection failed");
    // Compared with what is there now.
    point_to(&lab, &lab.path("far"));
    lab.write("home/later.txt", "later\n");
    lab.run(&["diff", "--destination", "b2", "latest", "now"])
        .expect(0)
        .says("later.txt");
}

#[test]
fn the_nearest_that_has_it_is_taken_and_told() {
    let Some(mut lab) = lab("the_nearest_that_has_it") else {
        return;
    };
    fs::create_dir(lab.path("usb")).unwrap();
    lab.set(
        "destinations.usb",
        json!({ "type": "disk", "mountPoint": lab.path("usb"), "requireMount": false,
            "useRsync": false, "minSpaceGB": 0, "keepLast": 0 }),
    );
    lab.at(FIRST, &["apply", "--only", "local", "b2"]).expect(0);
    lab.write("home/ann/letter.txt", "dear both\n");
    lab.at(SECOND, &["apply"]).expect(0);
    let letter = lab.text("home/ann/letter.txt");
    let restore =
        |snapshot: &str, out: &str| lab.run(&["restore", snapshot, &letter, &lab.text(out)]);
    let read = |out: &str| fs::read_to_string(lab.path(out)).unwrap();
    // All of them have it.
    let local = restore("latest", "one").expect(0);
    assert!(!local.stderr.contains("is used"), "{}", local.stderr);
    // Only the remote has it.
    lab.at(THIRD, &["delete", "--yes", "2025-03-05"]).expect(0);
    restore("2025-03-05", "two")
        .expect(0)
        .says("b2 is used (local: there is no snapshot");
    assert_eq!(
        (read("one").as_str(), read("two").as_str()),
        ("dear both\n", "dear all\n")
    );
    // The disk before the remote.
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    restore("latest", "three")
        .expect(0)
        .says("usb is used (local: destination not mounted");
    let found = lab.run(&["find", "letter.txt"]).expect(0);
    found.says("usb is used");
    lab.run(&["diff", "2025-03-05", "2025-03-06"])
        .expect(0)
        .says("b2 is used (local: destination not mounted")
        .says("letter.txt");
    // Nobody has it.
    restore("2024", "four")
        .expect(4)
        .says("local: ")
        .says("usb: ")
        .says("b2: ");
    // All are listed, whichever is there.
    let list = lab.at(THIRD, &["list"]).expect(0);
    list.says("usb").says("b2");
}

#[test]
fn another_disk_in_the_place_of_one_holds_no_remote_up() {
    let Some(lab) = lab("another_disk_in_the_place") else {
        return;
    };
    back_up(&lab, FIRST);
    // As if it were that of somebody else.
    let record = lab.stored(".backup/destination.json");
    let mut other: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    other["id"] = json!("0123456789abcdef0123456789abcdef");
    fs::write(&record, other.to_string()).unwrap();
    lab.write("home/ann/letter.txt", "dear both\n");
    let report = lab.at(SECOND, &["apply", "--json"]).expect(3).json();
    assert_eq!(report["destinations"]["local"]["result"], "refused");
    assert_eq!(report["destinations"]["b2"]["result"], "success");
    let (letter, out) = (lab.text("home/ann/letter.txt"), lab.text("out"));
    let restore = ["restore", "--destination", "b2", "latest", &letter, &out];
    lab.run(&restore).expect(0);
    assert_eq!(fs::read_to_string(lab.path("out")).unwrap(), "dear both\n");
}

#[test]
fn what_is_for_disks_is_refused_on_a_remote() {
    let Some(lab) = lab("what_is_for_disks") else {
        return;
    };
    back_up(&lab, FIRST);
    for verb in [&["adopt", "--yes"][..], &["init"], &["view", "--remove"]] {
        let words = [verb, &["--destination", "b2"]].concat();
        lab.run(&words).expect(4).says("b2 is a remote");
    }
    let list = lab
        .run(&["list", "--destination", "b2", "--json"])
        .expect(0);
    assert_eq!(list.json()["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn a_status_says_how_a_remote_stands_without_asking_it() {
    let Some(lab) = lab("a_status_says") else {
        return;
    };
    back_up(&lab, FIRST);
    lab.write("home/new.txt", "new\n");
    back_up(&lab, SECOND);
    cut_off(&lab);
    let status = lab.at(THIRD, &["status", "--json"]).expect(0).json();
    let own = &status["destinations"]["b2"];
    assert_eq!(own["snapshots"], 2);
    assert_eq!(own["last_good"]["id"], id_of(SECOND));
    assert_eq!(own["by_tier"]["daily"], 2);
    assert_eq!(own["destination"], Value::Null);
    lab.at(THIRD, &["status"]).expect(0).says("b2");
    // A health check asks it, and says what is wrong in the keys of the one that is meant.
    let health = lab.at(THIRD, &["health", "--quick"]).expect(3);
    health
        .says("the remote of destinations.b2.* cannot be listed")
        .hints("destinations.b2.configFile");
}

/// A server of rclone, which ends with this.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Serves the folder `far` by WebDAV, and has the remote be that.
pub(crate) fn serve(lab: &Lab) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut command = Command::new("rclone");
    command
        .args(["serve", "webdav"])
        .arg(lab.path("far"))
        .args(["--addr", &address, "--config", "/dev/null"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Server(command.spawn().unwrap());
    wait_for("the server", || TcpStream::connect(&address).is_ok());
    remote(
        lab,
        &format!("[far]\ntype = webdav\nurl = http://{address}/\nvendor = other\n"),
    );
    server
}

#[test]
fn a_server_gives_a_new_machine_all_that_it_had() {
    let Some(lab) = lab("a_server_gives") else {
        return;
    };
    let server = serve(&lab);
    back_up(&lab, FIRST);
    lab.write("home/ann/letter.txt", "dear both\n");
    back_up(&lab, SECOND);
    let home = contents_below(&lab.path("home"));
    lose_machine(&lab);
    let list = lab.at(THIRD, &["list", "--json"]).expect(0).json();
    assert_eq!(listed(&list), [id_of(SECOND), id_of(FIRST)]);
    let out = lab.text("all");
    lab.run(&["restore", "latest", &lab.text("home"), &out])
        .expect(0);
    assert_eq!(contents_below(&lab.path("all")), home);
    lab.run(&["verify", "--destination", "b2", "--full"])
        .expect(0);
    lab.run(&["pin", "--destination", "b2", "latest"]).expect(0);
    drop(server);
    let list = lab.at(THIRD, &["list", "--destination", "b2"]).expect(0);
    list.says("pinned").says("cannot be asked now");
}
