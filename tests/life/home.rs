//! The household's files: what they are, and how they change from day to day.

use std::{collections::BTreeMap, fs, path::Path, rc::Rc};

use crate::world::Random;

/// Relative path and content of every file; the content is shared between the nights.
pub(crate) type Tree = BTreeMap<String, Rc<[u8]>>;

/// The files of a household, in memory and on the disk.
pub(crate) struct Home {
    root: std::path::PathBuf,
    files: Tree,
    random: Random,
    /// Folder of the photographs; it is renamed once a year.
    album: String,
}

impl Home {
    /// A household that has lived already.
    pub(crate) fn new(root: &Path, seed: u64) -> Self {
        let mut home = Self {
            root: root.to_owned(),
            files: Tree::new(),
            random: Random::new(seed ^ 0x5EED),
            album: "ann/photos".to_owned(),
        };
        for at in 0..30 {
            home.write(
                &format!("ann/letters/{at}.txt"),
                format!("letter {at}").into_bytes(),
            );
            home.write(
                &format!("bob/notes/{at}.md"),
                format!("- note {at}\n").into_bytes(),
            );
        }
        for at in 0..10 {
            home.photograph(at);
        }
        home.write("bob/ledger.db", home.random.clone().bytes(20_000));
        home
    }

    /// What is there now.
    pub(crate) fn files(&self) -> &Tree {
        &self.files
    }

    /// Writes a file.
    pub(crate) fn write(&mut self, path: &str, content: Vec<u8>) {
        let at = self.root.join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, &content).unwrap();
        self.files.insert(path.to_owned(), content.into());
    }

    /// Writes a file of so many random bytes.
    pub(crate) fn film(&mut self, path: &str, length: usize) {
        let content = self.random.bytes(length);
        self.write(path, content);
    }

    /// Removes a file.
    pub(crate) fn remove(&mut self, path: &str) {
        if self.files.remove(path).is_some() {
            fs::remove_file(self.root.join(path)).unwrap();
        }
    }

    fn photograph(&mut self, at: u32) {
        let content = self.random.bytes(30_000);
        let path = format!("{}/{at:03}.jpg", self.album);
        self.write(&path, content);
    }

    /// An ordinary day: a letter grows, a note comes, an old one goes, sometimes a photograph.
    pub(crate) fn day(&mut self, day: u32) {
        let letter = format!("letter {} as of day {day}", day % 30).into_bytes();
        self.write(&format!("ann/letters/{}.txt", day % 30), letter);
        self.write(
            &format!("bob/notes/day-{day}.md"),
            format!("- day {day}\n").into_bytes(),
        );
        if day >= 40 {
            self.remove(&format!("bob/notes/day-{}.md", day - 40));
        }
        if day.is_multiple_of(4) {
            self.photograph(100 + day);
        }
        if day.is_multiple_of(3) {
            // A database changes in place and keeps its size.
            let mut ledger = self.files["bob/ledger.db"].to_vec();
            let at = self.random.below(ledger.len() as u64) as usize;
            ledger[at] ^= 0x55;
            self.write("bob/ledger.db", ledger);
        }
    }

    /// All photographs move to another folder.
    pub(crate) fn rename_album(&mut self) {
        let to = "ann/albums/of the year".to_owned();
        fs::create_dir_all(self.root.join("ann/albums")).unwrap();
        fs::rename(self.root.join(&self.album), self.root.join(&to)).unwrap();
        let moved: Vec<String> = self
            .files
            .keys()
            .filter(|path| path.starts_with(&self.album))
            .cloned()
            .collect();
        for path in moved {
            let content = self.files.remove(&path).unwrap();
            self.files
                .insert(path.replacen(&self.album, &to, 1), content);
        }
        self.album = to;
    }

    /// Every file gets another content at once.
    pub(crate) fn rewrite_all(&mut self) {
        let paths: Vec<String> = self.files.keys().cloned().collect();
        for path in paths {
            let mut content = self.files[&path].to_vec();
            content.extend_from_slice(b" (converted)");
            self.write(&path, content);
        }
    }
}
