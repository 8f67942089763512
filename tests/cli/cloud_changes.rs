//! What changes between two copies in the cloud: here, where files are deleted, moved and rewritten,
//! and there, where others remove, cut and replace them.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    cloud::{lab, remote},
    lab::{HOST, Lab, contents_below, entry_names, step_outcome},
};

/// The night of a day in March.
fn night(day: u32) -> String {
    format!("2025-03-{day:02}T02:00:00+01:00")
}

fn id(day: u32) -> String {
    format!("2025-03-{day:02}_02-00-00")
}

/// A lab whose remote becomes what the newest snapshot is, and the source's folder in `current`.
fn mirror(test: &str) -> Option<(Lab, PathBuf)> {
    let (mut lab, current) = lab(test)?;
    lab.set("cloud.syncMode", "sync");
    lab.set("cloud.maxDelete", "60%");
    lab.set("cloud.provider", "custom");
    lab.set("cloud.remote", "proton:");
    for n in 0..40 {
        lab.write(&format!("home/ann/{n:02}"), &format!("number {n}"));
    }
    let home = lab.path("home");
    let there = current.join(home.strip_prefix("/").unwrap());
    Some((lab, there))
}

/// Compares what the remote gives back of a snapshot.
fn gives_back(lab: &Lab, snapshot: &str, source: &Path) {
    let to = lab.path("back");
    if to.exists() {
        fs::remove_dir_all(&to).unwrap();
    }
    let (from, to) = (lab.text("home"), lab.text("back"));
    lab.run(&["restore", "--from", "cloud", snapshot, &from, &to])
        .expect(0);
    assert_eq!(
        contents_below(source),
        contents_below(Path::new(&to)),
        "{snapshot}"
    );
}

/// A copy of the source as it is now.
fn copy_of(lab: &Lab, name: &str) -> PathBuf {
    let to = lab.path(name);
    let mut command = Command::new("cp");
    command.arg("-a").arg(lab.path("home")).arg(&to);
    assert!(command.status().unwrap().success());
    to
}

#[test]
fn what_is_held_back_holds_up_nothing_else_and_ends_by_one_word() {
    let Some((mut lab, there)) = mirror("what_is_held_back") else {
        return;
    };
    lab.set("cloud.maxDelete", "5%");
    lab.backup(&night(5));
    for n in 0..8 {
        fs::remove_file(lab.path(format!("home/ann/{n:02}"))).unwrap();
    }
    for day in 6..9 {
        lab.write(&format!("home/new {day}"), "new");
        lab.write("home/ann/20", &format!("changed on {day}"));
        lab.at(&night(day), &["apply"])
            .expect(3)
            .says("8 files that are gone or left out here are not taken away")
            .hints("--approve-deletions");
        assert!(there.join(format!("new {day}")).exists());
    }
    assert_eq!(
        fs::read_to_string(there.join("ann/20")).unwrap(),
        "changed on 8"
    );
    assert!(there.join("ann/00").exists());
    let later = "2025-03-08T12:00:00+01:00";
    lab.at(later, &["status"])
        .expect(0)
        .says("holds something back");
    let health = lab.at(later, &["health", "--json"]).expect(3).json();
    let codes = crate::lab::finding_codes(&health["findings"]);
    assert!(codes.contains(&"cloud-deletions-withheld"), "{codes:?}");
    // What is there again was there all the time, and is not uploaded.
    lab.write("home/ann/03", "number 3");
    let before = fs::metadata(there.join("ann/03")).unwrap().ino();
    lab.at(&night(9), &["apply"]).expect(3).says("7 files");
    assert_eq!(fs::metadata(there.join("ann/03")).unwrap().ino(), before);
    lab.at(&night(10), &["apply", "--approve-deletions"])
        .expect(0);
    assert!(!there.join("ann/00").exists());
    lab.at(&night(11), &["apply"]).expect(0);
    lab.at("2025-03-11T12:00:00+01:00", &["status"])
        .expect(0)
        .says("ok:");
    gives_back(&lab, "latest", &lab.path("home"));
}

#[test]
fn what_moved_is_moved_there_and_every_older_copy_comes_back() {
    let Some((lab, there)) = mirror("what_moved_is_moved_there") else {
        return;
    };
    for (name, text) in [("one", "first"), ("two", "second"), ("log", "old log")] {
        lab.write(&format!("home/{name}"), text);
    }
    lab.backup(&night(5));
    let first = copy_of(&lab, "first");
    let inode = |name: &str| fs::metadata(there.join(name)).unwrap().ino();
    let (films, one, log) = (inode("ann/07"), inode("one"), inode("log"));
    // A folder, two names that change their places, and a name that is taken by another.
    let home = |name: &str| lab.path("home").join(name);
    fs::rename(home("ann"), home("anna")).unwrap();
    fs::rename(home("one"), home("x")).unwrap();
    fs::rename(home("two"), home("one")).unwrap();
    fs::rename(home("x"), home("two")).unwrap();
    fs::rename(home("log"), home("log.1")).unwrap();
    lab.write("home/log", "new log");
    let report = lab.backup(&night(6));
    let said = step_outcome(&report, "cloud-sync")["message"].to_string();
    assert!(said.contains("1 file (7 B) uploaded"), "{said}");
    assert_eq!(inode("anna/07"), films);
    assert_eq!((inode("two"), inode("log.1")), (one, log));
    let second = copy_of(&lab, "second");
    fs::rename(home("anna/07"), home("bob/seven")).unwrap();
    fs::rename(home("log.1"), home("log.2")).unwrap();
    lab.backup(&night(7));
    assert_eq!((inode("bob/seven"), inode("log.2")), (films, log));
    fs::remove_file(home("bob/seven")).unwrap();
    lab.backup(&night(8));
    gives_back(&lab, &id(5), &first);
    gives_back(&lab, "latest~2", &second);
    gives_back(&lab, "latest", &lab.path("home"));
    lab.run(&["verify", "--cloud", "--full"]).expect(0);
}

#[test]
fn a_copy_that_removes_nothing_moves_nothing() {
    let Some((mut lab, there)) = mirror("a_copy_that_removes_nothing") else {
        return;
    };
    lab.set("cloud.syncMode", "copy");
    lab.backup(&night(5));
    fs::rename(lab.path("home/ann/07"), lab.path("home/seven")).unwrap();
    lab.backup(&night(6));
    assert!(there.join("ann/07").exists() && there.join("seven").exists());
}

#[test]
fn a_copy_that_ends_at_any_call_is_made_good_by_the_next() {
    let Some((lab, there)) = mirror("a_copy_that_ends_at_any_call") else {
        return;
    };
    lab.backup(&night(5));
    let first = copy_of(&lab, "first");
    let rclone = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("rclone"))
        .find(|file| file.exists())
        .unwrap();
    let path = std::env::var("PATH").unwrap();
    let tools = lab.text("tools");
    // The nth call is done and its end is not told; or it is not done at all.
    lab.script(
        "tools/rclone",
        &format!(
            "n=$(($(cat {0}/calls 2>/dev/null || echo 0) + 1)); echo $n > {0}/calls\n\
             if [ $n = \"$FAIL_AT\" ]; then\n\
             [ \"$FAIL_DONE\" = 1 ] && {1} \"$@\"\n kill -9 $$\nfi\nexec {1} \"$@\"\n",
            lab.path("").display(),
            rclone.display()
        ),
    );
    let mut day = 6;
    for (call, done) in [(5, "0"), (7, "1"), (8, "1"), (9, "0")] {
        fs::write(lab.path("calls"), "0").unwrap();
        let folder = lab.path(format!("home/moved{day}"));
        fs::rename(
            if day == 6 {
                lab.path("home/ann")
            } else {
                lab.path(format!("home/moved{}", day - 2))
            },
            &folder,
        )
        .unwrap();
        lab.write("home/changes", &format!("at call {call}"));
        let mut command = lab.command(&["apply", "--now", &night(day)]);
        command
            .env("PATH", format!("{tools}:{path}"))
            .env("FAIL_AT", call.to_string())
            .env("FAIL_DONE", done);
        let ended = command.output().unwrap();
        if ended.status.success() {
            gives_back(&lab, "latest", &lab.path("home"));
        }
        lab.write("home/later", &format!("{day}"));
        lab.at(&night(day + 1), &["apply"]).expect(0);
        assert!(there.join(format!("moved{day}/07")).exists(), "{call}");
        gives_back(&lab, "latest", &lab.path("home"));
        gives_back(&lab, &id(5), &first);
        day += 2;
    }
}

#[test]
fn a_folder_may_become_a_file_and_a_file_a_folder_also_where_nothing_is_taken_away() {
    let Some((mut lab, there)) = mirror("a_folder_may_become_a_file") else {
        return;
    };
    lab.write("home/notes/old", "in the folder");
    lab.backup(&night(5));
    let flat = |lab: &Lab| {
        fs::remove_dir_all(lab.path("home/notes")).unwrap();
        lab.write("home/notes", "flat");
    };
    flat(&lab);
    lab.backup(&night(6));
    assert_eq!(fs::read_to_string(there.join("notes")).unwrap(), "flat");
    fs::remove_file(lab.path("home/notes")).unwrap();
    lab.write("home/notes/deep/er", "again");
    lab.backup(&night(7));
    assert!(there.join("notes/deep/er").exists());
    // Folders that an earlier night emptied stand there still.
    fs::remove_dir_all(lab.path("home/notes/deep")).unwrap();
    lab.backup(&night(8));
    lab.write("home/notes/deep", "a file");
    lab.backup(&night(9));
    lab.set("cloud.syncMode", "copy");
    flat(&lab);
    lab.backup(&night(10));
    assert_eq!(fs::read_to_string(there.join("notes")).unwrap(), "flat");
    gives_back(&lab, "latest", &lab.path("home"));
}

#[test]
fn what_others_did_to_the_remote_is_made_good() {
    let Some((lab, there)) = mirror("what_others_did_to_the_remote") else {
        return;
    };
    lab.backup(&night(5));
    // Rot is found by reading, what is missing by listing.
    fs::write(there.join("ann/07"), "NUMBER 7").unwrap();
    fs::remove_file(there.join("ann/08")).unwrap();
    lab.run(&["verify", "--cloud", "--full"])
        .expect(3)
        .says("ann/07")
        .hints("backup apply");
    lab.at(&night(6), &["apply"])
        .expect(0)
        .says("2 files of earlier uploads");
    assert_eq!(
        fs::read_to_string(there.join("ann/07")).unwrap(),
        "number 7"
    );
    lab.run(&["verify", "--cloud", "--full"]).expect(0);
    lab.at(&night(7), &["apply"]).expect(0);
    gives_back(&lab, &id(5), &lab.path("home"));
}

#[test]
fn a_rotten_file_of_an_encrypted_remote_is_named_and_brought_again() {
    let test = "a_rotten_file_of_an_encrypted_remote_is_named_and_brought_again";
    let Some((mut lab, _)) = mirror(test) else {
        return;
    };
    let mut obscure = Command::new("rclone");
    let password = obscure.args(["obscure", "secret"]).output().unwrap();
    let password = String::from_utf8(password.stdout).unwrap();
    let far = lab.path("far");
    let config = format!(
        "[base]\ntype = alias\nremote = {}\n[proton]\ntype = crypt\nremote = base:\npassword = {password}",
        far.display()
    );
    remote(&lab, &config);
    lab.set("cloud.maxDelete", "100%");
    lab.write("home/large", &"all of it ".repeat(20_000));
    lab.backup(&night(5));
    let files = walkdir::WalkDir::new(&far).into_iter().map(Result::unwrap);
    let large = files
        .filter(|entry| entry.file_type().is_file())
        .max_by_key(|entry| entry.metadata().unwrap().len())
        .unwrap();
    let sealed = fs::read(large.path()).unwrap();
    assert!(sealed.len() > 200_000);
    // Versions of rclone have other words for each, and some are those for a lost connection.
    type Act = fn(&mut Vec<u8>);
    let faults: [(&str, Act); 2] = [
        ("flipped", |all| all[100_000] ^= 1),
        ("cut", |all| all.truncate(150_000)),
    ];
    for (day, (fault, act)) in (6..).zip(&faults) {
        let mut bytes = sealed.clone();
        act(&mut bytes);
        fs::write(large.path(), bytes).unwrap();
        lab.run(&["verify", "--cloud", "--full"])
            .expect(3)
            .says("home/large: ")
            .hints("backup apply");
        lab.at(&night(day), &["apply"]).expect(0);
        let again = lab.run(&["verify", "--cloud", "--full"]);
        assert_eq!(again.code, 0, "{fault}: {again}");
    }
    gives_back(&lab, "latest", &lab.path("home"));
}

#[test]
fn a_move_brings_again_what_rotted_before_it_gives_space_back() {
    let Some((mut lab, there)) = mirror("a_move_brings_again") else {
        return;
    };
    lab.set("cloud.syncMode", "move");
    lab.backup(&night(5));
    lab.backup(&night(6));
    fs::write(there.join("ann/07"), "NUMBER 7").unwrap();
    lab.backup(&night(7));
    assert_eq!(
        fs::read_to_string(there.join("ann/07")).unwrap(),
        "number 7"
    );
    assert_eq!(lab.ids(), [id(7)]);
    // What went to the cloud is found there.
    lab.run(&[
        "restore",
        &id(6),
        &lab.text("home/ann/07"),
        &lab.text("back"),
    ])
    .expect(4)
    .says("it is in the cloud")
    .hints(" --from cloud");
    gives_back(&lab, &id(6), &lab.path("home"));
}

#[test]
fn a_cut_manifest_costs_its_own_upload_and_nothing_else() {
    let Some((lab, there)) = mirror("a_cut_manifest") else {
        return;
    };
    lab.write("home/letter", "one");
    lab.backup(&night(5));
    let first = copy_of(&lab, "first");
    lab.write("home/letter", "two");
    lab.backup(&night(6));
    let far = lab.path("far/Backups").join(HOST);
    let manifest = far.join("manifests").join(id(6)).join("manifest.mtree.zst");
    let bytes = fs::read(&manifest).unwrap();
    fs::write(&manifest, &bytes[..60]).unwrap();
    fs::remove_dir_all(lab.path("state/cloud")).unwrap();
    // The letter is what it was the night before: of the same length, and not what is there.
    lab.write("home/letter", "one");
    lab.at(&night(7), &["apply"]).expect(0).says("damaged");
    assert_eq!(fs::read_to_string(there.join("letter")).unwrap(), "one");
    gives_back(&lab, "latest", &lab.path("home"));
    gives_back(&lab, &id(5), &first);
    lab.at(&night(8), &["apply"]).expect(0);
}

#[test]
fn an_emptied_remote_is_told_once_and_gets_a_new_copy() {
    let Some((lab, there)) = mirror("an_emptied_remote") else {
        return;
    };
    lab.backup(&night(5));
    lab.backup(&night(6));
    fs::remove_dir_all(lab.path("far/Backups")).unwrap();
    lab.at(&night(7), &["apply"])
        .expect(3)
        .says("nothing of the 2 earlier uploads is there any more")
        .hints("cloud.configFile");
    assert_eq!(entry_names(&there.join("ann")).len(), 42);
    lab.at(&night(8), &["apply"]).expect(0);
    gives_back(&lab, "latest", &lab.path("home"));
}
