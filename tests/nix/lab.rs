//! Nix, and the nixpkgs that this machine has: found, never fetched.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use test_support::skip;

/// The root of the repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_backup");

/// Where no store is written and nothing is asked of the network.
const SETTINGS: &str = "\
build-users-group =
sandbox = false
build-hook =
substituters =
flake-registry =
connect-timeout = 1
download-attempts = 1
experimental-features = nix-command flakes
";

/// Nix.
pub(crate) struct Nix {
    folder: PathBuf,
}

/// A tree of nixpkgs.
#[derive(Debug, Clone)]
pub(crate) struct Nixpkgs {
    /// Its root.
    pub(crate) path: PathBuf,
    /// The `lib` to evaluate with.
    pub(crate) lib: PathBuf,
    /// Whether it has NixOS.
    pub(crate) nixos: bool,
}

impl Nix {
    /// Nix on the `PATH`, or the one that ./test has brought.
    pub(crate) fn find(test: &str) -> Option<Self> {
        let found = Self::find_silently();
        if found.is_none() {
            skip(&format!(
                "{test} because nix-instantiate is not installed (tests/nix/provide brings it)"
            ));
        }
        found
    }

    /// The same, without a word where there is none.
    pub(crate) fn find_silently() -> Option<Self> {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
        let brought = cache.map(|cache| cache.join("backup-tests/nix-trixie/bin"));
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .chain(brought)
            .find(|folder| folder.join("nix-instantiate").exists())
            .map(|folder| Self { folder })
    }

    /// Nix with a nixpkgs of which at least `lib` is there.
    pub(crate) fn with_lib(test: &str) -> Option<(Self, Nixpkgs)> {
        let nix = Self::find(test)?;
        let found = nix.nixpkgs();
        if found.is_none() {
            pass_over(test, "there is no nixpkgs (HWC_NIXPKGS or <nixpkgs>)");
        }
        Some((nix, found?))
    }

    /// Nix with a nixpkgs that has NixOS.
    pub(crate) fn with_nixos(test: &str) -> Option<(Self, Nixpkgs)> {
        let (nix, nixpkgs) = Self::with_lib(test)?;
        if !nixpkgs.nixos {
            pass_over(test, "the nixpkgs has no NixOS (HWC_NIXPKGS or <nixpkgs>)");
        }
        Some((nix, nixpkgs)).filter(|(_, nixpkgs)| nixpkgs.nixos)
    }

    /// The nixpkgs that the environment names. One that is named and is none is a mistake, not a
    /// reason to skip.
    pub(crate) fn nixpkgs(&self) -> Option<Nixpkgs> {
        let path = match env::var_os("HWC_NIXPKGS") {
            Some(path) => PathBuf::from(path),
            None => {
                let found = self
                    .command("nix-instantiate")
                    .args(["--find-file", "nixpkgs"])
                    .output()
                    .unwrap();
                let path = String::from_utf8(found.stdout).unwrap();
                Some(path.trim())
                    .filter(|path| !path.is_empty() && found.status.success())?
                    .into()
            }
        };
        let path = fs::canonicalize(&path).unwrap_or(path);
        let lib = env::var_os("HWC_NIXPKGS_LIB").map_or_else(|| path.join("lib"), PathBuf::from);
        assert!(
            lib.join("modules.nix").exists(),
            "{} is no lib of nixpkgs: look at HWC_NIXPKGS and HWC_NIXPKGS_LIB",
            lib.display()
        );
        assert!(
            lib.join("fileset").exists(),
            "{} is of before 2023: name a newer lib by HWC_NIXPKGS_LIB",
            lib.display()
        );
        let nixos = path.join("nixos/lib/eval-config.nix").exists();
        Some(Nixpkgs { path, lib, nixos })
    }

    /// One of Nix's programs, with settings that keep it off the network.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.env("NIX_CONFIG", SETTINGS).current_dir(ROOT);
        command
    }

    /// The value of an expression, in which `data` is this data and paths are relative to the root.
    ///
    /// # Errors
    ///
    /// What Nix says.
    pub(crate) fn try_eval(&self, expression: &str, data: &Value) -> Result<Value, String> {
        let expression =
            format!("let data = builtins.fromJSON (builtins.getEnv \"DATA\"); in {expression}");
        let out = self
            .command("nix-instantiate")
            .args([
                "--store", "dummy://", "--eval", "--strict", "--json", "--expr",
            ])
            .arg(&expression)
            .env("DATA", data.to_string())
            .output()
            .unwrap();
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).into_owned());
        }
        Ok(serde_json::from_slice(&out.stdout).unwrap())
    }

    /// The same where it must have a value.
    pub(crate) fn eval(&self, expression: &str, data: &Value) -> Value {
        self.try_eval(expression, data)
            .unwrap_or_else(|error| panic!("{expression}\n{error}"))
    }
}

impl Nixpkgs {
    /// The path of `lib`, as Nix text.
    pub(crate) fn lib_literal(&self) -> String {
        literal(&self.lib)
    }

    /// `import tests/nix/NAME.nix { nixpkgs and lib }` with more arguments, as Nix text.
    pub(crate) fn import(&self, name: &str, more: &str) -> String {
        format!(
            "(import ./tests/nix/{name}.nix {{ nixpkgs = {}; libPath = {}; {more} }})",
            literal(&self.path),
            literal(&self.lib)
        )
    }
}

/// A path as Nix text, whatever is in it.
fn literal(path: &Path) -> String {
    format!("(/. + {})", Value::from(path.to_str().unwrap()))
}

/// Says that a test, or a part of it, is not run for want of a tree of nixpkgs, which no test fetches:
/// the one thing that may lack where `CI` is set, since another workflow has it.
pub(crate) fn pass_over(test: &str, because: &str) {
    eprintln!("SKIPPED: {test} because {because}");
}

/// The names of the examples that have a config.nix.
pub(crate) fn examples() -> Vec<String> {
    let folder = Path::new(ROOT).join("examples");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| folder.join(name).join("config.nix").exists())
        .collect();
    names.sort();
    assert!(names.len() >= 6, "{names:?}");
    names
}

/// The generated JSON Schema of the configuration.
pub(crate) fn schema() -> Value {
    let file = Path::new(ROOT).join("schema/json/config.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}
