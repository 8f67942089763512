//! `completions`: prints a script that completes command lines in a shell.
//!
//! One script for all names of the program. Owns how clap_complete's scripts, each of which is for
//! one name, become one, and how they ask the program for what no script can know (`complete.rs`).

use anyhow::{Context as _, Result};
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
        Shell::Bash => bash_script(scripts)?,
        Shell::Zsh => zsh_script(&scripts)?,
        Shell::Fish => fish_script(scripts),
        Shell::PowerShell => power_shell_script(&scripts),
        _ => scripts.into_iter().map(|(_, script)| script).collect(),
    });
    Ok(exit::DONE)
}

/// A script whose function of this name first does something else.
fn with_beginning(script: &str, function: &str, beginning: &str) -> Result<String> {
    let head = format!("\n{function}() {{\n");
    // The first script has it in its first line.
    let script = format!("\n{script}");
    let (before, after) = script
        .split_once(&head)
        .with_context(|| format!("the script has no function {function}"))?;
    let whole = format!("{before}{head}    {beginning}\n{after}");
    Ok(whole.trim_start_matches('\n').to_owned())
}

fn bash_script(scripts: Vec<(&str, String)>) -> Result<String> {
    let mut whole = include_str!("completions/asked.bash").to_owned();
    for (name, script) in scripts {
        let function = format!("_{}", name.replace('-', "__"));
        whole += &with_beginning(&script, &function, "_backup_asked \"$@\" && return 0")?;
    }
    Ok(whole)
}

fn fish_script(scripts: Vec<(&str, String)>) -> String {
    let mut whole = include_str!("completions/asked.fish").to_owned();
    for (name, script) in scripts {
        whole += &script;
        // No file is meant then, and their order is the program's.
        whole += &format!(
            "complete -c {name} -k -f -n __backup_asked -a '(string join \\n -- $__backup_answers)'\n"
        );
    }
    whole
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
fn zsh_script(scripts: &[(&str, String)]) -> Result<String> {
    let names: Vec<&str> = scripts.iter().map(|(name, _)| *name).collect();
    let mut whole = format!("#compdef {}\n\n", names.join(" "));
    whole += include_str!("completions/asked.zsh");
    for (name, script) in scripts {
        let own_end = format!("\nif [ \"$funcstack[1]\" = \"_{name}\" ]; then");
        let body = script.split(&own_end).next().unwrap_or(script);
        let body = body.trim_start_matches(&format!("#compdef {name}\n"));
        let asks = "_backup_asked && return 0";
        whole += with_beginning(body, &format!("_{name}"), asks)?.trim_end();
        whole += "\n\n";
    }
    whole += "_backup_loaded=$funcstack[1]\n";
    for name in &names {
        whole += &format!("(( $+functions[compdef] )) && compdef _{name} {name}\n");
    }
    Ok(whole
        + "if [[ $_backup_loaded = _backup ]]; then\n    \"_$service\" \"$@\"\nfi\nunset _backup_loaded\n")
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
