//! A drill: the last good snapshot in a room of its own, where it is read and checks are run.
//!
//! Each service that is to start has a room of its own, with a container in it ([`container`]).
//!
//! The room is a process in its own namespaces: mounts, processes, network, IPC and host name. Its root is put
//! together from the plan and lives in memory, the snapshot as the lower layer of overlays that nobody can
//! write to. So there is nothing to clean up: with the last process of the room the kernel takes away all that
//! was mounted there, however it ended, and each of them ends with the one that started it.
//!
//! [`run_room`] starts that process and hears what it says, [`room`] is what it does.

mod checks;
mod confine;
mod container;
mod loopback;
mod mounts;
mod outline;
mod read;
mod remount;
mod room;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use schema::{
    drill::{CheckResult, DrillPlan, RoomOutcome, SampleFile, SampleRead},
    inventory::SnapshotState,
};
use serde::{Deserialize, Serialize};

pub use self::room::enter_room;
use crate::{
    error::{Error, Result, system_reason},
    event::{Context, Event},
    process::{
        ChildGroup, Limits, LineEnd, OutputLine, ProcessExit, Stream, parent::die_with_parent,
        supervise, with_piped_output,
    },
    store::Store,
    sys::Kind,
};

/// The first argument that makes the program the room of a drill ([`enter_room`]).
pub const ARGUMENT: &str = "--drill-room";
/// The name of the step by which checks are told of.
pub const STEP: &str = "drill";
/// How much longer than all of its parts together the room may take.
const SPARE: Duration = Duration::from_secs(120);
/// How many lines of the room's own errors are kept.
const MOST_WORDS: usize = 20;

/// The program that becomes the room when it is called with [`ARGUMENT`].
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Says which program becomes the room: one that calls [`enter_room`] before it starts any thread.
pub fn set_room_program(program: PathBuf) {
    let _ = PROGRAM.set(program);
}

/// What the process of the room gets.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    plan: DrillPlan,
    sample: Vec<SampleFile>,
    of_files: u64,
    /// The check whose service is started; none for the sample and the programs.
    service: Option<usize>,
    /// Where the snapshot's folder stands, and what the kernel says that it is.
    folder: String,
    device: u64,
    inode: u64,
}

/// What the process of the room says, an object on each line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    /// All stands where it belongs.
    Ready { millis: u64, read_only: Vec<String> },
    /// The sample was read.
    Read(SampleRead),
    /// A check begins.
    Began { check: String },
    /// A check ended.
    Checked { number: usize, result: CheckResult },
    /// It cannot be done.
    Fault {
        /// Not here, or not by this user.
        is_refusal: bool,
        message: String,
        hint: Option<String>,
    },
    /// All was done.
    Done,
}

/// Does a drill. What went wrong in the room is in the outcome.
///
/// # Errors
/// An interruption, that the snapshot's folder cannot be opened or the room's process not be started, or that
/// there can be no room here: a refusal.
pub fn run_room(
    plan: &DrillPlan,
    sample: (Vec<SampleFile>, u64),
    store: &Store,
    context: Context<'_>,
) -> Result<RoomOutcome> {
    let mut order = order_of(plan, sample, store)?;
    let programs = plan.checks.iter().filter(|check| check.unit.is_none());
    let mut outcome = run_one_room(&order, programs.count() + 1, context)?;
    (order.sample, order.of_files) = (Vec::new(), 0);
    for (number, check) in plan.checks.iter().enumerate() {
        if check.unit.is_none() || outcome.fault.is_some() {
            continue;
        }
        order.service = Some(number);
        let of_service = run_one_room(&order, 1, context)?;
        outcome.checks.extend(of_service.checks);
        outcome.fault = of_service.fault;
        outcome.hint = of_service.hint;
    }
    Ok(outcome)
}

/// Runs a room with so many parts, each of which may take its time.
fn run_one_room(order: &Order, parts: usize, context: Context<'_>) -> Result<RoomOutcome> {
    let program = PROGRAM.get().ok_or_else(|| {
        Error::failed("no program is set that becomes the room of a drill")
            .hint("call executor::drill::set_room_program first")
    })?;
    let mut command = Command::new(program);
    command.arg(ARGUMENT).env_clear();
    die_with_parent(&mut command);
    let command = with_piped_output(&mut command, Stdio::piped());
    let mut child = ChildGroup::start(command).map_err(|error| {
        Error::failed(format!(
            "the room of the drill cannot be started: {}",
            system_reason(&error)
        ))
    })?;
    let text = serde_json::to_vec(order)
        .map_err(|error| Error::failed(format!("the order of the room: {error}")))?;
    child.feed(text)?;
    let lines = child.lines(LineEnd::Newline)?;
    let mut heard = Heard::new(context);
    let parts = u32::try_from(parts).unwrap_or(u32::MAX);
    let time = Duration::from_secs(order.plan.check_seconds).saturating_mul(parts);
    let limits = Limits::until(Instant::now().checked_add(time.saturating_add(SPARE)))
        .stopped_by(context.stop)
        .without_grace();
    let exit = supervise(&mut child, &lines, limits, &mut |line: OutputLine| {
        heard.line(&line);
    });
    child.end(Duration::ZERO);
    heard.outcome(&exit?)
}

fn order_of(plan: &DrillPlan, sample: (Vec<SampleFile>, u64), store: &Store) -> Result<Order> {
    let id = plan.snapshot.id;
    // A run at the same time may have moved it to another tier since.
    let home = store.home_of(id)?.ok_or_else(|| {
        Error::busy(format!("{id} was removed before the drill began")).hint("run it again")
    })?;
    let folder = store.snapshot(home, id)?;
    let name = format!("{home}/{id}");
    let stat = folder
        .stat_self()
        .map_err(|error| store.io("look at", &name, error))?;
    Ok(Order {
        plan: plan.clone(),
        sample: sample.0,
        of_files: sample.1,
        service: None,
        folder: store.named(&name),
        device: stat.dev,
        inode: stat.ino,
    })
}

/// Which of these absolute paths a snapshot holds; an empty folder is none.
///
/// # Errors
/// The snapshot's folder cannot be opened.
pub fn held_paths<'a>(
    store: &Store,
    snapshot: &SnapshotState,
    paths: impl IntoIterator<Item = &'a String>,
) -> Result<BTreeSet<String>> {
    let root = store.snapshot(snapshot.home, snapshot.record.id)?;
    let is_held = |path: &str| {
        let relative = path.trim_start_matches('/').as_bytes();
        if relative.is_empty() {
            return root.names().is_ok_and(|names| !names.is_empty());
        }
        let Ok((parent, name)) = root.descend(relative) else {
            return false;
        };
        match parent.folder(name) {
            Ok(folder) => folder.names().is_ok_and(|names| !names.is_empty()),
            Err(_) => parent
                .stat(name)
                .is_ok_and(|stat| stat.kind != Kind::Folder),
        }
    };
    let held = paths.into_iter().filter(|path| is_held(path));
    Ok(held.cloned().collect())
}

/// What was heard of the room.
struct Heard<'a> {
    context: Context<'a>,
    outcome: RoomOutcome,
    is_done: bool,
    is_refused: bool,
    words: Vec<String>,
}

impl<'a> Heard<'a> {
    fn new(context: Context<'a>) -> Self {
        Self {
            context,
            outcome: RoomOutcome::default(),
            is_done: false,
            is_refused: false,
            words: Vec::new(),
        }
    }

    fn line(&mut self, line: &OutputLine) {
        let word = match line.stream {
            Stream::Stdout => serde_json::from_slice(&line.bytes).ok(),
            Stream::Stderr => None,
        };
        let Some(word) = word else {
            if self.words.len() < MOST_WORDS {
                self.words.push(line.text());
            }
            return;
        };
        match word {
            Word::Ready { millis, read_only } => {
                self.outcome.ready_millis = Some(millis);
                self.outcome.read_only = read_only;
            }
            Word::Read(read) => self.outcome.sample = Some(read),
            Word::Began { check } => self.say(&format!("{check} begins")),
            Word::Checked { number, result } => {
                for line in result.output.lines() {
                    self.say(line);
                }
                self.say(&format!("{} {}", result.check, result.message));
                self.outcome.checks.insert(number, result);
            }
            Word::Fault {
                is_refusal,
                message,
                hint,
            } => {
                self.is_refused = is_refusal;
                self.outcome.fault = Some(message);
                self.outcome.hint = hint;
            }
            Word::Done => self.is_done = true,
        }
    }

    fn say(&self, line: &str) {
        let line = &schema::outside::one_line(line);
        self.context
            .observer
            .event(Event::ScriptLine { step: STEP, line });
    }

    fn outcome(mut self, exit: &ProcessExit) -> Result<RoomOutcome> {
        if !self.is_done && self.outcome.fault.is_none() {
            let words = match self.words.last() {
                Some(last) => format!(": {last}"),
                None => String::new(),
            };
            self.outcome.fault = Some(format!("the room of the drill {exit}{words}"));
            self.outcome.hint =
                Some("run it again; `dmesg` may tell of memory that was lacking".to_owned());
        }
        if self.is_refused {
            let error = Error::refused(self.outcome.fault.unwrap_or_default());
            return Err(match self.outcome.hint {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        Ok(self.outcome)
    }
}
