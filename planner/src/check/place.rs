//! Places in a document: the path that a person writes and the position that orders faults.
//!
//! Owns how a path is spelled and found again. Knows nothing of which keys there are.

use super::fault::Fault;
use super::json::{Node, quoted};

/// One step down.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index,
}

/// Where a walk stands.
#[derive(Debug, Clone, Default)]
pub(super) struct DocumentPath<'a> {
    steps: Vec<Step<'a>>,
    at: Vec<usize>,
}

impl<'a> DocumentPath<'a> {
    /// Goes down to an entry of an object.
    pub(super) fn enter_key(&mut self, index: usize, key: &'a str) {
        self.steps.push(Step::Key(key));
        self.at.push(index);
    }

    /// Goes down to an item of a list.
    pub(super) fn enter_index(&mut self, index: usize) {
        self.steps.push(Step::Index);
        self.at.push(index);
    }

    /// Goes up again.
    pub(super) fn leave(&mut self) {
        self.steps.pop();
        self.at.pop();
    }

    /// The position in the document.
    pub(super) fn at(&self) -> Vec<usize> {
        self.at.clone()
    }

    /// The path as a person writes it.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for (step, index) in self.steps.iter().zip(&self.at) {
            match step {
                Step::Key(key) => path = join(&path, key),
                Step::Index => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

/// A fault, where it stands in the document, and which option cannot be judged because of it.
pub(super) struct Located {
    pub(super) at: Vec<usize>,
    pub(super) taints: Option<String>,
    pub(super) fault: Fault,
}

/// The path of a key below `parent`; a key that is not a plain word is put in quotes.
pub(super) fn join(parent: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key = if !key.is_empty() && key.chars().all(plain) {
        key.to_owned()
    } else {
        quoted(key)
    };
    match parent {
        "" => key,
        _ => format!("{parent}.{key}"),
    }
}

/// Whether one path is the other or lies below it.
pub(super) fn related(a: &str, b: &str) -> bool {
    let below = |inner: &str, outer: &str| {
        outer.is_empty()
            || inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    below(a, b) || below(b, a)
}

/// The position of a known key and its value; past everything beside it where it is not given.
pub(super) fn locate<'n>(document: &'n Node, path: &str) -> (Vec<usize>, Option<&'n Node>) {
    let mut at = Vec::new();
    let mut node = document;
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        let next = match (node, step.strip_suffix(']')) {
            (Node::List(items), Some(index)) => index
                .parse()
                .ok()
                .and_then(|index: usize| Some((index, items.get(index)?))),
            (Node::Object(entries), None) => entries
                .iter()
                .enumerate()
                .find(|(_, (key, _))| key == step)
                .map(|(index, (_, value))| (index, value)),
            _ => None,
        };
        let Some((index, value)) = next else {
            at.push(usize::MAX);
            return (at, None);
        };
        at.push(index);
        node = value;
    }
    (at, Some(node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_spelled_as_a_person_writes_it() {
        let mut place = DocumentPath::default();
        place.enter_key(0, "local");
        place.enter_key(3, "sources");
        place.enter_index(2);
        assert_eq!(place.path(), "local.sources[2]");
        assert_eq!(place.at(), [0, 3, 2]);
        assert_eq!(join("local", "keep.daily"), "local.\"keep.daily\"");
        assert_eq!(join("", ""), "\"\"");
    }

    #[test]
    fn an_option_is_related_to_its_section_and_not_to_one_of_a_similar_name() {
        assert!(related("local", "local.sources[1]"));
        assert!(related("local.sources[1]", "local.sources"));
        assert!(!related("cloud.remote", "cloud.remotePath"));
    }

    #[test]
    fn a_key_that_is_not_given_stands_behind_those_that_are() {
        let document = super::super::json::parse(br#"{"a": {"b": [5, 6]}}"#).unwrap();
        assert_eq!(
            locate(&document, "a.b[1]"),
            (vec![0, 0, 1], Some(&Node::Unsigned(6)))
        );
        assert_eq!(locate(&document, "a.c"), (vec![0, usize::MAX], None));
    }
}
