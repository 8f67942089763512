//! Copies in the cloud where something else is not as usual: the disk is away, the remote is another
//! machine's, nobody gave credentials, a name is too long.

use std::fs;

use crate::{
    cloud::{lab, remote},
    lab::{HOST, contents_below, entry_names, finding_codes, plan_action},
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

#[test]
fn without_the_disk_the_cloud_gets_the_sources_and_the_disk_goes_on_where_it_was() {
    let Some((mut lab, current)) = lab("without_the_disk") else {
        return;
    };
    lab.set("cloud.syncMode", "sync");
    lab.backup(FIRST);
    let home = current.join(lab.path("home").strip_prefix("/").unwrap());
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.write("home/new", "new");
    let plan = lab.at(SECOND, &["plan", "--json"]).expect(0).json();
    assert!(finding_codes(&plan["findings"]).contains(&"destination-not-mounted"));
    assert!(plan_action(&plan, "cloud-sync")["live"].is_object());
    lab.at(SECOND, &["apply"])
        .expect(3)
        .says("destination not mounted")
        .says("the cloud gets the sources as they are now");
    assert!(home.join("new").exists());
    assert!(!lab.path("mnt").exists());
    lab.write("home/newer", "newer");
    lab.at("2025-03-06T03:00:00+01:00", &["apply", "--only", "cloud"])
        .expect(3);
    assert!(home.join("newer").exists());
    lab.at("2025-03-06T04:00:00+01:00", &["apply", "--only", "local"])
        .expect(4);
    fs::rename(lab.path("away"), lab.path("mnt")).unwrap();
    lab.at(THIRD, &["apply"])
        .expect(0)
        .says("0 files (0 B) uploaded");
    assert_eq!(lab.ids().len(), 2);
    let (from, to) = (lab.text("home"), lab.text("back"));
    lab.run(&["restore", "--from", "cloud", "2025-03-06_02", &from, &to])
        .expect(0);
    fs::remove_file(lab.path("home/newer")).unwrap();
    assert_eq!(
        contents_below(&lab.path("home")),
        contents_below(&lab.path("back"))
    );
}

#[test]
fn a_disk_that_may_be_away_defers_its_part_alone() {
    let Some((mut lab, current)) = lab("a_disk_that_may_be_away") else {
        return;
    };
    lab.set("local.ifAbsent", "defer");
    lab.backup(FIRST);
    fs::rename(lab.path("mnt"), lab.path("away")).unwrap();
    lab.write("home/new", "new");
    lab.at(SECOND, &["apply"]).expect(75);
    let home = current.join(lab.path("home").strip_prefix("/").unwrap());
    assert!(home.join("new").exists());
    remote(&lab, "[proton]\ntype = alias\nremote = /proc/none\n");
    lab.at(THIRD, &["apply"]).expect(1);
}

#[test]
fn the_copies_of_another_machine_are_never_replaced() {
    let Some((lab, current)) = lab("the_copies_of_another_machine") else {
        return;
    };
    lab.backup(FIRST);
    let manifests = lab.path("far/Backups").join(HOST).join("manifests");
    let own = entry_names(&manifests)
        .into_iter()
        .find(|name| name.starts_with("owner-"));
    let own = own.unwrap();
    let text = fs::read_to_string(manifests.join(&own)).unwrap();
    let machine = own.trim_start_matches("owner-").trim_end_matches(".json");
    let other = "00000000ffffffff";
    fs::remove_file(manifests.join(&own)).unwrap();
    fs::write(
        manifests.join(format!("owner-{other}.json")),
        text.replace(machine, other),
    )
    .unwrap();
    let before = contents_below(&current);
    lab.write("home/ann/letter.txt", "of this machine");
    lab.at(SECOND, &["apply"])
        .expect(3)
        .says("belongs to another machine of the host name atlas")
        .says(other)
        .hints("init --take-over");
    assert_eq!(contents_below(&current), before);
    // Its copies can be read all the same.
    let (from, to) = (lab.text("home/ann"), lab.text("back"));
    lab.run(&["restore", "--from", "cloud", "latest", &from, &to])
        .expect(0);
    lab.run(&["init", "--take-over"]).expect(0);
    lab.at(THIRD, &["apply"]).expect(0);
    assert_ne!(contents_below(&current), before);
    let owners = entry_names(&manifests);
    let owners: Vec<_> = owners
        .iter()
        .filter(|name| name.starts_with("owner-"))
        .collect();
    assert_eq!(owners, [&own]);
}

#[test]
fn missing_credentials_are_told_before_the_night() {
    let Some((mut lab, _)) = lab("missing_credentials") else {
        return;
    };
    let found = |lab: &crate::lab::Lab| {
        let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
        finding_codes(&plan["findings"]).contains(&"cloud-remote-unknown")
    };
    assert!(!found(&lab));
    remote(&lab, "[another]\ntype = local\n");
    assert!(found(&lab));
    lab.run(&["check"])
        .expect(0)
        .says("has no remote `proton:`");
    lab.set("cloud.configFile", lab.text("none.conf"));
    assert!(found(&lab));
}

#[test]
fn a_name_that_the_remote_refuses_costs_that_file_alone() {
    let Some((lab, _)) = lab("a_name_that_the_remote_refuses") else {
        return;
    };
    let hidden = std::process::Command::new("rclone")
        .args(["obscure", "word"])
        .output()
        .unwrap();
    let hidden = String::from_utf8(hidden.stdout).unwrap();
    remote(
        &lab,
        &format!(
            "[proton]\ntype = crypt\nremote = {}\npassword = {hidden}\n",
            lab.text("far")
        ),
    );
    let long = "d".repeat(180);
    lab.write(&format!("home/{long}/in"), "in");
    lab.write("home/bob/other", "other");
    for night in [FIRST, SECOND] {
        lab.at(night, &["apply"]).expect(3).says(&long);
    }
    let (from, to) = (lab.text("home"), lab.text("back"));
    lab.run(&["restore", "--from", "cloud", "latest", &from, &to])
        .expect(3);
    assert_eq!(
        fs::read_to_string(lab.path("back/bob/other")).unwrap(),
        "other"
    );
    assert!(lab.path("back/ann/letter.txt").exists());
    assert!(!lab.path("back").join(&long).join("in").exists());
}

#[test]
fn names_are_short_for_the_cloud_as_for_the_disk() {
    let Some((lab, _)) = lab("names_are_short_for_the_cloud") else {
        return;
    };
    for (at, text) in [(FIRST, "one"), (SECOND, "two"), (THIRD, "three")] {
        lab.write("home/ann/letter.txt", text);
        lab.backup(at);
    }
    let letter = lab.text("home/ann/letter.txt");
    for (name, text) in [
        ("2025-03-05", "one"),
        ("2025-03-06_02", "two"),
        ("latest~1", "two"),
        ("latest", "three"),
    ] {
        let to = lab.text("back");
        lab.run(&["restore", "--from", "cloud", name, &letter, &to])
            .expect(0);
        assert_eq!(fs::read_to_string(&to).unwrap(), text, "{name}");
        fs::remove_file(to).unwrap();
    }
    lab.run(&[
        "restore",
        "--from",
        "cloud",
        "2025-03-0",
        &letter,
        &lab.text("back"),
    ])
    .expect(4)
    .says("2025-03-05_02-00-00")
    .says("2025-03-06_02-00-00");
}
