//! `completions`: prints a script that completes command lines in a shell.
//!
//! One script for all names of the program. Owns how clap_complete's scripts, each of which is for
//! one name, become one.

use anyhow::Result;
use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate};

use crate::{
    cli::{Cli, Completions, PROGRAMS},
    exit,
    out::Out,
};

/// Prints the script.
pub(crate) fn print_completions(arguments: &Completions, out: &Out) -> Result<u8> {
    let mut scripts: Vec<(&str, String)> = Vec::new();
    for (name, mut command) in all_programs() {
        let mut script = Vec::new();
        generate(arguments.shell, &mut command, name, &mut script);
        scripts.push((name, String::from_utf8(script)?));
    }
    out.print_document(&match arguments.shell {
        Shell::Zsh => zsh_script(&scripts),
        Shell::PowerShell => power_shell_script(&scripts),
        _ => scripts.into_iter().map(|(_, script)| script).collect(),
    });
    Ok(exit::DONE)
}

/// The program under all its names.
fn all_programs() -> Vec<(&'static str, Command)> {
    let mut root = Cli::command();
    // This hands the global options down to the verbs.
    root.build();
    let of_verb = |(name, verb): &(&'static str, &'static str)| {
        let found = root.find_subcommand(verb)?.clone();
        Some((*name, found.name(*name).bin_name(*name)))
    };
    let of_verbs = PROGRAMS.iter().filter_map(of_verb);
    [("backup", Cli::command())]
        .into_iter()
        .chain(of_verbs)
        .collect()
}

/// Zsh loads a file for the names of its first line, and calls the function that it is named after:
/// that one asks under which name it was called.
fn zsh_script(scripts: &[(&str, String)]) -> String {
    let names: Vec<&str> = scripts.iter().map(|(name, _)| *name).collect();
    let mut whole = format!("#compdef {}\n", names.join(" "));
    for (name, script) in scripts {
        let own_end = format!("\nif [ \"$funcstack[1]\" = \"_{name}\" ]; then");
        let body = script.split(&own_end).next().unwrap_or(script);
        let body = body.trim_start_matches(&format!("#compdef {name}\n"));
        whole += body.trim_end();
        whole += "\n\n";
    }
    whole += "_backup_loaded=$funcstack[1]\n";
    for name in &names {
        whole += &format!("(( $+functions[compdef] )) && compdef _{name} {name}\n");
    }
    whole
        + "if [[ $_backup_loaded = _backup ]]; then\n    \"_$service\" \"$@\"\nfi\nunset _backup_loaded\n"
}

/// `using` must stand before all else, so only the first script may have it.
fn power_shell_script(scripts: &[(&str, String)]) -> String {
    let without = |script: &str| {
        let lines = script.lines().filter(|line| !line.starts_with("using "));
        lines.collect::<Vec<_>>().join("\n")
    };
    let mut scripts = scripts.iter().map(|(_, script)| script);
    let first = scripts.next().cloned().unwrap_or_default();
    scripts.fold(first, |whole, script| whole + &without(script) + "\n")
}
