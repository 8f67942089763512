//! That what rsync copied is taken over, whoever reads it.

use std::{collections::BTreeSet, fs};

use super::{FIRST, hostile, inodes, lab, rest, with_script};
use crate::lab::run_command;

#[test]
fn what_rsync_copied_is_not_copied_again() {
    // Read by this very thread, and by others.
    for threads in ["1", "2"] {
        is_not_copied_again(threads);
    }
}

fn is_not_copied_again(threads: &str) {
    let Some(lab) = lab() else { return };
    hostile(&lab);
    rest();
    let script = "\"$real\" \"$@\" || exit $?\nfind . -type f -printf '%i %f\\0' > \"$lab/inodes\"";
    let arguments = ["--threads", threads, "apply", "--now", FIRST];
    run_command(with_script(&lab, script, &arguments), &arguments).expect(0);
    let by_rsync = fs::read(lab.path("inodes")).unwrap();
    let by_rsync: BTreeSet<String> = by_rsync
        .split(|byte| *byte == 0)
        .filter(|line| !line.is_empty())
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let sealed: BTreeSet<String> = inodes(&lab.inside("latest", "home"))
        .iter()
        .map(|(path, inode)| format!("{inode} {}", path.file_name().unwrap().to_string_lossy()))
        .collect();
    // The further names of a file are links of our own. Which of them a thread comes to first is
    // chance: it may be one that rsync did not make.
    let copied_again: Vec<_> = by_rsync
        .difference(&sealed)
        .filter(|line| !line.ends_with(" alink"))
        .collect();
    assert!(
        by_rsync.len() > 20 && copied_again.is_empty(),
        "{copied_again:?}"
    );
}
