//! What was published, from the moment at which it was first seen on, and whether it still is that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use test_support::{must_be_kept, read_json};

use crate::{
    independent::{
        Listing, Sums, check_sums, difference, has_rsync, listing, manifest_in, manifest_of,
        rsync_finds,
    },
    trouble::{Outcome, Trouble},
    world::World,
};

/// Folders in which snapshots stand.
const TIERS: [&str; 5] = ["hourly", "daily", "weekly", "monthly", "yearly"];

/// A tree as it was.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(crate) listing: Listing,
    pub(crate) sums: Sums,
}

impl Tree {
    /// A tree as it is.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            listing: listing(folder),
            sums: Sums::of(folder),
        }
    }

    /// The same without the times of folders.
    pub(crate) fn without_times(self) -> Self {
        Self {
            listing: without_times(&self.listing),
            ..self
        }
    }

    /// The same without what has this in its name.
    pub(crate) fn without(mut self, part: &str) -> Self {
        self.listing.retain(|line| !line.contains(part));
        self.sums = self.sums.without(part);
        self
    }

    /// The same without which names are of one file.
    pub(crate) fn of_files_apart(mut self) -> Self {
        for line in &mut self.listing {
            if let Some((file, _)) = line.rsplit_once(" = ") {
                *line = file.to_owned();
            }
        }
        self
    }

    /// What differs first.
    pub(crate) fn difference(&self, is: &Self) -> Option<String> {
        difference(&self.listing, &is.listing).or_else(|| {
            let same = self.sums == is.sums;
            (!same).then(|| "another content".to_owned())
        })
    }
}

/// A snapshot as it was when it was first seen.
#[derive(Clone)]
struct Seen {
    /// All of it.
    tree: Tree,
    /// Record and manifest.
    records: Sums,
    day: NaiveDate,
    started: DateTime<Utc>,
    /// How many were seen before it: of one moment that is the order in which they were made.
    number: usize,
    /// Whether nothing is missing in it.
    complete: bool,
    /// Whether it took a place in retention then: it is complete, and no person has to look at it.
    is_good: bool,
}

impl Seen {
    /// Whether it takes a place in retention: what begins in the future does not.
    fn counts(&self, world: &World) -> bool {
        self.is_good && !world.is_ahead(self.started)
    }
}

/// A stored file that was damaged on purpose, until it is healed.
#[derive(Clone)]
pub(crate) struct Damage {
    /// All its paths in snapshots.
    pub(crate) paths: BTreeSet<PathBuf>,
    /// What it holds since.
    pub(crate) content: Vec<u8>,
}

/// What a look compared.
#[derive(Default)]
pub(crate) struct Compared {
    pub(crate) snapshots: usize,
    pub(crate) files: usize,
    pub(crate) by_rsync: usize,
}

/// All that was published.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    seen: BTreeMap<String, Seen>,
    /// What a person let go.
    pub(crate) let_go: BTreeSet<String>,
    pub(crate) pinned: BTreeSet<String>,
    /// Trees of other tools that become snapshots of these ids.
    pub(crate) others: BTreeMap<String, Tree>,
    pub(crate) damage: Option<Damage>,
    /// Whether the present run was disturbed in what it reads, so that its snapshot may lack something.
    pub(crate) may_lack: bool,
    /// Whether a call failed that gives files a further name, so that names of one file stand apart in the present
    /// run's tree: its manifest has that they are of one.
    pub(crate) names_apart: bool,
    /// How many were ever seen.
    seen_ever: usize,
    /// Whether a clock that is wrong decides what goes.
    pub(crate) clock_is_wrong: bool,
}

impl Ledger {
    /// Compares everything that is published with what it was.
    pub(crate) fn look(&mut self, world: &World) -> Outcome<Compared> {
        let host = world.host();
        let found = published(&host)?;
        let mut compared = Compared::default();
        let mut text = Vec::new();
        for (id, at) in &found {
            let records = format!(".backup/snapshots/{id}");
            if !self.seen.contains_key(id) {
                compared.by_rsync += self.first_seen(world, id, at, &records)?;
            }
            let seen = &self.seen[id];
            let tree = host.join(at);
            let differs = difference(&seen.tree.listing, &listing(&tree));
            // A repair puts the times of folders back when it has put files into them.
            let heals = self.damage.is_some();
            let differs = differs.filter(|_| !heals).or_else(|| {
                let known = |listing: &Listing| without_times(&self.without_healed(listing));
                difference(&known(&seen.tree.listing), &known(&listing(&tree)))
            });
            if let Some(differs) = differs {
                return Err(Trouble::Lost(format!("{at}: {differs}")));
            }
            text.extend(seen.tree.sums.below(at, &self.damaged_in(&tree)));
            text.extend(seen.records.below(&records, &[]));
            compared.files += seen.tree.sums.count();
            compared.snapshots += 1;
        }
        if let Some(complaint) = check_sums(&host, &text) {
            return Err(Trouble::Lost(complaint));
        }
        self.nothing_went_too_early(world, &found)?;
        if let Some(remote) = world.remote() {
            compared.files += remote_is_whole(&remote)?;
        }
        let by_time = fs::read_dir(host.join("by-time")).into_iter().flatten();
        let links = by_time.map(|entry| entry.unwrap().path());
        let mut links = links.chain([host.join("latest")]);
        if let Some(link) = links.find(|link| link.is_symlink() && !link.exists()) {
            let link = link.strip_prefix(&host).unwrap().display();
            return Err(Trouble::Wrong(format!("{link} leads nowhere")));
        }
        // What the policy let go stands for no day any more, also if a person lets go of what took its place.
        self.seen.retain(|id, _| found.contains_key(id));
        Ok(compared)
    }

    /// The same without files whose content is healed, and of which the run has told that not all could be: until the
    /// same command ends well.
    fn without_healed(&self, listing: &Listing) -> Listing {
        let damage = self.damage.iter().filter(|_| self.may_lack);
        let starts: Vec<String> = damage
            .flat_map(|damage| &damage.paths)
            .map(|path| format!("{} ", path.as_os_str().as_bytes().escape_ascii()))
            .collect();
        let is_healed = |line: &&String| starts.iter().any(|start| line.starts_with(start));
        let others = listing.iter().filter(|line| !is_healed(line));
        others.cloned().collect()
    }

    /// Paths in a snapshot at which what was damaged is not healed yet.
    fn damaged_in(&self, tree: &Path) -> Vec<PathBuf> {
        let Some(damage) = &self.damage else {
            return Vec::new();
        };
        let is_damaged = |path: &&PathBuf| {
            fs::read(tree.join(path)).is_ok_and(|content| content == damage.content)
        };
        damage.paths.iter().filter(is_damaged).cloned().collect()
    }

    /// Takes a snapshot down that was not there before; gives how often rsync compared.
    fn first_seen(&mut self, world: &World, id: &str, at: &str, records: &str) -> Outcome<usize> {
        let host = world.host();
        let (tree, records) = (host.join(at), host.join(records));
        let record: Value = read_json(&records.join("snapshot.json"));
        let is_empty = |key: &str| record[key].as_array().is_none_or(Vec::is_empty);
        let complete = record["complete"] == true && is_empty("problems");
        if !complete && !self.may_lack {
            let problems = &record["problems"];
            return Err(Trouble::Wrong(format!("{at} lacks something: {problems}")));
        }
        let (sums, entries) = manifest_of(&records);
        if let Some(complaint) = check_sums(&tree, &sums.below(".", &[])) {
            return Err(Trouble::Lost(format!(
                "{at} is not what its manifest says: {complaint}"
            )));
        }
        let stored = Tree::of(&tree);
        let listed = (sums.count(), entries);
        let there = (stored.sums.count(), stored.listing.len() + 1);
        // What of another tool's tree cannot be read stays where it is, and is told; so is what a clone has
        // and could not be taken away.
        let mut problems = record["problems"].as_array().into_iter().flatten();
        let is_told = problems.any(|problem| problem["kind"] == "unlisted");
        let may_have_more = !complete && (self.others.contains_key(id) || is_told);
        if listed != there && !(may_have_more && listed < there) {
            return Err(Trouble::Lost(format!(
                "{at}: files and entries in the manifest {listed:?}, in the tree {there:?}"
            )));
        }
        let mut by_rsync = 0;
        let inside = tree.join(world.source().strip_prefix("/").unwrap());
        if let Some(other) = self.others.get(id) {
            if let Some(differs) = other.difference(&Tree::of(&inside)) {
                return Err(Trouble::Lost(format!(
                    "{at} is not what was adopted: {differs}"
                )));
            }
        } else if complete {
            let both = [world.source(), inside.clone()].map(|folder| Tree::of(&folder));
            let [source, stored] = match self.names_apart {
                true => both.map(Tree::of_files_apart),
                false => both,
            };
            if let Some(differs) = source.difference(&stored) {
                return Err(Trouble::Lost(format!(
                    "{at} is not as its source: {differs}"
                )));
            }
            if has_rsync() && !self.names_apart {
                if let Some(line) = rsync_finds(&world.source(), &inside) {
                    return Err(Trouble::Lost(format!(
                        "{at} is not as its source: rsync: {line}"
                    )));
                }
                by_rsync = 1;
            }
        }
        let day = record["day"].as_str().and_then(|day| day.parse().ok());
        let day = day.ok_or_else(|| Trouble::Wrong(format!("{at} has no day")))?;
        let started = record["started_at"].as_str().and_then(|at| at.parse().ok());
        let started = started.ok_or_else(|| Trouble::Wrong(format!("{at} has no time")))?;
        let is_good = complete && is_empty("suspect") && !world.is_ahead(started);
        let names = walkdir::WalkDir::new(&records).sort_by_file_name();
        let names = names
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file() && entry.file_name() != "marks.json")
            .map(|entry| entry.path().strip_prefix(&records).unwrap().to_owned())
            // Of the run that has not ended yet.
            .filter(|name| name.starts_with("manifest") || name == Path::new("snapshot.json"))
            .collect();
        let seen = Seen {
            tree: stored,
            records: Sums::of_files(&records, names),
            day,
            started,
            number: self.seen_ever,
            complete,
            is_good,
        };
        self.seen_ever += 1;
        self.seen.insert(id.to_owned(), seen);
        Ok(by_rsync)
    }

    /// What retention must keep is there, and so is all that is pinned.
    fn nothing_went_too_early(&self, world: &World, found: &BTreeMap<String, String>) -> Outcome {
        let is_gone = |id: &str| !found.contains_key(id);
        if let Some(id) = self.pinned.iter().find(|id| is_gone(id)) {
            return Err(Trouble::Lost(format!(
                "{id} is gone, although it is pinned"
            )));
        }
        if self.clock_is_wrong {
            return Ok(());
        }
        let let_go = &self.let_go;
        let mut good: Vec<(&String, &Seen)> = self
            .seen
            .iter()
            .filter(|(id, seen)| seen.counts(world) && (!let_go.contains(*id) || !is_gone(id)))
            .collect();
        // After a journey a later one may have an earlier name.
        good.sort_by_key(|(id, seen)| (seen.started, *id));
        let good: Vec<(&str, NaiveDate)> = good
            .into_iter()
            .map(|(id, seen)| (id.as_str(), seen.day))
            .collect();
        let (keep, last) = world.keeps();
        for one_of in must_be_kept(&good, keep, last) {
            if one_of.iter().all(|id| is_gone(id)) {
                return Err(Trouble::Lost(format!(
                    "{one_of:?} went, although the policy keeps it"
                )));
            }
        }
        Ok(())
    }

    /// A person says that all suspect snapshots are as they should be.
    pub(crate) fn accept_all(&mut self) {
        for seen in self.seen.values_mut() {
            seen.is_good = seen.complete;
        }
    }

    /// The newest that takes a place in retention.
    pub(crate) fn newest_good(&self, world: &World) -> Option<&String> {
        let good = self.seen.iter().filter(|(_, seen)| seen.counts(world));
        let newest = good.max_by_key(|(_, seen)| (seen.started, seen.number));
        newest.map(|(id, _)| id)
    }

    /// Whether a snapshot has all that its sources had.
    pub(crate) fn is_whole(&self, id: &str) -> bool {
        self.seen.get(id).is_some_and(|seen| seen.complete)
    }

    /// Ids that are there, oldest first.
    pub(crate) fn there(&self, world: &World) -> Outcome<Vec<String>> {
        Ok(published(&world.host())?.into_keys().collect())
    }

    /// What a snapshot has at the place of the sources.
    pub(crate) fn inside(&self, world: &World, id: &str) -> Outcome<PathBuf> {
        let found = published(&world.host())?;
        let place = found.get(id).cloned().unwrap_or_default();
        let source = world.source();
        let tree = world.host().join(place);
        Ok(tree.join(source.strip_prefix("/").unwrap()))
    }
}

/// The same without the times of folders.
fn without_times(listing: &Listing) -> Listing {
    let without = |line: &String| match line.contains(" 4 ") {
        true => line
            .rsplit_once(' ')
            .map_or("", |(rest, _)| rest)
            .to_owned(),
        false => line.clone(),
    };
    listing.iter().map(without).collect()
}

/// Where each snapshot stands, below the machine's folder, as whoever looks into the tiers finds it: while one is
/// on its way to another tier, that is where its name leads. Folders without a record are other people's.
pub(crate) fn published(host: &Path) -> Outcome<BTreeMap<String, String>> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let top = fs::canonicalize(host).unwrap_or_else(|_| host.to_owned());
    for tier in TIERS {
        let Ok(entries) = fs::read_dir(host.join(tier)) else {
            continue;
        };
        for entry in entries.map(Result::unwrap) {
            let id = entry.file_name().into_string().unwrap();
            let Ok(place) = fs::canonicalize(entry.path()) else {
                return Err(Trouble::Wrong(format!("{tier}/{id} leads nowhere")));
            };
            let place = place.strip_prefix(&top).unwrap().to_str().unwrap();
            let record = host.join(".backup/snapshots").join(&id);
            if !record.join("snapshot.json").exists() {
                return Err(Trouble::Lost(format!("the record of {tier}/{id}")));
            }
            let before = all.insert(id, place.to_owned());
            if let Some(other) = before.filter(|before| before != place) {
                return Err(Trouble::Wrong(format!("{place} stands in {other} too")));
            }
        }
    }
    Ok(all)
}

/// What is said to be on a remote with history is there: all objects of all manifests of all records, each with
/// the content that its name says; gives how many.
fn remote_is_whole(folder: &Path) -> Outcome<usize> {
    let records = fs::read_dir(folder.join("records")).into_iter().flatten();
    let ids = records.filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let id = name.strip_suffix(".json")?;
        (id.len() == 19).then(|| id.to_owned())
    });
    let mut objects = BTreeSet::new();
    for id in ids {
        let manifest = folder.join("manifests").join(format!("{id}.mtree.zst"));
        if !manifest.exists() {
            return Err(Trouble::Lost(format!("the manifest of {id} on the remote")));
        }
        objects.extend(manifest_in(&[manifest]).0.digests());
    }
    let mut sums = Sums::default();
    for digest in &objects {
        let name = format!("objects/{}/{digest}", &digest[..2]);
        sums.push(digest.as_bytes(), name.as_bytes());
    }
    match check_sums(folder, &sums.below(".", &[])) {
        None => Ok(objects.len()),
        Some(complaint) => Err(Trouble::Lost(format!("on the remote: {complaint}"))),
    }
}
