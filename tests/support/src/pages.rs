//! The pages of the repository: what is fenced in them, what is not, and the commands in shell text.

use std::{fs, path::Path};

use walkdir::WalkDir;

/// A Markdown file.
#[derive(Debug)]
pub struct Page {
    /// Its path in the repository.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// What stands between two fences.
#[derive(Debug)]
pub struct Block {
    /// The line of its first fence, from 1.
    pub line: usize,
    /// The first word behind the fence.
    pub language: String,
    /// The other words there: why it is not run as it stands.
    pub needs: String,
    /// Its lines, without the indentation of its fence.
    pub text: String,
}

/// All pages for people: those of the root, of `docs` and of `examples`, and that of `bench`.
#[must_use]
pub fn read_pages(root: &Path) -> Vec<Page> {
    let mut pages: Vec<Page> = ["", "docs", "examples", "bench"]
        .iter()
        .flat_map(|folder| {
            let depth = if *folder == "examples" { 2 } else { 1 };
            WalkDir::new(root.join(folder)).max_depth(depth)
        })
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .map(|path| Page {
            text: fs::read_to_string(&path).unwrap(),
            name: path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned(),
        })
        .collect();
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    pages
}

impl Page {
    /// What is fenced, from top to bottom.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        self.parts().1
    }

    /// The lines outside of fences; the others are empty.
    #[must_use]
    pub fn prose(&self) -> String {
        self.parts().0
    }

    /// What stands in backticks in the prose, each in one line.
    #[must_use]
    pub fn code_words(&self) -> Vec<String> {
        let prose = self.prose();
        let inside = prose.split('`').skip(1).step_by(2);
        inside.map(|word| word.replace('\n', " ")).collect()
    }

    /// Where its links and pictures lead that are no addresses in the web, as it names them.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1);
        targets
            .map(|rest| rest.split(')').next().unwrap().to_owned())
            .filter(|target| !target.starts_with("http"))
            .collect()
    }

    fn parts(&self) -> (String, Vec<Block>) {
        let (mut prose, mut blocks) = (String::new(), Vec::new());
        let mut open: Option<(usize, Block)> = None;
        for (at, line) in self.text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let fence = line.trim_start().strip_prefix("```");
            open = match (open, fence) {
                (None, Some(info)) => {
                    let (language, needs) = info.split_once(' ').unwrap_or((info, ""));
                    let block = Block {
                        line: at + 1,
                        language: language.to_owned(),
                        needs: needs.to_owned(),
                        text: String::new(),
                    };
                    Some((indent, block))
                }
                (Some((_, block)), Some(_)) => {
                    blocks.push(block);
                    None
                }
                (Some((indent, mut block)), None) => {
                    block.text.push_str(line.get(indent..).unwrap_or_default());
                    block.text.push('\n');
                    Some((indent, block))
                }
                (None, None) => {
                    prose.push_str(line);
                    None
                }
            };
            prose.push('\n');
        }
        assert!(open.is_none(), "{} has a fence without an end", self.name);
        (prose, blocks)
    }
}

/// The commands in a text for a shell, each as its words without quotes. The file of a redirection is none
/// of them.
#[must_use]
pub fn commands_in(text: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words): (Vec<Vec<String>>, Vec<String>) = (Vec::new(), Vec::new());
    let mut word: Option<String> = None;
    let mut is_redirected = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' | '"' => {
                let mut quoted = word.take().unwrap_or_default();
                quoted.extend(characters.by_ref().take_while(|one| *one != character));
                word = Some(quoted);
            }
            '\\' => {
                // At the end of a line it only joins it with the next.
                let next = characters.next().filter(|one| *one != '\n');
                if let Some(next) = next {
                    word.get_or_insert_default().push(next);
                }
            }
            '#' if word.is_none() => while characters.next_if(|one| *one != '\n').is_some() {},
            ' ' | '\t' => {
                if let Some(word) = word.take()
                    && !std::mem::take(&mut is_redirected)
                {
                    words.push(word);
                }
            }
            '<' | '>' => {
                let word = word.take().filter(|_| !is_redirected);
                words.extend(word);
                is_redirected = true;
            }
            '\n' | ';' | '&' | '|' | '(' | ')' => {
                let word = word.take().filter(|_| !is_redirected);
                words.extend(word);
                is_redirected = false;
                commands.push(std::mem::take(&mut words));
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word.filter(|_| !is_redirected));
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}
