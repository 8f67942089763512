//! Names that are nearly right, and names that belong to NixOS only.
//!
//! Owns how near is near enough. Offers nothing rather than one of several equally near guesses.

use super::place::join;
use super::shape::{Kind, Shape};

/// Names longer than this are near nothing; comparing them would only cost time.
const LONGEST_NAME: usize = 64;

/// What other tools call a key that is no nearer than others.
const OTHER_NAMES: [(&str, &str); 2] = [
    ("exclude", "excludePatterns"),
    ("excludes", "excludePatterns"),
];

/// A known key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// With its section: `local.keepDaily`.
    pub(super) path: String,
    section: String,
    name: String,
}

/// Every key of the shape, in its order; none of those that stand below a name which a person gives.
pub(super) fn all_keys(shape: &Shape) -> Vec<Key> {
    keys_below(shape, "", None)
}

/// Every key of a shape that stands in `section`, of a thing of type `kind` where that is known.
pub(super) fn keys_below(shape: &Shape, section: &str, kind: Option<&str>) -> Vec<Key> {
    fn collect(shape: &Shape, section: &str, of: Option<&str>, keys: &mut Vec<Key>) {
        for kind in &shape.kinds {
            if let Kind::Object(object) = kind {
                for (name, below) in &object.keys {
                    if let (Some(only), Some(of)) = (below.only_of.as_deref(), of)
                        && only != of
                    {
                        continue;
                    }
                    let path = join(section, name);
                    keys.push(Key {
                        path: path.clone(),
                        section: section.to_owned(),
                        name: name.clone(),
                    });
                    collect(below, &path, of, keys);
                }
            }
        }
    }
    let mut keys = Vec::new();
    collect(shape, section, kind, &mut keys);
    keys
}

/// The known key that an unknown one in `section` was probably meant to be.
///
/// The name alone counts, and the name with its sections, so that a key of another section and one
/// with dots in it are found as well. Of equally near keys the one in the same section is meant.
pub(super) fn nearest_key(section: &str, name: &str, keys: &[Key]) -> Option<String> {
    let wanted = plain(name)?;
    if let Some((_, meant)) = OTHER_NAMES.iter().find(|(other, _)| *other == wanted) {
        let known = keys.iter().find(|key| key.name == *meant);
        return known.map(|key| key.path.clone());
    }
    let mut ranked: Vec<(usize, bool, &Key)> = keys
        .iter()
        .filter_map(|key| {
            let by_name = distance(&wanted, &plain(&key.name)?);
            let by_path = distance(&wanted, &plain(&key.path)?);
            let near = by_name.into_iter().chain(by_path).min()?;
            Some((near, key.section != section, key))
        })
        .collect();
    ranked.sort_by_key(|(near, elsewhere, _)| (*near, *elsewhere));
    match ranked.as_slice() {
        [best, second, ..] if (best.0, best.1) == (second.0, second.1) => None,
        [best, ..] => Some(best.2.path.clone()),
        [] => None,
    }
}

/// The value that an unknown one was probably meant to be.
pub(super) fn nearest_value<'v>(
    found: &str,
    values: impl Iterator<Item = &'v str>,
) -> Option<&'v str> {
    let wanted = plain(found)?;
    let ranked = values.filter_map(|value| Some((distance(&wanted, &plain(value)?)?, value)));
    ranked.min_by_key(|(near, _)| *near).map(|(_, value)| value)
}

/// Letters and digits in lower case: `keep_daily`, `KeepDaily` and `keepDaily` are one name.
fn plain(name: &str) -> Option<String> {
    let plain: String = name
        .chars()
        .take(LONGEST_NAME + 1)
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    (!plain.is_empty() && plain.chars().count() <= LONGEST_NAME).then_some(plain)
}

/// How far apart two plain names are; `None` is too far. A beginning or an end of the other name
/// (`exclude` of `excludePatterns`, `uuid` of `fileSystemUUID`) is as far as can be.
fn distance(a: &str, b: &str) -> Option<usize> {
    let furthest = 1 + a.chars().count().max(b.chars().count()) / 5;
    let distance = strsim::damerau_levenshtein(a, b);
    if distance < a.chars().count().max(b.chars().count()) && distance <= furthest {
        return Some(distance);
    }
    let part = |short: &str, long: &str| {
        short.chars().count() >= 3 && (long.starts_with(short) || long.ends_with(short))
    };
    (part(a, b) || part(b, a)).then_some(LONGEST_NAME)
}

/// What to do about a key that is an option of the NixOS module and not a key of the file.
pub(super) fn nixos_only(section: &str, name: &str) -> Option<(&'static str, &'static str)> {
    let name = plain(name)?;
    match (section, name.as_str()) {
        ("", "enable") => Some((
            "enable",
            "remove it here and set `hwc.system.services.backup.enable` in the NixOS \
             configuration; in this file `local.enable` and `cloud.enable` switch things on",
        )),
        ("", "package") => Some((
            "package",
            "remove it here and set `hwc.system.services.backup.package` in the NixOS configuration",
        )),
        ("", "extratools") => Some((
            "extraTools",
            "remove it here and set `hwc.system.services.backup.extraTools` in the NixOS \
             configuration; outside NixOS put the tools on the PATH",
        )),
        ("", "state") => Some((
            "state",
            "remove it here and set `hwc.system.services.backup.state` in the NixOS configuration; \
             in this file `local.sources` and `preBackupScript` are what becomes of it",
        )),
        ("protonDrive", "secretname") => Some((
            "protonDrive.secretName",
            "remove it here and set `cloud.configFile` to the path of the rclone configuration",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::of_config;
    use super::*;

    #[test]
    fn the_key_that_was_meant_is_found() {
        let keys = all_keys(&of_config());
        let cases = [
            ("local", "keepDialy", "local.keepDaily"),
            ("local", "keep_daily", "local.keepDaily"),
            ("local", "KeepDaily", "local.keepDaily"),
            ("", "keep-daily", "local.keepDaily"),
            ("", "local.keepDaily", "local.keepDaily"),
            ("", "sources", "local.sources"),
            ("cloud", "sources", "local.sources"),
            ("local", "exclude", "local.excludePatterns"),
            ("local", "uuid", "local.fileSystemUUID"),
            ("", "proton-drive", "protonDrive"),
            ("cloud", "enabled", "cloud.enable"),
            ("", "host", "hostname"),
            ("notifications", "mail", "notifications.email"),
        ];
        for (section, name, meant) in cases {
            let found = nearest_key(section, name, &keys);
            assert_eq!(found.as_deref(), Some(meant), "{section:?} {name:?}");
        }
    }

    #[test]
    fn what_is_near_nothing_or_near_several_is_not_guessed() {
        let keys = all_keys(&of_config());
        for name in [
            "compression",
            "x",
            "",
            "url",
            "___",
            "ö",
            &"keepDaily".repeat(20),
        ] {
            assert_eq!(nearest_key("", name, &keys), None, "{name:?}");
        }
    }

    #[test]
    fn a_value_is_found_by_its_letters() {
        let values = ["proton-drive", "custom"];
        assert_eq!(
            nearest_value("ProtonDrive", values.into_iter()),
            Some("proton-drive")
        );
        assert_eq!(
            nearest_value("Sun", ["saturday", "sunday"].into_iter()),
            Some("sunday")
        );
        assert_eq!(nearest_value("s3", values.into_iter()), None);
    }
}
