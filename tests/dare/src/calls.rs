//! System calls that matter: which of them change something, and what they are called for, in words.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::{ffi::OsStringExt as _, fs::FileExt as _},
    path::{Path, PathBuf},
};

use nix::{libc, sys::ptrace, unistd::Pid};

/// Where the arguments of a call say what it is for.
#[derive(Clone, Copy, PartialEq)]
enum About {
    /// A folder and a name in it, from this argument on.
    Name(usize),
    /// Two of them.
    Names,
    /// What is open.
    Open,
    Nothing,
}

/// A system call.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Call {
    number: i64,
    pub(crate) name: &'static str,
    about: About,
    changes: bool,
}

const fn call(number: i64, name: &'static str, about: About, changes: bool) -> Call {
    Call {
        number,
        name,
        about,
        changes,
    }
}

/// Those that are counted, killed at and made to fail.
const CALLS: [Call; 36] = [
    call(libc::SYS_renameat2, "renameat2", About::Names, true),
    call(libc::SYS_renameat, "renameat", About::Names, true),
    call(libc::SYS_linkat, "linkat", About::Names, true),
    call(libc::SYS_unlinkat, "unlinkat", About::Name(0), true),
    call(libc::SYS_mkdirat, "mkdirat", About::Name(0), true),
    call(libc::SYS_mknodat, "mknodat", About::Name(0), true),
    call(libc::SYS_symlinkat, "symlinkat", About::Name(1), true),
    call(libc::SYS_write, "write", About::Open, true),
    call(libc::SYS_pwrite64, "pwrite64", About::Open, true),
    call(
        libc::SYS_copy_file_range,
        "copy_file_range",
        About::Open,
        true,
    ),
    call(libc::SYS_ftruncate, "ftruncate", About::Open, true),
    call(libc::SYS_fallocate, "fallocate", About::Open, true),
    call(libc::SYS_fsync, "fsync", About::Open, true),
    call(libc::SYS_fdatasync, "fdatasync", About::Open, true),
    call(libc::SYS_syncfs, "syncfs", About::Open, true),
    call(libc::SYS_fchmod, "fchmod", About::Open, true),
    call(libc::SYS_fchmodat, "fchmodat", About::Name(0), true),
    call(libc::SYS_fchown, "fchown", About::Open, true),
    call(libc::SYS_fchownat, "fchownat", About::Name(0), true),
    call(libc::SYS_utimensat, "utimensat", About::Name(0), true),
    call(libc::SYS_fsetxattr, "fsetxattr", About::Open, true),
    call(libc::SYS_ioctl, "ioctl", About::Open, false),
    call(libc::SYS_openat, "openat", About::Name(0), false),
    call(libc::SYS_read, "read", About::Open, false),
    call(libc::SYS_pread64, "pread64", About::Open, false),
    call(libc::SYS_getdents64, "getdents64", About::Open, false),
    call(libc::SYS_readlinkat, "readlinkat", About::Name(0), false),
    call(libc::SYS_statx, "statx", About::Name(0), false),
    call(libc::SYS_flistxattr, "flistxattr", About::Open, false),
    call(libc::SYS_fgetxattr, "fgetxattr", About::Open, false),
    call(libc::SYS_fstatfs, "fstatfs", About::Open, false),
    call(libc::SYS_lseek, "lseek", About::Open, false),
    call(libc::SYS_flock, "flock", About::Open, false),
    call(libc::SYS_pipe2, "pipe2", About::Nothing, false),
    call(libc::SYS_socket, "socket", About::Nothing, false),
    call(libc::SYS_clone3, "clone3", About::Nothing, false),
];

/// A call that a thread is about to make.
pub(crate) struct Made {
    pub(crate) call: Call,
    thread: Pid,
    arguments: [u64; 6],
}

impl Made {
    /// The call before which a thread stands, if it is one of those that matter.
    pub(crate) fn by(thread: Pid) -> Option<Self> {
        let registers = ptrace::getregs(thread).ok()?;
        #[cfg(target_arch = "x86_64")]
        let (number, arguments) = (
            registers.orig_rax,
            [
                registers.rdi,
                registers.rsi,
                registers.rdx,
                registers.r10,
                registers.r8,
                registers.r9,
            ],
        );
        #[cfg(target_arch = "aarch64")]
        let (number, arguments) = (
            registers.regs[8],
            std::array::from_fn(|at| registers.regs[at]),
        );
        let number = i64::try_from(number).ok()?;
        let call = CALLS.into_iter().find(|call| call.number == number)?;
        Some(Self {
            call,
            thread,
            arguments,
        })
    }

    /// Whether what comes after a kill here may differ from what comes after one at the call before.
    pub(crate) fn changes(&self) -> bool {
        let writes = libc::O_CREAT | libc::O_TRUNC;
        match self.call.name {
            "write" => self.arguments[0] > 2,
            "openat" => self.arguments[2] & u64::from(writes.unsigned_abs()) != 0,
            // What is cloned, and what becomes of subvolumes.
            "ioctl" => matches!((self.arguments[1] >> 8) & 0xff, 0x94),
            _ => self.call.changes,
        }
    }

    /// The names that the call is for.
    fn paths(&self) -> Vec<PathBuf> {
        match self.call.about {
            About::Name(at) => vec![self.name(at)],
            About::Names => vec![self.name(0), self.name(2)],
            About::Open => vec![self.open(self.arguments[0])],
            About::Nothing => Vec::new(),
        }
    }

    fn name(&self, at: usize) -> PathBuf {
        let name = match self.arguments[at + 1] {
            0 => PathBuf::new(),
            address => self.text(address),
        };
        if name.is_absolute() {
            return name;
        }
        self.open(self.arguments[at]).join(name)
    }

    /// What a descriptor leads to.
    fn open(&self, descriptor: u64) -> PathBuf {
        // The kernel takes four bytes of it, of which some are negative.
        let descriptor = descriptor as u32 as i32;
        let place = match descriptor {
            libc::AT_FDCWD => format!("/proc/{}/cwd", self.thread),
            other => format!("/proc/{}/fd/{other}", self.thread),
        };
        fs::read_link(place).unwrap_or_default()
    }

    /// The text that stands at an address.
    fn text(&self, address: u64) -> PathBuf {
        let mut bytes = vec![0; 4096];
        let memory = File::open(format!("/proc/{}/mem", self.thread));
        let length = memory.and_then(|memory| memory.read_at(&mut bytes, address));
        bytes.truncate(length.unwrap_or(0));
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
        bytes.truncate(end);
        PathBuf::from(OsString::from_vec(bytes))
    }

    /// Whether it is for something below a folder.
    pub(crate) fn is_below(&self, folder: &Path) -> bool {
        self.paths().iter().any(|path| path.starts_with(folder))
    }

    /// Whether it opens a file of this name.
    pub(crate) fn opens(&self, name: &str) -> bool {
        self.call.name == "openat" && self.name(0).ends_with(name)
    }

    /// The call in words: its name, and what it is for without this folder.
    pub(crate) fn in_words(&self, without: &Path) -> String {
        let mut words = self.call.name.to_owned();
        for (at, path) in self.paths().into_iter().enumerate() {
            let path = path.strip_prefix(without).unwrap_or(&path).to_path_buf();
            let before = if at == 0 { " " } else { " -> " };
            words.push_str(before);
            words.push_str(&path.to_string_lossy().escape_debug().to_string());
        }
        words
    }
}
