//! Runs under a real systemd: through the units, alone, and in their sandboxes.

use crate::{
    machine::{config, machine},
    skipped,
};

#[test]
fn a_run_goes_through_its_units_and_stores_what_only_root_may_read() {
    stores_everything("a_run_goes_through_its_units", false);
}

#[test]
fn rsync_in_its_sandbox_stores_what_only_root_may_read() {
    stores_everything("rsync_in_its_sandbox_stores_what_only_root_may_read", true);
}

fn stores_everything(test: &str, rsync: bool) {
    let Some(mut machine) = machine(test) else {
        return;
    };
    let mut config = config();
    config["local"]["useRsync"] = rsync.into();
    config["monitoring"] = serde_json::json!({"prometheusFile": "/var/lib/node/backup.prom"});
    machine.configure(&config);
    std::fs::create_dir_all(machine.path("var/lib/node")).unwrap();
    machine.boot();
    let source = "
        cd /home/ann
        setfacl -m u:daemon:r,g:daemon:rw 1
        setfattr -n user.note -v 'of a user' 2
        setfattr -n trusted.note -v 'of root' 2
        cp /bin/true capable && setcap cap_net_raw+ep capable
        cp /bin/true suid && chmod 6755 suid
        chown daemon:daemon 3 && chmod 000 3
        mkdir -m 000 shut && echo hidden > shut/file && chown daemon shut
        mkfifo fifo
        mknod device c 1 3
        ln -s nowhere link
        mkdir -p dir && setfacl -d -m u:daemon:rwx dir && chmod g+s dir
    ";
    machine.sh(source).ok();
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(
        machine.report()["result"],
        "success",
        "{}",
        machine.report()
    );
    let list = "find . -type d -printf '%P %m %U:%G %T@\\n' -o -printf '%P %y %m %U:%G %s %T@ %l\\n' \
        | sort; \
        find . | sort > /tmp/names; xargs -d '\\n' getfacl -nP < /tmp/names; \
        xargs -d '\\n' getfattr -hd -m - < /tmp/names; cat 3 shut/file";
    let there = machine.sh(&format!("cd /home/ann && {list}")).ok();
    let stored = "cd /mnt/backup/lab/latest/home/ann";
    let found = machine.sh(&format!("{stored} && {list}")).ok();
    let differs = found.lines().zip(there.lines()).find(|(a, b)| a != b);
    assert_eq!(differs, None);
    assert_eq!(found, there);
    assert!(there.contains("security.capability"), "{there}");
    assert!(there.contains("trusted.note"), "{there}");

    // Each part has its own log, and they are of one run.
    let local = machine.journal("backup-local.service");
    let coordinator = machine.journal("backup.service");
    assert!(local.contains("snapshot"), "{local}");
    assert!(coordinator.contains("pre-script"), "{coordinator}");
    assert_eq!(machine.sh("ls /var/lib/backup/runs | wc -l").ok(), "1");
    let post = machine.read("lab/post.log");
    assert_eq!(post.lines().count(), 1, "{post}");
    assert!(post.starts_with("success 20"), "{post}");
    assert!(machine.read("lab/told.log").contains("result success"));
    machine.sh("backup verify --quiet latest").ok();
    for unit in ["backup.service", "backup-local.service"] {
        assert_eq!(machine.property(unit, "Result"), "success");
        assert_eq!(machine.property(unit, "Nice"), "10");
        assert_eq!(machine.property(unit, "IOSchedulingClass"), "3");
    }
    // Health is checked from inside its sandbox, and sees a disk that can be written.
    machine
        .sh("systemctl start backup-health-check.service")
        .ok();
    let health = machine.sh("backup health --quick --json").text;
    assert!(!health.contains("destination-read-only"), "{health}");
    let seen = machine.journal("backup-health-check.service");
    assert!(!seen.contains("read-only"), "{seen}");
    assert_eq!(
        machine.property("backup-health-check.service", "Result"),
        "success",
        "{seen}"
    );
    let metrics = machine.read("var/lib/node/backup.prom");
    assert!(metrics.contains("backup_"), "{metrics}");
    // Nothing is due any more.
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(machine.snapshots().len(), 1);
    assert!(machine.journal("backup.service").contains("nothing is due"));
}

#[test]
fn started_alone_the_local_unit_does_just_its_part() {
    let Some(mut machine) = machine("started_alone_the_local_unit_does_just_its_part") else {
        return;
    };
    machine.configure(&config());
    machine.boot();
    // Without the disk it says so and writes nothing: the folder that the sandbox makes a mount point
    // is not taken for the disk.
    let said = machine.sh("systemctl start backup-local.service");
    assert_ne!(said.code, Some(0), "{}", said.text);
    let status = machine.property("backup-local.service", "ExecMainStatus");
    assert_eq!(status, "69");
    let journal = machine.journal("backup-local.service");
    assert!(journal.contains("destination not mounted"), "{journal}");
    let log = machine.read("var/log/backup/backup-local.log");
    assert!(log.contains("destination not mounted"), "{log}");
    assert_eq!(machine.sh("ls -A /mnt/backup").ok(), "");
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start backup-local.service").ok();
    assert_eq!(machine.snapshots().len(), 1);
    assert_eq!(machine.read("lab/pre.log"), "");
    assert_eq!(machine.read("lab/post.log"), "");
    assert_eq!(machine.read("lab/told.log"), "");
    assert_eq!(machine.report()["result"], "success");
    // Whoever asks meanwhile whether a run is due does not stop it.
    machine.drop_in(
        "backup-local.service",
        "[Service]\nExecStartPre=/bin/sh -c 'until [ -e /lab/go ]; do sleep 0.1; done'\n",
    );
    machine
        .sh("systemctl start --no-block backup-local.service")
        .ok();
    machine.sh("systemctl start backup.service").ok();
    assert!(machine.journal("backup.service").contains("nothing is due"));
    let state = machine.property("backup-local.service", "ActiveState");
    assert_eq!(state, "activating");
    machine.write("lab/go", "");
    machine.wait_for("the part that was started by hand", || {
        machine.property("backup-local.service", "ActiveState") != "activating"
    });
    assert_eq!(machine.snapshots().len(), 2);
}

#[test]
fn a_script_mounts_the_disk_for_the_whole_machine_and_another_unmounts_it() {
    let Some(mut machine) = machine("a_script_mounts_the_disk_for_the_whole_machine") else {
        return;
    };
    machine.configure(&config());
    machine.script("lab/pre", &format!("mount {} /mnt/backup", machine.disk()));
    machine.script(
        "lab/post",
        "echo $BACKUP_RESULT >> /lab/post.log; umount /mnt/backup",
    );
    machine.boot();
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(machine.report()["result"], "success");
    assert_eq!(machine.read("lab/post.log"), "success\n");
    assert_ne!(machine.sh("mountpoint -q /mnt/backup").code, Some(0));
    assert_eq!(machine.sh("ls -A /mnt/backup").ok(), "", "nothing below");
    let local = machine.journal("backup-local.service");
    assert!(local.contains("snapshot"), "{local}");
    machine.sh("systemctl start mnt-backup.mount").ok();
    assert_eq!(machine.snapshots().len(), 1);
}

#[test]
fn a_part_that_a_condition_skips_is_deferred_and_no_success() {
    let Some(mut machine) = machine("a_part_that_a_condition_skips_is_deferred") else {
        return;
    };
    machine.configure(&config());
    machine.drop_in(
        "backup-local.service",
        "[Unit]\nConditionPathExists=/lab/go\n",
    );
    machine.boot();
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(machine.property("backup.service", "ExecMainStatus"), "75");
    assert_eq!(machine.report()["result"], "deferred");
    assert_eq!(machine.snapshots(), [""; 0]);
    let post = machine.read("lab/post.log");
    assert!(post.starts_with("deferred "), "{post}");
    // It is not served: the next call tries again.
    machine.write("lab/go", "");
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(machine.report()["result"], "success");
    assert_eq!(machine.snapshots().len(), 1);
}

#[test]
fn the_sandboxes_hold_from_inside() {
    let Some(mut machine) = machine("the_sandboxes_hold_from_inside") else {
        return;
    };
    let mut config = config();
    config["cloud"] = serde_json::json!({"enable": true, "syncMode": "copy"});
    machine.configure(&config);
    machine.script(
        "lab/probe",
        "try() { name=$1; shift; if \"$@\" 2>/dev/null; then echo \"$name yes\"; \
         else echo \"$name no\"; fi; }
         try home touch /home/ann/new
         try etc touch /etc/new
         try disk touch /mnt/backup/new
         try state touch /var/lib/backup/new
         try remotes touch /var/lib/backup/cloud/new
         try manager systemctl --quiet is-active basic.target
         try log touch /var/log/backup/new
         try read cat /home/ann/secret
         try interfaces grep -q eth /proc/net/dev
         try connect bash -c 'exec 3<>/dev/tcp/127.0.0.1/7777'
         try mount mount -t tmpfs none /mnt
         try module test -w /proc/sys/kernel/hostname",
    );
    for unit in ["backup-local", "backup-cloud", "backup-health-check"] {
        let text = "[Service]\nExecStart=\nExecStart=/bin/sh /lab/probe\n";
        machine.drop_in(&format!("{unit}.service"), text);
    }
    machine.boot();
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine
        .sh("echo x > /home/ann/secret; chmod 0 /home/ann/secret; chown daemon /home/ann/secret")
        .ok();
    // Something to talk to, in the network of the machine.
    machine
        .sh(
            "ip link set lo up 2>/dev/null; systemd-run --quiet --unit=server \
             systemd-socket-activate -l 127.0.0.1:7777 --inetd -a cat",
        )
        .ok();
    machine.wait_for("the server", || {
        machine.sh("bash -c 'exec 3<>/dev/tcp/127.0.0.1/7777'").code == Some(0)
    });
    let probed = |unit: &str| {
        machine.sh(&format!("systemctl start {unit}")).ok();
        machine.journal(unit)
    };
    let local = probed("backup-local.service");
    let cloud = probed("backup-cloud.service");
    let health = probed("backup-health-check.service");
    let is = |said: &str, what: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(what));
        line.unwrap_or_else(|| panic!("{what}: {said}")).trim() == "yes"
    };
    // What faces the network writes to nothing that others trust, and cannot ask systemd for it.
    assert!(is(&cloud, "remotes"), "{cloud}");
    assert!(!is(&cloud, "manager"), "{cloud}");
    assert!(is(&local, "manager"), "it can be asked: {local}");
    for (said, disk, network, state) in [
        (&local, true, false, true),
        (&cloud, false, true, false),
        (&health, true, true, true),
    ] {
        assert!(!is(said, "home"), "{said}");
        assert!(!is(said, "etc"), "{said}");
        assert_eq!(is(said, "disk"), disk, "{said}");
        assert_eq!(is(said, "state"), state, "{said}");
        assert!(is(said, "log"), "{said}");
        assert!(is(said, "read"), "{said}");
        assert_eq!(is(said, "connect"), network, "{said}");
        assert!(!is(said, "mount"), "{said}");
        assert!(!is(said, "module"), "{said}");
    }
}

#[test]
fn the_cloud_unit_copies_what_the_local_one_made() {
    let test = "the_cloud_unit_copies_what_the_local_one_made";
    let Some(mut machine) = machine(test) else {
        return;
    };
    let Some(rclone) = which("rclone") else {
        skipped(test, "rclone is not installed");
        return;
    };
    std::fs::copy(rclone, machine.path("usr/bin/rclone")).unwrap();
    let mut config = config();
    config["cloud"] = serde_json::json!({
        "enable": true, "syncMode": "copy", "provider": "custom", "remote": "dav:",
        "configFile": "/etc/backup/rclone.conf",
    });
    machine.configure(&config);
    machine.write(
        "etc/backup/rclone.conf",
        "[dav]\ntype = webdav\nurl = http://127.0.0.1:8080\nvendor = other\n",
    );
    machine.boot();
    machine
        .sh("chmod 600 /etc/backup/rclone.conf; mkdir /srv/remote")
        .ok();
    machine
        .sh(
            "systemd-run --quiet --unit=server rclone serve webdav /srv/remote \
             --addr 127.0.0.1:8080 --dir-cache-time 0",
        )
        .ok();
    machine.wait_for("the server", || {
        machine.sh("bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080'").code == Some(0)
    });
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start backup.service").ok();
    assert_eq!(
        machine.report()["result"],
        "success",
        "{}",
        machine.report()
    );
    let there = machine.sh("find /srv/remote -name 17 -exec cat {} +").ok();
    assert_eq!(there, "letter 17");
    assert!(machine.journal("backup-cloud.service").contains("cloud-"));
    assert!(!machine.journal("backup-local.service").contains("cloud-"));
}

/// Where a command is.
fn which(tool: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(tool));
    places.find(|place| place.exists())
}

#[test]
fn a_run_of_the_units_is_watched_by_root_and_by_a_user_to_its_end() {
    let Some(mut machine) = machine("a_run_of_the_units_is_watched_by_root_and_by_a_user") else {
        return;
    };
    machine.configure(&config());
    let pre = "touch /lab/begun; until [ -e /lab/go ]; do sleep 0.1; done";
    machine.script("lab/pre", pre);
    machine.boot();
    machine.sh("systemctl start mnt-backup.mount").ok();
    machine.sh("systemctl start --no-block backup.service").ok();
    machine.wait_for("the pre-script", || machine.path("lab/begun").exists());
    // What the machine remembers is closed to users; what its units say is not.
    let watch = "
        setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent \
            backup status --watch --json > /lab/user 2> /lab/user.err &
        backup status --watch --json > /lab/root &
        until grep -q '\"unit\":\"backup.service\"' /lab/user && grep -q pre-script /lab/root; do
            sleep 0.1
        done
        touch /lab/go
        wait";
    machine.sh(watch).ok();
    let ended = "\"event\":\"run-ended\"";
    let snapshot = "\"event\":\"step-finished\",\"step\":\"snapshot\"";
    // The snapshots are closed to the user as well, so that the status is an error.
    for (who, expected, last) in [
        ("root", snapshot, "\"event\":\"status\""),
        ("user", "\"event\":\"unit\"", ended),
    ] {
        let told = machine.read(&format!("lab/{who}"));
        assert!(told.contains(expected), "{told}");
        let end = told.lines().find(|line| line.contains(ended)).unwrap();
        assert!(end.contains("\"result\":\"success\""), "{end}");
        assert!(told.lines().last().unwrap().contains(last), "{told}");
    }
}
