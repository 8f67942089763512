//! What tests tried and what came of it, for the table in docs/reliability.md.

use std::{fs::File, io::Write as _};

use serde_json::json;

/// Notes that something was tried so often, of so many times that it could have been, and what came of it. The
/// file that the environment's `BACKUP_EVIDENCE` names gets a line; without it nothing is noted. `./test --long`
/// makes the page of it, where lines that say the same are one row.
pub fn keep_evidence(what: &str, times: u64, of: Option<u64>, came_of: &str) {
    let Some(path) = std::env::var_os("BACKUP_EVIDENCE") else {
        return;
    };
    let row = json!({ "what": what, "times": times, "of": of, "came_of": came_of });
    let file = File::options().create(true).append(true).open(path);
    // In one go, since several tests write to it at once.
    file.unwrap()
        .write_all(format!("{row}\n").as_bytes())
        .unwrap();
}
