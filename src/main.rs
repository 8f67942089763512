//! The command line of the backup system: parsing, rendering and exit codes, nothing else.
//!
//! `backup-now`, `backup-status`, `backup-restore` and `backup-verify` are this program under those
//! names.

mod called;
mod cli;
mod commands;
mod exit;
mod out;
mod progress;
mod question;
mod render;
mod screen;
mod service;
mod settings;
mod signals;
mod stall;
mod style;
mod supervised;
mod supervisor;
mod typed;
mod when;
mod words;

use std::{ffi::OsString, path::Path, process::ExitCode, sync::Arc};

use backup::engine::Mark;
use clap::Parser as _;
use executor::{
    clock::Clock,
    drill,
    logs::{Journald, Kind, Level, Record},
    sys::answer,
    watch,
};
use schema::output::progress::{ProgressEvent, ProgressLine};

use crate::{
    cli::{Cli, Verb},
    commands::complete,
    exit::{Explained, Invalid},
    out::Out,
    settings::Settings,
    style::{Style, printable},
};

fn main() -> ExitCode {
    if let Some(code) = be_helper() {
        return code;
    }
    // Also where the file was replaced by an update meanwhile.
    drill::set_room_program("/proc/self/exe".into());
    answer::set_probe_program("/proc/self/exe".into());
    let arguments = program_arguments();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let error = words::with_tip(with_safe_words(error, &arguments));
            return ExitCode::from(show_usage(&error));
        }
    };
    service::notify_ready();
    let cli = Arc::new(cli);
    called::remember(arguments, Arc::clone(&cli));
    if cli.verb.looks_at_files()
        && supervisor::is_wanted()
        && let Some(code) = supervisor::supervise(&cli)
    {
        return code;
    }
    let settings = Settings::new(&cli.global, cli.verb.only_looks()).on_destination_of(&cli.verb);
    let out = Out::new(settings.quiet);
    render::page::fit_lines_to(settings::columns());
    raise_file_limit();
    stall::end_on_stall(&cli, &settings.stop);
    let result = run_verb(&cli.verb, &settings, &out);
    watch::wait_for_end();
    let code = result.unwrap_or_else(|error| explain_error(&error, &settings, &out));
    let code = code_if_written(code, &out, &settings.error_style);
    let code = if settings.as_unit {
        exit::code_of_unit(code)
    } else {
        code
    };
    supervised::report_exit(code);
    ExitCode::from(code)
}

/// Does what this program starts itself for, and what shells ask; none where it was started for a verb.
fn be_helper() -> Option<ExitCode> {
    let mut given = std::env::args_os().skip(1);
    let first = given.next()?;
    if first == answer::ARGUMENT {
        let path = given.next();
        path.iter()
            .for_each(|path| answer::touch_path(Path::new(path)));
    } else if first == drill::ARGUMENT {
        let more: Vec<_> = given.collect();
        return Some(ExitCode::from(drill::enter_room(&more)));
    } else if first == complete::ARGUMENT {
        complete::answer_shell(given);
    } else if first == complete::INSIDE {
        answer::set_probe_program("/proc/self/exe".into());
        complete::look_for_shell(given);
    } else {
        return None;
    }
    Some(ExitCode::SUCCESS)
}

/// The same error in words that are safe to show: it repeats what was typed, which a shell may have
/// completed from the name of a file.
fn with_safe_words(error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let arguments = arguments.iter();
    let safe = arguments.map(|word| printable(&word.to_string_lossy()));
    Cli::try_parse_from(safe).err().unwrap_or(error)
}

/// Shows the help that was asked for, or why the command line is none; gives the exit code.
fn show_usage(error: &clap::Error) -> u8 {
    use std::io::Write as _;
    let out = Out::default();
    let code = u8::try_from(error.exit_code()).unwrap_or(exit::INVALID);
    if error.use_stderr() {
        let text = error.render();
        if std::env::args_os().any(|word| word == "--json") {
            out.print_json_line(&unusable_line(
                &text.to_string(),
                words::tip_for(error),
                code,
            ));
            return code;
        }
        out.print_message(&if settings::wants_color(&std::io::stderr()) {
            text.ansi().to_string()
        } else {
            text.to_string()
        });
        return code;
    }
    out.keep_fault(error.print().and_then(|()| std::io::stdout().flush()));
    code_if_written(code, &out, &Style::default())
}

/// A command line that is none, as an object for programs.
fn unusable_line(text: &str, tip: Option<&str>, code: u8) -> serde_json::Value {
    // What follows is how a command line looks, for people.
    let message = text.split("\n\n").next().unwrap_or(text).trim();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = ProgressLine::from(ProgressEvent::Failed {
        message: &message,
        hint: Some(
            tip.unwrap_or("`backup --help` shows the verbs, `backup VERB --help` their options"),
        ),
        exit_code: code,
    });
    serde_json::to_value(line).unwrap_or_default()
}

/// The exit code, if what was asked for could be written; else that of a failure, which is said.
/// What was refused, deferred or interrupted stays so.
fn code_if_written(code: u8, out: &Out, style: &Style) -> u8 {
    let Some(fault) = out.write_fault() else {
        return code;
    };
    let hint = "free space where it goes to, or write it somewhere else";
    out.print_message(&render::messages::error_lines(fault, Some(hint), style));
    if code < exit::REFUSED {
        exit::FAILED
    } else {
        code
    }
}

/// The arguments, with the verb that the program's name stands for.
fn program_arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    supervised::take_worker_argument(&mut arguments);
    let verb = arguments
        .first()
        .and_then(|name| {
            let name = Path::new(name).file_name()?;
            cli::PROGRAMS.iter().find(|(program, _)| name == *program)
        })
        .map(|(_, verb)| OsString::from(verb));
    if let Some(verb) = verb {
        arguments[0] = "backup".into();
        arguments.insert(1, verb);
    }
    arguments
}

/// Deep trees are walked with a few open folders for each level.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn run_verb(verb: &Verb, settings: &Settings, out: &Out) -> anyhow::Result<u8> {
    match verb {
        Verb::Try(arguments) => commands::trial::try_backup(arguments, settings, out),
        Verb::Setup(arguments) => commands::setup::set_up(arguments, settings, out),
        Verb::Check(arguments) => commands::check::check_config_file(arguments, settings, out),
        Verb::Schema(arguments) => commands::schema::print_schema(arguments, out),
        Verb::Plan(arguments) => commands::plan::show_plan(arguments, settings, out),
        Verb::Apply(arguments) => commands::apply::apply_backup(arguments, settings, out),
        Verb::Now(arguments) => commands::now::back_up_now(arguments, settings, out),
        Verb::Status(arguments) => commands::status::show_or_watch(arguments, settings, out),
        Verb::List(arguments) => commands::list::list_snapshots(arguments, settings, out),
        Verb::State(arguments) => commands::state::show_state(arguments, settings, out),
        Verb::Browse(arguments) => commands::browse::browse_snapshots(arguments, settings, out),
        Verb::Find(arguments) => commands::find::find_versions(arguments, settings, out),
        Verb::Report(arguments) => commands::report::report_backups(arguments, settings, out),
        Verb::Diff(arguments) => commands::diff::show_diff(arguments, settings, out),
        Verb::Health(arguments) => commands::health::check_health(arguments, settings, out),
        Verb::Drill(arguments) => commands::drill::hold_drill(arguments, settings, out),
        Verb::Restore(arguments) => commands::restore::restore_files(arguments, settings, out),
        Verb::Verify(arguments) => commands::verify::verify_snapshots(arguments, settings, out),
        Verb::NotifyTest(arguments) => {
            commands::notify_test::send_test_messages(arguments, settings, out)
        }
        Verb::Pin(one) => commands::mark::mark_snapshot(one, Mark::Pin, settings, out),
        Verb::Unpin(one) => commands::mark::mark_snapshot(one, Mark::Unpin, settings, out),
        Verb::Accept(one) => commands::mark::mark_snapshot(one, Mark::Accept, settings, out),
        Verb::Prune(arguments) => commands::delete::prune_snapshots(arguments, settings, out),
        Verb::Delete(arguments) => commands::delete::delete_snapshots(arguments, settings, out),
        Verb::Adopt(arguments) => commands::adopt::adopt_folders(arguments, settings, out),
        Verb::Init(arguments) => commands::init::init_destination(arguments, settings, out),
        Verb::Simulate(arguments) => {
            commands::simulate::simulate_retention(arguments, settings, out)
        }
        Verb::View(arguments) => commands::view::update_view(arguments, settings, out),
        Verb::Settle(arguments) => commands::settle::settle_run(arguments, settings, out),
        Verb::SystemdUnits(arguments) => commands::units::print_units(arguments, settings, out),
        Verb::Completions(arguments) => commands::completions::print_completions(arguments, out),
        Verb::Man(arguments) => commands::man::print_manual(arguments, out),
    }
}

/// Says what went wrong and what to do; gives the exit code.
fn explain_error(error: &anyhow::Error, settings: &Settings, out: &Out) -> u8 {
    if let Some(Explained(code)) = error.downcast_ref() {
        return *code;
    }
    let (message, hint, code) = if let Some(error) = error.downcast_ref::<executor::Error>() {
        let code = exit::code_of_error(error, settings.stop.signal());
        (error.message.clone(), error.hint.clone(), code)
    } else if let Some(Invalid { message, hint }) = error.downcast_ref() {
        (message.clone(), Some(hint.clone()), exit::INVALID)
    } else {
        (format!("{error:#}"), None, exit::FAILED)
    };
    let (message, hint) = (
        settings.in_words(&message),
        hint.map(|hint| settings.in_words(&hint)),
    );
    if !settings.json && record_in_journal(&message, hint.as_deref()) {
        return code;
    }
    if settings.json {
        let hint = hint.as_deref().map(render::hint::pasted);
        out.print_json_line(&ProgressLine::from(ProgressEvent::Failed {
            message: &message,
            hint: hint.as_deref(),
            exit_code: code,
        }));
        return code;
    }
    out.print_message(&render::messages::error_lines(
        &message,
        hint.as_deref(),
        &settings.error_style,
    ));
    code
}

/// Records the error that ends the program, where standard error goes to the journal of systemd;
/// whether it does.
fn record_in_journal(message: &str, hint: Option<&str>) -> bool {
    let Some(journal) = Journald::of_stderr() else {
        return false;
    };
    let text = hint.map_or_else(
        || message.to_owned(),
        |hint| format!("{message}; hint: {hint}"),
    );
    let now = Clock::default().now();
    journal.write(&Record::new(now, Level::Error, Kind::Error, &text));
    true
}
