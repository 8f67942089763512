//! Assertions and warnings: what several options together, or the rest of the system, tell.

use serde_json::{Value, json};

use crate::lab::{Nix, Nixpkgs};

/// Failed assertions and warnings of a system.
fn told(nix: &Nix, nixpkgs: &Nixpkgs, backup: &Value, system: &str) -> (Vec<String>, Vec<String>) {
    let bare = nixpkgs.import(
        "bare",
        &format!("backup = {{ enable = true; }} // data; system = {system};"),
    );
    let found = nix.eval(
        &format!(
            "let inherit ({bare}) config; in {{
               inherit (config) warnings;
               failed = map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
             }}"
        ),
        backup,
    );
    let list = |key: &str| serde_json::from_value(found[key].clone()).unwrap();
    (list("failed"), list("warnings"))
}

/// A disk at the default mount point, and users.
const DISK: &str = r#"{
  fileSystems."/mnt/backup" = { options = [ "nofail" ]; };
  users.users = { ann = { }; nobody = { }; root = { }; };
}"#;

/// What is wrong, which option is named, and what is said.
fn faults() -> Vec<(Value, &'static str, &'static str)> {
    let cloud = |more: Value| {
        let mut cloud = json!({ "enable": true, "configFile": "/etc/rclone.conf" });
        cloud
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "cloud": cloud, "local": { "enable": true } })
    };
    let mut proton = cloud(json!({ "configFile": null }));
    proton["protonDrive"] = json!({ "enable": true });
    vec![
        (proton, "protonDrive.secretName", "rclone-proton-config"),
        (
            json!({ "local": { "enable": true }, "protonDrive": { "enable": true } }),
            "protonDrive.enable",
            "while cloud.enable is false",
        ),
        (
            json!({
                "cloud": { "enable": true, "configFile": "/etc/rclone.conf" },
                "local": { "sources": [] },
            }),
            "cloud.enable",
            "nothing to copy",
        ),
        (
            json!({ "local": { "enable": true, "sources": [] } }),
            "local.sources",
            "empty although local.enable is true",
        ),
        (
            json!({ "local": { "enable": true }, "notifications": { "enable": true, "desktop": false } }),
            "notifications.enable",
            "no channel",
        ),
        (
            json!({ "local": { "enable": true }, "notifications": { "ntfy": { "url": "https://ntfy.sh" } } }),
            "notifications.ntfy",
            "neither `topic` nor `topicFile`",
        ),
        (
            json!({ "local": { "enable": true }, "notifications": { "webhook": {} } }),
            "notifications.webhook",
            "neither `url` nor `urlFile`",
        ),
        (
            json!({ "local": { "enable": true }, "notifications": {
                "healthcheck": { "url": "https://hc.example.org/1", "urlFile": "/run/agenix/hc" },
            } }),
            "notifications.healthcheck",
            "the same twice",
        ),
        (
            json!({ "local": { "enable": true, "keepDaily": 0, "keepWeekly": 0, "keepMonthly": 0 } }),
            "local.keepDaily",
            "no snapshot would be kept",
        ),
        (
            json!({ "cloud": { "enable": true, "syncMode": "move", "configFile": "/etc/rclone.conf" } }),
            "cloud.syncMode",
            "local.enable is false",
        ),
        (
            json!({
                "cloud": { "enable": true, "syncMode": "move", "configFile": "/etc/rclone.conf" },
                "local": { "enable": true },
                "policy": "3-2-1",
            }),
            "policy",
            "\"3-2-1\", and 2 copies with the original, and 3 are demanded",
        ),
        (
            cloud(json!({ "provider": "custom" })),
            "cloud.remote",
            "not set",
        ),
        (
            cloud(json!({ "remote": "b2:x" })),
            "cloud.remote",
            "is not \"custom\"",
        ),
        (
            cloud(json!({ "configFile": null })),
            "cloud.configFile",
            "credentials",
        ),
        (
            cloud(json!({ "provider": "custom", "remote": "b2:x", "configFile": null })),
            "cloud.configFile",
            "credentials",
        ),
        (
            json!({ "local": { "enable": true }, "notifications": { "enable": true } }),
            "notifications.enable",
            "no graphical session",
        ),
        (
            json!({ "local": { "enable": true }, "schedule": { "enable": true, "frequency": "2019-*-*" } }),
            "schedule.frequency",
            "never elapses",
        ),
        (
            json!({ "local": { "enable": true }, "monitoring": { "drill": { "enable": true, "schedule": "*-02-30" } } }),
            "monitoring.drill.schedule",
            "never elapses",
        ),
        (
            json!({ "local": { "enable": true }, "monitoring": { "healthCheckInterval": "*-02-30" } }),
            "monitoring.healthCheckInterval",
            "never elapses",
        ),
        (
            json!({
                "local": { "enable": true },
                "schedule": { "enable": true },
                "timerConfig": { "OnCalendar": ["02:00", "14:00"] },
            }),
            "timerConfig.OnCalendar",
            "by one",
        ),
        (
            json!({ "local": { "enable": true }, "extraArgs": ["-v", "--log-dir=/srv"] }),
            "extraArgs",
            "--as-unit",
        ),
        (
            json!({ "local": { "enable": true }, "user": "keeper" }),
            "user",
            "no user \"keeper\"",
        ),
        (
            json!({ "local": { "enable": true }, "user": "root" }),
            "user",
            "null means",
        ),
        (
            json!({ "local": { "enable": true }, "user": "nobody" }),
            "user",
            "others run as well",
        ),
        (
            json!({ "local": { "enable": true, "readableByUsers": true }, "user": "ann" }),
            "local.readableByUsers",
            "only root",
        ),
        (
            json!({ "local": { "enable": true }, "monitoring": { "drill": { "enable": true } }, "user": "ann" }),
            "monitoring.drill.enable",
            "namespaces",
        ),
        named(
            "view",
            json!({ "mountPoint": "/mnt/x" }),
            "destinations.view",
            "taken",
        ),
        named(
            "My_disk",
            json!({ "mountPoint": "/mnt/x" }),
            "destinations.My_disk",
            "not a name",
        ),
        named("usb", json!({}), "destinations.usb.mountPoint", "not set"),
        named(
            "b2",
            json!({ "type": "remote" }),
            "destinations.b2.remote",
            "not set",
        ),
        named(
            "b2",
            json!({ "type": "remote", "remote": "b2:", "layout": "mirror", "expire": "never" }),
            "destinations.b2.expire",
            "mirror",
        ),
        named(
            "usb",
            json!({ "mountPoint": "/mnt/usb", "sources": [] }),
            "destinations.usb.sources",
            "empty although destinations.usb.enable is true",
        ),
        named(
            "usb",
            json!({ "mountPoint": "/mnt/usb", "keepDaily": 0, "keepWeekly": 0, "keepMonthly": 0 }),
            "destinations.usb.keepDaily",
            "no snapshot would be kept",
        ),
        named(
            "usb",
            json!({ "mountPoint": "/mnt/backup/" }),
            "destinations.usb.mountPoint",
            "is where local is, too",
        ),
        named(
            "usb",
            json!({ "mountPoint": "/mnt/usb", "schedule": { "frequency": "*-02-30" } }),
            "destinations.usb.schedule.frequency",
            "never elapses",
        ),
    ]
}

/// A named destination beside `local` that is wrong.
fn named(
    name: &str,
    of: Value,
    option: &'static str,
    text: &'static str,
) -> (Value, &'static str, &'static str) {
    let mut destination = json!({ "type": "disk", "requireMount": false });
    let more = of.as_object().unwrap().clone();
    destination.as_object_mut().unwrap().extend(more);
    let backup = json!({
        "local": { "enable": true },
        "schedule": { "enable": true },
        "destinations": { name: destination },
    });
    (backup, option, text)
}

#[test]
fn a_named_disk_that_nothing_mounts_or_that_stops_the_boot_is_warned_of() {
    let test = "a_named_disk_that_nothing_mounts_or_that_stops_the_boot_is_warned_of";
    let Some((nix, nixpkgs)) = Nix::with_lib(test) else {
        return;
    };
    // Nothing else is backed up, and nothing is said of that.
    let backup = json!({ "destinations": {
        "usb": { "type": "disk", "mountPoint": "/mnt/usb/" },
        "off": { "type": "disk", "mountPoint": "/mnt/off", "enable": false },
    } });
    for (system, text) in [
        (
            r#"{ fileSystems."/mnt/usb".options = [ "nofail" ]; }"#,
            None,
        ),
        ("{ }", Some("nothing in fileSystems mounts /mnt/usb,")),
        (
            r#"{ fileSystems."/mnt/usb" = { }; }"#,
            Some("has not the option nofail"),
        ),
    ] {
        let (failed, warnings) = told(&nix, &nixpkgs, &backup, system);
        assert_eq!(failed, Vec::<String>::new());
        let start = "hwc.system.services.backup.destinations.usb.mountPoint: ";
        assert_eq!(warnings.len(), text.iter().count(), "{warnings:#?}");
        for warning in warnings {
            let text = text.unwrap();
            assert!(
                warning.starts_with(start) && warning.contains(text),
                "{warning}"
            );
        }
    }
}

#[test]
fn a_destination_is_written_without_the_keys_of_the_other_type() {
    let test = "a_destination_is_written_without_the_keys_of_the_other_type";
    let Some((nix, nixpkgs)) = Nix::with_lib(test) else {
        return;
    };
    let made = |names: &str| {
        let bare = nixpkgs.import("bare", &format!("backup.destinations = {names};"));
        let expression = format!(
            "import ./nixos/config-json.nix {{
               cfg = removeAttrs {bare}.config.hwc.system.services.backup [ \"package\" ];
             }}"
        );
        nix.try_eval(&expression, &Value::Null)
    };
    let config = made(
        "{
           usb-2 = { type = \"disk\"; mountPoint = \"/mnt//usb/\"; schedule.timeOfDay = \"12:00\"; };
           b2 = { type = \"remote\"; remote = \"b2:x\"; enable = false; };
         }",
    )
    .unwrap();
    // What the program writes of the same configuration.
    let read: schema::Config = serde_json::from_value(config.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), config);
    assert_eq!(config["destinations"]["usb-2"]["mountPoint"], "/mnt/usb");
    assert_eq!(config["destinations"]["b2"].get("mountPoint"), None);
}

#[test]
fn each_fault_is_said_once_and_names_its_option() {
    let Some((nix, nixpkgs)) = Nix::with_lib("each_fault_is_said_once_and_names_its_option") else {
        return;
    };
    for (backup, option, text) in faults() {
        let (failed, _) = told(&nix, &nixpkgs, &backup, DISK);
        let [message] = failed.as_slice() else {
            panic!("{backup}: {failed:#?}");
        };
        let start = format!("hwc.system.services.backup.{option}: ");
        assert!(message.starts_with(&start), "{backup}: {message}");
        assert!(message.contains(text), "{backup}: {message}");
        assert!(message.contains("\nhint: "), "{backup}: {message}");
    }
}

#[test]
fn a_secret_comes_from_agenix_or_from_a_file_of_ones_own() {
    let Some((nix, nixpkgs)) =
        Nix::with_lib("a_secret_comes_from_agenix_or_from_a_file_of_ones_own")
    else {
        return;
    };
    let mut backup = json!({
        "local": { "enable": true },
        "cloud": { "enable": true },
        "protonDrive": { "enable": true },
    });
    let agenix = r#"{
      fileSystems."/mnt/backup".options = [ "nofail" ];
      age.secrets.rclone-proton-config.path = "/run/agenix/rclone-proton-config";
    }"#;
    assert_eq!(told(&nix, &nixpkgs, &backup, agenix), (vec![], vec![]));
    backup["cloud"]["configFile"] = json!("/etc/rclone-proton.conf");
    assert_eq!(told(&nix, &nixpkgs, &backup, DISK), (vec![], vec![]));
}

#[test]
fn a_disk_that_nothing_mounts_or_that_stops_the_boot_is_warned_of() {
    let Some((nix, nixpkgs)) =
        Nix::with_lib("a_disk_that_nothing_mounts_or_that_stops_the_boot_is_warned_of")
    else {
        return;
    };
    let warnings = |local: Value, system: &str| {
        let mut local = local;
        local["enable"] = json!(true);
        let (failed, warnings) = told(&nix, &nixpkgs, &json!({ "local": local }), system);
        assert_eq!(failed, Vec::<String>::new());
        warnings
    };
    let quiet: Vec<String> = Vec::new();
    assert_eq!(warnings(json!({}), DISK), quiet);
    assert_eq!(
        warnings(json!({ "mountPoint": "/mnt/backup/" }), DISK),
        quiet
    );
    assert_eq!(warnings(json!({ "requireMount": false }), "{ }"), quiet);
    let unit = r#"{ systemd.mounts = [ { where = "/mnt/backup"; } ]; }"#;
    assert_eq!(warnings(json!({}), unit), quiet);

    for (local, system, text) in [
        (
            json!({}),
            "{ }",
            "nothing in fileSystems mounts /mnt/backup",
        ),
        (
            json!({ "mountPoint": "/mnt" }),
            DISK,
            "nothing in fileSystems mounts /mnt,",
        ),
        (
            json!({}),
            r#"{ fileSystems."/mnt/backup" = { }; }"#,
            "has not the option nofail",
        ),
    ] {
        let found = warnings(local, system);
        assert_eq!(found.len(), 1, "{found:#?}");
        let start = "hwc.system.services.backup.local.mountPoint: ";
        assert!(
            found[0].starts_with(start) && found[0].contains(text),
            "{found:#?}"
        );
        assert!(found[0].contains("\nhint: "), "{found:#?}");
    }
}

#[test]
fn mail_without_a_sendmail_and_a_backup_of_nothing_are_warned_of() {
    let Some((nix, nixpkgs)) =
        Nix::with_lib("mail_without_a_sendmail_and_a_backup_of_nothing_are_warned_of")
    else {
        return;
    };
    let mail = json!({
        "local": { "enable": true },
        "notifications": { "enable": true, "email": { "to": "a@b", "from": "c@d" } },
    });
    let (failed, warnings) = told(&nix, &nixpkgs, &mail, DISK);
    assert_eq!((failed.len(), warnings.len()), (0, 1), "{warnings:#?}");
    assert!(warnings[0].contains("notifications.email"), "{warnings:#?}");
    let (failed, warnings) = told(&nix, &nixpkgs, &json!({}), DISK);
    assert_eq!((failed.len(), warnings.len()), (0, 1), "{warnings:#?}");
    assert!(
        warnings[0].contains("nothing is backed up"),
        "{warnings:#?}"
    );
}

#[test]
fn a_desktop_is_a_channel_where_somebody_can_look_at_it() {
    let Some((nix, nixpkgs)) =
        Nix::with_lib("a_desktop_is_a_channel_where_somebody_can_look_at_it")
    else {
        return;
    };
    let desktop = json!({ "local": { "enable": true }, "notifications": { "enable": true } });
    for option in [
        "services.xserver",
        "services.graphical-desktop",
        "programs.sway",
        "hardware.graphics",
        "hardware.opengl",
    ] {
        // As the rest of a system declares it.
        let system = format!(
            r#"{{ lib, ... }}: {{
              options.{option}.enable = lib.mkOption {{ default = true; }};
              config.fileSystems."/mnt/backup".options = [ "nofail" ];
            }}"#
        );
        let system = format!("({system})");
        assert_eq!(
            told(&nix, &nixpkgs, &desktop, &system),
            (vec![], vec![]),
            "{option}"
        );
    }
    // What is not in use is not judged, and another channel is enough.
    for backup in [
        json!({ "local": { "enable": true }, "schedule": { "frequency": "2019-*-*" } }),
        json!({
            "local": { "enable": true },
            "notifications": { "enable": true, "healthcheck": { "urlFile": "/run/agenix/hc" } },
        }),
    ] {
        assert_eq!(told(&nix, &nixpkgs, &backup, DISK), (vec![], vec![]));
    }
}
