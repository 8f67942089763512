//! What uploads moved out of the way, and what they moved to other names: where a file is now that
//! an upload had under some name then.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::{BufWriter, Write as _},
};

use schema::cloud::{CURRENT, HISTORY};

use super::{
    memory::RemoteCache,
    published,
    rclone::{FileFaults, Rclone, RcloneExit},
};
use crate::{
    error::{Error, Result},
    store::LONGEST_JSON,
};

/// How deep the moves of one file are followed; each night can add one.
const MOST_PLACES: usize = 500;

/// Where a file may be: a folder of the remote, and its name there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HistoryPlace {
    /// Below the host's folder.
    pub folder: String,
    /// The name below that.
    pub name: String,
}

/// What attempts after a certain one have moved.
#[derive(Debug, Default)]
pub struct History {
    /// Files in history folders by name, with the attempt and the folder, the oldest first.
    aside: HashMap<String, Vec<(u64, String)>>,
    /// Names that became others, by attempt.
    moved: BTreeMap<u64, HashMap<String, String>>,
}

/// Name of the list of what an attempt moved within `current`.
#[must_use]
pub fn moved_list(attempt: u64) -> String {
    format!("moved-{attempt}.list")
}

impl History {
    /// Asks the remote for what attempts after this one have moved.
    ///
    /// # Errors
    /// Fails if it cannot be asked.
    pub fn read(
        rclone: &Rclone<'_>,
        cache: &RemoteCache,
        remote: &str,
        after: u64,
    ) -> Result<Self> {
        let mut found: Vec<(String, u64, String)> = Vec::new();
        let mut lists: Vec<(u64, String)> = Vec::new();
        let folder = format!("{remote}/{HISTORY}");
        let options = ["-R", "--files-only"];
        published::list_remote(rclone, cache, &folder, &options, &mut |item| {
            let mut parts = item.path.splitn(3, '/');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(id), Some(attempt), Some(path)) => {
                    if let Ok(number) = attempt.parse::<u64>()
                        && number > after
                    {
                        let folder = format!("{HISTORY}/{id}/{attempt}");
                        found.push((path.to_owned(), number, folder));
                    }
                }
                (Some(_), Some(list), None) => {
                    let number = list.strip_prefix("moved-");
                    let number = number.and_then(|rest| rest.strip_suffix(".list"));
                    if let Some(Ok(number)) = number.map(str::parse::<u64>)
                        && number > after
                    {
                        lists.push((number, item.path.clone()));
                    }
                }
                _ => {}
            }
        })?;
        found.sort_unstable_by_key(|(_, number, _)| *number);
        let mut this = Self::default();
        for (path, number, folder) in found {
            this.aside.entry(path).or_default().push((number, folder));
        }
        this.read_lists(rclone, cache, &folder, &lists)?;
        Ok(this)
    }

    fn read_lists(
        &mut self,
        rclone: &Rclone<'_>,
        cache: &RemoteCache,
        folder: &str,
        lists: &[(u64, String)],
    ) -> Result<()> {
        const LIST: &str = "moved.names";
        const AREA: &str = "moved";
        if lists.is_empty() {
            return Ok(());
        }
        let write = |error| Error::io("write", cache.named(LIST).as_bytes(), error);
        let mut list = BufWriter::new(cache.new_file(LIST)?);
        for (_, path) in lists {
            writeln!(list, "{path}").map_err(write)?;
        }
        list.flush().map_err(write)?;
        let area = cache.empty_area(AREA, rclone.context)?;
        let (to, names) = (cache.named(AREA), cache.named(LIST));
        let arguments = [
            "copy",
            folder,
            &to,
            "--files-from-raw",
            &names,
            "--no-traverse",
        ];
        rclone.must(&arguments, &|| Ok(None))?;
        for (number, path) in lists {
            let read = || -> Option<Vec<u8>> {
                let (dir, name) = area.descend(path.as_bytes()).ok()?;
                dir.read_whole(name.to_str()?, LONGEST_JSON).ok().flatten()
            };
            // What cannot be read names nothing: the files may be found under other names.
            let text = read().and_then(|bytes| String::from_utf8(bytes).ok());
            let moved = self.moved.entry(*number).or_default();
            for line in text.unwrap_or_default().lines() {
                if let Some((from, to)) = line.split_once('\t') {
                    moved.insert(from.to_owned(), to.to_owned());
                }
            }
        }
        Ok(())
    }

    /// Where a file of an upload may be now, the likeliest last.
    #[must_use]
    pub fn places(&self, name: &str, uploaded: u64) -> Vec<HistoryPlace> {
        let mut places: Vec<HistoryPlace> = Vec::new();
        let mut currents: Vec<HistoryPlace> = Vec::new();
        let mut seen: HashSet<(String, u64)> = HashSet::new();
        let mut names = std::collections::VecDeque::from([(name.to_owned(), uploaded)]);
        while let Some((name, after)) = names.pop_front() {
            if places.len() + currents.len() > MOST_PLACES || !seen.insert((name.clone(), after)) {
                continue;
            }
            for (number, folder) in self.aside.get(&name).into_iter().flatten() {
                if *number > after {
                    places.push(HistoryPlace {
                        folder: folder.clone(),
                        name: name.clone(),
                    });
                }
            }
            let later = self.moved.range(after.saturating_add(1)..);
            for (number, moved) in later {
                if let Some(to) = moved.get(&name) {
                    names.push_back((to.clone(), *number));
                }
            }
            currents.push(HistoryPlace {
                folder: CURRENT.to_owned(),
                name,
            });
        }
        // Where nothing moved the name's own file in `current` is the only one. Else what it became
        // goes before, since it has other content now.
        if currents.len() > 1 {
            currents.rotate_left(1);
        }
        places.extend(currents);
        let mut once = HashSet::new();
        places.retain(|place| once.insert(place.clone()));
        places.reverse();
        places
    }

    /// All names below `current` whose content these attempts may have changed.
    #[must_use]
    pub fn touched(self) -> HashSet<String> {
        let mut names: HashSet<String> = self.aside.into_keys().collect();
        for moved in self.moved.into_values() {
            for (from, to) in moved {
                names.extend([from, to]);
            }
        }
        names
    }
}

/// Has rclone bring files from a folder of the remote to a folder here, under other names if need
/// be; single files that it cannot bring are no hindrance.
///
/// # Errors
/// Fails if the remote cannot be reached.
pub fn download_moved(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    remote: &str,
    to: &str,
    wanted: &[(HistoryPlace, String)],
) -> Result<()> {
    let mut by_folder: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (place, name) in wanted {
        let names = by_folder.entry(&place.folder).or_default();
        names.push((&place.name, name));
    }
    for (folder, names) in by_folder {
        let from = format!("{remote}/{folder}");
        for group in super::difference::moves::group_moves(names) {
            let (from, to) = (path_below(&from, &group.from), path_below(to, &group.to));
            if group.names.is_empty() {
                let arguments = ["copyto", &from, &to, "--ignore-times"];
                is_tolerable(rclone, remote, &arguments)?;
            } else {
                copy_list(rclone, cache, remote, (&from, &to), &group.names)?;
            }
        }
    }
    Ok(())
}

fn path_below(folder: &str, name: &str) -> String {
    if name.is_empty() {
        folder.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

fn copy_list(
    rclone: &Rclone<'_>,
    cache: &RemoteCache,
    remote: &str,
    (from, to): (&str, &str),
    names: &[String],
) -> Result<()> {
    const LIST: &str = "download.list";
    let write = |names: &[&String]| -> Result<()> {
        let io = |error| Error::io("write", cache.named(LIST).as_bytes(), error);
        let mut list = BufWriter::new(cache.new_file(LIST)?);
        for name in names {
            writeln!(list, "{name}").map_err(io)?;
        }
        list.flush().map_err(io)
    };
    write(&names.iter().collect::<Vec<_>>())?;
    let list = cache.named(LIST);
    let arguments = [
        "copy",
        from,
        to,
        "--files-from-raw",
        &list,
        "--no-traverse",
        "--ignore-times",
    ];
    if is_tolerable(rclone, remote, &arguments)? {
        return Ok(());
    }
    // One name that the remote cannot have ends a whole call of older versions (1.60.1): what it
    // lists it can give.
    let mut there = HashSet::new();
    published::list_remote(rclone, cache, from, &["-R", "--files-only"], &mut |item| {
        there.insert(item.path);
    })?;
    let left: Vec<&String> = names.iter().filter(|name| there.contains(*name)).collect();
    if left.len() < names.len() && !left.is_empty() {
        write(&left)?;
        is_tolerable(rclone, remote, &arguments)?;
    }
    Ok(())
}

/// Whether a call ended well; that it did not reach the remote is an error.
///
/// A file whose content is rotten may make rclone speak as of a lost connection. Such files are no
/// hindrance where the remote still answers; a remote that gives out lists but no files, as one does
/// whose quota is used up, is.
fn is_tolerable(rclone: &Rclone<'_>, remote: &str, arguments: &[&str]) -> Result<bool> {
    let mut tries = 2;
    loop {
        tries -= 1;
        let mut told = FileFaults::quiet();
        match rclone.call(arguments, None, &mut told, &mut |_| Ok(()))? {
            RcloneExit::Well => return Ok(true),
            RcloneExit::Badly {
                connection: true,
                message,
            } if !told.is_of_files() => return Err(rclone.failed(true, &message)),
            RcloneExit::Badly {
                connection: true, ..
            } => {
                // Fails as any call does that finds no connection.
                rclone.must(&["lsf", "--max-depth", "1", remote], &|| Ok(None))?;
                if tries == 0 {
                    return Ok(false);
                }
            }
            RcloneExit::NotThere | RcloneExit::Badly { .. } => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        let aside = [("a", 2, "h/1/2"), ("a", 5, "h/4/5"), ("c", 7, "h/6/7")];
        for (name, number, folder) in aside {
            let one = history.aside.entry(name.to_owned()).or_default();
            one.push((number, folder.to_owned()));
        }
        for (number, from, to) in [(4, "b", "c"), (8, "x", "b")] {
            let moved = history.moved.entry(number).or_default();
            moved.insert(from.to_owned(), to.to_owned());
        }
        history
    }

    fn places(name: &str, uploaded: u64) -> Vec<String> {
        let found = history().places(name, uploaded);
        let shown = found.iter().rev();
        shown
            .map(|place| format!("{}/{}", place.folder, place.name))
            .collect()
    }

    #[test]
    fn what_was_replaced_since_is_in_the_first_history_after_it() {
        assert_eq!(places("a", 1), ["h/1/2/a", "h/4/5/a", "current/a"]);
        assert_eq!(places("a", 2), ["h/4/5/a", "current/a"]);
        assert_eq!(places("a", 5), ["current/a"]);
    }

    #[test]
    fn what_moved_is_looked_for_under_its_later_names() {
        assert_eq!(places("b", 1), ["h/6/7/c", "current/c", "current/b"]);
        assert_eq!(places("b", 4), ["current/b"]);
        assert_eq!(places("x", 1), ["current/b", "current/x"]);
    }

    #[test]
    fn names_that_changed_their_places_again_and_again_come_to_an_end() {
        let mut history = History::default();
        for number in 1..2000 {
            let (from, to) = if number % 2 == 0 {
                ("a", "b")
            } else {
                ("b", "a")
            };
            let moved = history.moved.entry(number).or_default();
            moved.insert(from.to_owned(), to.to_owned());
        }
        let found = history.places("a", 0);
        assert!(found.iter().any(|place| place.name == "b"));
        assert_eq!(found.len(), 2);
    }
}
