//! The providers of others' interfaces: the file-backup contract and Clan's backups. What they define is
//! evaluated with stand-ins for what they define it for (consumers.nix); their scripts are run with the
//! program itself, through the steps that the contract's own test has.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use test_support::is_missing;

use crate::lab::{Nix, Nixpkgs, PROGRAM};

/// What the scripts call besides the program.
const TOOLS: [&str; 3] = ["bash", "realpath", "sed"];

/// An expression about a machine with both providers, of which `data` has the options.
pub(crate) fn eval(nix: &Nix, nixpkgs: &Nixpkgs, data: &Value, expression: &str) -> Value {
    let bare = nixpkgs.import(
        "bare",
        "backup = { enable = true; } // data.backup;
         system = { clan.core = data.clan; };
         modules = [ ./tests/nix/consumers.nix ./nixos/providers/clan.nix ];",
    );
    nix.eval(
        &format!(
            "let inherit ({bare}) config; cfg = config.hwc.system.services.backup; in {expression}"
        ),
        data,
    )
}

/// A machine with a folder of files, a disk, and the scripts of a provider on its PATH.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self {
            folder: tempfile::Builder::new()
                .prefix("a machine")
                .tempdir()
                .unwrap(),
        };
        for name in ["files", "disk", "bin", "state", "log"] {
            fs::create_dir(machine.path(name)).unwrap();
        }
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Options for a snapshot of what providers ask for alone.
    pub(crate) fn options(&self) -> Value {
        json!({
            "local": {
                "enable": true,
                "mountPoint": self.path("disk"),
                "requireMount": false,
                "minSpaceGB": 0,
                "useRsync": false,
                "sources": [],
            },
        })
    }

    pub(crate) fn install(&self, name: &str, text: &str) {
        let file = self.path("bin").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Puts the configuration and the scripts in place. The program is the one that was built, with this
    /// machine's paths.
    pub(crate) fn set_up(&self, config: &Value, scripts: &Value) {
        fs::write(self.path("config.json"), config.to_string()).unwrap();
        let quote = |text: String| format!("'{}'", text.replace('\'', r"'\''"));
        self.install(
            "backup",
            &format!(
                "#!/bin/bash\nexec {} --config {} --state-dir {} --log-dir {} \"$@\"\n",
                quote(PROGRAM.to_owned()),
                quote(self.text("config.json")),
                quote(self.text("state")),
                quote(self.text("log")),
            ),
        );
        for (name, text) in scripts.as_object().unwrap() {
            // As writeShellApplication begins one.
            let head = "#!/bin/bash\nset -o errexit\nset -o nounset\nset -o pipefail\n";
            self.install(name, &format!("{head}{}", text.as_str().unwrap()));
        }
    }

    pub(crate) fn run(
        &self,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Output {
        let path = std::env::var_os("PATH").unwrap();
        let all = std::iter::once(self.path("bin")).chain(std::env::split_paths(&path));
        Command::new(self.path("bin").join(name))
            .args(arguments)
            .envs(environment.iter().copied())
            .env("PATH", std::env::join_paths(all).unwrap())
            .current_dir("/")
            .output()
            .unwrap()
    }

    fn succeed(&self, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let out = self.run(name, arguments, environment);
        assert!(out.status.success(), "{name} {arguments:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// Files with their content, below a folder.
    fn files(&self, name: &str) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        let entries = entries.map(|entry| entry.unwrap().path());
        entries
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read_to_string(&path).unwrap())
            })
            .collect()
    }
}

fn files(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// Backups begin in different seconds, which their names tell.
fn snapshots(told: &str) -> Vec<String> {
    told.lines()
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn what_a_consumer_asks_for_is_backed_up_beside_all_else() {
    let test = "what_a_consumer_asks_for_is_backed_up_beside_all_else";
    let Some((nix, nixpkgs)) = Nix::with_lib(test) else {
        return;
    };
    let input = json!({
        "sourceDirectories": ["/var/lib/cloud", "/home"],
        "excludePatterns": ["*.log", "/cache"],
    });
    let data = json!({
        "backup": { "local": { "enable": true }, "consumers": { "cloud": { "fileBackupContract": { "input": input } } } },
        "clan": { "state": {
            "mail": { "folders": ["/var/mail"], "preBackupCommand": "pre-backup-mail" },
            "web": { "folders": ["/var/www//", "/var/mail/"], "postBackupCommand": "post-backup-web" },
        } },
    });
    let found = eval(
        &nix,
        &nixpkgs,
        &data,
        "{
           inherit (cfg.local) sources excludePatterns;
           inherit (cfg) preBackupScript postBackupScript;
           inherit (config.clan.core.backups) providers;
           script = cfg.consumers.cloud.fileBackupContract.output.script.name;
           commands = map (package: package.name) config.environment.systemPackages;
           keys = builtins.attrNames (import ./nixos/config-json.nix { inherit cfg; });
           failed = builtins.filter (a: !a.assertion) config.assertions;
         }",
    );
    let mut sources: Vec<String> = serde_json::from_value(found["sources"].clone()).unwrap();
    sources.sort();
    // The defaults stay.
    assert_eq!(
        sources,
        [
            "/etc/nixos",
            "/home",
            "/var/lib/cloud",
            "/var/mail",
            "/var/www"
        ]
    );
    let patterns = found["excludePatterns"].as_array().unwrap();
    for pattern in [
        "node_modules",
        "/home/*.log",
        "/home/**/*.log",
        "/var/lib/cloud/cache",
    ] {
        assert!(
            patterns.contains(&json!(pattern)),
            "{pattern}: {patterns:?}"
        );
    }
    let script = |key: &str| found[key].as_str().unwrap().trim().to_owned();
    assert_eq!(
        script("preBackupScript"),
        "/run/current-system/sw/bin/pre-backup-mail"
    );
    assert_eq!(
        script("postBackupScript"),
        "/run/current-system/sw/bin/post-backup-web"
    );
    assert_eq!(found["script"], "backup-of-cloud");
    for command in found["providers"]["backup"].as_object().unwrap().values() {
        assert!(
            found["commands"].as_array().unwrap().contains(command),
            "{found:#}"
        );
    }
    let keys = found["keys"].as_array().unwrap();
    assert!(
        !keys.contains(&json!("consumers")) && !keys.contains(&json!("also")),
        "{keys:?}"
    );
    assert_eq!(found["failed"], json!([]));

    // Clan's commands are root's.
    let mut restricted = data;
    restricted["backup"]["user"] = json!("daemon");
    let failed = eval(
        &nix,
        &nixpkgs,
        &restricted,
        "map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions)",
    );
    let failed = failed.to_string();
    assert!(failed.contains("preBackupCommand wants root"), "{failed}");
}

#[test]
fn a_provider_without_local_snapshots_is_a_fault() {
    let Some((nix, nixpkgs)) = Nix::with_lib("a_provider_without_local_snapshots_is_a_fault")
    else {
        return;
    };
    let input = json!({ "sourceDirectories": ["/var/lib/cloud"] });
    let data = json!({
        "backup": { "consumers": { "cloud": { "fileBackupContract": { "input": input } } } },
        "clan": {},
    });
    let failed = "map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions)";
    let failed = eval(&nix, &nixpkgs, &data, failed);
    let failed: Vec<String> = serde_json::from_value(failed).unwrap();
    assert_eq!(failed.len(), 2, "{failed:#?}");
    for message in failed {
        assert!(
            message.starts_with("hwc.system.services.backup."),
            "{message}"
        );
        assert!(
            message.contains("local.enable") && message.contains("\nhint: "),
            "{message}"
        );
    }
}

/// The steps of the contract's generic test.
#[test]
fn a_consumer_gets_back_what_each_of_its_snapshots_had() {
    let test = "a_consumer_gets_back_what_each_of_its_snapshots_had";
    let Some((nix, nixpkgs)) = Nix::with_lib(test) else {
        return;
    };
    if is_missing(test, &TOOLS, false) {
        return;
    }
    let machine = Machine::new();
    let folders = ["files/A", "files/B"];
    let mut backup = machine.options();
    backup["consumers"]["mytest"]["fileBackupContract"]["input"] = json!({
        "user": "me",
        "sourceDirectories": folders.map(|folder| machine.text(folder)),
        "excludePatterns": ["_exclude"],
    });
    let found = eval(
        &nix,
        &nixpkgs,
        &json!({ "backup": backup, "clan": {} }),
        "{
           config = import ./nixos/config-json.nix { inherit cfg; };
           scripts.script = cfg.consumers.mytest.fileBackupContract.output.script.text;
         }",
    );
    machine.set_up(&found["config"], &found["scripts"]);
    let script = |arguments: &[&str]| machine.succeed("script", arguments, &[]);

    for folder in folders {
        fs::create_dir_all(machine.path(folder).join("below")).unwrap();
        fs::write(machine.path(folder).join("below/_exclude"), "").unwrap();
        fs::remove_dir_all(machine.path(folder).join("below")).unwrap();
        for (name, text) in [("fileA", "1"), ("fileB", "1"), ("_exclude", "")] {
            fs::write(machine.path(folder).join(name), text).unwrap();
        }
    }
    assert_eq!(script(&["snapshots"]), "");
    script(&["backup"]);
    assert_eq!(snapshots(&script(&["snapshots"])).len(), 1);
    for folder in folders {
        for name in ["fileA", "fileB"] {
            fs::write(machine.path(folder).join(name), "22").unwrap();
        }
    }
    script(&["backup"]);
    let all = snapshots(&script(&["snapshots"]));
    let [first, second] = &all[..] else {
        panic!("{all:?}");
    };
    for folder in folders {
        for entry in fs::read_dir(machine.path(folder)).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    for (snapshot, text) in [(second.as_str(), "22"), (first, "1"), ("latest", "22")] {
        script(&["restore", snapshot]);
        for folder in folders {
            let wanted = files(&[("fileA", text), ("fileB", text)]);
            assert_eq!(machine.files(folder), wanted, "{snapshot}");
        }
    }
    // What was there before each is beside it.
    let kept = fs::read_dir(machine.path("files")).unwrap();
    assert_eq!(kept.count(), 2 + 3 * 2);

    for wrong in [&["restore"][..], &["snapshots", "x"], &[], &["prune"]] {
        let out = machine.run("script", wrong, &[]);
        assert_eq!(out.status.code(), Some(2), "{wrong:?}: {out:?}");
    }
    let out = machine.run("script", &["restore", "1999-01-01"], &[]);
    assert!(!out.status.success(), "{out:?}");
    assert_eq!(
        machine.files("files/A"),
        files(&[("fileA", "22"), ("fileB", "22")])
    );
}

#[test]
fn clan_creates_lists_and_restores() {
    let test = "clan_creates_lists_and_restores";
    let Some((nix, nixpkgs)) = Nix::with_lib(test) else {
        return;
    };
    if is_missing(test, &TOOLS, false) {
        return;
    }
    let machine = Machine::new();
    let (mail, web) = (machine.text("files/mail"), machine.text("files/web"));
    let state = json!({
        "mail": { "folders": [mail] },
        "web": { "folders": [web] },
    });
    let found = eval(
        &nix,
        &nixpkgs,
        &json!({ "backup": machine.options(), "clan": { "state": state } }),
        "{
           config = import ./nixos/config-json.nix { inherit cfg; };
           scripts = builtins.listToAttrs (
             map (package: { inherit (package) name; value = package.text; }) (
               builtins.filter (package: package ? text) config.environment.systemPackages
             )
           );
           inherit (config.clan.core.backups.providers) backup;
         }",
    );
    machine.set_up(&found["config"], &found["scripts"]);
    let command = |name: &str| found["backup"][name].as_str().unwrap().to_owned();
    let list = || -> Vec<String> {
        let told = machine.succeed(&command("list"), &[], &[]);
        let told: Value = serde_json::from_str(&told).unwrap();
        let backups = told.as_array().unwrap().iter();
        backups
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    for folder in ["files/mail", "files/web"] {
        fs::create_dir(machine.path(folder)).unwrap();
        fs::write(machine.path(folder).join("somefile"), "testing").unwrap();
    }
    assert_eq!(list(), [""; 0]);
    machine.succeed(&command("create"), &[], &[]);
    let names = list();
    let [name] = &names[..] else {
        panic!("{names:?}");
    };
    fs::remove_dir_all(machine.path("files/mail")).unwrap();
    fs::write(machine.path("files/web/newer"), "of a newer state").unwrap();
    let restore = command("restore");
    let given = format!("{mail}:{web}");
    machine.succeed(&restore, &[], &[("NAME", name), ("FOLDERS", &given)]);
    for folder in ["files/mail", "files/web"] {
        assert_eq!(
            machine.files(folder),
            files(&[("somefile", "testing")]),
            "{folder}"
        );
    }
    for (name, folders) in [("", given.as_str()), (name, "")] {
        let out = machine.run(&restore, &[], &[("NAME", name), ("FOLDERS", folders)]);
        assert_eq!(out.status.code(), Some(2), "{out:?}");
    }
    // One of them is not in it: the other comes back all the same, and it is told.
    let more = format!("{}:{web}", machine.text("files/none"));
    fs::write(machine.path("files/web/somefile"), "changed").unwrap();
    let out = machine.run(&restore, &[], &[("NAME", name), ("FOLDERS", &more)]);
    assert!(!out.status.success(), "{out:?}");
    assert_eq!(
        machine.files("files/web"),
        files(&[("somefile", "testing")])
    );
    assert!(!Path::new(&machine.text("files/none")).exists());
}

/// The functions that put folders back.
fn put_back() -> String {
    let nixos = Path::new(crate::lab::ROOT).join("nixos");
    let parts = ["only-ours.sh", "providers/put-back.sh"].map(|name| nixos.join(name));
    parts.map(|part| fs::read_to_string(part).unwrap()).concat()
}

#[test]
fn what_is_mounted_below_a_folder_stays_where_it_is() {
    let test = "what_is_mounted_below_a_folder_stays_where_it_is";
    if is_missing(test, &["bash", "unshare", "mount"], false) {
        return;
    }
    let machine = Machine::new();
    // Each folder, and whether something is mounted there or below.
    let lines = "cd \"$1/files\" && mkdir -p 'a b/c d' ab plain && mount -t tmpfs none 'a b/c d'
        for folder in 'a b/c d' 'a b' ab plain 'a b/c'; do
          if is_or_has_mount \"$PWD/$folder\"; then echo \"$folder: yes\"; else echo \"$folder: no\"; fi
        done\n";
    machine.set_up(
        &json!({}),
        &json!({ "look": format!("{}{lines}", put_back()) }),
    );
    let within = |rights: &str, command: &str| {
        let line = format!("unshare {rights} --mount --propagation private {command}");
        let arguments = [machine.text("bin/look"), machine.text("")];
        Command::new("bash")
            .args(["-c", &line, "bash"])
            .args(arguments)
            .output()
            .unwrap()
    };
    let can = |rights: &&str| {
        let probe = within(rights, "mount -t tmpfs none /mnt");
        probe.status.success()
    };
    let Some(rights) = ["", "--user --map-root-user"].into_iter().find(can) else {
        test_support::skip(&format!("{test} because nothing can be mounted here"));
        return;
    };
    let out = within(rights, "\"$1\" \"$2\"");
    assert_eq!(
        String::from_utf8_lossy(&out.stdout),
        "a b/c d: yes\na b: yes\nab: no\nplain: no\na b/c: no\n",
        "{out:?}"
    );
}

#[test]
fn where_others_may_rename_a_folder_its_content_is_restored_in_place() {
    let test = "where_others_may_rename_a_folder_its_content_is_restored_in_place";
    if is_missing(test, &TOOLS, false) {
        return;
    }
    let machine = Machine::new();
    let mut config = machine.options();
    config["local"]["sources"] = json!([machine.text("files/web")]);
    let scripts = json!({ "put-back": format!("{}put_back \"$@\"\n", put_back()) });
    config["version"] = json!(1);
    machine.set_up(&config, &scripts);
    let web = machine.text("files/web");
    fs::create_dir(&web).unwrap();
    fs::write(machine.path("files/web/index"), "one").unwrap();
    machine.succeed("backup", &["apply"], &[]);
    fs::write(machine.path("files/web/index"), "other").unwrap();
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(machine.path("files"), open).unwrap();
    machine.succeed("put-back", &["latest", &web], &[]);
    assert_eq!(machine.files("files/web")["index"], "one");
    // It was not replaced: what it had is within.
    assert_eq!(fs::read_dir(machine.path("files")).unwrap().count(), 1);
    assert!(
        machine
            .files("files/web")
            .values()
            .any(|text| text == "other")
    );
}
