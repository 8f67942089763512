//! What a tree is and whether it still is that, by what the system has and not by the program: lstat, sha256sum
//! and, where it is installed, `rsync -n`.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use test_support::{is_installed, run_tool};

/// Entries of a tree as lstat has them, in order: kind, mode, owner, size and time, which names are one file, where
/// links lead.
pub(crate) type Listing = Vec<String>;

/// Everything below a folder.
pub(crate) fn listing(tree: &Path) -> Listing {
    let mut names = BTreeMap::new();
    let walk = walkdir::WalkDir::new(tree).min_depth(1).sort_by_file_name();
    let line = |entry: walkdir::DirEntry| {
        let of = entry.metadata().unwrap();
        let path = entry.path().strip_prefix(tree).unwrap().to_owned();
        let kind = of.mode() >> 12;
        let size = if of.is_dir() { 0 } else { of.size() };
        let mut line = format!(
            "{} {kind:o} {:o} {}:{} {size} {}.{:09}",
            path.as_os_str().as_bytes().escape_ascii(),
            of.mode() & 0o7777,
            of.uid(),
            of.gid(),
            of.mtime(),
            of.mtime_nsec()
        );
        if of.is_symlink() {
            let to = fs::read_link(entry.path()).unwrap();
            line.push_str(&format!(" -> {}", to.display()));
        } else if !of.is_dir() {
            let first = names.entry((of.dev(), of.ino())).or_insert(path.clone());
            if *first != path {
                line.push_str(&format!(" = {}", first.display()));
            }
        }
        line
    };
    walk.into_iter().map(Result::unwrap).map(line).collect()
}

/// What differs first, in words.
pub(crate) fn difference(was: &Listing, is: &Listing) -> Option<String> {
    let gone = was.iter().find(|line| !is.contains(line));
    let new = is.iter().find(|line| !was.contains(line));
    match (gone, new) {
        (None, None) => None,
        (Some(gone), None) => Some(format!("without {gone}")),
        (None, Some(new)) => Some(format!("with {new}")),
        (Some(gone), Some(new)) => Some(format!("was {gone}, is {new}")),
    }
}

/// Lines of sha256sum: a digest and a name each.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Sums(Vec<Vec<u8>>);

impl Sums {
    /// The regular files of a folder, with what is below it.
    pub(crate) fn of(tree: &Path) -> Self {
        let files = walkdir::WalkDir::new(tree).sort_by_file_name().into_iter();
        let names = files
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(tree).unwrap().to_owned())
            .collect();
        Self::of_files(tree, names)
    }

    /// These files of a folder.
    pub(crate) fn of_files(tree: &Path, names: Vec<PathBuf>) -> Self {
        if names.is_empty() {
            return Self::default();
        }
        let mut command = Command::new("sha256sum");
        command.arg("--").args(names).current_dir(tree);
        let output = command.output().unwrap();
        assert!(output.status.success(), "sha256sum: {output:?}");
        let lines = output.stdout.split(|byte| *byte == b'\n');
        Self(
            lines
                .filter(|line| !line.is_empty())
                .map(<[u8]>::to_vec)
                .collect(),
        )
    }

    /// A line for a digest and a name, as sha256sum writes them.
    pub(crate) fn push(&mut self, digest: &[u8], name: &[u8]) {
        let mut line = Vec::new();
        if name.iter().any(|byte| b"\\\n\r".contains(byte)) {
            line.push(b'\\');
        }
        line.extend_from_slice(digest);
        line.extend_from_slice(b"  ");
        for byte in name {
            match byte {
                b'\\' => line.extend_from_slice(b"\\\\"),
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                byte => line.push(*byte),
            }
        }
        self.0.push(line);
    }

    /// The same without what has this in its name.
    pub(crate) fn without(mut self, part: &str) -> Self {
        self.0
            .retain(|line| !String::from_utf8_lossy(line).contains(part));
        self
    }

    /// How many files that are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// All digests.
    pub(crate) fn digests(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|line| {
            let digest = line.strip_prefix(b"\\").unwrap_or(line);
            String::from_utf8_lossy(&digest[..64]).into_owned()
        })
    }

    /// The same names in another folder, those left out at which a file is known to be damaged.
    pub(crate) fn below(&self, folder: &str, without: &[PathBuf]) -> Vec<u8> {
        let mut text = Vec::new();
        for line in &self.0 {
            let names_at = if line[0] == b'\\' { 67 } else { 66 };
            let (digest, name) = line.split_at(names_at);
            if without
                .iter()
                .any(|without| name == without.as_os_str().as_bytes())
            {
                continue;
            }
            text.extend_from_slice(digest);
            text.extend_from_slice(folder.as_bytes());
            text.push(b'/');
            text.extend_from_slice(name);
            text.push(b'\n');
        }
        text
    }
}

/// Has sha256sum check the files that a text names below a folder; gives what it complains of.
pub(crate) fn check_sums(folder: &Path, text: &[u8]) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let mut child = Command::new("sha256sum")
        .args(["--check", "--quiet", "--strict", "-"])
        .current_dir(folder)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = stdin.write_all(text);
        });
        child.wait_with_output().unwrap()
    });
    if output.status.success() {
        return None;
    }
    let said = [output.stdout, output.stderr].concat();
    let first = String::from_utf8_lossy(&said)
        .lines()
        .next()
        .map(str::to_owned);
    Some(first.unwrap_or_else(|| "sha256sum fails".to_owned()))
}

/// What `rsync -n` would change to make one folder the other, first line; none where there is no rsync.
pub(crate) fn rsync_finds(from: &Path, to: &Path) -> Option<String> {
    // With an empty part at its end, which is a slash.
    let slash = |path: &Path| path.join("").into_os_string();
    let words = ["-aHAXnci", "--delete", "--numeric-ids"].map(OsStr::new);
    let (from, to) = (slash(from), slash(to));
    let said = run_tool(
        "rsync",
        words.into_iter().chain([from.as_ref(), to.as_ref()]),
    );
    said.lines().next().map(str::to_owned)
}

/// Whether rsync can be asked.
pub(crate) fn has_rsync() -> bool {
    is_installed("rsync")
}

/// What a manifest says of the files in a tree, for sha256sum, and how many entries of it stand there. It is read here
/// by docs/format.md alone.
pub(crate) fn manifest_of(records: &Path) -> (Sums, usize) {
    let folder = records.join("manifest");
    let mut files: Vec<PathBuf> = match fs::read_dir(&folder) {
        Ok(entries) => entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "zst"))
            .collect(),
        Err(_) => vec![records.join("manifest.mtree.zst")],
    };
    files.sort();
    manifest_in(&files)
}

/// The same of a manifest that stands in these files, one after the other.
pub(crate) fn manifest_in(files: &[PathBuf]) -> (Sums, usize) {
    let unpacked = files.iter().map(|file| {
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        zstd::decode_all(bytes.as_slice()).unwrap()
    });
    let text: Vec<u8> = unpacked.flatten().collect();
    let lines = text.split(|byte| *byte == b'\n');
    let mut sums = Sums::default();
    let mut entries = 0;
    for line in lines.filter(|line| line.starts_with(b".")) {
        let mut words = line.split(|byte| *byte == b' ');
        // What the manifest alone holds; that it is told, the comparison with the source finds.
        entries += usize::from(!words.clone().any(|word| word == b"absent"));
        let path = words.next().unwrap_or_default();
        let digest = words.find_map(|word| word.strip_prefix(b"sha256digest="));
        if let Some(digest) = digest {
            let name = unescaped(path.strip_prefix(b"./").unwrap_or(path));
            sums.push(digest, &name);
        }
    }
    (sums, entries)
}

/// A name without `\ooo`.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        if *first == b'\\' && after.len() >= 3 {
            let digits = after[..3].iter();
            bytes.push(digits.fold(0_u8, |sum, digit| (sum << 3) | (digit & 7)));
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}
