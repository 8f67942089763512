//! The configuration as one destination sees it: as if it were the only one.
//!
//! What plans, executes and tells of one destination gets such a view and knows nothing of the others.
//! `local` and `cloud` share one, because the cloud is fed by what is local.

use super::{
    Cloud, Config, Destination, DestinationKind, DestinationName, Expire, Layout, Local, Provider,
    Schedule, SyncMode, destinations::keys_of,
};
use crate::plan::Part;

/// What a view cannot say of a named remote, beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteOptions {
    /// How copies stand there.
    pub layout: Layout,
    /// Who takes old snapshots away.
    pub expire: Expire,
}

/// Keys of both types that stand in `local` for the predefined destination.
const OF_LOCAL: [&str; 9] = [
    "keepLast",
    "keepHourly",
    "keepDaily",
    "keepWeekly",
    "keepMonthly",
    "keepYearly",
    "weekStartsOn",
    "sources",
    "excludePatterns",
];

/// Keys of a schedule of its own.
const OF_SCHEDULE: [&str; 4] = ["frequency", "timeOfDay", "randomDelay", "onlyOnAC"];

impl Config {
    /// The view that `local` and `cloud` share.
    #[must_use]
    pub fn base(&self) -> Self {
        Self {
            destinations: Default::default(),
            ..self.clone()
        }
    }

    /// The names of the destinations that are used, in the order of a run: `local`, disks, `cloud`, remotes.
    #[must_use]
    pub fn names(&self) -> Vec<DestinationName> {
        let predefined = |name: &str, enable: bool| enable.then(|| DestinationName::new(name));
        let mut names = Vec::from_iter(predefined(DestinationName::LOCAL, self.local.enable));
        names.extend(self.named(DestinationKind::Disk));
        names.extend(predefined(DestinationName::CLOUD, self.cloud.enable));
        names.extend(self.named(DestinationKind::Remote));
        names
    }

    /// The name of `local`, or of `cloud` where that alone is used; none where neither is.
    #[must_use]
    pub fn base_name(&self) -> Option<DestinationName> {
        match (self.local.enable, self.cloud.enable) {
            (true, _) => Some(DestinationName::new(DestinationName::LOCAL)),
            (false, true) => Some(DestinationName::new(DestinationName::CLOUD)),
            (false, false) => None,
        }
    }

    /// The disk that is meant where none is named and `local` is not used: the only one.
    #[must_use]
    pub fn only_disk(&self) -> Option<DestinationName> {
        let mut disks = self.named(DestinationKind::Disk);
        let only = disks.next().filter(|_| !self.local.enable)?;
        disks.next().is_none().then_some(only)
    }

    /// The names of the destinations that are used and have no section of their own, in the order of a run.
    #[must_use]
    pub fn chains(&self) -> Vec<DestinationName> {
        let disks = self.named(DestinationKind::Disk);
        disks.chain(self.named(DestinationKind::Remote)).collect()
    }

    fn named(&self, kind: DestinationKind) -> impl Iterator<Item = DestinationName> {
        let all = self.destinations.iter();
        all.filter(move |(_, one)| one.enable && one.kind == kind)
            .map(|(name, _)| name.clone())
    }

    /// The configuration as the destination of this name sees it; none where there is no such one.
    #[must_use]
    pub fn view(&self, name: &DestinationName) -> Option<Self> {
        if name.is_predefined() {
            return Some(self.base());
        }
        let destination = self.destinations.get(name)?;
        let base = self.base();
        let schedule = merge_schedule(&base.schedule, destination);
        let local = merge_local(&base.local, destination);
        let cloud = match destination.kind {
            DestinationKind::Disk => Cloud::default(),
            DestinationKind::Remote => remote_of(destination),
        };
        let mut monitoring = base.monitoring.clone();
        // Trial restores by a timer are of `local`, or of the disk that is there in its place, and of each
        // remote whose snapshots can be restored by themselves.
        let is_drilled = match destination.kind {
            DestinationKind::Disk => self.only_disk().as_ref() == Some(name),
            DestinationKind::Remote => destination.layout == Layout::History,
        };
        monitoring.drill.enable &= is_drilled;
        Some(Self {
            local,
            cloud,
            schedule,
            monitoring,
            proton_drive: Default::default(),
            ..base
        })
    }

    /// What the view of a named remote does not say; none for disks, `local` and `cloud`.
    #[must_use]
    pub fn remote_options(&self, name: &DestinationName) -> Option<RemoteOptions> {
        let destination = self.destinations.get(name)?;
        (destination.kind == DestinationKind::Remote).then_some(RemoteOptions {
            layout: destination.layout,
            expire: destination.expire,
        })
    }

    /// The part of a run that serves a destination: what faces the network, or what works on a disk.
    #[must_use]
    pub fn part_of(&self, name: &DestinationName) -> Part {
        let named = self.destinations.get(name).map(|of| of.kind);
        match named {
            Some(DestinationKind::Remote) => Part::Cloud,
            None if name.as_str() == DestinationName::CLOUD => Part::Cloud,
            _ => Part::Local,
        }
    }

    /// The path of the key that stands in the view of this destination at `path`.
    #[must_use]
    pub fn path_of(&self, name: &DestinationName, path: &str) -> String {
        let Some(destination) = self.destinations.get(name) else {
            return path.to_owned();
        };
        let split = path.split_once('.').map(|(section, rest)| {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            (section, rest.split_at(end))
        });
        let Some((section, (key, rest))) = split else {
            return path.to_owned();
        };
        let own = match section {
            "local" => {
                let disk = destination.kind == DestinationKind::Disk;
                let given = match key {
                    "sources" => destination.sources.is_some(),
                    "excludePatterns" => destination.exclude_patterns.is_some(),
                    _ => true,
                };
                let of_disk = keys_of(DestinationKind::Disk).contains(&key) || key == "enable";
                given && (OF_LOCAL.contains(&key) || (disk && of_disk))
            }
            "cloud" => {
                let of_remote = keys_of(DestinationKind::Remote).contains(&key) || key == "enable";
                destination.kind == DestinationKind::Remote && of_remote
            }
            "schedule" => {
                let own = destination.schedule.as_ref();
                let given = own.is_some_and(|own| match key {
                    "frequency" => own.frequency.is_some(),
                    "timeOfDay" => own.time_of_day.is_some(),
                    "randomDelay" => own.random_delay.is_some(),
                    _ => own.only_on_ac.is_some(),
                });
                let key = OF_SCHEDULE.contains(&key).then_some(key);
                return match key.filter(|_| given) {
                    Some(key) => format!("destinations.{name}.schedule.{key}{rest}"),
                    None => path.to_owned(),
                };
            }
            _ => false,
        };
        match own {
            true => format!("destinations.{name}.{key}{rest}"),
            false => path.to_owned(),
        }
    }
}

/// `local` as it would be written if this were the only destination; of a remote what is backed up and kept.
fn merge_local(local: &Local, of: &Destination) -> Local {
    let local = local.clone();
    let common = Local {
        enable: false,
        keep_last: of.keep_last,
        keep_hourly: of.keep_hourly,
        keep_daily: of.keep_daily,
        keep_weekly: of.keep_weekly,
        keep_monthly: of.keep_monthly,
        keep_yearly: of.keep_yearly,
        week_starts_on: of.week_starts_on,
        sources: of.sources.clone().unwrap_or(local.sources),
        optional_sources: match &of.sources {
            Some(own) => {
                let all = local.optional_sources.into_iter();
                all.filter(|path| own.contains(path)).collect()
            }
            None => local.optional_sources,
        },
        exclude_patterns: of
            .exclude_patterns
            .clone()
            .unwrap_or(local.exclude_patterns),
        max_holes_gb: local.max_holes_gb,
        exclude_caches: local.exclude_caches,
        exclude_if_present: local.exclude_if_present,
        one_file_system: local.one_file_system,
        ..Local::default()
    };
    if of.kind == DestinationKind::Remote {
        return common;
    }
    let Local { mount_point, .. } = Local::default();
    Local {
        enable: of.enable,
        mount_point: of.mount_point.clone().unwrap_or(mount_point),
        require_mount: of.require_mount,
        file_system_uuid: of.file_system_uuid.clone(),
        if_absent: of.if_absent,
        use_rsync: of.use_rsync,
        min_space_gb: of.min_space_gb,
        make_room: of.make_room,
        allow_full_copies: of.allow_full_copies,
        readable_by_users: of.readable_by_users,
        ..common
    }
}

/// `cloud` as it would be written if this were the only destination.
fn remote_of(of: &Destination) -> Cloud {
    Cloud {
        enable: of.enable,
        provider: Provider::Custom,
        remote: of.remote.clone(),
        remote_path: of.remote_path.clone(),
        sync_mode: SyncMode::Sync,
        keep_history_days: of.keep_history_days,
        max_delete: of.max_delete,
        bandwidth_limit: of.bandwidth_limit.clone(),
        config_file: of.config_file.clone(),
        timeout: of.timeout.clone(),
    }
}

fn merge_schedule(common: &Schedule, of: &Destination) -> Schedule {
    let common = common.clone();
    let Some(own) = of.schedule.clone() else {
        return common;
    };
    Schedule {
        frequency: own.frequency.unwrap_or(common.frequency),
        time_of_day: own.time_of_day.unwrap_or(common.time_of_day),
        random_delay: own.random_delay.unwrap_or(common.random_delay),
        only_on_ac: own.only_on_ac.unwrap_or(common.only_on_ac),
        ..common
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Config {
        serde_json::from_value(json!({
            "hostname": "atlas",
            "local": { "enable": true, "keepDaily": 30, "sources": ["/home", "/srv"],
                "optionalSources": ["/srv"], "excludeCaches": false },
            "cloud": { "enable": true },
            "schedule": { "enable": true, "timeOfDay": "03:00" },
            "destinations": {
                "usb": { "type": "disk", "mountPoint": "/mnt/usb", "sources": ["/home"],
                    "schedule": { "frequency": "weekly" } },
                "nas": { "type": "disk", "mountPoint": "/mnt/nas", "keepDaily": 2 },
                "b2": { "type": "remote", "remote": "b2:bucket", "excludePatterns": ["*.iso"] },
                "old": { "type": "disk", "enable": false },
            },
        }))
        .unwrap()
    }

    fn view(name: &str) -> Config {
        config().view(&DestinationName::new(name)).unwrap()
    }

    #[test]
    fn without_destinations_a_view_is_the_whole() {
        let mut plain = config();
        plain.destinations.clear();
        assert_eq!(plain.base(), plain);
        for name in ["local", "cloud"] {
            assert_eq!(plain.view(&DestinationName::new(name)), Some(plain.clone()));
            assert_eq!(view(name), plain);
        }
        assert_eq!(plain.view(&DestinationName::new("usb")), None);
        assert!(plain.chains().is_empty());
    }

    #[test]
    fn the_order_is_local_disks_cloud_remotes() {
        let names: Vec<String> = config().names().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["local", "nas", "usb", "cloud", "b2"]);
    }

    #[test]
    fn a_disk_is_the_local_one_of_its_view_with_its_own_retention_sources_and_schedule() {
        let usb = view("usb");
        assert!(usb.local.enable && !usb.cloud.enable && usb.destinations.is_empty());
        assert_eq!(usb.local.mount_point.as_str(), "/mnt/usb");
        assert_eq!(usb.local.keep_daily, 7);
        assert_eq!(usb.local.sources.len(), 1);
        assert!(usb.local.optional_sources.is_empty() && !usb.local.exclude_caches);
        assert_eq!(usb.schedule.frequency.as_str(), "weekly");
        assert_eq!(usb.schedule.time_of_day, config().schedule.time_of_day);
        let nas = view("nas");
        assert_eq!(nas.local.keep_daily, 2);
        assert_eq!(nas.local.sources, config().local.sources);
        assert_eq!(nas.schedule, config().schedule);
    }

    #[test]
    fn a_remote_is_the_cloud_of_its_view_and_backs_up_what_it_says() {
        let b2 = view("b2");
        assert!(b2.cloud.enable && !b2.local.enable);
        assert_eq!(b2.cloud.remote.as_deref(), Some("b2:bucket"));
        assert_eq!(b2.local.exclude_patterns, ["*.iso"]);
        assert_eq!(b2.local.keep_daily, 7);
        let options = config()
            .remote_options(&DestinationName::new("b2"))
            .unwrap();
        assert_eq!(options.layout, Layout::History);
        assert_eq!(options.expire, Expire::Here);
        assert_eq!(config().remote_options(&DestinationName::new("usb")), None);
        let part = |name: &str| config().part_of(&DestinationName::new(name));
        assert_eq!(["b2", "cloud"].map(part), [Part::Cloud; 2]);
        assert_eq!(["usb", "local"].map(part), [Part::Local; 2]);
    }

    #[test]
    fn keys_are_named_as_they_are_written() {
        let config = config();
        let path = |name: &str, path: &str| config.path_of(&DestinationName::new(name), path);
        assert_eq!(
            path("usb", "local.sources[2]"),
            "destinations.usb.sources[2]"
        );
        assert_eq!(path("nas", "local.sources[2]"), "local.sources[2]");
        assert_eq!(
            path("usb", "local.mountPoint"),
            "destinations.usb.mountPoint"
        );
        assert_eq!(path("b2", "cloud.remotePath"), "destinations.b2.remotePath");
        assert_eq!(path("usb", "local.oneFileSystem"), "local.oneFileSystem");
        assert_eq!(
            path("usb", "schedule.frequency"),
            "destinations.usb.schedule.frequency"
        );
        assert_eq!(path("usb", "schedule.onlyOnAC"), "schedule.onlyOnAC");
        assert_eq!(path("local", "local.keepDaily"), "local.keepDaily");
        assert_eq!(path("usb", "hostname"), "hostname");
    }
}
