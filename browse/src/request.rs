//! What is asked of the source, and how it is answered.

use schema::StoredPathBuf;

use crate::{
    compare::{self, Comparison},
    data::{Cancel, Folder, FoundPath, Overview, Read, Source, Version, Versions},
};

/// Findings of a search that are sent at once, and how many are shown at most.
const BATCH: usize = 64;
pub(crate) const MOST_FOUND: usize = 5000;

/// Requests of one lane supersede each other: of each the last one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What the time line shows.
    Overview,
    /// What the tree shows.
    Folder,
    /// Versions of what is chosen.
    Versions,
    /// What takes its time: searches and comparisons.
    Work,
}

impl Lane {
    pub(crate) const ALL: [Self; 4] = [Self::Overview, Self::Folder, Self::Versions, Self::Work];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Folder => "folder",
            Self::Versions => "versions",
            Self::Work => "work",
        }
    }
}

/// Something that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Overview,
    Folder {
        snapshot: String,
        path: StoredPathBuf,
    },
    Versions {
        path: StoredPathBuf,
    },
    Find {
        text: String,
    },
    /// Nothing more: what is under way is given up.
    Nothing,
    Compare {
        path: StoredPathBuf,
        older: Version,
        newer: Version,
    },
    Changes {
        before: String,
        after: String,
        path: StoredPathBuf,
    },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Answer {
    Overview(Read<Overview>),
    Folder {
        snapshot: String,
        path: StoredPathBuf,
        folder: Read<Folder>,
    },
    Versions {
        path: StoredPathBuf,
        versions: Read<Versions>,
    },
    Found {
        text: String,
        found: Vec<FoundPath>,
    },
    Searched {
        text: String,
        end: Read<Option<String>>,
    },
    Compared {
        path: StoredPathBuf,
        comparison: Read<Comparison>,
    },
}

impl Request {
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Overview => Lane::Overview,
            Self::Folder { .. } => Lane::Folder,
            Self::Versions { .. } => Lane::Versions,
            Self::Find { .. } | Self::Nothing | Self::Compare { .. } | Self::Changes { .. } => {
                Lane::Work
            }
        }
    }

    /// Has it answered; `tell` says whether anybody is there to hear.
    pub(crate) fn serve(
        self,
        source: &dyn Source,
        cancel: &Cancel,
        tell: &mut dyn FnMut(Answer) -> bool,
    ) {
        let answer = match self {
            Self::Nothing => return,
            Self::Overview => Answer::Overview(source.overview()),
            Self::Folder { snapshot, path } => Answer::Folder {
                folder: source.folder(&snapshot, &path, cancel),
                snapshot,
                path,
            },
            Self::Versions { path } => Answer::Versions {
                versions: source.versions(&path, cancel),
                path,
            },
            Self::Find { text } => return find(text, source, cancel, tell),
            Self::Compare { path, older, newer } => Answer::Compared {
                comparison: compare::compare(source, &path, &older, &newer, cancel),
                path,
            },
            Self::Changes {
                before,
                after,
                path,
            } => {
                let lines = source.changes(&before, &after, &path, cancel);
                Answer::Compared {
                    comparison: lines.map(|lines| Comparison::of_lines(&before, &after, lines)),
                    path,
                }
            }
        };
        if !cancel.is_asked() {
            tell(answer);
        }
    }
}

fn find(text: String, source: &dyn Source, cancel: &Cancel, tell: &mut dyn FnMut(Answer) -> bool) {
    let mut found = Vec::new();
    let mut sent = 0;
    let end = source.find(&text, cancel, &mut |path| {
        found.push(path);
        // The first ones are seen at once.
        if found.len() >= BATCH.min(sent.max(1)) {
            sent += found.len();
            let found = std::mem::take(&mut found);
            let text = text.clone();
            return !cancel.is_asked() && tell(Answer::Found { text, found }) && sent < MOST_FOUND;
        }
        !cancel.is_asked()
    });
    if cancel.is_asked() {
        return;
    }
    if !found.is_empty() {
        let text = text.clone();
        tell(Answer::Found { text, found });
    }
    tell(Answer::Searched { text, end });
}
