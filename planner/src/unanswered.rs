//! What is said of a file system that does not answer any more.

use std::path::Path;

use schema::{Config, escape};

/// What a mount point that fell silent is to a configuration, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// A sentence that names the path, and the option that names it.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// Says what fell silent: the destination, a source, or something else; without a configuration that
/// is not known.
#[must_use]
pub fn describe_unanswered(config: Option<&Config>, mount_point: &Path) -> Unanswered {
    let local = config.map(|config| &config.local);
    let is_in = |path: &Path| path.starts_with(mount_point);
    let is_destination =
        local.is_some_and(|local| local.enable && is_in(local.mount_point.as_path()));
    let is_source = local.is_some_and(|local| local.sources.iter().any(|one| is_in(one.as_path())));
    let (what, option, hint) = if is_destination {
        (
            "the destination does not answer any more",
            " (local.mountPoint)",
            "look after the drive, the server or the connection; then run `backup apply`, which \
             continues where it stopped",
        )
    } else if is_source {
        (
            "a source does not answer any more",
            " (local.sources)",
            "look after the server or the program behind it, or unmount it; `backup apply` goes on, \
             and leaves it out while it does not answer",
        )
    } else {
        (
            "a file system does not answer any more",
            "",
            "look after the server or the program behind it, or unmount it; then try again",
        )
    };
    Unanswered {
        message: format!(
            "{what}: {}{option}",
            escape::display(mount_point.as_os_str().as_encoded_bytes())
        ),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fell_silent_is_named_by_its_option() {
        let config: Config = serde_json::from_value(serde_json::json!({
            "local": {"enable": true, "mountPoint": "/mnt/backup", "sources": ["/srv/photos"]},
        }))
        .unwrap();
        let said = |config: Option<&Config>, path: &str| {
            describe_unanswered(config, Path::new(path)).message
        };
        assert_eq!(
            said(Some(&config), "/mnt"),
            "the destination does not answer any more: /mnt (local.mountPoint)"
        );
        assert_eq!(
            said(Some(&config), "/srv"),
            "a source does not answer any more: /srv (local.sources)"
        );
        let other = "a file system does not answer any more: /home";
        assert_eq!(said(Some(&config), "/home"), other);
        assert_eq!(said(None, "/home"), other);
        let mut off = config;
        off.local.enable = false;
        let said = said(Some(&off), "/mnt/backup");
        assert!(said.starts_with("a file system"), "{said}");
    }
}
