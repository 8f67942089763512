//! What is worth backing up, and which engine copies it.

use schema::setup::Surroundings;

use super::{answers::CopyEngine, places::is_within};
use crate::findings::rsync::rsync_is_usable;

/// The folders that are proposed: a user's own home; for root all homes, that of root, and the system's
/// configuration, as far as they are there.
///
/// On NixOS that is what the system is built from, and not the links in `/etc`.
#[must_use]
pub fn propose_sources(found: &Surroundings) -> Vec<String> {
    if !found.is_root {
        return vec![found.home.clone()];
    }
    let configuration = if found.is_nixos { NIXOS } else { "/etc" };
    let is_of_the_system = |folder: &str| folder == "/etc" || folder == NIXOS;
    let mut sources: Vec<String> = Vec::new();
    for folder in &found.folders {
        if is_of_the_system(folder) && folder != configuration {
            continue;
        }
        if !sources.iter().any(|source| is_within(folder, source)) {
            sources.retain(|source| !is_within(source, folder));
            sources.push(folder.clone());
        }
    }
    sources
}

const NIXOS: &str = "/etc/nixos";

/// The engine that copies: rsync where it can be used, which is what the configuration says by itself.
#[must_use]
pub fn propose_engine(found: &Surroundings) -> CopyEngine {
    match &found.rsync {
        Some(version) if rsync_is_usable(version) => CopyEngine::Rsync,
        _ => CopyEngine::Builtin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(is_root: bool, folders: &[&str], rsync: Option<&str>) -> Surroundings {
        Surroundings {
            is_root,
            home: "/home/ann".to_owned(),
            folders: folders.iter().map(|one| (*one).to_owned()).collect(),
            rsync: rsync.map(str::to_owned),
            ..Surroundings::default()
        }
    }

    #[test]
    fn root_is_proposed_all_homes_once_and_a_user_the_own_one() {
        let of = |folders: &[&str]| propose_sources(&found(true, folders, None));
        assert_eq!(
            of(&["/home", "/home/ann", "/srv/bob", "/root", "/etc"]),
            ["/home", "/srv/bob", "/root", "/etc"]
        );
        assert_eq!(of(&["/home/ann", "/home"]), ["/home"]);
        let folders = ["/home", "/etc", "/etc/nixos"];
        assert_eq!(of(&folders), ["/home", "/etc"]);
        let on_nixos = Surroundings {
            is_nixos: true,
            ..found(true, &folders, None)
        };
        assert_eq!(propose_sources(&on_nixos), ["/home", "/etc/nixos"]);
        assert_eq!(of(&[]), [""; 0]);
        assert_eq!(
            propose_sources(&found(false, &["/home", "/etc"], None)),
            ["/home/ann"]
        );
    }

    #[test]
    fn without_a_usable_rsync_the_built_in_engine_is_proposed() {
        let of = |version| propose_engine(&found(true, &[], version));
        assert_eq!(of(Some("3.4.1")), CopyEngine::Rsync);
        assert_eq!(of(Some("3.1.3")), CopyEngine::Builtin);
        assert_eq!(of(None), CopyEngine::Builtin);
    }
}
