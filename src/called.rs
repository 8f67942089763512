//! How this program is called, so that commands in its texts can be pasted.

use std::{os::unix::ffi::OsStrExt as _, path::Path};

use schema::shell;

/// The name of the program, where the shell finds this very one by it.
const NAME: &str = "backup";

/// The first word of a command line that calls this program: its name, or its path where the shell would
/// not find it by that.
pub(crate) fn program_word() -> String {
    std::env::current_exe().map_or_else(|_| NAME.to_owned(), |program| word_of(&program))
}

/// The same for the program at another path.
pub(crate) fn word_of(program: &Path) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(NAME));
    // The first of the name is the one that is called.
    let first = found.find(|path| path.is_file());
    if first.is_some_and(|first| is_same(&first, program)) {
        return NAME.to_owned();
    }
    shell::word(program.as_os_str().as_bytes())
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some() && real(one) == real(other)
}
