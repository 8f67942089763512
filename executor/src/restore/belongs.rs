//! To whom restored entries belong on this machine, where numbers may mean others than on theirs.

use std::{collections::BTreeMap, sync::Arc};

use schema::escape::display;

use crate::{manifest::Entry, sys::owners};

/// Names that are told as examples.
const NAMED: usize = 3;

/// Names that are not known here, each with the number that its entries keep.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    users: BTreeMap<(Arc<str>, u32), u64>,
    groups: BTreeMap<(Arc<str>, u32), u64>,
}

impl Unknown {
    /// Gives an entry the numbers that its user and group have here.
    pub(super) fn by_name(&mut self, entry: &mut Entry) {
        if let Some(name) = &entry.owners.user {
            match owners::user_number(name) {
                Some(uid) => entry.uid = uid,
                None => *self.users.entry((Arc::clone(name), entry.uid)).or_default() += 1,
            }
        }
        if let Some(name) = &entry.owners.group {
            match owners::group_number(name) {
                Some(gid) => entry.gid = gid,
                None => {
                    *self
                        .groups
                        .entry((Arc::clone(name), entry.gid))
                        .or_default() += 1
                }
            }
        }
    }

    /// What to say of them, once for all; none where all names are known.
    pub(super) fn note(&self) -> Option<String> {
        let users = message_of("user", &self.users, owners::user_name);
        let groups = message_of("group", &self.groups, owners::group_name);
        let all: Vec<String> = users.into_iter().chain(groups).collect();
        (!all.is_empty()).then(|| {
            format!(
                "what belongs to names that are not known here keeps its numbers: {}",
                all.join("; ")
            )
        })
    }
}

fn message_of(
    what: &str,
    unknown: &BTreeMap<(Arc<str>, u32), u64>,
    name_here: impl Fn(u32) -> Option<Arc<str>>,
) -> Option<String> {
    let named = unknown.iter().take(NAMED).map(|((name, number), count)| {
        let here = name_here(*number);
        let here = here.map_or_else(String::new, |here| {
            format!(", which is {} here", display(here.as_bytes()))
        });
        let entries = if *count == 1 { "entry" } else { "entries" };
        let name = display(name.as_bytes());
        format!("{what} {name} is {number}{here} ({count} {entries})")
    });
    let mut named: Vec<String> = named.collect();
    let more = unknown.len().saturating_sub(NAMED);
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    (!named.is_empty()).then(|| named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_counts_more_than_its_number_and_an_unknown_one_is_told() {
        let mut unknown = Unknown::default();
        let line =
            "./a type=file mode=0644 uid=4000000123 gid=0 uname=root gname=nobodys\\040group";
        let mut entry = Entry::from_line(line).unwrap();
        unknown.by_name(&mut entry);
        assert_eq!((entry.uid, entry.gid), (0, 0));
        let note = unknown.note().unwrap();
        let root = owners::group_name(0).unwrap();
        assert!(
            note.ends_with(&format!(
                "group nobodys group is 0, which is {root} here (1 entry)"
            )),
            "{note}"
        );
        assert_eq!(Unknown::default().note(), None);
    }
}
