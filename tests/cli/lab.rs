//! The laboratory of these tests: a destination `mnt` and a source `home` with a few files.

use std::{fs, ops::Deref, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;
pub(crate) use test_support::{
    PATIENCE, Ran, can_trace, contents_below, entry_names, everything_below, id_of, is_alive,
    is_installed, read_json, run_command, skip, wait_for, wait_for_child,
};

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_backup");

/// The host's folder on the destination.
pub(crate) const HOST: &str = "atlas";

/// A temporary folder with all that a backup needs.
pub(crate) struct Lab(test_support::Lab);

impl Lab {
    /// A lab with a destination `mnt` and a source `home` that holds a few files.
    pub(crate) fn new() -> Self {
        Self::in_folder(TempDir::with_prefix("backup-cli.").unwrap())
    }

    /// A lab whose path is short and of the same length everywhere, for output whose lines are
    /// broken at a column.
    pub(crate) fn short() -> Self {
        Self::in_folder(TempDir::with_prefix_in("lab.", "/tmp").unwrap())
    }

    /// A lab in this folder.
    pub(crate) fn in_folder(folder: TempDir) -> Self {
        let lab = test_support::Lab::new(PROGRAM, folder, config);
        fs::create_dir(lab.path("mnt")).unwrap();
        lab.write("home/ann/letter.txt", "dear all\n");
        lab.write("home/ann/photo.jpg", &"not really\n".repeat(500));
        lab.write("home/bob/notes/list.md", "- milk\n");
        Self(lab)
    }

    /// Sets a key such as `local.keepDaily` and writes the configuration.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.set(key, value);
    }
}

fn config(folder: &Path) -> Value {
    json!({
        "version": 1,
        "hostname": HOST,
        "local": {
            "enable": true,
            "mountPoint": folder.join("mnt"),
            "requireMount": false,
            "useRsync": false,
            "minSpaceGB": 0,
            "keepLast": 0,
            "sources": [folder.join("home")],
        },
    })
}

impl Deref for Lab {
    type Target = test_support::Lab;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// The codes of findings, less the one that depends on the file system and on who runs the tests.
pub(crate) fn finding_codes(findings: &Value) -> Vec<&str> {
    let findings = findings.as_array().unwrap().iter();
    findings
        .map(|one| one["code"].as_str().unwrap())
        .filter(|code| *code != "kept-in-manifest-only")
        .collect()
}

/// The step of this name in a report.
#[track_caller]
pub(crate) fn step_outcome<'a>(report: &'a Value, name: &str) -> &'a Value {
    let steps = report["steps"].as_array().unwrap().iter();
    let mut found = steps.filter(|step| step["step"] == name);
    &found
        .next()
        .unwrap_or_else(|| panic!("no step {name} in {report:#}"))["outcome"]
}

/// The action of this kind in a plan.
#[track_caller]
pub(crate) fn plan_action<'a>(plan: &'a Value, kind: &str) -> &'a Value {
    let steps = plan["steps"].as_array().unwrap().iter();
    let mut found = steps.filter(|step| step["action"]["kind"] == kind);
    &found
        .next()
        .unwrap_or_else(|| panic!("no action {kind} in {plan:#}"))["action"]
}
