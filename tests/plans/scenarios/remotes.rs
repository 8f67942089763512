//! Remotes with history beside disks.

use serde_json::json;

use super::{Scenario, World};

const UPLOADED: [&str; 2] = ["2025-01-14_02-00-00", "2025-01-15_02-00-00"];

fn usb_and_b2() -> World {
    World::nightly("2025-01-14", 2)
        .set("local.enable", json!(false))
        .add_disk("usb", json!({}), World::nightly("2025-01-14", 2))
        .add_remote("b2", json!({ "remotePath": "Backups" }), &UPLOADED)
}

pub(super) fn all() -> Vec<Scenario> {
    vec![
        ("a-remote-gets-the-snapshot-that-a-disk-makes", usb_and_b2()),
        (
            "a-mirror-gets-the-snapshot-that-a-disk-makes",
            usb_and_b2().set("destinations.b2.layout", json!("mirror")),
        ),
        (
            "a-remote-gets-the-sources-where-its-disk-is-away",
            usb_and_b2()
                .other("usb", |usb| {
                    usb.destination.as_mut().unwrap().mounted = false;
                })
                .other("b2", |b2| {
                    b2.sources = World::new("2025-01-16T02:00:00+01:00").inventory.sources;
                }),
        ),
        (
            "a-remote-without-rclone-holds-no-disk-up",
            usb_and_b2().other("b2", |b2| {
                let rclone = &mut b2.cloud.as_mut().unwrap().rclone;
                rclone.version = None;
                rclone.fault = Some("there is no such program on the PATH".to_owned());
            }),
        ),
        (
            "a-remote-that-rclone-does-not-know-is-told",
            usb_and_b2()
                .set("destinations.b2.configFile", json!("/etc/rclone.conf"))
                .other("b2", |b2| {
                    b2.cloud.as_mut().unwrap().configured = Some(false);
                }),
        ),
        (
            "the-sources-are-uploaded-where-no-disk-has-a-snapshot",
            World::new("2025-01-16T02:00:00+01:00")
                .add_remote("b2", json!({}), &[])
                .other("b2", |b2| {
                    b2.sources = World::new("2025-01-16T02:00:00+01:00").inventory.sources;
                })
                .choose(&["b2"], true),
        ),
    ]
}
