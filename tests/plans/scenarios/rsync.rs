//! Facts about the rsync engine: which rsync serves, and with which arguments it is called.

use schema::{config::AbsolutePath, rsync::RsyncFound};
use serde_json::{Value, json};

use super::{
    super::world::{World, source},
    Scenario,
};

const NIGHT: &str = "2025-01-16T02:00:00+01:00";

pub(crate) fn all() -> Vec<Scenario> {
    let new = || World::new(NIGHT);
    vec![
        (
            "the-rsync-engine-is-the-default",
            with(
                "3.5.0",
                new().set("local.useRsync", Value::Null).without_null(),
            ),
        ),
        ("without-rsync-the-run-is-refused", {
            let mut world = with("", new());
            world.inventory.rsync = Some(RsyncFound {
                version: None,
                fault: Some("there is no rsync on the PATH".to_owned()),
            });
            world
        }),
        ("an-old-rsync-is-refused", with("3.1.3", new())),
        (
            "faults-of-an-rsync-that-serves-are-told",
            with("3.4.1", new()),
        ),
        (
            "rsync-gets-a-list-for-each-source-that-is-a-folder",
            with("3.5.0", several_sources()),
        ),
        (
            "rsync-passes-over-what-the-scan-passed-over",
            with("3.5.0", passed_over()),
        ),
        (
            "rsync-moves-bytes-alone-to-a-drive-that-holds-less",
            with("3.5.0", lesser("exfat")),
        ),
        (
            "over-a-network-no-rsync-is-started",
            with("3.5.0", lesser("nfs4")),
        ),
        ("rsync-of-a-user-may-move-access-times", {
            let mut world = with("3.5.0", World::nightly("2025-01-14", 1));
            world.inventory.privileged = false;
            world
        }),
    ]
}

impl World {
    /// Drops the keys of `local` that are null, which stand for the default.
    fn without_null(mut self) -> Self {
        let local = self.config["local"].as_object_mut().unwrap();
        local.retain(|_, value| !value.is_null());
        self
    }
}

fn with(version: &str, mut world: World) -> World {
    let found = RsyncFound {
        version: Some(version.to_owned()),
        fault: None,
    };
    // The first scenario leaves the option out.
    if world.config["local"].get("useRsync").is_some() {
        world = world.set("local.useRsync", json!(true));
    }
    world.inventory.rsync = Some(found);
    world
}

/// Folders at two depths, a file, and one that the basis does not have.
fn several_sources() -> World {
    let mut world = first_night();
    world.run();
    world.next_night();
    world.add_source(source("/opt/later", "8:2", 24))
}

fn first_night() -> World {
    let folder = |path: &str, inode| source(path, "8:2", inode);
    let file = |path: &str, inode| {
        let mut file = folder(path, inode);
        (file.scan.entries, file.scan.files, file.scan.folders) = (1, 1, 0);
        file
    };
    World::new("2025-01-14T02:00:00+01:00")
        .set("local.oneFileSystem", json!(false))
        .set("local.excludePatterns", json!(["*.tmp", "- !", "/a b"]))
        .add_source(folder("/srv/www/[new]", 21))
        .add_source(file("/etc/fstab", 22))
        .add_source(file("/-dash", 23))
}

/// Mounts below the source.
fn passed_over() -> World {
    World::new(NIGHT).source(|home| {
        home.mounts_passed_over = ["ann/mnt*", "bob/\\377"].map(str::to_owned).into();
    })
}

/// A share over SMB that knows hard links and little else.
fn lesser(file_system: &str) -> World {
    World::nightly("2025-01-14", 1).destination(|found| {
        found.mount_point = AbsolutePath::new("/mnt/backup");
        found.file_system = Some(file_system.to_owned());
        let can = &mut found.record.as_mut().unwrap().capabilities;
        (can.symlinks, can.modes, can.owners) = (false, false, false);
        (can.xattrs, can.acls, can.fifos) = (false, false, false);
        can.time_step_ns = 100;
    })
}
