//! Completions and manual pages: real shells and the readers of manuals take them.

use std::{fs, process::Command};

use crate::lab::{Lab, PROGRAM, Ran, entry_names, is_installed, run_command, skip};

const NAMES: [&str; 5] = [
    "backup",
    "backup-now",
    "backup-status",
    "backup-restore",
    "backup-verify",
];

fn printed(lab: &Lab, arguments: &[&str]) -> Ran {
    let mut command = lab.bare(PROGRAM);
    command.args(arguments);
    let printed = run_command(command, arguments).expect(0);
    assert_eq!(printed.stderr, "");
    printed
}

/// The script for a shell, in a file of the lab.
fn script(lab: &Lab, shell: &str, file: &str) -> String {
    let script = printed(lab, &["completions", shell]).stdout;
    lab.write(file, &script);
    lab.text(file)
}

/// What a shell prints, which must say nothing on standard error.
#[track_caller]
fn shell(lab: &Lab, shell: &str, arguments: &[&str]) -> String {
    let mut command = lab.bare(shell);
    command.args(arguments);
    let done = run_command(command, arguments).expect(0);
    assert_eq!(done.stderr, "", "{done}");
    done.stdout
}

#[test]
fn bash_completes_verbs_and_options_under_every_name() {
    if !is_installed("bash") {
        return skip("bash_completes_verbs_and_options because there is no bash");
    }
    let lab = Lab::new();
    let file = script(&lab, "bash", "backup.bash");
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (name, last) = (words[0], words.len() - 1);
        let ask = format!(
            "source '{file}'; COMP_WORDS=({line}); COMP_CWORD={last}; \
             f=$(complete -p {name} | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
             $f {name} '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words[last],
            words[last - 1],
        );
        shell(&lab, "bash", &["--norc", "-c", &ask])
    };
    assert_eq!(complete("backup heal"), "health\n");
    assert!(complete("backup apply --ap").contains("--approve-deletions"));
    assert!(complete("backup-restore --over").contains("--overwrite"));
    assert!(complete("backup-verify --sub").contains("--subset"));
    assert!(complete("backup-now --state").contains("--state-dir"));
    assert!(complete("backup-status --js").contains("--json"));
}

#[test]
fn zsh_loads_the_completions_by_file_and_by_name() {
    if !is_installed("zsh") {
        return skip("zsh_loads_the_completions because there is no zsh");
    }
    let lab = Lab::new();
    let file = script(&lab, "zsh", "functions/_backup");
    let told: String = NAMES
        .iter()
        .map(|name| format!("$_comps[{name}] "))
        .collect();
    let begin = "autoload -Uz compinit; compinit -u -D";
    // Sourced, each name has its own function.
    let ask = format!("{begin}; source '{file}'; print -r -- \"{told}\"");
    let each: String = NAMES.iter().map(|name| format!("_{name} ")).collect();
    assert_eq!(shell(&lab, "zsh", &["-f", "-c", &ask]).trim(), each.trim());
    // From a folder, all names are known before the file is loaded.
    let folder = lab.text("functions");
    let ask = format!("fpath=('{folder}' $fpath); {begin}; print -r -- \"{told}\"");
    let found = shell(&lab, "zsh", &["-f", "-c", &ask]);
    assert_eq!(found.trim(), ["_backup"; 5].join(" "));
    // The first call under another name is answered by that name's function, and so are later ones.
    let ask = format!(
        "fpath=('{folder}' $fpath); {begin}; \
         _arguments() {{ print -r -- \"${{@[(r)--overwrite*]}}\" }}; \
         service=backup-restore; _backup; print -r -- $_comps[backup-restore]"
    );
    let found = shell(&lab, "zsh", &["-f", "-c", &ask]);
    assert!(found.contains("--overwrite["), "{found}");
    assert!(found.ends_with("_backup-restore\n"), "{found}");
}

#[test]
fn fish_completes_verbs_and_options_under_every_name() {
    if !is_installed("fish") {
        return skip("fish_completes_verbs_and_options because there is no fish");
    }
    let lab = Lab::new();
    let file = script(&lab, "fish", "backup.fish");
    let complete = |line: &str| {
        let ask = format!("source '{file}'; complete --do-complete '{line}'");
        shell(&lab, "fish", &["--no-config", "-c", &ask])
    };
    assert!(complete("backup hea").starts_with("health\t"));
    assert!(complete("backup-restore --over").starts_with("--overwrite\t"));
    assert!(complete("backup-now --approve").starts_with("--approve-deletions\t"));
}

#[test]
fn scripts_for_other_shells_name_every_program() {
    let lab = Lab::new();
    for shell in ["elvish", "powershell"] {
        let script = printed(&lab, &["completions", shell]).stdout;
        for name in NAMES {
            assert!(script.contains(&format!("{name}'")) || script.contains(&format!("[{name}]")));
        }
    }
    // PowerShell takes `using` before all else only.
    let script = printed(&lab, &["completions", "powershell"]).stdout;
    let last = script.rfind("\nusing namespace").unwrap();
    assert!(last < script.find("Register-ArgumentCompleter").unwrap());
    let mut command = lab.bare(PROGRAM);
    command.args(["completions", "sh"]);
    run_command(command, &["completions", "sh"])
        .expect(2)
        .says("zsh");
}

/// The pages in a folder of the lab.
fn pages(lab: &Lab) -> Vec<String> {
    let to = lab.text("share/man/man1");
    let mut command = lab.bare(PROGRAM);
    command.args(["man", "--to", &to]);
    run_command(command, &["man", "--to"]).expect(0);
    entry_names(&lab.path("share/man/man1"))
}

#[test]
fn there_is_a_manual_page_for_the_program_and_for_each_verb() {
    let lab = Lab::new();
    let mut expected: Vec<String> = crate::help::VERBS
        .iter()
        .map(|verb| format!("backup-{verb}.1"))
        .chain(["backup.1", "backup.json.5"].map(str::to_owned))
        .collect();
    expected.sort();
    assert_eq!(pages(&lab), expected);
    let main = fs::read_to_string(lab.path("share/man/man1/backup.1")).unwrap();
    assert_eq!(main, printed(&lab, &["man"]).stdout);
    for section in [
        "NAME",
        "SYNOPSIS",
        "\"EXIT STATUS\"",
        "FILES",
        "ENVIRONMENT",
    ] {
        assert!(main.contains(&format!(".SH {section}\n")), "{section}");
    }
    let keys = fs::read_to_string(lab.path("share/man/man1/backup.json.5")).unwrap();
    for said in [
        "local.keepDaily",
        "Example: ",
        ".SS notifications",
        ".SH EXAMPLE\n",
        "\"requireMount\": true",
    ] {
        assert!(keys.contains(said), "{said}");
    }
    let verbs = expected.iter().filter(|page| page.starts_with("backup-"));
    for page in verbs {
        let text = fs::read_to_string(lab.path("share/man/man1").join(page)).unwrap();
        let shown = page.trim_end_matches(".1").replace('-', "\\-");
        assert!(text.contains(&format!("{shown} \\- ")), "{page}");
        assert!(text.contains("backup\\fR(1)"), "{page}");
    }
    // What has another value is not a folder.
    let mut command = lab.bare(PROGRAM);
    command.args(["man", "--to", &lab.text("config.json")]);
    run_command(command, &["man"]).expect(1).hints("--to");
}

#[test]
fn readers_of_manuals_have_nothing_to_say_of_the_pages() {
    let lab = Lab::new();
    let pages = pages(&lab);
    let mut read = false;
    for page in &pages {
        let path = lab.text(&format!("share/man/man1/{page}"));
        if is_installed("mandoc") {
            let mut mandoc = lab.bare("mandoc");
            mandoc.args(["-T", "lint", "-W", "error", &path]);
            let told = run_command(mandoc, &["mandoc", page]).expect(0);
            assert_eq!(told.all(), "");
            read = true;
        }
        if is_installed("groff") && is_installed("man") {
            let mut man: Command = lab.bare("man");
            man.args(["--warnings", "-l", &path])
                .env("LC_ALL", "C.UTF-8")
                .env("MANPAGER", "cat");
            let told = run_command(man, &["man", page]).expect(0);
            assert_eq!(told.stderr, "", "{told}");
            assert!(told.stdout.contains("SYNOPSIS"), "{told}");
            read = true;
        }
    }
    if !read {
        skip("readers_of_manuals because there is neither mandoc nor man");
    }
}
