//! The first day on a bare Debian, by README.md alone: its lines as they stand there, from an empty drive to a
//! restored file, as root with the package, and as a user with the static program and with cargo.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use test_support::{Page, is_missing, make_release, read_pages};

use crate::machine::{Machine, bare_machine};

/// The root of the repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Of the drive, in bytes: more than `local.minSpaceGB` leaves free, and nearly all of it a hole.
const DRIVE: u64 = 12 << 30;
/// A cargo that has built already what it is asked for: the real one takes minutes, and the network.
const CARGO: &str = r#"[ "$*" = "install --locked --path ." ] || { echo "cargo $*: not known here" >&2; exit 1; }
[ -e Cargo.toml ] && [ -e Cargo.lock ] || { echo "no clone of the repository" >&2; exit 1; }
install -D /lab/backup "$HOME/.cargo/bin/backup""#;

/// What was installed from is not backed up, which would take the most time of all.
const TIDY: &str = "rm -rf backup* SHA256SUMS .cargo";

/// The files of a release, made once.
fn release() -> &'static Path {
    static RELEASE: OnceLock<PathBuf> = OnceLock::new();
    RELEASE.get_or_init(|| {
        // Nothing drops what is static: that of the last time is made anew in its place.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_backup"));
        make_release(Path::new(ROOT), program, &folder);
        folder
    })
}

/// Ann's machine, and README.md in front of her.
struct FirstDay {
    machine: Machine,
    readme: Page,
    is_root: bool,
}

impl FirstDay {
    /// Boots a Debian with nothing on it but Ann's letters; where somebody is root, without sudo.
    fn begin(test: &str, is_root: bool) -> Option<Self> {
        if is_missing(
            test,
            &["dpkg-deb", "strip", "sha256sum", "tar", "gzip"],
            true,
        ) {
            return None;
        }
        let mut machine = bare_machine(test, DRIVE)?;
        machine.write("home/ann/letter.txt", "dear all\n");
        machine.write("home/ann/Documents/plan.txt", "first this\n");
        machine.boot();
        machine
            .sh("useradd --home-dir /home/ann --shell /bin/bash ann && chown -R ann: /home/ann")
            .ok();
        if is_root {
            machine
                .sh("SUDO_FORCE_REMOVE=yes dpkg --purge sudo 2>&1")
                .ok();
        } else {
            machine.write("etc/sudoers.d/ann", "ann ALL=(ALL) NOPASSWD: ALL\n");
            machine.sh("loginctl enable-linger ann").ok();
            machine.wait_for("Ann's systemd", || {
                let socket = "test -S /run/user/$(id -u ann)/systemd/private";
                machine.sh(socket).code == Some(0)
            });
        }
        let pages = read_pages(Path::new(ROOT));
        let readme = pages.into_iter().find(|page| page.name == "README.md");
        let home = if is_root { "root" } else { "home/ann" };
        for file in fs::read_dir(release()).unwrap() {
            let file = file.unwrap();
            let to = machine.path(home).join(file.file_name());
            fs::copy(file.path(), to).unwrap();
        }
        Some(Self {
            machine,
            readme: readme.unwrap(),
            is_root,
        })
    }

    /// The one block of README.md with these words.
    fn block(&self, words: &str) -> String {
        let blocks = self.readme.blocks().into_iter();
        let mut found = blocks.filter(|block| block.language == "sh" && block.text.contains(words));
        let block = found.next();
        let block = block.unwrap_or_else(|| panic!("README.md has no block with `{words}`"));
        assert!(found.next().is_none(), "README.md has two with `{words}`");
        block.text
    }

    /// Does what the block with these words says, at home. Root needs no sudo.
    fn follow(&self, words: &str) -> String {
        let block = self.block(words);
        self.run(&if self.is_root {
            block.replace("sudo ", "")
        } else {
            block
        })
    }

    /// Runs lines as whoever sits there.
    fn run(&self, lines: &str) -> String {
        let said = self.try_to(lines);
        assert_eq!(said.0, Some(0), "{lines}\n{}", said.1);
        said.1
    }

    fn try_to(&self, lines: &str) -> (Option<i32>, String) {
        let run = "export XDG_RUNTIME_DIR=/run/user/$(id -u)\ncd\n";
        self.machine
            .script("lab/lines", "exec bash -euo pipefail /lab/block </dev/null");
        self.machine.write("lab/block", &format!("{run}{lines}"));
        let who = if self.is_root { "root" } else { "ann" };
        let said = self
            .machine
            .sh(&format!("runuser --login {who} --command /lab/lines 2>&1"));
        (said.code, said.text)
    }

    /// The timers that people are promised are at work.
    fn timers_are_active(&self, systemctl: &str) {
        for timer in ["backup", "backup-retry", "backup-health-check"] {
            let asked = self.run(&format!("{systemctl} is-active {timer}.timer"));
            assert_eq!(asked, "active", "{timer}");
        }
    }

    /// What was restored by the page is what was backed up, and what is lost then comes back.
    fn a_lost_folder_comes_back(&self, backup: &str) {
        assert_eq!(self.run("cat /tmp/letter.txt"), "dear all");
        self.run(&format!(
            "rm -r /home/ann/Documents\n\
             {backup} restore --in-place --yes latest /home/ann/Documents"
        ));
        let plan = self.machine.read("home/ann/Documents/plan.txt");
        assert_eq!(plan, "first this\n");
    }
}

#[test]
fn root_goes_from_the_package_to_a_restored_file_by_the_readme() {
    let Some(day) = FirstDay::begin("root_goes_from_the_package_to_a_restored_file", true) else {
        return;
    };
    day.follow("apt install ./backup_");
    day.run(TIDY);
    day.follow("mkfs.ext4 -L backup");
    let made = day.follow("backup setup --mount-point /mnt/backup --source /home --source /etc");
    assert!(made.contains("Done. Snapshot "), "{made}");
    day.follow("backup simulate");
    day.follow("backup setup --enable");
    day.timers_are_active("systemctl");
    let unit = day.run("systemctl cat backup.service");
    assert!(unit.contains("ExecStart=/usr/bin/backup "), "{unit}");
    day.follow("backup find letter.txt");
    day.a_lost_folder_comes_back("backup");
    // The package is taken away as it came, and leaves what it does not own.
    day.run("apt-get --quiet --yes purge backup 2>&1\n! command -v backup\nls /mnt/backup/lab/latest/home");
}

#[test]
fn a_user_goes_from_the_static_program_to_a_restored_file_by_the_readme() {
    let test = "a_user_goes_from_the_static_program_to_a_restored_file";
    let Some(day) = FirstDay::begin(test, false) else {
        return;
    };
    day.follow("tar --extract --file");
    // The pages in the archive lead to each other.
    day.run(
        "cd backup-*-linux\nls docs/README.md docs/restore.md man/backup.json.5 units/backup.timer",
    );
    day.run(TIDY);
    day.follow("mkfs.ext4 -L backup");
    let made = day.follow("backup setup --mount-point /mnt/backup --source /home --source /etc");
    assert!(made.contains("Done. Snapshot "), "{made}");
    day.follow("backup simulate");
    day.follow("backup setup --enable");
    day.timers_are_active("systemctl");
    day.follow("backup find letter.txt");
    day.a_lost_folder_comes_back("sudo backup");
    // Whoever forgets sudo is told so.
    let (code, said) = day.try_to("backup status");
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("sudo backup"), "{said}");
}

#[test]
fn a_user_goes_from_cargo_to_a_restored_file_of_the_own_by_the_readme() {
    let test = "a_user_goes_from_cargo_to_a_restored_file_of_the_own";
    let Some(day) = FirstDay::begin(test, false) else {
        return;
    };
    let install = day.block("cargo install");
    // What apt would install is known to it; nothing is fetched here.
    let install = install.replace("apt install", "apt-get install --simulate");
    assert!(install.contains("--simulate gcc"), "{install}");
    fs::create_dir_all(day.machine.path("lab")).unwrap();
    let program = env!("CARGO_BIN_EXE_backup");
    fs::copy(program, day.machine.path("lab/backup")).unwrap();
    day.machine.script("usr/local/bin/cargo", CARGO);
    for file in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(
            Path::new(ROOT).join(file),
            day.machine.path("home/ann").join(file),
        )
        .unwrap();
    }
    day.run(&install);
    day.run(TIDY);
    day.follow("mkfs.ext4 -L backup");
    let made = day.follow("backup setup --mount-point /mnt/backup --source ~");
    assert!(made.contains("Done. Snapshot "), "{made}");
    let own = |words: &str| day.run(&day.block(words).replace("sudo ", ""));
    own("backup simulate");
    let lines = day.block("backup setup --enable").replace("sudo ", "");
    day.run(&lines.replace("systemctl", "systemctl --user"));
    day.timers_are_active("systemctl --user");
    own("backup find letter.txt");
    day.a_lost_folder_comes_back("backup");
}
