//! Moving files on the remote that have other names in the snapshot, instead of uploading them.
//!
//! They leave `current` with all that makes room there, and come back from the attempt's history
//! folder under their new names: so no file can stand in another one's way, whatever changed places
//! with what. Which became which is written beside that folder before, for whoever looks for the old
//! names. What does not arrive is uploaded.

use std::{
    collections::{HashMap, HashSet},
    io::{BufReader, BufWriter, Write as _},
};

use schema::cloud::{CURRENT, HISTORY};

use super::{
    super::{
        difference::{Difference, moves},
        hashes,
        history::moved_list,
        memory::MOVED,
        published,
        rclone::{FileFaults, RcloneExit},
    },
    context::{UPLOAD, Upload},
};
use crate::{
    bounded::{BoundedLines, LONGEST_LISTED_LINE},
    error::{Error, Result},
};

/// Most calls for moving: beyond that many pairs of folders, uploading is no more work.
const CALLS: usize = 200;
/// Names of what is moved by one call.
const LIST: &str = "move.list";

impl Upload<'_> {
    /// Whether the remote moves files by itself.
    pub(super) fn can_move(&self) -> Result<bool> {
        hashes::can_move(&self.rclone, &self.cache, &self.step.remote)
    }

    /// Takes what is moved off the list of what is uploaded.
    pub(super) fn without_moved(&self, found: &Difference) -> Result<()> {
        const NEW: &str = "upload.new";
        if found.moves.is_empty() {
            return Ok(());
        }
        let moved: HashSet<&str> = found.moves.iter().map(|one| one.to.as_str()).collect();
        let mut list = BufWriter::new(self.cache.new_file(NEW)?);
        let io = |error| Error::io("write", self.cache.named(NEW).as_bytes(), error);
        for line in BoundedLines::new(
            BufReader::new(self.cache.file(UPLOAD)?),
            LONGEST_LISTED_LINE,
        ) {
            let line = line.map_err(io)?;
            if !moved.contains(line.as_str()) {
                writeln!(list, "{line}").map_err(io)?;
            }
        }
        list.flush().map_err(io)?;
        self.cache.replace(NEW.as_ref(), UPLOAD.as_ref())
    }

    /// Writes on the remote what is going to be moved there.
    pub(super) fn tell_moves(&self, found: &Difference) -> Result<()> {
        const TOLD: &str = "moved.list";
        if found.moves.is_empty() {
            return Ok(());
        }
        let mut list = BufWriter::new(self.cache.new_file(TOLD)?);
        let io = |error| Error::io("write", self.cache.named(TOLD).as_bytes(), error);
        for one in &found.moves {
            writeln!(list, "{}\t{}", one.from, one.to).map_err(io)?;
        }
        list.flush().map_err(io)?;
        let from = self.cache.named(TOLD);
        let to = format!(
            "{}/{}/{}",
            self.at(HISTORY),
            self.id(),
            moved_list(self.attempt)
        );
        let arguments = ["copyto", &from, &to, "--ignore-times"];
        self.rclone.must(&arguments, &|| Ok(None)).map(|_| ())
    }

    /// Moves files to their new names; gives how many did not arrive and are on the list of what is
    /// uploaded.
    pub(super) fn carry(&self, found: &Difference) -> Result<u64> {
        if found.moves.is_empty() {
            return Ok(0);
        }
        let sizes: HashMap<&str, u64> = found
            .moves
            .iter()
            .map(|one| (one.to.as_str(), one.size))
            .collect();
        let pairs = found.moves.iter();
        let mut groups = moves::group_moves(pairs.map(|one| (one.from.as_str(), one.to.as_str())));
        groups.sort_by_key(|group| std::cmp::Reverse(spared_bytes(group, &sizes)));
        let (now, rest) = groups.split_at(groups.len().min(CALLS));
        let mut left: Vec<String> = rest.iter().flat_map(arriving_names).collect();
        let mut certain = true;
        for group in now {
            let moved = self.move_group(group)?;
            certain &= moved;
        }
        if !certain {
            left.extend(self.not_there(now, &sizes)?);
        }
        let left: HashSet<String> = left.into_iter().collect();
        let arrived = sizes.keys().filter(|name| !left.contains(**name));
        let mut doing = self.cache.doing(self.id())?;
        for name in arrived {
            doing
                .write_all(format!("{MOVED}{name}\n").as_bytes())
                .map_err(|error| Error::io("write", self.cache.named("done").as_bytes(), error))?;
        }
        if !left.is_empty() {
            let mut list = self.cache.append(UPLOAD)?;
            for name in &left {
                writeln!(list, "{name}").map_err(|error| {
                    Error::io("write", self.cache.named(UPLOAD).as_bytes(), error)
                })?;
            }
        }
        Ok(left.len() as u64)
    }

    /// Moves files by one call; false if not all of them surely arrived.
    fn move_group(&self, group: &moves::MoveGroup) -> Result<bool> {
        let aside = format!("{}/{}/{}", self.at(HISTORY), self.id(), self.attempt);
        let from = names_below(&aside, &group.from);
        let to = names_below(&self.at(CURRENT), &group.to);
        let list = self.cache.named(LIST);
        let arguments: &[&str] = if group.names.is_empty() {
            &["moveto", &from, &to]
        } else {
            let mut names = BufWriter::new(self.cache.new_file(LIST)?);
            let io = |error| Error::io("write", list.as_bytes(), error);
            for name in &group.names {
                writeln!(names, "{name}").map_err(io)?;
            }
            names.flush().map_err(io)?;
            &[
                "move",
                &from,
                &to,
                "--files-from-raw",
                &list,
                "--no-traverse",
            ]
        };
        let mut moved = 0;
        let mut count = |_: &str| {
            moved += 1;
            Ok(())
        };
        let ended = self
            .rclone
            .call(arguments, None, &mut FileFaults::quiet(), &mut count)?;
        match ended {
            RcloneExit::Well => Ok(moved == group.names.len().max(1)),
            RcloneExit::Badly {
                connection: true,
                message,
            } => Err(self.rclone.failed(true, &message)),
            RcloneExit::NotThere | RcloneExit::Badly { .. } => Ok(false),
        }
    }

    /// The files of these calls that are not in `current` as they should be; what is there of them
    /// is taken out of it.
    fn not_there(
        &self,
        groups: &[moves::MoveGroup],
        sizes: &HashMap<&str, u64>,
    ) -> Result<Vec<String>> {
        const TORN: &str = "torn.list";
        let mut wanted: HashSet<String> = groups.iter().flat_map(arriving_names).collect();
        let mut torn = Vec::new();
        let (current, options) = (self.at(CURRENT), ["-R", "--files-only"]);
        let mut each = |item: published::RemoteItem| {
            if sizes.get(item.path.as_str()) == Some(&item.size) {
                wanted.remove(&item.path);
            } else if wanted.contains(&item.path) {
                torn.push(item.path);
            }
        };
        published::list_remote(&self.rclone, &self.cache, &current, &options, &mut each)?;
        if !torn.is_empty() {
            let mut list = self.cache.new_file(TORN)?;
            for name in &torn {
                writeln!(list, "{name}").map_err(|error| {
                    Error::io("write", self.cache.named(TORN).as_bytes(), error)
                })?;
            }
            self.move_aside(TORN, &format!("torn-{}", self.attempt))?;
        }
        Ok(wanted.into_iter().collect())
    }
}

/// What a call spares: the bytes that need not be uploaded.
fn spared_bytes(group: &moves::MoveGroup, sizes: &HashMap<&str, u64>) -> u64 {
    let sizes = arriving_names(group).map(|name| sizes.get(name.as_str()).copied().unwrap_or(0));
    sizes.sum()
}

/// The new names of a call's files.
fn arriving_names(group: &moves::MoveGroup) -> Box<dyn Iterator<Item = String> + '_> {
    if group.names.is_empty() {
        return Box::new(std::iter::once(group.to.clone()));
    }
    Box::new(group.names.iter().map(|name| match &*group.to {
        "" => name.clone(),
        folder => format!("{folder}/{name}"),
    }))
}

fn names_below(folder: &str, name: &str) -> String {
    if name.is_empty() {
        folder.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}
