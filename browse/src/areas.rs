//! What stands where on the screen, for the mouse.

use ratatui::layout::{Position, Rect};

/// The areas of what was last drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) snapshots: Rect,
    pub(crate) tree: Rect,
    pub(crate) versions: Rect,
    /// Of what is over the panes.
    pub(crate) over: Rect,
}

/// The line of an area that was pointed at.
pub(crate) fn line_in(area: Rect, at: Position) -> Option<usize> {
    area.contains(at).then(|| usize::from(at.y - area.y))
}
