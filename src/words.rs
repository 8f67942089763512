//! Words that people know from other tools, and the verb that does it here.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Each word with what to type instead.
const KNOWN: &[(&[&str], &str)] = &[
    (
        &[
            "forget", "expire", "clean", "cleanup", "purge", "thin", "rotate", "gc",
        ],
        "`backup prune` lets go what the retention does not keep, `backup delete ID` a snapshot \
         by name",
    ),
    (
        &["remove", "rm", "del", "drop", "erase", "destroy"],
        "`backup delete ID` removes a snapshot, `backup prune` all that the retention does not keep",
    ),
    (
        &[
            "snapshots",
            "snapshot",
            "archives",
            "versions",
            "ls",
            "show",
            "log",
            "history",
        ],
        "`backup list` shows all snapshots, `backup find PATH` the versions of a path; `backup \
         now` makes one",
    ),
    (
        &[
            "backup", "create", "run", "start", "make", "save", "sync", "do",
        ],
        "`backup now` shows the plan and runs it; `backup apply` is what timers run",
    ),
    (
        &["open", "explore", "look", "tui", "ui", "gui"],
        "`backup browse` shows snapshots, files and their versions in the terminal",
    ),
    (
        &["mount", "umount", "unmount"],
        "snapshots are plain folders, below daily, weekly and monthly on the drive: `backup list` \
         shows them, `backup restore` copies out of them",
    ),
    (
        &["recover", "extract", "copy", "undelete", "get", "fetch"],
        "`backup restore` copies files and folders out of a snapshot",
    ),
    (
        &["search", "locate", "grep"],
        "`backup find PATTERN` shows all versions of a path",
    ),
    (
        &["dry-run", "dryrun", "preview"],
        "`backup plan` shows what a run would do",
    ),
    (
        &["fsck", "scrub", "validate", "repair", "heal", "test"],
        "`backup verify` compares snapshots with their manifests (with --repair it heals), \
         `backup check` validates the configuration",
    ),
    (
        &["info", "stats", "state", "doctor", "du"],
        "`backup status` shows how things stand, `backup health` checks whether the backup can be \
         relied on",
    ),
    (
        &["keep", "tag", "hold", "protect", "lock"],
        "`backup pin SNAPSHOT` keeps it whatever the retention says",
    ),
    (
        &["unlock", "break-lock"],
        "there is nothing to unlock: a lock ends with its process, and `backup status` tells of one",
    ),
    (
        &[
            "install", "enable", "schedule", "timer", "units", "cron", "systemd",
        ],
        "`backup setup --enable` makes the timers and services of the configuration and starts them, \
         `backup systemd-units` prints them",
    ),
    (
        &["config", "configure", "wizard", "onboard", "generate"],
        "`backup setup` makes a configuration, `backup check` validates it, `backup schema` tells \
         its keys",
    ),
    (
        &["configtest", "lint"],
        "`backup check` validates the configuration, `backup schema` tells its keys",
    ),
    (
        &["resume", "continue"],
        "`backup apply` continues an unfinished run",
    ),
    (
        &["import", "convert", "migrate"],
        "`backup adopt` takes over what another tool made",
    ),
    (&["version"], "`backup --version` tells it"),
];

/// The same error with what to type instead, where that is known, and without the verb that only looks like
/// the word: of `run` that is `prune`.
pub(crate) fn with_tip(mut error: clap::Error) -> clap::Error {
    if let Some(tip) = tip_for(&error) {
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
    error
}

/// What to type instead of a word that is no verb here; none where nothing is known.
pub(crate) fn tip_for(error: &clap::Error) -> Option<&'static str> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    tip_for_word(word)
}

fn tip_for_word(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let mut known = KNOWN.iter();
    let (_, tip) = known.find(|(words, _)| words.contains(&word.as_str()))?;
    Some(tip)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_known_word_is_told_what_it_is_here_and_nothing_that_only_looks_like_it() {
        let error = |word| Cli::try_parse_from(["backup", word]).unwrap_err();
        assert!(error("run").to_string().contains("prune"));
        let told = with_tip(error("run")).to_string();
        assert!(told.contains("tip: `backup now`"), "{told}");
        assert!(!told.contains("prune"), "{told}");
        let typed_wrong = with_tip(error("statu")).to_string();
        assert!(typed_wrong.contains("'status'"), "{typed_wrong}");
    }

    #[test]
    fn no_word_stands_twice_and_every_tip_names_a_verb() {
        let command = Cli::command();
        let verbs = command.get_subcommands().map(clap::Command::get_name);
        let verbs: BTreeSet<&str> = verbs.chain(["prune", "delete"]).collect();
        let mut seen = BTreeSet::new();
        for (words, tip) in KNOWN {
            for word in *words {
                assert!(seen.insert(*word), "{word} stands twice");
            }
            let named = tip
                .split('`')
                .filter_map(|part| part.strip_prefix("backup "));
            let mut named = named.filter_map(|rest| rest.split(' ').next());
            assert!(
                named.any(|verb| verbs.contains(verb) || verb.starts_with('-')),
                "{tip}"
            );
        }
    }

    #[test]
    fn words_of_other_tools_lead_to_the_verb() {
        assert!(tip_for_word("forget").unwrap().contains("`backup prune`"));
        assert!(tip_for_word("Snapshots").unwrap().contains("`backup list`"));
        assert!(
            tip_for_word("remove")
                .unwrap()
                .contains("`backup delete ID`")
        );
        assert_eq!(tip_for_word("frobnicate"), None);
    }
}
