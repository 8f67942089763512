//! The flake: evaluated whole, and its checks built with the program that cargo has built.
//!
//! With an old tree (`HWC_NIXPKGS_LIB` set) nixpkgs is the stand-in beside this file, because
//! nothing of a real one can be had without a binary cache; with a tree of today it is that, and
//! nothing is built.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::lab::{Nix, Nixpkgs, PROGRAM, ROOT, examples};

/// What the flake reads; not `target`, which has gigabytes.
const FILES: [&str; 14] = [
    "Cargo.lock",
    "Cargo.toml",
    "browse",
    "desktop",
    "examples",
    "executor",
    "flake.lock",
    "flake.nix",
    "nixos",
    "planner",
    "report",
    "schema",
    "src",
    "tests",
];

/// A copy of the flake, a nixpkgs for it, and a store of their own.
struct Flake<'a> {
    nix: &'a Nix,
    folder: TempDir,
    nixpkgs: String,
}

impl<'a> Flake<'a> {
    fn new(nix: &'a Nix, nixpkgs: &Nixpkgs) -> Self {
        let folder = TempDir::with_prefix("backup-flake.").unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["flake", "nixpkgs", "program", "home"] {
            fs::create_dir(path(name)).unwrap();
        }
        for name in FILES {
            copy(&Path::new(ROOT).join(name), &path("flake").join(name));
        }
        let url = if is_old() {
            fs::copy(PROGRAM, path("program/backup")).unwrap();
            for name in ["stand-in/nixpkgs.nix", "old-nixos.nix"] {
                let file = Path::new(ROOT).join("tests/nix").join(name);
                let to = path("nixpkgs").join(file.file_name().unwrap());
                fs::copy(file, to).unwrap();
            }
            let absolute = |path: &Path| format!("(/. + {})", Value::from(path.to_str().unwrap()));
            let text = format!(
                "{{ outputs = _: import ./nixpkgs.nix {{
                     tree = {};
                     libPath = {};
                     program = {};
                     oldNixos = ./old-nixos.nix;
                   }}; }}",
                absolute(&nixpkgs.path),
                absolute(&nixpkgs.lib),
                absolute(&path("program")),
            );
            fs::write(path("nixpkgs/flake.nix"), text).unwrap();
            path("nixpkgs")
        } else {
            nixpkgs.path.clone()
        };
        let nixpkgs = format!("path:{}", url.display());
        Self {
            nix,
            folder,
            nixpkgs,
        }
    }

    /// Runs `nix` on the flake; gives what it said.
    fn run(&self, arguments: &[&str]) -> String {
        let path = |name: &str| self.folder.path().join(name);
        let out = self
            .nix
            .command("nix")
            .args(arguments)
            // The stand-in names the tree by its path instead of copying it to the store.
            .args(["--impure", "--offline", "--no-write-lock-file"])
            .args(["--override-input", "nixpkgs", &self.nixpkgs])
            .current_dir(path("flake"))
            .env("NIX_STORE_DIR", path("nix/store"))
            .env("NIX_STATE_DIR", path("nix/var"))
            .env("NIX_LOG_DIR", path("nix/log"))
            .env("NIX_REMOTE", "local")
            .env("HOME", path("home"))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "nix {arguments:?}: {told}");
        told + &String::from_utf8_lossy(&out.stdout)
    }
}

/// Nix makes its store read-only, for root it is so only by name.
impl Drop for Flake<'_> {
    fn drop(&mut self) {
        let _ = Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(self.folder.path())
            .status();
    }
}

fn is_old() -> bool {
    std::env::var_os("HWC_NIXPKGS_LIB").is_some()
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-r")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success(), "{}", from.display());
}

#[test]
fn every_output_of_the_flake_evaluates_and_its_checks_build() {
    let test = "every_output_of_the_flake_evaluates_and_its_checks_build";
    let Some((nix, nixpkgs)) = Nix::with_nixos(test) else {
        return;
    };
    let flake = Flake::new(&nix, &nixpkgs);
    let flake_path = format!("path:{}", flake.folder.path().join("flake").display());
    let told = flake.run(&["flake", "check", "--no-build", &flake_path]);
    for output in [
        "checks.x86_64-linux.vm-test",
        "checks.x86_64-linux.module-laptop",
        "packages.x86_64-linux.checks",
        "devShells.x86_64-linux.default",
        "formatter.x86_64-linux",
        "nixosModules.services-backup",
        "nixosModules.clan",
        "overlays.default",
    ] {
        assert!(
            told.contains(&format!("{output}'")) || told.contains(&format!("{output}.")),
            "{told}"
        );
    }
    if !is_old() {
        crate::lab::pass_over(
            "building the flake's checks",
            "HWC_NIXPKGS is not an old tree; CI builds them",
        );
        return;
    }

    let result = flake.folder.path().join("result");
    let link = result.to_str().unwrap();
    flake.run(&["build", "--out-link", link, &format!("{flake_path}#checks")]);
    for name in examples() {
        for kind in ["example", "module"] {
            let check = result.join(format!("{kind}-{name}"));
            let told = fs::read_to_string(check.join("check")).unwrap();
            assert!(told.contains("valid"), "{kind}-{name}: {told}");
            assert!(
                check.join("units/backup.service").is_file(),
                "{kind}-{name}"
            );
        }
    }

    a_script_does_what_its_lines_say(&result.join("module-scripts/config.json"));

    flake.run(&[
        "build",
        "--out-link",
        link,
        &format!("{flake_path}#default"),
    ]);
    for name in [
        "backup",
        "backup-now",
        "backup-restore",
        "backup-status",
        "backup-verify",
    ] {
        let out = Command::new(result.join("bin").join(name))
            .arg("--help")
            .output()
            .unwrap();
        assert!(out.status.success(), "{name}: {out:?}");
    }
    for file in [
        "man/man1/backup.1",
        "man/man1/backup-setup.1",
        "man/man5/backup.json.5",
        "bash-completion/completions/backup.bash",
        "bash-completion/completions/backup-now.bash",
        "fish/vendor_completions.d/backup.fish",
        "zsh/site-functions/_backup",
    ] {
        let path = result.join("share").join(file);
        let squeezed = path.with_file_name(format!("{}.gz", path.file_name().unwrap().display()));
        assert!(path.exists() || squeezed.exists(), "{file}");
    }
}

/// Runs the scripts that the module made of lines.
fn a_script_does_what_its_lines_say(config: &Path) {
    let config: Value = serde_json::from_slice(&fs::read(config).unwrap()).unwrap();
    let script = |key: &str| config[key].as_str().unwrap().to_owned();
    let mut post = Command::new(script("postBackupScript"));
    post.env("BACKUP_RESULT", "failed")
        .env("BACKUP_RUN_ID", "r");
    let out = post.output().unwrap();
    let told = String::from_utf8(out.stdout).unwrap();
    assert_eq!(told, "backup: failed, snapshot none, run r\n");
    // Without what a run gives it, a strict shell ends it.
    let out = Command::new(script("postBackupScript"))
        .env_clear()
        .output()
        .unwrap();
    assert!(!out.status.success() && out.stdout.is_empty(), "{out:?}");

    let text = fs::read_to_string(script("preBackupScript")).unwrap();
    let at = |part: &str| {
        text.find(part)
            .unwrap_or_else(|| panic!("no {part}: {text}"))
    };
    assert!(at("set -euo pipefail") < at("export PATH="), "{text}");
    assert!(
        at("-sqlite/bin${PATH:+:$PATH}") < at(".backup /var/backup/app.db"),
        "{text}"
    );
}

#[test]
fn the_script_of_the_virtual_machine_is_python() {
    let test = "the_script_of_the_virtual_machine_is_python";
    let Some(nix) = Nix::find(test) else {
        return;
    };
    let script = nix.eval(
        "(import ./nixos/vm-test.nix { module = { }; }).testScript",
        &Value::Null,
    );
    let python = Command::new("python3")
        .args([
            "-c",
            "import ast, sys; ast.parse(sys.argv[1])",
            script.as_str().unwrap(),
        ])
        .output();
    match python {
        Ok(out) => assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        ),
        Err(_) => test_support::skip(&format!("{test} because python3 is not installed")),
    }
}

#[test]
fn the_development_shell_has_what_the_tests_need() {
    let read = |name: &str| fs::read_to_string(Path::new(ROOT).join(name)).unwrap();
    let (test, flake) = (read("test"), read("flake.nix"));
    let table = test
        .split("needs='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    let wanted: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert!(wanted.len() > 15, "{wanted:?}");
    let shell = flake.split("devShells").nth(1).unwrap();
    // The compiler comes with the shell.
    for attribute in wanted
        .iter()
        .filter(|name| !["gcc", "glibc.dev"].contains(name))
    {
        let is_there = shell.lines().any(|line| line.trim() == *attribute);
        assert!(is_there, "{attribute} is missing in flake.nix, devShells");
    }
}
