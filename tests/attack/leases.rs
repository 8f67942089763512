//! Files on which their owner holds a lease, as a file server does.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::{fs::lchown, process::CommandExt as _},
    process::{Child, Command, Stdio},
};

use test_support::is_missing;

use crate::lab::{MALLORY, World};

/// Holds leases on the files that it is given, and gives each up a while after it is asked to. Python,
/// since no library here takes leases.
const HOLDER: &str = r#"
import fcntl, os, signal, sys, time
files = [os.open(path, os.O_RDWR) for path in sys.argv[1:]]
asked = []
signal.signal(signal.SIGIO, lambda *_: asked.append(1))
for file in files:
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
while not asked:
    time.sleep(0.02)
time.sleep(1.5)
for file in files:
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
time.sleep(600)
"#;

/// The holder, until this is dropped.
struct Holder(Child);

impl Holder {
    fn start(world: &World, files: &[String]) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", HOLDER]).args(files);
        command.uid(MALLORY).gid(MALLORY).current_dir("/");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n", "{}", world.text("src"));
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn leased_files_are_asked_for_and_stored() {
    if is_missing(
        "leased_files_are_asked_for_and_stored",
        &["python3", "rsync"],
        true,
    ) {
        return;
    }
    for use_rsync in [false, true] {
        let mut world = World::new(use_rsync);
        let files = ["src/mallory/one", "src/mallory/two"].map(|name| {
            world.write(name, "leased");
            lchown(world.path(name), Some(MALLORY), Some(MALLORY)).unwrap();
            world.text(name)
        });
        let holder = Holder::start(&world, &files);
        let (id, complete) = world.back_up();
        drop(holder);
        assert!(
            complete,
            "a leased file was left out (useRsync {use_rsync})"
        );
        for file in &files {
            let stored = world.stored("latest").join(file.trim_start_matches('/'));
            assert_eq!(std::fs::read_to_string(stored).unwrap(), "leased");
        }
        world.check_snapshots(&[id]);
    }
}
