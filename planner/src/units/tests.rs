use super::*;

fn config(json: &str) -> Config {
    serde_json::from_str(json).unwrap()
}

fn layout() -> Layout {
    Layout::of_root("/usr/bin/backup")
}

fn unit(units: &[Unit], name: &str) -> String {
    let found = units.iter().find(|unit| unit.name == name);
    found.map_or_else(String::new, |unit| unit.text.clone())
}

fn on_calendar(schedule: &str) -> String {
    let config = config(&format!(r#"{{"schedule": {schedule}}}"#));
    let text = unit(&render_units(&config, &layout()), TIMER);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("OnCalendar="));
    line.unwrap_or_default().to_owned()
}

#[test]
fn without_a_schedule_nothing_starts_a_run_by_itself() {
    let units = render_units(
        &config(r#"{"local": {"enable": true}, "cloud": {"enable": true}}"#),
        &layout(),
    );
    let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(
        names,
        [COORDINATOR, LOCAL, CLOUD, HEALTH_TIMER, HEALTH],
        "no timer of the run, no rule"
    );
    for name in [COORDINATOR, LOCAL, CLOUD] {
        assert!(!unit(&units, name).contains("[Install]"), "{name}");
    }
    assert!(!unit(&units, COORDINATOR).contains("--if-due"));
}

#[test]
fn the_timer_has_the_schedule_with_its_time_of_day() {
    assert_eq!(on_calendar(r#"{"enable": true}"#), "*-*-* 02:00:00");
    assert_eq!(
        on_calendar(r#"{"enable": true, "frequency": "weekly", "timeOfDay": "03:30"}"#),
        "Mon *-*-* 03:30:00"
    );
    assert_eq!(
        on_calendar(r#"{"enable": true, "frequency": "Mon,Wed,Fri"}"#),
        "Mon,Wed,Fri *-*-* 02:00:00"
    );
    assert_eq!(
        on_calendar(r#"{"enable": true, "frequency": "2025-*-1/2"}"#),
        "2025-*-01/2 02:00:00"
    );
    // One that says its time stands as it was written.
    assert_eq!(
        on_calendar(r#"{"enable": true, "frequency": "Sat 12:00 Europe/Berlin"}"#),
        "Sat 12:00 Europe/Berlin"
    );
}

#[test]
fn the_disk_asks_whether_a_backup_is_due_and_orders_the_run_after_it() {
    let units = render_units(
        &config(
            r#"{"local": {"enable": true, "mountPoint": "/mnt/my-disk"}, "schedule": {"enable": true}}"#,
        ),
        &layout(),
    );
    let coordinator = unit(&units, COORDINATOR);
    assert!(
        coordinator.contains("\nWantedBy=mnt-my\\x2ddisk.mount\n"),
        "{coordinator}"
    );
    assert!(coordinator.contains("\nAfter=mnt-my\\x2ddisk.mount\n"));
    // What is missing the program tells, in its logs.
    assert!(!unit(&units, LOCAL).contains("PathIsMountPoint"));
}

#[test]
fn who_starts_a_service_waits_for_its_work_and_nothing_stops_what_somebody_started() {
    let units = render_units(
        &config(r#"{"local": {"enable": true}, "cloud": {"enable": true}}"#),
        &layout(),
    );
    for name in [COORDINATOR, LOCAL, CLOUD, HEALTH] {
        let text = unit(&units, name);
        assert!(text.contains("\nType=oneshot\n"), "{name}");
        assert!(text.contains("\nNotifyAccess=main\n"), "{name}");
        assert!(text.contains("\nTimeoutStartSec=infinity\n"), "{name}");
        assert!(text.contains(" --as-unit "), "{name}");
        assert!(!text.contains("PropagatesStopTo"), "{name}");
    }
}

#[test]
fn the_cloud_writes_to_no_snapshot_and_the_local_steps_have_no_network() {
    let units = render_units(
        &config(r#"{"local": {"enable": true}, "cloud": {"enable": true}}"#),
        &layout(),
    );
    let (local, cloud) = (unit(&units, LOCAL), unit(&units, CLOUD));
    assert!(local.contains("\nPrivateNetwork=yes\n"));
    assert!(local.contains("\nReadWritePaths=-/mnt/backup\n"));
    assert!(cloud.contains("\nProtectSystem=strict\n"));
    assert!(!cloud.contains("ReadWritePaths"), "{cloud}");
}

#[test]
fn what_scripts_mount_is_mounted_for_the_machine() {
    let with = r#"{"local": {"enable": true}, "postBackupScript": "/bin/post",
        "monitoring": {"logPath": "/srv/log", "prometheusFile": "/srv/a.prom"}}"#;
    let namespaces = [
        "PrivateMounts",
        "Protect",
        "ReadWritePaths",
        "RestrictNamespaces",
    ];
    let coordinator = |json| unit(&render_units(&config(json), &layout()), COORDINATOR);
    let (with, without) = (
        coordinator(with),
        coordinator(r#"{"local": {"enable": true}}"#),
    );
    for key in namespaces {
        let has = |text: &str| {
            let mut lines = text.lines();
            // A name of its own hides no mount.
            lines.any(|line| line.starts_with(key) && !line.starts_with("ProtectHostname"))
        };
        assert!(!has(&with), "{key}: {with}");
        assert!(has(&without) || key == "ReadWritePaths", "{key}: {without}");
    }
    assert!(with.contains("\nSystemCallFilter=@mount\n"));
    assert!(!without.contains("@mount"));
}

#[test]
fn private_folders_for_temporary_files_never_hide_what_is_backed_up() {
    let local = |json: &str| unit(&render_units(&config(json), &layout()), LOCAL);
    assert!(local(r#"{"local": {"enable": true}}"#).contains("\nPrivateTmp=yes\n"));
    for sources in [r#"["/tmp/x"]"#, r#"["/"]"#, r#"["/home", "/var"]"#] {
        let text = local(&format!(
            r#"{{"local": {{"enable": true, "sources": {sources}}}}}"#
        ));
        assert!(text.contains("\nPrivateTmp=no\n"), "{sources}");
    }
}

#[test]
fn paths_of_any_characters_are_quoted() {
    let layout = Layout {
        program: "/opt/my $programs/100%/backup".to_owned(),
        config: "/etc/a\"b\\c.json".to_owned(),
        state_dir: "/srv/the state".to_owned(),
    };
    let text = unit(
        &render_units(&config(r#"{"local": {"enable": true}}"#), &layout),
        LOCAL,
    );
    assert!(
        text.contains(
            "\nExecStart=\"/opt/my $$programs/100%%/backup\" --config \"/etc/a\\\"b\\\\c.json\" \
             --as-unit --state-dir \"/srv/the state\" apply --only local\n"
        ),
        "{text}"
    );
    assert!(text.contains("\nReadWritePaths=-\"/srv/the state\"\n"));
}

#[test]
fn mount_units_are_named_as_systemd_names_them() {
    for (path, name) in [
        ("/", "-.mount"),
        ("/mnt/backup", "mnt-backup.mount"),
        ("//mnt//backup/", "mnt-backup.mount"),
        ("/mnt/my disk", "mnt-my\\x20disk.mount"),
        ("/.snap/a.b", "\\x2esnap-a.b.mount"),
        ("/mnt/ä", "mnt-\\xc3\\xa4.mount"),
    ] {
        assert_eq!(mount_unit(path), name);
    }
}

#[test]
fn every_condition_and_every_text_is_a_fact() {
    let config = config(
        r#"{
            "local": {"enable": true},
            "schedule": {"enable": true},
            "monitoring": {"prometheusFile": "/srv/metrics/backup.prom"},
            "destinations": {
                "usb": {"type": "disk", "mountPoint": "/mnt/usb"},
                "b2": {"type": "remote", "remote": "b2:"}
            }
        }"#,
    );
    let of_all = Facts::from_config(&config, &layout());
    let of_usb = Facts::of_destination(&config, &DestinationName::new("usb"), &layout()).unwrap();
    let all = unit_templates().into_iter().map(|unit| (unit, &of_all));
    let own = disk_templates().into_iter().map(|unit| (unit, &of_usb));
    let of_b2 = Facts::of_destination(&config, &DestinationName::new("b2"), &layout()).unwrap();
    let remote = remote_templates().into_iter().map(|unit| (unit, &of_b2));
    for (unit, facts) in all.chain(own).chain(remote) {
        let is_fact = |condition: &&str| {
            let name = condition.trim_start_matches('!');
            facts.conditions.contains_key(name)
        };
        assert!(facts.fill(unit.name).is_some(), "{}", unit.name);
        assert!(unit.when.iter().all(is_fact), "{}", unit.name);
        let lines = unit.sections().map(|(_, lines)| lines).concat();
        for value in lines.iter().flat_map(|line| &line.values) {
            assert!(value.when.iter().all(is_fact), "{value:?}");
            // A remote has no mount that anything waits for.
            let is_told = std::ptr::eq(facts, &of_b2) && !facts.hold(value.when);
            assert!(
                is_told || facts.fill_each(value.text).is_some(),
                "{value:?}"
            );
        }
    }
}

#[test]
fn at_most_one_value_of_a_line_that_is_no_list_holds() {
    let off = config("{}");
    let on = config(
        r#"{
            "local": {"enable": true, "ifAbsent": "defer", "sources": ["/tmp/x"]},
            "cloud": {"enable": true},
            "schedule": {"enable": true, "persistent": false, "randomDelay": "0"},
            "monitoring": {"enable": false, "logPath": "/srv/log"}
        }"#,
    );
    for config in [off, on] {
        for unit in render_units(&config, &layout()) {
            let mut seen = Vec::new();
            for line in unit.text.lines().filter(|line| !line.starts_with('#')) {
                let Some((key, _)) = line.split_once('=') else {
                    continue;
                };
                let may_repeat = [
                    "After",
                    "DeviceAllow",
                    "InaccessiblePaths",
                    "ReadWritePaths",
                    "SystemCallFilter",
                ];
                assert!(
                    may_repeat.contains(&key) || !seen.contains(&key),
                    "{}: {line}",
                    unit.name
                );
                seen.push(key);
            }
        }
    }
}

#[test]
fn a_drill_has_its_units_where_it_is_asked_for_and_there_is_something_to_restore() {
    let names = |json: &str| -> Vec<String> {
        let units = render_units(&config(json), &layout());
        let names = units.into_iter().map(|unit| unit.name);
        names.filter(|name| name.contains("drill")).collect()
    };
    let local = r#""local": {"enable": true}"#;
    let drill = r#""monitoring": {"drill": {"enable": true, "schedule": "Sat 03:00"}}"#;
    assert_eq!(names(&format!("{{{local}}}")), [""; 0]);
    assert_eq!(names(&format!("{{{drill}}}")), [""; 0]);
    let both = format!("{{{local}, {drill}}}");
    assert_eq!(names(&both), [DRILL_TIMER, DRILL]);
    let units = render_units(&config(&both), &layout());
    assert!(unit(&units, DRILL_TIMER).contains("\nOnCalendar=Sat 03:00\n"));
    let service = unit(&units, DRILL);
    // It makes namespaces, and writes to nothing but state and logs.
    assert!(!service.contains("RestrictNamespaces"), "{service}");
    assert!(!service.contains("ReadWritePaths"), "{service}");
    assert!(service.contains("\nProtectSystem=strict\n"), "{service}");
    assert!(service.contains(" drill\n"), "{service}");
}

#[test]
fn what_asks_remotes_waits_for_a_network_and_tries_restores_of_each() {
    let network = "\nWants=network-online.target\n";
    let drill = r#""monitoring": {"drill": {"enable": true}}"#;
    let of = |more: &str| {
        let units = render_units(&config(&format!("{{{more}}}")), &layout());
        [HEALTH, DRILL].map(|name| {
            let found = units.iter().find(|unit| unit.name == name);
            found.map(|unit| unit.text.clone())
        })
    };
    let [health, drilled] = of(&format!(r#""local": {{"enable": true}}, {drill}"#));
    assert!(!health.unwrap().contains(network) && !drilled.unwrap().contains(network));
    let remote = r#""destinations": {"b2": {"type": "remote", "remote": "b2:bucket"}}"#;
    // Without any disk, too.
    let [health, drilled] = of(&format!("{remote}, {drill}"));
    let drilled = drilled.unwrap();
    assert!(health.unwrap().contains(network) && drilled.contains(network));
    assert!(drilled.contains(" drill --all\n"), "{drilled}");
    let [health, none] = of(r#""cloud": {"enable": true}"#);
    assert!(health.unwrap().contains(network) && none.is_none());
}

#[test]
fn a_drill_that_starts_services_may_make_containers_and_nothing_else_changes() {
    let drill = |checks: &str| {
        let json = format!(
            r#"{{"local": {{"enable": true}}, "monitoring": {{"drill": {{"enable": true, "checks": [{checks}]}}}}}}"#
        );
        let units = render_units(&config(&json), &layout());
        unit(&units, DRILL).to_owned()
    };
    let (programs, services) = (drill(r#""/a""#), drill(r#""/a", "service:b""#));
    for limit in [
        "ProtectControlGroups=yes",
        "ProtectHostname=yes",
        "SystemCallFilter=@",
    ] {
        assert!(programs.contains(limit), "{programs}");
        assert!(!services.contains(limit), "{services}");
    }
    assert!(!programs.contains("Delegate"), "{programs}");
    assert!(services.contains("\nDelegate=yes\n"), "{services}");
    for both in ["\nProtectSystem=strict\n", "\nProtectHome=read-only\n"] {
        assert!(
            programs.contains(both) && services.contains(both),
            "{services}"
        );
    }
}

/// Two disks beside `local`, one that is not used, and a schedule.
const DISKS: &str = r#"{
    "local": {"enable": true},
    "schedule": {"enable": true},
    "destinations": {
        "nas": {"type": "disk", "mountPoint": "/mnt/the nas", "readableByUsers": true},
        "usb-2": {
            "type": "disk",
            "mountPoint": "/mnt/usb",
            "requireMount": false,
            "sources": ["/var/tmp/x"],
            "schedule": {"frequency": "Sat", "timeOfDay": "18:00", "randomDelay": "5min"}
        },
        "off": {"type": "disk", "mountPoint": "/mnt/off", "enable": false}
    }
}"#;

#[test]
fn each_named_disk_has_the_unit_that_local_has_with_its_own_place_to_write_to() {
    let units = render_units(&config(DISKS), &layout());
    let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
    let own = [
        "backup-nas.service",
        "backup-view@nas.service",
        "backup-usb-2.service",
        "backup-usb-2.timer",
    ];
    assert_eq!(names[names.len() - own.len()..], own);
    assert!(names.iter().all(|name| {
        is_of_destination(name) == own.contains(name) && NAMES.contains(name) != own.contains(name)
    }));
    let view = config(DISKS).view(&DestinationName::new("nas")).unwrap();
    let alone = unit(&render_units(&view, &layout()), LOCAL);
    let expected = alone
        .replace("apply --only local\n", "apply --only nas\n")
        .replace(
            "Description=Local steps of the backup\n",
            "Description=Steps of the backup to nas\n",
        );
    assert_eq!(unit(&units, "backup-nas.service"), expected);
    let usb = unit(&units, "backup-usb-2.service");
    assert!(usb.contains("\nReadWritePaths=-/mnt/usb\n"), "{usb}");
    assert!(!usb.contains("mnt/the nas"), "{usb}");
    // Its source lies where a folder of its own would hide it, and nobody else's does.
    assert!(usb.contains("\nPrivateTmp=no\n"), "{usb}");
    for other in [LOCAL, "backup-nas.service"] {
        assert!(
            unit(&units, other).contains("\nPrivateTmp=yes\n"),
            "{other}"
        );
    }
    assert_eq!(
        unit(&units, "backup-view@nas.service")
            .lines()
            .filter(|line| line.starts_with("Exec") || line.starts_with("BindsTo"))
            .collect::<Vec<_>>(),
        [
            "BindsTo=mnt-the\\x20nas.mount",
            "ExecStart=/usr/bin/backup --config /etc/backup/config.json --as-unit view --destination nas",
            "ExecStop=/usr/bin/backup --config /etc/backup/config.json --as-unit view --destination nas --remove",
        ]
    );
}

#[test]
fn the_run_knows_all_disks_and_each_of_them_starts_it() {
    let units = render_units(&config(DISKS), &layout());
    let run = unit(&units, COORDINATOR);
    for line in [
        "PropagatesReloadTo=backup-local.service backup-nas.service backup-usb-2.service",
        "After=mnt-backup.mount",
        "After=mnt-the\\x20nas.mount",
        "WantedBy=mnt-backup.mount mnt-the\\x20nas.mount",
        "ExecStopPost=+/usr/bin/backup --config /etc/backup/config.json --as-unit view --destination nas",
    ] {
        assert!(run.lines().any(|one| one == line), "{line}: {run}");
    }
    let health = unit(&units, HEALTH);
    for line in [
        "ReadWritePaths=-/mnt/backup",
        "ReadWritePaths=-\"/mnt/the nas\"",
        "ReadWritePaths=-/mnt/usb",
        "PrivateTmp=no",
    ] {
        assert!(health.lines().any(|one| one == line), "{line}: {health}");
    }
    // Nobody else waits for them.
    assert!(!unit(&units, LOCAL).contains("nas"));
    let timer = unit(&units, "backup-usb-2.timer");
    for line in [
        "OnCalendar=Sat *-*-* 18:00:00",
        "RandomizedDelaySec=300000000us",
        "Unit=backup.service",
    ] {
        assert!(timer.lines().any(|one| one == line), "{line}: {timer}");
    }
    let enabled = enabled_units(&units);
    for wanted in [
        ("backup.service", false),
        ("backup-view@nas.service", true),
        ("backup-usb-2.timer", true),
    ] {
        assert!(enabled.contains(&wanted), "{wanted:?}: {enabled:?}");
    }
}

#[test]
fn each_named_remote_has_the_unit_of_the_cloud() {
    let config = config(
        r#"{
            "local": {"enable": true},
            "schedule": {"enable": true},
            "destinations": {
                "b2": {
                    "type": "remote",
                    "remote": "b2:bucket",
                    "schedule": {"frequency": "weekly"}
                },
                "usb": {"type": "disk", "mountPoint": "/var/tmp/usb"},
                "off": {"type": "remote", "remote": "off:", "enable": false}
            }
        }"#,
    );
    let units = render_units(&config, &layout());
    let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
    let own = ["backup-usb.service", "backup-b2.service", "backup-b2.timer"];
    assert_eq!(names[names.len() - own.len()..], own);
    let view = config.view(&DestinationName::new("b2")).unwrap();
    let alone = unit(&render_units(&view, &layout()), CLOUD);
    let expected = alone
        .replace("apply --only cloud\n", "apply --only b2\n")
        .replace(
            "Description=Cloud steps of the backup\n",
            "Description=Steps of the backup to b2\n",
        )
        // It reads the disk that its snapshots come from.
        .replace("\nPrivateTmp=yes\n", "\nPrivateTmp=no\n");
    assert_eq!(unit(&units, "backup-b2.service"), expected);
    let run = unit(&units, COORDINATOR);
    assert!(
        run.contains(
            "\nPropagatesReloadTo=backup-local.service backup-usb.service backup-b2.service\n"
        ),
        "{run}"
    );
    assert!(!unit(&units, HEALTH).contains("b2"));
}

#[test]
fn a_user_has_a_timer_for_each_schedule_and_one_service_for_all() {
    let units = render_user_units(&config(DISKS), &layout());
    let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
    let expected = [
        TIMER,
        COORDINATOR,
        RETRY_TIMER,
        HEALTH_TIMER,
        HEALTH,
        "backup-usb-2.timer",
    ];
    assert_eq!(names, expected);
    let run = unit(&units, COORDINATOR);
    let wanted = "\nWantedBy=mnt-backup.mount mnt-the\\x20nas.mount\n";
    assert!(run.contains(wanted), "{run}");
}
