//! What keys do.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use schema::{StoredPathBuf, output::EntryKind};

use crate::{
    action::Action,
    app::{App, Over, Pane},
    data::{Snapshot, Version},
    dialog::{Answered, RestoreDialog},
    request::Request,
    search::Search,
    viewer::Viewer,
};

impl App {
    /// Takes what the terminal tells.
    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.take_key(key),
            Event::Mouse(mouse) => self.take_mouse(mouse),
            Event::Paste(text) => self.take_paste(&text),
            _ => {}
        }
    }

    fn take_key(&mut self, key: KeyEvent) {
        self.message = None;
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if with_control && matches!(key.code, KeyCode::Char('c' | 'q')) {
            self.is_over = true;
            return;
        }
        match &mut self.over {
            Over::Nothing => self.take_pane_key(key),
            Over::Help => self.over = Over::Nothing,
            Over::Viewer(viewer) => {
                if !viewer.take(key) {
                    self.over = Over::Nothing;
                    self.ask(Request::Nothing);
                }
            }
            Over::Restore(dialog) => {
                let answered = dialog.take(key);
                if let Answered::NotYet = answered {
                    return;
                }
                self.over = dialog.search.take().map_or(Over::Nothing, Over::Search);
                if let Answered::Yes(action) = answered {
                    self.action = Some(action);
                }
            }
            Over::Search(_) => self.take_search_key(key),
            Over::Destinations(_) => self.take_destination_key(key),
        }
    }

    fn take_pane_key(&mut self, key: KeyEvent) {
        let page = match self.focus {
            Pane::Snapshots => self.snapshots.page(),
            Pane::Tree => self.tree.page(),
            Pane::Versions => self.version_rows.page(),
        };
        match key.code {
            KeyCode::Char('q') => self.is_over = true,
            KeyCode::Char('?') | KeyCode::F(1) => self.over = Over::Help,
            KeyCode::Char('/') => self.over = Over::Search(Search::default()),
            KeyCode::Char('o') => self.ask_destination(),
            KeyCode::Tab => self.focus = next_pane(self.focus),
            KeyCode::BackTab => self.focus = next_pane(next_pane(self.focus)),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(page),
            KeyCode::PageUp => self.step(-page),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX),
            KeyCode::Char('[') => self.choose_snapshot(self.snapshots.chosen + 1),
            KeyCode::Char(']') => self.choose_snapshot(self.snapshots.chosen.saturating_sub(1)),
            KeyCode::Right | KeyCode::Char('l') | KeyCode::Enter => self.go_in(key.code),
            KeyCode::Left | KeyCode::Char('h') | KeyCode::Backspace => self.go_out(),
            KeyCode::Char(' ') => self.mark(),
            KeyCode::Char('u') => self.unmark(),
            KeyCode::Char('d') => self.compare(),
            KeyCode::Char('r') => self.ask_restore(),
            KeyCode::Char('v') => self.verify(),
            KeyCode::Char('p') => self.change_snapshot(|one| match one.pinned {
                true => Action::Unpin(one.name.clone()),
                false => Action::Pin(one.name.clone()),
            }),
            KeyCode::Char('a') => self.change_snapshot(|one| Action::Accept(one.name.clone())),
            KeyCode::Char('x') | KeyCode::Delete => self.delete(),
            _ => {}
        }
    }

    pub(crate) fn step(&mut self, rows: isize) {
        match self.focus {
            Pane::Snapshots => {
                let place = self.snapshots.chosen.saturating_add_signed(rows);
                self.choose_snapshot(place);
            }
            Pane::Tree => {
                self.choose_item(self.tree.chosen.saturating_add_signed(rows));
            }
            Pane::Versions => {
                let all = self.all_versions().len();
                self.version_rows.step(rows, all);
            }
        }
    }

    pub(crate) fn go_in(&mut self, code: KeyCode) {
        match self.focus {
            Pane::Snapshots => self.focus = Pane::Tree,
            Pane::Tree => {
                if !self.enter() && self.item().is_some() {
                    self.focus = Pane::Versions;
                }
            }
            Pane::Versions if code == KeyCode::Enter => self.go_to_version(),
            Pane::Versions => {}
        }
    }

    /// Shows the tree as it was in the newest snapshot that has the version that is chosen.
    pub(crate) fn go_to_version(&mut self) {
        let chosen = self.all_versions().get(self.version_rows.chosen);
        let place = chosen.and_then(|one| self.place_of(&one.last));
        if let Some(place) = place {
            self.choose_snapshot(place);
        }
    }

    fn go_out(&mut self) {
        match self.focus {
            Pane::Snapshots => {}
            Pane::Tree => {
                if !self.leave() {
                    self.focus = Pane::Snapshots;
                }
            }
            Pane::Versions => self.focus = Pane::Tree,
        }
    }

    fn mark(&mut self) {
        match self.focus {
            Pane::Snapshots => {
                if let Some(name) = self.snapshot().map(|one| one.name.clone()) {
                    toggle(&mut self.marked_snapshots, name);
                    self.step(1);
                }
            }
            Pane::Tree => {
                if let Some(path) = self.chosen_path() {
                    toggle(&mut self.marks, path);
                    self.step(1);
                }
            }
            Pane::Versions => {
                let chosen = self.all_versions().get(self.version_rows.chosen);
                let chosen = chosen.map(|one| one.last.clone());
                self.marked_version = chosen.filter(|it| self.marked_version.as_ref() != Some(it));
            }
        }
    }

    fn unmark(&mut self) {
        self.marks.clear();
        self.found_marks.clear();
        self.marked_snapshots.clear();
        self.marked_version = None;
    }

    fn compare(&mut self) {
        let asked = match self.focus {
            Pane::Snapshots => self.changes(StoredPathBuf::default()),
            Pane::Tree => match self.item().map(|item| item.kind) {
                None => Err("there is nothing here to compare"),
                Some(EntryKind::Folder) => self.changes(self.chosen_path().unwrap_or_default()),
                Some(_) => self.compared_versions(self.version_in(self.snapshots.chosen)),
            },
            Pane::Versions => self.compared_versions(Some(self.version_rows.chosen)),
        };
        match asked {
            Err(because) => self.message = Some(because.to_owned()),
            Ok((path, request)) => {
                self.over = Over::Viewer(Viewer::of(path));
                self.ask(request);
            }
        }
    }

    /// What changed at a path from the snapshot that is marked, or the one before, to the one that is chosen.
    fn changes(&self, path: StoredPathBuf) -> Result<(StoredPathBuf, Request), &'static str> {
        let all = self.all_snapshots();
        let chosen = self.snapshots.chosen;
        let marked = match self.marked_snapshots.len() {
            1 => self.marked_snapshots.first(),
            _ => None,
        };
        let marked = marked.and_then(|name| self.place_of(name));
        let other = marked.filter(|at| *at != chosen).unwrap_or(chosen + 1);
        let (Some(one), Some(other)) = (all.get(chosen), all.get(other)) else {
            return Err("there is no older snapshot to compare with: mark one with the space bar");
        };
        // Newest first: the greater place is the earlier time.
        let (before, after) = match self.place_of(&other.name) > Some(chosen) {
            true => (other, one),
            false => (one, other),
        };
        let request = Request::Changes {
            before: before.name.clone(),
            after: after.name.clone(),
            path: path.clone(),
        };
        Ok((path, request))
    }

    /// The version that is marked, or the one before, and this one.
    fn compared_versions(
        &self,
        chosen: Option<usize>,
    ) -> Result<(StoredPathBuf, Request), &'static str> {
        let all = self.all_versions();
        let marked = self.marked_version.as_ref();
        let marked = marked.and_then(|name| all.iter().position(|one| one.last == *name));
        let (Some(chosen), Some(path)) = (chosen, self.versions_of.clone()) else {
            return Err("its versions are not known");
        };
        let other = marked.filter(|at| *at != chosen);
        let there = |at: &usize| all.get(*at).is_some_and(|one| one.kind.is_some());
        let older = (chosen + 1..all.len()).find(there);
        let newer = (0..chosen).rev().find(there);
        let Some(other) = other.or(older).or(newer) else {
            return Err("there is one version only");
        };
        let version = |at: usize| -> Version { all[at].clone() };
        let request = Request::Compare {
            path: path.clone(),
            older: version(chosen.max(other)),
            newer: version(chosen.min(other)),
        };
        Ok((path, request))
    }

    fn ask_restore(&mut self) {
        let chosen = match self.focus {
            // That version, and not the one that the tree shows.
            Pane::Versions => {
                let version = self.all_versions().get(self.version_rows.chosen);
                let version = version.filter(|one| one.kind.is_some());
                version
                    .map(|one| one.last.clone())
                    .zip(self.versions_of.clone())
            }
            _ => self
                .snapshot()
                .map(|one| one.name.clone())
                .zip(self.chosen_path()),
        };
        let Some((snapshot, path)) = chosen else {
            self.message = Some("there is nothing here to restore".to_owned());
            return;
        };
        let paths = match (self.focus, self.marks.is_empty()) {
            (Pane::Versions, _) | (_, true) => vec![path],
            _ => self.marks.iter().cloned().collect(),
        };
        let from = BTreeMap::from([(snapshot, paths)]);
        self.over = Over::Restore(RestoreDialog::new(from, &self.here));
    }

    fn verify(&mut self) {
        let chosen = match self.focus {
            Pane::Versions => {
                let version = self.all_versions().get(self.version_rows.chosen);
                let version = version.filter(|one| one.kind == Some(EntryKind::File));
                version
                    .map(|one| one.last.clone())
                    .zip(self.versions_of.clone())
            }
            _ => {
                let item = self.item().filter(|item| item.kind == EntryKind::File);
                let path = item.and_then(|_| self.chosen_path());
                self.snapshot().map(|one| one.name.clone()).zip(path)
            }
        };
        match chosen {
            Some((snapshot, path)) => self.action = Some(Action::Verify { snapshot, path }),
            None => self.message = Some("choose a file: it is read and compared".to_owned()),
        }
    }

    /// Does something with the snapshot that is chosen, if it has a record.
    fn change_snapshot(&mut self, action: impl Fn(&Snapshot) -> Action) {
        match self.snapshot() {
            None => {}
            Some(one) if one.has_record => self.action = Some(action(one)),
            Some(one) => {
                self.message = Some(format!("{} has no record that could be changed", one.name));
            }
        }
    }

    fn delete(&mut self) {
        if self.focus != Pane::Snapshots {
            self.message = Some(
                "snapshots are deleted, not what is in them: choose them on the left".to_owned(),
            );
        } else if self.marked_snapshots.is_empty() {
            self.change_snapshot(|one| Action::Delete(vec![one.name.clone()]));
        } else {
            let marked = self.marked_snapshots.iter().cloned().collect();
            self.action = Some(Action::Delete(marked));
        }
    }

    fn take_paste(&mut self, text: &str) {
        match &mut self.over {
            Over::Search(search) => {
                search.input.paste(text);
                self.search_anew();
            }
            Over::Restore(dialog) if !dialog.in_place => dialog.folder.paste(text),
            _ => {}
        }
    }
}

fn next_pane(pane: Pane) -> Pane {
    match pane {
        Pane::Snapshots => Pane::Tree,
        Pane::Tree => Pane::Versions,
        Pane::Versions => Pane::Snapshots,
    }
}

fn toggle<T: Ord>(marks: &mut BTreeSet<T>, one: T) {
    if let Some(there) = marks.take(&one) {
        drop(there);
    } else {
        marks.insert(one);
    }
}
