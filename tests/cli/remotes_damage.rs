//! Remotes with history that are damaged, what is known of them that is damaged or lost, and what is said of
//! snapshots there.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use serde_json::Value;
use test_support::{flip_byte, run_tool};

use crate::{
    cloud::remote,
    lab::{HOST, Lab, contents_below, id_of, run_command},
    remotes::{FIRST, SECOND, THIRD, back_up, far, lab, lose_machine, objects},
};

#[test]
fn damage_there_is_found_by_shares_and_the_next_upload_heals_it_from_the_disk() {
    let Some(lab) = lab("damage_there_is_found") else {
        return;
    };
    for number in 0..40 {
        lab.write(
            &format!("home/many/{number}"),
            &format!("number {number}\n"),
        );
    }
    back_up(&lab, FIRST);
    let verify = ["verify", "--destination", "b2"];
    let full = |options: &[&str]| lab.run(&[&verify[..], options].concat());
    full(&["--full"]).expect(0);
    let before: Vec<(PathBuf, Vec<u8>)> = objects(&lab)
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    // One whose length is the same, and one that is gone.
    flip_byte(&before[3].0);
    fs::remove_file(&before[20].0).unwrap();
    full(&["--quick"]).expect(3).says("missing");
    let parts = ["1/4", "2/4", "3/4", "4/4"];
    let found: Vec<Value> = parts
        .iter()
        .map(|part| full(&["--subset", part, "--json"]).json())
        .collect();
    let count = |one: &Value| one["damage_count"].as_u64().unwrap();
    assert_eq!(found.iter().map(count).sum::<u64>(), 2, "{found:?}");
    let read = |one: &Value| one["files"].as_u64().unwrap();
    assert_eq!(found.iter().map(read).sum::<u64>(), before.len() as u64);
    full(&["--full"]).expect(3).says("uploads them again");
    full(&["latest", "--full"])
        .expect(3)
        .says("2 contents are not whole");
    full(&["2020"]).expect(4).says("2020");
    // Without options all of it is looked at, by hashes where the remote has those.
    let all = full(&["--json"]).json();
    assert_eq!(all["files"], before.len());
    assert_eq!(all["damage_count"], 2);
    // Nothing is new, and what is damaged there is put again all the same.
    lab.at(SECOND, &["apply"]).expect(0);
    for (path, content) in &before {
        assert_eq!(fs::read(path).unwrap(), *content, "{path:?}");
    }
    full(&["--full"]).expect(0);
    full(&["latest"]).expect(0);
    for refused in [["--repair"], ["--against-state"]] {
        full(&refused).expect(2);
    }
}

#[test]
fn a_pin_on_the_remote_outlives_the_machine() {
    let Some(lab) = lab("a_pin_on_the_remote") else {
        return;
    };
    back_up(&lab, FIRST);
    lab.write("home/new.txt", "new\n");
    back_up(&lab, SECOND);
    // What travelled is another file than what was sealed on the disk, and nobody changed it.
    let here = lab.run(&["list", "--destination", "b2"]).expect(0);
    assert!(!here.stdout.contains("damaged"), "{here}");
    let pinned = |lab: &Lab| -> Vec<bool> {
        let list = lab
            .run(&["list", "--destination", "b2", "--json"])
            .expect(0);
        let list = list.json();
        let all = list["snapshots"].as_array().unwrap().iter();
        all.map(|one| one["pinned"].as_bool().unwrap()).collect()
    };
    let pin = ["pin", "--destination", "b2", "2025-03-05"];
    lab.run(&[&pin[..], &["--dry-run"]].concat())
        .expect(0)
        .says("is kept whatever the retention says");
    assert_eq!(pinned(&lab), [false, false]);
    lab.run(&pin)
        .expect(0)
        .says("is kept whatever the retention says");
    assert_eq!(pinned(&lab), [false, true]);
    lab.run(&pin).expect(0).says("was pinned before");
    // A shell offers those that are not, and the names of destinations.
    let offered = |words: &[&str]| {
        let mut command = lab.command(&["__complete", "backup"]);
        command.args(words);
        run_command(command, words).expect(0).stdout
    };
    let offers = offered(&["pin", "--destination", "b2", ""]);
    assert!(offers.contains(&id_of(SECOND)), "{offers}");
    assert!(!offers.contains(&id_of(FIRST)), "{offers}");
    assert!(offered(&["list", "--destination", "b"]).starts_with("b2"));
    let marks = far(&lab, "records");
    let marks = || {
        fs::read_dir(&marks)
            .unwrap()
            .map(|one| one.unwrap().file_name())
    };
    let named = |name: &std::ffi::OsString| name.to_string_lossy().contains(".marks-");
    assert_eq!(marks().filter(named).count(), 1);
    lose_machine(&lab);
    assert_eq!(pinned(&lab), [false, true]);
    lab.run(&["unpin", "--destination", "b2", "2025-03-05"])
        .expect(0);
    assert_eq!(pinned(&lab), [false, false]);
    lab.run(&["pin", "--destination", "b2", "2024"]).expect(4);
}

/// The folder of what is known of the remote.
fn cache(lab: &Lab) -> PathBuf {
    let all = fs::read_dir(lab.path("state/cloud")).unwrap();
    all.map(|one| one.unwrap().path()).next().unwrap()
}

/// Has the remote encrypt with this password, but for names.
fn encrypt(lab: &Lab, password: &str) {
    let far = lab.text("far");
    let obscured = run_tool("rclone", ["obscure", password]);
    let config = format!(
        "[far]\ntype = crypt\nremote = {far}\nfilename_encryption = off\n\
         directory_name_encryption = false\npassword = {}\n",
        obscured.trim()
    );
    remote(lab, &config);
}

#[test]
fn damage_below_encryption_is_of_one_content_and_a_wrong_password_is_no_damage() {
    let Some(lab) = lab("damage_below_encryption") else {
        return;
    };
    encrypt(&lab, "right");
    for number in 0..5 {
        let text = format!("number {number} of a few\n");
        lab.write(&format!("home/ann/many/{number}"), &text);
    }
    back_up(&lab, FIRST);
    let victim = &objects(&lab)[2];
    flip_byte(victim);
    let full = ["verify", "--destination", "b2", "--full"];
    lab.run(&full).expect(3).says("1 content is not whole");
    // What is whole comes back beside it.
    let (home, out) = (lab.text("home"), lab.text("out"));
    lab.run(&["restore", "--destination", "b2", "latest", &home, &out])
        .expect(3);
    let whole = contents_below(&lab.path("home")).len();
    assert_eq!(contents_below(&lab.path("out")).len(), whole - 1);
    lab.at(SECOND, &["apply"]).expect(0);
    lab.run(&full).expect(0);
    // Nothing can be read, and nothing is taken for damaged and put again over what is whole.
    encrypt(&lab, "wrong");
    lab.run(&full)
        .expect(1)
        .says("contents could be read")
        .hints("password");
    encrypt(&lab, "right");
    let there: Vec<_> = objects(&lab)
        .iter()
        .map(|one| fs::read(one).unwrap())
        .collect();
    lab.at(THIRD, &["apply"]).expect(0);
    let now: Vec<_> = objects(&lab)
        .iter()
        .map(|one| fs::read(one).unwrap())
        .collect();
    assert!(there == now);
    lab.run(&full).expect(0);
}

#[test]
fn what_is_known_of_it_can_be_damaged_or_lost() {
    let Some(lab) = lab("what_is_known_of_it") else {
        return;
    };
    back_up(&lab, FIRST);
    lab.write("home/new.txt", "new\n");
    back_up(&lab, SECOND);
    let list = ["list", "--destination", "b2"];
    let before = lab.run(&list).expect(0);
    let diff = ["diff", "--destination", "b2", "2025-03-05", "latest"];
    let changed = lab.run(&diff).expect(0);
    let own = format!("destination/{HOST}/.backup");
    let first = format!("{own}/snapshots/{}", id_of(FIRST));
    let flip = |path: &str| flip_byte(&cache(&lab).join(path));
    type Damage<'a> = &'a dyn Fn();
    let letter = lab.text("home/ann/letter.txt");
    let restore = || {
        let out = lab.text("out");
        let words = [
            "restore",
            "--destination",
            "b2",
            "2025-03-05",
            &letter,
            &out,
        ];
        lab.run(&words).expect(0);
        assert_eq!(fs::read_to_string(&out).unwrap(), "dear all\n");
        fs::remove_file(out).unwrap();
    };
    let damages: [(&str, Damage<'_>); 9] = [
        ("a manifest to restore by", &|| {
            flip(&format!("{first}/manifest.mtree.zst"))
        }),
        // As an interrupted first look leaves it.
        ("a part", &|| {
            fs::remove_file(cache(&lab).join(format!("{own}/destination.json"))).unwrap();
            fs::remove_file(cache(&lab).join(format!("{first}/snapshot.json"))).unwrap();
        }),
        ("a record", &|| flip(&format!("{first}/snapshot.json"))),
        ("a body", &|| {
            flip(&format!("records/{}.json", id_of(FIRST)))
        }),
        ("a manifest", &|| {
            flip(&format!("{first}/manifest.mtree.zst"))
        }),
        ("the destination's record", &|| {
            flip(&format!("{own}/destination.json"))
        }),
        ("all of it", &|| fs::remove_dir_all(cache(&lab)).unwrap()),
        ("a folder", &|| {
            let folder = cache(&lab).join("destination");
            fs::remove_dir_all(&folder).unwrap();
            fs::write(&folder, "in the way").unwrap();
        }),
        ("a link", &|| {
            let folder = cache(&lab).join("records");
            fs::remove_dir_all(&folder).unwrap();
            symlink(lab.path("far"), &folder).unwrap();
        }),
    ];
    for (what, damage) in damages {
        damage();
        let again = lab.run(&list).expect(0);
        assert_eq!(again.stdout, before.stdout, "{what}");
        if what.ends_with("restore by") {
            restore();
        }
        assert_eq!(lab.run(&diff).expect(0).stdout, changed.stdout, "{what}");
        lab.run(&["find", "--destination", "b2", "new.txt"])
            .expect(0);
    }
    assert!(lab.path("far/Backups").exists());
    // An upload does with it as well.
    flip(&format!("{first}/manifest.mtree.zst"));
    let _ = fs::remove_file(cache(&lab).join("objects.idx"));
    lab.write("home/newer.txt", "newer\n");
    back_up(&lab, THIRD);
}
