//! The reader that was written from docs/format.md, in another language than the program.

use std::{path::Path, process::Command};

use crate::{Ran, is_installed, run_command, skip};

/// Reads a folder of this kind (`destination`, `remote`, `history` or `state`) by the page; none, said loudly,
/// where there is no Python or no zstd to read with.
#[track_caller]
pub fn read_by_format_page(test: &str, kind: &str, folder: &Path) -> Option<Ran> {
    for tool in ["python3", "zstd"] {
        if !is_installed(tool) {
            skip(&format!("{test} because {tool} is not installed"));
            return None;
        }
    }
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format/reader.py");
    let mut command = Command::new("python3");
    command.arg(reader).arg(kind).arg(folder);
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    Some(run_command(command, &["format", kind]))
}
