//! How things are set off: by words and signs first, and by colour where that is wanted.

use ratatui::style::{Color, Modifier, Style};

use crate::data::Standing;

/// Whether there is colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    pub(crate) color: bool,
}

impl Theme {
    fn colored(self, color: Color) -> Style {
        match self.color {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }

    /// The row that is chosen, where keys go.
    pub(crate) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The row that is chosen, where keys do not go.
    pub(crate) fn chosen_elsewhere(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    pub(crate) fn title(self, focused: bool) -> Style {
        match focused {
            true => Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED),
            false => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    pub(crate) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(crate) fn folder(self) -> Style {
        self.colored(Color::Blue)
    }

    pub(crate) fn added(self) -> Style {
        self.colored(Color::Green)
    }

    pub(crate) fn removed(self) -> Style {
        self.colored(Color::Red)
    }

    pub(crate) fn warning(self) -> Style {
        self.colored(Color::Yellow)
    }

    pub(crate) fn standing(self, standing: Standing) -> Style {
        match standing {
            Standing::Good => Style::new(),
            Standing::Doubtful => self.warning(),
            Standing::Unknown => self.dim(),
        }
    }
}
