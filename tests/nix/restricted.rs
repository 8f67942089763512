//! A restricted user who backs up instead of root: the units, and what the program can do then.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    process::Output,
};

use serde_json::{Value, json};
use test_support::is_missing;

use crate::{
    bare_units::{configs, made_of_each, module_units},
    lab::{Nix, PROGRAM},
    providers::{Machine, eval},
    units::{IN_STORE, verify_units},
};

#[test]
fn a_restricted_users_run_is_one_service_that_may_read_everything() {
    let test = "a_restricted_users_run_is_one_service_that_may_read_everything";
    let Some(nix) = Nix::find(test) else {
        return;
    };
    let has_systemd = !is_missing(test, &["systemd-analyze"], false);
    let configs = configs();
    let package = IN_STORE.trim_end_matches("/bin/backup");
    let expression = format!(
        "import ./tests/nix/bare-services.nix (one // {{ package = \"{package}\"; user = \"daemon\"; }})"
    );
    for (config, defined) in configs
        .iter()
        .zip(made_of_each(&nix, &configs, &expression))
    {
        let units = module_units(&defined);
        for (name, lines) in &units {
            if !name.ends_with(".service") {
                continue;
            }
            assert!(
                // A drill of a restricted user is refused by an assertion.
                [
                    "backup.service",
                    "backup-health-check.service",
                    "backup-drill.service"
                ]
                .contains(&name.as_str()),
                "{name}: {config:#}"
            );
            for line in [
                "[Service] User=daemon",
                "[Service] AmbientCapabilities=CAP_DAC_READ_SEARCH",
                "[Service] CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
                "[Service] NoNewPrivileges=yes",
                "[Service] StateDirectory=backup-daemon",
            ] {
                assert!(lines.contains(line), "{line}: {lines:#?}");
            }
            let starts = lines
                .iter()
                .filter(|line| line.starts_with("[Service] Exec"));
            for start in starts {
                assert!(
                    start.contains(" --state-dir /var/lib/backup-daemon --log-dir "),
                    "{start}"
                );
                assert!(!start.contains("--by-units"), "{start}");
            }
        }
        if has_systemd {
            let units = units.into_iter();
            let units = units.map(|(name, lines)| (name, lines.into_iter().collect()));
            verify_units(&config.to_string(), units);
        }
    }
}

#[test]
fn a_restricted_user_backs_up_what_only_root_reads_and_root_restores_its_owners() {
    let test = "a_restricted_user_backs_up_what_only_root_reads_and_root_restores_its_owners";
    let Some((nix, nixpkgs)) = Nix::with_lib(test) else {
        return;
    };
    if is_missing(test, &["bash", "setpriv"], true) {
        return;
    }
    let machine = Machine::new();
    let mut backup = machine.options();
    backup["local"]["sources"] = json!([machine.path("files")]);
    backup["user"] = json!("daemon");
    backup["monitoring"] = json!({ "logPath": machine.path("log") });
    let found = eval(
        &nix,
        &nixpkgs,
        &json!({ "backup": backup, "clan": {} }),
        "{
           config = import ./nixos/config-json.nix { inherit cfg; };
           scripts = builtins.listToAttrs (
             map (package: { inherit (package) name; value = package.text; }) (
               builtins.filter (package: package ? text) config.environment.systemPackages
             )
           );
         }",
    );
    // Others' interfaces back up as that user, too.
    let creates = found["scripts"]["backup-clan-create"].as_str().unwrap();
    assert_eq!(creates, "exec backup-as-daemon apply\n");
    let script = found["scripts"]["backup-as-daemon"].as_str().unwrap();
    let here =
        |text: &str, of: &str, name: &str| text.replace(of, &format!("'{}'", machine.text(name)));
    let script = here(script, "/etc/backup/config.json", "config.json");
    let script = here(&script, "/var/lib/backup-daemon", "state");
    machine.set_up(&found["config"], &json!({ "as-daemon": script }));
    machine.install("backup", &format!("#!/bin/bash\nexec '{PROGRAM}' \"$@\"\n"));

    let daemon = nix::unistd::User::from_name("daemon").unwrap().unwrap();
    for name in ["disk", "state", "log"] {
        chown(
            machine.path(name),
            Some(daemon.uid.as_raw()),
            Some(daemon.gid.as_raw()),
        )
        .unwrap();
    }
    let secret = machine.path("files/secret");
    fs::write(&secret, "of root").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(machine.path("files/ann")).unwrap();
    let letter = machine.path("files/ann/letter");
    fs::write(&letter, "dear").unwrap();
    for path in [&letter, &machine.path("files/ann")] {
        chown(path, Some(1234), Some(1234)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o500)).unwrap();
    }
    // A folder that nobody else may enter, on the way to all of it.
    fs::set_permissions(machine.path("files"), fs::Permissions::from_mode(0o700)).unwrap();

    let as_daemon = |verb: &[&str]| machine.run("as-daemon", verb, &[]);
    let done = |out: Output, code: i32| {
        assert_eq!(out.status.code(), Some(code), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    done(as_daemon(&["apply"]), 0);
    fs::write(machine.path("files/more"), "news").unwrap();
    done(as_daemon(&["apply"]), 0);
    done(as_daemon(&["verify"]), 0);
    let listed: Value = serde_json::from_str(&done(as_daemon(&["--json", "list"]), 0)).unwrap();
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2);
    // Nothing there is root's: the user may delete all of it again.
    let stored = listed["snapshots"][1]["id"].as_str().unwrap();
    assert_eq!(
        done(as_daemon(&["delete", "--yes", stored]), 0)
            .lines()
            .count(),
        0
    );

    // That user cannot give files away, and says so.
    let files = machine.text("files");
    let mine = machine.text("disk/mine");
    let told = as_daemon(&["restore", "latest", &files, &mine]);
    let error = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(error.contains("only root may give files away"), "{error}");
    assert_eq!(
        fs::metadata(machine.path("disk/mine/ann/letter"))
            .unwrap()
            .uid(),
        daemon.uid.as_raw()
    );

    // Root has a state of its own, and brings owners and modes back.
    let config = machine.text("config.json");
    let (state, log) = (machine.text("state of root"), machine.text("log of root"));
    let of_root = [
        "--config",
        &config,
        "--state-dir",
        &state,
        "--log-dir",
        &log,
    ];
    let back = machine.text("back");
    let out = machine.run(
        "backup",
        &[&of_root[..], &["restore", "latest", &files, &back]].concat(),
        &[],
    );
    done(out, 0);
    let letter = fs::metadata(machine.path("back/ann/letter")).unwrap();
    assert_eq!(
        (letter.uid(), letter.gid(), letter.mode() & 0o7777),
        (1234, 1234, 0o500)
    );
    assert_eq!(fs::metadata(machine.path("back/secret")).unwrap().uid(), 0);
    assert_eq!(
        fs::read_to_string(machine.path("back/secret")).unwrap(),
        "of root"
    );
    // What is remembered by somebody else root does not believe.
    let state = machine.text("state");
    let out = machine.run(
        "backup",
        &["--config", &config, "--state-dir", &state, "status"],
        &[],
    );
    assert_eq!(out.status.code(), Some(4), "{out:?}");
}
