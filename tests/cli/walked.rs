//! The commands of all pages, as they stand there: each block that needs nothing is run by bash, as root on a
//! machine of its own, whose disk is at /mnt/backup.

use std::{fs, path::Path, process::Command};

use test_support::{is_missing, read_pages};

use crate::lab::{Lab, PROGRAM, run_command};

/// Makes the machine, and runs the blocks in it. What is mounted goes with its namespace.
const MACHINE: &str = r##"
set -euo pipefail
program=$1 lab=$2
hostname atlas
mkdir "$lab/etc"
cp -a /etc/. "$lab/etc/"
empty() { mount -t tmpfs -o "mode=${2:-755}" empty "$1"; }
empty /usr/local
mkdir -p /usr/local/bin /usr/local/lab
touch /usr/local/bin/backup
mount --bind "$program" /usr/local/bin/backup
mount --bind "$lab" /usr/local/lab
printf '#!/bin/sh\nexec "$@"\n' >/usr/local/bin/sudo
chmod +x /usr/local/bin/sudo
for folder in /etc /home /mnt /root /var/lib /var/log; do empty "$folder"; done
for folder in /tmp /var/tmp; do empty "$folder" 1777; done
cp -a /usr/local/lab/etc/. /etc/
rm -rf /etc/backup
mkdir -p /mnt/backup /home/ann/Documents /home/ann/node_modules
mount -t tmpfs -o mode=755,size=12g disk /mnt/backup
echo 'dear all' >/home/ann/letter.txt
echo 'not really' >/home/ann/photo.jpg
echo 'first this' >/home/ann/Documents/plan.txt
export PATH=/usr/local/bin:$PATH HOME=/root
unset TMPDIR
cd /root
for block in /usr/local/lab/blocks/*; do
    status=0
    bash -euo pipefail "$block" >/usr/local/out 2>&1 </dev/null || status=$?
    if [ "$status" != 0 ]; then
        cat "$block"
        echo "ended with $status:"
        cat /usr/local/out
        exit 1
    fi
done
"##;

#[test]
fn the_commands_of_all_pages_do_what_they_say_as_they_stand_there() {
    let name = "the_commands_of_all_pages_do_what_they_say";
    if is_missing(name, &["unshare", "hostname", "bash", "mkfs.ext4"], true) {
        return;
    }
    let lab = Lab::new();
    let blocks = lab.path("blocks");
    fs::create_dir(&blocks).unwrap();
    let mut pages = read_pages(Path::new(env!("CARGO_MANIFEST_DIR")));
    // The first page sets up what the others look at.
    pages.sort_by_key(|page| page.name != "README.md");
    let runnable = pages.iter().flat_map(|page| {
        let blocks = page.blocks().into_iter();
        blocks
            .filter(|block| block.language == "sh" && block.needs.is_empty())
            .map(|block| format!("# {}:{}\n{}", page.name, block.line, block.text))
    });
    let mut count = 0;
    for text in runnable {
        fs::write(blocks.join(format!("{count:03}")), text).unwrap();
        count += 1;
    }
    assert!(count >= 10, "only {count} blocks are run");
    let mut machine: Command = lab.bare("unshare");
    machine
        .args(["--mount", "--uts", "--propagation", "private"])
        .args(["bash", "-c", MACHINE, "machine", PROGRAM])
        .arg(lab.text(""));
    run_command(machine, &["unshare"]).expect(0);
}
