//! Files that stand under safe names on a drive, in the cloud and back.

use std::fs;

use crate::{
    cloud,
    lab::{Lab, entry_names, skip},
    mounted::in_namespace,
};

/// Files whose names no FAT file system holds, or takes for one.
const FILES: [(&str, &str); 6] = [
    ("plain", "plain"),
    ("README", "loud"),
    ("readme", "soft"),
    ("10:30 ?.txt", "time"),
    ("a:b/c", "in a folder"),
    ("a:b/d:e/f|g", "deeper"),
];

fn check(lab: &Lab, restored: &str) {
    for (name, text) in FILES {
        let path = lab.path(restored).join(name);
        let found = fs::read_to_string(&path);
        assert_eq!(found.ok().as_deref(), Some(text), "{}", path.display());
    }
}

#[test]
fn what_stands_under_safe_names_on_the_drive_comes_back_from_the_cloud_under_its_own() {
    let test = "what_stands_under_safe_names_on_the_drive_comes_back_from_the_cloud";
    let Some((mut lab, current)) = cloud::lab(test) else {
        return;
    };
    lab.set("cloud.syncMode", "sync");
    lab.set("local.requireMount", true);
    lab.set("local.allowFullCopies", true);
    lab.set("local.sources", vec![lab.text("odd")]);
    for (name, text) in FILES {
        lab.write(&format!("odd/{name}"), text);
    }
    let remote = current.join(lab.path("odd").strip_prefix("/").unwrap());
    let script = format!(
        "truncate -s 64M drive
         {{ mkfs.exfat drive && mount -t exfat-fuse -o loop drive \"$mnt\"; }} >/dev/null 2>&1 ||
             {{ mkfs.vfat drive && mount -o loop drive \"$mnt\"; }} >/dev/null 2>&1 || exit 77
         run() {{ backup apply --now \"2025-03-0$1T02:00:00+01:00\" --json >report$1.json; }}
         run 5
         ls \"{remote}\" >listed
         backup verify --cloud --full
         # Again, with nothing to do for what is there, and one that is new below a safe folder.
         printf new >'odd/a:b/new?'
         run 6
         backup verify --cloud --full
         umount \"$mnt\"
         backup restore --from cloud latest '{odd}' '{all}'
         backup restore --from cloud 2025-03-05 '{odd}/a:b' '{one}'",
        remote = remote.display(),
        odd = lab.text("odd"),
        all = lab.text("all"),
        one = lab.text("one"),
    );
    let Some(told) = in_namespace(&lab, &script) else {
        return;
    };
    if told.code == 77 {
        skip(&format!("{test} because no FAT file system can be mounted"));
        return;
    }
    let told = told.expect(0);
    check(&lab, "all");
    assert_eq!(fs::read_to_string(lab.path("all/a:b/new?")).unwrap(), "new");
    assert_eq!(entry_names(&lab.path("one")), ["c", "d:e"], "{told}");
    assert_eq!(
        fs::read_to_string(lab.path("one/d:e/f|g")).unwrap(),
        "deeper"
    );
    // On the remote they have the names of the drive, each once.
    let listed = fs::read_to_string(lab.path("listed")).unwrap();
    let listed: Vec<&str> = listed.lines().collect();
    assert_eq!(listed.len(), 5, "{listed:?}");
    assert!(!listed.iter().any(|name| name.contains(':')), "{listed:?}");
    let second = crate::lab::read_json(&lab.path("report6.json"));
    let copied = crate::lab::step_outcome(&second, "cloud-sync");
    let message = copied["message"].as_str().unwrap();
    assert!(message.contains("1 file (3 B) uploaded"), "{message}");
}
