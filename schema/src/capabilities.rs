//! What a destination's file system can hold, and what of a source it therefore cannot.
//!
//! Found out by trying when a destination is first used, and recorded with it. Nothing here looks
//! at a file system.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::amount;

/// What a file system can hold, found out by trying.
///
/// What was added later is left out where nothing is missing, and so it is taken for in records
/// that are older.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// Several names for one file.
    pub hard_links: bool,
    /// Symbolic links.
    pub symlinks: bool,
    /// Owner and time of a symlink itself. Where not, setting them may change what it points to,
    /// wherever that is.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub symlink_metadata: bool,
    /// Permission bits.
    pub modes: bool,
    /// Owners other than the one who writes; false too where the writer is not root.
    pub owners: bool,
    /// Extended attributes in the `user` namespace.
    pub xattrs: bool,
    /// POSIX access control lists.
    pub acls: bool,
    /// FIFOs and sockets.
    pub fifos: bool,
    /// Block and character devices; false too where the writer is not root.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub devices: bool,
    /// Names that differ only in case are different.
    pub case_sensitive: bool,
    /// Modification times.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub times: bool,
    /// Step of modification times, in nanoseconds.
    pub time_step_ns: u32,
    /// Longest name of a file, in bytes.
    pub name_max: u32,
    /// What names cannot hold.
    #[serde(default, skip_serializing_if = "NameLimits::is_none")]
    pub names: NameLimits,
    /// Largest file in bytes, where the file system's type tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_max: Option<u64>,
    /// Whether root tried: nobody else can tell whether owners and devices are held.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub tried_as_root: bool,
    /// Whole folders can be cloned at once, made read-only and removed at once: subvolumes of btrfs,
    /// where who runs this may do so.
    #[serde(default, skip_serializing_if = "is_no")]
    pub clones: bool,
}

/// What the names of a file system cannot hold; by default nothing but `/` and NUL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NameLimits {
    /// Characters that are refused or replaced, such as `:`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub refused: String,
    /// Control characters are refused or replaced.
    #[serde(skip_serializing_if = "is_no")]
    pub no_control: bool,
    /// A dot or blank at the end is refused or dropped.
    #[serde(skip_serializing_if = "is_no")]
    pub no_dot_or_blank_at_end: bool,
    /// Bytes that are not UTF-8 are refused or replaced.
    #[serde(skip_serializing_if = "is_no")]
    pub only_utf8: bool,
    /// Letters come back in another Unicode form, or names that differ only in it are one.
    #[serde(skip_serializing_if = "is_no")]
    pub one_unicode_form: bool,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

fn is_no(value: &bool) -> bool {
    !*value
}

impl NameLimits {
    /// What names cannot hold, in words.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let mut all: Vec<String> = self.refused.chars().map(|one| format!("`{one}`")).collect();
        let more = [
            (self.no_control, "control characters"),
            (self.no_dot_or_blank_at_end, "a dot or blank at the end"),
            (self.only_utf8, "bytes that are not UTF-8"),
        ];
        let more = more.iter().filter(|(is, _)| *is);
        let more = more.map(|(_, what)| (*what).to_owned());
        all.extend(more);
        all
    }

    /// Whether names can hold everything.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Capabilities {
    /// What one or the other was found to hold: whoever found less had a disk that failed.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let both = |a: &NameLimits, b: &NameLimits| NameLimits {
            refused: a
                .refused
                .chars()
                .filter(|one| b.refused.contains(*one))
                .collect(),
            no_control: a.no_control && b.no_control,
            no_dot_or_blank_at_end: a.no_dot_or_blank_at_end && b.no_dot_or_blank_at_end,
            only_utf8: a.only_utf8 && b.only_utf8,
            one_unicode_form: a.one_unicode_form && b.one_unicode_form,
        };
        let symlink_metadata = match (self.symlinks, other.symlinks) {
            (true, false) => self.symlink_metadata,
            (false, true) => other.symlink_metadata,
            _ => self.symlink_metadata || other.symlink_metadata,
        };
        let time_step_ns = match (self.times, other.times) {
            (true, false) => self.time_step_ns,
            (false, true) => other.time_step_ns,
            _ => self.time_step_ns.min(other.time_step_ns),
        };
        Self {
            hard_links: self.hard_links || other.hard_links,
            symlinks: self.symlinks || other.symlinks,
            symlink_metadata,
            modes: self.modes || other.modes,
            owners: self.owners || other.owners,
            xattrs: self.xattrs || other.xattrs,
            acls: self.acls || other.acls,
            fifos: self.fifos || other.fifos,
            devices: self.devices || other.devices,
            case_sensitive: self.case_sensitive || other.case_sensitive,
            times: self.times || other.times,
            time_step_ns,
            name_max: self.name_max.max(other.name_max),
            names: both(&self.names, &other.names),
            file_max: self.file_max.and(other.file_max),
            tried_as_root: self.tried_as_root || other.tried_as_root,
            clones: self.clones || other.clones,
        }
    }

    /// Whether anything is missing that another holds.
    #[must_use]
    pub fn lack(&self, other: &Self) -> bool {
        self.or(other) != *self
    }

    /// What ext4, xfs and btrfs hold. That btrfs can clone folders as well is more than anything needs.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            hard_links: true,
            symlinks: true,
            symlink_metadata: true,
            modes: true,
            owners: true,
            xattrs: true,
            acls: true,
            fifos: true,
            devices: true,
            case_sensitive: true,
            times: true,
            time_step_ns: 1,
            name_max: 255,
            names: NameLimits {
                refused: String::new(),
                no_control: false,
                no_dot_or_blank_at_end: false,
                only_utf8: false,
                one_unicode_form: false,
            },
            file_max: None,
            tried_as_root: true,
            clones: false,
        }
    }

    /// What a file system of this type can surely hold, judged without trying.
    ///
    /// `None` for types of which nothing is known, and for those that hold everything.
    #[must_use]
    pub fn of_type(file_system: &str) -> Option<Self> {
        let fat = Self {
            hard_links: false,
            symlinks: false,
            modes: false,
            owners: false,
            xattrs: false,
            acls: false,
            fifos: false,
            devices: false,
            case_sensitive: false,
            names: NameLimits {
                refused: "\"*:<>?\\|".to_owned(),
                no_control: true,
                only_utf8: true,
                ..NameLimits::default()
            },
            ..Self::all()
        };
        match file_system {
            "exfat" => Some(Self {
                time_step_ns: 10_000_000,
                ..fat
            }),
            "vfat" | "msdos" => Some(Self {
                time_step_ns: 2_000_000_000,
                file_max: Some(Self::FAT_FILE_MAX),
                names: NameLimits {
                    no_dot_or_blank_at_end: true,
                    ..fat.names.clone()
                },
                ..fat
            }),
            _ => None,
        }
    }

    /// The largest file on FAT, in bytes.
    pub const FAT_FILE_MAX: u64 = (4 << 30) - 1;

    /// What is kept in the manifest only, in words. Owners and devices are missed by root only:
    /// nobody else could store them anywhere.
    #[must_use]
    pub fn gaps(&self, as_root: bool) -> Vec<&'static str> {
        let by_root = |can| can || !as_root || !self.tried_as_root;
        [
            (self.symlinks, "symlinks"),
            (
                !self.symlinks || self.symlink_metadata,
                "owners and times of symlinks",
            ),
            (self.modes, "modes"),
            (by_root(self.owners), "owners"),
            (self.times, "times"),
            (self.xattrs, "extended attributes"),
            (self.acls, "access control lists"),
            (self.fifos, "fifos and sockets"),
            (by_root(self.devices), "devices"),
        ]
        .into_iter()
        .filter_map(|(can, what)| (!can).then_some(what))
        .collect()
    }

    /// Why no entry of this name can be stored, in words that end a sentence; none where it can.
    #[must_use]
    pub fn refuses_name(&self, name: &[u8]) -> Option<String> {
        let limits = &self.names;
        if name.len() > self.name_max as usize {
            return Some(format!("its name has more than {} bytes", self.name_max));
        }
        if limits.only_utf8 && std::str::from_utf8(name).is_err() {
            return Some("its name is not UTF-8".to_owned());
        }
        if limits.no_control && name.iter().any(u8::is_ascii_control) {
            return Some("its name has a control character".to_owned());
        }
        let mut refused = limits.refused.chars();
        let found = refused.find(|one| u8::try_from(*one).is_ok_and(|one| name.contains(&one)));
        if let Some(found) = found {
            return Some(format!("its name has `{found}`"));
        }
        let at_end = matches!(name.last(), Some(b'.' | b' '));
        (limits.no_dot_or_blank_at_end && at_end)
            .then(|| "its name ends with a dot or blank".to_owned())
    }

    /// Why no file of this size can be stored, in the same words.
    #[must_use]
    pub fn refuses_size(&self, size: u64) -> Option<String> {
        let limit = self.file_max.filter(|limit| size > *limit)?;
        Some(format!("it has more than {}", amount::bytes(limit)))
    }

    /// Whether two names of a folder may be one here.
    #[must_use]
    pub fn folds_names(&self) -> bool {
        !self.case_sensitive || self.names.one_unicode_form
    }

    /// Whether there are names that cannot be held here, or not beside each other.
    #[must_use]
    pub fn limits_names(&self) -> bool {
        !self.names.is_none() || self.folds_names() || self.name_max < Self::all().name_max
    }

    /// What names that are one here have in common, where there are such.
    ///
    /// Rather more than a file system folds than less: of two names that could have stood beside
    /// each other one is then stored under another name, which loses nothing.
    #[must_use]
    pub fn folded(&self, name: &[u8]) -> Option<Vec<u8>> {
        if !self.folds_names() {
            return None;
        }
        let Ok(text) = std::str::from_utf8(name) else {
            return Some(name.to_ascii_lowercase());
        };
        if text.is_ascii() && self.case_sensitive {
            return Some(name.to_vec());
        }
        let decomposed = text.nfkd();
        Some(if self.case_sensitive {
            decomposed.collect::<String>().into_bytes()
        } else {
            let upper = decomposed.flat_map(char::to_uppercase);
            upper
                .flat_map(char::to_lowercase)
                .collect::<String>()
                .into_bytes()
        })
    }

    /// Whether an extended attribute of this name is given back as it was set. Only what was tried
    /// is known: `user` attributes and access control lists.
    #[must_use]
    pub fn holds_attribute(&self, name: &[u8]) -> bool {
        if name.starts_with(b"system.posix_acl_") {
            self.acls
        } else {
            self.xattrs
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_before_the_newer_fields_lacks_nothing_more() {
        let old = r#"{"hard_links":true,"symlinks":true,"modes":true,"owners":true,"xattrs":true,
            "acls":true,"fifos":true,"case_sensitive":true,"time_step_ns":1,"name_max":255}"#;
        let read: Capabilities = serde_json::from_str(old).unwrap();
        assert_eq!(read, Capabilities::all());
        let written = serde_json::to_value(&read).unwrap();
        let old: serde_json::Value = serde_json::from_str(old).unwrap();
        assert_eq!(
            written, old,
            "newer fields stand only where something is missing"
        );
    }

    #[test]
    fn who_may_not_give_files_away_misses_no_owners() {
        let by_user = Capabilities {
            owners: false,
            devices: false,
            tried_as_root: false,
            ..Capabilities::all()
        };
        assert!(by_user.gaps(false).is_empty());
        assert!(by_user.gaps(true).is_empty(), "it is not known");
        let by_root = Capabilities {
            tried_as_root: true,
            ..by_user
        };
        assert_eq!(by_root.gaps(true), ["owners", "devices"]);
        assert!(by_root.gaps(false).is_empty());
    }

    #[test]
    fn each_limit_of_a_name_is_told_apart() {
        let fat = Capabilities::of_type("vfat").unwrap();
        for (name, why) in [
            (&b"a:b"[..], Some("its name has `:`")),
            (b"a\\b", Some("its name has `\\`")),
            (b"a\nb", Some("its name has a control character")),
            (b"a\xff", Some("its name is not UTF-8")),
            (b"dot.", Some("its name ends with a dot or blank")),
            (&[b'x'; 256], Some("its name has more than 255 bytes")),
            (".hidden \u{e9}.txt".as_bytes(), None),
        ] {
            assert_eq!(fat.refuses_name(name).as_deref(), why);
            assert_eq!(
                Capabilities::all().refuses_name(&name[..name.len().min(255)]),
                None
            );
        }
        assert_eq!(fat.refuses_size(Capabilities::FAT_FILE_MAX), None);
        let too_large = fat.refuses_size(Capabilities::FAT_FILE_MAX + 1);
        assert_eq!(too_large.as_deref(), Some("it has more than 4.0 GiB"));
        assert_eq!(
            fat.folded("\u{c9}A".as_bytes()),
            fat.folded("\u{e9}a".as_bytes())
        );
        assert_eq!(Capabilities::all().folded(b"A"), None);
    }
}
