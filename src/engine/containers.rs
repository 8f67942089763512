//! What this machine has to start services of a drill in.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use executor::trust;
use planner::drill::SystemdFact;
use schema::Config;

use super::destination::host_name;

/// Where NixOS has the system that runs.
const SYSTEM: &str = "/run/current-system";
/// Where systemd-nspawn may stand.
const NSPAWN: [&str; 3] = [
    "/run/current-system/sw/bin/systemd-nspawn",
    "/usr/bin/systemd-nspawn",
    "/bin/systemd-nspawn",
];
/// Where systemd may stand.
const INIT: [&str; 3] = [
    "/run/current-system/systemd/lib/systemd/systemd",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
];

/// What a container for a service can be made of, or why there can be none, with what to do about it.
pub(super) fn look_at_systemd() -> Result<SystemdFact, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("only root can boot a container (`sudo backup drill`)".to_owned());
    }
    let found = find_systemd()?;
    match trust::find_distrust(Path::new(&found.nspawn)) {
        Ok(None) => Ok(found),
        Ok(Some(distrust)) => Err(format!(
            "{} is not to be trusted: {}",
            found.nspawn, distrust.because
        )),
        Err(error) => Err(format!("{} cannot be looked at: {error}", found.nspawn)),
    }
}

/// That services are to be started, and this machine has nothing to do that with.
pub(super) fn missing_container(config: &Config) -> Option<String> {
    let drill = &config.monitoring.drill;
    let check = drill.checks.iter().find(|check| check.unit().is_some())?;
    let because = find_systemd().err()?;
    Some(format!(
        "monitoring.drill.checks: {check} cannot be tried here: {because}\n  hint: install it, or check with an \
         executable"
    ))
}

fn find_systemd() -> Result<SystemdFact, String> {
    let is_program = |path: &&&str| {
        let found = fs::metadata(path);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let nspawn = NSPAWN.iter().find(is_program);
    let nspawn = nspawn.and_then(|path| fs::canonicalize(path).ok());
    let nspawn = nspawn.as_ref().and_then(|path| path.to_str());
    let nspawn = nspawn.ok_or(
        "there is no systemd-nspawn on this machine (Debian, Fedora and others have it in systemd-container)",
    )?;
    let init = INIT.iter().find(is_program);
    let init = init.ok_or("there is no systemd on this machine")?;
    let system = fs::canonicalize(SYSTEM).ok();
    Ok(SystemdFact {
        nspawn: nspawn.to_owned(),
        init: (*init).to_owned(),
        system: system.and_then(|path| path.to_str().map(str::to_owned)),
        host_name: host_name(),
    })
}
