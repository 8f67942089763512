//! What a person answered, and the configuration that it makes.

use serde_json::{Map, Value, json};

use crate::calendar::schedule_expression;

/// The answers to all questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// `local.mountPoint`; none where there are no snapshots on a drive.
    pub mount_point: Option<String>,
    /// `cloud`; none where nothing is copied there.
    pub cloud: Option<Remote>,
    /// `local.sources`.
    pub sources: Vec<String>,
    /// `schedule`.
    pub schedule: Schedule,
    /// `local.useRsync`.
    pub engine: CopyEngine,
    /// `local.allowFullCopies`.
    pub full_copies: bool,
    /// `local.minSpaceGB`; none where the default will do.
    pub min_space_gb: Option<u64>,
}

/// Where rclone copies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// `cloud.remote`: `name:` or `name:bucket`.
    pub remote: String,
    /// `cloud.configFile`; none where rclone has no file of its own.
    pub config_file: Option<String>,
}

impl Remote {
    /// The remote of Proton Drive, which has a provider of its own.
    const PROTON: &str = "proton:";

    /// Whether a text has the form of one, and is no path.
    #[must_use]
    pub fn is_remote(text: &str) -> bool {
        let name = text.split_once(':').map(|(name, _)| name);
        name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
    }

    fn to_json(&self) -> Value {
        let mut cloud = Map::new();
        cloud.insert("enable".to_owned(), json!(true));
        if self.remote != Self::PROTON {
            cloud.insert("provider".to_owned(), json!("custom"));
            cloud.insert("remote".to_owned(), json!(self.remote));
        }
        if let Some(file) = &self.config_file {
            cloud.insert("configFile".to_owned(), json!(file));
        }
        Value::Object(cloud)
    }
}

/// When backups are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Whenever somebody says so.
    ByHand,
    /// `schedule.frequency`.
    At(String),
}

impl Schedule {
    /// The word for backups by hand.
    pub const NONE: &str = "none";

    /// Reads `daily`, `weekly`, a calendar expression, or `none`.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == Self::NONE {
            return Ok(Self::ByHand);
        }
        match schedule_expression(text, chrono::NaiveTime::MIN) {
            Ok(_) => Ok(Self::At(text.to_owned())),
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// The text that [`Self::parse`] reads as this.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::ByHand => Self::NONE,
            Self::At(text) => text,
        }
    }
}

/// Which engine copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyEngine {
    /// The program rsync.
    Rsync,
    /// The one of this program.
    Builtin,
}

impl CopyEngine {
    /// Its name, as people type it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rsync => "rsync",
            Self::Builtin => "builtin",
        }
    }

    /// The engine of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Rsync, Self::Builtin]
            .into_iter()
            .find(|engine| engine.word() == text.trim())
    }
}

impl Answers {
    /// The configuration, as text: what was answered, and what protects from a drive that is not there.
    /// Everything else is at its default.
    #[must_use]
    pub fn to_config_text(&self) -> String {
        let mut local = Map::new();
        local.insert("enable".to_owned(), json!(self.mount_point.is_some()));
        if let Some(mount_point) = &self.mount_point {
            local.insert("mountPoint".to_owned(), json!(mount_point));
            local.insert("requireMount".to_owned(), json!(true));
        }
        local.insert("sources".to_owned(), json!(self.sources));
        if self.mount_point.is_some() {
            let is_rsync = self.engine == CopyEngine::Rsync;
            local.insert("useRsync".to_owned(), json!(is_rsync));
        }
        if self.full_copies {
            local.insert("allowFullCopies".to_owned(), json!(true));
        }
        if let Some(least) = self.min_space_gb {
            local.insert("minSpaceGB".to_owned(), json!(least));
        }
        let schedule = match &self.schedule {
            Schedule::ByHand => json!({"enable": false}),
            Schedule::At(text) => json!({"enable": true, "frequency": text}),
        };
        let mut document = json!({"version": 1, "local": local, "schedule": schedule});
        if let Some(cloud) = &self.cloud {
            document["cloud"] = cloud.to_json();
        }
        format!("{document:#}\n")
    }
}

/// What a person who was shown numbered choices means: one of them by its number, or a text of their own;
/// none for a number that there is not.
#[must_use]
pub fn parse_choice<'a>(answer: &'a str, choices: &[&'a str]) -> Option<&'a str> {
    let answer = answer.trim();
    match answer.parse::<usize>() {
        Ok(number) => choices.get(number.checked_sub(1)?).copied(),
        Err(_) => Some(answer).filter(|answer| !answer.is_empty()),
    }
}

/// The folders in a line, apart by blanks; one whose name has blanks stands in quotes. `~` is the home
/// folder.
///
/// # Errors
/// Says which quote has no end.
pub fn parse_folders(line: &str, home: &str) -> Result<Vec<String>, String> {
    let mut folders = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(characters.next()),
            (None, _) if character.is_whitespace() => folders.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if let Some(open) = quote {
        return Err(format!("a quote ({open}) has no end"));
    }
    folders.extend(word);
    let in_home = |folder: String| match folder.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with('/') => format!("{home}{rest}"),
        _ => folder,
    };
    Ok(folders.into_iter().map(in_home).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_config;

    #[test]
    fn any_answers_make_a_configuration_that_needs_its_drive() {
        for (schedule, engine) in [
            ("daily", CopyEngine::Rsync),
            ("Mon,Thu 20:00", CopyEngine::Builtin),
            ("none", CopyEngine::Builtin),
        ] {
            let answers = Answers {
                mount_point: Some("/mnt/a \"b\"".to_owned()),
                cloud: None,
                sources: vec!["/home/ann".to_owned(), "/etc".to_owned()],
                schedule: Schedule::parse(schedule).unwrap(),
                engine,
                full_copies: schedule == "none",
                min_space_gb: (schedule == "daily").then_some(3),
            };
            assert_eq!(answers.schedule.text(), schedule);
            let text = answers.to_config_text();
            let config = check_config(text.as_bytes()).unwrap().config;
            let local = &config.local;
            assert!(local.enable && local.require_mount);
            assert_eq!(local.mount_point.as_str(), "/mnt/a \"b\"");
            assert_eq!(local.sources.len(), 2);
            assert_eq!(local.use_rsync, engine == CopyEngine::Rsync);
            assert_eq!(local.allow_full_copies, schedule == "none");
            let least = if schedule == "daily" { 3 } else { 10 };
            assert_eq!(local.min_space_bytes(), least << 30);
            assert_eq!(config.schedule.enable, schedule != "none");
        }
        assert!(Schedule::parse("now and then").is_err());
        assert_eq!(CopyEngine::parse("builtin"), Some(CopyEngine::Builtin));
        assert_eq!(CopyEngine::parse("tar"), None);
    }

    #[test]
    fn a_remote_alone_makes_a_configuration_without_a_drive() {
        let config_of = |mount_point: Option<&str>, remote: &str| {
            let answers = Answers {
                mount_point: mount_point.map(str::to_owned),
                cloud: Some(Remote {
                    remote: remote.to_owned(),
                    config_file: Some("/root/rclone.conf".to_owned()),
                }),
                sources: vec!["/home/ann".to_owned()],
                schedule: Schedule::At("daily".to_owned()),
                engine: CopyEngine::Rsync,
                full_copies: false,
                min_space_gb: None,
            };
            let text = answers.to_config_text();
            check_config(text.as_bytes()).unwrap().config
        };
        let alone = config_of(None, "nas:bucket");
        assert!(!alone.local.enable && alone.cloud.enable);
        assert_eq!(alone.local.sources.len(), 1);
        assert_eq!(alone.cloud.remote.as_deref(), Some("nas:bucket"));
        let file = alone.cloud.config_file.unwrap();
        assert_eq!(file.as_str(), "/root/rclone.conf");
        let both = config_of(Some("/mnt/backup"), "proton:");
        assert!(both.local.enable && both.cloud.enable);
        assert_eq!(both.cloud.remote, None);
        assert!(Remote::is_remote("nas:") && Remote::is_remote("nas:a/b"));
        for none in ["nas", "/mnt/a:b", ":x", ""] {
            assert!(!Remote::is_remote(none), "{none}");
        }
    }

    #[test]
    fn a_number_is_a_choice_and_a_text_is_itself() {
        let choices = ["/mnt/a", "/mnt/b"];
        assert_eq!(parse_choice("2\n", &choices), Some("/mnt/b"));
        assert_eq!(parse_choice(" /mnt/c ", &choices), Some("/mnt/c"));
        for none in ["0", "3", ""] {
            assert_eq!(parse_choice(none, &choices), None);
        }
    }

    #[test]
    fn folders_stand_apart_by_blanks_unless_they_are_quoted() {
        let of = |line| parse_folders(line, "/home/ann");
        assert_eq!(of(" /home  /etc "), Ok(vec!["/home".into(), "/etc".into()]));
        assert_eq!(
            of("~ ~/a ~bob"),
            Ok(vec![
                "/home/ann".into(),
                "/home/ann/a".into(),
                "~bob".into()
            ])
        );
        assert_eq!(
            of("'/a b' /c\\ d \"/e f\""),
            Ok(vec!["/a b".into(), "/c d".into(), "/e f".into()])
        );
        assert_eq!(of(""), Ok(vec![]));
        assert!(of("'/a b").is_err());
    }
}
