//! That both engines make the same, and that rsync itself gets what it should and nothing else.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
};

use nix::unistd::geteuid;
use serde_json::Value;

use super::{
    FIRST, LISTENING, SECOND, THIRD, hostile, inodes, lab, manifest, rest, run_with_script,
    told_by_rsync, write_script,
};
use crate::{
    lab::{HOST, Lab, contents_below, entry_names, id_of, read_json, skip, step_outcome},
    mounted::in_namespace,
};

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
        assert_eq!(
            step_outcome(&report, "snapshot")["problems"],
            Value::Array(vec![])
        );
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
pub(super) fn shape(folder: &Path) -> BTreeMap<PathBuf, String> {
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
fn of_every_source_rsync_copies_only_what_is_new() {
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

    // Where nothing is new, or only moved, it is not even started.
    fs::rename(lab.path("home/ann"), lab.path("home/renamed")).unwrap();
    run_with_script(&lab, "exit 12", THIRD).expect(0);
    let moved = lab.inside("latest", "home/renamed/photo.jpg");
    let before = home_of(&second).join(&lab.text("home/ann/photo.jpg")[1..]);
    assert_eq!(
        fs::metadata(moved).unwrap().ino(),
        fs::metadata(before).unwrap().ino()
    );
}

#[test]
fn a_list_names_new_files_and_folders_and_nothing_that_is_there() {
    let Some(mut lab) = lab() else { return };
    lab.set("local.excludePatterns", vec!["*.tmp"]);
    for path in ["kept/old", "moves/a film", "moves/other"] {
        lab.write(&format!("home/{path}"), path);
    }
    rest();
    lab.backup(FIRST);
    // Names that an option, a comment or a pattern might be.
    for path in [
        "kept/#new",
        "kept/;also",
        "--delete",
        "whole/a/b",
        "whole/a/c",
        "whole/[d]",
        "almost/plain",
        "almost/left.tmp",
        "almost/below/x",
        "mixed/new",
    ] {
        lab.write(&format!("home/{path}"), path);
    }
    lab.write("home/twins/one", "of one file");
    fs::hard_link(lab.path("home/twins/one"), lab.path("home/twins/two")).unwrap();
    fs::rename(lab.path("home/moves/a film"), lab.path("home/mixed/film")).unwrap();
    symlink("b", lab.path("home/whole/a/link")).unwrap();
    fs::create_dir(lab.path("home/empty")).unwrap();
    rest();
    let keep = "for one in \"$@\"; do case $one in --files-from=*) \
        cp \"${one#*=}\" \"$lab/list\";; esac; done\nexec \"$real\" \"$@\"";
    let report = run_with_script(&lab, keep, SECOND).expect(0).json();
    let list = fs::read_to_string(lab.path("list")).unwrap();
    let mut listed: Vec<&str> = list.split_terminator('\0').collect();
    listed.sort_unstable();
    assert_eq!(
        listed,
        [
            "./--delete",
            "./almost/below/",
            "./almost/plain",
            "./kept/#new",
            "./kept/;also",
            "./mixed/new",
            "./twins/one",
            "./whole/",
        ]
    );
    assert_eq!(report["snapshot"]["totals"]["files_copied"], 10);
    let home = lab.inside("latest", "home");
    fs::remove_file(lab.path("home/almost/left.tmp")).unwrap();
    assert_eq!(contents_below(&home), contents_below(&lab.path("home")));
    let ino = |name: &str| fs::metadata(home.join(name)).unwrap().ino();
    assert_eq!(ino("twins/one"), ino("twins/two"));
    // What served the run is gone with it.
    let records = lab.stored(".backup/snapshots").join(id_of(SECOND));
    assert_eq!(entry_names(&records), ["manifest", "snapshot.json"]);
}

#[test]
fn rsync_looks_for_zeros_only_where_there_are_holes_and_holes_stay_all_the_same() {
    let Some(mut lab) = lab() else { return };
    let zeros = |plan: &Value| {
        let steps = plan["steps"].as_array().unwrap();
        let snapshot = steps.iter().find(|step| step["id"] == "snapshot").unwrap();
        let calls = snapshot["action"]["rsync"]["calls"].as_array().unwrap();
        let mut arguments = calls[0]["arguments"].as_array().unwrap().iter();
        arguments.any(|argument| argument == "--sparse")
    };
    let plan = |lab: &Lab, now: &str| {
        let arguments = ["plan", "--json", "--now", now];
        lab.run(&arguments).expect(0).json()
    };
    let holes = |path: &Path| {
        let stat = fs::metadata(path).unwrap();
        stat.len() - stat.blocks() * 512
    };
    rest();
    assert!(!zeros(&plan(&lab, FIRST)));
    // A script makes one that no plan knew of.
    let make = format!("truncate -s 3M '{}'", lab.text("home/ann/from the script"));
    lab.set("preBackupScript", lab.script("pre", &make));
    run_with_script(&lab, LISTENING, FIRST).expect(0);
    let told = told_by_rsync(&lab);
    let told_of = |name: &str| told.iter().any(|line| line.ends_with(name));
    assert!(told_of("|ann/letter.txt"), "{told:?}");
    let made = lab.path("home/ann/from the script");
    if holes(&made) == 0 {
        skip("this file system has no holes");
        return;
    }
    assert!(!told_of("from the script"), "{told:?}");
    assert!(holes(&lab.inside("latest", "home/ann/from the script")) > 2 << 20);

    lab.set("preBackupScript", Value::Null);
    let image = fs::File::create(lab.path("home/ann/image")).unwrap();
    image.set_len(5 << 20).unwrap();
    rest();
    assert!(zeros(&plan(&lab, SECOND)));
    run_with_script(&lab, LISTENING, SECOND).expect(0);
    let told = told_by_rsync(&lab);
    assert!(
        told.iter().any(|line| line == "|>f+++++++++|ann/image"),
        "{told:?}"
    );
    assert!(holes(&lab.inside("latest", "home/ann/image")) > 4 << 20);
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
fn a_destination_that_keeps_no_modes_owners_and_attributes_is_linked_to_all_the_same() {
    let Some(lab) = lab() else { return };
    if !geteuid().is_root() {
        return skip("only root can make files look like those of a share");
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
    let mut record = read_json(&path);
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

#[test]
fn reading_a_file_moves_no_access_time() {
    let Some(lab) = lab() else { return };
    if !geteuid().is_root() {
        return skip("only root may read without moving access times");
    }
    // Older than the content: even a mount that spares such updates would move it.
    let path = lab.path("home/ann/letter.txt");
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_times(fs::FileTimes::new().set_accessed(old))
        .unwrap();
    rest();
    let mut alone = Command::new("rsync");
    alone.arg("--open-noatime").args([&path, &lab.path("copy")]);
    assert!(alone.status().unwrap().success());
    if fs::metadata(&path).unwrap().accessed().unwrap() != old {
        // Some versions before 3.5 forget the option for what they send.
        return;
    }
    lab.backup(FIRST);
    assert_eq!(fs::metadata(&path).unwrap().accessed().unwrap(), old);
    assert!(lab.inside("latest", "home/ann/letter.txt").exists());
}

#[test]
fn mounts_and_the_destination_itself_are_passed_over_by_rsync_too() {
    for one_file_system in [true, false] {
        let Some(mut lab) = lab() else { return };
        lab.set("local.oneFileSystem", one_file_system);
        fs::create_dir_all(lab.path("home/drive")).unwrap();
        fs::create_dir_all(lab.path("home/other [1]")).unwrap();
        write_script(&lab, LISTENING);
        // A bind mount is on the same device, which is all that rsync looks at, and the drive is
        // mounted a second time where no path tells of it.
        let script = format!(
            "cd '{lab}'\nexport PATH=\"$PWD/bin:$PATH\"\n\
             mount -t tmpfs none mnt\nmount --bind mnt home/drive\n\
             mount --bind home/ann 'home/other [1]'\n\
             echo mine > home/drive/mine\nbackup apply --now FIRST > /dev/null\n\
             cd mnt/{HOST}/latest/'{lab}'\nfind home -type f | sort",
            lab = lab.text("").trim_end_matches('/'),
        );
        let script = script.replace("/latest/'/", "/latest/'");
        let Some(told) = in_namespace(&lab, &script) else {
            return;
        };
        let told = told.expect(0);
        let stored: Vec<&str> = told.stdout.lines().collect();
        let mut expected = vec![
            "home/ann/letter.txt",
            "home/ann/photo.jpg",
            "home/bob/notes/list.md",
        ];
        if !one_file_system {
            expected.push("home/drive/mine");
            expected.push("home/other [1]/letter.txt");
            expected.push("home/other [1]/photo.jpg");
        }
        assert_eq!(stored, expected, "{told}");
        let copied = told_by_rsync(&lab);
        let copied = copied.iter().filter(|line| line.starts_with("|>f"));
        assert_eq!(copied.count(), expected.len(), "{told}");
    }
}
