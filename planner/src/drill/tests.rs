use schema::drill::{CheckResult, CheckStatus, DrillVerdict, RoomOutcome, SampleRead};
use serde_json::json;

use super::*;
use crate::{
    lint::check_drill,
    test_support::{destination, snapshot},
};

fn config(sources: &[&str], checks: &[&str]) -> Config {
    serde_json::from_value(json!({
        "local": {"enable": true, "sources": sources},
        "monitoring": {"drill": {"checks": checks}},
    }))
    .unwrap()
}

fn now() -> DateTime<FixedOffset> {
    "2025-01-20T12:00:00Z".parse().unwrap()
}

fn systemd() -> Result<SystemdFact, String> {
    Ok(SystemdFact {
        nspawn: "/usr/bin/systemd-nspawn".to_owned(),
        init: "/usr/lib/systemd/systemd".to_owned(),
        system: None,
        host_name: "atlas".to_owned(),
    })
}

/// A plan of a snapshot of `/home`, which holds these paths; the machine has `/etc`, `/usr` and `/bin`.
fn planned(config: &Config, held: &[&str], programs: &[Option<&str>]) -> DrillPlan {
    let found = destination(true, &json!([snapshot("2025-01-16", false)]));
    let machine = BTreeMap::from([
        ("/bin".to_owned(), MachinePlace::Link("usr/bin".to_owned())),
        ("/etc".to_owned(), MachinePlace::Folder),
        ("/usr".to_owned(), MachinePlace::Folder),
    ]);
    let programs: Vec<ProgramFact> = programs
        .iter()
        .map(|real| ProgramFact {
            real: real.map(str::to_owned),
            distrust: None,
        })
        .collect();
    let held = held.iter().map(|path| (*path).to_owned()).collect();
    let plan = plan_drill(&DrillFacts {
        config,
        host: "atlas",
        now: now(),
        destination: &found,
        snapshot: &found.snapshots[0],
        held: &held,
        machine: &machine,
        programs: &programs,
        systemd: &systemd(),
    });
    assert_eq!(check_drill(&plan, config), None);
    plan
}

fn shown<'a>(plan: &'a DrillPlan, path: &str) -> Option<&'a Shown> {
    shown_in(&plan.mounts, path)
}

fn shown_in<'a>(mounts: &'a [RoomMount], path: &str) -> Option<&'a Shown> {
    let mut all = mounts.iter();
    all.find(|mount| mount.at == path).map(|mount| &mount.shows)
}

fn restored(path: &str) -> Shown {
    Shown::Restored {
        path: path.to_owned(),
    }
}

fn machine(path: &str) -> Shown {
    Shown::Machine {
        path: path.to_owned(),
    }
}

#[test]
fn sources_are_the_snapshots_and_the_rest_is_the_machines() {
    let config = config(&["/home", "/etc/nixos", "/srv/gone"], &[]);
    let plan = planned(&config, &["/home", "/etc/nixos"], &[]);
    assert_eq!(shown(&plan, "/home"), Some(&restored("home")));
    assert_eq!(shown(&plan, "/etc/nixos"), Some(&restored("etc/nixos")));
    assert_eq!(shown(&plan, "/etc"), Some(&machine("/etc")));
    assert_eq!(
        shown(&plan, "/srv/gone"),
        Some(&Shown::Hidden),
        "what the snapshot does not hold is not shown"
    );
    let order: Vec<&str> = plan.mounts.iter().map(|mount| mount.at.as_str()).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(order, sorted, "each folder before what is in it");
}

#[test]
fn a_source_that_was_one_when_the_snapshot_was_made_is_shown_too() {
    let plan = planned(&config(&["/srv"], &[]), &["/home"], &[]);
    assert_eq!(shown(&plan, "/home"), Some(&restored("home")));
    assert_eq!(shown(&plan, "/srv"), Some(&Shown::Hidden));
}

#[test]
fn a_snapshot_of_all_gives_all_but_what_it_is_without() {
    let config = config(&["/"], &["/etc/check"]);
    let plan = planned(&config, &["/", "/etc", "/bin"], &[Some("/etc/check")]);
    assert_eq!(shown(&plan, "/"), Some(&restored("")));
    assert_eq!(shown(&plan, "/etc"), None);
    assert_eq!(shown(&plan, "/home"), None);
    assert_eq!(shown(&plan, "/usr"), Some(&machine("/usr")));
    // The check is the machine's, not the one in the snapshot.
    let program = plan.checks[0].program.as_deref().unwrap();
    assert_eq!(program, "/run/backup-drill/checks/0/check");
    assert_eq!(shown(&plan, program), Some(&machine("/etc/check")));
}

#[test]
fn checks_run_where_they_stand_or_are_brought() {
    let checks = [
        "/usr/bin/a",
        "/bin/b",
        "/root/c",
        "/home/ann/d",
        "/etc/gone",
    ];
    let real = [
        Some("/usr/bin/a"),
        Some("/usr/bin/b"),
        Some("/root/c"),
        Some("/home/ann/d"),
        None,
    ];
    let plan = planned(&config(&["/home"], &checks), &["/home"], &real);
    let programs: Vec<&str> = plan
        .checks
        .iter()
        .filter_map(|one| one.program.as_deref())
        .collect();
    let expected = [
        "/usr/bin/a",
        "/bin/b",
        "/run/backup-drill/checks/2/c",
        "/run/backup-drill/checks/3/d",
        "/etc/gone",
    ];
    assert_eq!(programs, expected);
    let refused = plan.checks[4].refused.as_deref();
    assert_eq!(refused, Some("there is no such file on this machine"));
}

#[test]
fn a_destination_among_what_the_machine_shows_is_hidden() {
    let mut config = config(&["/home"], &[]);
    config.local.mount_point = schema::config::AbsolutePath::new("/usr/backup");
    let plan = planned(&config, &["/home"], &[]);
    assert_eq!(shown(&plan, "/usr/backup"), Some(&Shown::Hidden));
}

#[test]
fn the_linter_refuses_what_would_show_a_source_or_the_destination() {
    let config = config(&["/home"], &[]);
    let plan = planned(&config, &["/home"], &[]);
    let broken = |at: &str, shows: Shown| {
        let mut plan = plan.clone();
        plan.mounts.retain(|mount| mount.at != at);
        plan.mounts.push(RoomMount {
            at: at.to_owned(),
            shows,
        });
        check_drill(&plan, &config)
    };
    assert!(broken("/home", machine("/home")).is_some());
    assert!(broken("/home", restored("etc")).is_some());
    assert!(broken("/mnt", machine("/mnt")).is_some());
    assert!(broken("/opt", machine("/home")).is_some());
    assert!(broken("/opt/../home", machine("/opt/../home")).is_some());
}

#[test]
fn the_last_good_snapshot_is_taken_and_newer_suspect_ones_are_told() {
    let all = json!([snapshot("2025-01-16", false), snapshot("2025-01-17", true)]);
    let found = destination(true, &all);
    let chosen = choose_snapshot(None, &found, now()).unwrap();
    assert_eq!(chosen.record.id.to_string(), "2025-01-16_02-00-00");
    let config = config(&["/home"], &[]);
    let plan = plan_drill(&DrillFacts {
        config: &config,
        host: "atlas",
        now: now(),
        destination: &found,
        snapshot: chosen,
        held: &BTreeSet::new(),
        machine: &BTreeMap::new(),
        programs: &[],
        systemd: &systemd(),
    });
    assert_eq!(plan.passed_over.len(), 1);
    assert_eq!(plan.passed_over[0].because, "suspect: it is small");
    let none = destination(true, &json!([]));
    assert!(choose_snapshot(None, &none, now()).is_err());
}

#[test]
fn only_what_was_done_and_went_well_has_passed() {
    let config = config(&["/home"], &["/usr/bin/a", "/usr/bin/b"]);
    let two = [Some("/usr/bin/a"), Some("/usr/bin/b")];
    let plan = planned(&config, &["/home"], &two);
    let read = SampleRead {
        files: 3,
        bytes: 30,
        of_files: 3,
        ..SampleRead::default()
    };
    let check = |name: &str, status| CheckResult {
        check: name.to_owned(),
        status,
        millis: 1,
        message: "failed with exit code 1".to_owned(),
        output: String::new(),
    };
    let good = RoomOutcome {
        ready_millis: Some(20),
        sample: Some(read.clone()),
        checks: BTreeMap::from([
            (0, check("/usr/bin/a", CheckStatus::Passed)),
            (1, check("/usr/bin/b", CheckStatus::Passed)),
        ]),
        ..RoomOutcome::default()
    };
    let judged = judge_drill(&plan, good.clone(), now());
    assert_eq!(judged.verdict, DrillVerdict::Passed);
    assert_eq!(
        judged.summary,
        "ready in 0.0 s, 3 files read (30 B), 2 checks passed"
    );
    let failed = |outcome: RoomOutcome| {
        let judged = judge_drill(&plan, outcome, now());
        assert_eq!(judged.verdict, DrillVerdict::Failed, "{judged:?}");
        assert_eq!(judged.checks.len(), 2);
        judged.summary
    };
    let mut bad = good.clone();
    bad.checks.get_mut(&0).unwrap().status = CheckStatus::Failed;
    assert_eq!(failed(bad), "/usr/bin/a failed with exit code 1");
    let mut bad = good.clone();
    bad.checks.remove(&0);
    assert!(failed(bad).starts_with("/usr/bin/a was not run"));
    let mut bad = good.clone();
    bad.sample = Some(SampleRead {
        damage_count: 1,
        ..read
    });
    assert_eq!(
        failed(bad),
        "1 of 3 files that were read is not what the manifest says"
    );
    let mut bad = good.clone();
    bad.sample = None;
    assert_eq!(failed(bad), "no file was read");
    let nothing = RoomOutcome {
        fault: Some("no room".to_owned()),
        ..RoomOutcome::default()
    };
    assert_eq!(failed(nothing), "no room");
    let mut plan = plan.clone();
    plan.checks.clear();
    let empty = RoomOutcome {
        sample: Some(SampleRead::default()),
        ..RoomOutcome::default()
    };
    let judged = judge_drill(&plan, empty, now());
    assert_eq!(judged.verdict, DrillVerdict::Failed);
}

#[test]
fn a_service_starts_with_the_snapshots_data_in_what_else_is_the_machines() {
    let config = config(
        &["/var/lib/shop", "/run/shop"],
        &["service:shop", "/usr/bin/a"],
    );
    let held = ["/var/lib/shop", "/run/shop"];
    let plan = planned(&config, &held, &[None, Some("/usr/bin/a")]);
    assert_eq!(plan.checks[0].check, "service:shop");
    assert_eq!(plan.checks[0].unit.as_deref(), Some("shop.service"));
    assert_eq!(plan.checks[0].program, None);
    assert_eq!(plan.checks[1].program.as_deref(), Some("/usr/bin/a"));
    let container = plan.container.unwrap();
    let at = |path: &str| shown_in(&container.mounts, path);
    assert_eq!(at("/var/lib/shop"), Some(&restored("var/lib/shop")));
    assert_eq!(at("/etc"), Some(&machine("/etc")));
    assert_eq!(at("/opt"), None, "the machine has none");
    let path = "/var".to_owned();
    assert_eq!(at("/var"), Some(&Shown::Outline { path }));
    for made_anew in ["/run", "/run/shop", "/dev", "/proc"] {
        assert_eq!(at(made_anew), None, "{made_anew}");
    }
    assert_eq!(at("/tmp"), Some(&Shown::Temporary));
}

#[test]
fn a_service_of_a_whole_system_starts_with_all_that_the_snapshot_has() {
    let config = config(&["/"], &["service:shop"]);
    let plan = planned(&config, &["/", "/etc", "/usr", "/bin", "/opt"], &[None]);
    let container = plan.container.unwrap();
    assert_eq!(shown_in(&container.mounts, "/"), Some(&restored("")));
    for of_the_snapshot in ["/var", "/etc", "/usr", "/opt"] {
        assert_eq!(shown_in(&container.mounts, of_the_snapshot), None);
    }
}

#[test]
fn without_a_service_there_is_no_container() {
    let plan = planned(&config(&["/home"], &["/usr/bin/a"]), &["/home"], &[None]);
    assert_eq!(plan.container, None);
}

#[test]
fn a_service_is_not_tried_where_there_can_be_no_container() {
    let config = config(&["/home"], &["service:shop"]);
    let found = destination(true, &json!([snapshot("2025-01-16", false)]));
    let plan = plan_drill(&DrillFacts {
        config: &config,
        host: "atlas",
        now: now(),
        destination: &found,
        snapshot: &found.snapshots[0],
        held: &BTreeSet::new(),
        machine: &BTreeMap::new(),
        programs: &[],
        systemd: &Err("no systemd-nspawn".to_owned()),
    });
    assert_eq!(plan.container, None);
    let refused = plan.checks[0].refused.as_deref();
    assert_eq!(refused, Some("no systemd-nspawn"));
}
