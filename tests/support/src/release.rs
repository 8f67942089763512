//! What a release consists of, made of a built program: what comes with it, the Debian package by the list
//! in Cargo.toml, the archive, and their checksums.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use walkdir::WalkDir;

use crate::run_tool;

/// Where cargo leaves a program of a release, and where what comes with it is written.
const PROGRAM: &str = "target/release/backup";
const ASSETS: &str = "target/assets/";

/// Writes what comes with a program into a folder, as for a release.
#[track_caller]
pub fn write_release_assets(root: &Path, program: &Path, assets: &Path) {
    let script = root.join(".ci/release-assets");
    run_tool(script.to_str().unwrap(), [program, assets]);
}

/// The files and symlinks of the Debian package, each by its path there, and where it comes from.
#[must_use]
pub fn debian_files(root: &Path, program: &Path, assets: &Path) -> BTreeMap<String, PathBuf> {
    let place = |source: &str| match source.strip_prefix(ASSETS) {
        Some(rest) => assets.join(rest),
        None if source == PROGRAM => program.to_owned(),
        None => root.join(source),
    };
    let mut files = BTreeMap::new();
    for asset in debian_table(root)["assets"].as_array().unwrap() {
        let text = |index: usize| asset[index].as_str().unwrap();
        let (source, to) = (text(0), text(1));
        let found = sources_of(source, &place);
        assert!(!found.is_empty(), "nothing is {source}");
        for (name, path) in found {
            // What ends with a slash is a folder.
            let to = if to.ends_with('/') {
                format!("{to}{name}")
            } else {
                to.to_owned()
            };
            files.insert(to, path);
        }
    }
    let licence = debian_table(root)["license-file"][0].clone();
    let licence = root.join(licence.as_str().unwrap());
    files.insert("usr/share/doc/backup/copyright".to_owned(), licence);
    files
}

/// What cargo-deb reads.
fn debian_table(root: &Path) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = all["packages"].as_array().unwrap().iter();
    let ours = packages.find(|one| one["name"] == "backup").unwrap();
    let mut table = ours["metadata"]["deb"].clone();
    table["version"] = ours["version"].clone();
    table["description"] = ours["description"].clone();
    table
}

/// What a pattern of the list names: one file, all of a folder whose names end so, or all below one. Each
/// with its path below that folder.
fn sources_of(pattern: &str, place: &dyn Fn(&str) -> PathBuf) -> Vec<(String, PathBuf)> {
    let Some((folder, pattern)) = pattern.split_once('*') else {
        let path = place(pattern);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        return vec![(name, path)];
    };
    let folder = place(folder);
    let (depth, end) = match pattern.strip_prefix("*/*") {
        Some(end) => (usize::MAX, end),
        None => (1, pattern),
    };
    WalkDir::new(&folder)
        .min_depth(1)
        .max_depth(depth)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            let below = entry.path().strip_prefix(&folder).unwrap();
            (below.to_str().unwrap().to_owned(), entry.path().to_owned())
        })
        .filter(|(name, _)| name.ends_with(end))
        .collect()
}

/// Makes the Debian package in a folder, as cargo-deb does but without squeezing anything.
/// Needs dpkg-deb.
#[track_caller]
fn make_debian_package(root: &Path, program: &Path, assets: &Path, folder: &Path) {
    let tree = tempfile::TempDir::with_prefix("backup-deb.").unwrap();
    for (to, from) in debian_files(root, program, assets) {
        let to = tree.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        match fs::read_link(&from) {
            Ok(target) => symlink(target, to).unwrap(),
            Err(_) => drop(fs::copy(from, to).unwrap()),
        }
    }
    let table = debian_table(root);
    let text = |key: &str| table[key].as_str().unwrap();
    let control = format!(
        "Package: backup\nVersion: {}-1\nArchitecture: {}\nMaintainer: {}\nRecommends: {}\n\
         Suggests: {}\nDescription: {}\n",
        text("version"),
        run_tool("dpkg", ["--print-architecture"]).trim(),
        text("maintainer"),
        text("recommends"),
        text("suggests"),
        text("description"),
    );
    fs::create_dir(tree.path().join("DEBIAN")).unwrap();
    fs::write(tree.path().join("DEBIAN/control"), control).unwrap();
    let tree = tree.path().to_str().unwrap();
    let how = ["--root-owner-group", "-Znone", "--build"];
    run_tool(
        "dpkg-deb",
        [&how[..], &[tree, folder.to_str().unwrap()]].concat(),
    );
}

/// Makes all files of a release in a folder, with their checksums. Needs dpkg-deb and strip.
#[track_caller]
pub fn make_release(root: &Path, program: &Path, folder: &Path) {
    let work = tempfile::TempDir::with_prefix("backup-assets.").unwrap();
    let (stripped, assets) = (work.path().join("backup"), work.path().join("assets"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    run_tool("strip", ["-o".to_owned(), text(&stripped), text(program)]);
    let program = stripped.as_path();
    write_release_assets(root, program, &assets);
    make_debian_package(root, program, &assets, folder);
    let version = debian_table(root)["version"].as_str().unwrap().to_owned();
    let script = root.join(".ci/release-archive");
    run_tool(
        &text(&script),
        [
            text(program),
            text(&assets),
            version,
            // The pages name this one; what machine this is does not matter to what is tried.
            "x86_64".to_owned(),
            text(folder),
        ],
    );
    let sums = "cd \"$1\" && sha256sum -- * > sums && mv sums SHA256SUMS";
    run_tool("sh", ["-c", sums, "sh", &text(folder)]);
}
