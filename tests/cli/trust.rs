//! Who may decide what is run: root and the user who runs it, and nobody else.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown, lchown, symlink},
    path::Path,
};

use nix::unistd::geteuid;
use schema::{Digest, Plan, plan::SavedPlan};
use serde_json::{Value, json};
use test_support::entry_names;

use crate::lab::{Lab, everything_below, finding_codes, read_json, skip};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const LATER: &str = "2025-03-05T09:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";

/// Somebody who is neither root nor whoever runs the tests.
const STRANGER: u32 = 64_123;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether files can be given to others here; if not, that is said.
fn can_give_away(test: &str) -> bool {
    let can = geteuid().is_root();
    if !can {
        skip(&format!("{test}, because only root can give files away"));
    }
    can
}

/// Whether a path that others could change is refused by each of these verbs, nothing written.
fn refused_by(lab: &Lab, verbs: &[&[&str]], path: &str, hint: &str) {
    let before = everything_below(&lab.path("mnt"));
    for verb in verbs {
        let ran = match *verb {
            ["settle"] => lab.run(verb),
            _ => lab.at(LATER, verb),
        };
        let ran = ran.expect(4);
        ran.says("is not to be trusted").says(path).says(hint);
    }
    assert_eq!(everything_below(&lab.path("mnt")), before);
}

/// A script that writes down that it ran.
fn marking(lab: &Lab, name: &str) -> String {
    let mark = lab.text(&format!("{name}.ran"));
    lab.script(name, &format!("echo ran >> '{mark}'"))
}

fn has_run(lab: &Lab, name: &str) -> bool {
    lab.path(format!("{name}.ran")).exists()
}

#[test]
fn a_configuration_that_others_can_change_is_used_for_nothing() {
    let mut lab = Lab::new();
    lab.set("preBackupScript", marking(&lab, "pre"));
    lab.set("notifications.enable", true);
    lab.set("notifications.command", marking(&lab, "tell"));
    let config = lab.text("config.json");
    let all: &[&[&str]] = &[&["apply"], &["apply", "--if-due"], &["plan"], &["settle"]];
    for mode in [0o666, 0o646, 0o602] {
        set_mode(Path::new(&config), mode);
        refused_by(&lab, all, &config, &format!("chmod go-w {config}"));
        lab.run(&["status"]).expect(4).says(&config);
        lab.run(&["check"]).expect(4).says(&config);
    }
    set_mode(Path::new(&config), 0o644);
    for mode in [0o777, 0o753] {
        set_mode(&lab.path(""), mode);
        let folder = config.trim_end_matches("/config.json");
        refused_by(&lab, all, folder, &format!("chmod go-w {folder}"));
    }
    assert!(!has_run(&lab, "pre") && !has_run(&lab, "tell"));
    // As `/tmp` is, it is no danger to what is the user's own.
    set_mode(&lab.path(""), 0o1777);
    lab.at(LATER, &["apply"]).expect(0);
    assert!(has_run(&lab, "pre"));
}

#[test]
fn what_belongs_to_a_stranger_is_not_trusted_wherever_it_stands_on_the_way() {
    if !can_give_away("what belongs to a stranger") {
        return;
    }
    let lab = Lab::new();
    lab.write("etc/deep/config.json", "");
    fs::copy(lab.path("config.json"), lab.path("etc/deep/config.json")).unwrap();
    symlink("etc", lab.path("link")).unwrap();
    let check = |file: &str| lab.run(&["check", &lab.text(file)]);
    check("link/deep/config.json").expect(0);
    for owned in ["etc", "etc/deep", "etc/deep/config.json", "link"] {
        lchown(lab.path(owned), Some(STRANGER), None).unwrap();
        check("link/deep/config.json")
            .expect(4)
            .says(&format!("{} belongs to uid {STRANGER}", lab.text(owned)))
            .hints("chown ");
        lchown(lab.path(owned), Some(0), None).unwrap();
    }
    // A group of others, and an access control list, are others too.
    chown(lab.path("etc"), None, Some(STRANGER)).unwrap();
    set_mode(&lab.path("etc"), 0o775);
    check("link/deep/config.json")
        .expect(4)
        .says(&format!("can be written by its group gid {STRANGER}"));
    set_mode(&lab.path("etc"), 0o755);
    check("link/deep/config.json").expect(0);
    // From another folder, by its relative name.
    chown(lab.path("etc"), Some(STRANGER), None).unwrap();
    lab.run(&["check", "etc/deep/config.json"]).expect(4);
}

#[test]
fn a_program_that_others_can_change_is_not_run_and_people_are_told() {
    for (key, name) in [
        ("preBackupScript", "pre"),
        ("postBackupScript", "post"),
        ("notifications.command", "tell"),
    ] {
        let mut lab = Lab::new();
        lab.set("schedule.enable", true);
        lab.set("schedule.onlyOnAC", false);
        lab.set("notifications.enable", true);
        lab.set("notifications.onSuccess", true);
        lab.set("notifications.desktop", false);
        let told = lab.script("told", &format!("cat > '{}'", lab.text("told.json")));
        lab.set("notifications.command", told);
        lab.set(key, marking(&lab, name));
        let program = lab.text(name);
        lab.run(&["check"]).expect(0);
        for mode in [0o777, 0o757] {
            set_mode(Path::new(&program), mode);
            lab.run(&["check"])
                .expect(4)
                .says(&format!("{program} ({key}) is not to be trusted"))
                .hints(&format!("chmod go-w {program}"));
            let report = lab.at(FIRST, &["apply", "--json"]).expect(4).json();
            assert!(finding_codes(&report["findings"]).contains(&"untrusted-file"));
            lab.at(FIRST, &["plan"]).expect(4).says(key);
            lab.at(FIRST, &["status"]).says("is not to be trusted");
        }
        // By the timer as well, and whoever can be told is.
        lab.at(SECOND, &["apply", "--if-due"]).expect(4);
        assert!(!has_run(&lab, name), "{name}");
        if name != "tell" {
            let told = read_json(&lab.path("told.json"));
            assert_eq!(told["result"], "refused", "{told:#}");
        }
        set_mode(Path::new(&program), 0o755);
        lab.at(SECOND, &["apply", "--if-due"]).expect(0);
        assert!(has_run(&lab, name), "{name}");
    }
}

#[test]
fn a_program_that_changes_hands_after_it_was_planned_is_not_run() {
    let mut lab = Lab::new();
    let post = marking(&lab, "post");
    lab.set("postBackupScript", &*post);
    lab.set(
        "preBackupScript",
        lab.script("pre", &format!("chmod 777 '{post}'")),
    );
    lab.at(FIRST, &["apply"])
        .expect(1)
        .says("post")
        .says("is not started");
    assert!(!has_run(&lab, "post"));
    assert_eq!(lab.ids().len(), 1, "the snapshot is made all the same");
}

#[test]
fn a_state_directory_that_others_can_write_to_is_refused() {
    let lab = Lab::new();
    lab.backup(FIRST);
    let run = format!("state/runs/{}", lab.runs()[0]);
    for path in ["state", "state/runs", &*run, &format!("{run}/plan.json")] {
        let full = lab.path(path);
        let mode = fs::metadata(&full).unwrap().permissions().mode() & 0o7777;
        for others in [0o022, 0o002, 0o1002] {
            set_mode(&full, mode | others);
            let verbs: &[&[&str]] = &[&["apply"], &["settle"]];
            // Below it there may be any number of them: one command mends all.
            let hint = match path {
                "state" => format!("chmod go-w {}", full.display()),
                _ => format!("chmod -R go-w {}", lab.text("state")),
            };
            refused_by(&lab, verbs, &lab.text(path), &hint);
            lab.run(&["check"]).expect(4).says(&lab.text(path));
        }
        set_mode(&full, mode);
    }
    if can_give_away("what belongs to a stranger in the state directory") {
        chown(lab.path("state/runs"), Some(STRANGER), None).unwrap();
        refused_by(&lab, &[&["apply"]], &lab.text("state/runs"), "chown ");
        chown(lab.path("state/runs"), Some(0), None).unwrap();
    }
    lab.at(SECOND, &["apply"]).expect(0);
}

#[test]
fn a_plan_is_saved_as_a_new_file_of_ones_own_and_into_nothing_else() {
    let lab = Lab::new();
    let save = |name: &str| lab.at(FIRST, &["plan", "--out", &lab.text(name)]);
    let mode = |name: &str| fs::metadata(lab.path(name)).unwrap().permissions().mode() & 0o777;
    save("plan.json").expect(0);
    // One of one's own is replaced, not written into: who has it open sees no more of it.
    set_mode(&lab.path("plan.json"), 0o666);
    fs::hard_link(lab.path("plan.json"), lab.path("other")).unwrap();
    let before = fs::read(lab.path("other")).unwrap();
    lab.at(LATER, &["plan", "--out", &lab.text("plan.json")])
        .expect(0);
    assert_eq!(mode("plan.json"), 0o600);
    assert_eq!(fs::read(lab.path("other")).unwrap(), before);

    symlink("target", lab.path("link")).unwrap();
    nix::unistd::mkfifo(&lab.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(lab.path("folder")).unwrap();
    for (name, what) in [
        ("link", "is a symlink"),
        ("pipe", "is no regular file"),
        ("folder", "is a folder"),
    ] {
        save(name).expect(4).says(what).hints("name another file");
    }
    assert!(!lab.path("target").exists());
    let kind = fs::symlink_metadata(lab.path("pipe")).unwrap().file_type();
    assert!(kind.is_fifo());
    // Where others could put another in its place, none is saved.
    set_mode(&lab.path("folder"), 0o777);
    save("folder/plan.json").expect(4).hints("chmod go-w");
    assert_eq!(fs::read_dir(lab.path("folder")).unwrap().count(), 0);
    set_mode(&lab.path("folder"), 0o1777);
    save("folder/plan.json").expect(0);
    lab.at(LATER, &["apply", &lab.text("folder/plan.json")])
        .expect(0);
    if can_give_away("a plan in the file of a stranger") {
        lab.write("folder/theirs", "");
        chown(lab.path("folder/theirs"), Some(STRANGER), None).unwrap();
        save("folder/theirs").expect(4).says("belongs to");
        assert_eq!(fs::read(lab.path("folder/theirs")).unwrap(), b"");
    }
}

#[test]
fn a_plan_that_others_can_change_is_not_applied() {
    let lab = Lab::new();
    let plan = lab.text("own/plan.json");
    fs::create_dir(lab.path("own")).unwrap();
    lab.at(FIRST, &["plan", "--out", &plan]).expect(0);
    for (path, mode, right) in [
        (lab.path("own/plan.json"), 0o622, 0o600),
        (lab.path("own/plan.json"), 0o602, 0o600),
        (lab.path("own"), 0o777, 0o755),
    ] {
        set_mode(&path, mode);
        let hint = format!("chmod go-w {}", path.display());
        let verb: &[&str] = &["apply", &plan];
        refused_by(&lab, &[verb], &path.display().to_string(), &hint);
        set_mode(&path, right);
    }
    lab.at(LATER, &["apply", &plan]).expect(0);
}

/// The plan with these words in the place of others, and with the digest that it then has.
fn forge(plan: &Value, from: &str, to: &str) -> Value {
    let text = plan.to_string();
    assert!(text.contains(from), "no {from} in {text}");
    let mut plan: Plan = serde_json::from_str(&text.replace(from, to)).unwrap();
    plan.digest = Digest([0; 32]);
    plan.digest = plan.expected_digest();
    serde_json::to_value(plan).unwrap()
}

#[test]
fn a_forged_plan_with_the_right_digest_gains_nothing() {
    let mut lab = Lab::new();
    lab.set("preBackupScript", marking(&lab, "pre"));
    let evil = marking(&lab, "evil");
    lab.write("secret/key", "private\n");
    let path = lab.path("plan.json");
    lab.at(FIRST, &["plan", "--out", "plan.json"]).expect(0);
    let saved = read_json(&path);
    let (pre, home) = (lab.text("pre"), lab.text("home"));
    for (from, to, named) in [
        (&pre, &evil, "step `pre-script` has program"),
        (&home, &lab.text("secret"), "step `snapshot` has sources"),
    ] {
        let mut forged = saved.clone();
        forged["plan"] = forge(&saved["plan"], from, to);
        let forged: SavedPlan = serde_json::from_value(forged).unwrap();
        fs::write(&path, serde_json::to_vec(&forged).unwrap()).unwrap();
        set_mode(&path, 0o600);
        let report = lab.at(LATER, &["apply", "plan.json", "--json"]);
        let report = report.expect(4).json();
        let finding = &report["findings"][0];
        assert_eq!(finding["code"], "plan-not-of-config", "{finding:#}");
        let message = finding["message"].as_str().unwrap();
        assert!(message.contains(named), "{message}");
    }
    assert!(!has_run(&lab, "evil") && !has_run(&lab, "pre"));
    assert!(lab.runs().is_empty());
    fs::write(&path, saved.to_string()).unwrap();
    lab.at(LATER, &["apply", "plan.json"]).expect(0);
}

/// Leaves a run in the state directory that looks unfinished, with this plan.
fn plant_run(lab: &Lab, config: &Value, plan: &Value, journal: &str) {
    let name = plan["run_id"].as_str().unwrap();
    let folder = format!("state/runs/{name}");
    lab.write(&format!("{folder}/config.json"), &config.to_string());
    lab.write(&format!("{folder}/plan.json"), &plan.to_string());
    lab.write(&format!("{folder}/number.json"), "99");
    lab.write(&format!("{folder}/journal.jsonl"), journal);
    for file in [
        "",
        "/config.json",
        "/plan.json",
        "/number.json",
        "/journal.jsonl",
    ] {
        let mode = if file.is_empty() { 0o700 } else { 0o600 };
        set_mode(&lab.path(format!("{folder}{file}")), mode);
    }
}

/// A line of a run's journal.
fn journal_line(n: u64, event: &Value) -> String {
    let text = event.to_string();
    let sum = Digest::of(format!("1 {n} {text}").as_bytes()).to_string();
    format!(
        "{{\"v\":1,\"n\":{n},\"sum\":\"{}\",\"event\":{text}}}\n",
        &sum[..16]
    )
}

#[test]
fn a_forged_unfinished_run_is_neither_continued_nor_settled() {
    let mut lab = Lab::new();
    lab.set("postBackupScript", marking(&lab, "post"));
    let evil = marking(&lab, "evil");
    lab.backup(FIRST);
    fs::remove_file(lab.path("post.ran")).unwrap();
    lab.at(SECOND, &["plan", "--out", "plan.json"]).expect(0);
    let saved = read_json(&lab.path("plan.json"));
    let forged = forge(&saved["plan"], &lab.text("post"), &evil);
    let begun = json!({
        "event": "run-started", "plan": forged["digest"], "at": SECOND, "pid": 1,
    });
    plant_run(&lab, &saved["config"], &forged, &journal_line(0, &begun));
    lab.run(&["settle"]).expect(0);
    lab.at(SECOND, &["apply", "--only", "local"])
        .expect(4)
        .says("is not what the configuration gives");
    lab.at(SECOND, &["apply"])
        .expect(0)
        .says("step `post-script` has program");
    assert!(!has_run(&lab, "evil") && has_run(&lab, "post"));
    assert_eq!(lab.ids().len(), 2, "planned anew and run");
}

/// The plan with the deletion of this snapshot in its rotation, and with the digest that it then has.
fn forge_deletion(plan: &Value, id: &str) -> Value {
    let mut plan = plan.clone();
    let steps = plan["steps"].as_array_mut().unwrap();
    let mut rotate = steps.iter_mut().filter(|step| step["id"] == "rotate");
    let rotation = &mut rotate.next().unwrap()["action"]["on_complete"];
    let keep = rotation["keep"].as_array_mut().unwrap();
    let of_id = keep.iter().position(|kept| kept["id"] == id).unwrap();
    let kept = keep.remove(of_id);
    let links = rotation["links"].as_array_mut().unwrap();
    links.retain(|link| link["id"] != id);
    rotation["deletions"] = json!([{
        "id": id, "home": kept["home"], "reason": {"kind": "oldest"}, "frees": 0,
    }]);
    forge(&plan, id, id)
}

#[test]
fn a_forged_plan_deletes_nothing_that_the_configuration_keeps() {
    const THIRD: &str = "2025-03-07T02:00:00+01:00";
    let lab = Lab::new();
    lab.backup(FIRST);
    lab.backup(SECOND);
    let ids = lab.ids();
    lab.at(THIRD, &["plan", "--out", "plan.json"]).expect(0);
    let path = lab.path("plan.json");
    let saved = read_json(&path);
    let mut forged = saved.clone();
    forged["plan"] = forge_deletion(&saved["plan"], &ids[0]);
    let forged: SavedPlan = serde_json::from_value(forged).unwrap();
    fs::write(&path, serde_json::to_vec(&forged).unwrap()).unwrap();
    let told = format!("{}, which the configuration keeps", ids[0]);
    lab.at(THIRD, &["apply", "plan.json"]).expect(4).says(&told);
    assert_eq!(lab.ids(), ids);

    let plan = serde_json::to_value(&forged.plan).unwrap();
    let begun = json!({
        "event": "run-started", "plan": plan["digest"], "at": THIRD, "pid": 1,
    });
    plant_run(&lab, &saved["config"], &plan, &journal_line(0, &begun));
    lab.at(THIRD, &["apply"]).expect(0).says(&told);
    let left = lab.ids();
    assert!(ids.iter().all(|id| left.contains(id)), "{left:?}");
    assert_eq!(left.len(), 3, "planned anew and run");
}

#[test]
fn an_unfinished_run_of_the_configuration_is_continued() {
    let mut lab = Lab::new();
    lab.set("postBackupScript", marking(&lab, "post"));
    lab.at(FIRST, &["plan", "--out", "plan.json"]).expect(0);
    let saved = read_json(&lab.path("plan.json"));
    plant_run(&lab, &saved["config"], &saved["plan"], "");
    set_mode(&lab.path("state"), 0o700);
    set_mode(&lab.path("state/runs"), 0o700);
    let report = lab.at(LATER, &["apply", "--json"]).expect(0).json();
    assert_eq!(report["run_id"], saved["plan"]["run_id"]);
    assert!(has_run(&lab, "post"));
}

#[test]
fn a_program_that_others_can_replace_is_in_no_unit() {
    // Its path stands in a unit as it is.
    let lab = Lab::short();
    lab.script("bin/backup", "exit 0");
    let (folder, program) = (lab.path("bin"), lab.path("bin/backup"));
    let text = program.to_str().unwrap().to_owned();
    let print = ["systemd-units", "--program", &text];
    let units = lab.text("units");
    let write = [&print[..], &["--to", &units]].concat();
    let mine = lab.run(&print).expect(0);
    assert!(
        mine.stdout.contains(&format!("ExecStart={text} ")),
        "{mine}"
    );
    // Root is to start it, and so nobody else may have a say in it.
    assert_eq!(mine.stderr.contains("warning"), !geteuid().is_root());
    for (path, mode, back) in [(&program, 0o757, 0o755), (&folder, 0o777, 0o755)] {
        set_mode(path, mode);
        for arguments in [&print[..], &write] {
            let told = lab.run(arguments).expect(4);
            told.clone()
                .says("is not to be trusted")
                .hints("install -m 755");
            told.says(path.to_str().unwrap());
        }
        set_mode(path, back);
    }
    if can_give_away("a_program_that_others_can_replace_is_in_no_unit") {
        chown(&program, Some(STRANGER), None).unwrap();
        lab.run(&write).expect(4).says("belongs to");
    }
    assert!(!lab.path("units").exists());
}

#[test]
fn units_go_into_no_folder_that_others_can_write_to_and_through_no_link() {
    let lab = Lab::short();
    lab.script("bin/backup", "exit 0");
    let program = lab.text("bin/backup");
    let units = lab.text("units");
    let write = ["systemd-units", "--program", &program, "--to", &units];
    fs::create_dir(lab.path("units")).unwrap();
    set_mode(&lab.path("units"), 0o777);
    lab.run(&write).expect(4).says("is not to be trusted");
    assert_eq!(entry_names(&lab.path("units")), [""; 0]);
    set_mode(&lab.path("units"), 0o755);
    // What was prepared before, under the name that a new file once had, and under the unit's own.
    lab.write("victim", "precious");
    symlink(lab.path("victim"), lab.path("units/.backup.service.new")).unwrap();
    lab.run(&write).expect(0);
    assert!(!lab.path("units/backup.service").is_symlink());
    fs::remove_file(lab.path("units/backup.service")).unwrap();
    symlink(lab.path("victim"), lab.path("units/backup.service")).unwrap();
    lab.run(&write)
        .expect(4)
        .says("was not made by this program");
    assert_eq!(fs::read(lab.path("victim")).unwrap(), b"precious");
}
