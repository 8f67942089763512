//! The command line of the backup system: parsing, rendering and exit codes, nothing else.
//!
//! `backup-now`, `backup-status`, `backup-restore` and `backup-verify` are this program under those
//! names.

mod cli;
mod commands;
mod exit;
mod guard;
mod logs;
mod metrics;
mod notices;
mod out;
mod progress;
mod render;
mod service;
mod settings;
mod signals;
mod silence;
mod snapshots;
mod style;
mod take;
mod timer;
mod typed;
mod when;
mod words;

use std::{ffi::OsString, path::Path, process::ExitCode, sync::Arc};

use clap::Parser as _;
use executor::{sys::answer, watch};

use crate::{
    cli::{Cli, Verb},
    exit::{Explained, Invalid},
    out::Out,
    settings::Settings,
    style::Style,
};

fn main() -> ExitCode {
    let mut given = std::env::args_os().skip(1);
    if given.next().is_some_and(|first| first == answer::ARGUMENT) {
        given
            .next()
            .iter()
            .for_each(|path| answer::look(Path::new(path)));
        return ExitCode::SUCCESS;
    }
    // Also where the file was replaced by an update meanwhile.
    answer::asked_by("/proc/self/exe".into());
    let cli = match Cli::try_parse_from(arguments()) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(usage(&error)),
    };
    service::ready();
    let cli = Arc::new(cli);
    if cli.verb.looks()
        && guard::is_wanted()
        && let Some(code) = guard::run(&cli)
    {
        return code;
    }
    let settings = Settings::new(&cli.global);
    let out = Out::new(settings.quiet);
    raise_file_limit();
    silence::listen(&cli, &settings.stop);
    let result = run(&cli.verb, &settings, &out);
    watch::wait_for_end();
    let code = result.unwrap_or_else(|error| explain(&error, &settings, &out));
    let code = written(code, &out, &settings.error_style);
    guard::ends(code);
    ExitCode::from(code)
}

/// Shows the help that was asked for, or why the command line is none; gives the exit code.
fn usage(error: &clap::Error) -> u8 {
    use std::io::Write as _;
    let out = Out::default();
    let printed = error.print();
    let code = u8::try_from(error.exit_code()).unwrap_or(exit::INVALID);
    if error.use_stderr() {
        if let Some(tip) = words::tip(error) {
            out.note(&format!("\n  tip: {tip}"));
        }
        return code;
    }
    out.wrote(printed.and_then(|()| std::io::stdout().flush()));
    written(code, &out, &Style::default())
}

/// The exit code, if what was asked for could be written; else that of a failure, which is said.
/// What was refused, deferred or interrupted stays so.
fn written(code: u8, out: &Out, style: &Style) -> u8 {
    let Some(fault) = out.fault() else {
        return code;
    };
    let hint = "free space where it goes to, or write it somewhere else";
    out.note(&render::report::error_lines(fault, Some(hint), style));
    if code < exit::REFUSED {
        exit::FAILED
    } else {
        code
    }
}

/// The arguments, with the verb that the program's name stands for.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    guard::inside(&mut arguments);
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

fn run(verb: &Verb, settings: &Settings, out: &Out) -> anyhow::Result<u8> {
    match verb {
        Verb::Try(arguments) => commands::trial::run(arguments, settings, out),
        Verb::Check(arguments) => commands::check::run(arguments, settings, out),
        Verb::Schema(arguments) => commands::schema::run(arguments, out),
        Verb::Plan(arguments) => commands::plan::run(arguments, settings, out),
        Verb::Apply(arguments) => commands::apply::run(arguments, settings, out),
        Verb::Now(arguments) => commands::now::run(arguments, settings, out),
        Verb::Status(arguments) => commands::status::run(arguments, settings, out),
        Verb::List(arguments) => commands::list::run(arguments, settings, out),
        Verb::Find(arguments) => commands::find::run(arguments, settings, out),
        Verb::Diff(arguments) => commands::diff::run(arguments, settings, out),
        Verb::Health(arguments) => commands::health::run(arguments, settings, out),
        Verb::Restore(arguments) => commands::restore::run(arguments, settings, out),
        Verb::Verify(arguments) => commands::verify::run(arguments, settings, out),
        Verb::NotifyTest => commands::notify_test::run(settings, out),
        Verb::Pin(one) => commands::mark::pin(one, settings, out),
        Verb::Unpin(one) => commands::mark::unpin(one, settings, out),
        Verb::Accept(one) => commands::mark::accept(one, settings, out),
        Verb::Prune(arguments) => commands::delete::prune(arguments, settings, out),
        Verb::Delete(arguments) => commands::delete::delete(arguments, settings, out),
        Verb::Adopt(arguments) => commands::adopt::run(arguments, settings, out),
        Verb::Init(arguments) => commands::init::run(arguments, settings, out),
        Verb::Simulate(arguments) => commands::simulate::run(arguments, settings, out),
        Verb::Settle => commands::settle::run(settings, out),
        Verb::SystemdUnits(arguments) => commands::units::run(arguments, settings, out),
        Verb::Completions(arguments) => commands::completions::run(arguments, out),
        Verb::Man(arguments) => commands::man::run(arguments, out),
    }
}

/// Says what went wrong and what to do; gives the exit code.
fn explain(error: &anyhow::Error, settings: &Settings, out: &Out) -> u8 {
    if let Some(Explained(code)) = error.downcast_ref() {
        return *code;
    }
    let (message, hint, code) = if let Some(error) = error.downcast_ref::<executor::Error>() {
        let code = exit::of_error(error, settings.stop.signal());
        (error.message.clone(), error.hint.clone(), code)
    } else if let Some(Invalid { message, hint }) = error.downcast_ref() {
        (message.clone(), Some(hint.clone()), exit::INVALID)
    } else {
        (format!("{error:#}"), None, exit::FAILED)
    };
    if !settings.json && logs::error(&message, hint.as_deref()) {
        return code;
    }
    out.note(&render::report::error_lines(
        &message,
        hint.as_deref(),
        &settings.error_style,
    ));
    code
}
