//! Files that this program made, told by how they begin.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Whether a regular file begins like this; none where nothing has its name. A symlink is none of ours, wherever
/// it leads, nor is what cannot be read.
pub(super) fn begins_with(path: &Path, header: &str) -> Option<bool> {
    match path.symlink_metadata() {
        Ok(found) => Some(found.is_file() && reads_as(path, header)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(_) => Some(false),
    }
}

fn reads_as(path: &Path, header: &str) -> bool {
    // A pipe that takes its place meanwhile would be waited for.
    let flags = nix::libc::O_NONBLOCK | nix::libc::O_NOFOLLOW;
    let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path) else {
        return false;
    };
    let mut start = Vec::new();
    let read = file.take(header.len() as u64).read_to_end(&mut start);
    read.is_ok() && start == header.as_bytes()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_this_program_made_is_told_from_all_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("ours"), "# ours\nand more").unwrap();
        std::fs::write(at("short"), "# ou").unwrap();
        symlink("ours", at("link")).unwrap();
        symlink("nothing", at("dangling")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        let status = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status();
        assert!(status.unwrap().success());
        for (name, expected) in [
            ("ours", Some(true)),
            ("short", Some(false)),
            ("link", Some(false)),
            ("dangling", Some(false)),
            ("folder", Some(false)),
            ("pipe", Some(false)),
            ("none", None),
        ] {
            assert_eq!(begins_with(&at(name), "# ours\n"), expected, "{name}");
        }
    }
}
