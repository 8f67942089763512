//! Which of many rows is chosen, and which of them are seen.

use std::ops::Range;

/// A place in rows of which a window shows some.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// The row that is chosen.
    pub(crate) chosen: usize,
    /// The first row that is seen.
    first: usize,
    /// Rows that the window shows, as it was last drawn.
    height: usize,
}

impl Rows {
    /// Goes so many rows up or down, as far as there are any of `all`.
    pub(crate) fn step(&mut self, rows: isize, all: usize) {
        let last = all.saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(rows).min(last);
    }

    /// Rows of a page.
    pub(crate) fn page(self) -> isize {
        isize::try_from(self.height.saturating_sub(1).max(1)).unwrap_or(1)
    }

    /// Moves the window so that it shows the chosen of `all` rows; gives those that it shows.
    pub(crate) fn window(&mut self, height: usize, all: usize) -> Range<usize> {
        self.height = height;
        self.chosen = self.chosen.min(all.saturating_sub(1));
        let last_first = all.saturating_sub(height);
        let least = (self.chosen + 1).saturating_sub(height.max(1));
        self.first = self.first.clamp(least, self.chosen).min(last_first);
        self.first..all.min(self.first + height)
    }

    /// As [`Self::window`], where what is chosen is the first row that is seen, and the last page is full.
    pub(crate) fn page_at(&mut self, height: usize, all: usize) -> Range<usize> {
        self.height = height;
        self.chosen = self.chosen.min(all.saturating_sub(height));
        self.first = self.chosen;
        self.first..all.min(self.first + height)
    }

    /// The row at a line of the window, if there is one.
    pub(crate) fn at_line(self, line: usize, all: usize) -> Option<usize> {
        let row = self.first + line;
        (line < self.height && row < all).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_what_is_chosen_and_never_shows_less_than_it_can() {
        let mut rows = Rows::default();
        assert_eq!(rows.window(5, 100), 0..5);
        rows.step(6, 100);
        assert_eq!(rows.window(5, 100), 2..7);
        rows.step(-3, 100);
        assert_eq!(rows.window(5, 100), 2..7);
        rows.step(-2, 100);
        assert_eq!(rows.window(5, 100), 1..6);
        rows.step(1000, 100);
        assert_eq!(rows.window(5, 100), 95..100);
        assert_eq!(rows.at_line(2, 100), Some(97));
        assert_eq!(rows.at_line(5, 100), None);
        // Fewer rows, as after a deletion.
        assert_eq!(rows.window(5, 97), 92..97);
        assert_eq!(rows.window(50, 3), 0..3);
        assert_eq!(rows.chosen, 2);
        assert_eq!(rows.window(0, 0), 0..0);
        rows.step(50, 100);
        assert_eq!(rows.page_at(10, 100), 50..60);
        rows.step(50, 100);
        assert_eq!(rows.page_at(10, 100), 90..100);
    }
}
