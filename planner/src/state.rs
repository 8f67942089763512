//! How each path is backed up that a machine says it keeps.

use chrono::{DateTime, FixedOffset};
use schema::{
    Config, StoredPath,
    config::AbsolutePath,
    output::state::{FORMAT_VERSION, StateDump, StateReport, StateRow, StateStanding},
    path::rest_below,
    pattern::Excludes,
    state::{StatePath, StateTable},
};

/// What is found of a path on the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateFact {
    /// Whether it is there; none where it cannot be looked at.
    pub there: Option<bool>,
    /// Whether what is written out of it is there; none where it cannot be looked at.
    pub dump_there: Option<bool>,
    /// When that was written.
    pub written_at: Option<DateTime<FixedOffset>>,
    /// The size of that, in bytes.
    pub bytes: Option<u64>,
}

/// What is known of the machine beside its files.
#[derive(Debug, Clone, Copy)]
pub struct StateFacts<'a> {
    /// The file that the table is from, for people.
    pub file: &'a str,
    /// What is found of each path of the table, in its order.
    pub paths: &'a [StateFact],
    /// Where file systems are mounted.
    pub mounts: &'a [String],
    /// The time.
    pub now: DateTime<FixedOffset>,
}

/// Judges each path of a table by the configuration.
#[must_use]
pub fn judge_state(table: &StateTable, config: &Config, facts: StateFacts<'_>) -> StateReport {
    // Checked with the configuration.
    let excludes = Excludes::new(&config.local.exclude_patterns).ok();
    let judge = Judge {
        config,
        excludes: excludes.as_ref(),
        mounts: facts.mounts,
    };
    let none = StateFact::default();
    let paths: Vec<StateRow> = table
        .paths
        .iter()
        .enumerate()
        .map(|(at, path)| judge.row(path, facts.paths.get(at).copied().unwrap_or(none)))
        .collect();
    StateReport {
        format_version: FORMAT_VERSION,
        file: facts.file.to_owned(),
        enabled: table.enabled,
        now: facts.now,
        missing: paths.iter().filter(|row| row.standing.is_lost()).count() as u64,
        paths,
    }
}

struct Judge<'a> {
    config: &'a Config,
    excludes: Option<&'a Excludes>,
    mounts: &'a [String],
}

impl Judge<'_> {
    fn row(&self, state: &StatePath, fact: StateFact) -> StateRow {
        let dump = state.database.as_ref().and_then(|one| one.dump.as_ref());
        let (standing, by) = match (&state.ignored, dump) {
            (Some(by), _) => (StateStanding::Ignored, Some(by.to_string())),
            (None, Some(dump)) => match self.source_of(&[dump]) {
                (StateStanding::Source, by) => (StateStanding::Dumped, by),
                lost => lost,
            },
            (None, None) => {
                let places: Vec<&AbsolutePath> =
                    [&state.path].into_iter().chain(&state.stored).collect();
                self.source_of(&places)
            }
        };
        StateRow {
            path: state.path.clone(),
            kind: state.kind,
            from: state.from.clone(),
            link: state.link.clone(),
            there: fact.there,
            standing,
            by,
            database: state.database.as_ref().map(|one| one.engine),
            dump: dump.map(|file| StateDump {
                file: file.clone(),
                there: fact.dump_there,
                written_at: fact.written_at,
                bytes: fact.bytes,
            }),
        }
    }

    /// The source that holds one of the places at which a path is stored, unless a pattern leaves all of
    /// them out.
    fn source_of(&self, places: &[&AbsolutePath]) -> (StateStanding, Option<String>) {
        let local = &self.config.local;
        let is_on = local.enable || self.config.cloud.enable;
        let sources = local.sources.iter().filter(|_| is_on);
        let held = sources.flat_map(|source| {
            let within = places.iter().filter(|path| self.holds(source, path));
            within.map(move |path| (source, *path))
        });
        let mut excluded = None;
        for (source, path) in held {
            match self.pattern_against(source, path) {
                None => return (StateStanding::Source, Some(source.to_string())),
                found => excluded = excluded.or(found),
            }
        }
        // What a pattern leaves out by its full path, the module makes no source of its own.
        let in_full = || {
            let root = AbsolutePath::new("/");
            let mut patterns = places
                .iter()
                .filter_map(|path| self.pattern_against(&root, path));
            patterns.find(|pattern| pattern.starts_with('/'))
        };
        match excluded.or_else(in_full) {
            Some(pattern) => (StateStanding::Excluded, Some(pattern)),
            None => (StateStanding::Missing, None),
        }
    }

    /// Whether a path is in a source, on file systems that are not passed over.
    fn holds(&self, source: &AbsolutePath, path: &AbsolutePath) -> bool {
        let is_crossed = |mount: &String| {
            is_within(mount, source.as_str())
                && mount != source.as_str()
                && is_within(path.as_str(), mount)
        };
        is_within(path.as_str(), source.as_str())
            && !(self.config.local.one_file_system && self.mounts.iter().any(is_crossed))
    }

    /// The pattern that leaves a path of a source out, or a folder above it.
    fn pattern_against(&self, source: &AbsolutePath, path: &AbsolutePath) -> Option<String> {
        let excludes = self.excludes?;
        let rest = rest_below(path.as_str().as_bytes(), source.as_str().as_bytes())?;
        let rest = StoredPath::new(rest);
        let mut folders = rest.ancestors_from_top().filter(|path| !path.is_root());
        let index = folders.find_map(|path| {
            // Most of what is kept is a folder; what is a file is matched by what matches folders alone as well.
            excludes.matches_placed(source.as_stored(), path, 0, true)
        })?;
        let pattern = excludes.patterns().get(index)?;
        Some(pattern.as_str().to_owned())
    }
}

/// Whether a path is another or below it.
fn is_within(path: &str, folder: &str) -> bool {
    rest_below(path.as_bytes(), folder.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use schema::output::state::StateStanding::{Dumped, Excluded, Ignored, Missing, Source};
    use serde_json::json;

    use super::*;

    /// How each path stands, and by what.
    fn judged(local: &serde_json::Value, mounts: &[&str]) -> Vec<(StateStanding, Option<String>)> {
        let mut config = json!({"local": {"enable": true}});
        for (key, value) in local.as_object().unwrap() {
            config["local"][key] = value.clone();
        }
        let config: Config = serde_json::from_value(config).unwrap();
        let of = |path: &str, more: serde_json::Value| {
            let mut row = json!({"path": path, "kind": "service", "from": ["services.x.dataDir"]});
            for (key, value) in more.as_object().unwrap() {
                row[key] = value.clone();
            }
            row
        };
        let table: StateTable = serde_json::from_value(json!({
            "version": 1, "enabled": true, "dumpFolder": "/var/backup/databases",
            "paths": [
                of("/var/lib/a", json!({})),
                of("/var/lib/a/cache", json!({})),
                of("/var/lib/b", json!({"stored": ["/persist/var/lib/b"]})),
                of("/var/lib/pg", json!({"database": {
                    "engine": "postgresql", "dump": "/var/backup/databases/postgresql.sql",
                }})),
                of("/var/lib/c", json!({"ignored": "/var/lib/c"})),
            ],
        }))
        .unwrap();
        let mounts: Vec<String> = mounts.iter().map(|mount| (*mount).to_owned()).collect();
        let report = judge_state(
            &table,
            &config,
            StateFacts {
                file: "state.json",
                paths: &[],
                mounts: &mounts,
                now: DateTime::parse_from_rfc3339("2025-01-16T02:00:00Z").unwrap(),
            },
        );
        let lost = report.paths.iter().filter(|row| row.standing.is_lost());
        assert_eq!(report.missing, lost.count() as u64);
        let rows = report.paths.into_iter();
        rows.map(|row| (row.standing, row.by)).collect()
    }

    fn by(standing: StateStanding, by: &str) -> (StateStanding, Option<String>) {
        (standing, Some(by.to_owned()))
    }

    #[test]
    fn a_path_is_in_the_source_around_it() {
        let sources = ["/var/lib", "/var/backup"];
        let found = judged(
            &json!({"sources": sources, "excludePatterns": ["cache"]}),
            &[],
        );
        assert_eq!(
            found,
            [
                by(Source, "/var/lib"),
                by(Excluded, "cache"),
                by(Source, "/var/lib"),
                by(Dumped, "/var/backup"),
                by(Ignored, "/var/lib/c"),
            ]
        );
    }

    #[test]
    fn what_a_pattern_names_in_full_is_left_out_by_it() {
        let local = json!({"sources": ["/home"], "excludePatterns": ["cache", "/var/lib/*"]});
        assert_eq!(judged(&local, &[])[1], by(Excluded, "/var/lib/*"));
    }

    #[test]
    fn what_is_mounted_from_elsewhere_is_stored_there() {
        let found = judged(&json!({"sources": ["/persist", "/var/lib/a"]}), &[]);
        assert_eq!(found[2], by(Source, "/persist"));
        // The dump would be written, and is in no snapshot.
        assert_eq!(found[3], (Missing, None));
    }

    #[test]
    fn a_source_stops_where_another_file_system_begins() {
        let local = json!({"sources": ["/var/lib"]});
        assert_eq!(judged(&local, &["/", "/var/lib/a"])[0], (Missing, None));
        assert_eq!(
            judged(&local, &["/", "/var", "/var/lib"])[0],
            by(Source, "/var/lib")
        );
        let crossing = json!({"sources": ["/var/lib"], "oneFileSystem": false});
        assert_eq!(
            judged(&crossing, &["/var/lib/a"])[0],
            by(Source, "/var/lib")
        );
    }

    #[test]
    fn where_nothing_is_backed_up_all_is_missing() {
        let found = judged(&json!({"enable": false, "sources": ["/"]}), &[]);
        assert_eq!(found[0], (Missing, None));
    }
}
