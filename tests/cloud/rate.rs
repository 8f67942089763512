//! The limited rate of an upload.

use std::time::{Duration, Instant};

use crate::{
    lab::{wait_for, wait_for_child},
    remote_lab::{Protocol, RemoteLab},
    rows::{BIG, day},
};

#[test]
fn the_bandwidth_limit_is_kept() {
    let test = "the_bandwidth_limit_is_kept";
    let Some(mut far) = RemoteLab::new(test, Protocol::Webdav, false) else {
        return;
    };
    far.backup(&day(1));
    far.lab.write("home/ann/big.bin", &"a".repeat(BIG));
    far.lab.set("cloud.bandwidthLimit", "1M");
    let before = far.bytes_there();
    let child = far.started(&day(2));
    wait_for("the first bytes", || far.bytes_there() > before + 1024);
    let begun = Instant::now();
    wait_for_child(child, &["apply"]).expect(0);
    // Three megabytes at one a second, less what was there when the first bytes were seen.
    let least = Duration::from_millis(1500);
    assert!(begun.elapsed() > least, "{:?}", begun.elapsed());
}
