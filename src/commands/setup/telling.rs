//! What is told: the README beside a configuration, what would be written, and what to do next.

use std::path::Path;

use backup::engine::README_HEADER;
use planner::setup::{IdlePlace, idle_at};
use schema::{
    Config,
    options_page::options_page,
    output::setup::{NextStep, SetupOutcome},
    setup::Surroundings,
    shell,
};

use crate::{
    called,
    settings::{self, Settings},
    style::{Style, left, width},
};

/// The beginning of a command line that works with this configuration: this program, or where it is
/// installed to, with `sudo` for whoever used it, and the options that make a difference.
pub(super) fn command_of(installed: Option<&Path>, settings: &Settings) -> String {
    let mut words = Vec::new();
    if called::is_by_sudo() {
        words.push("sudo".to_owned());
    }
    words.push(match installed {
        Some(path) => called::word_of(path),
        None => called::program_word(),
    });
    let mut add = |option: &str, path: &Path, usual: &Path| {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if whole != usual {
            words.push(option.to_owned());
            words.push(shell::word(whole.as_os_str().as_encoded_bytes()));
        }
    };
    add("--config", &settings.config_path, &settings::own_config());
    add(
        "--state-dir",
        &settings.state_dir,
        &settings::own_state_dir(),
    );
    words.join(" ")
}

/// What to do next, in this order; `is_first` where the configuration is a new one.
pub(super) fn next_steps(
    outcome: &SetupOutcome,
    config: &Config,
    is_first: bool,
    is_absent: bool,
    installed: Option<&Path>,
    found: &Surroundings,
    settings: &Settings,
) -> Vec<NextStep> {
    let command = command_of(installed.filter(|_| !outcome.dry_run), settings);
    let mut steps = Vec::new();
    let mut add = |line: String, does: &str| {
        steps.push(NextStep {
            command: line,
            does: does.to_owned(),
        });
    };
    if is_absent {
        let mount_point = config.local.mount_point.as_str();
        match idle_at(found, mount_point) {
            Some(IdlePlace {
                command,
                lacks: Some(lacks),
                ..
            }) => add(command, &format!("mounts the drive: {lacks} first")),
            Some(idle) => add(idle.command, "mounts the drive"),
            None => add(
                format!("findmnt {}", shell::word(mount_point.as_bytes())),
                "must name the drive: mount it first",
            ),
        }
    }
    add(format!("{command} plan"), "what a backup would do");
    let makes = if is_first {
        "makes the first backup"
    } else {
        "makes a backup now"
    };
    add(format!("{command} now"), makes);
    add(format!("{command} status"), "how things stand");
    if !config.schedule.enable || !outcome.enabled.is_empty() {
        return steps;
    }
    if found.has_systemd {
        add(
            format!("{command} setup --enable"),
            "has systemd start backups on the schedule",
        );
    } else {
        add(
            format!("{command} apply --if-due"),
            "makes those that are due: have cron run it each hour",
        );
    }
    steps
}

/// What to do next, as it is shown.
pub(super) fn next_page(outcome: &SetupOutcome, style: &Style) -> String {
    format!("\n{}\n{}", style.bold("Next:"), step_lines(outcome))
}

fn step_lines(outcome: &SetupOutcome) -> String {
    const WIDEST: usize = 40;
    let steps = outcome.next.iter();
    let longest = steps.map(|step| width(&step.command)).max();
    let column = longest.unwrap_or(0).min(WIDEST);
    let lines = outcome.next.iter().map(|step| {
        let command = left(&step.command, column);
        if width(&command) > WIDEST {
            format!("  {command}\n      {}\n", step.does)
        } else {
            format!("  {command}  {}\n", step.does)
        }
    });
    lines.collect()
}

/// What would be written and done.
pub(super) fn dry_run_page(outcome: &SetupOutcome) -> String {
    let mut page = format!("{}:\n{}", outcome.config, outcome.text);
    let mut add = |what: &str, names: &[String]| {
        for name in names {
            page.push_str(&format!("{what} {name}\n"));
        }
    };
    add("also", outcome.readme.as_slice());
    add("also", &outcome.units);
    add("also", outcome.installed.as_slice());
    page.push_str("Nothing was written (--dry-run).\n");
    page
}

/// The README beside a configuration: what is what, what to do after a change, and every key.
pub(super) fn readme(settings: &Settings) -> String {
    let command = command_of(None, settings);
    let is_root = nix::unistd::geteuid().is_root();
    let name = settings.config_path.file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    let own = if is_root {
        ""
    } else {
        ", and nobody but you can read it"
    };
    format!(
        "{README_HEADER}\n\
         # The configuration of the backup\n\n\
         `{name}` beside this file says what is backed up, where to and when{own}. It names only what\n\
         differs from the defaults below; JSON has no comments, so what each key means stands here.\n\n\
         After a change:\n\n\
         ```sh\n\
         {command} check           # every fault at once\n\
         {command} setup --enable  # the units anew, if the schedule or a path changed\n\
         {command} plan            # what the next backup will do\n\
         ```\n\n\
         # Options\n{}",
        options_page()
    )
}
