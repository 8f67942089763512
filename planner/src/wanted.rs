//! The destinations whose steps are wanted: all, or some that a person names or that are due.

use schema::{config::DestinationName, plan::Part};

/// The destinations whose steps are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Their names; empty for all.
    pub names: Vec<DestinationName>,
    /// They were asked for by name, and nothing besides: no script and no notification.
    pub alone: bool,
}

impl Wanted {
    /// Those that a person asks for by name, and nothing besides; all where none is named.
    #[must_use]
    pub fn only(mut names: Vec<DestinationName>) -> Self {
        names.sort();
        names.dedup();
        Self {
            alone: !names.is_empty(),
            names,
        }
    }

    /// The steps of one part alone.
    #[must_use]
    pub fn of_part(part: Part) -> Self {
        Self::only(match part {
            Part::Local => vec![DestinationName::new(DestinationName::LOCAL)],
            Part::Cloud => vec![DestinationName::new(DestinationName::CLOUD)],
            Part::Coordinator => Vec::new(),
        })
    }

    /// Whether one is wanted.
    #[must_use]
    pub fn has(&self, name: &DestinationName) -> bool {
        self.names.is_empty() || self.names.contains(name)
    }

    /// Whether `local` or `cloud` is wanted.
    #[must_use]
    pub fn has_base(&self) -> bool {
        self.names.is_empty() || self.names.iter().any(DestinationName::is_predefined)
    }

    /// The part of the base that alone is wanted; none for both, and for neither.
    #[must_use]
    pub fn part(&self) -> Option<Part> {
        let mut base = self.names.iter().filter(|name| name.is_predefined());
        match (base.next()?.as_str(), base.next()) {
            (DestinationName::LOCAL, None) => Some(Part::Local),
            (_, None) => Some(Part::Cloud),
            _ => None,
        }
    }

    /// The named ones among them; empty where none is named.
    #[must_use]
    pub fn named(&self) -> Vec<DestinationName> {
        let named = self.names.iter().filter(|name| !name.is_predefined());
        named.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(names: &[&str]) -> Wanted {
        Wanted::only(
            names
                .iter()
                .map(|name| DestinationName::new(name))
                .collect(),
        )
    }

    #[test]
    fn none_named_is_all_and_one_of_the_base_is_its_part() {
        let usb = DestinationName::new("usb");
        let all = wanted(&[]);
        assert!(all.has(&usb) && all.has_base() && !all.alone);
        assert_eq!(all.part(), None);
        assert!(!wanted(&["usb"]).has_base() && wanted(&["usb"]).alone);
        assert_eq!(wanted(&["local", "usb"]).part(), Some(Part::Local));
        assert_eq!(wanted(&["cloud"]), Wanted::of_part(Part::Cloud));
        assert_eq!(wanted(&["local", "cloud"]).part(), None);
        assert_eq!(wanted(&["local", "usb"]).named(), [usb]);
    }
}
