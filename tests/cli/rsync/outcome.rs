//! How rsync may end, and what that means for the snapshot.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use nix::unistd::geteuid;
use serde_json::Value;

use super::{FIRST, SECOND, THIRD, lab, rest, run_with_script};
use crate::{
    lab::{HOST, contents_below, id_of, run_command, step_outcome},
    mounted::in_namespace,
};

#[test]
fn entries_that_vanish_are_looked_for_once_more_and_then_listed() {
    let Some(lab) = lab() else { return };
    rest();
    // rsync says so of one that is back when it is looked for, and of one that came and went.
    let vanishing = "\"$real\" --exclude=photo.jpg \"$@\" || exit $?\n\
        echo 'file has vanished: \"/proc/self/fd/0/ann/photo.jpg\"' >&2\n\
        echo 'file has vanished: \"/proc/self/fd/0/ann/gone\\#012\"' >&2\n\
        echo 'rsync warning: some files vanished (code 24) at main.c' >&2\nexit 24";
    let report = run_with_script(&lab, vanishing, FIRST).expect(0).json();
    assert_eq!(
        step_outcome(&report, "snapshot")["problems"],
        Value::Array(vec![])
    );
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );

    // One of the snapshot, which is of the moment of its survey.
    let gone = lab.text("home/ann/gone");
    lab.write("home/ann/gone", "soon");
    lab.write("home/ann/stays", "long");
    rest();
    let vanishes = format!("rm '{gone}'\nexec \"$real\" \"$@\"");
    let report = run_with_script(&lab, &vanishes, SECOND).expect(0).json();
    assert_eq!(report["result"], "success");
    let problems = step_outcome(&report, "snapshot")["problems"]
        .as_array()
        .unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0]["kind"], "vanished");
    assert_eq!(problems[0]["path"], *gone);
    let record = lab.record(&id_of(SECOND));
    assert_eq!(record["totals"]["vanished"], 1);
    assert_eq!(record["complete"], true);
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn what_rsync_leaves_out_is_copied_or_listed() {
    let Some(lab) = lab() else { return };
    rest();
    // Left out for a reason that has passed by the time that the rest is looked at.
    let passing = "\"$real\" --exclude=photo.jpg \"$@\"\n\
        echo 'rsync: [sender] send_files failed to open \"/proc/self/fd/0/ann/photo.jpg\": \
        Permission denied (13)' >&2\nexit 23";
    let report = run_with_script(&lab, passing, FIRST).expect(0).json();
    assert_eq!(report["result"], "success");
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );

    // Nobody can tell whether all is well.
    lab.write("home/ann/second", "2");
    rest();
    let silent = "\"$real\" \"$@\"\nexit 23";
    let report = run_with_script(&lab, silent, SECOND).expect(3).json();
    let problem = &step_outcome(&report, "snapshot")["problems"][0];
    assert_eq!(problem["path"], *lab.text("home"));
    assert!(
        problem["message"]
            .as_str()
            .unwrap()
            .contains("exit code 23")
    );

    lab.write("home/ann/third", "3");
    rest();
    let unknown = "\"$real\" \"$@\"\necho 'rsync: something else' >&2\nexit 23";
    run_with_script(&lab, unknown, THIRD)
        .expect(3)
        .says("rsync: something else");
    assert_eq!(lab.record(&id_of(THIRD))["complete"], false);
}

#[test]
fn a_file_that_may_not_be_read_is_listed_and_the_rest_is_complete() {
    let Some(lab) = lab() else { return };
    lab.write("home/ann/secret", "s");
    lab.write("home/closed/x", "x");
    let mode = |path: &str, mode| {
        fs::set_permissions(lab.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("home/ann/secret", 0);
    mode("home/closed", 0);
    rest();
    let arguments = ["apply", "--json", "--now", FIRST];
    let mut command = lab.command(&arguments);
    if geteuid().is_root() {
        // Root reads everything but for what it is told not to.
        let inner = std::mem::replace(&mut command, Command::new("setpriv"));
        let drop = "-dac_override,-dac_read_search";
        command.args([
            &format!("--bounding-set={drop}"),
            &format!("--inh-caps={drop}"),
            "--",
        ]);
        command.arg(inner.get_program()).args(inner.get_args());
        command.env_clear().current_dir(lab.path(""));
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }
    let report = run_command(command, &arguments).expect(3).json();
    mode("home/closed", 0o755);
    mode("home/ann/secret", 0o644);
    let problems = step_outcome(&report, "snapshot")["problems"]
        .as_array()
        .unwrap();
    let paths: Vec<&str> = problems
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [lab.text("home/ann/secret"), lab.text("home/closed")]
    );
    assert_eq!(
        fs::read(lab.inside("latest", "home/ann/letter.txt")).unwrap(),
        b"dear all\n"
    );
}

#[test]
fn a_disk_that_fills_up_ends_rsync_and_the_next_run_goes_on() {
    let Some(mut lab) = lab() else { return };
    lab.set("local.requireMount", true);
    for index in 0..4 {
        lab.write(
            &format!("home/a/{index}"),
            &format!("{index}\n").repeat(400_000),
        );
    }
    // Grown after the plan was made. Zeros would take no space.
    let video = lab.text("home/ann/video");
    let grow = format!("[ -e fixed ] || head -c 16M /dev/urandom > '{video}'");
    lab.set("preBackupScript", lab.script("grow", &grow));
    let script = format!(
        "mount -t tmpfs -o size=8m none \"$mnt\"\ncode=0\nbackup apply --now FIRST || code=$?\n\
         echo \"first: $code\"\ntest ! -e \"$mnt/{HOST}/latest\"\n\
         find \"$mnt\" -name '[0-3]' -printf '%f is %i\\n' | sort > before\n\
         rm '{video}'\ntouch fixed\nbackup apply --now FIRST\n\
         find \"$mnt\" -name '[0-3]' -printf '%f is %i\\n' | sort > after\ncmp before after\n\
         ls \"$mnt/{HOST}/.backup/partial\"; cat \"$mnt/{HOST}/latest{}\"",
        lab.text("home/ann/letter.txt"),
    );
    let Some(told) = in_namespace(&lab, &script) else {
        return;
    };
    let told = told
        .expect(0)
        .says("first: 1")
        .says("insufficient space: rsync failed with exit code 11");
    assert!(told.stdout.ends_with(" is complete.\ndear all\n"), "{told}");
    assert_eq!(
        fs::read_to_string(lab.path("before"))
            .unwrap()
            .lines()
            .count(),
        4
    );
}

#[test]
fn the_space_that_is_to_stay_free_stays_free_while_rsync_runs() {
    let Some(mut lab) = lab() else { return };
    lab.set("local.requireMount", true);
    lab.set("local.minSpaceGB", 1);
    let video = lab.text("home/ann/video");
    let grow = format!("head -c 400M /dev/urandom > '{video}'");
    lab.set("preBackupScript", lab.script("grow", &grow));
    let script = "mount -t tmpfs -o size=1200m none \"$mnt\"\ncode=0\n\
        backup apply --now FIRST || code=$?\necho \"first: $code\"\n\
        df --output=avail -BM \"$mnt\" | tail -1";
    let Some(told) = in_namespace(&lab, script) else {
        return;
    };
    let told = told
        .expect(0)
        .says("first: 1")
        .says("insufficient space")
        .says("local.minSpaceGB keeps 1.0 GiB free");
    let free = told
        .stdout
        .lines()
        .last()
        .unwrap()
        .trim()
        .trim_end_matches('M');
    // Not a whole second of copying was missed.
    assert!(free.parse::<u32>().unwrap() > 800, "{told}");
}

#[test]
fn an_rsync_that_fails_is_explained_and_the_next_run_goes_on() {
    let Some(lab) = lab() else { return };
    rest();
    let failing = "\"$real\" \"$@\" > /dev/null\n\
        echo 'rsync: [generator] what went wrong (71)' >&2\n\
        echo 'rsync error: error in rsync protocol data stream (code 12) at io.c(232)' >&2\nexit 12";
    let report = run_with_script(&lab, failing, FIRST).expect(1).json();
    let message = step_outcome(&report, "snapshot")["message"]
        .as_str()
        .unwrap();
    assert!(
        message.contains("exit code 12 (error in rsync protocol data stream)"),
        "{message}"
    );
    assert!(
        message.contains(&lab.text("home")) && message.contains("what went wrong"),
        "{message}"
    );
    run_with_script(&lab, "kill -9 $$", SECOND)
        .expect(1)
        .says("rsync was ended by signal 9");
    assert_eq!(lab.tiers(), [""; 0]);
    lab.backup(THIRD);
    assert_eq!(lab.ids(), [id_of(THIRD)]);
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn an_rsync_that_waits_at_a_fifo_is_ended_and_the_rest_is_copied() {
    let Some(lab) = lab() else { return };
    rest();
    // What rsync does where a file that it listed became a FIFO before it opens it.
    let waits = "mkfifo \"$lab/fifo\"\nexec cat \"$lab/fifo\"";
    let told = run_with_script(&lab, waits, FIRST)
        .expect(0)
        .says("rsync did nothing for")
        .says("the built-in engine copies what is missing");
    assert_eq!(told.json()["result"], "success");
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn an_rsync_that_copies_far_more_than_there_is_is_ended_and_the_rest_is_copied() {
    // What rsync says of a file that had terabytes of holes when it was listed, and of one that got them
    // before it was opened: it gets on all the time.
    for first in ["0", "-8796089858366"] {
        let Some(lab) = lab() else { return };
        rest();
        let copies = format!(
            "bytes={first}\nfor turn in $(seq 200); do bytes=$((bytes + 1000000000))\n\
             printf '%15d   0%%  900.00MB/s    1:00:00\\r' $bytes; sleep 0.05; done"
        );
        let told = run_with_script(&lab, &copies, FIRST)
            .expect(0)
            .says("rsync copied far more from")
            .says("the built-in engine copies what is missing");
        assert_eq!(told.json()["result"], "success");
        assert_eq!(
            contents_below(&lab.inside("latest", "home")),
            contents_below(&lab.path("home"))
        );
    }
}

#[test]
fn an_rsync_that_cannot_start_its_processes_leaves_all_to_the_built_in_engine() {
    let Some(lab) = lab() else { return };
    rest();
    let forks = "echo 'rsync: [sender] fork: Resource temporarily unavailable (11)' >&2\nexit 14";
    run_with_script(&lab, forks, FIRST)
        .expect(0)
        .says("rsync could not start: rsync: [sender] fork: Resource temporarily unavailable");
    assert_eq!(
        contents_below(&lab.inside("latest", "home")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn a_renamed_folder_needs_no_room_on_a_full_disk() {
    let Some(mut lab) = lab() else { return };
    lab.set("local.requireMount", true);
    let home = lab.text("home");
    let script = format!(
        "mount -t tmpfs -o size=10m none \"$mnt\"\nmkdir '{home}/films'\n\
         head -c 6M /dev/urandom > '{home}/films/a film'\nsleep 0.1\n\
         backup apply --now FIRST > /dev/null\nmv '{home}/films' '{home}/renamed'\n\
         backup apply --now {SECOND} > /dev/null\n\
         find \"$mnt/{HOST}\" -name 'a film' -printf '%i\n' | sort | uniq -c"
    );
    let Some(told) = in_namespace(&lab, &script) else {
        return;
    };
    let told = told.expect(0);
    let last: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(last.len(), 1, "{told}");
    assert!(last[0].trim_start().starts_with("2 "), "{told}");
}
