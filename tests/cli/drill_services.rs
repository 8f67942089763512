//! Trial restores that start a service: a container with a systemd of its own, the snapshot's data, and nothing of it
//! on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use schema::shell::word as quoted;
use serde_json::{Value, json};
use test_support::{is_installed, why_nothing_can_be_mounted};

use crate::lab::{Lab, everything_below, run_command, skip, wait_for};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
/// Where a lab's units and services' folders are mounted, for the program alone.
const UNITS: &str = "/etc/systemd/system";
const STATE: &str = "/var/lib";

/// A shop: its orders are in a database, and it is ready once it answered itself over HTTP.
const SHOP: &str = r#"
import http.server, os, socket, sqlite3, sys, threading, urllib.request
orders = sqlite3.connect("file:/var/lib/drilled/shop/orders.db?mode=rw", uri=True, check_same_thread=False)
found = orders.execute("pragma integrity_check").fetchone()[0]
if found != "ok":
    sys.exit("the orders are damaged: " + found)
orders.execute("insert into orders values ('drill')")
orders.commit()
class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(orders.execute("select count(*) from orders").fetchone()[0]).encode())
server = http.server.HTTPServer(("127.0.0.1", 8017), Shop)
threading.Thread(target=server.serve_forever, daemon=True).start()
count = urllib.request.urlopen("http://127.0.0.1:8017").read()
if count != b"501":
    sys.exit("there are other orders: " + repr(count))
if sorted(name for _, name in socket.if_nameindex()) != ["lo"]:
    sys.exit("there is a network")
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ["NOTIFY_SOCKET"])
notify.send(b"READY=1")
threading.Event().wait()
"#;

/// A lab whose sources are units and what services keep, and where containers can be booted.
fn lab(test: &str) -> Option<Lab> {
    let why = match nix::unistd::geteuid().is_root() {
        true => why_nothing_can_be_mounted(),
        false => Some("only root can boot a container".to_owned()),
    };
    let tools = ["systemd-nspawn", "unshare"];
    let why = why.or_else(|| {
        let mut missing = tools.into_iter().filter(|tool| !is_installed(tool));
        missing
            .next()
            .map(|tool| format!("{tool} is not installed"))
    });
    let why = why.or_else(|| {
        let is_there = Path::new("/usr/bin/python3").exists() && Path::new(UNITS).exists();
        (!is_there).then(|| "this machine has no /usr/bin/python3 or no units".to_owned())
    });
    if let Some(why) = why {
        skip(&format!("{test} because {why}"));
        return None;
    }
    let mut lab = Lab::new();
    fs::create_dir_all(lab.path("units")).unwrap();
    fs::create_dir_all(lab.path("kept/drilled")).unwrap();
    lab.set("local.sources", json!([UNITS, format!("{STATE}/drilled")]));
    Some(lab)
}

/// Runs the program where the lab's units and folders are the machine's.
#[track_caller]
fn run(lab: &Lab, arguments: &[&str]) -> test_support::Ran {
    run_command(command(lab, arguments), arguments)
}

fn command(lab: &Lab, arguments: &[&str]) -> Command {
    let script = format!(
        "mount --bind {} {UNITS} && mount --bind {} {STATE} && exec \"$@\"",
        quoted(lab.text("units")),
        quoted(lab.text("kept"))
    );
    let options = [
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        &script,
        "sh",
    ];
    lab.command_below("unshare", &options, arguments)
}

fn unit(lab: &Lab, name: &str, lines: &str) {
    lab.write(
        &format!("units/{name}.service"),
        &format!("[Service]\n{lines}\n"),
    );
}

fn open_shop(lab: &Lab) {
    lab.write("kept/drilled/shop/shop.py", SHOP);
    let made = Command::new("/usr/bin/python3")
        .args([
            "-c",
            "import sqlite3, sys\n\
             orders = sqlite3.connect(sys.argv[1])\n\
             orders.execute('create table orders (what text)')\n\
             orders.executemany('insert into orders values (?)', [('tea' * 50,)] * 500)\n\
             orders.commit()",
            &lab.text("kept/drilled/shop/orders.db"),
        ])
        .status();
    assert!(made.unwrap().success());
    unit(
        lab,
        "drilled-shop",
        "Type=notify\nStateDirectory=drilled/shop\nExecStart=/usr/bin/python3 /var/lib/drilled/shop/shop.py",
    );
}

fn stored(lab: &Lab, path: &str) -> PathBuf {
    lab.stored("latest").join(path.trim_start_matches('/'))
}

fn check<'a>(drill: &'a Value, name: &str) -> &'a Value {
    let mut all = drill["checks"].as_array().unwrap().iter();
    all.find(|one| one["check"] == format!("service:{name}"))
        .unwrap_or_else(|| panic!("{name}: {drill:#}"))
}

/// Control groups of drills, of which none may be left.
fn groups() -> Vec<PathBuf> {
    let tops = ["", "systemd", "unified"].map(|top| Path::new("/sys/fs/cgroup").join(top));
    let mut found = Vec::new();
    for top in tops {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let paths = own.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        for path in paths {
            let above = top.join(path.trim_start_matches('/'));
            let names = fs::read_dir(above).into_iter().flatten().flatten();
            let names = names.map(|one| one.path());
            found.extend(names.filter(|one| one.to_string_lossy().contains("backup-drill-")));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// What systemd-nspawn keeps for the machine's registers.
fn registered() -> Vec<PathBuf> {
    let below = ["/run/systemd/nspawn/propagate", "/run/systemd/machines"];
    let names = below.into_iter().filter_map(|path| fs::read_dir(path).ok());
    let names = names.flatten().flatten().map(|one| one.path());
    names
        .filter(|one| one.to_string_lossy().contains("backup-drill"))
        .collect()
}

#[test]
fn a_service_whose_data_is_whole_starts_and_one_whose_data_is_not_fails_the_drill() {
    let Some(mut lab) = lab("a_service_whose_data_is_whole") else {
        return;
    };
    open_shop(&lab);
    lab.write("kept/drilled/notice", "open");
    lab.set("monitoring.drill.checks", json!(["service:drilled-shop"]));
    run(&lab, &["apply", "--now", FIRST]).expect(0);
    // What the machine has now is another matter.
    lab.write("kept/drilled/shop/orders.db", "lost");
    let before = everything_below(&lab.path("mnt"));
    let live = everything_below(&lab.path("kept"));
    let drill = run(&lab, &["drill", "--json"]).expect(0).json();
    assert_eq!(
        check(&drill, "drilled-shop")["status"],
        "passed",
        "{drill:#}"
    );
    assert_eq!(everything_below(&lab.path("mnt")), before);
    assert_eq!(everything_below(&lab.path("kept")), live);
    assert_eq!(registered(), Vec::<PathBuf>::new());
    // A database of which a part is missing.
    let orders = stored(&lab, "/var/lib/drilled/shop/orders.db");
    let length = fs::metadata(&orders).unwrap().len();
    let file = fs::File::options().write(true).open(&orders).unwrap();
    file.set_len(length / 2).unwrap();
    let said = run(&lab, &["drill"]).expect(1);
    assert!(
        said.in_one_line()
            .contains("service:drilled-shop does not start"),
        "{said}"
    );
    assert!(
        said.stdout.contains("malformed") || said.stdout.contains("damaged"),
        "{said}"
    );
    assert!(said.stdout.contains("hint:"), "{said}");
    said.fits();
    // A folder that is no more.
    fs::remove_dir_all(stored(&lab, "/var/lib/drilled/shop")).unwrap();
    let drill = run(&lab, &["drill", "--json"]).expect(1).json();
    assert_eq!(
        check(&drill, "drilled-shop")["message"],
        "keeps what it has in /var/lib/drilled/shop, which is not in the snapshot"
    );
    assert_eq!(drill["sample"]["damage_count"], 2, "{drill:#}");
}

#[test]
fn a_service_whose_folder_no_source_has_fails_the_drill() {
    let Some(mut lab) = lab("a_service_whose_folder_no_source_has") else {
        return;
    };
    unit(
        &lab,
        "drilled-forgotten",
        "StateDirectory=forgotten\nExecStart=/bin/sleep 1000",
    );
    unit(&lab, "drilled-once", "Type=oneshot\nExecStart=/bin/true");
    unit(
        &lab,
        "drilled-again",
        "Restart=always\nRestartSec=100ms\nExecStart=/bin/sh -c 'echo no supper; sleep 0.5; exit 7'",
    );
    unit(
        &lab,
        "drilled-slow",
        "Type=oneshot\nExecStart=/bin/sleep 86391",
    );
    lab.write("kept/drilled/file", "1");
    let names = [
        "drilled-forgotten",
        "drilled-once",
        "drilled-again",
        "drilled-gone",
        "drilled-slow",
    ];
    let mut checks: Vec<String> = names.iter().map(|name| format!("service:{name}")).collect();
    checks.insert(1, "/bin/true".to_owned());
    lab.set("monitoring.drill.checks", checks.clone());
    lab.set("monitoring.drill.timeout", "12s");
    run(&lab, &["apply", "--now", FIRST]).expect(0);
    let drill = run(&lab, &["drill", "--json"]).expect(1).json();
    let in_order: Vec<&str> = drill["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["check"].as_str().unwrap())
        .collect();
    assert_eq!(in_order, checks);
    let message = |name: &str| check(&drill, name)["message"].as_str().unwrap();
    assert_eq!(
        message("drilled-forgotten"),
        "keeps what it has in /var/lib/forgotten, which is not in the snapshot"
    );
    assert_eq!(
        check(&drill, "drilled-once")["status"],
        "passed",
        "{drill:#}"
    );
    let again = check(&drill, "drilled-again");
    assert!(
        message("drilled-again").starts_with("started and ended"),
        "{drill:#}"
    );
    assert!(
        again["output"].as_str().unwrap().contains("no supper"),
        "{drill:#}"
    );
    assert!(message("drilled-gone").contains("neither the snapshot nor this machine"));
    assert_eq!(
        check(&drill, "drilled-slow")["status"],
        "timed-out",
        "{drill:#}"
    );
    // Those of the tests beside this one end too.
    wait_for("the end of all groups", || groups().is_empty());
}

#[test]
fn a_drill_that_is_killed_leaves_no_container_and_the_next_one_no_group() {
    let Some(mut lab) = lab("a_drill_that_is_killed_leaves_no_container") else {
        return;
    };
    unit(
        &lab,
        "drilled-slow",
        "Type=oneshot\nExecStart=/bin/sleep 86392",
    );
    unit(&lab, "drilled-once", "Type=oneshot\nExecStart=/bin/true");
    lab.write("kept/drilled/file", "1");
    lab.set("monitoring.drill.checks", json!(["service:drilled-slow"]));
    run(&lab, &["apply", "--now", FIRST]).expect(0);
    let before = everything_below(&lab.path("mnt"));
    let mut child = command(&lab, &["drill"]).spawn().unwrap();
    let runs = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|one| fs::read(one.path().join("cmdline")).ok())
            .any(|line| {
                String::from_utf8_lossy(&line)
                    .replace('\0', " ")
                    .contains("sleep 86392")
            })
    };
    wait_for("the service", runs);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the end of the container", || !runs());
    assert_eq!(registered(), Vec::<PathBuf>::new());
    assert_eq!(everything_below(&lab.path("mnt")), before);
    lab.set("monitoring.drill.checks", json!(["service:drilled-once"]));
    run(&lab, &["drill"]).expect(0);
    // Those of the tests beside this one end too.
    wait_for("the end of all groups", || groups().is_empty());
}

#[test]
fn a_user_is_told_that_only_root_can_start_a_service() {
    let mut lab = Lab::new();
    lab.set("monitoring.drill.checks", json!(["service:a.socket"]));
    lab.run(&["check"])
        .expect(2)
        .says("monitoring.drill.checks")
        .says("other units have nothing that runs");
    lab.set("monitoring.drill.checks", json!(["service:shop"]));
    let said = lab.run(&["check"]).expect(0);
    let has_warning = said.stderr.contains("cannot be tried here")
        || said.stdout.contains("cannot be tried here");
    let is_there = ["/usr/bin/systemd-nspawn", "/bin/systemd-nspawn"]
        .iter()
        .any(|path| Path::new(path).exists());
    assert_eq!(has_warning, !is_there, "{said}");
}
