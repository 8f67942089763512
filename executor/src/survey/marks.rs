//! What a basis says of the content of what a walk met, one mark for each leaf in their order.
//!
//! Kept apart from what was met: that is the same for all destinations, and this is of one. Most neighbours
//! have the same mark, so that runs are kept, most of them in one byte.

use std::sync::Arc;

use super::walk::Content;

const CONTENTS: [Content; 5] = [
    Content::Unknown,
    Content::Same,
    Content::Other,
    Content::Changed,
    Content::LeftOut,
];
/// Bits that tell which content it is.
const BITS: u32 = 3;

/// Writes marks.
#[derive(Debug, Default)]
pub(crate) struct MarkRecorder {
    runs: Vec<u8>,
    run: Option<(Content, u64)>,
}

/// Reads marks, in the order in which they were written.
#[derive(Debug, Default, Clone)]
pub(super) struct Marks {
    runs: Arc<[u8]>,
    at: usize,
    run: Option<(Content, u64)>,
}

impl MarkRecorder {
    pub(crate) fn add(&mut self, content: Content) {
        match &mut self.run {
            Some((same, length)) if *same == content => *length += 1,
            _ => {
                self.end_run();
                self.run = Some((content, 1));
            }
        }
    }

    pub(super) fn finish(mut self) -> Marks {
        self.end_run();
        Marks {
            runs: self.runs.into(),
            ..Marks::default()
        }
    }

    fn end_run(&mut self) {
        let Some((content, length)) = self.run.take() else {
            return;
        };
        let code = CONTENTS.iter().position(|one| *one == content);
        let mut value = length << BITS | code.unwrap_or(0) as u64;
        while value >= 0x80 {
            self.runs.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.runs.push(value.to_le_bytes()[0]);
    }
}

impl Marks {
    /// The same once more, from the start.
    pub(super) fn again(&self) -> Self {
        Self {
            runs: Arc::clone(&self.runs),
            ..Self::default()
        }
    }

    /// The next mark; none at the end.
    pub(super) fn next(&mut self) -> Option<Content> {
        let (content, left) = match self.run.take() {
            Some(run) => run,
            None => self.decode()?,
        };
        self.run = (left > 1).then_some((content, left - 1));
        Some(content)
    }

    /// Passes so many.
    pub(super) fn skip(&mut self, mut marks: u64) {
        while marks > 0 {
            let Some((content, left)) = self.run.take().or_else(|| self.decode()) else {
                return;
            };
            let passed = left.min(marks);
            marks -= passed;
            self.run = (left > passed).then_some((content, left - passed));
        }
    }

    #[cfg(test)]
    pub(super) fn encoded(&self) -> &[u8] {
        &self.runs
    }

    fn decode(&mut self) -> Option<(Content, u64)> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.runs.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let code = usize::try_from(value & ((1 << BITS) - 1)).ok()?;
                let length = Some(value >> BITS).filter(|length| *length > 0)?;
                return Some((*CONTENTS.get(code)?, length));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_in_order_and_long_runs_take_no_room() {
        let mut all = vec![Content::Same; 1_000_000];
        for at in 0..2000 {
            all.push(CONTENTS[at * at % 5]);
        }
        let mut recorder = MarkRecorder::default();
        for content in &all {
            recorder.add(*content);
        }
        let mut marks = recorder.finish();
        assert!(marks.runs.len() < 2010, "{}", marks.runs.len());
        for _ in 0..2 {
            for content in &all {
                assert_eq!(marks.next(), Some(*content));
            }
            assert_eq!((marks.next(), marks.next()), (None, None));
            marks = marks.again();
        }
        assert_eq!(MarkRecorder::default().finish().next(), None);
    }
}
