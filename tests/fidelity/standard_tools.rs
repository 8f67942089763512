//! README's way to check a snapshot without this program does what README says.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    hostile,
    lab::{DAYS, ENGINES, World, is_missing},
    names,
};

/// The block of README.md that checks a snapshot, without the line that goes to the example's.
fn block() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let blocks: Vec<&str> = readme
        .split("```bash\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|block| block.contains("SHA256SUMS"))
        .collect();
    let [block] = blocks[..] else {
        panic!("{} blocks of README.md check a snapshot", blocks.len());
    };
    let (first, rest) = block.split_once('\n').unwrap();
    assert!(first.starts_with("cd /mnt/backup/atlas/daily/"), "{first}");
    rest.to_owned()
}

/// Runs the block in a snapshot's folder, as a person would.
fn check(snapshot: &Path) -> Output {
    let mut command = Command::new("bash");
    command
        .args(["-c", &block()])
        .current_dir(snapshot)
        .env("PWD", snapshot);
    command.output().unwrap()
}

/// What the block said, with names that may be no text.
fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes);
    format!(
        "{}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// Changes one bit in the middle of a file and nothing that a listing shows.
fn flip(path: &Path) {
    let times = fs::metadata(path).unwrap();
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
    crate::metadata::set_time(path, times.mtime(), times.mtime_nsec());
}

/// Says which names go one of the block's ways.
type Way = fn(&[u8]) -> bool;

/// A path below the source.
fn below(name: &[u8]) -> PathBuf {
    Path::new("src").join(OsStr::from_bytes(name))
}

#[test]
fn the_standard_tools_of_the_readme_check_a_hostile_tree() {
    let name = "the_standard_tools_of_the_readme_check_a_hostile_tree";
    if is_missing(
        name,
        &[&hostile::TOOLS[..], &["zstd", "bash"]].concat(),
        true,
    ) {
        return;
    }
    for engine in ENGINES {
        let world = World::new(engine, &["src"]);
        hostile::make(&world.path("src"));
        let id = world.apply(DAYS[0], 0);
        let snapshot = world.snapshot(&id);
        let whole = check(&snapshot);
        assert!(whole.status.success(), "{}", told(&whole));
        assert_eq!(
            (&whole.stdout[..], &whole.stderr[..]),
            (&b""[..], &b""[..]),
            "{}",
            told(&whole)
        );

        // Each damage is named, and nothing else is.
        let all = names::all()
            .into_iter()
            .map(|name| [b"names/", &name[..]].concat());
        let all: Vec<Vec<u8>> = all
            .chain([b"links/one".to_vec(), b"metadata/mode 0000".to_vec()])
            .filter(|name| world.in_snapshot(&id, below(name)).is_file())
            .collect();
        let ways: [Way; 8] = [
            |name| name == b"links/one",
            |name| name == b"metadata/mode 0000",
            |name| name.contains(&b'%'),
            |name| name.ends_with(b" "),
            |name| name.ends_with(b"\n"),
            |name| {
                name.windows(2)
                    .any(|two| two[0] == b'\\' && two[1].is_ascii_digit())
            },
            |name| std::str::from_utf8(name).is_err(),
            |name| name.starts_with(b"names/-"),
        ];
        // A name that serves two ways is damaged once: twice would be whole again.
        let chosen: BTreeSet<_> = ways
            .iter()
            .map(|way| all.iter().find(|name| way(name)).unwrap())
            .collect();
        let flip_all = || {
            chosen
                .iter()
                .for_each(|name| flip(&world.in_snapshot(&id, below(name))))
        };
        flip_all();
        let damaged = check(&snapshot);
        let said = told(&damaged);
        for name in &chosen {
            let named = damaged
                .stdout
                .windows(name.len())
                .any(|part| part == name.as_slice());
            assert!(
                named,
                "{} is not named in {said}",
                String::from_utf8_lossy(name)
            );
        }
        let lines = damaged.stdout.split(|byte| *byte == b'\n');
        let lines =
            lines.filter(|line| line.starts_with(b"damaged: ./") || line.ends_with(b": FAILED"));
        // The first has three more names.
        assert_eq!(lines.count(), chosen.len() + 3, "{said}");
        flip_all();
        assert!(check(&snapshot).stdout.is_empty());
    }
}
