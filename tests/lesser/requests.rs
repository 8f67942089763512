//! What a backup and a restore over sshfs ask of their server, counted there: each request is a round trip.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;

use crate::{
    lab::{Mounted, World, run_tool},
    nas::{passed_over, sftp_server, skipped_without},
};

/// Folders of the source, and files in each.
const FOLDERS: usize = 10;
const FILES: usize = 40;
/// What a run asks besides: locks, records, what the destination can hold.
const RUN: usize = 450;

/// The requests since the last look, by kind.
fn requests(log: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(log).unwrap();
    fs::File::create(log).unwrap();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let request = line.split_once("request ").map(|(_, request)| request);
        let Some((number, kind)) = request.and_then(|request| request.split_once(": ")) else {
            continue;
        };
        let kind = kind.split_whitespace().next().unwrap_or_default();
        // What is sent is the answer.
        if number.bytes().all(|byte| byte.is_ascii_digit()) && kind != "sent" {
            *found.entry(kind.to_owned()).or_default() += 1;
        }
    }
    found
}

fn fill(world: &World) {
    for folder in 0..FOLDERS {
        let folder = world.path(format!("src/{folder}"));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..FILES {
            fs::write(folder.join(file.to_string()), format!("content {file}")).unwrap();
        }
        let old = ["-d", "2024-01-01T00:00:00Z", folder.to_str().unwrap()];
        run_tool("touch", old);
    }
}

#[test]
fn a_file_costs_no_more_requests_than_the_mount_itself_makes() {
    let name = "a_file_costs_no_more_requests_than_the_mount_itself_makes";
    if skipped_without(name, &["mount.fuse.sshfs"]) {
        return;
    }
    let Some(server) = sftp_server() else {
        passed_over(name, "sftp-server is not installed");
        return;
    };
    // With the default engine: over a network no rsync is started.
    let world = World::new(&json!({ "requireMount": true, "useRsync": true, "keepLast": 3 }));
    let log = world.path("requests");
    let ssh = world.path("ssh");
    let script = format!(
        "#!/bin/sh\nexec {} -e -l DEBUG3 2>>{}\n",
        server.display(),
        log.display()
    );
    fs::write(&ssh, script).unwrap();
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(world.path("below")).unwrap();
    let options = format!("ssh_command={}", ssh.display());
    let from = format!("server:{}", world.path("below").display());
    let arguments = ["-t", "fuse.sshfs", "-o", &options, &from];
    let mounted = Mounted::new(&arguments, &world.path("dst"));
    fill(&world);
    let files = FOLDERS * FILES;
    let _ = requests(&log);

    world.apply("2025-01-12T02:00:00+00:00").expect(0);
    let first = requests(&log);
    let of = |found: &BTreeMap<String, usize>, kind: &str| found.get(kind).copied().unwrap_or(0);
    // The name that is free, what was opened, and what was changed: these three are the mount's own.
    let looks = of(&first, "lstat");
    assert!(looks <= 3 * files + 10 * FOLDERS + RUN, "{first:?}");
    assert!(looks >= 3 * files, "all requests are counted: {first:?}");
    let sum: usize = first.values().sum();
    assert!(sum <= 9 * files + 20 * FOLDERS + 2 * RUN, "{first:?}");
    // Each file is on the server's disk before the snapshot is published.
    assert!(of(&first, "fsync") >= files, "{first:?}");

    world.apply("2025-01-13T02:00:00+00:00").expect(0);
    let again = requests(&log);
    // The name that is free, and what was linked.
    assert!(of(&again, "hardlink") >= files, "{again:?}");
    assert!(
        of(&again, "lstat") <= 2 * files + 10 * FOLDERS + RUN,
        "{again:?}"
    );
    let sum: usize = again.values().sum();
    assert!(sum <= 3 * files + 20 * FOLDERS + 2 * RUN, "{again:?}");

    world.run(&["verify", "--full"]).expect(0);
    let verified = requests(&log);
    // Opening a file is two requests of the mount.
    assert!(
        of(&verified, "lstat") <= files + 4 * FOLDERS + 60,
        "{verified:?}"
    );

    let target = world.path("restored");
    let source = world.path("src");
    let paths = [source.to_str().unwrap(), target.to_str().unwrap()];
    world
        .run(&["restore", "latest", paths[0], paths[1]])
        .expect(0);
    let restored = requests(&log);
    assert!(of(&restored, "open") >= files, "{restored:?}");
    // Besides the files: the records of two snapshots, and of one the manifest, once to plan and once to restore.
    assert!(of(&restored, "open") <= files + 30, "{restored:?}");
    assert!(
        of(&restored, "lstat") <= files + 4 * FOLDERS + 120,
        "{restored:?}"
    );
    drop(mounted);
}
