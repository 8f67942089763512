//! Other machines, other versions and other layouts on one remote.

use std::{fs, os::unix::fs::PermissionsExt as _};

use chrono::{DateTime, FixedOffset, Local, TimeDelta};
use executor::{ErrorKind, sys::machine::machine_id};
use schema::remote_history::RemoteIntent;

use crate::{
    lab::{Lab, id},
    uploads::fill,
};

fn intent(lab: &Lab, name: &str, begun_at: DateTime<FixedOffset>) {
    let intent = RemoteIntent {
        format_version: 1,
        machine: "other".to_owned(),
        begun_at,
    };
    let file = lab.far(&format!("records/{name}"));
    fs::write(file, serde_json::to_string(&intent).unwrap()).unwrap();
}

/// Has this done on the remote before the nth call of rclone from now on.
fn hook(lab: &Lab, call: usize, script: &str) {
    lab.calls();
    let file = lab.path("bin/hook");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(lab.path("bin/hook.at"), call.to_string()).unwrap();
}

#[test]
fn while_another_machine_takes_objects_away_nothing_is_published() {
    let Some(lab) = Lab::new("others") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    let now = Local::now().fixed_offset();
    intent(&lab, "expiry-other.json", now - TimeDelta::hours(1));
    lab.write(2, "home/new", "new\n");
    let sealed = lab.seal(2);
    let error = lab.upload_sealed(2, &sealed).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    assert!(!lab.object("new\n").exists());
    // After a week it counts no more.
    intent(&lab, "expiry-other.json", now - TimeDelta::days(8));
    assert!(lab.upload_sealed(2, &sealed).unwrap().is_new);
    // One that begins meanwhile is seen before the record is written.
    fs::remove_file(lab.far("records/expiry-other.json")).unwrap();
    lab.write(3, "home/newer", "newer\n");
    let sealed = lab.seal(3);
    let begun = lab.path("begun.json");
    intent(&lab, "expiry-other.json", now);
    fs::rename(lab.far("records/expiry-other.json"), &begun).unwrap();
    let far = lab.far("records/expiry-other.json");
    hook(
        &lab,
        3,
        &format!("mv {} {}", begun.display(), far.display()),
    );
    let error = lab.upload_sealed(3, &sealed).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    assert!(!lab.far(&format!("records/{}.json", id(3))).exists());
    // What was put may be what that took away: it is put once more.
    fs::remove_file(far).unwrap();
    let done = lab.upload_sealed(3, &sealed).unwrap();
    assert_eq!((done.is_new, done.objects), (true, 1));
}

#[test]
fn what_only_a_snapshot_has_that_was_let_go_is_put_again() {
    let Some(mut lab) = Lab::new("others") else {
        return;
    };
    for may_delete in [true, false] {
        let _ = fs::remove_dir_all(lab.far(""));
        lab.cache = format!("cache-{may_delete}");
        lab.may_delete = may_delete;
        fill(&lab, 1);
        lab.upload(1);
        lab.write(2, "home/new", "new\n");
        lab.upload(2);
        let records = lab.far("records");
        fs::write(records.join(format!("{}.expired.json", id(1))), "{}").unwrap();
        fs::remove_file(records.join(format!("{}.json", id(1)))).unwrap();
        fill(&lab, 3);
        lab.write(3, "home/new", "new\n");
        let uploaded = lab.upload(3);
        assert_eq!((uploaded.is_new, uploaded.objects), (true, 3));
        let left = fs::read_dir(&records).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_str().unwrap().starts_with("upload-")
        });
        // Its note, and that it is none any more.
        let expected = 2 * usize::from(!may_delete && machine_id().is_some());
        assert_eq!(left.count(), expected);
    }
}

#[test]
fn an_upload_that_may_not_delete_holds_others_off_until_its_end_and_no_longer() {
    let Some(mut lab) = Lab::new("others") else {
        return;
    };
    if machine_id().is_none() {
        return;
    }
    fill(&lab, 1);
    lab.upload(1);
    lab.write(2, "home/new", "new\n");
    lab.upload(2);
    lab.write(3, "home/newer", "newer\n");
    lab.upload(3);
    lab.expire(&[1], &[]).unwrap();
    lab.may_delete = false;
    lab.write(4, "home/newest", "newest\n");
    lab.upload(4);
    let of_uploads = || {
        let all = fs::read_dir(lab.far("records")).unwrap();
        let all = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = all.filter(|name| name.starts_with("upload-")).collect();
        names.sort();
        names
    };
    // Both are another machine's, as this one sees it now.
    let names = of_uploads();
    assert_eq!(names.len(), 2, "{names:?}");
    let other = ["upload-other-7.done.json", "upload-other-7.json"];
    for (name, other) in names.iter().zip(other) {
        fs::rename(
            lab.far(&format!("records/{name}")),
            lab.far(&format!("records/{other}")),
        )
        .unwrap();
    }
    assert_eq!(of_uploads(), other);
    let ended = lab.far(&format!("records/{}", other[0]));
    fs::rename(&ended, lab.path("ended")).unwrap();
    let error = lab.expire(&[2], &[]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    fs::rename(lab.path("ended"), &ended).unwrap();
    lab.expire(&[2], &[]).unwrap();
    assert_eq!(of_uploads(), [""; 0]);
}

#[test]
fn a_snapshot_that_is_let_go_during_an_upload_that_relies_on_it_makes_that_look_again() {
    let Some(lab) = Lab::new("others") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    fill(&lab, 2);
    lab.write(2, "home/new", "new\n");
    let sealed = lab.seal(2);
    let records = lab.far("records");
    // The third call is the second list: another machine lets go of all, and sweeps.
    let script = format!(
        "cd {}; mv {}.json {}.expired.json; rm -r ../objects/*",
        records.display(),
        id(1),
        id(1)
    );
    hook(&lab, 3, &script);
    let uploaded = lab.upload_sealed(2, &sealed).unwrap();
    // The new one, and all of them once more.
    assert_eq!(uploaded.objects, 5);
    assert_eq!(
        lab.verify(executor::cloud::verify::Share::All).damage_count,
        0
    );
    let (brought, _) = lab.fetch(Some(2), &[""]);
    assert_eq!((brought.files, brought.missing), (5, 0));
}

#[test]
fn what_another_machine_takes_away_during_an_upload_is_put_once_more() {
    for later in [false, true] {
        let Some(lab) = Lab::new("others") else {
            return;
        };
        lab.write(1, "home/old", "old\n");
        lab.upload(1);
        fill(&lab, 2);
        lab.upload(2);
        let records = lab.far("records");
        fs::write(records.join(format!("{}.expired.json", id(1))), "{}").unwrap();
        fill(&lab, 3);
        lab.write(3, "home/old", "old\n");
        let sealed = lab.seal(3);
        // After the object was put, and before the remote is listed again.
        let script = format!(
            "cd {}; test -e {} || exit; rm {}.json {}.expired.json ../manifests/{}.mtree.zst {}",
            records.display(),
            lab.object("old\n").display(),
            id(1),
            id(1),
            id(1),
            lab.object("old\n").display(),
        );
        hook(&lab, 4, &script);
        let mut put = 0;
        if later {
            // That one is at work still: this one gives way.
            let now = Local::now().fixed_offset();
            intent(&lab, "begun.json", now);
            let begun = lab.path("begun.json");
            fs::rename(lab.far("records/begun.json"), &begun).unwrap();
            let far = lab.far("records/expiry-other.json");
            let also = format!("{script}; mv {} {}", begun.display(), far.display());
            hook(&lab, 4, &also);
            let error = lab.upload_sealed(3, &sealed).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Busy, "{error}");
            fs::remove_file(far).unwrap();
            put = 1;
        }
        assert!(!lab.object("old\n").exists() || !later);
        let uploaded = lab.upload_sealed(3, &sealed).unwrap();
        assert_eq!((uploaded.is_new, uploaded.objects + put), (true, 2));
        assert!(
            !records.join(format!("{}.json", id(1))).exists(),
            "the hook did nothing"
        );
        assert!(lab.object("old\n").exists());
        assert_eq!(
            lab.verify(executor::cloud::verify::Share::All).damage_count,
            0
        );
    }
}

#[test]
fn another_snapshot_of_the_same_name_is_not_written_over() {
    let Some(lab) = Lab::new("others") else {
        return;
    };
    fill(&lab, 1);
    lab.upload(1);
    let before = lab.all_far();
    lab.write(1, "home/other", "other\n");
    let error = lab.upload_sealed(1, &lab.seal(1)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert_eq!(lab.all_far(), before);
}

#[test]
fn a_newer_form_another_layout_and_another_machine_are_refused() {
    let Some(mut lab) = Lab::new("others") else {
        return;
    };
    fill(&lab, 1);
    let sealed = lab.seal(1);
    let refused = |lab: &Lab, word: &str| {
        let before = lab.all_far();
        let error = lab.upload_sealed(1, &sealed).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.hint.is_some());
        assert_eq!(lab.all_far(), before);
    };
    fs::create_dir_all(lab.far("current/home")).unwrap();
    refused(&lab, "layout");
    fs::remove_dir_all(lab.far("")).unwrap();
    lab.upload_sealed(1, &sealed).unwrap();
    fs::write(lab.far("records/format-2.json"), "{}").unwrap();
    refused(&lab, "newer version");
    fs::remove_file(lab.far("records/format-2.json")).unwrap();
    if machine_id().is_some() {
        let own = fs::read_dir(lab.far("records"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let own = own
            .into_iter()
            .find(|path| path.to_str().unwrap().contains("owner-"))
            .unwrap();
        fs::rename(own, lab.far("records/owner-0000000000000000.json")).unwrap();
        lab.cache = "new".to_owned();
        refused(&lab, "another machine");
    }
}
