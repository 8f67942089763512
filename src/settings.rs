//! Where things are: the defaults of root and of a normal user, and the options that change them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use backup::{
    Engine,
    engine::{self, ConfigFault},
};
use chrono::{DateTime, FixedOffset};
use executor::event::Stop;
use planner::check::{self, Checked, Fault};
use schema::{Config, config::DestinationName};

use crate::{
    cli::{Color, Global, Verb},
    commands::only::check_named,
    exit::{self, Explained, invalid_input},
    out::Out,
    render,
    style::{Drawing, Style, shown},
    typed,
};

/// The machine's configuration.
pub(crate) const MACHINE_CONFIG: &str = "/etc/backup/config.json";
/// The machine's state directory.
pub(crate) const MACHINE_STATE: &str = "/var/lib/backup";

/// Whether the machine has a configuration, or one that this user may not look at.
fn has_machine_config() -> bool {
    let found = Path::new(MACHINE_CONFIG).symlink_metadata();
    found.map_or_else(
        |error| error.kind() == std::io::ErrorKind::PermissionDenied,
        |_| true,
    )
}

/// The configuration of whoever runs this: the machine's of root, a user's own of a user.
pub(crate) fn own_config() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        PathBuf::from(MACHINE_CONFIG)
    } else {
        xdg_folder("XDG_CONFIG_HOME", ".config").join("backup/config.json")
    }
}

/// The command that makes a configuration for good, where a trial's is the one that is used.
pub(crate) fn setup_for_good() -> String {
    let own = own_config();
    let own = schema::shell::word(own.as_os_str().as_encoded_bytes());
    format!("`backup setup --config {own}`")
}

/// The state directory of whoever runs this.
pub(crate) fn own_state_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        PathBuf::from(MACHINE_STATE)
    } else {
        xdg_folder("XDG_STATE_HOME", ".local/state").join("backup")
    }
}

/// The configuration that is worked with: the one that is named, else one's own.
///
/// A user who has none sees the machine's with a verb that only looks.
pub(crate) fn config_path(global: &Global, only_looks: bool) -> PathBuf {
    if let Some(named) = &global.config {
        return named.clone();
    }
    let own = own_config();
    let is_users = !nix::unistd::geteuid().is_root();
    if is_users && only_looks && own.symlink_metadata().is_err() && has_machine_config() {
        return PathBuf::from(MACHINE_CONFIG);
    }
    own
}

/// What every verb needs to know.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) config_path: PathBuf,
    pub(crate) state_dir: PathBuf,
    log_dir: Option<PathBuf>,
    user_log_dir: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) verbose: bool,
    pub(crate) quiet: bool,
    /// Whether this is the process of one of the units.
    pub(crate) as_unit: bool,
    pub(crate) style: Style,
    pub(crate) error_style: Style,
    /// What the signals ask.
    pub(crate) stop: Stop,
    /// Threads to work with, if somebody says how many.
    pub(crate) threads: Option<usize>,
    /// The destination that the verb is to work on.
    on: OnOne,
    /// A configuration that was made of what was typed, and stands in no file.
    made: Option<Config>,
}

/// The destination that a verb is to work on.
#[derive(Debug, Clone, Default)]
struct OnOne {
    /// Where one was named.
    name: Option<DestinationName>,
    /// Whether it works on one that need not be named.
    is_of_one: bool,
    /// What it asks of the copies in the cloud.
    asks_cloud: Option<&'static str>,
}

impl OnOne {
    fn of(verb: &Verb) -> Self {
        Self {
            name: verb.destination().cloned(),
            is_of_one: verb.is_of_one(),
            asks_cloud: verb.asks_cloud(),
        }
    }
}

impl Settings {
    /// The settings that options and environment say.
    pub(crate) fn new(global: &Global, only_looks: bool) -> Self {
        let root = nix::unistd::geteuid().is_root();
        let state = own_state_dir();
        Self {
            config_path: config_path(global, only_looks),
            user_log_dir: (!root).then(|| state.join("log")),
            state_dir: absolute_path(global.state_dir.clone().unwrap_or(state)),
            log_dir: global.log_dir.clone().map(absolute_path),
            json: global.json,
            verbose: global.verbose,
            quiet: global.quiet,
            as_unit: global.as_unit,
            style: style_for(global.color, &std::io::stdout()),
            error_style: style_for(global.color, &std::io::stderr()),
            stop: crate::signals::stop_on_signals().unwrap_or_default(),
            threads: global.threads.map(usize::from),
            on: OnOne::default(),
            made: None,
        }
    }

    /// The settings of a trial that keeps everything in one folder.
    pub(crate) fn for_trial(&self, folder: &Path) -> Self {
        Self {
            config_path: folder.join("config.json"),
            state_dir: folder.join("state"),
            log_dir: Some(folder.join("log")),
            user_log_dir: None,
            stop: self.stop.clone(),
            on: self.on.clone(),
            made: None,
            ..*self
        }
    }

    /// The same settings for another verb, called by this one.
    pub(crate) fn for_verb(&self, verb: &Verb) -> Self {
        self.clone().on_destination_of(verb)
    }

    /// The same settings for this destination.
    pub(crate) fn on_destination(&self, name: DestinationName) -> Self {
        let mut on_one = self.clone();
        on_one.on.name = Some(name);
        on_one
    }

    /// The same settings with this configuration in the place of the one that a file has.
    pub(crate) fn instead_of_file(&self, config: Config) -> Self {
        Self {
            made: Some(config),
            ..self.clone()
        }
    }

    /// Whether the configuration stands in no file.
    pub(crate) fn has_no_file(&self) -> bool {
        self.made.is_some()
    }

    /// Folder of the log files: the option, else the configuration; a normal user's own folder if
    /// the configuration leaves it at root's.
    fn log_dir(&self, config: &Config) -> PathBuf {
        let configured = config.monitoring.log_path.as_path();
        let is_default = config.monitoring.log_path == Config::default().monitoring.log_path;
        match (&self.log_dir, &self.user_log_dir) {
            (Some(given), _) => given.clone(),
            (None, Some(own)) if is_default => own.clone(),
            (None, _) => configured.to_owned(),
        }
    }

    /// Whether it is the machine's configuration that a user looks at who has none: what the machine remembers
    /// is closed to users.
    pub(crate) fn sees_machines(&self) -> bool {
        !nix::unistd::geteuid().is_root()
            && self.config_path == Path::new(MACHINE_CONFIG)
            && self.state_dir == own_state_dir()
    }

    /// Reads and checks the configuration; its warnings go to standard error.
    ///
    /// # Errors
    /// Fails if it cannot be read or is not valid, with exit code 2; refused, with exit code 4, if
    /// others could change it.
    pub(crate) fn read_config(&self, out: &Out) -> Result<Config> {
        if let Some(made) = &self.made {
            return Ok(made.clone());
        }
        let read = engine::read_config(&self.config_path);
        let Checked {
            config, warnings, ..
        } = read.map_err(|fault| self.explain_fault(&self.config_path, fault, out))?;
        if !warnings.is_empty() && !self.quiet {
            for warning in &warnings {
                out.print_message(&render::hint::pasted(&format!("warning: {warning}")));
            }
        }
        Ok(config)
    }

    /// The engine for the configuration.
    ///
    /// # Errors
    /// As [`Self::read_config`].
    pub(crate) fn open_engine(&self, out: &Out) -> Result<Engine> {
        let engine = self.engine_for(self.read_config(out)?);
        let config = engine.config();
        if let Some(name) = &self.on.name {
            check_named(name, self.on.asks_cloud, config)?;
        }
        let meant = || config.only_disk().filter(|_| self.on.is_of_one);
        let name = self.on.name.clone().or_else(meant);
        Ok(name.and_then(|name| engine.of(&name)).unwrap_or(engine))
    }

    /// A text that names keys of `local`, by the keys of the destination that the verb works on.
    pub(crate) fn in_words(&self, text: &str) -> String {
        if self.on.name.is_none() && !self.on.is_of_one {
            return text.to_owned();
        }
        // Only an error asks, and that of a configuration which cannot be read names no such key.
        let Ok(checked) = engine::read_config(&self.config_path) else {
            return text.to_owned();
        };
        let name = self.on.name.clone();
        match name.or_else(|| checked.config.only_disk()) {
            Some(name) => checked.config.in_words_of(&name, text),
            None => text.to_owned(),
        }
    }

    /// These settings for the destination that a verb works on.
    pub(crate) fn on_destination_of(mut self, verb: &Verb) -> Self {
        self.on = OnOne::of(verb);
        self
    }

    /// The same, which supposes that it is this time; none for the machine's clock.
    ///
    /// # Errors
    /// As [`Self::read_config`].
    pub(crate) fn open_engine_at(
        &self,
        now: Option<DateTime<FixedOffset>>,
        out: &Out,
    ) -> Result<Engine> {
        Ok(self.open_engine(out)?.with_supposed_time(now))
    }

    /// An engine for a configuration that was read elsewhere.
    pub(crate) fn engine_for(&self, config: Config) -> Engine {
        let log_dir = self.log_dir(&config);
        Engine::open(config, &self.state_dir)
            .with_log_dir(log_dir)
            .with_threads(self.threads)
            .with_stop(self.stop.clone())
    }

    /// Says what is wrong with a configuration, where that is more than that it cannot be read.
    pub(crate) fn explain_fault(
        &self,
        path: &Path,
        fault: ConfigFault,
        out: &Out,
    ) -> anyhow::Error {
        match fault {
            ConfigFault::Unreadable(message) => {
                let is_users = !nix::unistd::geteuid().is_root();
                let hint = if is_users && has_machine_config() {
                    "this machine's is /etc/backup/config.json: use that with `sudo backup ...`, or name \
                     another with --config"
                } else {
                    "make one with `backup setup`, name another with --config, or try `backup try` \
                     which needs none"
                };
                invalid_input(message, hint)
            }
            ConfigFault::Untrusted(error) => error.into(),
            ConfigFault::Invalid(faults) => self.explain_faults(path, &faults, out),
        }
    }

    /// Says what is wrong with a configuration.
    fn explain_faults(&self, path: &Path, faults: &[Fault], out: &Out) -> anyhow::Error {
        if self.json {
            out.print_json(&render::check::config_faults(faults));
        } else {
            let count = match faults.len() {
                1 => "1 fault".to_owned(),
                many => format!("{many} faults"),
            };
            out.print_line(&format!("error: {} has {count}", shown(path)));
            out.print_message(&render::hint::pasted(&check::render(faults)));
            out.print_message(&render::hint::line(
                0,
                "correct the above; `backup schema` lists every key",
            ));
        }
        Explained(exit::INVALID).into()
    }
}

/// A path given on the command line, from the root.
fn absolute_path(path: PathBuf) -> PathBuf {
    typed::whole_path(&path).unwrap_or(path)
}

fn style_for(color: Color, stream: &impl std::io::IsTerminal) -> Style {
    let on = match color {
        Color::Always => true,
        Color::Never => false,
        // https://no-color.org: set and not empty.
        Color::Auto => wants_color(stream),
    };
    let drawing = match (stream.is_terminal(), on && shows_signs()) {
        (false, _) => Drawing::Nothing,
        (true, false) => Drawing::Letters,
        (true, true) => Drawing::Signs,
    };
    Style { color: on, drawing }
}

/// Whether the terminal is said to show more than ASCII (locale(7)).
fn shows_signs() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|set| !set.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set);
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Whether a stream gets colours where no option says so.
pub(crate) fn wants_color(stream: &impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// How many columns a line of standard output has: those of the terminal; in a pipe as many as
/// `BACKUP_COLUMNS` says, and else as many as there are.
pub(crate) fn columns() -> Option<usize> {
    if let Some((width, _)) = terminal_size::terminal_size_of(std::io::stdout()) {
        return Some(width.0.into());
    }
    std::env::var("BACKUP_COLUMNS").ok()?.parse().ok()
}

/// A folder of the XDG Base Directory Specification; relative ones are to be ignored.
pub(crate) fn xdg_folder(variable: &str, below_home: &str) -> PathBuf {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .unwrap_or_else(|| home_folder().join(below_home))
}

/// The user's home folder.
pub(crate) fn home_folder() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}
