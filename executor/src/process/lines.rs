//! Threads that end with a program read its output, line by line.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use crate::{error::Result, threads};

/// Lines that may wait to be taken. More, and the program waits.
const WAITING: usize = 4096;
/// How long after a gulp of output the next one is taken. Who tells of each of a hundred thousand files
/// would otherwise be woken for, and wake us for, every line.
const GULP: Duration = Duration::from_millis(2);
/// The same where many gulps were taken and this one is far from what a pipe holds.
const LATER_GULP: Duration = Duration::from_millis(20);
/// How many that are.
const MANY_GULPS: u32 = 100;
/// A part of what a pipe holds (64 KiB, pipe(7)), in bytes, that leaves room for what comes in such a time.
const SMALL_GULP: usize = 12 << 10;
/// A longer line is cut: no path is as long, nor what is said of one.
const LONGEST_LINE: usize = 1 << 20;

/// Which output a line is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

/// One line that a program wrote, without its end.
#[derive(Debug)]
pub(crate) struct OutputLine {
    /// Where it wrote it.
    pub(crate) stream: Stream,
    /// The line.
    pub(crate) bytes: Vec<u8>,
}

impl OutputLine {
    /// The line as text that can be shown.
    pub(crate) fn text(&self) -> String {
        schema::escape::display(self.bytes.trim_ascii_end())
    }
}

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// A newline.
    Newline,
    /// A newline or a carriage return, which a progress bar begins anew with.
    NewlineOrReturn,
}

impl LineEnd {
    fn find(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Newline => memchr::memchr(b'\n', bytes),
            Self::NewlineOrReturn => memchr::memchr2(b'\n', b'\r', bytes),
        }
    }
}

/// A channel for lines.
pub(super) fn line_channel() -> (SyncSender<OutputLine>, Receiver<OutputLine>) {
    sync_channel(WAITING)
}

/// Reads one output to its end by a thread of its own, as long as somebody takes its lines.
///
/// # Errors
/// Fails if no thread can be started.
pub(super) fn read_lines(
    output: impl Read + Send + 'static,
    stream: Stream,
    end: LineEnd,
    lines: SyncSender<OutputLine>,
) -> Result<()> {
    threads::start_thread("output", move || {
        let mut output = BufReader::with_capacity(64 << 10, output);
        let mut bytes = Vec::new();
        let mut taken: Option<Instant> = None;
        let (mut gulps, mut pause) = (0_u32, GULP);
        loop {
            let is_gulp = output.buffer().is_empty();
            if is_gulp {
                let early = taken.and_then(|taken| pause.checked_sub(taken.elapsed()));
                early.into_iter().for_each(std::thread::sleep);
                taken = Some(Instant::now());
            }
            let Ok(some) = output.fill_buf() else { break };
            if is_gulp {
                gulps = gulps.saturating_add(1);
                let is_slow = gulps > MANY_GULPS && some.len() < SMALL_GULP;
                pause = if is_slow { LATER_GULP } else { GULP };
            }
            if some.is_empty() {
                break;
            }
            let found = end.find(some);
            let length = found.unwrap_or(some.len());
            let room = LONGEST_LINE.saturating_sub(bytes.len()).min(length);
            bytes.extend_from_slice(&some[..room]);
            output.consume(length + usize::from(found.is_some()));
            if found.is_some() {
                let bytes = std::mem::take(&mut bytes);
                if lines.send(OutputLine { stream, bytes }).is_err() {
                    return;
                }
            }
        }
        if !bytes.is_empty() {
            let _ = lines.send(OutputLine { stream, bytes });
        }
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &'static [u8], end: LineEnd) -> Vec<Vec<u8>> {
        let (sender, receiver) = line_channel();
        read_lines(text, Stream::Stdout, end, sender).unwrap();
        receiver.iter().map(|line| line.bytes).collect()
    }

    #[test]
    fn a_return_ends_a_line_only_where_it_is_to_and_the_last_line_needs_no_end() {
        let text = b"one\rtwo\n\nthree";
        assert_eq!(
            lines_of(text, LineEnd::Newline),
            [&b"one\rtwo"[..], b"", b"three"]
        );
        assert_eq!(
            lines_of(text, LineEnd::NewlineOrReturn),
            [&b"one"[..], b"two", b"", b"three"]
        );
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_is_whole() {
        let text = [vec![b'x'; 2 * LONGEST_LINE], b"\nnext\n".to_vec()].concat();
        let lines = lines_of(text.leak(), LineEnd::Newline);
        let lengths: Vec<usize> = lines.iter().map(Vec::len).collect();
        assert_eq!(lengths, [LONGEST_LINE, 4]);
    }
}
