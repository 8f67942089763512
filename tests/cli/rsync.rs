//! The rsync engine: real rsync wherever it can be made to do what is tested, and a small script
//! of its name where it cannot.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use serde_json::Value;

use crate::{
    lab::{
        HOST, Lab, Ran, action, codes, contents, ended, id_of, names, ran, skipped, step, wait_for,
    },
    mounted::in_namespace,
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// A lab with the rsync engine; none where there is no rsync.
fn lab() -> Option<Lab> {
    if real().is_none() {
        skipped("there is no rsync");
        return None;
    }
    let mut lab = Lab::new();
    lab.set("local.useRsync", true);
    Some(lab)
}

/// The real rsync.
fn real() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut all = std::env::split_paths(&path).map(|folder| folder.join("rsync"));
    all.find(|program| program.is_file())
}

/// The program with a script named rsync before the real one, which it finds as `$real`.
fn with_script(lab: &Lab, body: &str, arguments: &[&str]) -> Command {
    let real = real().unwrap();
    let head = format!("real='{}'\nlab='{}'\n", real.display(), lab.text(""));
    // Its version is always the real one's unless the script says otherwise.
    let body = format!("{head}[ \"$1\" != --version ] || exec \"$real\" --version\n{body}");
    lab.script("bin/rsync", &body);
    let mut command = lab.command(arguments);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", lab.text("bin")));
    command
}

fn run_with_script(lab: &Lab, body: &str, now: &str) -> Ran {
    let arguments = ["apply", "--json", "--now", now];
    ran(with_script(lab, body, &arguments), &arguments)
}

/// A script that keeps what rsync prints.
const LISTENING: &str = "\"$real\" \"$@\" > \"$lab/said.tmp\"; code=$?\n\
    cat \"$lab/said.tmp\" >> \"$lab/said\"; cat \"$lab/said.tmp\"; exit $code";

/// What rsync told of itself since the last time: lines of `|what|name`.
fn told_by_rsync(lab: &Lab) -> Vec<String> {
    let said = fs::read(lab.path("said")).unwrap();
    fs::remove_file(lab.path("said")).unwrap();
    let said = String::from_utf8(said).unwrap();
    let lines = said.split(['\n', '\r']);
    lines
        .filter(|line| line.starts_with('|'))
        .map(str::to_owned)
        .collect()
}

/// The manifest of a snapshot, as text.
fn manifest(lab: &Lab, id: &str) -> String {
    let path = format!(".backup/snapshots/{id}/manifest.mtree.zst");
    let file = fs::File::open(lab.stored(&path)).unwrap();
    let mut text = String::new();
    for entry in executor::manifest::Reader::new(file).unwrap() {
        entry.unwrap().write_line(&mut text);
    }
    text
}

/// Inode numbers of the regular files below a folder, by path relative to it.
fn inodes(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let files = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap);
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap().to_owned();
            (path, entry.metadata().unwrap().ino())
        })
        .collect()
}

/// Every kind of entry and of name that a source may hold.
fn hostile(lab: &Lab) {
    let home = lab.path("home");
    let names: [&[u8]; 16] = [
        b"-dash",
        b"--exclude=letter.txt",
        b"new\nline",
        b"tab\tand\rreturn",
        b"\xff\xfe not utf-8",
        b"\\#012 looks escaped",
        b"[a-z]*?",
        b"quote\"s ' and `",
        b"host:path",
        b" blanks ",
        b"{source}",
        b"|>f+++++++++|x",
        b"50% (xfr#1)",
        "\u{e4}\u{1f600}".as_bytes(),
        b"file has vanished: \"x\"",
        b".hidden",
    ];
    for name in names {
        let folder = home.join("odd").join(OsStr::from_bytes(name));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let long = "n".repeat(255);
    fs::write(home.join(&long), "long").unwrap();
    fs::write(home.join("empty"), "").unwrap();
    fs::hard_link(home.join("ann/letter.txt"), home.join("zlink")).unwrap();
    fs::hard_link(home.join("ann/letter.txt"), home.join("alink")).unwrap();
    symlink("ann/letter.txt", home.join("symlink")).unwrap();
    symlink(OsStr::from_bytes(b"nowhere\xff\n"), home.join("dangling")).unwrap();
    fs::create_dir(home.join("empty folder")).unwrap();
    let sparse = fs::File::create(home.join("sparse")).unwrap();
    sparse.set_len(8 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 4 << 20).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&home);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {output:?}"
        );
    };
    run("mkfifo", &["fifo"]);
    run("touch", &["-d", "1931-01-01T00:00:00.123456789", "empty"]);
    run("touch", &["-h", "-d", "2001-01-01T00:00:00.5", "dangling"]);
    run("touch", &["-d", "2030-01-01T00:00:00.000000001", "ann"]);
    run(
        "setfattr",
        &["-n", "user.note", "-v", "kept", "bob/notes/list.md"],
    );
    run(
        "setfattr",
        &["-n", "user.note", "-v", "kept too", "bob/notes"],
    );
    run("setfacl", &["-m", "u:12345:r", "ann/photo.jpg"]);
    run("setfacl", &["-d", "-m", "u:12345:rx", "bob"]);
    let mode = |name: &str, mode| {
        fs::set_permissions(home.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("ann/photo.jpg", 0o4751);
    mode("empty folder", 0o1777);
    if geteuid().is_root() {
        run("mknod", &["null", "c", "1", "3"]);
        run("chown", &["1234:2345", "bob/notes/list.md"]);
        run("chown", &["-h", "1234:2345", "symlink"]);
        run("setcap", &["cap_net_raw+ep", "ann/photo.jpg"]);
        mode("empty", 0);
    }
    let _socket = std::os::unix::net::UnixListener::bind(home.join("socket")).unwrap();
}

/// Times in the last moments are those of files that may still change; the engine does not take a
/// copy of such a file for good.
fn rest() {
    std::thread::sleep(Duration::from_millis(100));
}

#[test]
fn both_engines_make_the_same_tree_and_the_same_manifest() {
    let Some(mut lab) = lab() else { return };
    hostile(&lab);
    lab.write("more/deep/er/x", "x");
    let sources = [
        lab.text("home"),
        lab.text("more/deep"),
        lab.text("config.txt"),
    ];
    lab.set("local.sources", sources.to_vec());
    lab.write("config.txt", "a file is a source too");
    rest();
    let mut made = Vec::new();
    for engine in [true, false] {
        lab.set("local.useRsync", engine);
        let report = lab.backup(FIRST);
        // The folders above the sources have changed meanwhile.
        let all = manifest(&lab, &id_of(FIRST));
        let is_in_source = |line: &&str| sources.iter().any(|path| line[1..].starts_with(path));
        let manifest: Vec<String> = all
            .lines()
            .filter(is_in_source)
            .map(str::to_owned)
            .collect();
        let mut record = lab.record(&id_of(FIRST));
        assert_eq!(record["engine"], if engine { "rsync" } else { "built-in" });
        let totals = record["totals"].take();
        let tree = shape(&lab.stored("latest"));
        assert_eq!(step(&report, "snapshot")["problems"], Value::Array(vec![]));
        made.push((manifest, totals, tree, lab.tiers()));
        let aside = lab.path(format!("mnt-{engine}"));
        fs::rename(lab.path("mnt"), aside).unwrap();
        fs::create_dir(lab.path("mnt")).unwrap();
        fs::remove_dir_all(lab.path("state")).unwrap();
    }
    let (by_rsync, built_in) = (&made[0], &made[1]);
    let is_in_source = |path: &Path| {
        let mut all = sources.iter();
        all.any(|source| Path::new("/").join(path).starts_with(source))
    };
    for (one, other) in by_rsync.0.iter().zip(&built_in.0) {
        assert_eq!(one, other);
    }
    assert_eq!(by_rsync.0.len(), built_in.0.len());
    assert!(by_rsync.0.len() > 50);
    assert_eq!(by_rsync.1, built_in.1);
    assert_eq!(
        by_rsync.2.keys().collect::<Vec<_>>(),
        built_in.2.keys().collect::<Vec<_>>()
    );
    for (path, told) in by_rsync.2.iter().filter(|(path, _)| is_in_source(path)) {
        assert_eq!(told, &built_in.2[path], "{}", path.display());
    }
    assert_eq!(by_rsync.3, built_in.3);
}

/// Kind, metadata, attributes and content of every entry below a folder.
fn shape(folder: &Path) -> BTreeMap<PathBuf, String> {
    let folder = folder.canonicalize().unwrap();
    let mut groups = BTreeMap::new();
    let all = walkdir::WalkDir::new(&folder).sort_by_file_name();
    all.into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let of = entry.path().symlink_metadata().unwrap();
            let kind = of.file_type();
            let content = match () {
                () if kind.is_file() => fs::read(entry.path()).unwrap(),
                () if kind.is_symlink() => {
                    let target = fs::read_link(entry.path()).unwrap();
                    target.as_os_str().as_bytes().to_vec()
                }
                () if kind.is_fifo() => b"fifo".to_vec(),
                () => Vec::new(),
            };
            let attributes = Command::new("getfattr")
                .args(["-h", "-d", "-m", "-", "-e", "hex", "--absolute-names", "--"])
                .arg(entry.path())
                .output()
                .unwrap();
            let attributes = String::from_utf8_lossy(&attributes.stdout).into_owned();
            let attributes = attributes.lines().skip(1).collect::<Vec<_>>().join(",");
            let next = groups.len();
            let group = *groups.entry(of.ino()).or_insert(next);
            let told = format!(
                "group {group} links {} mode {:o} owner {}:{} device {} time {}.{:09} {attributes} {content:?}",
                if kind.is_dir() { 0 } else { of.nlink() },
                of.mode(),
                of.uid(),
                of.gid(),
                of.rdev(),
                of.mtime(),
                of.mtime_nsec(),
            );
            (entry.path().strip_prefix(&folder).unwrap().to_owned(), told)
        })
        .collect()
}

#[test]
fn the_second_snapshot_is_linked_by_rsync_itself_for_every_source() {
    let Some(mut lab) = lab() else { return };
    hostile(&lab);
    lab.write("srv/www/[new] site/index.html", "hello");
    lab.write("etc/one file", "a source of its own");
    symlink(lab.text("srv"), lab.path("link")).unwrap();
    let sources = ["home", "link/www/[new] site", "etc/one file"].map(|path| lab.text(path));
    lab.set("local.sources", sources.to_vec());
    rest();
    run_with_script(&lab, LISTENING, FIRST).expect(0);
    assert!(
        told_by_rsync(&lab)
            .iter()
            .any(|line| line.starts_with("|>f"))
    );
    lab.write("home/ann/changed", "new in the second snapshot");
    rest();
    let report = run_with_script(&lab, LISTENING, SECOND).expect(0).json();

    // Had rsync looked at the wrong level of the basis, it would have copied everything again.
    let copied: Vec<String> = told_by_rsync(&lab)
        .into_iter()
        .filter(|line| line.starts_with("|>") || line.starts_with("|cf"))
        .collect();
    assert_eq!(copied, ["|>f+++++++++|ann/changed"]);
    let totals = &report["snapshot"]["totals"];
    assert_eq!(totals["files_copied"], 1);
    let (first, second) = (id_of(FIRST), id_of(SECOND));
    let home_of = |id: &str| {
        let tiers = ["monthly", "weekly", "daily"];
        let mut all = tiers.map(|tier| lab.stored(tier).join(id)).into_iter();
        all.find(|path| path.is_dir() && !path.is_symlink())
            .unwrap()
    };
    let (before, after) = (inodes(&home_of(&first)), inodes(&home_of(&second)));
    assert_eq!(after.len(), before.len() + 1);
    for (path, inode) in &before {
        assert_eq!(after[path], *inode, "{}", path.display());
    }
    assert_eq!(lab.record(&second)["problems"], Value::Array(vec![]));
}

#[test]
fn a_source_that_forged_its_time_is_copied_all_the_same() {
    let Some(lab) = lab() else { return };
    rest();
    lab.backup(FIRST);
    let path = lab.path("home/ann/letter.txt");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "dear you\n").unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(before)
        .unwrap();
    lab.backup(SECOND);
    let stored = lab.inside("latest", "home/ann/letter.txt");
    assert_eq!(fs::read_to_string(stored).unwrap(), "dear you\n");
}

#[test]
fn rsync_leaves_out_what_the_built_in_engine_leaves_out() {
    let Some(mut lab) = lab() else { return };
    let patterns = [
        "*.tmp",
        "/ann/cache",
        "build/",
        "a b",
        "- !",
        "#comment",
        ";semi",
        " lead",
        "deep/**/x",
        "keep/***",
        "[0-9]*.log",
        "back\\slash",
        "what?",
        "**/two/levels",
        "\\[x\\]*",
        "--delete",
    ];
    for name in [
        "x.tmp",
        "ann/x.tmp",
        "ann/cache/a",
        "bob/cache/a",
        "build/a",
        "bob/build",
        "a b",
        "a c",
        "!",
        "#comment",
        ";semi",
        " lead",
        "lead",
        "deep/1/2/x",
        "deep/x",
        "keep/a/b",
        "bob/keep",
        "7.log",
        "x.log",
        "back\\slash",
        "whatx",
        "what",
        "one/two/levels/a",
        "two/levels",
        "[x]y",
        "--delete",
        "plain",
    ] {
        lab.write(&format!("home/{name}"), name);
    }
    lab.set("local.excludePatterns", patterns.to_vec());
    rest();
    run_with_script(&lab, LISTENING, FIRST).expect(0);
    let mut by_rsync: Vec<String> = told_by_rsync(&lab)
        .iter()
        .filter_map(|line| line.strip_prefix("|>f+++++++++|"))
        .map(str::to_owned)
        .collect();
    by_rsync.sort();
    lab.set("local.useRsync", false);
    lab.backup(SECOND);
    let home = lab.inside("latest", "home");
    let built_in = inodes(&home)
        .into_keys()
        .map(|path| path.to_str().unwrap().to_owned());
    let built_in: Vec<String> = built_in.collect();
    let mut sorted = built_in.clone();
    sorted.sort();
    assert_eq!(by_rsync, sorted);
    assert!(
        built_in.len() > 8 && !built_in.contains(&"x.tmp".to_owned()),
        "{built_in:?}"
    );
}

#[test]
fn entries_that_vanish_are_looked_for_once_more_and_then_listed() {
    let Some(lab) = lab() else { return };
    rest();
    // rsync itself is right about what vanished; when that happens cannot be arranged.
    let vanishing = |times: &str| {
        format!(
            "echo run >> \"$lab/runs\"\n\"$real\" \"$@\" || exit $?\n\
             [ $(wc -l < \"$lab/runs\") -le {times} ] || exit 0\n\
             echo 'file has vanished: \"/proc/self/fd/0/ann/gone\\#012\"' >&2\n\
             echo 'rsync warning: some files vanished (code 24) at main.c' >&2\nexit 24"
        )
    };
    let report = run_with_script(&lab, &vanishing("1"), FIRST)
        .expect(0)
        .json();
    assert_eq!(step(&report, "snapshot")["problems"], Value::Array(vec![]));
    assert_eq!(fs::read_to_string(lab.path("runs")).unwrap(), "run\nrun\n");

    fs::remove_file(lab.path("runs")).unwrap();
    let report = run_with_script(&lab, &vanishing("9"), SECOND)
        .expect(0)
        .json();
    assert_eq!(fs::read_to_string(lab.path("runs")).unwrap(), "run\nrun\n");
    assert_eq!(report["result"], "success");
    let problem = &step(&report, "snapshot")["problems"][0];
    assert_eq!(problem["kind"], "vanished");
    let path = format!("{}\\012", lab.text("home/ann/gone"));
    assert_eq!(problem["path"], *path);
    let record = lab.record(&id_of(SECOND));
    assert_eq!(record["totals"]["vanished"], 1);
    assert_eq!(record["complete"], true);
}

#[test]
fn what_rsync_leaves_out_is_copied_or_listed() {
    let Some(lab) = lab() else { return };
    rest();
    // Left out for a reason that has passed by the time that the rest is looked at.
    let passing = "\"$real\" --exclude=photo.jpg \"$@\"\n\
        echo 'rsync: [sender] send_files failed to open \"/proc/self/fd/0/ann/photo.jpg\": \
        Permission denied (13)' >&2\nexit 23";
    let report = run_with_script(&lab, passing, FIRST).expect(0).json();
    assert_eq!(report["result"], "success");
    assert_eq!(
        contents(&lab.inside("latest", "home")),
        contents(&lab.path("home"))
    );

    // Nobody can tell whether all is well.
    let silent = "\"$real\" \"$@\"\nexit 23";
    let report = run_with_script(&lab, silent, SECOND).expect(3).json();
    let problem = &step(&report, "snapshot")["problems"][0];
    assert_eq!(problem["path"], *lab.text("home"));
    assert!(
        problem["message"]
            .as_str()
            .unwrap()
            .contains("exit code 23")
    );

    let unknown = "\"$real\" \"$@\"\necho 'rsync: something else' >&2\nexit 23";
    run_with_script(&lab, unknown, THIRD)
        .expect(3)
        .says("rsync: something else");
    assert_eq!(lab.record(&id_of(THIRD))["complete"], false);
}

#[test]
fn a_file_that_may_not_be_read_is_listed_and_the_rest_is_complete() {
    let Some(lab) = lab() else { return };
    lab.write("home/ann/secret", "s");
    lab.write("home/closed/x", "x");
    let mode = |path: &str, mode| {
        fs::set_permissions(lab.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("home/ann/secret", 0);
    mode("home/closed", 0);
    rest();
    let arguments = ["apply", "--json", "--now", FIRST];
    let mut command = lab.command(&arguments);
    if geteuid().is_root() {
        // Root reads everything but for what it is told not to.
        let inner = std::mem::replace(&mut command, Command::new("setpriv"));
        let drop = "-dac_override,-dac_read_search";
        command.args([
            &format!("--bounding-set={drop}"),
            &format!("--inh-caps={drop}"),
            "--",
        ]);
        command.arg(inner.get_program()).args(inner.get_args());
        command.env_clear().current_dir(lab.path(""));
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }
    let report = ran(command, &arguments).expect(3).json();
    mode("home/closed", 0o755);
    mode("home/ann/secret", 0o644);
    let problems = step(&report, "snapshot")["problems"].as_array().unwrap();
    let paths: Vec<&str> = problems
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [lab.text("home/ann/secret"), lab.text("home/closed")]
    );
    assert_eq!(
        fs::read(lab.inside("latest", "home/ann/letter.txt")).unwrap(),
        b"dear all\n"
    );
}

#[test]
fn a_disk_that_fills_up_ends_rsync_and_the_next_run_goes_on() {
    let Some(mut lab) = lab() else { return };
    lab.set("local.requireMount", true);
    for index in 0..4 {
        lab.write(
            &format!("home/a/{index}"),
            &format!("{index}\n").repeat(400_000),
        );
    }
    // Grown after the plan was made. Zeros would take no space.
    let video = lab.text("home/ann/video");
    let grow = format!("[ -e fixed ] || head -c 16M /dev/urandom > '{video}'");
    lab.set("preBackupScript", lab.script("grow", &grow));
    let script = format!(
        "mount -t tmpfs -o size=8m none \"$mnt\"\ncode=0\nbackup apply --now FIRST || code=$?\n\
         echo \"first: $code\"\ntest ! -e \"$mnt/{HOST}/latest\"\n\
         find \"$mnt\" -name '[0-3]' -printf '%f is %i\\n' | sort > before\n\
         rm '{video}'\ntouch fixed\nbackup apply --now FIRST\n\
         find \"$mnt\" -name '[0-3]' -printf '%f is %i\\n' | sort > after\ncmp before after\n\
         ls \"$mnt/{HOST}/.backup/partial\"; cat \"$mnt/{HOST}/latest{}\"",
        lab.text("home/ann/letter.txt"),
    );
    let Some(told) = in_namespace(&lab, &script) else {
        return;
    };
    let told = told
        .expect(0)
        .says("first: 1")
        .says("insufficient space: rsync failed with exit code 11");
    assert!(told.stdout.ends_with(" is complete.\ndear all\n"), "{told}");
    assert_eq!(
        fs::read_to_string(lab.path("before"))
            .unwrap()
            .lines()
            .count(),
        4
    );
}

#[test]
fn the_space_that_is_to_stay_free_stays_free_while_rsync_runs() {
    let Some(mut lab) = lab() else { return };
    lab.set("local.requireMount", true);
    lab.set("local.minSpaceGB", 1);
    let video = lab.text("home/ann/video");
    let grow = format!("head -c 400M /dev/urandom > '{video}'");
    lab.set("preBackupScript", lab.script("grow", &grow));
    let script = "mount -t tmpfs -o size=1200m none \"$mnt\"\ncode=0\n\
        backup apply --now FIRST || code=$?\necho \"first: $code\"\n\
        df --output=avail -BM \"$mnt\" | tail -1";
    let Some(told) = in_namespace(&lab, script) else {
        return;
    };
    let told = told
        .expect(0)
        .says("first: 1")
        .says("insufficient space")
        .says("local.minSpaceGB keeps 1.0 GiB free");
    let free = told
        .stdout
        .lines()
        .last()
        .unwrap()
        .trim()
        .trim_end_matches('M');
    // Not a whole second of copying was missed.
    assert!(free.parse::<u32>().unwrap() > 800, "{told}");
}

#[test]
fn an_rsync_that_is_missing_old_or_something_else_is_refused() {
    let Some(lab) = lab() else { return };
    let with_version = |body: &str| {
        lab.script("bin/rsync", body);
        let arguments = ["plan", "--now", FIRST];
        let mut command = lab.command(&arguments);
        command.env("PATH", lab.text("bin"));
        ran(command, &arguments)
    };
    with_version("echo 'rsync  version 3.1.3  protocol version 31'")
        .expect(4)
        .says("rsync 3.1.3 (local.useRsync) is too old: 3.2 or newer is needed")
        .hints("set local.useRsync to false");
    with_version("echo 'openrsync: protocol version 29, rsync version 2.6.9 compatible'")
        .expect(4)
        .says("rsync (local.useRsync) cannot be used")
        .says("openrsync");
    // A note, not a warning: it must not make every run end as incomplete.
    with_version("echo 'rsync  version 3.2.7  protocol version 31'")
        .expect(0)
        .says("with rsync 3.2.7")
        .says("CVE-2026-53797")
        .hints("update rsync");
    with_version("echo 'rsync  version 3.5.1  protocol version 32'")
        .expect(0)
        .says("with rsync 3.5.1");
    fs::remove_file(lab.path("bin/rsync")).unwrap();
    let arguments = ["apply", "--json", "--now", FIRST];
    let mut command = lab.command(&arguments);
    command.env("PATH", lab.text("bin"));
    let report = ran(command, &arguments).expect(4).json();
    assert_eq!(codes(&report["findings"])[0], "rsync-missing");
}

#[test]
fn the_plan_holds_every_argument_and_the_version() {
    let Some(mut lab) = lab() else { return };
    lab.set("local.excludePatterns", vec!["*.tmp"]);
    let plan = lab.at(FIRST, &["plan", "--json"]).expect(0).json();
    let snapshot = action(&plan, "snapshot");
    let rsync = &snapshot["rsync"];
    let version = Command::new(real().unwrap())
        .arg("--version")
        .output()
        .unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let found = rsync["version"].as_str().unwrap();
    assert!(version.contains(&format!("version {found} ")), "{version}");
    let arguments = rsync["calls"][0]["arguments"].as_array().unwrap();
    assert!(arguments.contains(&Value::from("--exclude=*.tmp")));
    assert!(arguments.contains(&Value::from("{source}")));
    lab.at(FIRST, &["plan"])
        .expect(0)
        .says(&format!("with rsync {found}"));
}

#[test]
fn nothing_in_the_environment_or_the_home_folder_changes_what_rsync_does() {
    let Some(lab) = lab() else { return };
    lab.write(
        "user/.popt",
        "rsync alias -a -n\nrsync alias --numeric-ids --dry-run\n",
    );
    rest();
    let arguments = ["apply", "--json", "--now", FIRST];
    let mut command = with_script(
        &lab,
        "env > \"$lab/env\"; exec \"$real\" \"$@\"",
        &arguments,
    );
    command
        .env("RSYNC_PARTIAL_DIR", lab.text("elsewhere"))
        .env("RSYNC_MAX_ALLOC", "1")
        .env("LANG", "de_DE.UTF-8");
    ran(command, &arguments).expect(0);
    let environment = fs::read_to_string(lab.path("env")).unwrap();
    let mut names: Vec<&str> = environment
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        // What the shell adds itself.
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["BACKUP_DESTINATION", "LC_ALL", "PATH"]);
    assert!(environment.contains("LC_ALL=C\n"));
}

#[test]
fn an_rsync_that_fails_is_explained_and_the_next_run_goes_on() {
    let Some(lab) = lab() else { return };
    rest();
    let failing = "\"$real\" \"$@\" > /dev/null\n\
        echo 'rsync: [generator] what went wrong (71)' >&2\n\
        echo 'rsync error: error in rsync protocol data stream (code 12) at io.c(232)' >&2\nexit 12";
    let report = run_with_script(&lab, failing, FIRST).expect(1).json();
    let message = step(&report, "snapshot")["message"].as_str().unwrap();
    assert!(
        message.contains("exit code 12 (error in rsync protocol data stream)"),
        "{message}"
    );
    assert!(
        message.contains(&lab.text("home")) && message.contains("what went wrong"),
        "{message}"
    );
    run_with_script(&lab, "kill -9 $$", SECOND)
        .expect(1)
        .says("rsync was ended by signal 9");
    assert_eq!(lab.tiers(), [""; 0]);
    lab.backup(THIRD);
    assert_eq!(lab.ids(), [id_of(THIRD)]);
    assert_eq!(
        contents(&lab.inside("latest", "home")),
        contents(&lab.path("home"))
    );
}

/// Files with a megabyte that no file system makes smaller.
fn fill(lab: &Lab, count: usize) {
    for index in 0..count {
        let line = format!("{index} of many ");
        lab.write(
            &format!("home/big/{index:04}"),
            &line.repeat((1 << 20) / line.len()),
        );
    }
}

/// Files in the unfinished snapshot that rsync has finished.
fn finished(lab: &Lab) -> usize {
    let folder = lab.stored(".backup/partial").join(id_of(FIRST));
    let all = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok);
    all.filter(|entry| entry.file_name().to_string_lossy().starts_with("00"))
        .count()
}

/// rsync processes of a lab.
fn rsyncs(lab: &Lab) -> Vec<u32> {
    let processes = names(Path::new("/proc"));
    let pids = processes.iter().filter_map(|name| name.parse().ok());
    let within = lab.path("").canonicalize().unwrap();
    pids.filter(|pid: &u32| {
        let is_rsync =
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "rsync\n");
        is_rsync
            && fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&within))
    })
    .collect()
}

/// Starts a backup by a slow rsync and sends it a signal once some files are there.
fn interrupt(lab: &Lab, signal: Signal) -> Ran {
    fill(lab, 40);
    rest();
    let arguments = ["apply", "--now", FIRST];
    let slow = "exec \"$real\" --bwlimit=8M \"$@\"";
    let child = with_script(lab, slow, &arguments).spawn().unwrap();
    wait_for("the first files", || finished(lab) > 4);
    assert!(!rsyncs(lab).is_empty());
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    ended(child, &arguments)
}

#[test]
fn a_run_that_is_asked_to_stop_ends_rsync_and_is_continued_without_copying_twice() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let Some(lab) = lab() else { return };
        interrupt(&lab, signal).expect(code).hints("");
        assert_eq!(rsyncs(&lab), [0; 0]);
        assert_eq!(lab.tiers(), [""; 0]);
        let partial = lab.stored(".backup/partial").join(id_of(FIRST));
        let before = inodes(&partial);
        lab.write("home/ann/letter.txt", "written in between\n");
        let report = lab.at(FIRST, &["apply", "--json"]).expect(0).json();
        assert_eq!(report["result"], "success");
        assert_eq!(lab.runs().len(), 1);
        assert_eq!(
            contents(&lab.inside("latest", "home")),
            contents(&lab.path("home"))
        );
        let after = inodes(&lab.stored("latest").canonicalize().unwrap());
        let done = before
            .iter()
            .filter(|(path, _)| path.to_str().unwrap().contains("/big/00"));
        let (kept, all) = done.fold((0, 0), |(kept, all), (path, inode)| {
            (kept + u32::from(after.get(path) == Some(inode)), all + 1)
        });
        // One may have been cut off or told of too late.
        assert!(all > 4 && kept + 2 >= all, "{kept} of {all} kept");
    }
}

#[test]
fn a_killed_run_takes_rsync_with_it_and_is_continued() {
    let Some(lab) = lab() else { return };
    interrupt(&lab, Signal::SIGKILL).expect(137);
    let started = Instant::now();
    wait_for("rsync to end", || rsyncs(&lab).is_empty());
    assert!(started.elapsed() < Duration::from_secs(10));
    lab.at(FIRST, &["apply"]).expect(0);
    assert_eq!(
        contents(&lab.inside("latest", "home")),
        contents(&lab.path("home"))
    );
}

#[test]
fn an_rsync_that_outlived_its_run_is_ended_before_the_tree_is_continued() {
    let Some(lab) = lab() else { return };
    rest();
    // It leaves its own group and session, as no rsync does.
    let hiding = "setsid sleep 300 > /dev/null 2>&1 &\necho $! > \"$lab/pid\"\nexit 12";
    run_with_script(&lab, hiding, FIRST).expect(1);
    let pid = fs::read_to_string(lab.path("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(crate::lab::is_alive(pid));
    lab.at(FIRST, &["apply"]).expect(0);
    assert!(!crate::lab::is_alive(pid));
}

#[test]
fn a_published_file_keeps_its_mode_when_an_interrupted_run_is_continued() {
    let Some(lab) = lab() else { return };
    rest();
    lab.backup(FIRST);
    // The second run links everything and is cut off before it is done.
    run_with_script(&lab, "\"$real\" \"$@\" > /dev/null\nexit 12", SECOND).expect(1);
    let old = lab.inside(&lab.latest(), "home/ann/letter.txt");
    let linked = lab
        .stored(".backup/partial")
        .join(id_of(SECOND))
        .join(lab.path("home/ann/letter.txt").strip_prefix("/").unwrap());
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&linked), inode(&old));
    let before = fs::metadata(&old).unwrap();

    let path = lab.path("home/ann/letter.txt");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    Command::new("setfattr")
        .args(["-n", "user.new", "-v", "1"])
        .arg(&path)
        .status()
        .unwrap();
    let time = before.modified().unwrap() + Duration::from_secs(5);
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    lab.backup(THIRD);
    let after = fs::metadata(&old).unwrap();
    assert_eq!(after.mode(), before.mode());
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    assert_eq!(after.ino(), before.ino());
    let new = fs::metadata(lab.inside("latest", "home/ann/letter.txt")).unwrap();
    assert_ne!(new.ino(), before.ino());
    assert_eq!(new.mode() & 0o7777, 0o604);
}

#[test]
fn a_continued_tree_becomes_the_sources_whatever_they_became() {
    let Some(lab) = lab() else { return };
    lab.write("home/was file", "x");
    lab.write("home/was folder/x", "x");
    lab.write("home/goes/a/b", "x");
    rest();
    run_with_script(&lab, "\"$real\" \"$@\" > /dev/null\nexit 12", FIRST).expect(1);
    fs::remove_file(lab.path("home/was file")).unwrap();
    lab.write("home/was file/now a folder", "y");
    fs::remove_dir_all(lab.path("home/was folder")).unwrap();
    lab.write("home/was folder", "now a file");
    fs::remove_dir_all(lab.path("home/goes")).unwrap();
    lab.write("home/comes/c", "z");
    rest();
    lab.backup(FIRST);
    assert_eq!(
        contents(&lab.inside("latest", "home")),
        contents(&lab.path("home"))
    );
}

#[test]
fn a_destination_that_keeps_no_modes_owners_and_attributes_is_linked_to_all_the_same() {
    let Some(lab) = lab() else { return };
    if !geteuid().is_root() {
        return skipped("only root can make files look like those of a share");
    }
    hostile(&lab);
    rest();
    lab.backup(FIRST);
    // A share forgets at once what it cannot hold.
    let forget = |path: &str| {
        let script = "chmod -R u=rwX,go=rX . && chown -hR 99:99 . && setfacl -R -b -k . && \
            find . ! -type l -exec setfattr -x user.note {} + 2> /dev/null; \
            find . -type f -exec setfattr -x security.capability {} + 2> /dev/null; true";
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(lab.stored(path));
        assert!(command.status().unwrap().success());
    };
    forget("latest/.");
    let path = lab.stored(".backup/destination.json");
    let mut record = crate::lab::read_json(&path);
    for what in ["modes", "owners", "xattrs", "acls", "fifos"] {
        record["capabilities"][what] = false.into();
    }
    record["capabilities"]["time_step_ns"] = 100.into();
    fs::write(&path, record.to_string()).unwrap();
    // What it recorded then is what it would have recorded on a share.
    let report = run_with_script(&lab, LISTENING, SECOND).expect(0).json();
    let copied: Vec<String> = told_by_rsync(&lab)
        .into_iter()
        .filter(|line| line.starts_with("|>") || line.starts_with("|cf"))
        .collect();
    assert_eq!(copied, [""; 0]);
    let totals = &report["snapshot"]["totals"];
    assert_eq!(
        (&totals["files_copied"], &totals["errors"]),
        (&0.into(), &0.into())
    );
    // The manifest says the same of every file that it did before.
    let files = |id: &str| -> Vec<String> {
        let text = manifest(&lab, id);
        let lines = text.lines().filter(|line| line.contains(" type=file "));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(files(&id_of(SECOND)), files(&id_of(FIRST)));
}
