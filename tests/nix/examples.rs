//! Each example is a pair: what NixOS makes of config.nix is what config.json says.

use std::{fs, path::Path, process::Command};

use planner::check;
use schema::Config;

use crate::{
    golden::systems,
    lab::{PROGRAM, ROOT, examples},
};

/// The configuration, with the module's scripts where the example's README has them installed.
fn config(text: &str) -> Config {
    let text = ["pre-backup", "post-backup"]
        .iter()
        .fold(text.to_owned(), |text, name| {
            text.replace(
                &format!("\"/nix/store/{name}\""),
                &format!("\"/etc/backup/{name}\""),
            )
        });
    match check::check_config(text.as_bytes()) {
        Ok(checked) => {
            assert!(
                checked.warnings.is_empty(),
                "{}",
                check::render(&checked.warnings)
            );
            checked.config
        }
        Err(faults) => panic!("{text}\n{}", check::render(&faults)),
    }
}

#[test]
fn both_files_of_an_example_say_the_same() {
    let Some(systems) = systems("both_files_of_an_example_say_the_same") else {
        return;
    };
    for name in examples() {
        let file = Path::new(ROOT)
            .join("examples")
            .join(&name)
            .join("config.json");
        let json = fs::read_to_string(&file).unwrap();
        let nix = systems[&name]["config"].to_string();
        assert_eq!(config(&nix), config(&json), "{name}");
    }
}

#[test]
fn no_example_fails_an_assertion_or_is_warned_of() {
    let Some(systems) = systems("no_example_fails_an_assertion_or_is_warned_of") else {
        return;
    };
    for name in examples() {
        let system = &systems[&name];
        for key in ["failed", "warnings"] {
            assert_eq!(
                system[key].as_array().map(Vec::len),
                Some(0),
                "{name}: {}",
                system[key]
            );
        }
    }
}

#[test]
fn the_program_accepts_what_the_module_writes() {
    let Some(systems) = systems("the_program_accepts_what_the_module_writes") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for name in examples() {
        let system = &systems[&name];
        let file = folder.path().join(&name);
        fs::write(&file, system["config"].to_string()).unwrap();
        let out = Command::new(PROGRAM)
            .arg("check")
            .arg(&file)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{name}: {told}");
    }
}

#[test]
fn an_example_is_a_folder_with_both_files_and_a_readme() {
    for entry in fs::read_dir(Path::new(ROOT).join("examples")).unwrap() {
        let folder = entry.unwrap().path();
        // Configures nothing: it reads what is there.
        if folder.ends_with("reader") {
            continue;
        }
        for file in ["config.nix", "config.json", "README.md"] {
            assert!(
                folder.join(file).is_file(),
                "{}",
                folder.join(file).display()
            );
        }
    }
}
