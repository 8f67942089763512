//! What is seen and chosen, and what follows from answers. It asks nobody itself: it says what is to be asked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use schema::{StoredPath, StoredPathBuf, output::EntryKind};

use crate::{
    action::Action,
    areas::Areas,
    data::{Destination, Fault, Folder, Item, Overview, Read, Snapshot, Source, Version, Versions},
    dialog::RestoreDialog,
    request::{Answer, Request},
    rows::Rows,
    search::Search,
    theme::Theme,
    viewer::Viewer,
};

/// Entries of folders that are kept for when they are seen again.
const MOST_KEPT: usize = 300_000;

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pane {
    Snapshots,
    Tree,
    Versions,
}

/// What is over the panes.
pub(crate) enum Over {
    Nothing,
    Help,
    Search(Search),
    Viewer(Viewer),
    Restore(RestoreDialog),
    /// The destinations of which one can be chosen.
    Destinations(Rows),
}

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Load<T> {
    /// Nobody asked, or it was not answered.
    Open,
    Got(Read<T>),
}

impl<T> Load<T> {
    pub(crate) fn good(&self) -> Option<&T> {
        match self {
            Self::Got(Ok(value)) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Got(Err(fault)) => Some(fault),
            _ => None,
        }
    }
}

/// All that is seen.
pub(crate) struct App {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) theme: Theme,
    pub(crate) overview: Load<Overview>,
    /// The places of snapshots by name.
    places: HashMap<String, usize>,
    pub(crate) snapshots: Rows,
    /// The folder that the tree shows.
    pub(crate) at: StoredPathBuf,
    pub(crate) folder: Load<Arc<Folder>>,
    pub(crate) tree: Rows,
    /// The name that is chosen once its folder is there, and whether it is entered if it is a folder.
    wanted: Option<(Vec<u8>, bool)>,
    /// Folders that hold nothing but one folder are passed at the start.
    passes_single: bool,
    kept: VecDeque<((String, StoredPathBuf), Arc<Folder>)>,
    pub(crate) versions: Load<Versions>,
    pub(crate) versions_of: Option<StoredPathBuf>,
    pub(crate) version_rows: Rows,
    /// The version that others are compared with, by its last snapshot.
    pub(crate) marked_version: Option<String>,
    pub(crate) focus: Pane,
    pub(crate) over: Over,
    pub(crate) marks: BTreeSet<StoredPathBuf>,
    pub(crate) marked_snapshots: BTreeSet<String>,
    /// What was marked in searches, and the newest snapshot that has it.
    pub(crate) found_marks: BTreeMap<StoredPathBuf, String>,
    /// All that can be browsed, where there are several.
    pub(crate) destinations: Vec<Destination>,
    /// The one that was asked for.
    pub(crate) elsewhere: Option<String>,
    pub(crate) message: Option<String>,
    /// For how many seconds what is shown next was waited for, where that is long.
    pub(crate) waits: Option<u64>,
    pub(crate) areas: Areas,
    /// Where files are restored to unless somebody says so.
    pub(crate) here: String,
    requests: Vec<Request>,
    pub(crate) action: Option<Action>,
    pub(crate) is_over: bool,
}

impl App {
    /// Nothing is known yet. `start` is the path to begin at.
    pub(crate) fn new(
        source: Arc<dyn Source>,
        color: bool,
        start: Option<&StoredPath>,
        here: String,
    ) -> Self {
        let (at, wanted) = match start.and_then(StoredPath::split_name) {
            Some((folder, name)) => (folder.to_owned(), Some((name.to_vec(), true))),
            None => (StoredPathBuf::default(), None),
        };
        Self {
            source,
            theme: Theme { color },
            overview: Load::Open,
            places: HashMap::new(),
            snapshots: Rows::default(),
            at,
            folder: Load::Open,
            tree: Rows::default(),
            wanted,
            passes_single: start.is_none(),
            kept: VecDeque::new(),
            versions: Load::Open,
            versions_of: None,
            version_rows: Rows::default(),
            marked_version: None,
            focus: Pane::Tree,
            over: Over::Nothing,
            marks: BTreeSet::new(),
            marked_snapshots: BTreeSet::new(),
            found_marks: BTreeMap::new(),
            destinations: Vec::new(),
            elsewhere: None,
            message: None,
            waits: None,
            areas: Areas::default(),
            here,
            requests: vec![Request::Overview],
            action: None,
            is_over: false,
        }
    }

    /// What is to be asked now.
    pub(crate) fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    pub(crate) fn ask(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// The snapshots, newest first.
    pub(crate) fn all_snapshots(&self) -> &[Snapshot] {
        self.overview.good().map_or(&[], |one| &one.snapshots)
    }

    /// The snapshot that is chosen.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.all_snapshots().get(self.snapshots.chosen)
    }

    /// The place of a snapshot in the time line.
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// When a snapshot was made, by its name.
    pub(crate) fn time_of<'a>(&'a self, name: &'a str) -> &'a str {
        let found = self
            .place_of(name)
            .and_then(|at| self.all_snapshots().get(at));
        found.map_or(name, |found| &found.time)
    }

    pub(crate) fn items(&self) -> &[Item] {
        self.folder.good().map_or(&[], |folder| &folder.items)
    }

    /// The entry that is chosen in the tree.
    pub(crate) fn item(&self) -> Option<&Item> {
        self.items().get(self.tree.chosen)
    }

    /// Its path.
    pub(crate) fn chosen_path(&self) -> Option<StoredPathBuf> {
        Some(self.at.join(&*self.item()?.name))
    }

    pub(crate) fn all_versions(&self) -> &[Version] {
        self.versions.good().map_or(&[], |one| &one.versions)
    }

    /// The place of the version that a snapshot has.
    pub(crate) fn version_in(&self, snapshot: usize) -> Option<usize> {
        self.all_versions().iter().position(|one| {
            let (first, last) = (self.place_of(&one.first), self.place_of(&one.last));
            first
                .zip(last)
                .is_some_and(|(first, last)| (last..=first).contains(&snapshot))
        })
    }

    /// Shows another snapshot; what is chosen in the tree stays chosen.
    pub(crate) fn choose_snapshot(&mut self, place: usize) {
        let all = self.all_snapshots().len();
        if all == 0 || self.snapshots.chosen == place.min(all - 1) {
            return;
        }
        self.snapshots.chosen = place.min(all - 1);
        self.remember_name();
        self.load_folder();
    }

    /// The name that is chosen now is to be chosen in what is shown next, unless another one was sought in vain.
    fn remember_name(&mut self) {
        if self.wanted.is_none() {
            self.wanted = self.item().map(|item| (item.name.to_vec(), false));
        }
    }

    /// Chooses an entry of the tree.
    pub(crate) fn choose_item(&mut self, place: usize) {
        self.wanted = None;
        self.tree.chosen = place.min(self.items().len().saturating_sub(1));
        self.load_versions();
    }

    /// Shows another folder, with this name in it chosen.
    pub(crate) fn go_to(&mut self, folder: StoredPathBuf, name: Option<&[u8]>) {
        self.passes_single = false;
        self.at = folder;
        self.tree = Rows::default();
        self.wanted = name.map(|name| (name.to_vec(), false));
        self.load_folder();
    }

    /// Enters the folder that is chosen; whether it is one.
    pub(crate) fn enter(&mut self) -> bool {
        let is_folder = self
            .item()
            .is_some_and(|item| item.kind == EntryKind::Folder);
        if let (true, Some(path)) = (is_folder, self.chosen_path()) {
            self.go_to(path, None);
        }
        is_folder
    }

    /// Leaves the folder that is shown; whether there is one around it.
    pub(crate) fn leave(&mut self) -> bool {
        let at = self.at.clone();
        let Some((folder, name)) = at.split_name() else {
            return false;
        };
        self.go_to(folder.to_owned(), Some(name));
        true
    }

    /// Shows the folder from what is kept, or has it read.
    fn load_folder(&mut self) {
        let Some(snapshot) = self.snapshot().map(|one| one.name.clone()) else {
            return;
        };
        let key = (snapshot, self.at.clone());
        if let Some(at) = self.kept.iter().position(|(known, _)| *known == key)
            && let Some(kept) = self.kept.remove(at)
        {
            let folder = Arc::clone(&kept.1);
            self.kept.push_back(kept);
            self.show_folder(Ok(folder));
            return;
        }
        self.folder = Load::Open;
        let (snapshot, path) = key;
        self.ask(Request::Folder { snapshot, path });
    }

    /// Has the versions of what is chosen read, unless they are known.
    pub(crate) fn load_versions(&mut self) {
        let Some(path) = self.chosen_path() else {
            if matches!(self.folder, Load::Got(_)) {
                self.versions_of = None;
                self.versions = Load::Open;
            }
            return;
        };
        if self.versions_of.as_ref() == Some(&path) {
            return;
        }
        self.versions_of = Some(path.clone());
        self.versions = Load::Open;
        self.version_rows = Rows::default();
        self.marked_version = None;
        self.ask(Request::Versions { path });
    }

    /// Has everything looked at anew, after something was changed.
    pub(crate) fn refresh(&mut self) {
        self.ask(Request::Overview);
    }

    pub(crate) fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Overview(overview) => self.show_overview(overview),
            Answer::Folder {
                snapshot,
                path,
                folder,
            } => {
                let folder = folder.map(Arc::new);
                let is_wanted = self.snapshot().is_some_and(|one| one.name == snapshot);
                let is_wanted = is_wanted && self.at == path;
                if let Ok(folder) = &folder {
                    self.keep((snapshot, path), Arc::clone(folder));
                }
                if is_wanted {
                    self.show_folder(folder);
                }
            }
            Answer::Versions { path, versions } => {
                if self.versions_of.as_ref() == Some(&path) {
                    self.versions = Load::Got(versions);
                    // The one that the tree shows.
                    let current = self.version_in(self.snapshots.chosen);
                    self.version_rows.chosen = current.unwrap_or_default();
                }
            }
            Answer::Found { text, found } => {
                if let Some(search) = self.searching() {
                    search.add(&text, found);
                }
            }
            Answer::Searched { text, end } => {
                if let Some(search) = self.searching() {
                    search.end(&text, end);
                }
            }
            Answer::Compared { path, comparison } => {
                if let Over::Viewer(viewer) = &mut self.over {
                    viewer.show(&path, comparison);
                }
            }
        }
    }

    /// The search that goes on.
    fn searching(&mut self) -> Option<&mut Search> {
        match &mut self.over {
            Over::Search(search) => Some(search),
            Over::Restore(dialog) => dialog.search.as_mut(),
            _ => None,
        }
    }

    fn show_overview(&mut self, overview: Read<Overview>) {
        let before = self.snapshot().map(|one| one.name.clone());
        self.overview = Load::Got(overview);
        // What is known of versions is of the snapshots that were there before.
        self.versions_of = None;
        let names = self.all_snapshots().iter().enumerate();
        self.places = names.map(|(at, one)| (one.name.clone(), at)).collect();
        let there = &self.places;
        self.marked_snapshots
            .retain(|name| there.contains_key(name));
        self.found_marks.retain(|_, name| there.contains_key(name));
        let place = before.as_ref().and_then(|name| self.place_of(name));
        self.snapshots.chosen = place.unwrap_or_else(|| {
            let last = self.all_snapshots().len().saturating_sub(1);
            self.snapshots.chosen.min(last)
        });
        if place.is_some() {
            self.load_versions();
        } else {
            self.remember_name();
            self.load_folder();
        }
        if self.all_snapshots().is_empty() {
            self.focus = Pane::Snapshots;
        }
    }

    fn keep(&mut self, key: (String, StoredPathBuf), folder: Arc<Folder>) {
        self.kept.retain(|(known, _)| *known != key);
        self.kept.push_back((key, folder));
        let count = |kept: &VecDeque<(_, Arc<Folder>)>| -> usize {
            kept.iter().map(|(_, folder)| folder.items.len() + 1).sum()
        };
        while self.kept.len() > 1 && count(&self.kept) > MOST_KEPT {
            self.kept.pop_front();
        }
    }

    fn show_folder(&mut self, folder: Read<Arc<Folder>>) {
        self.folder = Load::Got(folder);
        if let (true, [single]) = (self.passes_single, self.items())
            && single.kind == EntryKind::Folder
        {
            self.at = self.at.join(&*single.name);
            self.load_folder();
            return;
        }
        self.passes_single = false;
        let wanted = self.wanted.take();
        let named = wanted
            .as_ref()
            .and_then(|(name, _)| self.items().iter().position(|item| *item.name == **name));
        if let Some(at) = named {
            self.tree.chosen = at;
        }
        let is_there = self.folder.good().is_some_and(|folder| folder.is_there);
        match (wanted, named) {
            (Some((name, enters)), None) => {
                if enters && is_there {
                    let path = self.at.join(&name).shown();
                    self.message = Some(format!("{path} is not in this snapshot"));
                }
                // It may be in the snapshot that is chosen next.
                self.wanted = Some((name, enters && !is_there));
            }
            (Some((_, true)), Some(_)) => drop(self.enter()),
            _ => {}
        }
        self.load_versions();
    }
}
