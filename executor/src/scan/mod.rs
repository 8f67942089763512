//! Looking at machine, destination and sources. Nothing here writes anything anywhere.

mod cloud;
mod compare_again;
mod cost;
mod databases;
mod destination;
mod held;
mod idle_drives;
mod looks;
pub(crate) mod lost;
mod named;
#[cfg(test)]
mod room_tests;
mod rsync;
mod shared;
mod source_count;
mod sources;
mod surroundings;
mod tally;
mod tiers;

use std::path::Path;

use schema::inventory::Power;

pub use cloud::{scan_cloud, scan_history};
pub use compare_again::compare_again;
pub use destination::scan_destination;
pub use looks::Looks;
pub(crate) use looks::inodes_left_out;
pub use named::{NamedEntry, scan_folder, scan_names, scan_other_hosts};
pub use rsync::find_rsync;
pub use shared::SharedScan;
pub use sources::scan_sources;
pub use surroundings::scan_surroundings;
pub use tally::ComparedBasis;

/// What the machine runs on, by `/sys/class/power_supply` (sysfs-class-power): on battery if
/// there is one that discharges and no mains supply is online.
#[must_use]
pub fn scan_power() -> Power {
    power_below(Path::new("/sys/class/power_supply"))
}

fn power_below(folder: &Path) -> Power {
    let Ok(supplies) = std::fs::read_dir(folder) else {
        return Power::Unknown;
    };
    let mut discharging = false;
    for supply in supplies.flatten() {
        let read = |name: &str| {
            std::fs::read_to_string(supply.path().join(name))
                .map(|text| text.trim().to_owned())
                .unwrap_or_default()
        };
        // A keyboard's battery says nothing about the machine.
        if read("scope") == "Device" {
            continue;
        }
        match read("type").as_str() {
            "Mains" | "USB" if read("online") == "1" => return Power::Ac,
            "Battery" if read("status") == "Discharging" => discharging = true,
            _ => {}
        }
    }
    if discharging {
        Power::Battery
    } else {
        Power::Ac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discharging_battery_counts_only_without_mains() {
        let temporary = tempfile::tempdir().unwrap();
        let supply = |name: &str, files: &[(&str, &str)]| {
            let folder = temporary.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            for (file, text) in files {
                std::fs::write(folder.join(file), format!("{text}\n")).unwrap();
            }
        };
        assert_eq!(power_below(temporary.path()), Power::Ac);
        supply(
            "mouse",
            &[
                ("type", "Battery"),
                ("status", "Discharging"),
                ("scope", "Device"),
            ],
        );
        assert_eq!(power_below(temporary.path()), Power::Ac);
        supply("BAT0", &[("type", "Battery"), ("status", "Discharging")]);
        supply("AC", &[("type", "Mains"), ("online", "0")]);
        assert_eq!(power_below(temporary.path()), Power::Battery);
        supply("AC", &[("type", "Mains"), ("online", "1")]);
        assert_eq!(power_below(temporary.path()), Power::Ac);
        let absent = temporary.path().join("absent");
        assert_eq!(power_below(&absent), Power::Unknown);
    }
}
