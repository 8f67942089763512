//! Which rsync there is, by asking it.

use std::{
    io::Read as _,
    process::{Command, Stdio},
};

use schema::{escape, rsync::RsyncFound};

use crate::{error::reason, snapshot::rsync::environment};

/// Bytes that are read of what it says.
const MOST: u64 = 64 << 10;

/// Runs `rsync --version`.
#[must_use]
pub fn rsync() -> RsyncFound {
    let mut command = Command::new("rsync");
    environment(&mut command);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let output = command.spawn().and_then(|mut child| {
        let mut said = Vec::new();
        if let Some(output) = child.stdout.take() {
            output.take(MOST).read_to_end(&mut said)?;
        }
        child.wait()?;
        Ok(said)
    });
    let not = |fault: String| RsyncFound {
        version: None,
        fault: Some(fault),
    };
    let said = match output {
        Ok(said) => said,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return not("there is no rsync on the PATH".to_owned());
        }
        Err(error) => return not(format!("it cannot be run: {}", reason(&error))),
    };
    match version(&said) {
        Some(version) => RsyncFound {
            version: Some(version),
            fault: None,
        },
        None => {
            let line = said.split(|byte| *byte == b'\n').next().unwrap_or_default();
            not(format!(
                "`rsync --version` tells no version of it: {}",
                escape::display(line)
            ))
        }
    }
}

/// The version in `rsync  version 3.5.0  protocol version 32`. Other programs of the name, such as
/// openrsync, say it in another way.
fn version(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let mut words = text.lines().next()?.split_ascii_whitespace();
    let is_rsync = words.next()? == "rsync" && words.next()? == "version";
    let version = words.next()?;
    let is_version = version
        .trim_start_matches('v')
        .starts_with(|first: char| first.is_ascii_digit());
    (is_rsync && is_version).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_read_from_rsync_and_from_nothing_else() {
        let of = |text: &str| version(text.as_bytes());
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
