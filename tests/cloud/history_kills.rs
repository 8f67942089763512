//! An upload, and what lets go and takes away, are ended at each request: by a kill, by a line that is cut, by
//! a server that answers 500. The next run goes on, nothing that was published is lost, nothing is put twice.
//!
//! A few of all requests each time; with `KILLS` set as many as that, spread over all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use executor::{cloud::remote_history::object_file, manifest::Reader};
use schema::{Digest, remote_history::RemoteRecord};
use test_support::{Fate, HttpProxy, Request};

use crate::{
    history_rows::{night, of_night, write_night},
    lab::{HOST, entry_names, wait_for, wait_for_child},
    remote_lab::{Protocol, RemoteLab},
    rows::{all_or, at_once, day, id},
};

/// How many requests of a scenario are its end, each time.
const SAMPLED: usize = 3;
/// Files that rclone has in hand at once: of these nobody may have noted that they were put.
const IN_HAND: usize = 4;

/// How a run is ended at its nth request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The program is killed while the answer is on its way.
    Kill,
    /// That answer is lost, and from then on nothing gets through.
    Cut,
    /// From that request on the server is out of order.
    OutOfOrder,
}

/// What is on the remote before, and what is to be there afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// Nothing, and the first snapshot.
    First,
    /// Six snapshots, of which on the seventh night one more is let go, and all is taken away of the first.
    Seventh,
}

/// A lab whose next run is ended again and again.
struct Swept {
    far: RemoteLab,
    proxy: HttpProxy,
    scenario: Scenario,
}

/// The host's folder behind a server that is not encrypted.
pub(crate) fn behind(far: &RemoteLab, relative: &str) -> PathBuf {
    let host = format!("far/bucket/Backups/{HOST}");
    far.lab.path(host).join(relative)
}

/// The object that one file of a night is.
pub(crate) fn object_of_night(far: &RemoteLab, n: u32) -> PathBuf {
    let name = object_file(Digest::of(of_night(n).as_bytes()));
    behind(far, "objects").join(name)
}

/// The nights whose snapshots are there; each must be whole, whatever happened.
#[track_caller]
pub(crate) fn published(far: &RemoteLab) -> BTreeSet<u32> {
    let names = entry_names(&behind(far, "records"));
    let mut nights = BTreeSet::new();
    for n in 1..=31 {
        let (record, expired) = (format!("{}.json", id(n)), format!("{}.expired.json", id(n)));
        if !names.contains(&record) || names.contains(&expired) {
            continue;
        }
        let record = fs::read(behind(far, "records").join(record)).unwrap();
        let record: RemoteRecord = serde_json::from_slice(&record).unwrap();
        let manifest = behind(far, "manifests").join(format!("{}.mtree.zst", id(n)));
        let digest = Digest::of(&fs::read(&manifest).unwrap());
        assert_eq!(digest, record.snapshot.manifest_digest, "night {n}");
        for entry in Reader::new(File::open(&manifest).unwrap()).unwrap() {
            if let Some(digest) = entry.unwrap().digest {
                let object = behind(far, "objects").join(object_file(digest));
                let content = fs::read(&object).unwrap();
                assert_eq!(
                    Digest::of(&content),
                    digest,
                    "night {n}: {}",
                    object.display()
                );
            }
        }
        nights.insert(n);
    }
    nights
}

/// What machines say there that they are doing.
pub(crate) fn notes(far: &RemoteLab) -> Vec<String> {
    let mut names = entry_names(&behind(far, "records"));
    names.retain(|name| name.starts_with("upload-") || name.starts_with("expiry-"));
    names
}

/// How often each object was put, of which rclone was told that it is there whole.
fn puts(requests: &[Request]) -> BTreeMap<&str, usize> {
    let is_well = |request: &&Request| request.status.is_some_and(|status| status < 300);
    let of_objects = requests.iter().filter(|one| one.path.contains("/objects/"));
    let (mut begun, mut puts) = (BTreeSet::new(), BTreeMap::new());
    for request in of_objects.filter(is_well) {
        let path = request.path.as_str();
        match request.method.as_str() {
            "PUT" => drop(begun.insert(path)),
            "PROPFIND" if begun.remove(path) => *puts.entry(path).or_default() += 1,
            _ => {}
        }
    }
    puts
}

/// Requests as lines.
fn lines(requests: &[Request]) -> String {
    let lines: Vec<String> = requests.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Makes one folder as another is.
fn copy_folder(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(from).arg(to);
    assert!(copy.status().unwrap().success());
}

impl Swept {
    fn new(test: &str, scenario: Scenario) -> Option<Self> {
        let mut far = RemoteLab::with_history(test, Protocol::Webdav, false)?;
        let last = match scenario {
            Scenario::First => 1,
            Scenario::Seventh => 7,
        };
        for n in 1..last {
            night(&far, n);
        }
        write_night(&far, last);
        for n in 0..3 {
            far.lab
                .write(&format!("home/new/{n}"), &format!("new: {n}\n"));
        }
        far.at(&day(last), &["apply", "--only", "local"]).expect(0);
        let proxy = HttpProxy::new(far.port);
        far.connect_by(proxy.port());
        far.stop();
        fs::create_dir(far.lab.path("saved")).unwrap();
        for folder in ["far", "state"] {
            copy_folder(&far.lab.path(folder), &far.lab.path("saved").join(folder));
        }
        far.start();
        Some(Self {
            far,
            proxy,
            scenario,
        })
    }

    /// All as it was before the run.
    fn reset(&mut self) {
        // A server remembers what its folder had.
        self.far.stop();
        for folder in ["far", "state"] {
            let saved = self.far.lab.path("saved").join(folder);
            copy_folder(&saved, &self.far.lab.path(folder));
        }
        self.far.start();
    }

    fn night(&self) -> u32 {
        match self.scenario {
            Scenario::First => 1,
            Scenario::Seventh => 7,
        }
    }

    /// All requests of a run that nothing ends.
    fn undisturbed(&mut self) -> Vec<Request> {
        self.reset();
        self.proxy.mend();
        let night = day(self.night());
        self.far.at(&night, &["apply", "--only", "b2"]).expect(0);
        self.check_end("undisturbed");
        self.proxy.requests()
    }

    /// What is there in the end.
    fn check_end(&self, what: &str) {
        let far = &self.far;
        let (there, gone) = match self.scenario {
            Scenario::First => (vec![1], vec![]),
            Scenario::Seventh => (vec![6, 7], vec![1]),
        };
        // Where the first run had published its own, the second one has one more to let go.
        let mut found = published(far);
        if self.scenario == Scenario::Seventh {
            found.remove(&5);
        }
        assert_eq!(found, there.iter().copied().collect(), "{what}");
        assert_eq!(notes(far), Vec::<String>::new(), "{what}");
        for n in 1..=self.night() {
            let is_there = !gone.contains(&n);
            assert_eq!(object_of_night(far, n).exists(), is_there, "{what}: {n}");
            let manifest = behind(far, "manifests").join(format!("{}.mtree.zst", id(n)));
            assert_eq!(manifest.exists(), is_there, "{what}: {n}");
        }
    }

    /// Ends the run at its nth request, and has the next one go on.
    fn end_at(&mut self, end: End, n: usize) {
        let what = format!("{end:?} at request {n} of {:?}", self.scenario);
        self.reset();
        let far = &self.far;
        let struck = Arc::new(AtomicBool::new(false));
        let strikes = Arc::clone(&struck);
        self.proxy.set(move |at, _| {
            strikes.fetch_or(at >= n, Ordering::Relaxed);
            match end {
                _ if at < n => Fate::Passed,
                End::Kill if at == n => Fate::Held,
                End::Cut if at == n => Fate::Unanswered,
                End::Kill | End::Cut => Fate::Lost,
                End::OutOfOrder => Fate::Answered(500),
            }
        });
        let now = day(self.night());
        let words = ["apply", "--only", "b2"];
        if end == End::Kill {
            let mut command = far.command(&[&words[..], &["--now", &now]].concat());
            let mut child = command.spawn().unwrap();
            wait_for(&what, || self.proxy.is_holding());
            child.kill().unwrap();
            wait_for_child(child, &words);
        } else {
            let ran = far.at(&now, &words);
            // Which of rclone's threads makes a folder that several need is chance, and so is how often it is asked for.
            if ran.code == 0 && !struck.load(Ordering::Relaxed) {
                return;
            }
            let ran = ran.expect_one_of(&[1, 3]);
            let said = if end == End::Cut {
                "connection failed"
            } else {
                "500"
            };
            if ran.code == 3 {
                // All is done, but its note is there still.
                ran.says("a note of this machine stays there");
                assert!(published(far).contains(&self.night()), "{what}");
            } else {
                ran.says(said).hints("rclone --config=");
            }
        }
        let before = self.proxy.requests();
        // Whatever was there is there, but what was to be let go.
        let there = published(far);
        if self.scenario == Scenario::Seventh {
            assert!(there.is_superset(&[5, 6].into()), "{what}: {there:?}");
        }
        self.proxy.mend();
        let later = now.replace("T02:", "T03:");
        let ran = far.at(&later, &words);
        assert_eq!(ran.code, 0, "{what}: {ran}");
        let after = self.proxy.requests();
        let (first, second) = (puts(&before), puts(&after));
        let twice = first.keys().filter(|path| second.contains_key(*path));
        let allowed = if end == End::Kill { IN_HAND } else { 0 };
        assert!(
            twice.count() <= allowed,
            "{what}: {}\n\n{}",
            lines(&before),
            lines(&after)
        );
        let each_once = second.values().all(|count| *count == 1);
        assert!(each_once, "{what}: {}", lines(&after));
        let requests = [lines(&before), lines(&after)].join("\n\n");
        self.check_end(&format!("{what}: {ran}\n{requests}"));
    }
}

/// Ends runs of a scenario at some of their requests, or at all.
fn sweep(test: &str, scenario: Scenario, end: End) {
    let Some(mut swept) = Swept::new(test, scenario) else {
        return;
    };
    let count = swept.undisturbed().len();
    let wanted = std::env::var("KILLS").map_or(SAMPLED, |text| text.parse().unwrap());
    let many = wanted.clamp(2, count);
    for at in 0..many {
        swept.end_at(end, 1 + at * (count - 1) / (many - 1));
    }
}

/// At once, since most of it waits: each end and each scenario, and with `KILLS` set all of both.
#[test]
fn a_run_that_ends_at_any_request_is_gone_on_with() {
    let all = [
        ("first_cut", Scenario::First, End::Cut),
        ("seventh_killed", Scenario::Seventh, End::Kill),
        ("seventh_out_of_order", Scenario::Seventh, End::OutOfOrder),
        ("first_killed", Scenario::First, End::Kill),
        ("seventh_cut", Scenario::Seventh, End::Cut),
    ];
    let all = all.into_iter().take(all_or(3));
    at_once(all.map(|(name, scenario, end)| (name, move || sweep(name, scenario, end))));
}
