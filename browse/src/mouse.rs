//! What the mouse does.

use ratatui::{
    crossterm::event::{KeyCode, MouseButton, MouseEvent, MouseEventKind},
    layout::Position,
};

use crate::{
    app::{App, Over, Pane},
    areas::line_in,
};

/// Rows that a turn of the wheel goes.
const WHEEL: isize = 3;

impl App {
    pub(crate) fn take_mouse(&mut self, mouse: MouseEvent) {
        let at = Position::new(mouse.column, mouse.row);
        let wheel = match mouse.kind {
            MouseEventKind::ScrollDown => Some(WHEEL),
            MouseEventKind::ScrollUp => Some(-WHEEL),
            MouseEventKind::Down(MouseButton::Left) => None,
            _ => return,
        };
        self.message = None;
        let over = self.areas.over;
        match &mut self.over {
            Over::Help => self.over = Over::Nothing,
            Over::Viewer(viewer) => {
                let all = viewer.length();
                viewer.rows.step(wheel.unwrap_or(0), all);
            }
            Over::Search(search) => {
                let all = search.found.len();
                let line = line_in(over, at).and_then(|line| search.rows.at_line(line, all));
                match (wheel, line) {
                    (Some(rows), _) => search.rows.step(rows, all),
                    (None, Some(row)) if search.rows.chosen == row => self.go_to_found(),
                    (None, Some(row)) => search.rows.chosen = row,
                    _ => {}
                }
            }
            Over::Destinations(rows) => {
                let all = self.destinations.len();
                let line = line_in(over, at).and_then(|line| rows.at_line(line, all));
                match (wheel, line) {
                    (Some(step), _) => rows.step(step, all),
                    (None, Some(row)) if rows.chosen == row => self.go_to_destination(),
                    (None, Some(row)) => rows.chosen = row,
                    _ => {}
                }
            }
            Over::Restore(_) => {}
            Over::Nothing => self.point_at(at, wheel),
        }
    }

    fn point_at(&mut self, at: Position, wheel: Option<isize>) {
        let areas = self.areas;
        let panes = [
            (Pane::Snapshots, areas.snapshots),
            (Pane::Tree, areas.tree),
            (Pane::Versions, areas.versions),
        ];
        let Some((pane, area)) = panes.into_iter().find(|(_, area)| area.contains(at)) else {
            return;
        };
        let was_focused = self.focus == pane;
        if let Some(rows) = wheel {
            // What is turned is what is pointed at; keys stay where they are.
            let focus = std::mem::replace(&mut self.focus, pane);
            self.step(rows);
            self.focus = focus;
            return;
        }
        self.focus = pane;
        let Some(line) = line_in(area, at) else {
            return;
        };
        match pane {
            Pane::Snapshots => {
                if let Some(row) = self.snapshots.at_line(line, self.all_snapshots().len()) {
                    self.choose_snapshot(row);
                }
            }
            Pane::Tree => {
                let Some(row) = self.tree.at_line(line, self.items().len()) else {
                    return;
                };
                if was_focused && self.tree.chosen == row {
                    self.go_in(KeyCode::Right);
                } else {
                    self.choose_item(row);
                }
            }
            Pane::Versions => {
                // Each has two lines.
                let all = self.all_versions().len();
                let Some(row) = self.version_rows.at_line(line / 2, all) else {
                    return;
                };
                if was_focused && self.version_rows.chosen == row {
                    self.go_to_version();
                } else {
                    self.version_rows.chosen = row;
                }
            }
        }
    }
}
