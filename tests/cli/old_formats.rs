//! What earlier versions of the program left is read, continued and rotated by this one: disks, remotes and state
//! directories as they stood then, in tests/format/old, which tests/format/make made with the program of that day.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use test_support::{is_missing, run_tool};
use walkdir::WalkDir;

use crate::{
    lab::{Lab, PROGRAM, entry_names, skip},
    mounted::in_namespace,
};

/// The repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Fixtures whose killed run may be begun anew, in the folder that it had begun: in plans of before the first
/// release steps, those of remotes last of all, had other words.
const BEGUN_ANEW: [&str; 3] = ["1-first", "2-mirror-of-attempts", "6-several-destinations"];

/// The fixtures' names.
fn fixtures() -> Vec<String> {
    let names = entry_names(&Path::new(ROOT).join("tests/format/old")).into_iter();
    let names = names.filter_map(|name| name.strip_suffix(".tar.zst").map(str::to_owned));
    let names: Vec<String> = names.collect();
    assert!(names.len() > 1, "{names:?}");
    names
}

fn fixture(name: &str) -> PathBuf {
    Path::new(ROOT).join(format!("tests/format/old/{name}.tar.zst"))
}

/// What is done with a fixture, where it was made: below /mnt, on the same machine. An id in `nights` has beside it
/// what the sources were then.
const STORY: &str = r#"
mount -t tmpfs -o mode=755 none /mnt
cd /mnt
zstd -dcq "$fixture" | tar -xpf -
mkdir log user
: >came_back
mount --bind machine-id /etc/machine-id
disk=disk/atlas
b() { "$program" "$@" --config config.json --state-dir state --log-dir log; }
ok() { "$@" >said 2>&1 || { code=$?; cat said; echo "exit $code: $*"; exit 1; }; }
same() { rsync -aHAXnci --delete --numeric-ids --modify-window=-1 "$1/" "$2/" >said
  [ ! -s said ] || { cat said; echo "$1 and $2 differ"; exit 1; }; }
# Everything is listed, whole and comes back as it was, by the program and by whoever knows the page alone.
all_read() {
  ok b verify --all
  ok python3 "$reader" check "$disk"
  b list --json >list
  for id in $(ls $disk/.backup/snapshots); do
    grep -q "$id" list || { echo "$id is not listed"; exit 1; }
    # What came back in the first round is verified in the second.
    ! grep -q "^$id$" came_back || continue
    echo "$id" >>came_back
    rm -rf back by-page
    ok b restore "$id" /mnt/home back
    ok python3 "$reader" restore "$disk" "$id" /mnt/home by-page
    same "nights/$id" back
    same "nights/$id" by-page
  done
  [ "$(find $disk -maxdepth 2 -mindepth 2 -type d -path '*ly/*' | wc -l)" = "$(ls $disk/.backup/snapshots | wc -l)" ]
  [ -z "$(ls $disk/.backup/partial $disk/.backup/trash 2>/dev/null | grep '^2025')" ]
  ok b find letter.txt
  if [ -d far/mirror ]; then
    ok b verify --cloud --full
    rm -rf back; ok b restore --from cloud latest /mnt/home back
    same "nights/$(readlink $disk/latest | sed 's,.*/,,')" back
  fi
  if [ -d usb/atlas ]; then
    ok b verify --destination usb --all
    ok python3 "$reader" check usb/atlas
  fi
  if [ -d far/history ]; then
    ok b verify --destination b2 --full
    ok python3 "$reader" check far/history/Backups/atlas
  fi
}
night() { rm -rf "nights/$2"; cp -a home "nights/$2"; ok b apply --now "$1"; }

# The killed run stands there; who only looks is told.
partial=$(ls $disk/.backup/partial)
ok b plan --now 2025-02-09T03:00:00+00:00
b status >status
b list >list
for id in $(ls nights | grep -v "$partial"); do
  if [ -d $disk/.backup/snapshots/$id ]; then grep -q "$id" list; fi
done

# It is continued, or begun anew where it cannot be; what did not change is linked.
cp -a home nights/2025-02-09_03-00-00
ok b apply --now 2025-02-09T03:00:00+00:00
newest=$(readlink $disk/latest | sed 's,.*/,,')
case $newest in
"$partial")
  for run in state/runs/*; do
    [ -e $run/report.json ] || { echo "$run did not end"; exit 1; }
  done
  echo "continued: the run" ;;
2025-02-09_03-00-00)
  grep -q "the unfinished snapshot $partial is continued" said
  echo "continued: the snapshot" ;;
*) echo "latest is $newest"; exit 1 ;;
esac
linked=$(sed -n 's/.*"files_linked": *\([0-9]*\).*/\1/p' $disk/.backup/snapshots/$newest/snapshot.json)
[ "$linked" -ge 3 ] || { echo "only $linked files are linked"; exit 1; }
all_read

# Nights go on, and what the policy lets go goes.
echo more >home/more.txt; night 2025-02-10T02:00:00+00:00 2025-02-10_02-00-00
echo even more >home/more.txt; night 2025-02-16T02:00:00+00:00 2025-02-16_02-00-00
rm home/more.txt; night 2025-02-17T02:00:00+00:00 2025-02-17_02-00-00
all_read
for gone in 2025-02-02_02-00-00 2025-02-08_02-00-00; do
  [ ! -e $disk/.backup/snapshots/$gone ] || { echo "$gone is still there"; exit 1; }
done
for kept in 2025-02-01_02-00-00 2025-02-10_02-00-00 2025-02-16_02-00-00 2025-02-17_02-00-00; do
  [ -e $disk/.backup/snapshots/$kept ] || { echo "$kept is gone"; exit 1; }
done
echo "snapshots: $(ls $disk/.backup/snapshots | tr '\n' ' ')"
"#;

#[test]
fn what_each_earlier_version_left_is_read_continued_and_rotated() {
    let test = "what_each_earlier_version_left_is_read_continued_and_rotated";
    let tools = ["zstd", "tar", "rsync", "python3", "rclone", "unshare"];
    if is_missing(test, &tools, true) {
        return;
    }
    if !Path::new("/etc/machine-id").exists() {
        return skip(&format!("{test} because this machine has no id"));
    }
    // They mostly wait for programs.
    std::thread::scope(|scope| {
        for name in fixtures() {
            scope.spawn(move || goes_on(&name));
        }
    });
}

/// Runs the story with a fixture.
#[track_caller]
fn goes_on(name: &str) {
    let reader = Path::new(ROOT).join("examples/reader/reader.py");
    let places = format!(
        "export TZ=UTC LC_ALL=C.UTF-8\nprogram='{PROGRAM}' fixture='{}' reader='{}'\n",
        fixture(name).display(),
        reader.display()
    );
    let Some(ran) = in_namespace(&Lab::new(), &format!("{places}{STORY}")) else {
        return;
    };
    assert_eq!(ran.code, 0, "{name}: {ran}");
    let continued = match BEGUN_ANEW.contains(&name) {
        true => "continued: ",
        false => "continued: the run",
    };
    ran.says(continued).says("snapshots: ");
}

/// Which versions of which document are in the fixtures.
fn versions(test: &str) -> Option<BTreeMap<&'static str, BTreeSet<u64>>> {
    if is_missing(test, &["zstd", "tar"], false) {
        return None;
    }
    let mut found: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for name in fixtures() {
        let folder = tempfile::tempdir().unwrap();
        let unpack = "zstd -dcq \"$1\" | tar -C \"$2\" --no-same-owner -xf -";
        let file = fixture(&name);
        let words: [&std::ffi::OsStr; 5] = [
            "-c".as_ref(),
            unpack.as_ref(),
            "sh".as_ref(),
            file.as_os_str(),
            folder.path().as_os_str(),
        ];
        run_tool("sh", words);
        for entry in WalkDir::new(folder.path()) {
            let path = entry.unwrap().into_path();
            if let Some(document) = document(&path) {
                found.entry(document).or_default().insert(version(&path));
            }
        }
    }
    Some(found)
}

/// What kind of document a file is, by where it stands; none without a version of its own.
fn document(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    let below = |folder: &str| path.to_str().is_some_and(|path| path.contains(folder));
    Some(match name {
        "destination.json" if below("/disk/atlas/.backup/") => "destination",
        "snapshot.json" if below("/disk/atlas/.backup/") => "snapshot",
        "plan.json" => "plan",
        "inventory.json" => "inventory",
        "report.json" => "report",
        "health.json" => "health",
        "journal.jsonl" => "journal",
        _ if below("/far/mirror/") && name.starts_with("uploaded-") => "upload",
        _ if below("/far/history/") && below("/records/2025-") => "upload with history",
        _ => return None,
    })
}

fn version(path: &Path) -> u64 {
    let text = fs::read_to_string(path).unwrap();
    let (text, key) = match path.ends_with("journal.jsonl") {
        true => (text.lines().next().unwrap(), "v"),
        false => (&*text, "format_version"),
    };
    let document: Value = serde_json::from_str(text).unwrap();
    let version = document[key].as_u64();
    version.unwrap_or_else(|| panic!("{} has no version", path.display()))
}

#[test]
fn there_is_a_fixture_of_every_version_that_is_written() {
    let Some(found) = versions("there_is_a_fixture_of_every_version") else {
        return;
    };
    let written = [
        ("destination", schema::record::FORMAT_VERSION),
        ("snapshot", schema::record::SNAPSHOT_FORMAT_VERSION),
        ("plan", schema::plan::FORMAT_VERSION),
        ("inventory", schema::inventory::FORMAT_VERSION),
        ("report", schema::journal::REPORT_FORMAT_VERSION),
        ("journal", schema::journal::FORMAT_VERSION),
        ("health", schema::health::FORMAT_VERSION),
        ("upload", schema::cloud::FORMAT_VERSION),
        (
            "upload with history",
            schema::remote_history::FORMAT_VERSION,
        ),
    ];
    for (document, newest) in written {
        let all: BTreeSet<u64> = (1..=newest.into()).collect();
        assert_eq!(
            found.get(document),
            Some(&all),
            "tests/format/old has not every version of the {document}: \
             make one with `tests/format/make`, as CONTRIBUTING.md says"
        );
    }
}
