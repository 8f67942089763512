//! `man`: prints the manual, or writes it as one page for each verb.
//!
//! Names, synopses and options are those of the command line. Owns what it does not say: exit
//! codes, files, environment. The page of the configuration's keys is that of their schema.

use std::{io::Write as _, path::Path};

use anyhow::Result;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man as Page;
use planner::setup::{Answers, CopyEngine, Schedule};
use roff::{Inline, Roff, bold, italic, roman};
use schema::options_page::{DescribedKey, DescribedValue, described_keys};

use crate::{
    cli::{Cli, Man, PROGRAMS},
    commands::outcome,
    exit,
    out::Out,
    style::shown,
};

/// What each exit code means.
const EXIT_CODES: [(&str, &str); 8] = [
    ("0", "Done; health: all is well."),
    (
        "1",
        "A step failed; health: there is no backup to rely on, or soon will be none.",
    ),
    (
        "2",
        "Usage, or an invalid configuration. With --detailed-exitcode: there is something to do.",
    ),
    (
        "3",
        "Done, but incomplete or suspect, or damage was found; health: a person should look.",
    ),
    (
        "4",
        "Refused, and nothing changed: not mounted, wrong disk, no space, stale plan, approval \
         needed.",
    ),
    (
        "75",
        "Another run holds the lock, or the run was deferred (on battery, drive absent by \
         policy).",
    ),
    (
        "130",
        "Interrupted from the keyboard; the next run continues.",
    ),
    ("143", "Asked to end; the next run continues."),
];

/// Where things are.
const FILES: [(&str, &str); 8] = [
    (
        "/etc/backup/config.json",
        "The configuration, whose keys backup.json(5) has. Of a normal user ~/.config/backup/config.json.",
    ),
    (
        "/var/lib/backup/runs/",
        "One folder for each run: configuration, inventory, plan, journal and report.",
    ),
    (
        "/var/lib/backup/health.json",
        "What the last health check found. Of a normal user all of this is below \
         ~/.local/state/backup/.",
    ),
    ("/var/log/backup/", "The log files (monitoring.logPath)."),
    (
        "MOUNTPOINT/HOST/daily/, weekly/, monthly/, hourly/, yearly/",
        "The snapshots, plain folders. In a tier that keeps a snapshot of a longer-lived one too \
         stands a symlink.",
    ),
    (
        "MOUNTPOINT/HOST/latest",
        "A symlink to the newest good one.",
    ),
    (
        "MOUNTPOINT/HOST/.backup/destination.json",
        "Which destination this is, and what it can hold.",
    ),
    (
        "MOUNTPOINT/HOST/.backup/snapshots/ID/",
        "A snapshot's record and its manifest, which zstd(1) and sha256sum(1) can read and check.",
    ),
];

/// What of the environment counts.
const ENVIRONMENT: [(&str, &str); 5] = [
    (
        "BACKUP_CONFIG",
        "The configuration, unless --config names another.",
    ),
    (
        "BACKUP_COLUMNS",
        "Columns of a line where the output goes to no terminal; without it no line is broken there.",
    ),
    ("BACKUP_THREADS", "As --threads."),
    ("NO_COLOR", "If set and not empty, nothing is coloured."),
    (
        "XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_DATA_HOME",
        "Where a normal user's files are.",
    ),
];

/// Prints or writes the manual.
pub(crate) fn print_manual(arguments: &Man, out: &Out) -> Result<u8> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let Some(folder) = &arguments.to else {
        out.print_document(&String::from_utf8(main_page(&root)?)?);
        return Ok(exit::DONE);
    };
    let io = |path: &Path, error: std::io::Error| {
        let path = path.as_os_str().as_encoded_bytes();
        executor::Error::io("write", path, error).hint("name another folder with --to")
    };
    let mut pages = vec![
        ("backup.1".to_owned(), main_page(&root)?),
        ("backup.json.5".to_owned(), config_page()?),
    ];
    for verb in root.get_subcommands() {
        pages.push((format!("backup-{}.1", verb.get_name()), verb_page(verb)?));
    }
    if arguments.dry_run {
        let paths = pages.iter().map(|(name, _)| folder.join(name));
        let lines = paths.map(|path| format!("would write {}", shown(&path)));
        outcome::show_dry_run(&lines.collect::<Vec<_>>(), out);
        return Ok(exit::DONE);
    }
    std::fs::create_dir_all(folder).map_err(|error| io(folder, error))?;
    for (name, page) in &pages {
        let path = folder.join(name);
        std::fs::write(&path, page).map_err(|error| io(&path, error))?;
    }
    out.print_unless_quiet(&format!("{} pages are in {}", pages.len(), shown(folder)));
    Ok(exit::DONE)
}

/// `backup(1)`.
fn main_page(root: &Command) -> Result<Vec<u8>> {
    let page = page_of(root);
    let mut text = page_beginning(&page)?;
    page.render_subcommands_section(&mut text)?;
    let mut roff = Roff::new();
    add_list(&mut roff, "EXIT STATUS", &EXIT_CODES);
    add_list(&mut roff, "FILES", &FILES);
    add_list(&mut roff, "ENVIRONMENT", &ENVIRONMENT);
    let verbs: Vec<String> = root
        .get_subcommands()
        .map(|verb| format!("backup-{}", verb.get_name()))
        .collect();
    let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
    add_see_also(&mut roff, &[&verbs[..], &["rsync", "rclone"]].concat());
    roff.to_writer(&mut text)?;
    Ok(text)
}

/// `backup-VERB(1)`.
fn verb_page(verb: &Command) -> Result<Vec<u8>> {
    let page = page_of(verb);
    let mut text = page_beginning(&page)?;
    let mut roff = Roff::new();
    if let Some(more) = verb.get_after_help() {
        roff.control("SH", ["NOTES"]);
        roff.text([roman(more.to_string())]);
    }
    let mut programs = PROGRAMS.iter();
    if let Some((program, _)) = programs.find(|(_, of)| *of == verb.get_name()) {
        roff.control("SH", ["ALSO KNOWN AS"]);
        roff.text([
            roman("The same is there as a program named "),
            bold(*program),
            roman("."),
        ]);
    }
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman("As in "), bold("backup"), roman("(1).")]);
    add_see_also(&mut roff, &["backup"]);
    roff.to_writer(&mut text)?;
    Ok(text)
}

/// A whole configuration, as `setup` writes it.
fn add_example(roff: &mut Roff) {
    let answers = Answers {
        mount_point: Some("/mnt/backup".to_owned()),
        cloud: None,
        sources: vec!["/home".to_owned(), "/etc".to_owned()],
        schedule: Schedule::At("daily".to_owned()),
        engine: CopyEngine::Rsync,
        full_copies: false,
        min_space_gb: None,
    };
    roff.control("SH", ["EXAMPLE"]);
    roff.text([
        roman("The folders "),
        italic("/home"),
        roman(" and "),
        italic("/etc"),
        roman(" go each night to the drive that is mounted at "),
        italic("/mnt/backup"),
        roman(", and stay as long as the defaults say. After a change, "),
        bold("backup setup --enable"),
        roman(" makes the timers anew."),
    ]);
    roff.control("PP", []);
    roff.control("EX", []);
    for line in answers.to_config_text().lines() {
        roff.text([roman(line)]);
    }
    roff.control("EE", []);
}

/// `backup.json(5)`.
fn config_page() -> Result<Vec<u8>> {
    let mut roff = Roff::new();
    let source = format!("backup {}", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["backup.json", "5", "", &source, "Backup Manual"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("backup.json - the configuration of backup(1)")]);
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([italic("/etc/backup/config.json")]);
    roff.control("br", []);
    roff.text([italic("~/.config/backup/config.json")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([
        roman(
            "One object of JSON. The first of these files is the machine's, the second a user's own. The \
             key ",
        ),
        bold("local.keepDaily"),
        roman(" is "),
        bold("keepDaily"),
        roman(" in the object "),
        bold("local"),
        roman(
            ". What is not said has its default. A key that is not below is an error, as is a value that does \
             not fit: ",
        ),
        bold("backup check"),
        roman(" shows all of them at once. "),
        bold("backup setup"),
        roman(" writes a first one, and "),
        bold("backup schema"),
        roman(" prints the JSON Schema that this page is made from."),
    ]);
    add_example(&mut roff);
    roff.control("SH", ["KEYS"]);
    for key in described_keys() {
        add_key(&mut roff, &key);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("backup"),
        roman("(1), "),
        bold("backup-check"),
        roman("(1), "),
    ]);
    roff.text([bold("backup-setup"), roman("(1)")]);
    let mut text = Vec::new();
    roff.to_writer(&mut text)?;
    Ok(text)
}

/// A key, with what is to be said of it.
fn add_key(roff: &mut Roff, key: &DescribedKey) {
    let Some(value) = &key.value else {
        roff.control("SS", [key.path.as_str()]);
        roff.text([roman(plain(&key.meaning))]);
        return;
    };
    let DescribedValue {
        kind,
        default,
        choices,
        example,
    } = value;
    let default = match default {
        Some(default) => format!("default {default}"),
        None => "required".to_owned(),
    };
    roff.control("TP", []);
    roff.text([
        bold(key.path.as_str()),
        roman(format!(" ({kind}, {default})")),
    ]);
    roff.text([roman(plain(&key.meaning))]);
    for (choice, meaning) in choices {
        let meaning = meaning
            .as_deref()
            .map(|meaning| format!(": {}", plain(meaning)));
        roff.control("br", []);
        roff.text([bold(choice.as_str()), roman(meaning.unwrap_or_default())]);
    }
    if let Some(example) = example {
        roff.control("br", []);
        roff.text([roman("Example: "), bold(example.as_str())]);
    }
}

/// A text without the marks of Markdown.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

fn page_of(command: &Command) -> Page {
    let version = env!("CARGO_PKG_VERSION");
    Page::new(command.clone())
        .source(format!("backup {version}"))
        .manual("Backup Manual")
}

/// What the command line says by itself.
fn page_beginning(page: &Page) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    text.flush()?;
    Ok(text)
}

fn add_list(roff: &mut Roff, title: &str, items: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (name, meaning) in items {
        roff.control("TP", []);
        roff.text([italic(*name)]);
        roff.text([roman(*meaning)]);
    }
}

fn add_see_also(roff: &mut Roff, pages: &[&str]) {
    roff.control("SH", ["SEE ALSO"]);
    let mut line: Vec<Inline> = Vec::new();
    for (at, page) in pages.iter().enumerate() {
        let end = if at + 1 < pages.len() { "(1), " } else { "(1)" };
        line.extend([bold(*page), roman(end)]);
    }
    roff.text(line);
}
