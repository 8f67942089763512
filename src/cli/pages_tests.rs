//! Every command line of this program that a page shows is one that the program takes.

use std::path::Path;

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use schema::config::VERBS_OF_ONE;
use test_support::{commands_in, read_pages};

use super::{Cli, PROGRAMS};

/// What this program is given, if the command calls it. What other programs do to start it is left out.
fn of_this_program(words: &[String]) -> Option<Vec<String>> {
    let is_before = |word: &&String| *word == "sudo" || *word == "$" || word.contains('=');
    let mut words = words.iter().skip_while(is_before);
    let first = words.next()?.rsplit('/').next()?;
    let verb = match PROGRAMS.iter().find(|(program, _)| *program == first) {
        Some((_, verb)) => Some(*verb),
        None if first == "backup" => None,
        None => return None,
    };
    let begin = ["backup"].into_iter().chain(verb).map(str::to_owned);
    Some(begin.chain(words.cloned()).collect())
}

/// Why the program does not take these words.
fn refusal(words: &[String]) -> Option<clap::Error> {
    let error = Cli::try_parse_from(words).err()?;
    let asks = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
    (!asks.contains(&error.kind())).then_some(error)
}

#[test]
fn every_command_line_of_a_page_is_one_that_the_program_takes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut tried, mut faults) = (0, Vec::new());
    let mut try_text = |place: String, text: &str, is_block: bool| {
        for words in commands_in(text) {
            let Some(words) = of_this_program(&words) else {
                continue;
            };
            // In a sentence the name stands for the program, and VERB for any.
            if !is_block && (words.len() < 2 || words.iter().any(|word| word == "VERB")) {
                continue;
            }
            tried += 1;
            // A sentence may name a verb without what it is to be given.
            let names_it = |error: &clap::Error| {
                !is_block && error.kind() == ErrorKind::MissingRequiredArgument
            };
            if let Some(because) = refusal(&words).filter(|error| !names_it(error)) {
                faults.push(format!("{place}: {}\n{because}", words.join(" ")));
            }
        }
    };
    for page in read_pages(root) {
        for block in page.blocks() {
            if matches!(&*block.language, "sh" | "console" | "bash") {
                try_text(format!("{}:{}", page.name, block.line), &block.text, true);
            }
        }
        for word in page.code_words() {
            if !word.contains("...") {
                try_text(page.name.clone(), &word, false);
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried > 200, "only {tried} command lines were found");
}

#[test]
fn what_the_program_does_not_know_is_a_fault() {
    for line in [
        "sudo backup snapshots",
        "backup restore --force latest / /mnt/new",
        "cd /mnt && backup verify --subset 3 | less",
        "BACKUP_THREADS=4 ./result/bin/backup-now --approve",
    ] {
        let commands = commands_in(line);
        let ours: Vec<_> = commands
            .iter()
            .filter_map(|one| of_this_program(one))
            .collect();
        assert_eq!(ours.len(), 1, "{line}");
        assert!(refusal(&ours[0]).is_some(), "{line}");
    }
    let commands = commands_in(
        "sudo backup find '/home/ann/*' # all\n\nbackup restore latest \\\n  \"a b\" c",
    );
    let ours: Vec<_> = commands
        .iter()
        .filter_map(|one| of_this_program(one))
        .collect();
    assert_eq!(ours[0], ["backup", "find", "/home/ann/*"]);
    assert_eq!(ours[1], ["backup", "restore", "latest", "a b", "c"]);
}

#[test]
fn hints_name_a_destination_to_the_verbs_that_take_one() {
    let command = Cli::command();
    let takes_one = |verb: &&clap::Command| {
        let mut arguments = verb.get_arguments();
        arguments.any(|one| one.get_long() == Some("destination"))
    };
    let verbs = command.get_subcommands().filter(takes_one);
    let mut names: Vec<&str> = verbs.map(clap::Command::get_name).collect();
    names.sort_unstable();
    assert_eq!(names, VERBS_OF_ONE);
}
