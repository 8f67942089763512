//! Destinations that several machines use, or one under several names: each is told whose folder it
//! is, and nobody adds to another's. And what is mounted in and above sources.

use std::fs;

use serde_json::json;

use crate::{
    lab::{Lab, contents_below, entry_names},
    mounted::in_namespace,
};

/// What each machine's shell begins with: `machine` gives this machine another identity, `as` another
/// host name, `on` another state directory as well, as machines of their own have.
const MACHINES: &str = "\
machine() { printf '%s\\n' \"$1\" >\"id-$1\"; mount --bind \"id-$1\" /etc/machine-id; }
on() { state=$1; shift; verb=$1; shift
  \"$program\" \"$verb\" --config config.json --state-dir \"state-$state\" --log-dir log \"$@\"; }
ends() { want=$1; shift; set +e; \"$@\"; got=$?; set -e
  [ $got = $want ] || { echo \"$*: exit $got, not $want\"; exit 99; }; }
A=11111111111111111111111111111111 B=22222222222222222222222222222222
";

/// Runs a script on machines; false where nobody may mount, or where machines have no identity.
#[track_caller]
pub(crate) fn on_machines(lab: &Lab, script: &str) -> Option<crate::lab::Ran> {
    if !fs::exists("/etc/machine-id").unwrap_or(false) {
        crate::lab::skip("this machine has no /etc/machine-id");
        return None;
    }
    let program = crate::lab::PROGRAM;
    let script = format!("program='{program}'\n{MACHINES}{script}");
    in_namespace(lab, &script)
}

#[test]
fn a_second_machine_of_the_same_name_is_refused_and_the_first_one_goes_on() {
    let mut lab = Lab::new();
    lab.set("local.requireMount", false);
    let before = "machine $A\non a apply --now FIRST\ncp -a \"$mnt\" before\n";
    let second = "machine $B\nends 4 on b apply --now 2025-03-06T02:00:00+01:00\n\
                  ends 4 on b init\ndiff -r before \"$mnt\"\n";
    // What it holds may be read by whoever can.
    let reads = format!(
        "on b list\non b restore latest '{}' back\n",
        lab.text("home")
    );
    let first = "umount /etc/machine-id\nends 0 on a apply --now 2025-03-07T02:00:00+01:00\n";
    let Some(told) = on_machines(&lab, &format!("{before}{second}{reads}{first}")) else {
        return;
    };
    told.expect(0)
        .says("another machine")
        .hints("init --take-over");
    assert_eq!(lab.ids().len(), 2);
    assert_eq!(
        contents_below(&lab.path("back")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn a_machine_that_was_installed_anew_takes_its_backups_over() {
    for use_rsync in [false, true] {
        let mut lab = Lab::new();
        lab.set("local.requireMount", false);
        lab.set("local.useRsync", use_rsync);
        let script = "machine $A\non a apply --now FIRST\numount /etc/machine-id\nmachine $B\n\
                      ends 4 on b apply --now 2025-03-06T02:00:00+01:00\n\
                      on b init --take-over\n\
                      on b apply --json --now 2025-03-07T02:00:00+01:00 >report.json\n\
                      umount /etc/machine-id\n\
                      ends 4 on a apply --now 2025-03-08T02:00:00+01:00\n";
        let Some(told) = on_machines(&lab, script) else {
            return;
        };
        told.expect(0).says("another machine");
        // The old snapshots are the new machine's: what did not change is linked.
        assert_eq!(lab.ids().len(), 2);
        let totals = &lab.record(&lab.ids()[1])["totals"];
        assert_eq!(totals["files_copied"], 0, "{totals}");
    }
}

#[test]
fn a_renamed_machine_is_told_its_old_name_and_goes_on_under_it() {
    let mut lab = Lab::new();
    lab.set("local.requireMount", false);
    lab.set("hostname", json!(null));
    let renamed = "\
named() { name=$1; shift; unshare --uts sh -c 'hostname \"$0\" && exec \"$@\"' \"$name\" \
\"$program\" \"$@\" --config config.json --state-dir state --log-dir log; }
command -v hostname >/dev/null || exit 77
named oldoak apply --now FIRST
ends 4 named newelm apply --now 2025-03-06T02:00:00+01:00
named newelm list >listed 2>&1
ends 4 named newelm find letter >found 2>&1
named newelm status
";
    let Some(told) = on_machines(&lab, renamed) else {
        return;
    };
    if told.code == 77 {
        crate::lab::skip("hostname is not installed");
        return;
    }
    told.expect(0)
        .says("under its old name")
        .hints("init --take-over oldoak");
    for said in ["listed", "found"] {
        let said = fs::read_to_string(lab.path(said)).unwrap();
        assert!(said.contains("oldoak"), "{said}");
    }
    assert_eq!(entry_names(&lab.path("mnt")), ["oldoak"]);
    // As the hint says.
    lab.set("hostname", "oldoak");
    lab.run(&["apply"]).expect(0);
    assert_eq!(entry_names(&lab.path("mnt")), ["oldoak"]);
}

#[test]
fn sources_in_each_other_on_different_file_systems_are_both_stored_and_come_back_together() {
    for use_rsync in [false, true] {
        let mut lab = Lab::new();
        lab.set("local.requireMount", false);
        lab.set("local.useRsync", use_rsync);
        let inner = [
            lab.text("home/own/deep"),
            lab.text("home"),
            lab.text("home/own"),
        ];
        lab.set("local.sources", json!(inner));
        let script = format!(
            "mkdir -p home/own home/far\nmount -t tmpfs none home/own\nmkdir home/own/deep\n\
             mount -t tmpfs none home/own/deep\nmount -t tmpfs none home/far\n\
             echo 1 >home/own/letter\necho 2 >home/own/deep/letter\necho 3 >home/far/film\n\
             backup check\nbackup apply --now FIRST\nbackup apply --now 2025-03-06T02:00:00+01:00\n\
             backup restore latest '{}' back\nbackup verify\n",
            lab.text("home")
        );
        let Some(told) = in_namespace(&lab, &script) else {
            return;
        };
        told.expect(0).says("is passed over");
        for place in [lab.inside("latest", "home"), lab.path("back")] {
            let text = |name: &str| fs::read_to_string(place.join(name)).unwrap();
            assert_eq!(text("own/letter"), "1\n");
            assert_eq!(text("own/deep/letter"), "2\n");
            assert!(!place.join("far/film").exists());
        }
        let totals = &lab.record(&lab.ids()[1])["totals"];
        assert_eq!(totals["files_copied"], 0, "{totals}");
    }
}

#[test]
fn the_root_may_be_a_source_of_either_engine() {
    if !fs::exists("/etc/passwd").unwrap_or(false) {
        crate::lab::skip("there is no /etc/passwd");
        return;
    }
    // All but one file, so that it is a small one.
    let others = |folder: &str, but: &str| -> Vec<String> {
        let all = entry_names(folder.as_ref()).into_iter();
        all.filter(|name| name != but)
            .map(|name| format!("{}/{name}", folder.trim_end_matches('/')))
            .collect()
    };
    let mut excluded = others("/", "etc");
    excluded.extend(others("/etc", "passwd"));
    for use_rsync in [false, true] {
        let mut lab = Lab::new();
        lab.set("local.sources", json!(["/"]));
        lab.set("local.excludePatterns", json!(excluded));
        lab.set("local.useRsync", use_rsync);
        lab.set("local.requireMount", true);
        let script = "mount -t tmpfs none \"$mnt\"\nbackup check\nbackup apply --now FIRST\n\
                      backup apply --now 2025-03-06T02:00:00+01:00\nbackup verify\n\
                      backup restore latest /etc back\nls -A \"$mnt\"/*/latest >stored\n\
                      cmp \"$mnt\"/*/latest/etc/passwd /etc/passwd\ncmp back/passwd /etc/passwd\n";
        let Some(told) = in_namespace(&lab, script) else {
            return;
        };
        told.expect(0);
        assert_eq!(fs::read_to_string(lab.path("stored")).unwrap(), "etc\n");
        assert_eq!(entry_names(&lab.path("back")), ["passwd"]);
    }
}
