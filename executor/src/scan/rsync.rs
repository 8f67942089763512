//! Finds out which rsync there is, by asking it.

use std::process::Command;

use schema::rsync::RsyncFound;

use crate::process::{ask_version, isolate_environment};

/// Runs `rsync --version`.
#[must_use]
pub fn find_rsync() -> RsyncFound {
    let mut command = Command::new("rsync");
    isolate_environment(&mut command);
    match ask_version(command.arg("--version"), parse_version) {
        Ok(version) => RsyncFound {
            version: Some(version),
            fault: None,
        },
        Err(fault) => RsyncFound {
            version: None,
            fault: Some(fault),
        },
    }
}

/// The version in `rsync  version 3.5.0  protocol version 32`. Other programs of the name, such as
/// openrsync, say it in another way.
fn parse_version(line: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let is_rsync = words.next()? == "rsync" && words.next()? == "version";
    let version = words.next()?;
    let is_version = version
        .trim_start_matches('v')
        .starts_with(|first: char| first.is_ascii_digit());
    (is_rsync && is_version).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn the_version_is_read_from_rsync_and_from_nothing_else() {
        let of = parse_version;
        let good = "rsync  version 3.5.0  protocol version 32\nCopyright\n";
        assert_eq!(of(good).as_deref(), Some("3.5.0"));
        assert_eq!(
            of("rsync version v3.4.1dev protocol").as_deref(),
            Some("v3.4.1dev")
        );
        for other in [
            "openrsync: protocol version 29, rsync version 2.6.9 compatible",
            "rsync version",
            "rsync version unknown",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
