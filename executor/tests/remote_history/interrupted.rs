//! Uploads that are killed after each file.

use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};

use executor::{ErrorKind, event::Stop, manifest::Reader};
use schema::{Digest, remote_history::RemoteRecord};

use crate::lab::{Lab, id};

fn fill(lab: &Lab) {
    for number in 0..7 {
        lab.write(1, format!("home/{number}"), format!("{number}\n"));
    }
    lab.write(1, "home/twice", "3\n");
}

/// Every record that is listed has its whole manifest, and that all its objects.
fn check_records(lab: &Lab) -> usize {
    let Ok(records) = fs::read_dir(lab.far("records")) else {
        return 0;
    };
    let mut count = 0;
    for file in records.map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("2025") {
            continue;
        }
        count += 1;
        let record: RemoteRecord = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let manifest = lab.far(&format!("manifests/{}.mtree.zst", record.snapshot.id));
        assert_eq!(
            Digest::of(&fs::read(&manifest).unwrap()),
            record.snapshot.manifest_digest
        );
        for entry in Reader::new(fs::File::open(&manifest).unwrap()).unwrap() {
            if let Some(digest) = entry.unwrap().digest {
                let object = lab
                    .far("objects")
                    .join(executor::cloud::remote_history::object_file(digest));
                assert_eq!(Digest::of(&fs::read(&object).unwrap()), digest);
            }
        }
    }
    count
}

/// Asks to stop once the budget is used up, as a kill of the whole program would.
fn stop_when_exhausted(exhausted: &Path, stop: &Stop) -> thread::JoinHandle<()> {
    let (exhausted, stop) = (exhausted.to_owned(), stop.clone());
    thread::spawn(move || {
        while !exhausted.exists() && !stop.is_asked() {
            thread::sleep(Duration::from_millis(5));
        }
        stop.ask(15);
    })
}

#[test]
fn an_upload_that_is_killed_after_any_file_is_gone_on_with_and_puts_nothing_twice() {
    let Some(mut lab) = Lab::new("interrupted") else {
        return;
    };
    fill(&lab);
    let sealed = lab.seal(1);
    let (mut seen, mut noted_at) = (BTreeSet::new(), BTreeSet::new());
    // Owner and format, seven objects, manifest and record.
    for budget in 1..=12 {
        let _ = fs::remove_dir_all(lab.path("far"));
        fs::create_dir(lab.path("far")).unwrap();
        lab.cache = format!("cache-{budget}");
        fs::write(lab.path("bin/budget"), budget.to_string()).unwrap();
        lab.stop = Stop::default();
        let waits = stop_when_exhausted(&lab.path("bin/exhausted"), &lab.stop);
        let killed = lab.upload_sealed(1, &sealed);
        lab.stop.ask(15);
        waits.join().unwrap();
        let _ = fs::remove_file(lab.path("bin/exhausted"));
        fs::remove_file(lab.path("bin/budget")).unwrap();
        seen.insert((killed.is_ok(), check_records(&lab)));
        if let Err(error) = &killed {
            let ended = [ErrorKind::Interrupted, ErrorKind::Failed];
            assert!(ended.contains(&error.kind), "{budget}: {error}");
        }
        let noted = fs::read_to_string(lab.path(&lab.cache).join("put.list"));
        let noted = noted.unwrap_or_default().lines().count() as u64;
        let is_there = lab.far(&format!("records/{}.json", id(1))).exists();
        lab.stop = Stop::default();
        let done = lab.upload_sealed(1, &sealed).unwrap();
        assert_eq!(done.id, id(1));
        assert_eq!(check_records(&lab), 1);
        let objects = fs::read_dir(lab.far("objects")).unwrap().count();
        assert_eq!(objects, 7);
        let left = if is_there { 0 } else { 7 - noted };
        assert_eq!(done.objects, left, "{budget}: {noted} were noted");
        noted_at.insert(noted);
        assert_eq!(
            lab.verify(executor::cloud::verify::Share::All).damage_count,
            0
        );
    }
    // Some kills came before the record and some after it.
    assert!(
        seen.contains(&(false, 0)) && seen.contains(&(true, 1)),
        "{seen:?}"
    );
    // And they came after each of the objects.
    assert!(noted_at.len() >= 7, "{noted_at:?}");
}

#[test]
fn a_list_of_what_was_put_that_was_cut_short_is_gone_on_with() {
    let Some(lab) = Lab::new("interrupted") else {
        return;
    };
    fill(&lab);
    let sealed = lab.seal(1);
    // As if five had come through, and the last line was cut; one line is none.
    let mut list = String::new();
    for number in 0..5 {
        let content = format!("{number}\n");
        fs::create_dir_all(lab.object(&content).parent().unwrap()).unwrap();
        fs::write(lab.object(&content), &content).unwrap();
        list.push_str(&format!("{}\n", Digest::of(content.as_bytes())));
    }
    list.push_str(&Digest::of(b"5\n").to_string()[..20]);
    fs::create_dir_all(lab.path("cache")).unwrap();
    fs::write(lab.path("cache/put.list"), list).unwrap();
    assert_eq!(lab.upload_sealed(1, &sealed).unwrap().objects, 2);
    assert!(!lab.path("cache/put.list").exists());
}
