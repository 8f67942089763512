//! Every .nix file is one, and names nothing that is not there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::lab::{Nix, ROOT};

/// The .nix files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "nix") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_file_parses_and_no_variable_is_undefined() {
    let Some(nix) = Nix::find("every_file_parses_and_no_variable_is_undefined") else {
        return;
    };
    let root = Path::new(ROOT);
    let mut all = vec![root.join("flake.nix")];
    for folder in ["nixos", "examples", "tests/nix"] {
        all.extend(files(&root.join(folder)));
    }
    assert!(all.len() > 15, "{all:?}");
    let out = nix
        .command("nix-instantiate")
        .args(["--store", "dummy://", "--parse"])
        .args(&all)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{told}");
}
