//! Destinations that really are mounted, in a mount namespace that ends with the test.

use std::process::{Command, Stdio};

use crate::lab::{HOST, Lab, PROGRAM, Ran, contents_below, entry_names, id_of, run_command, skip};

const FIRST: &str = "2025-03-05T02:00:00+01:00";

/// Runs a shell script that may mount, in which `backup` is the program with the lab's
/// configuration; none where nobody may mount.
pub(crate) fn in_namespace(lab: &Lab, script: &str) -> Option<Ran> {
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        command.args(arguments);
        command
    };
    let can = |arguments: &[&str]| {
        let mut probe = unshare(arguments);
        probe.args(["mount", "-t", "tmpfs", "none", "/mnt"]);
        probe.stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    };
    let ways: [&[&str]; 2] = [&[], &["--user", "--map-root-user"]];
    let Some(way) = ways.into_iter().find(|way| can(way)) else {
        skip("nothing can be mounted here");
        return None;
    };
    let functions = format!(
        "set -e\nmnt='{}'\nbackup() {{ verb=$1; shift; '{PROGRAM}' \"$verb\" --config '{}' \
         --state-dir '{}' --log-dir '{}' \"$@\"; }}\n",
        lab.text("mnt"),
        lab.text("config.json"),
        lab.text("state"),
        lab.text("log"),
    );
    let script = script.replace("FIRST", FIRST);
    let inner = lab.bare("sh");
    let mut command = unshare(way);
    command.env_clear().current_dir(lab.path(""));
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .args(["sh", "-c", &format!("{functions}{script}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Some(run_command(command, &[&script]))
}

/// A lab whose destination must be mounted.
fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.set("local.requireMount", true);
    lab
}

#[test]
fn a_mounted_drive_is_backed_up_to_and_an_unmounted_one_is_not() {
    let lab = lab();
    let script = format!(
        "mount -t tmpfs none \"$mnt\"\nbackup apply --now FIRST\nbackup list\nls \"$mnt/{HOST}/monthly\"\n\
         umount \"$mnt\"\ncode=0; backup apply --now FIRST || code=$?; ls -A \"$mnt\"; exit $code"
    );
    let Some(told) = in_namespace(&lab, &script) else {
        return;
    };
    told.expect(4)
        .says(&format!("Snapshot {} is complete", id_of(FIRST)))
        .says("destination not mounted")
        .hints("mount");
    assert_eq!(entry_names(&lab.path("mnt")), [""; 0]);
}

#[test]
fn a_drive_that_is_mounted_read_only_is_refused() {
    let lab = lab();
    let script = "mount -t tmpfs -o ro none \"$mnt\"\nbackup apply --now FIRST";
    let Some(told) = in_namespace(&lab, script) else {
        return;
    };
    told.expect(4)
        .says("is mounted read-only")
        .hints("remount,rw");
}

#[test]
fn a_state_directory_that_cannot_be_written_to_is_in_the_headline_and_ends_by_itself() {
    // Left to the program: nothing, or not enough.
    for (act, undo, told, code) in [
        (
            "dd if=/dev/zero of='STATE/fill' bs=4k 2> /dev/null || :",
            "rm 'STATE/fill'",
            "insufficient space",
            1,
        ),
        (
            "dd if=/dev/zero of='STATE/fill' bs=4k 2> /dev/null || :\ntruncate -s -128K 'STATE/fill'",
            "rm 'STATE/fill'",
            "insufficient space",
            4,
        ),
        (
            "mount -o remount,ro 'STATE'",
            "mount -o remount,rw 'STATE'",
            "read-only",
            1,
        ),
    ] {
        let mut lab = lab();
        lab.set("local.requireMount", false);
        let state = lab.text("state");
        let letter = lab.text("home/ann/letter.txt");
        std::fs::create_dir_all(&state).unwrap();
        let script = format!(
            "mount -t tmpfs -o size=4m,mode=700 none 'STATE'\nbackup apply --now FIRST\n{act}\n\
             echo == run; code=0; backup apply --now SECOND || code=$?; echo \"ended with $code\"\n\
             echo == status; backup status --now SECOND\n\
             echo == health; code=0; backup health --now SECOND || code=$?; echo \"judged $code\"\n\
             code=0; backup restore latest {letter} back || code=$?; echo \"restored $code\"\n\
             '{PROGRAM}' restore latest {letter} back --config config.json --state-dir elsewhere \
             --log-dir logs\n\
             echo == undone\n{undo}\nbackup apply --now SECOND\nbackup status --now SECOND"
        )
        .replace("STATE", &state)
        .replace("SECOND", "2025-03-06T02:00:00+01:00");
        let Some(ran) = in_namespace(&lab, &script) else {
            return;
        };
        let ran = ran.expect(0);
        let parts: Vec<&str> = ran.stdout.split("== ").collect();
        assert!(
            parts[1].trim_end().ends_with(&format!("ended with {code}")),
            "{act}: {ran}"
        );
        assert!(parts[3].starts_with("health\nerror: 1 error"), "{ran}");
        assert!(parts[2].starts_with("status\nwarning: "), "{act}: {ran}");
        assert!(parts[2].replace("\n  ", " ").contains(told), "{act}: {ran}");
        assert!(parts[3].contains("\njudged 1\n"), "{act}: {ran}");
        // With the little that is left a restore may do, and elsewhere it surely does.
        assert_eq!(parts[3].contains("\nrestored 1\n"), code == 1, "{ran}");
        assert_eq!(
            std::fs::read(lab.path("back")).unwrap(),
            std::fs::read(&letter).unwrap()
        );
        assert!(parts[4].contains("\nok: last backup just now"), "{ran}");
        assert_eq!(lab.ids().len(), 2);
    }
}

#[test]
fn a_drive_that_is_too_small_is_refused_before_anything_is_copied() {
    let lab = lab();
    lab.write("home/ann/video", &"x".repeat(8 << 20));
    let script = "mount -t tmpfs -o size=4m,mode=700 none \"$mnt\"\ncode=0; backup apply --now FIRST || code=$?\n\
                  ls -A \"$mnt\"; exit $code";
    let Some(told) = in_namespace(&lab, script) else {
        return;
    };
    let told = told.expect(4).says("insufficient space");
    assert!(!told.stdout.ends_with("atlas\n"), "{told}");
    told.hints("");
}

#[test]
fn the_wrong_file_system_is_refused_by_its_uuid() {
    let mut lab = lab();
    lab.set(
        "local.fileSystemUUID",
        "0a6f6e1c-7d58-4c5e-9a55-2d3f8f3f6d11",
    );
    let script = "mount -t tmpfs none \"$mnt\"\nbackup apply --now FIRST";
    let Some(told) = in_namespace(&lab, script) else {
        return;
    };
    told.expect(4)
        .says("local.fileSystemUUID")
        .hints("attach the right drive");
}

#[test]
fn what_is_mounted_below_a_source_is_passed_over_and_said() {
    let mut lab = Lab::new();
    lab.set("local.requireMount", false);
    lab.write("home/share/below", "");
    let script = "mount -t tmpfs none home/share\ntouch home/share/remote\n\
                  backup plan --now FIRST\nbackup apply --now FIRST";
    let Some(told) = in_namespace(&lab, script) else {
        return;
    };
    told.expect(0).says("is passed over (local.oneFileSystem)");
    assert_eq!(entry_names(&lab.inside("latest", "home/share")), [""; 0]);
}

#[test]
fn files_come_back_from_a_drive_that_is_mounted_read_only() {
    let lab = lab();
    let script = format!(
        "mount -t tmpfs none \"$mnt\"\nbackup apply --now FIRST\nmount -o remount,bind,ro \"$mnt\"\nbackup list\n\
         backup restore latest '{}' back",
        lab.text("home")
    );
    let Some(told) = in_namespace(&lab, &script) else {
        return;
    };
    told.expect(0);
    assert_eq!(
        contents_below(&lab.path("back")),
        contents_below(&lab.path("home"))
    );
}

#[test]
fn a_drive_that_fills_up_while_copying_loses_nothing_and_is_gone_on_with() {
    let mut lab = lab();
    // Grown after the plan was made.
    let video = lab.text("home/ann/video");
    let grow = format!("[ -e fixed ] || head -c 16M /dev/zero > '{video}'");
    lab.set("preBackupScript", lab.script("grow", &grow));
    let script = format!(
        "mount -t tmpfs -o size=8m none \"$mnt\"\ncode=0\nbackup apply --now FIRST || code=$?\n\
         echo \"first: $code\"\ntest ! -e \"$mnt/{HOST}/latest\"\n\
         rm '{video}'\ntouch fixed\nbackup apply --now FIRST\n\
         ls \"$mnt/{HOST}/.backup/partial\"; cat \"$mnt/{HOST}/latest{}\"",
        lab.text("home/ann/letter.txt"),
    );
    let Some(told) = in_namespace(&lab, &script) else {
        return;
    };
    let told = told.expect(0).says("first: 1").says("insufficient space");
    assert!(told.stdout.ends_with(" is complete.\ndear all\n"), "{told}");
}
