//! The loop between a terminal, what is seen, and those who are asked.

use std::{
    io::{self, Stdout, Write as _, stdin, stdout},
    sync::{
        Arc, Once,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        event::{
            self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste,
            EnableMouseCapture,
        },
        execute,
        terminal::{
            EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
        },
    },
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use schema::StoredPathBuf;

use crate::{
    action::Action,
    app::App,
    data::{Destination, Source},
    draw::draw,
    lanes::Lanes,
};

/// How often the size of the terminal and signals are looked at where nothing happens.
const LOOK: Duration = Duration::from_millis(200);
/// An answer that is waited for longer than this is told of.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long after the terminal went it may take to notice that, before the process is ended.
const GRACE: Duration = Duration::from_millis(400);
/// What is told of a terminal that went.
const HANGUP: usize = 1;
/// What Ctrl-C asks with.
const INTERRUPT: usize = 2;

/// Whether the terminal is in another state than the one it was found in.
static ENTERED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();
/// Whether somebody looks after the terminal.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// How it begins.
pub struct Options {
    /// Whether there is colour.
    pub color: bool,
    /// The path to show first; none for where the snapshots begin to differ from a single folder.
    pub start: Option<StoredPathBuf>,
    /// The destinations that can be browsed.
    pub destinations: Vec<Destination>,
    /// Where files are restored to unless somebody says so.
    pub here: String,
    /// The signal that asks to end it; 0 while none does.
    pub stop: Arc<AtomicUsize>,
    /// Ends the process: the terminal is gone, and who reads keys from it never comes back.
    pub end_process: fn(),
}

/// Why it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Somebody left.
    Left,
    /// Somebody goes on in another destination.
    Elsewhere {
        /// Its name.
        destination: String,
        /// The path to show first there.
        at: Option<StoredPathBuf>,
    },
    /// A signal asked.
    Stopped(usize),
}

/// Shows what a source has until somebody leaves. What is to be done `act` does, for which the terminal is
/// as it was found.
///
/// # Errors
/// Fails if the terminal cannot be read or written, or no thread be started.
pub fn run(
    source: &Arc<dyn Source>,
    options: Options,
    act: &mut dyn FnMut(&Action),
) -> io::Result<End> {
    let lanes = Lanes::start(source)?;
    let start = options.start.as_deref();
    let mut app = App::new(Arc::clone(source), options.color, start, options.here);
    app.destinations = options.destinations;
    if !WATCHED.swap(true, Ordering::SeqCst) {
        watch_terminal(Arc::clone(&options.stop), options.end_process)?;
    }
    let mut screen = Screen::enter()?;
    let mut seen = None;
    loop {
        for request in app.take_requests() {
            lanes.ask(request);
        }
        if app.is_over {
            return Ok(match app.elsewhere.take() {
                Some(destination) => End::Elsewhere {
                    destination,
                    at: app.looked_at(),
                },
                None => End::Left,
            });
        }
        if let Some(action) = app.action.take() {
            drop(screen);
            act(&action);
            // Ctrl-C ended what was done, and not this.
            let _ =
                options
                    .stop
                    .compare_exchange(INTERRUPT, 0, Ordering::Relaxed, Ordering::Relaxed);
            screen = Screen::enter()?;
            app.refresh();
            seen = None;
            continue;
        }
        let waits = lanes.longest_wait().filter(|wait| *wait > PATIENCE);
        let waits = waits.map(|wait| wait.as_secs());
        if app.waits != waits {
            app.waits = waits;
            seen = None;
        }
        let now = size()?;
        if seen != Some(now) {
            screen.terminal.draw(|frame| draw(&mut app, frame))?;
            seen = Some(now);
        }
        let signal = options.stop.load(Ordering::Relaxed);
        if signal != 0 {
            return Ok(End::Stopped(signal));
        }
        let (keys, answers) = wait(&lanes)?;
        if keys.intersects(GONE) {
            return Ok(End::Stopped(HANGUP));
        }
        // All keys that wait are taken before anything is drawn: none is a screen behind.
        while keys.contains(PollFlags::IN) && event::poll(Duration::ZERO)? {
            app.take(event::read()?);
            seen = None;
            if app.is_over || app.action.is_some() {
                break;
            }
        }
        if answers {
            lanes.answers().for_each(|answer| app.answer(answer));
            seen = None;
        }
    }
}

/// What says that a terminal is gone.
const GONE: PollFlags = PollFlags::HUP.union(PollFlags::ERR).union(PollFlags::NVAL);

/// Waits for keys and answers; what there is of keys, and whether there is an answer.
fn wait(lanes: &Lanes) -> io::Result<(PollFlags, bool)> {
    let (keys, woken) = (stdin(), lanes.woken());
    let mut both = [
        PollFd::new(&keys, PollFlags::IN),
        PollFd::new(woken, PollFlags::IN),
    ];
    let look = Timespec::try_from(LOOK).map_err(io::Error::other)?;
    match poll(&mut both, Some(&look)) {
        // A signal, as for a terminal that has another size.
        Err(rustix::io::Errno::INTR) => Ok((PollFlags::empty(), false)),
        Err(error) => Err(error.into()),
        Ok(_) => Ok((both[0].revents(), !both[1].revents().is_empty())),
    }
}

/// Ends the process when the terminal goes while somebody reads keys from it: what reads them would try again
/// and again, without end (crossterm 0.29). Whoever does something meanwhile ends by himself, of the signal.
fn watch_terminal(stop: Arc<AtomicUsize>, end_process: fn()) -> io::Result<()> {
    let watch = move || loop {
        let keys = stdin();
        let waited = poll(&mut [PollFd::new(&keys, PollFlags::empty())], None);
        if waited == Err(rustix::io::Errno::INTR) {
            continue;
        }
        stop.store(HANGUP, Ordering::Relaxed);
        std::thread::sleep(GRACE);
        if ENTERED.load(Ordering::SeqCst) {
            end_process();
        }
    };
    let builder = std::thread::Builder::new().name("terminal".to_owned());
    builder.spawn(watch).map(drop)
}

/// The terminal as it is while this has it. It is as it was found once this goes.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    fn enter() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                leave_screen();
                before(panic);
            }));
        });
        ENTERED.store(true, Ordering::SeqCst);
        let entered = enable_raw_mode().and_then(|()| {
            execute!(
                stdout(),
                EnterAlternateScreen,
                EnableMouseCapture,
                EnableBracketedPaste
            )?;
            Terminal::new(CrosstermBackend::new(stdout()))
        });
        match entered {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                leave_screen();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave_screen();
    }
}

/// Gives the terminal back as it was found, if it was taken: for who ends the program from elsewhere.
pub fn leave_screen() {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    // Whatever of it fails, the rest may do.
    let _ = execute!(
        stdout(),
        DisableBracketedPaste,
        DisableMouseCapture,
        LeaveAlternateScreen,
        Show
    );
    let _ = disable_raw_mode();
    let _ = stdout().flush();
}
