//! Rules about options that are each sound by themselves: the list of rules, and those about
//! `local`, `cloud` and the whole.
//!
//! Each rule is one function that says what is wrong, names the options as the user wrote them and
//! ends with what to do. Where a finding stands in the file and what was found there is the
//! caller's to add.

use schema::Config;
use schema::config::{Local, Provider, SyncMode};

use super::{
    calendars, destinations,
    finding::{RuleFinding, finding_if},
    metrics, notices, patterns, sources,
};

/// One rule; it may find several things.
type Rule = fn(&Config) -> Vec<RuleFinding>;

/// What makes a config invalid.
const FAULTS: &[Rule] = &[
    hostname,
    keep_nothing,
    no_sources,
    sources::duplicate,
    sources::destination,
    sources::optional,
    one_line,
    patterns::invalid,
    patterns::invalid_names,
    file_system_uuid,
    custom_without_remote,
    remote_without_custom,
    remote_form,
    remote_path,
    move_without_local,
    bandwidth_limit,
    zero_spans,
    calendars::frequency,
    calendars::health_check,
    calendars::drill,
    notices::no_channel,
    notices::email,
    notices::report,
    notices::urls,
    notices::in_files,
    notices::topic,
];

/// Of these, what is about one destination: about each by its name as well, in its view.
const FAULTS_OF_VIEWS: &[Rule] = &[
    keep_nothing,
    no_sources,
    sources::duplicate,
    sources::destination,
    sources::optional,
    one_line,
    patterns::invalid,
    file_system_uuid,
    remote_form,
    remote_path,
    bandwidth_limit,
    zero_spans,
    calendars::frequency,
];

/// What is about several destinations, or about names.
const FAULTS_BETWEEN: &[Rule] = &[
    destinations::reserved,
    destinations::place,
    destinations::same_folder,
    destinations::same_file_system,
    destinations::same_remote,
    destinations::source,
    destinations::mirrors_that_keep,
    policy,
];

/// What is allowed and probably not meant.
const WARNINGS: &[Rule] = &[nothing_to_back_up, proton_without_cloud, metrics::name];

/// What may be meant and mostly is not: nobody wants to hear of it with every command.
const REMARKS: &[Rule] = &[patterns::odd, patterns::of_whole_sources];
/// The same of what only the whole configuration has.
const REMARKS_ON_WHOLE: &[Rule] = &[unused_mount_point];

/// Rules as they are about each destination by its name.
fn of_views(config: &Config, rules: &[Rule]) -> Vec<RuleFinding> {
    let mut found = Vec::new();
    for name in config.destinations.keys() {
        let Some(view) = config.view(name) else {
            continue;
        };
        let findings = rules.iter().flat_map(|rule| rule(&view));
        found.extend(findings.filter_map(|one| one.in_words_of(config, name)));
    }
    found
}

/// Everything that makes the config invalid.
pub(super) fn faults(config: &Config) -> Vec<RuleFinding> {
    let whole = FAULTS.iter().chain(FAULTS_BETWEEN);
    let mut found: Vec<RuleFinding> = whole.flat_map(|rule| rule(config)).collect();
    found.extend(of_views(config, FAULTS_OF_VIEWS));
    found
}

/// Everything that is probably not meant.
pub(super) fn warnings(config: &Config) -> Vec<RuleFinding> {
    WARNINGS.iter().flat_map(|rule| rule(config)).collect()
}

/// Everything that a person who checks the config should look at once.
pub(super) fn remarks(config: &Config) -> Vec<RuleFinding> {
    let whole = REMARKS.iter().chain(REMARKS_ON_WHOLE);
    let mut found: Vec<RuleFinding> = whole.flat_map(|rule| rule(config)).collect();
    found.extend(of_views(config, REMARKS));
    found.extend(destinations::mirror_keeps(config));
    found
}

/// Copies that the policy demands and nothing makes.
fn policy(config: &Config) -> Vec<RuleFinding> {
    let gaps = crate::copies::find_gaps(config).into_iter();
    gaps.map(|gap| {
        RuleFinding::new("policy", gap.problem)
            .hint(gap.hint)
            .with(&[
                "destinations",
                "local.enable",
                "cloud.enable",
                "cloud.syncMode",
                "monitoring",
            ])
    })
    .collect()
}

/// A disk that is named and not used, beside others that are.
fn unused_mount_point(config: &Config) -> Vec<RuleFinding> {
    let local = &config.local;
    let is_set = local.mount_point != Local::default().mount_point;
    let others = config.cloud.enable || config.destinations.values().any(|one| one.enable);
    finding_if(is_set && others && !local.enable, || {
        RuleFinding::new(
            "local.mountPoint",
            "set although `local.enable` is false: nothing is backed up there",
        )
        .hint("set `local.enable` to true, or remove `local.mountPoint`")
        .with(&["local.enable"])
    })
}

fn hostname(config: &Config) -> Vec<RuleFinding> {
    let Some(name) = config.hostname.as_deref() else {
        return Vec::new();
    };
    let problem = if name.is_empty() {
        "empty"
    } else if name.contains('/') {
        "contains `/`"
    } else if name.starts_with('.') {
        "starts with `.`"
    } else if name.contains(char::is_control) {
        "contains a control character"
    } else if name.len() > 255 {
        "longer than 255 bytes"
    } else {
        return Vec::new();
    };
    vec![
        RuleFinding::new("hostname", problem)
            .expected("the name of one folder below `local.mountPoint`")
            .hint("set `hostname` to a plain name, or to null for the machine's own"),
    ]
}

/// Paths that stand in units, which have a line for each, and in messages.
fn one_line(config: &Config) -> Vec<RuleFinding> {
    let (local, monitoring) = (&config.local, &config.monitoring);
    let paths = [
        ("local.mountPoint", Some(&local.mount_point)),
        ("monitoring.logPath", Some(&monitoring.log_path)),
        (
            "monitoring.prometheusFile",
            monitoring.prometheus_file.as_ref(),
        ),
    ];
    let mut found = Vec::new();
    for (key, path) in paths {
        let Some(path) = path.map(|path| path.as_str()) else {
            continue;
        };
        let problem = if path.contains(char::is_control) {
            "contains a line break or another control character"
        } else if path.ends_with(|c: char| c.is_whitespace() || c == '\\') {
            "ends in a blank or a backslash"
        } else {
            continue;
        };
        found.push(
            RuleFinding::new(key, problem)
                .expected("a path that a line of a systemd unit can hold")
                .hint(format!(
                    "correct `{key}`; a line break comes with pasting now and then"
                )),
        );
    }
    found
}

fn keep_nothing(config: &Config) -> Vec<RuleFinding> {
    let local = &config.local;
    let none = local.keep_daily == 0 && local.keep_weekly == 0 && local.keep_monthly == 0;
    finding_if(local.enable && none, || {
        RuleFinding::new(
            "local.keepDaily",
            "no snapshot would be kept for a day, week or month: `local.keepDaily`, \
             `local.keepWeekly` and `local.keepMonthly` are all 0",
        )
        .expected("at least one of them to be 1 or more")
        .hint("raise one of them, or set `local.enable` to false")
        .with(&["local.enable", "local.keepWeekly", "local.keepMonthly"])
    })
}

fn no_sources(config: &Config) -> Vec<RuleFinding> {
    let by = match (config.local.enable, config.cloud.enable) {
        (true, _) => "local.enable",
        (false, true) => "cloud.enable",
        (false, false) => return Vec::new(),
    };
    finding_if(config.local.sources.is_empty(), || {
        RuleFinding::new(
            "local.sources",
            format!("nothing to back up although `{by}` is true"),
        )
        .expected("at least one absolute path")
        .hint(format!("name what to back up, or set `{by}` to false"))
        .with(&["local.enable", "cloud.enable"])
    })
}

fn file_system_uuid(config: &Config) -> Vec<RuleFinding> {
    let Some(uuid) = config.local.file_system_uuid.as_deref() else {
        return Vec::new();
    };
    let hex = |c: char| c.is_ascii_hexdigit() || c == '-';
    let sound = uuid.chars().all(hex) && uuid.contains(|c: char| c.is_ascii_hexdigit());
    finding_if(!sound, || {
        RuleFinding::new("local.fileSystemUUID", "not a UUID")
            .expected("hexadecimal digits and dashes")
            .hint(
                "write what `lsblk -o NAME,UUID` prints for the disk, or null for any file system",
            )
    })
}

fn custom_without_remote(config: &Config) -> Vec<RuleFinding> {
    let cloud = &config.cloud;
    let custom = cloud.enable && cloud.provider == Provider::Custom;
    finding_if(custom && cloud.remote.is_none(), || {
        RuleFinding::new(
            "cloud.remote",
            "not set although `cloud.provider` is \"custom\"",
        )
        .expected("an rclone remote, \"name:\" or \"name:path\"")
        .hint("set `cloud.remote` to one of those that `rclone listremotes` prints")
        .with(&["cloud.enable", "cloud.provider"])
    })
}

fn remote_without_custom(config: &Config) -> Vec<RuleFinding> {
    let cloud = &config.cloud;
    let unused = cloud.remote.is_some() && cloud.provider != Provider::Custom;
    finding_if(unused, || {
        RuleFinding::new(
            "cloud.remote",
            "set although `cloud.provider` is not \"custom\"",
        )
        .expected("null, because \"proton-drive\" is the remote \"proton:\"")
        .hint("set `cloud.provider` to \"custom\" to use it, or remove `cloud.remote`")
        .with(&["cloud.provider"])
    })
}

fn remote_form(config: &Config) -> Vec<RuleFinding> {
    let Some(remote) = config.cloud.remote.as_deref() else {
        return Vec::new();
    };
    // A name that starts with a dash would be read as an option of rclone. One with a comma or a
    // colon first is a connection string, which may hold secrets that every user could then read in
    // the list of processes (https://rclone.org/docs/#connection-strings).
    let sound = remote.split_once(':').is_some_and(|(name, path)| {
        !name.is_empty()
            && !name.starts_with(['-', ' '])
            && !name.contains(|c: char| matches!(c, '/' | ',' | '=') || c.is_control())
            && !path.contains('\0')
    });
    finding_if(!sound, || {
        RuleFinding::new("cloud.remote", "not an rclone remote")
            .expected("\"name:\" or \"name:path\"")
            .hint("set `cloud.remote` to one of those that `rclone listremotes` prints")
    })
}

fn remote_path(config: &Config) -> Vec<RuleFinding> {
    let path = config.cloud.remote_path.as_str();
    let unsound = path.contains('\0') || path.split('/').any(|part| part == "..");
    finding_if(unsound, || {
        RuleFinding::new("cloud.remotePath", "not a folder on the remote")
            .expected("a path without `..` or a NUL character")
            .hint("set `cloud.remotePath` to a folder such as \"Backups\"")
    })
}

fn move_without_local(config: &Config) -> Vec<RuleFinding> {
    let cloud = &config.cloud;
    let moves = cloud.enable && cloud.sync_mode == SyncMode::Move;
    finding_if(moves && !config.local.enable, || {
        RuleFinding::new(
            "cloud.syncMode",
            "\"move\" gives back the space of local snapshots, and `local.enable` is false",
        )
        .expected("\"sync\" or \"copy\" without local snapshots")
        .hint("set `cloud.syncMode` to \"sync\" or \"copy\", or `local.enable` to true")
        .with(&["cloud.enable", "local.enable"])
    })
}

fn bandwidth_limit(config: &Config) -> Vec<RuleFinding> {
    let Some(limit) = config.cloud.bandwidth_limit.as_deref() else {
        return Vec::new();
    };
    let entries: Vec<&str> = limit.split(' ').filter(|entry| !entry.is_empty()).collect();
    let sound = !entries.is_empty() && entries.iter().all(|entry| timed_rate(entry));
    finding_if(!sound, || {
        RuleFinding::new("cloud.bandwidthLimit", "not a limit that rclone knows")
            .expected("a rate such as \"10M\", or a timetable such as \"08:00,512k 19:00,off\"")
            .hint("set `cloud.bandwidthLimit` to such a rate, or to null for no limit")
    })
}

/// `RATE`, `HH:MM,RATE` or `Day-HH:MM,RATE`, where a rate is `UP` or `UP:DOWN`.
fn timed_rate(entry: &str) -> bool {
    let rate = match entry.split_once(',') {
        Some((time, rate)) => {
            let known = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '-';
            if !time.contains(':') || !time.chars().all(known) {
                return false;
            }
            rate
        }
        None => entry,
    };
    rate.split(':').count() <= 2 && rate.split(':').all(one_rate)
}

fn one_rate(rate: &str) -> bool {
    let number = rate.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = rate.get(number.len()..).unwrap_or_default().to_lowercase();
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    rate == "off"
        || (number.starts_with(|c: char| c.is_ascii_digit())
            && number.chars().all(digits)
            && ["", "b", "i", "ib"]
                .contains(&unit.trim_start_matches(['k', 'm', 'g', 't', 'p', 'e'])))
}

fn zero_spans(config: &Config) -> Vec<RuleFinding> {
    let spans = [
        ("preBackupTimeout", Some(&config.pre_backup_timeout)),
        ("postBackupTimeout", Some(&config.post_backup_timeout)),
        ("cloud.timeout", Some(&config.cloud.timeout)),
        ("monitoring.maxAge", config.monitoring.max_age.as_ref()),
        (
            "monitoring.drill.timeout",
            Some(&config.monitoring.drill.timeout),
        ),
    ];
    let zero = spans
        .into_iter()
        .filter(|(_, span)| span.is_some_and(|span| span.as_duration().is_zero()));
    zero.map(|(path, _)| {
        RuleFinding::new(path, "zero, so that it has passed before anything starts")
            .expected("a time span longer than nothing")
            .hint(format!("set `{path}` to a span such as \"1h\""))
    })
    .collect()
}

fn nothing_to_back_up(config: &Config) -> Vec<RuleFinding> {
    let nothing = !config.local.enable && !config.cloud.enable && config.chains().is_empty();
    finding_if(nothing, || {
        RuleFinding::new(
            "local.enable",
            "nothing to back up: `local.enable` and `cloud.enable` are both false",
        )
        .hint("set one of them to true")
        .with(&["cloud.enable"])
    })
}

fn proton_without_cloud(config: &Config) -> Vec<RuleFinding> {
    let unused = config.proton_drive.enable && !config.cloud.enable;
    finding_if(unused, || {
        RuleFinding::new(
            "protonDrive.enable",
            "without effect while `cloud.enable` is false",
        )
        .hint("set `cloud.enable` to true, or `protonDrive.enable` to false")
        .with(&["cloud.enable"])
    })
}
