//! Finding out which names a file system can hold.
//!
//! A name is held only if the folder then lists the very same bytes: some file systems replace
//! characters, drop a dot at the end or write letters in another way.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use rustix::io::Errno;
use schema::record::NameLimits;

use super::tries::Tries;
use crate::sys::Dir;

/// The characters that Windows and its file systems refuse.
const SUSPECTS: &[u8] = b"\"*:<>?\\|";
/// The longest name on Linux, in bytes.
const LONGEST: usize = 255;

/// What the names in a folder cannot hold, and how many bytes they can have.
pub(super) fn probe_names(dir: &Dir, tries: &Tries) -> Result<(NameLimits, u32), Errno> {
    let around = |byte: u8| vec![b'a', byte, b'b'];
    let suspects: Vec<_> = SUSPECTS.iter().map(|byte| around(*byte)).collect();
    let control = [b"a\x01b".to_vec(), b"a\nb".to_vec(), b"a\x7fb".to_vec()];
    let ends = [b"dot.".to_vec(), b"blank ".to_vec()];
    let bytes = [b"a\xffb".to_vec()];
    // A letter with its accent, and the same as two characters.
    let (one, two) = ("\u{e9}".as_bytes(), "e\u{301}".as_bytes());
    let forms = [one.to_vec(), two.to_vec()];

    // One name with all of it first: most file systems hold that, and each try costs several questions.
    let all = [b"a", SUSPECTS, b"\x01\n\x7fb."].concat();
    let few = [all.clone(), b"blank ".to_vec(), bytes[0].clone()];
    let mut found = hold_names(dir, &[&few[..], &forms].concat(), tries)?;
    if found.contains(&all) {
        found.extend(suspects.iter().chain(&control).chain(&ends[..1]).cloned());
    } else {
        let each = [&suspects[..], &control, &ends[..1]].concat();
        found.extend(hold_names(dir, &each, tries)?);
    }
    let held = |name: &Vec<u8>| found.contains(name);
    let refused = suspects.iter().filter(|name| !held(name));
    let limits = NameLimits {
        refused: refused.map(|name| char::from(name[1])).collect(),
        no_control: !control.iter().all(held),
        no_dot_or_blank_at_end: !ends.iter().all(held),
        only_utf8: !bytes.iter().all(held),
        one_unicode_form: !forms.iter().all(held),
    };
    Ok((limits, longest_name(dir, tries)?))
}

/// Which of these names a folder holds.
fn hold_names(dir: &Dir, names: &[Vec<u8>], tries: &Tries) -> Result<HashSet<Vec<u8>>, Errno> {
    let names = names.iter();
    let made: Vec<_> = names
        .filter(|name| make_empty_file(dir, name, tries))
        .collect();
    let listed: HashSet<OsString> = dir.names()?.into_iter().collect();
    let held = made.into_iter();
    let held = held.filter(|name| listed.contains(OsStr::from_bytes(name)));
    Ok(held.cloned().collect())
}

/// Makes an empty file that was not there before; says whether it could.
fn make_empty_file(dir: &Dir, name: &[u8], tries: &Tries) -> bool {
    let made = dir.new_file(OsStr::from_bytes(name), 0o600);
    tries.done(made).is_some()
}

/// The longest name, in bytes. What the file system says of itself may be in characters.
fn longest_name(dir: &Dir, tries: &Tries) -> Result<u32, Errno> {
    let holds = |length: usize| {
        let name = OsString::from_vec(vec![b'n'; length]);
        let made = make_empty_file(dir, name.as_bytes(), tries);
        Ok(made && dir.names()?.contains(&name))
    };
    let (mut fits, mut limit) = (1, LONGEST + 1);
    let mut length = LONGEST;
    while limit - fits > 1 {
        if holds(length)? {
            fits = length;
        } else {
            limit = length;
        }
        length = usize::midpoint(fits, limit);
    }
    Ok(u32::try_from(fits).unwrap_or(u32::MAX))
}
