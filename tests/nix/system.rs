//! The module within a whole NixOS.

use serde_json::{Value, json};

use crate::lab::Nix;

#[test]
fn without_enable_the_system_is_the_same_to_the_bit() {
    let Some((nix, nixpkgs)) = Nix::with_nixos("without_enable_the_system_is_the_same_to_the_bit")
    else {
        return;
    };
    let toplevel = |more: &str| {
        let system = nixpkgs.import("system", more);
        nix.eval(
            &format!("{system}.system.config.system.build.toplevel.drvPath"),
            &Value::Null,
        )
    };
    let without = toplevel("withModule = false;");
    assert!(without.as_str().unwrap().ends_with(".drv"), "{without}");
    assert_eq!(toplevel(""), without);
    let set = "modules = [ { hwc.system.services.backup.local.enable = true; } ];";
    assert_eq!(toplevel(set), without);
    let enabled = "modules = [ ./examples/quickstart/config.nix ];";
    assert_ne!(toplevel(enabled), without);
}

#[test]
fn a_failed_assertion_ends_the_build_of_the_system() {
    let Some((nix, nixpkgs)) = Nix::with_nixos("a_failed_assertion_ends_the_build_of_the_system")
    else {
        return;
    };
    let system = nixpkgs.import(
        "system",
        "modules = [ ./examples/quickstart/config.nix {
           hwc.system.services.backup = { cloud.enable = true; protonDrive.enable = true; };
         } ];",
    );
    let error = nix
        .try_eval(
            &format!("{system}.system.config.system.build.toplevel.drvPath"),
            &Value::Null,
        )
        .unwrap_err();
    assert!(error.contains("Failed assertions"), "{error}");
    assert!(
        error.contains("hwc.system.services.backup.protonDrive.secretName"),
        "{error}"
    );
    assert!(
        error.contains("cloud.configFile = \"/etc/rclone-proton.conf\""),
        "{error}"
    );
}

#[test]
fn services_backup_is_another_name() {
    let Some((nix, nixpkgs)) = Nix::with_nixos("services_backup_is_another_name") else {
        return;
    };
    let config = |backup: &str, more: &str| {
        let modules = format!(
            "modules = [ {more} {{ {backup} = {{ enable = true; local = {{ enable = true; keepDaily = 3; }}; }}; }} ];"
        );
        let system = nixpkgs.import("system", &modules);
        let text = nix.eval(&format!("{system}.report.config"), &Value::Null);
        serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap()
    };
    let alias = config("services.backup", "./nixos/alias.nix");
    assert_eq!(alias["local"]["keepDaily"], json!(3));
    assert_eq!(alias, config("hwc.system.services.backup", ""));
}

#[test]
fn the_file_is_judged_by_the_program_when_the_system_is_built() {
    let Some((nix, nixpkgs)) =
        Nix::with_nixos("the_file_is_judged_by_the_program_when_the_system_is_built")
    else {
        return;
    };
    let system = nixpkgs.import("system", "modules = [ ./examples/laptop/config.nix ];");
    let found = nix.eval(
        &format!(
            "let inherit ({system}.system) config; in {{
               checks = map (check: check.drvAttrs.buildCommand) config.system.checks;
               file = \"${{config.environment.etc.\"backup/config.json\".source}}\";
               inputs = map (check: map toString check.drvAttrs.nativeBuildInputs) config.system.checks;
               package = \"${{config.hwc.system.services.backup.package}}\";
             }}"
        ),
        &Value::Null,
    );
    let checks: Vec<&str> = found["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let ours: Vec<&&str> = checks
        .iter()
        .filter(|check| check.contains("backup check"))
        .collect();
    let file = found["file"].as_str().unwrap();
    assert_eq!(ours.len(), 1, "{checks:?}");
    assert!(
        ours[0].contains(&format!("backup check {file}")),
        "{checks:?}"
    );
    let inputs = found["inputs"].as_array().unwrap();
    assert!(inputs.contains(&json!([found["package"]])), "{found:#}");
}

#[test]
fn the_commands_and_what_they_call_are_on_the_path() {
    let Some((nix, nixpkgs)) = Nix::with_nixos("the_commands_and_what_they_call_are_on_the_path")
    else {
        return;
    };
    let names = |modules: &str| {
        let system = nixpkgs.import("system", &format!("modules = [ {modules} ];"));
        let names = nix.eval(
            &format!(
                "map (p: (builtins.parseDrvName (p.name or \"\")).name)
                   {system}.system.config.environment.systemPackages"
            ),
            &Value::Null,
        );
        serde_json::from_value::<Vec<String>>(names).unwrap()
    };
    let has = |names: &[String], name: &str| names.iter().any(|found| found == name);
    let scripts = names("./examples/scripts/config.nix");
    assert!(
        has(&scripts, "backup") && has(&scripts, "sqlite"),
        "{scripts:?}"
    );
    assert!(!has(&scripts, "rclone"), "{scripts:?}");
    let cloud = names("./examples/local-and-cloud/config.nix");
    assert!(has(&cloud, "rclone") && has(&cloud, "rsync"), "{cloud:?}");
}
