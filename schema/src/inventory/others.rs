//! What an inventory has of the named destinations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DestinationState, Inventory, SourceState};
use crate::{Finding, Gone, cloud::CloudState, config::DestinationName, rsync::RsyncFound};

/// What was found for a named destination: itself, and its sources compared with what it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OtherDestination {
    /// Ids of the destinations that this machine has used by this name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_destinations: Vec<String>,
    /// What kept the destination or the sources from being looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Finding>,
    /// The destination, where it was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<DestinationState>,
    /// Its sources, in the order of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceState>,
    /// Exclude patterns that leave out nothing of what is in the sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmatched_patterns: Vec<String>,
    /// What is gone from the sources since the basis; none where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// rsync, where this destination's engine is rsync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rsync: Option<RsyncFound>,
    /// What is known of the copies on a remote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudState>,
}

impl Inventory {
    /// The inventory as it would be with one destination alone: what is of the machine, and its own. Empty of
    /// a destination and of sources where the named one was not looked at.
    #[must_use]
    pub fn view(&self, name: &DestinationName) -> Self {
        let common = Self {
            format_version: self.format_version,
            taken_at: self.taken_at,
            host: self.host.clone(),
            privileged: self.privileged,
            power: self.power,
            machine: self.machine,
            known_destinations: Vec::new(),
            fault: None,
            destination: None,
            sources: Vec::new(),
            unmatched_patterns: Vec::new(),
            gone: None,
            rsync: None,
            cloud: None,
            state_faults: self.state_faults.clone(),
            state_unwritable: self.state_unwritable.clone(),
            unusable_secrets: self.unusable_secrets.clone(),
            untrusted: self.untrusted.clone(),
            others: std::collections::BTreeMap::new(),
        };
        if name.is_predefined() {
            return Self {
                known_destinations: self.known_destinations.clone(),
                fault: self.fault.clone(),
                destination: self.destination.clone(),
                sources: self.sources.clone(),
                unmatched_patterns: self.unmatched_patterns.clone(),
                gone: self.gone.clone(),
                rsync: self.rsync.clone(),
                cloud: self.cloud.clone(),
                ..common
            };
        }
        let own = self.others.get(name).cloned().unwrap_or_default();
        Self {
            known_destinations: own.known_destinations,
            fault: own.fault,
            destination: own.destination,
            sources: own.sources,
            unmatched_patterns: own.unmatched_patterns,
            gone: own.gone,
            rsync: own.rsync,
            cloud: own.cloud,
            ..common
        }
    }

    /// What is of one destination in the inventory of a view, as it stands among `others`.
    #[must_use]
    pub fn into_other(self) -> OtherDestination {
        OtherDestination {
            known_destinations: self.known_destinations,
            fault: self.fault,
            destination: self.destination,
            sources: self.sources,
            unmatched_patterns: self.unmatched_patterns,
            gone: self.gone,
            rsync: self.rsync,
            cloud: self.cloud,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inventory() -> Inventory {
        serde_json::from_value(json!({
            "format_version": 1, "taken_at": "2025-01-01T00:00:00Z", "host": "h", "privileged": true,
            "power": "battery", "known_destinations": ["one"], "destination": null, "sources": [],
            "unmatched_patterns": ["*.a"], "state_faults": ["f"],
            "others": {"usb": {"known_destinations": ["two"], "unmatched_patterns": ["*.b"]}},
        }))
        .unwrap()
    }

    #[test]
    fn a_view_has_its_own_and_what_is_of_the_machine() {
        let inventory = inventory();
        let usb: DestinationName = "usb".parse().unwrap();
        let view = inventory.view(&usb);
        assert_eq!(view.known_destinations, ["two"]);
        assert_eq!(view.unmatched_patterns, ["*.b"]);
        assert_eq!((view.state_faults.len(), view.power), (1, inventory.power));
        assert!(view.others.is_empty());
        assert_eq!(view.into_other(), inventory.others[&usb]);
        let base = inventory.view(&DestinationName::new(DestinationName::LOCAL));
        assert_eq!(base.known_destinations, ["one"]);
        assert!(base.others.is_empty());
        let absent = inventory.view(&"nas".parse().unwrap());
        assert!(absent.known_destinations.is_empty());
        assert_eq!(absent.state_faults, ["f"]);
    }

    #[test]
    fn without_named_destinations_nothing_is_written_of_them() {
        let mut inventory = inventory();
        inventory.others.clear();
        let json = serde_json::to_value(&inventory).unwrap();
        assert!(json.get("others").is_none());
        assert_eq!(
            inventory.view(&DestinationName::new(DestinationName::CLOUD)),
            inventory
        );
    }
}
