//! The rsync engine: real rsync wherever it can be made to do what is tested, and a small script
//! of its name where it cannot.

mod interrupted;
mod outcome;
mod same;
mod taken_over;
mod versions;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::unistd::geteuid;

use crate::lab::{Lab, Ran, run_command, skip};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// A lab with the rsync engine; none where there is no rsync.
fn lab() -> Option<Lab> {
    if real().is_none() {
        skip("there is no rsync");
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
    write_script(lab, body);
    let mut command = lab.command(arguments);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", lab.text("bin")));
    command
}

/// The script itself, in the lab's folder `bin`.
fn write_script(lab: &Lab, body: &str) {
    let real = real().unwrap();
    let head = format!("real='{}'\nlab='{}'\n", real.display(), lab.text(""));
    // Its version is always the real one's unless the script says otherwise.
    let body = format!("{head}[ \"$1\" != --version ] || exec \"$real\" --version\n{body}");
    lab.script("bin/rsync", &body);
}

fn run_with_script(lab: &Lab, body: &str, now: &str) -> Ran {
    let arguments = ["apply", "--json", "--now", now];
    run_command(with_script(lab, body, &arguments), &arguments)
}

/// A script that keeps what rsync prints.
const LISTENING: &str = "\"$real\" \"$@\" > \"$lab/said.tmp\"; code=$?\n\
    cat \"$lab/said.tmp\" >> \"$lab/said\"; cat \"$lab/said.tmp\"; exit $code";

/// What rsync told of itself since the last time: lines of `|what|name`; nothing where it was not
/// started.
fn told_by_rsync(lab: &Lab) -> Vec<String> {
    let Ok(said) = fs::read(lab.path("said")) else {
        return Vec::new();
    };
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
    let records = fs::File::open(lab.stored(&format!(".backup/snapshots/{id}"))).unwrap();
    let records = executor::sys::Dir::from_fd(records.into());
    let mut text = String::new();
    for entry in executor::manifest::Reader::of_records(&records).unwrap() {
        let mut line = Vec::new();
        entry.unwrap().write_line(&mut line);
        text.push_str(&String::from_utf8(line).unwrap());
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
