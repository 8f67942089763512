//! What of a configuration and its layout the units depend on: named conditions and texts, the texts
//! quoted as unit files want them. The NixOS module works out the same ones
//! (`nixos/unit-facts.nix`).

use std::collections::BTreeMap;

use schema::{
    Config,
    config::{DestinationKind, DestinationName, Layout as RemoteLayout},
    plan::Part,
};

use super::{
    Layout, STATE_DIR,
    quote::{self, mount_unit},
};
use crate::calendar::schedule_expression;

/// What units depend on, by name. A text is left out where nothing that holds asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// What holds and what does not.
    pub conditions: BTreeMap<&'static str, bool>,
    /// What stands for `${name}`.
    pub texts: BTreeMap<&'static str, String>,
    /// What stands for `${name}` in as many values as there are members: of named destinations.
    pub lists: BTreeMap<&'static str, Vec<String>>,
}

impl Facts {
    /// The facts of a configuration, for all units but those of named destinations.
    #[must_use]
    pub fn from_config(config: &Config, layout: &Layout) -> Self {
        let mut facts = Self::of_view(config, layout);
        for name in config.chains() {
            let Some(own) = Self::of_destination(config, &name, layout) else {
                continue;
            };
            let holds = |condition| own.hold(&[condition]);
            let mut push = |list, text: Option<&String>| {
                let list = facts.lists.entry(list).or_default();
                list.extend(text.cloned());
            };
            push("others.names", Some(&name.to_string()));
            if holds("local.enable") {
                push("others.mountPoints", own.texts.get("mountPoint.word"));
                push("others.mountUnits", own.texts.get("mountUnit"));
            }
            if holds("local.readableByUsers") {
                push("others.readable", Some(&name.to_string()));
            }
            if holds("tmp.isUsed") {
                facts.conditions.insert("tmp.isUsedByAny", true);
            }
            if config.part_of(&name) == Part::Cloud {
                facts.conditions.insert("remotes.areUsed", true);
            }
        }
        if has_history_remote(config) {
            facts.conditions.insert("drill.isOfRemotes", true);
            let drills = config.monitoring.drill.enable;
            facts.conditions.insert("monitoring.drill.enable", drills);
        }
        facts
    }

    /// The facts of the units of one named destination.
    #[must_use]
    pub fn of_destination(
        config: &Config,
        name: &DestinationName,
        layout: &Layout,
    ) -> Option<Self> {
        let mut facts = Self::of_view(&config.view(name)?, layout);
        let own = config.destinations.get(name)?.schedule.is_some();
        facts.conditions.insert("destination.hasSchedule", own);
        facts.texts.insert("name", name.to_string());
        if config.part_of(name) == Part::Cloud {
            facts.texts.remove("mountPoint.word");
            // It reads the disks that it gets snapshots from.
            let mut disks = named_disks(config).into_iter();
            let uses_tmp = uses_temporary_folders(config, layout)
                || disks.any(|disk| {
                    let view = config.view(&disk);
                    view.is_some_and(|view| uses_temporary_folders(&view, layout))
                });
            if uses_tmp {
                facts.conditions.insert("tmp.isUsed", true);
                facts.conditions.insert("tmp.isUsedByAny", true);
            }
        }
        Some(facts)
    }

    fn of_view(config: &Config, layout: &Layout) -> Self {
        let Config {
            local,
            cloud,
            schedule,
            monitoring,
            ..
        } = config;
        let needs_mount = local.enable && local.require_mount;
        let logs = monitoring.log_path.as_str();
        let logs_directory = logs
            .strip_prefix("/var/log/")
            .filter(|below| !below.is_empty());
        let metrics = metrics_folder(config);
        let delay = schedule.random_delay.as_micros();
        let uses_tmp = uses_temporary_folders(config, layout);
        let conditions = BTreeMap::from([
            ("local.enable", local.enable),
            ("cloud.enable", cloud.enable),
            (
                "local.readableByUsers",
                local.enable && local.readable_by_users,
            ),
            ("schedule.enable", schedule.enable),
            ("schedule.onlyOnAC", schedule.only_on_ac),
            ("schedule.persistent", schedule.persistent),
            ("schedule.isDelayed", delay > 0),
            ("monitoring.enable", monitoring.enable),
            (
                "monitoring.drill.enable",
                local.enable && monitoring.drill.enable,
            ),
            // Of named ones nothing is known here.
            ("remotes.areUsed", cloud.enable),
            ("drill.isOfRemotes", false),
            (
                "drill.startsServices",
                monitoring
                    .drill
                    .checks
                    .iter()
                    .any(|one| one.unit().is_some()),
            ),
            ("destination.isMounted", needs_mount),
            (
                "scripts.areRun",
                config.pre_backup_script.is_some() || config.post_backup_script.is_some(),
            ),
            ("metrics.areWritten", metrics.is_some()),
            ("logs.areBelowVarLog", logs_directory.is_some()),
            ("state.isInItsDefault", layout.state_dir == STATE_DIR),
            ("tmp.isUsed", uses_tmp),
            ("tmp.isUsedByAny", uses_tmp),
            // The common one is nobody's own.
            ("destination.hasSchedule", false),
        ]);
        let word = quote::quote_path;
        let mount_point = local.mount_point.as_str();
        let texts = [
            ("program", Some(program_with_options(layout))),
            ("mountPoint.word", Some(word(mount_point))),
            ("mountUnit", needs_mount.then(|| mount_unit(mount_point))),
            ("schedule", on_calendar(config)),
            ("randomDelay", Some(format!("{delay}us"))),
            (
                "healthCheckInterval",
                Some(quote::quote_line(monitoring.health_check_interval.as_str())),
            ),
            (
                "drillSchedule",
                Some(quote::quote_line(monitoring.drill.schedule.as_str())),
            ),
            ("stateDirectory.word", Some(word(&layout.state_dir))),
            (
                "cloudStateDirectory.word",
                Some(word(&format!("{}/cloud", layout.state_dir))),
            ),
            ("logPath.word", Some(word(logs))),
            ("logsDirectory.word", logs_directory.map(word)),
            ("metricsFolder.word", metrics.map(word)),
        ];
        let texts = texts.into_iter();
        Self {
            conditions,
            texts: texts
                .filter_map(|(name, text)| Some((name, text?)))
                .collect(),
            lists: LISTS.map(|name| (name, Vec::new())).into(),
        }
    }

    /// Whether all of these hold.
    pub(super) fn hold(&self, conditions: &[&str]) -> bool {
        conditions.iter().all(|condition| {
            let (name, wanted) = match condition.strip_prefix('!') {
                Some(name) => (name, false),
                None => (*condition, true),
            };
            self.conditions.get(name) == Some(&wanted)
        })
    }

    /// A text with what stands for each `${name}` in it; none where that is not known.
    pub(super) fn fill(&self, template: &str) -> Option<String> {
        self.fill_with(template, None)
    }

    /// The same for each member of the list that it names; one text where it names none.
    pub(super) fn fill_each(&self, template: &str) -> Option<Vec<String>> {
        let mut lists = self.lists.iter();
        let named = lists.find(|(name, _)| template.contains(&format!("${{{name}}}")));
        let Some((name, members)) = named else {
            return Some(vec![self.fill(template)?]);
        };
        let texts = members.iter();
        let texts = texts.map(|member| self.fill_with(template, Some((name, member))));
        texts.collect()
    }

    fn fill_with(&self, template: &str, member: Option<(&str, &String)>) -> Option<String> {
        let mut parts = template.split("${");
        let mut text = parts.next()?.to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}')?;
            let of_list = member.filter(|(list, _)| *list == name);
            text.push_str(match of_list {
                Some((_, member)) => member,
                None => self.texts.get(name)?,
            });
            text.push_str(rest);
        }
        Some(text)
    }
}

/// Whether a remote is used of which a restore can be tried.
fn has_history_remote(config: &Config) -> bool {
    let mut names = config.chains().into_iter();
    names.any(|name| {
        let remote = config.remote_options(&name);
        remote.is_some_and(|remote| remote.layout == RemoteLayout::History)
    })
}

/// The lists that units depend on: names, and words of paths and mount units of named disks.
const LISTS: [&str; 4] = [
    "others.names",
    "others.mountPoints",
    "others.mountUnits",
    "others.readable",
];

/// The named destinations that are disks, in the order of a run.
pub(super) fn named_disks(config: &Config) -> Vec<DestinationName> {
    let is_disk = |name: &DestinationName| {
        let found = config.destinations.get(name);
        found.is_some_and(|one| one.kind == DestinationKind::Disk)
    };
    config.chains().into_iter().filter(is_disk).collect()
}

/// The option by which every unit says that it is one: what cannot be done ends with a code that systemd
/// has the right name for, what repeats itself is told in one line, and the machine's power counts for
/// a part that somebody starts.
const AS_UNIT: &str = "--as-unit";

/// The program with the options that every unit gives it.
fn program_with_options(layout: &Layout) -> String {
    let mut line = format!(
        "{} --config {} {AS_UNIT}",
        quote::quote_argument(&layout.program),
        quote::quote_argument(&layout.config)
    );
    if layout.state_dir != STATE_DIR {
        line.push_str(" --state-dir ");
        line.push_str(&quote::quote_argument(&layout.state_dir));
    }
    line
}

/// The schedule as one expression with its time of day; none for one that cannot be read, which
/// `check` refuses.
fn on_calendar(config: &Config) -> Option<String> {
    let schedule = &config.schedule;
    let text = schedule.frequency.as_str();
    let calendar = schedule_expression(text, schedule.time_of_day.time()).ok()?;
    let midnight = schedule_expression(text, chrono::NaiveTime::MIN).ok()?;
    let noon = schedule_expression(text, chrono::NaiveTime::from_hms_opt(12, 0, 0)?).ok()?;
    // One that names its time stands as it was written.
    Some(if midnight == noon {
        quote::quote_line(text)
    } else {
        calendar.normalized()
    })
}

/// Where the metrics are, a file that is replaced by a rename. Nobody makes the whole system
/// writable for it.
fn metrics_folder(config: &Config) -> Option<&str> {
    let file = config.monitoring.prometheus_file.as_ref()?;
    let folder = file.as_path().parent()?.to_str()?;
    Some(folder).filter(|folder| *folder != "/")
}

/// Whether anything that is read or written lies where `PrivateTmp` would hide it.
fn uses_temporary_folders(config: &Config, layout: &Layout) -> bool {
    let local = &config.local;
    let below = |path: &str| {
        ["/tmp", "/var/tmp"]
            .iter()
            .any(|tmp| path == *tmp || path.starts_with(&format!("{tmp}/")))
    };
    let covers = |path: &str| ["/", "/var"].contains(&path);
    let mut sources = local.sources.iter().map(|source| source.as_str());
    let credentials = config.cloud.config_file.as_ref();
    sources.any(|path| below(path) || covers(path))
        || below(local.mount_point.as_str())
        || below(&layout.state_dir)
        || below(&layout.config)
        || below(config.monitoring.log_path.as_str())
        || credentials.is_some_and(|file| below(file.as_str()))
}
