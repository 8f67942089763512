//! What a system says that it keeps, and what becomes of it: sources, warnings, a script and
//! state.json, which is what the program reads.
//!
//! The systems are those of `systems/state-*.nix`: evaluated where there is a nixpkgs, else as one once
//! was ([`crate::golden`]). What is made of what was found needs a bare Nix alone.

use schema::state::StateTable;
use serde_json::{Value, json};

use crate::{golden, lab::Nix};

/// Services of the module set, each with a path that it keeps and the option that says so.
const SERVICES: [(&str, &str); 38] = [
    (
        "/etc/NetworkManager/system-connections",
        "networking.networkmanager.enable",
    ),
    ("/etc/ssh/ssh_host_ed25519_key", "services.openssh.hostKeys"),
    ("/var/db/influxdb", "services.influxdb.dataDir"),
    (
        "/var/lib/bazarr",
        "systemd.services.bazarr.serviceConfig.StateDirectory",
    ),
    (
        "/var/lib/bitwarden_rs",
        "systemd.services.bitwarden_rs.serviceConfig.StateDirectory",
    ),
    ("/var/lib/bluetooth", "hardware.bluetooth.enable"),
    (
        "/var/lib/chrony",
        "systemd.services.chronyd.serviceConfig.StateDirectory",
    ),
    ("/var/lib/cups", "services.printing.enable"),
    ("/var/lib/deluge", "services.deluge.dataDir"),
    ("/var/lib/etcd", "services.etcd.dataDir"),
    (
        "/var/lib/fail2ban",
        "systemd.services.fail2ban.serviceConfig.StateDirectory",
    ),
    ("/var/lib/gitea", "services.gitea.stateDir"),
    ("/var/lib/gitolite", "services.gitolite.dataDir"),
    ("/var/lib/grafana", "services.grafana.dataDir"),
    ("/var/lib/hass", "services.home-assistant.configDir"),
    ("/var/lib/ipfs", "services.ipfs.dataDir"),
    (
        "/var/lib/jackett/.config/Jackett",
        "services.jackett.dataDir",
    ),
    (
        "/var/lib/jellyfin",
        "systemd.services.jellyfin.serviceConfig.StateDirectory",
    ),
    ("/var/lib/jenkins", "services.jenkins.home"),
    ("/var/lib/lidarr/.config/Lidarr", "services.lidarr.dataDir"),
    ("/var/lib/matrix-synapse", "services.matrix-synapse.dataDir"),
    ("/var/lib/mosquitto", "services.mosquitto.dataDir"),
    ("/var/lib/murmur", "users.users.murmur.home"),
    ("/var/lib/mysql", "services.mysql.dataDir"),
    ("/var/lib/postfix/queue", "services.postfix.enable"),
    ("/var/lib/postgresql/11.1", "services.postgresql.dataDir"),
    (
        "/var/lib/prometheus2",
        "systemd.services.prometheus.serviceConfig.StateDirectory",
    ),
    ("/var/lib/rabbitmq", "services.rabbitmq.dataDir"),
    ("/var/lib/radarr/.config/Radarr", "services.radarr.dataDir"),
    ("/var/lib/radicale", "users.users.radicale.home"),
    (
        "/var/lib/redis",
        "systemd.services.redis.serviceConfig.StateDirectory",
    ),
    ("/var/lib/samba", "services.samba.enable"),
    (
        "/var/lib/sonarr/.config/NzbDrone",
        "services.sonarr.dataDir",
    ),
    ("/var/lib/syncthing", "services.syncthing.dataDir"),
    (
        "/var/lib/tailscale",
        "systemd.services.tailscale.serviceConfig.StateDirectory",
    ),
    ("/var/lib/tor", "users.users.tor.home"),
    ("/var/lib/transmission", "services.transmission.home"),
    ("/data/people/ann", "users.users.ann.home"),
];

/// SQLite databases of those services that are known.
const SQLITE: [&str; 11] = [
    "/srv/app/app.db",
    "/var/lib/bazarr/db/bazarr.db",
    "/var/lib/bitwarden_rs/db.sqlite3",
    "/var/lib/fail2ban/fail2ban.sqlite3",
    "/var/lib/gitea/data/gitea.db",
    "/var/lib/grafana/data/grafana.db",
    "/var/lib/hass/home-assistant_v2.db",
    "/var/lib/jellyfin/data/jellyfin.db",
    "/var/lib/lidarr/.config/Lidarr/lidarr.db",
    "/var/lib/matrix-synapse/homeserver.db",
    "/var/lib/radarr/.config/Radarr/radarr.db",
];

/// What an evaluation gives of one of the systems.
fn system(test: &str, name: &str) -> Option<Value> {
    golden::systems(test).map(|systems| systems[name].clone())
}

/// The row of a path.
fn row<'a>(system: &'a Value, path: &str) -> &'a Value {
    let rows = system["state"]["paths"].as_array().unwrap();
    let found = rows.iter().find(|row| row["path"] == path);
    found.unwrap_or_else(|| panic!("{path} is not found: {rows:#?}"))
}

fn texts(value: &Value) -> Vec<&str> {
    let list = value.as_array().into_iter().flatten();
    list.map(|one| one.as_str().unwrap()).collect()
}

/// Whether one of these paths is a path or holds it.
fn is_held(sources: &[&str], path: &str) -> bool {
    let mut sources = sources.iter();
    sources.any(|source| path == *source || path.starts_with(&format!("{source}/")))
}

#[test]
fn each_service_says_where_it_keeps_its_state_and_all_of_it_is_backed_up() {
    let test = "each_service_says_where_it_keeps_its_state_and_all_of_it_is_backed_up";
    let Some(system) = system(test, "state-services") else {
        return;
    };
    let sources = texts(&system["config"]["local"]["sources"]);
    for (path, option) in SERVICES {
        let row = row(&system, path);
        assert!(texts(&row["from"]).contains(&option), "{row}");
        let is_server = row["database"]["engine"].is_string();
        assert_eq!(is_held(&sources, path), !is_server, "{path}: {sources:?}");
    }
    // The homes that are in a source already are none of their own.
    assert_eq!(row(&system, "/home/bob")["kind"], "home");
    assert!(!sources.contains(&"/home/bob"), "{sources:?}");
    // What was not there before the first run is no fault of the next.
    let optional = texts(&system["config"]["local"]["optionalSources"]);
    assert!(optional.contains(&"/var/lib/gitea"), "{optional:?}");
    assert!(!optional.contains(&"/home"), "{optional:?}");
    assert_eq!(system["warnings"], json!([]));
    assert_eq!(system["failed"], json!([]));
}

#[test]
fn each_database_is_written_out_before_the_users_own_script() {
    let test = "each_database_is_written_out_before_the_users_own_script";
    let Some(system) = system(test, "state-services") else {
        return;
    };
    let script = system["dump"].as_str().unwrap();
    let folder = "/var/backup/databases";
    for path in SQLITE {
        let dump = format!("{folder}/sqlite{path}");
        assert_eq!(row(&system, path)["database"]["dump"], json!(dump));
        assert!(
            script.contains(&format!(" 'sqlite{path}' '{path}' ")),
            "{path}"
        );
    }
    assert!(script.contains("'/srv/app/app.db' 'yes'"));
    assert!(script.contains("'/var/lib/gitea/data/gitea.db' 'no'"));
    for call in ["\ndump_postgresql ", "\ndump_mysql "] {
        assert_eq!(script.matches(call).count(), 1, "{call}");
    }
    let sources = texts(&system["config"]["local"]["sources"]);
    assert!(sources.contains(&folder), "{sources:?}");
    // The script makes it; where it did not, that is told.
    let optional = texts(&system["config"]["local"]["optionalSources"]);
    assert!(!optional.contains(&folder), "{optional:?}");
    assert!(system["config"]["preBackupScript"].is_string());
    let left_out = texts(&system["config"]["local"]["excludePatterns"]);
    assert!(left_out.contains(&"/var/lib/transmission/Downloads"));
}

#[test]
fn a_user_of_the_moment_has_its_state_below_private() {
    let test = "a_user_of_the_moment_has_its_state_below_private";
    let Some(system) = system(test, "state-machine") else {
        return;
    };
    let row = row(&system, "/var/lib/private/counter");
    assert_eq!(row["link"], "/var/lib/counter");
    let sources = texts(&system["config"]["local"]["sources"]);
    assert!(sources.contains(&"/var/lib/private/counter"), "{sources:?}");
    assert!(sources.contains(&"/var/lib/acme"), "{sources:?}");
}

#[test]
fn modules_of_others_say_what_they_keep_and_what_is_in_no_backup_is_one_warning() {
    let test = "modules_of_others_say_what_they_keep_and_what_is_in_no_backup_is_one_warning";
    let Some(system) = system(test, "state-foreign") else {
        return;
    };
    let kinds = [
        (
            "/var/lib/app",
            "persistence",
            "environment.persistence.\"/persist\".directories",
        ),
        (
            "/etc/machine-id",
            "persistence",
            "environment.persistence.\"/persist\".files",
        ),
        (
            "/home/ann/Documents",
            "persistence",
            "environment.persistence.\"/persist\".users.ann.directories",
        ),
        ("/srv/wiki", "clan", "clan.core.state.wiki.folders"),
        (
            "/var/lib/nixos-containers/shop",
            "container",
            "containers.shop",
        ),
        (
            "/var/lib/docker/volumes/data",
            "container",
            "virtualisation.oci-containers.containers.forum.volumes",
        ),
        ("/var/lib/kept", "service", "systemd.tmpfiles.rules"),
        ("/var/lib/quoted", "service", "systemd.tmpfiles.rules"),
    ];
    for (path, kind, option) in kinds {
        let row = row(&system, path);
        assert_eq!(row["kind"], kind, "{row}");
        assert!(texts(&row["from"]).contains(&option), "{row}");
    }
    let sources = texts(&system["config"]["local"]["sources"]);
    // Each is on a file system of its own, at which the source around it stops.
    for source in ["/home", "/home/ann/Documents", "/home/bob", "/srv/wiki"] {
        assert!(sources.contains(&source), "{source}: {sources:?}");
    }
    // What is in a folder that is added is stored with it.
    assert!(!sources.contains(&"/srv/wiki/pages"), "{sources:?}");
    let rows = system["state"]["paths"].to_string();
    assert!(
        !rows.contains("/var/lib/cleaned") && !rows.contains("localtime"),
        "{rows}"
    );
    assert!(
        system["dump"]
            .as_str()
            .unwrap()
            .contains("run_hook 'clan.core.state.wiki.preBackupScript'")
    );

    let warnings = texts(&system["warnings"]);
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    for line in [
        "in 3 paths that are in no backup",
        "/srv/forum/uploads (virtualisation.oci-containers.containers.forum.volumes): left out by \
         the pattern /srv/forum/uploads",
        "/var/lib/job-%i (systemd.services.\"job@\".serviceConfig.StateDirectory)",
        "/var/lib/postgresql/11.1 (services.postgresql.dataDir",
        "state.ignore",
    ] {
        assert!(warning.contains(line), "{line}: {warning}");
    }
}

#[test]
fn the_file_is_one_that_the_program_reads() {
    let Some(systems) = golden::systems("the_file_is_one_that_the_program_reads") else {
        return;
    };
    let mut read = 0;
    for (name, system) in &systems {
        if system["state"].is_null() {
            assert!(system["dump"].is_null(), "{name}");
            continue;
        }
        let table: StateTable = serde_json::from_value(system["state"].clone()).unwrap();
        assert!(table.enabled && !table.paths.is_empty(), "{name}");
        read += 1;
    }
    assert_eq!(read, 3);
}

#[test]
fn without_enable_there_are_only_warnings_and_only_where_they_are_asked_for() {
    let test = "without_enable_there_are_only_warnings_and_only_where_they_are_asked_for";
    let Some((nix, nixpkgs)) = Nix::with_nixos(test) else {
        return;
    };
    let report = |state: &str| {
        let modules = format!(
            "modules = [ {{
               hwc.system.services.backup = {{
                 enable = true;
                 local = {{ enable = true; requireMount = false; sources = [ \"/home\" ]; }};
                 state = {state};
               }};
               services.gitea.enable = true;
             }} ];"
        );
        nix.eval(
            &format!("{}.report", nixpkgs.import("system", &modules)),
            &Value::Null,
        )
    };
    let silent = report("{ }");
    assert_eq!(silent["warnings"], json!([]));
    assert_eq!(silent["state"], Value::Null);
    let asked = report("{ warn = true; }");
    assert_eq!(asked["config"], silent["config"]);
    let warning = asked["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("/var/lib/gitea (services.gitea.stateDir"),
        "{warning}"
    );
    assert!(warning.contains("set state.enable to true"), "{warning}");
    let table: Value = serde_json::from_str(asked["state"].as_str().unwrap()).unwrap();
    assert_eq!(table["enabled"], false);
    assert_eq!(
        report("{ enable = true; warn = false; }")["warnings"],
        json!([])
    );
}

#[test]
fn a_restricted_user_writes_no_databases_out() {
    let Some((nix, nixpkgs)) = Nix::with_nixos("a_restricted_user_writes_no_databases_out") else {
        return;
    };
    let failed = |state: &str| {
        let modules = format!(
            "modules = [ {{
               hwc.system.services.backup = {{
                 enable = true;
                 user = \"keeper\";
                 local = {{ enable = true; requireMount = false; }};
                 state = {state};
               }};
               users.users.keeper = {{ isSystemUser = true; }};
               services.postgresql.enable = true;
             }} ];"
        );
        let system = nixpkgs.import("system", &modules);
        let failed = nix.eval(&format!("{system}.report.failed"), &Value::Null);
        failed.to_string()
    };
    let refused = failed("{ enable = true; }");
    assert!(refused.contains("backup.state.databases"), "{refused}");
    assert_eq!(failed("{ enable = true; databases = \"files\"; }"), "[]");
}

/// What table.nix makes of things that were found, with a bare Nix: a stand-in for what a system says.
fn table(nix: &Nix, found: &Value, more: &Value) -> Value {
    let mut given = json!({ "found": found, "sources": ["/home"] });
    for (key, value) in more.as_object().unwrap() {
        given[key] = value.clone();
    }
    nix.eval(
        "let t = import ./nixos/state/table.nix data; in {
           inherit (t) sources optionalSources excludePatterns warning;
           rows = builtins.listToAttrs
             (map (r: { name = r.path; value = [ r.standing r.by ]; }) t.rows);
           dumps = map (r: r.path) t.dumps;
         }",
        &given,
    )
}

fn service(path: &str) -> Value {
    json!({ "path": path, "kind": "service", "from": "services.x.dataDir" })
}

fn database(engine: &str, path: &str) -> Value {
    json!({
        "path": path, "kind": "database", "from": "services.db.dataDir",
        "claims": ["/var/lib/db"],
        "database": { "engine": engine, "dump": "/var/backup/databases/db.sql" },
    })
}

#[test]
fn sources_are_the_outermost_folders_that_no_source_holds() {
    let Some(nix) = Nix::find("sources_are_the_outermost_folders_that_no_source_holds") else {
        return;
    };
    let found = json!([
        service("/var/lib/a//"),
        service("/var/lib/a/b"),
        service("/var/lib/ab"),
        service("/home/ann"),
    ]);
    let made = table(&nix, &found, &json!({}));
    assert_eq!(
        made["sources"],
        json!(["/home", "/var/lib/a", "/var/lib/ab"])
    );
    assert_eq!(
        made["optionalSources"],
        json!(["/var/lib/a", "/var/lib/ab"])
    );
    assert_eq!(
        made["rows"]["/var/lib/a/b"],
        json!(["source", "/var/lib/a"])
    );
    assert_eq!(made["warning"], Value::Null);

    // Another file system within is a source of its own, unless they are crossed.
    let mounts = json!({ "mounts": ["/var/lib/a/b", "/home/ann"] });
    let apart = table(&nix, &found, &mounts);
    assert_eq!(
        apart["sources"],
        json!([
            "/home",
            "/home/ann",
            "/var/lib/a",
            "/var/lib/a/b",
            "/var/lib/ab"
        ])
    );
    let crossed = table(
        &nix,
        &found,
        &json!({ "mounts": ["/var/lib/a/b"], "oneFileSystem": false }),
    );
    assert_eq!(crossed["sources"], made["sources"]);

    // What is mounted from a folder that is a source is stored there.
    let stored = json!({
        "sources": ["/persist"],
        "mounts": ["/var/lib/a"],
        "stored": [{ "at": "/var/lib/a", "is": "/persist/var/lib/a" }],
    });
    let stored = table(&nix, &found, &stored);
    assert_eq!(
        stored["rows"]["/var/lib/a/b"],
        json!(["source", "/persist"])
    );
}

#[test]
fn a_server_is_written_out_or_copied_or_told() {
    let Some(nix) = Nix::find("a_server_is_written_out_or_copied_or_told") else {
        return;
    };
    let found = json!([
        database("postgresql", "/var/lib/db/16"),
        service("/var/lib/db")
    ]);
    let of = |databases: &str| table(&nix, &found, &json!({ "databases": databases }));
    let dump = of("dump");
    assert_eq!(dump["sources"], json!(["/home", "/var/backup/databases"]));
    assert_eq!(dump["dumps"], json!(["/var/lib/db/16"]));
    assert_eq!(dump["warning"], Value::Null);
    let files = of("files");
    assert_eq!(files["sources"], json!(["/home", "/var/lib/db/16"]));
    assert_eq!(files["dumps"], json!([]));
    let none = of("none");
    assert_eq!(none["sources"], json!(["/home"]));
    let warning = none["warning"].as_str().unwrap();
    assert!(
        warning.contains("/var/lib/db/16 (services.db.dataDir, services.x.dataDir)"),
        "{warning}"
    );
    assert!(warning.contains("1 path that is in no backup"), "{warning}");
    // Ignored is neither written out nor told.
    let ignored = json!({ "ignore": ["/var/lib/db"] });
    let ignored = table(&nix, &found, &ignored);
    assert_eq!(ignored["sources"], json!(["/home"]));
    assert_eq!(ignored["dumps"], json!([]));
    assert_eq!(ignored["warning"], Value::Null);
}

#[test]
fn a_dump_that_a_pattern_leaves_out_is_in_no_backup() {
    let Some(nix) = Nix::find("a_dump_that_a_pattern_leaves_out_is_in_no_backup") else {
        return;
    };
    let found = json!([database("postgresql", "/var/lib/db/16")]);
    let of = |pattern: &str| table(&nix, &found, &json!({ "excludePatterns": [pattern] }));
    let excluded = of("*.sql");
    assert_eq!(
        excluded["rows"]["/var/lib/db/16"],
        json!(["excluded", "*.sql"])
    );
    assert_eq!(excluded["dumps"], json!([]));
    let warning = excluded["warning"].as_str().unwrap();
    assert!(
        warning.contains("left out by the pattern *.sql"),
        "{warning}"
    );
    // What is around a source leaves nothing of it out.
    assert_eq!(of("/var/backup")["dumps"], json!(["/var/lib/db/16"]));
}

#[test]
fn what_has_to_be_there_has_to_be_there_within_a_folder_that_is_added() {
    let test = "what_has_to_be_there_has_to_be_there_within_a_folder_that_is_added";
    let Some(nix) = Nix::find(test) else {
        return;
    };
    let found = json!([service("/srv/wiki")]);
    let of = |optional: Value| {
        let given = json!({ "sources": ["/srv/wiki/pages"], "optionalSources": optional });
        let made = table(&nix, &found, &given);
        assert_eq!(made["sources"], json!(["/srv/wiki"]));
        made["optionalSources"].clone()
    };
    assert_eq!(of(json!([])), json!([]));
    assert_eq!(of(json!(["/srv/wiki/pages"])), json!(["/srv/wiki"]));
    // A source that is none any more need not be there either.
    let effective = nix.eval(
        "(import ./nixos/state/effective.nix data).local.optionalSources",
        &json!({
            "local": {
                "sources": ["/srv/wiki/pages"],
                "optionalSources": ["/srv/wiki/pages", "/srv/mistyped"],
            },
            "preBackupScript": null,
            "state": {
                "enable": true,
                "derived": {
                    "sources": ["/srv/wiki"],
                    "optionalSources": ["/srv/wiki"],
                    "excludePatterns": [],
                    "dump": null,
                },
            },
        }),
    );
    assert_eq!(effective, json!(["/srv/mistyped", "/srv/wiki"]));
}

#[test]
fn what_is_ignored_or_left_out_by_a_pattern_is_known_as_such() {
    let Some(nix) = Nix::find("what_is_ignored_or_left_out_by_a_pattern_is_known_as_such") else {
        return;
    };
    let found = json!([
        service("/var/lib/a"),
        service("/var/lib/b"),
        service("/home/ann/x.tmp/y"),
        service("/home/ann/{x}")
    ]);
    let given = json!({
        "ignore": ["/var/lib/b/[x]*", "/var/lib/c"],
        "excludePatterns": ["*.tmp", "/var/*/a/", "{x}"],
    });
    let made = table(&nix, &found, &given);
    assert_eq!(
        made["rows"]["/home/ann/x.tmp/y"],
        json!(["excluded", "*.tmp"])
    );
    assert_eq!(made["rows"]["/home/ann/{x}"], json!(["excluded", "{x}"]));
    assert_eq!(made["rows"]["/var/lib/a"], json!(["excluded", "/var/*/a/"]));
    // What is ignored below a folder that is added is left out of it, whatever its name is made of.
    assert_eq!(
        made["excludePatterns"],
        json!(["*.tmp", "/var/*/a/", "{x}", "/var/lib/b/[[]x][*]"])
    );
    let pattern = schema::pattern::Excludes::new(&["/var/lib/b/[[]x][*]"]).unwrap();
    let source = schema::config::AbsolutePath::new("/var/lib/b");
    let at = |name: &str| {
        let path = schema::StoredPath::new(name.as_bytes());
        pattern.matches_placed(source.as_stored(), path, 0, true)
    };
    assert_eq!((at("[x]*"), at("[x]y")), (Some(0), None));
}
