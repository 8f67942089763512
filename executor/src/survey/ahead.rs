//! Reading folders ahead of the one who walks through them, on several threads.
//!
//! Owns which folder is read next: the one that the walk comes to next. It never waits for a thread
//! to begin what the walk needs now: whoever needs it reads it. What is read ahead is limited in
//! number, so that memory does not grow with the tree.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustix::io::Errno;

use super::{
    Below, Bounds,
    folder_task::{FolderPart, FolderTask, SeenEntry, SeenKind, State},
    holes::measure_data,
    roots::Base,
    tags::{Meter, Tagged, Tags, is_cache_tag},
};
use schema::{StoredPath, StoredPathBuf};

use crate::{
    sys::{Dir, Kind, Listed, Stat, answer, bytes},
    view,
};

/// Entries that are read ahead at most.
const AHEAD: usize = 20_000;
/// Threads that stopped at the limit go on below this many: not for one folder, and then for the next.
const LOW: usize = AHEAD / 2;
/// Entries of a folder that are looked at as one task.
const PART: usize = 1000;

/// What a part weighs against [`AHEAD`]: a folder without entries takes memory, too, and unread
/// parts hang below each other when they are dropped.
fn part_weight(part: &FolderPart) -> usize {
    part.seen.len() + 8
}

/// The path of a folder, with the name of one entry after the other.
struct Path {
    path: StoredPathBuf,
    folder: usize,
}

impl Path {
    fn of(folder: &StoredPath) -> Self {
        Self {
            path: folder.to_owned(),
            folder: folder.len(),
        }
    }

    fn with(&mut self, name: &OsStr) -> &StoredPath {
        self.path.truncate(self.folder);
        self.path.push(bytes(name));
        &self.path
    }
}

/// What stands for a mount point that is not touched: the folder below, or where that cannot be
/// seen one like the folder around it.
fn passed_over(task: &FolderTask, dir: &Dir, name: &OsStr) -> Stat {
    let covered = dir.covered(name).ok();
    let covered = covered.filter(|stat| stat.kind == Kind::Folder);
    let stat = covered.or_else(|| {
        let around = dir.stat_self().ok()?;
        Some(Stat {
            mtime: 0,
            ctime: 0,
            ino: 0,
            ..around
        })
    });
    let stat = stat.unwrap_or_else(Stat::of_nothing);
    Stat {
        mount: task.base.mount,
        dev: task.base.dev,
        mount_root: false,
        ..stat
    }
}

/// What the threads share.
pub(super) struct Reader<'a> {
    bounds: Bounds<'a>,
    below: &'a Below<'a>,
    tags: Tags<'a>,
    meter: Meter,
    /// The mount of the source, if the kernel alone answers for it.
    local: Option<u64>,
    /// What may be read next, last first.
    tasks: Mutex<Vec<Arc<FolderTask>>>,
    wake: Condvar,
    /// Threads that wait for something to read.
    idle: AtomicUsize,
    ahead: AtomicUsize,
    ended: AtomicBool,
}

impl<'a> Reader<'a> {
    /// `local` is the mount of the source, if the kernel alone answers for it.
    pub(super) fn new(
        (bounds, tags): (Bounds<'a>, Tags<'a>),
        below: &'a Below<'a>,
        local: Option<u64>,
    ) -> Self {
        Self {
            bounds,
            below,
            tags,
            meter: Meter::default(),
            local,
            tasks: Mutex::default(),
            wake: Condvar::new(),
            idle: AtomicUsize::new(0),
            ahead: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// A thread's work: reads ahead until [`Self::end`].
    pub(super) fn read_ahead(&self) {
        loop {
            let mut tasks = self.lock();
            let task = loop {
                if self.ended.load(Ordering::Relaxed) {
                    return;
                }
                if self.ahead.load(Ordering::Relaxed) < AHEAD
                    && let Some(task) = tasks.pop()
                {
                    break task;
                }
                self.idle.fetch_add(1, Ordering::SeqCst);
                tasks = self
                    .wake
                    .wait(tasks)
                    .unwrap_or_else(PoisonError::into_inner);
                self.idle.fetch_sub(1, Ordering::SeqCst);
            };
            drop(tasks);
            if let Some(names) = task.claim() {
                self.run(&task, names);
            }
        }
    }

    /// Ends the threads.
    pub(super) fn end(&self) {
        let _tasks = self.lock();
        self.ended.store(true, Ordering::Relaxed);
        self.wake.notify_all();
    }

    /// What a task found; reads it now unless a thread does or did.
    pub(super) fn take(&self, task: &Arc<FolderTask>) -> Result<FolderPart, Errno> {
        if let Some(names) = task.claim() {
            self.run(task, names);
        }
        let mut state = task.state();
        loop {
            match std::mem::replace(&mut *state, State::Taken) {
                State::Done(found) => {
                    drop(state);
                    if let Ok(part) = &found {
                        let weight = part_weight(part);
                        let left = self.ahead.fetch_sub(weight, Ordering::Relaxed) - weight;
                        if left < LOW && self.has_idle() && !self.lock().is_empty() {
                            self.wake.notify_all();
                        }
                    }
                    return found;
                }
                _ => *state = State::Awaited,
            }
            state = task
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, task: &Arc<FolderTask>, names: Option<Vec<Listed>>) {
        let found = self.read(task, names);
        if let Ok(part) = &found {
            self.ahead.fetch_add(part_weight(part), Ordering::Relaxed);
            let folders = part.seen.iter().filter_map(|seen| match &seen.what {
                SeenKind::Folder(_, task) => Some(task),
                _ => None,
            });
            // The walk comes to the first of these next.
            let mut tasks = self.lock();
            let before = tasks.len();
            tasks.extend(part.more.iter().rev().map(Arc::clone));
            let from = tasks.len();
            tasks.extend(folders.map(Arc::clone));
            tasks[from..].reverse();
            let has_more = tasks.len() > before;
            drop(tasks);
            if has_more && self.has_idle() && self.ahead.load(Ordering::Relaxed) < AHEAD {
                self.wake.notify_all();
            }
        }
        // To tell nobody is a call of the kernel, too.
        let before = std::mem::replace(&mut *task.state(), State::Done(found));
        if matches!(before, State::Awaited) {
            task.done.notify_all();
        }
    }

    fn read(&self, task: &FolderTask, names: Option<Vec<Listed>>) -> Result<FolderPart, Errno> {
        let (dir, looks) = task.folder.open_and_look()?;
        let mut part = FolderPart {
            folder: None,
            left_out: None,
            seen: Vec::new(),
            more: Vec::new(),
        };
        let mut names = match names {
            Some(names) => names,
            None => {
                part.folder = Some(looks);
                if task.only_leading {
                    self.leading(&task.path)
                } else {
                    let mut names = dir.list_once()?;
                    names.sort_unstable_by(|a, b| bytes(&a.name).cmp(bytes(&b.name)));
                    self.heed_tags(task, &dir, names, &mut part)
                }
            }
        };
        // What is left in a folder that a tag leaves out leads to sources, or is the tag.
        let only_leading = task.only_leading || part.left_out.is_some();
        while names.len() > PART {
            let rest = names.split_off(names.len() - names.len().min(PART));
            let more = FolderTask::of(
                task.folder.clone(),
                task.path.clone(),
                task.base,
                only_leading,
                Some(rest),
            );
            part.more.insert(0, more);
        }
        // What is told by its name alone is not looked at: it may not answer.
        let mut path = Path::of(&task.path);
        let mut unlooked: Vec<Option<SeenKind>> = names
            .iter()
            .map(|listed| self.unlooked(task, &dir, listed, path.with(&listed.name)))
            .collect();
        // What appears on a local file system meanwhile is not waited for.
        let is_local = self.bounds.one_file_system && self.local == Some(task.base.mount);
        // Inodes stand on the disk in the order of their numbers.
        let mut order: Vec<usize> = (0..names.len())
            .filter(|at| unlooked[*at].is_none())
            .collect();
        order.sort_unstable_by_key(|at| names[*at].inode);
        let mut stats: Vec<_> = names.iter().map(|_| Err(Errno::NOENT)).collect();
        for at in order {
            let name = &names[at].name;
            stats[at] = match is_local {
                true => dir.stat_unasked(name),
                false => dir.stat(name),
            };
            if let Ok(stat) = &mut stats[at] {
                measure_data(&dir, name, stat);
            }
        }
        part.seen.reserve_exact(names.len());
        for (at, Listed { name, .. }) in names.into_iter().enumerate() {
            let what = match (unlooked[at].take(), stats[at]) {
                (Some(what), _) => what,
                (None, Ok(stat)) => self.judge((task, only_leading), &name, path.with(&name), stat),
                (None, Err(Errno::NOENT)) => SeenKind::Vanished,
                (None, Err(error)) => SeenKind::Unreadable(error),
            };
            part.seen.push(SeenEntry { name, what });
        }
        Ok(part)
    }

    /// The names in a folder that its tags leave, which are all where it has none.
    fn heed_tags(
        &self,
        task: &FolderTask,
        dir: &Dir,
        names: Vec<Listed>,
        part: &mut FolderPart,
    ) -> Vec<Listed> {
        // What is configured is backed up, whatever stands in it.
        let is_source = task.path.is_root() || self.below.source_at(&task.path).is_some();
        let Some(tagged) = (!is_source).then(|| self.tags.judge(dir, &names)).flatten() else {
            return names;
        };
        let stays =
            |path: &StoredPath| self.below.source_at(path).is_some() || self.below.leads(path);
        let mut path = Path::of(&task.path);
        let (left, left_out) = names.into_iter().partition(|listed| {
            tagged == Tagged::Cache && is_cache_tag(&listed.name) || stays(path.with(&listed.name))
        });
        let is_passed = |path: &StoredPath| stays(path) || self.below.mount(path).is_some();
        let measured = self
            .meter
            .measure(&task.folder, &task.path, left_out, &is_passed);
        part.left_out = Some((tagged, measured));
        left
    }

    /// The names in a folder that lead to sources further below.
    fn leading(&self, path: &StoredPath) -> Vec<Listed> {
        let names = self.below.leading(path).into_iter();
        let listed = names.map(|name| Listed {
            name: OsStr::from_bytes(name).to_owned(),
            inode: 0,
            kind: Some(Kind::Folder),
        });
        listed.collect()
    }

    /// What an entry is, where its name and the table of mounts say it. A mount that is not crossed
    /// is never touched, and one that is has to answer first.
    fn unlooked(
        &self,
        task: &FolderTask,
        dir: &Dir,
        listed: &Listed,
        path: &StoredPath,
    ) -> Option<SeenKind> {
        if self.below.source_at(path).is_some() || self.below.leads(path) {
            return None;
        }
        let mount = self.below.mount(path);
        let is_folder = listed.is_folder() || (mount.is_some() && listed.kind.is_none());
        if let Some(pattern) = self.excluded_by(task.base, path, is_folder) {
            return Some(SeenKind::Excluded(Some(pattern)));
        }
        let mount = mount?;
        // It shows what is stored already.
        if view::is_view(&mount.mount_point) {
            return Some(SeenKind::Excluded(None));
        }
        if is_folder && self.bounds.one_file_system {
            return Some(SeenKind::MountPoint(passed_over(task, dir, &listed.name)));
        }
        if !mount.may_fall_silent() {
            return None;
        }
        answer::wait_for_answer(&mount.mount_point)
            .err()
            .map(SeenKind::Unreadable)
    }

    /// The place in the list of the pattern that leaves an entry out.
    fn excluded_by(&self, base: Base, path: &StoredPath, is_folder: bool) -> Option<usize> {
        let excludes = self.bounds.excludes;
        excludes.matches_placed(&self.below.at, path, base.anchor, is_folder)
    }

    fn judge(
        &self,
        (task, only_leading): (&FolderTask, bool),
        name: &OsStr,
        path: &StoredPath,
        stat: Stat,
    ) -> SeenKind {
        let is_folder = stat.kind == Kind::Folder;
        let folder = |base: Base, only_leading: bool| {
            let is_here =
                self.bounds.one_file_system && stat.mount != 0 && stat.mount == task.base.mount;
            let child = match is_here {
                true => task.folder.child_here(name),
                false => task.folder.child(name),
            };
            let task = FolderTask::of(child, path.to_owned(), base, only_leading, None);
            SeenKind::Folder(stat, task)
        };
        if self.below.source_at(path).is_some() {
            return if is_folder {
                folder(Base::of(&stat, path), false)
            } else {
                SeenKind::Leaf(stat)
            };
        }
        let leads = is_folder && self.below.leads(path);
        if let Some(pattern) = self.excluded_by(task.base, path, is_folder) {
            return if leads {
                folder(task.base, true)
            } else {
                SeenKind::Excluded(Some(pattern))
            };
        }
        if !is_folder {
            return SeenKind::Leaf(stat);
        }
        if self.bounds.never.contains(&(stat.dev, stat.ino)) {
            return SeenKind::Destination;
        }
        let crosses = self.bounds.one_file_system
            && (stat.dev != task.base.dev
                || (stat.mount != task.base.mount && !self.below.is_same(stat.mount)));
        match (crosses, only_leading, leads) {
            (_, _, true) => folder(task.base, crosses || only_leading),
            (true, _, false) => SeenKind::MountPoint(stat),
            // A folder has taken the place of a tag.
            (false, true, false) => SeenKind::Excluded(None),
            (false, false, false) => folder(task.base, false),
        }
    }

    /// Whether a thread waits for something to read. One that is about to may be missed, and hears of
    /// the next; until then the walk reads by itself.
    fn has_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst) > 0
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<FolderTask>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
