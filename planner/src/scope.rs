//! How much is looked at for a plan.

use schema::{Config, inventory::DestinationState, plan::Part};

use crate::findings::destination::destination_absence;

/// What an inventory is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InventoryScope {
    /// The machine alone: nothing else is wanted.
    Machine,
    /// The live sources, compared with the last upload: the destination is not enabled, or away.
    LiveSources,
    /// The destination and what is remembered of the copies in the cloud, without the sources.
    Copies,
    /// The destination, the sources compared with its basis, and what is remembered of the copies.
    Whole,
}

impl InventoryScope {
    /// Whether the destination is looked at. Of its absence only a look can tell.
    #[must_use]
    pub fn needs_destination(config: &Config) -> bool {
        config.local.enable
    }

    /// The scope for a plan of this part, or of the whole run; `destination` as it was found, where
    /// local snapshots are enabled.
    #[must_use]
    pub fn of(config: &Config, destination: Option<&DestinationState>, only: Option<Part>) -> Self {
        let copies_live = config.cloud.enable && only != Some(Part::Local);
        let Some(destination) = destination.filter(|_| config.local.enable) else {
            return if copies_live {
                Self::LiveSources
            } else {
                Self::Machine
            };
        };
        if copies_live && destination_absence(config, destination).is_some() {
            Self::LiveSources
        } else if only == Some(Part::Cloud) {
            Self::Copies
        } else {
            Self::Whole
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::destination;

    fn config(local: bool, cloud: bool) -> Config {
        serde_json::from_value(json!({
            "local": {"enable": local},
            "cloud": {"enable": cloud},
        }))
        .unwrap()
    }

    #[test]
    fn the_live_sources_are_looked_at_where_no_destination_stands_before_them() {
        let there = destination(true, &json!([]));
        let away = destination(false, &json!([]));
        let whole = [None, Some(Part::Local), Some(Part::Cloud)];
        let scopes = |config: &Config, found: Option<&DestinationState>| {
            whole.map(|only| InventoryScope::of(config, found, only))
        };
        use InventoryScope::{Copies, LiveSources, Machine, Whole};
        assert_eq!(scopes(&config(false, false), None), [Machine; 3]);
        assert_eq!(
            scopes(&config(false, true), None),
            [LiveSources, Machine, LiveSources]
        );
        let both = config(true, true);
        assert_eq!(scopes(&both, Some(&there)), [Whole, Whole, Copies]);
        assert_eq!(
            scopes(&both, Some(&away)),
            [LiveSources, Whole, LiveSources]
        );
        // Without a copy in the cloud the plan says that the destination is away.
        let local = config(true, false);
        assert_eq!(scopes(&local, Some(&away)), [Whole, Whole, Copies]);
    }
}
