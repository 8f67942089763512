//! The readers that were written from docs/format.md, in another language than the program.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Stdio},
};

use crate::{Ran, is_installed, run_command, skip};

/// Reads a folder of this kind (`destination`, `remote`, `history` or `state`) by the page; none, said loudly,
/// where there is no Python or no zstd to read with.
#[track_caller]
pub fn read_by_format_page(test: &str, kind: &str, folder: &Path) -> Option<Ran> {
    let words = [OsStr::new(kind), folder.as_os_str()];
    run_python(test, "tests/format/reader.py", &words)
}

/// Checks all snapshots in a host's folder, or one, with the reader of the examples; none as above.
#[track_caller]
pub fn check_with_example(test: &str, folder: &Path, id: Option<&str>) -> Option<Ran> {
    let words = [OsStr::new("check"), folder.as_os_str()];
    let words: Vec<&OsStr> = words.into_iter().chain(id.map(OsStr::new)).collect();
    run_python(test, "examples/reader/reader.py", &words)
}

/// Lists them.
#[track_caller]
pub fn list_with_example(test: &str, folder: &Path) -> Option<Ran> {
    let words = [OsStr::new("list"), folder.as_os_str()];
    run_python(test, "examples/reader/reader.py", &words)
}

/// Makes `to` with it what `path` was in a snapshot.
#[track_caller]
pub fn restore_with_example(
    test: &str,
    folder: &Path,
    id: &str,
    [path, to]: [&Path; 2],
) -> Option<Ran> {
    let words = [
        OsStr::new("restore"),
        folder.as_os_str(),
        OsStr::new(id),
        path.as_os_str(),
        to.as_os_str(),
    ];
    run_python(test, "examples/reader/reader.py", &words)
}

#[track_caller]
fn run_python(test: &str, script: &str, words: &[&OsStr]) -> Option<Ran> {
    for tool in ["python3", "zstd"] {
        if !is_installed(tool) {
            skip(&format!("{test} because {tool} is not installed"));
            return None;
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new("python3");
    command.arg(root.join(script)).args(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(run_command(command, &[script]))
}
