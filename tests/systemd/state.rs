//! What a NixOS system says that it keeps, destroyed and restored: with the configuration, the script
//! and the table that the module makes of `tests/nix/systems/state-machine.nix`, as
//! `tests/nix/golden.json` has them.
//!
//! The machine is Debian: its PostgreSQL, its MariaDB, its SQLite, its nginx and its systemd stand where NixOS would
//! have those of the store, with the paths that NixOS gives them.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::machine::{Machine, machine};

/// The units of the machine, as NixOS would make them.
const UNITS: [(&str, &str); 5] = [
    (
        "postgresql",
        "User=postgres\nRuntimeDirectory=postgresql\nStateDirectory=postgresql\n\
         ExecStartPre=/bin/sh -c 'test -e DATA/PG_VERSION || initdb -D DATA --auth=peer'\n\
         ExecStart=/bin/sh -c 'exec postgres -D DATA -k /run/postgresql -h \"\"'\nType=notify\n",
    ),
    (
        "mysql",
        "User=mysql\nRuntimeDirectory=mysqld\nStateDirectory=mysql\n\
         ExecStartPre=/bin/sh -c 'test -e /var/lib/mysql/mysql || mariadb-install-db --skip-test-db \
         --auth-root-authentication-method=socket --datadir=/var/lib/mysql'\n\
         ExecStart=/usr/sbin/mariadbd --datadir=/var/lib/mysql --socket=/run/mysqld/mysqld.sock \
         --skip-networking\nType=notify\n",
    ),
    (
        // A connection that is open, with what was written last in its log.
        "bitwarden_rs",
        "User=vault\nStateDirectory=bitwarden_rs\nStateDirectoryMode=0700\n\
         ExecStart=/bin/sh -c '{ cat /lab/vault.sql; exec sleep infinity; } | \
         exec sqlite3 /var/lib/bitwarden_rs/db.sqlite3'\n",
    ),
    (
        "counter",
        "Type=oneshot\nDynamicUser=yes\nStateDirectory=counter\n\
         ExecStart=/bin/sh -c 'echo once >> /var/lib/counter/count; sqlite3 /var/lib/counter/count.db \
         \"create table if not exists visit (at); insert into visit values (1)\"'\n",
    ),
    (
        "web",
        "RuntimeDirectory=web\nExecStart=/usr/sbin/nginx -c /etc/web.conf\n",
    ),
];

const WEB: &str = "daemon off; pid /run/web/pid; error_log stderr;
events {}
http {
  access_log off;
  server {
    listen 127.0.0.1:443 ssl;
    ssl_certificate /var/lib/acme/example.org/fullchain.pem;
    ssl_certificate_key /var/lib/acme/example.org/key.pem;
    return 200 'a page';
  }
}";

/// What the module makes of the system, or what it has of it.
fn made_by_the_module() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nix/golden.json");
    let golden: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    golden["systems"]["state-machine"].clone()
}

/// Gives the machine the programs that the script names in the store, the script, the configuration and
/// the table.
fn set_up(machine: &Machine, made: &Value) {
    let dump = made["dump"].as_str().unwrap();
    let programs: BTreeSet<&str> = dump
        .split("/nix/store/")
        .skip(1)
        .filter_map(|rest| rest.split_once("/bin").map(|(name, _)| name))
        .filter(|name| !name.contains(['\n', ' ', ':']))
        .collect();
    for name in programs {
        let servers = "$(echo /usr/lib/postgresql/*/bin)";
        let from = if name.starts_with("postgresql") {
            servers
        } else {
            "/usr/bin"
        };
        machine
            .sh(&format!(
                "mkdir -p /nix/store/{name} && ln -s {from} /nix/store/{name}/bin"
            ))
            .ok();
    }
    let bash = |path: &str, text: &str| {
        machine.script(path, "");
        fs::write(machine.path(path), format!("#!/bin/bash\n{text}\n")).unwrap();
    };
    bash("nix/store/dump", dump);
    let pre = made["config"]["preBackupScript"].as_str().unwrap();
    bash(
        &pre[1..],
        "set -euo pipefail\n/nix/store/dump || [ $? = 1 ]",
    );
    let mut config = made["config"].clone();
    config["schedule"] = json!({"enable": true, "timeOfDay": "00:00", "randomDelay": "0s"});
    machine.configure(&config);
    machine.write("etc/backup/state.json", &made["state"].to_string());
}

/// Has the services run, with something in each.
fn live(machine: &Machine) {
    let data = "/var/lib/postgresql/11.1";
    for (name, lines) in UNITS {
        let lines = lines.replace("DATA", data);
        let path = "PATH=/usr/bin:/usr/sbin:/lab/postgresql";
        machine.write(
            &format!("etc/systemd/system/{name}.service"),
            &format!("[Service]\nEnvironment={path}\n{lines}"),
        );
    }
    machine.write("etc/web.conf", WEB);
    machine.write(
        "lab/vault.sql",
        "pragma journal_mode = wal;\npragma wal_autocheckpoint = 0;\n\
         create table if not exists secret (text);\ninsert into secret select 'a letter' \
         where not exists (select 1 from secret);\n",
    );
    machine.write("home/ann/letter", "of ann\n");
    machine
        .sh("ln -s /usr/lib/postgresql/*/bin /lab/postgresql
             useradd --system vault
             useradd --system mysql
             mkdir -p /var/lib/acme/example.org /etc/ssh
             openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
               -subj /CN=example.org -keyout /var/lib/acme/example.org/key.pem \
               -out /var/lib/acme/example.org/fullchain.pem 2>/dev/null
             chmod 700 /var/lib/acme
             for key in ed25519 rsa; do
               echo secret-$key > /etc/ssh/ssh_host_${key}_key
               chmod 600 /etc/ssh/ssh_host_${key}_key
               echo public > /etc/ssh/ssh_host_${key}_key.pub
             done
             systemctl daemon-reload
             systemctl start postgresql mysql bitwarden_rs counter web mnt-backup.mount")
        .ok();
    machine
        .sh("runuser -u postgres -- psql -qc 'create role shop login' -c 'create database shop owner shop'
             runuser -u postgres -- psql -q shop -c \"create table orders as select 'four apples' as text\"")
        .ok();
    machine
        .sh("mariadb -e \"create database garden;
               create table garden.beds as select 'two pears' as text;
               create user ann@localhost identified by 'of ann';
               grant select on garden.* to ann@localhost\"")
        .ok();
    wait_for_letter(machine);
}

fn wait_for_letter(machine: &Machine) {
    machine.wait_for("the letter in the vault", || {
        ask_vault(machine, "/var/lib/bitwarden_rs/db.sqlite3") == "a letter"
    });
}

fn ask_vault(machine: &Machine, file: &str) -> String {
    machine
        .sh(&format!("sqlite3 {file} 'select text from secret'"))
        .text
}

/// What each service has, as whoever uses it sees it.
fn is_all_there(machine: &Machine) {
    let orders = machine.sh("runuser -u postgres -- psql -qAt shop -c 'select text from orders'");
    assert_eq!(orders.ok(), "four apples");
    let owner = machine.sh(
        "runuser -u postgres -- psql -qAt -c \"select pg_get_userbyid(datdba) from pg_database \
         where datname = 'shop'\"",
    );
    assert_eq!(owner.ok(), "shop");
    // As a user that the server knows, with what he may do there.
    let beds = machine.sh("mariadb -u ann '-pof ann' -sNe 'select text from garden.beds'");
    assert_eq!(beds.ok(), "two pears");
    let served = machine.sh(
        "echo | openssl s_client -connect 127.0.0.1:443 2>/dev/null | \
                             openssl x509 -noout -subject -nameopt sep_multiline",
    );
    assert!(served.ok().contains("CN=example.org"));
    let key = "cat /etc/ssh/ssh_host_ed25519_key && stat -c %a /etc/ssh/ssh_host_ed25519_key";
    assert_eq!(machine.sh(key).ok(), "secret-ed25519\n600");
    assert_eq!(machine.sh("cat /home/ann/letter").ok(), "of ann");
}

#[test]
fn what_a_system_keeps_is_destroyed_and_comes_back() {
    let Some(mut machine) = machine("what_a_system_keeps_is_destroyed_and_comes_back") else {
        return;
    };
    let made = made_by_the_module();
    machine.boot();
    set_up(&machine, &made);
    live(&machine);
    is_all_there(&machine);
    machine
        .sh("systemctl daemon-reload && systemctl start backup.service")
        .ok();
    assert_eq!(
        machine.report()["result"],
        "success",
        "{}",
        machine.report()
    );
    all_is_in_the_backup(&machine);
    a_dump_that_fails_is_told_and_the_one_before_stays(&machine);
    destroy(&machine);
    restore(&machine, &made);
    is_all_there(&machine);
    wait_for_letter(&machine);
    // It starts, as the user that it has now, and goes on from where it was.
    machine.sh("systemctl start counter").ok();
    assert_eq!(machine.sh("cat /var/lib/counter/count").ok(), "once\nonce");
}

/// The table says so, and whoever looks sees it; only root may look at what was written out.
fn all_is_in_the_backup(machine: &Machine) {
    let table = machine.sh("backup state --json").ok();
    let table: Value = serde_json::from_str(&table).unwrap();
    assert_eq!(table["missing"], 0, "{table:#}");
    let of = |path: &str| {
        let rows = table["paths"].as_array().unwrap();
        let row = rows.iter().find(|row| row["path"] == path);
        row.unwrap_or_else(|| panic!("{path}: {table:#}")).clone()
    };
    for path in [
        "/var/lib/postgresql/11.1",
        "/var/lib/mysql",
        "/var/lib/bitwarden_rs/db.sqlite3",
        "/var/lib/counter/count.db",
    ] {
        let row = of(path);
        assert_eq!(row["standing"], "dumped", "{row}");
        assert!(row["dump"]["written_at"].is_string(), "{row}");
    }
    let visits = "sqlite3 /var/backup/databases/sqlite/var/lib/counter/count.db \
                  'select count(*) from visit'";
    assert_eq!(machine.sh(visits).ok(), "1");
    assert_eq!(
        of("/var/lib/private/counter")["by"],
        "/var/lib/private/counter"
    );
    let shown = machine.sh("backup state").ok();
    assert!(shown.contains("all of it is in the backup"), "{shown}");
    let modes =
        machine.sh("stat -c '%a %U' /var/backup/databases /var/backup/databases/postgresql.sql");
    assert_eq!(modes.ok(), "700 root\n600 root");
    let left = machine.sh("ls -A /var/backup /var/backup/databases");
    assert_eq!(
        left.ok(),
        "/var/backup:\ndatabases\n\n/var/backup/databases:\nmysql.sql\npostgresql.sql\nsqlite"
    );
    // The files of the server are not what is copied.
    for left_out in ["postgresql", "mysql"] {
        let stored = machine.sh(&format!("ls /mnt/backup/lab/latest/var/lib/{left_out}"));
        assert_ne!(stored.code, Some(0), "{}", stored.text);
    }
}

/// Two dumps go wrong in two ways; each is named with what is left of it.
fn a_dump_that_fails_is_told_and_the_one_before_stays(machine: &Machine) {
    let before = machine
        .sh("sha256sum /var/backup/databases/postgresql.sql")
        .ok();
    machine
        .sh("systemctl stop postgresql bitwarden_rs
             cd /var/lib/bitwarden_rs && mkdir aside && mv db.sqlite3* aside/
             ln -s /etc/shadow db.sqlite3")
        .ok();
    let said = machine.sh("backup apply");
    assert_eq!(said.code, Some(3), "{}", said.text);
    for words in [
        "services.postgresql.dataDir is not dumped",
        "services.bitwarden_rs is not dumped",
        "/var/lib/bitwarden_rs/db.sqlite3 is no regular file",
        "the dump of 20",
    ] {
        assert!(said.text.contains(words), "{words}: {}", said.text);
    }
    let after = machine
        .sh("sha256sum /var/backup/databases/postgresql.sql")
        .ok();
    assert_eq!(after, before);
    let report = machine.report();
    assert_eq!(report["result"], "incomplete");
    assert!(
        machine.told("incomplete").is_empty(),
        "nobody is to be told by this configuration"
    );
    machine
        .sh(
            "cd /var/lib/bitwarden_rs && rm db.sqlite3 && mv aside/* . && rmdir aside
             systemctl start postgresql bitwarden_rs",
        )
        .ok();
}

fn destroy(machine: &Machine) {
    machine
        .sh("systemctl stop postgresql mysql bitwarden_rs web
             rm -rf /var/lib/postgresql /var/lib/mysql /var/lib/bitwarden_rs /var/lib/private /var/lib/counter \
               /var/lib/acme /etc/ssh/* /home/ann /var/backup")
        .ok();
}

/// As docs/state.md says: the sources, the services, then what was written out.
fn restore(machine: &Machine, made: &Value) {
    let there = |source: &&str| {
        machine
            .path(&format!("mnt/backup/lab/latest{source}"))
            .exists()
            || machine
                .sh(&format!("test -e /mnt/backup/lab/latest{source}"))
                .code
                == Some(0)
    };
    let sources = made["config"]["local"]["sources"].as_array().unwrap();
    let sources: Vec<&str> = sources.iter().map(|one| one.as_str().unwrap()).collect();
    let stored: Vec<&str> = sources.into_iter().filter(there).collect();
    assert!(stored.len() >= 8, "{stored:?}");
    machine
        .sh("install -d -m 700 /var/lib/private && install -d /var/backup")
        .ok();
    for source in stored {
        machine
            .sh(&format!("backup restore --in-place latest {source} --yes"))
            .ok();
    }
    machine
        .sh("at=/var/lib/bitwarden_rs/db.sqlite3
             rm -f $at-wal $at-shm $at-journal
             install -o vault -g vault -m 600 /var/backup/databases/sqlite$at $at
             systemctl start postgresql mysql bitwarden_rs web
             runuser -u postgres -- psql -q postgres < /var/backup/databases/postgresql.sql
             mariadb < /var/backup/databases/mysql.sql")
        .ok();
}
