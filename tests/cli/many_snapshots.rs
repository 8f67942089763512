//! A destination with many snapshots: what each of them costs a run that changes nothing, and that what
//! was once read of them is never taken for more than it is.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use backup::{Engine, Silent, engine::read_config};
use schema::Inventory;
use test_support::{Random, flip_byte, is_missing, read_by_format_page, run_tool};

use crate::lab::{Lab, plan_action, wait_for};

/// A lab that keeps whatever stands on its destination.
fn lab(snapshots: usize) -> Lab {
    let mut lab = Lab::new();
    lab.set("local.keepHourly", 5000);
    lab.backup(&hour(0));
    lab.multiply(snapshots);
    lab
}

/// An hour of March 2025.
fn hour(at: usize) -> String {
    format!("2025-03-{:02}T{:02}:00:00+00:00", at / 24 + 1, at % 24)
}

/// The indexes of records, one for each destination.
fn indexes(lab: &Lab) -> Vec<PathBuf> {
    let folder = lab.path("state/record-index");
    let all = fs::read_dir(folder).into_iter().flatten();
    all.map(|entry| entry.unwrap().path()).collect()
}

/// Ids of the snapshots that are in an index.
fn indexed(lab: &Lab) -> Vec<String> {
    let texts = indexes(lab).into_iter();
    let texts = texts.map(|path| fs::read_to_string(path).unwrap_or_default());
    let lines = texts.map(|text| -> Vec<String> {
        let lines = text.lines().skip(2);
        lines.map(|line| line[..19].to_owned()).collect()
    });
    lines.flatten().collect()
}

/// Backs up, each time an hour later, until nearly all snapshots are in the index: what was written a
/// moment ago is not taken into it, and each of these runs writes a record more.
#[track_caller]
fn fill_index(lab: &Lab, next: &mut usize) {
    wait_for("an index of nearly all records", || {
        std::thread::sleep(Duration::from_secs(2));
        *next += 1;
        lab.backup(&hour(*next));
        let known = indexed(lab);
        let ids = lab.ids();
        let lacking = ids.iter().filter(|id| !known.contains(id)).count();
        lacking <= 16 + ids.len() / 50
    });
}

/// The system calls of a verb that look at something or read it, each on a line with its paths.
fn traced_calls(lab: &Lab, arguments: &[&str]) -> String {
    let trace = lab.path("trace");
    let options = [
        "-f",
        "-y",
        "-qq",
        "-e",
        "trace=openat,openat2,statx,read,getdents64",
        "-o",
        trace.to_str().unwrap(),
    ];
    let mut command = lab.command_below("strace", &options, arguments);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(
        status
            .unwrap()
            .code()
            .is_some_and(|code| code == 0 || code == 3)
    );
    fs::read_to_string(&trace).unwrap()
}

/// How often each of these system calls is made on the destination.
fn count_calls(lab: &Lab, arguments: &[&str]) -> BTreeMap<&'static str, usize> {
    let text = traced_calls(lab, arguments);
    let on_disk = format!("<{}", lab.text("mnt"));
    let count = |name: &str| {
        let begun = format!(" {name}");
        let made = text.lines().filter(|line| line.contains(&begun));
        made.filter(|line| line.contains(&on_disk)).count()
    };
    [
        ("open", "open"),
        ("statx", "statx("),
        ("read", "read("),
        ("list", "getdents64("),
    ]
    .map(|(name, call)| (name, count(call)))
    .into()
}

#[test]
fn a_snapshot_more_costs_a_few_system_calls() {
    let test = "a_snapshot_more_costs_a_few_system_calls";
    if is_missing(test, &["strace"], false) {
        return;
    }
    let lab = lab(40);
    let mut next = 0;
    fill_index(&lab, &mut next);
    let verbs: [&[&str]; 4] = [&["plan"], &["status"], &["list"], &["restore", "--list"]];
    let measure = |next: usize| {
        let now = hour(next + 1);
        let mut all: Vec<_> = verbs.iter().map(|verb| count_calls(&lab, verb)).collect();
        all.push(count_calls(&lab, &["apply", "--fresh", "--now", &now]));
        all
    };
    let few = measure(next);
    next += 1;
    const MORE: usize = 200;
    lab.multiply(MORE);
    fill_index(&lab, &mut next);
    let many = measure(next);
    // What is read beside the index.
    const BESIDE: usize = 100;
    for ((few, many), verb) in few.iter().zip(&many).zip(0..) {
        for (call, limit) in [("open", 0), ("statx", 4), ("read", 0), ("list", 0)] {
            let more = many[call].saturating_sub(few[call]);
            assert!(
                more <= MORE * limit + BESIDE,
                "{call} of verb {verb}: {more} more for {MORE} snapshots more"
            );
        }
    }
}

#[test]
fn health_reads_each_record_once_and_a_run_asks_once_who_can_change_its_state() {
    let test = "health_reads_each_record_once";
    if is_missing(test, &["strace"], false) {
        return;
    }
    let lab = lab(20);
    lab.backup(&hour(1));
    let count = |text: &str, call: &str, folder: &str, name: &str| {
        let (folder, name) = (format!("/{folder}>"), format!("\"{name}\""));
        let calls = text.lines().filter(|line| line.contains(call));
        let there = calls.filter(|line| line.contains(&folder) && line.contains(&name));
        there.count()
    };
    let text = traced_calls(&lab, &["health", "--quick"]);
    for id in lab.ids() {
        let folder = format!(".backup/snapshots/{id}");
        assert_eq!(count(&text, " open", &folder, "snapshot.json"), 1, "{id}");
    }
    let text = traced_calls(&lab, &["apply", "--fresh", "--now", &hour(2)]);
    // Nothing but that is asked of what a run was made from that ended long ago.
    let folder = format!("state/runs/{}", lab.runs()[0]);
    assert_eq!(count(&text, " statx(", &folder, "config.json"), 1);
}

/// What is found of the destination, less the room on it, which others take and give.
fn inventory(lab: &Lab, now: &str) -> Inventory {
    let config = read_config(&lab.path("config.json")).unwrap().config;
    let engine =
        Engine::open(config, lab.path("state")).with_supposed_time(Some(now.parse().unwrap()));
    let mut found = engine.take_inventory(&Silent).unwrap();
    if let Some(destination) = &mut found.destination {
        destination.free_bytes = 0;
        destination.free_inodes = None;
    }
    found
}

/// Does something to the destination, to what is said of its snapshots or to the index; gives what.
fn change(lab: &Lab, random: &mut Random, next: &mut usize) -> String {
    let ids = lab.ids();
    let id = ids[random.index_below(ids.len())].clone();
    let beside = |name: &str| lab.stored(&format!(".backup/snapshots/{id}/{name}"));
    let record = beside("snapshot.json");
    let copy = |from: PathBuf, to: PathBuf| {
        run_tool("rm", ["-rf".as_ref(), to.as_os_str()]);
        run_tool("cp", ["-a".as_ref(), from.as_os_str(), to.as_os_str()]);
    };
    let any = |what: &str| {
        // Some of what is there refuses it, as it should.
        lab.run(&[what, &id]);
        format!("{what} {id}")
    };
    match random.below(16) {
        0..=2 => {
            *next += 1;
            lab.write("home/ann/letter.txt", &format!("dear all, {next}\n"));
            lab.at(&hour(*next), &["apply", "--fresh"]);
            format!("apply {next}")
        }
        3 => any("pin"),
        4 => any("unpin"),
        5 => {
            lab.run(&["delete", "--yes", &id]);
            format!("delete {id}")
        }
        6 if record.exists() => {
            flip_byte(&record);
            format!("flip a byte of the record of {id}")
        }
        7 if record.exists() => {
            // Of the same length and with the times of before: only the time of the change tells.
            let text = fs::read_to_string(&record).unwrap();
            let times = fs::metadata(&record).unwrap();
            fs::write(
                &record,
                text.replace("\"complete\": true", "\"complete\": 1234"),
            )
            .unwrap();
            let file = fs::File::options().append(true).open(&record).unwrap();
            file.set_modified(times.modified().unwrap()).unwrap();
            format!("change the record of {id}")
        }
        8 if record.exists() => {
            fs::remove_file(&record).unwrap();
            format!("remove the record of {id}")
        }
        9 if record.exists() => {
            fs::write(beside("marks.json"), "{").unwrap();
            format!("damage the marks of {id}")
        }
        10 => {
            lab.run(&["verify", "--all", "--repair", "--yes"]);
            "repair".to_owned()
        }
        11 => {
            copy(lab.path("mnt"), lab.path("saved"));
            "save the disk".to_owned()
        }
        12 if lab.path("saved").exists() => {
            copy(lab.path("saved"), lab.path("mnt"));
            "put the saved disk back".to_owned()
        }
        13 if lab.path("saved").exists() => {
            // Two disks of one id take turns.
            fs::rename(lab.path("mnt"), lab.path("turn")).unwrap();
            fs::rename(lab.path("saved"), lab.path("mnt")).unwrap();
            fs::rename(lab.path("turn"), lab.path("saved")).unwrap();
            "change the disk".to_owned()
        }
        14 => {
            copy(lab.path("state/record-index"), lab.path("old-index"));
            "save the index".to_owned()
        }
        15 if lab.path("old-index").exists() => {
            copy(lab.path("old-index"), lab.path("state/record-index"));
            "put the old index back".to_owned()
        }
        _ => "nothing".to_owned(),
    }
}

#[test]
fn an_inventory_with_an_index_is_the_one_without() {
    let lab = lab(30);
    let mut random = Random::from_environment(6);
    let mut next = 0;
    fill_index(&lab, &mut next);
    let mut done = Vec::new();
    for _ in 0..40 {
        done.push(change(&lab, &mut random, &mut next));
        let now = hour(next + 1);
        let with = inventory(&lab, &now);
        let (index, aside) = (lab.path("state/record-index"), lab.path("aside"));
        let is_there = fs::rename(&index, &aside).is_ok();
        let without = inventory(&lab, &now);
        if is_there {
            fs::rename(&aside, &index).unwrap();
        }
        assert_eq!(with, without, "after {done:#?}");
    }
}

#[test]
fn an_index_that_is_not_what_was_written_is_as_none() {
    let lab = lab(30);
    let mut next = 0;
    fill_index(&lab, &mut next);
    let now = hour(next + 1);
    let expected = inventory(&lab, &now);
    let [index] = &indexes(&lab)[..] else {
        panic!("{:?}", indexes(&lab));
    };
    if let Some(read) = read_by_format_page("the index", "state", &lab.path("state")) {
        assert!(read.expect(0).json()["indexed"].as_array().unwrap().len() > 20);
    }
    let whole = fs::read(index).unwrap();
    let forged =
        String::from_utf8_lossy(&whole).replace("\"complete\": true", "\"complete\": false");
    assert_ne!(forged.as_bytes(), whole);
    let damages: [(&str, Vec<u8>); 5] = [
        ("empty", Vec::new()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("forged", forged.into_bytes()),
        ("no text", vec![0xff; 5000]),
        ("without a digest", b"\n".to_vec()),
    ];
    for (what, bytes) in damages {
        fs::write(index, bytes).unwrap();
        assert_eq!(inventory(&lab, &now), expected, "{what}");
    }
    // One that others can write to decides nothing, and is no reason to do nothing.
    fs::write(index, &whole).unwrap();
    fs::set_permissions(index, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(inventory(&lab, &now), expected);
    fs::remove_file(index).unwrap();
    fs::create_dir(index).unwrap();
    assert_eq!(inventory(&lab, &now), expected);
    // It is made anew.
    lab.backup(&hour(next + 2));
    assert!(fs::metadata(index).unwrap().is_file());
    let read = fs::read_to_string(index).unwrap();
    assert!(read.lines().count() > 20, "{read}");
}

#[test]
fn only_a_run_writes_the_index_and_only_where_there_are_many() {
    let lab = lab(3);
    lab.backup(&hour(1));
    assert_eq!(indexes(&lab), Vec::<PathBuf>::new());
    lab.multiply(40);
    let mut next = 2;
    fill_index(&lab, &mut next);
    let [index] = &indexes(&lab)[..] else {
        panic!("{:?}", indexes(&lab));
    };
    fs::write(index, "gone").unwrap();
    for verb in [
        &["plan", "--dry-run"][..],
        &["status"],
        &["list"],
        &["restore", "--list"],
    ] {
        lab.run(verb);
    }
    assert_eq!(fs::read_to_string(index).unwrap(), "gone");
}

#[test]
fn what_a_snapshot_is_linked_to_is_read_whatever_the_index_says() {
    let lab = lab(30);
    let mut next = 0;
    fill_index(&lab, &mut next);
    let newest = lab.ids().pop().unwrap();
    let file = lab.stored(&format!(".backup/snapshots/{newest}/snapshot.json"));
    let record = fs::read_to_string(&file).unwrap();
    flip_byte(&file);
    // As if the disk had forgotten a bit by itself: the index has the record as it was.
    let [index] = &indexes(&lab)[..] else {
        panic!("{:?}", indexes(&lab));
    };
    add_to_index(index, &newest, &fs::metadata(&file).unwrap(), &record);
    let listed = lab.run(&["list", "--json"]).expect(0).json();
    assert!(listed.to_string().contains(&newest), "{listed:#}");
    let plan = lab.at(&hour(next + 1), &["plan", "--json"]).json();
    let snapshot = plan_action(&plan, "snapshot");
    assert_ne!(snapshot["basis"]["id"], newest, "{snapshot:#}");
    // Whoever asks whether all is well is told.
    lab.run(&["health"]).says(&newest);
}

/// Makes an index say that a record was read from a file of which the kernel said this.
fn add_to_index(index: &Path, id: &str, of: &fs::Metadata, record: &str) {
    let text = fs::read_to_string(index).unwrap();
    let (_, body) = text.split_once('\n').unwrap();
    let nanoseconds = |seconds: i64, more: i64| seconds * 1_000_000_000 + more;
    let mtime = nanoseconds(of.mtime(), of.mtime_nsec());
    let ctime = nanoseconds(of.ctime(), of.ctime_nsec());
    let (record, _) = record.split_once(",\n  \"record_digest\"").unwrap();
    let record: String = record.lines().map(str::trim).collect();
    let line = format!(
        "{id} {} {} {mtime} {ctime} {record}}}\n",
        of.ino(),
        of.len()
    );
    let lines = body.lines().filter(|line| !line.starts_with(id));
    let body: String = lines.map(|line| format!("{line}\n")).collect();
    let body = format!("{body}{line}");
    let digest = schema::Digest::of(body.as_bytes());
    fs::write(index, format!("{digest}\n{body}")).unwrap();
}
