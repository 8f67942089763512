//! A run that is ended by a signal stops soon, and the next one goes on where it stopped.

use std::{
    fs,
    process::Child,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::lab::{
    HOST, Lab, PATIENCE, Ran, contents_below, entry_names, id_of, is_alive, wait_for,
    wait_for_child,
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// How soon a run ends that was asked to. Copying is asked after every piece; the rest is room
/// for a busy machine.
const SOON: Duration = Duration::from_secs(3);

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    kill(pid, signal).unwrap();
}

/// Adds files of a megabyte.
fn fill(lab: &Lab, name: &str, count: usize) {
    for index in 0..count {
        let line = format!("{name} {index} ");
        let text = line.repeat((1 << 20) / line.len());
        lab.write(&format!("home/{name}/{index:04}"), &text);
    }
}

/// Files in the unfinished snapshot.
fn begun(lab: &Lab, id: &str) -> Vec<String> {
    let folder = lab.stored(".backup/partial").join(id);
    contents_of(&folder)
}

fn contents_of(folder: &std::path::Path) -> Vec<String> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().display().to_string())
        .collect()
}

/// Starts a backup and sends it a signal once it copies; a machine that is faster than that gets
/// more to copy. Gives the lab and how the run ended.
fn interrupt(signal_to_send: Signal) -> (Lab, Ran) {
    let mut files = 24;
    loop {
        let lab = Lab::new();
        fill(&lab, "big", files);
        // What was touched within a step of the kernel's clock before the run is copied once more
        // when it goes on.
        std::thread::sleep(Duration::from_millis(100));
        let id = id_of(FIRST);
        let arguments = ["apply", "--now", FIRST];
        let mut child = lab.command(&arguments).spawn().unwrap();
        let mut is_over = false;
        wait_for("the first files", || {
            is_over = child.try_wait().unwrap().is_some();
            is_over || begun(&lab, &id).len() > 8
        });
        if !is_over {
            signal(&child, signal_to_send);
        }
        let asked = Instant::now();
        let told = wait_for_child(child, &arguments);
        if told.code != 0 {
            assert!(asked.elapsed() < SOON, "took {:?}", asked.elapsed());
            return (lab, told);
        }
        assert!(files < 5000, "never caught in the act: {told}");
        files *= 4;
    }
}

#[test]
fn an_interrupted_backup_is_continued_and_nothing_is_copied_twice() {
    let (lab, told) = interrupt(Signal::SIGINT);
    told.expect(130).hints("");
    let runs = lab.runs();
    assert_eq!(runs.len(), 1);
    let status = lab.at(FIRST, &["status", "--json"]).json();
    assert_eq!(status["unfinished"]["run_id"], *runs[0]);
    assert_eq!(status["unfinished"]["step"], "snapshot");
    assert_eq!(entry_names(&lab.stored(".backup/partial")), [id_of(FIRST)]);
    assert_eq!(lab.tiers(), [""; 0]);
    assert!(!lab.stored("latest").exists());
    let before = begun(&lab, &id_of(FIRST));
    let inode = |path: &str| {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(path).unwrap().ino()
    };
    // Each thread may have had one in hand, which was cut off.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let done: Vec<(String, u64)> = before
        .iter()
        .filter(|path| fs::metadata(path).unwrap().len() > 1_000_000)
        .map(|path| (path.clone(), inode(path)))
        .collect();

    let report = lab.at(FIRST, &["apply", "--json"]).expect(0).json();
    assert_eq!(report["run_id"], *runs[0]);
    assert_eq!(report["result"], "success");
    assert_eq!(lab.runs(), runs);
    assert_eq!(lab.ids(), [id_of(FIRST)]);
    assert_eq!(entry_names(&lab.stored(".backup/partial")), [""; 0]);
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
    let partial = lab.stored(".backup/partial").join(id_of(FIRST));
    let kept = done
        .iter()
        .filter(|(path, was)| {
            let within = path.strip_prefix(partial.to_str().unwrap()).unwrap();
            let now = lab.stored("latest").join(within.trim_start_matches('/'));
            inode(now.to_str().unwrap()) == *was
        })
        .count();
    assert!(
        kept + threads >= done.len() && kept > 0,
        "{kept} of {} kept",
        done.len()
    );
}

#[test]
fn a_terminated_backup_is_continued() {
    let (lab, told) = interrupt(Signal::SIGTERM);
    told.expect(143);
    // The source goes on living meanwhile.
    lab.write("home/ann/letter.txt", "written in between\n");
    fs::remove_file(lab.path("home/big/0001")).unwrap();
    lab.at(FIRST, &["apply"]).expect(0);
    assert_eq!(lab.runs().len(), 1);
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn a_killed_backup_is_continued() {
    let (lab, told) = interrupt(Signal::SIGKILL);
    told.expect(137);
    lab.at(FIRST, &["apply"]).expect(0);
    assert_eq!(lab.runs().len(), 1);
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn a_new_run_takes_over_what_an_unfinished_one_has_copied() {
    let (lab, told) = interrupt(Signal::SIGINT);
    told.expect(130);
    let report = lab.at(SECOND, &["apply", "--fresh", "--json"]).expect(0);
    let report = report.json();
    assert_eq!(report["snapshot"]["id"], *id_of(SECOND));
    assert_eq!(lab.ids(), [id_of(SECOND)]);
    assert_eq!(lab.runs().len(), 2);
    assert_eq!(entry_names(&lab.stored(".backup/partial")), [""; 0]);
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn an_unfinished_run_waits_for_its_destination() {
    let (lab, told) = interrupt(Signal::SIGINT);
    told.expect(130);
    let (there, away) = (lab.path("mnt").join(HOST), lab.path("away"));
    fs::rename(&there, &away).unwrap();
    lab.at(FIRST, &["apply"]).expect(4).hints("");
    assert_eq!(entry_names(&lab.path("mnt")), [""; 0]);
    fs::rename(&away, &there).unwrap();
    lab.at(FIRST, &["apply"]).expect(0);
    assert_eq!(lab.runs().len(), 1);
}

#[test]
fn a_script_is_ended_with_the_run() {
    let mut lab = Lab::new();
    let pid = lab.text("child.pid");
    let body = format!("sleep 600 & echo $! > '{pid}.new'; mv '{pid}.new' '{pid}'\nwait");
    lab.set("preBackupScript", lab.script("pre", &body));
    let arguments = ["apply", "--now", FIRST];
    let child = lab.command(&arguments).spawn().unwrap();
    wait_for("the script", || lab.path("child.pid").exists());
    let sleeper = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    assert!(is_alive(sleeper));
    signal(&child, Signal::SIGTERM);
    let asked = Instant::now();
    wait_for_child(child, &arguments).expect(143);
    assert!(asked.elapsed() < PATIENCE);
    wait_for("the script's child to end", || !is_alive(sleeper));
    assert_eq!(lab.ids(), [""; 0]);
}
