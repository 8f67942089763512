//! Servers that hang or are slow in mid-transfer, and a limited rate.

use std::time::{Duration, Instant};

use crate::{
    far::{Far, Speaks},
    lab::{ended, wait_for},
    rows::{BIG, day, id, message},
};

#[test]
fn a_frozen_server_ends_the_copy_and_nothing_else() {
    let test = "a_frozen_server_ends_the_copy_and_nothing_else";
    let Some(mut far) = Far::new(test, Speaks::Webdav, false) else {
        return;
    };
    far.backup(&day(1));
    far.lab.write("home/ann/big.bin", &"a".repeat(BIG));
    far.lab.set("cloud.bandwidthLimit", "1M");
    // A quarter of it is the longest silence.
    far.lab.set("cloud.timeout", "60s");
    let until = far.bytes_there() + BIG as u64 / 4;
    let child = far.started(&day(2));
    wait_for("the upload", || far.bytes_there() > until);
    far.freeze(true);
    let begun = Instant::now();
    ended(child, &["apply"])
        .expect(1)
        .says("connection failed")
        .says("does not answer")
        .hints("rclone --config=");
    // Not by the end of its time.
    assert!(begun.elapsed() < Duration::from_secs(50));
    // The local backup stands.
    assert_eq!(far.lab.ids(), [id(1), id(2)]);
    assert!(far.lab.latest().ends_with(&id(2)));

    far.freeze(false);
    far.lab.set("cloud.timeout", "6h");
    let said = message(&far.backup(&day(3)));
    assert!(said.contains("1 file"), "{said}");
    let big = far.content(&far.current("home/ann/big.bin"));
    assert!(big == "a".repeat(BIG));
}

#[test]
fn a_slow_server_is_not_taken_for_a_frozen_one() {
    let test = "a_slow_server_is_not_taken_for_a_frozen_one";
    let Some(mut far) = Far::new(test, Speaks::Webdav, false) else {
        return;
    };
    far.backup(&day(1));
    far.stop();
    far.start_at(Some("2M"));
    far.lab.write("home/ann/big.bin", &"a".repeat(15 * BIG));
    // A quarter of it is the longest silence: shorter than the upload takes, and longer than the ten
    // megabytes take that the network's buffers hold, of which nobody hears.
    far.lab.set("cloud.timeout", "60s");
    let begun = Instant::now();
    let said = message(&far.backup(&day(2)));
    assert!(said.contains("1 file"), "{said}");
    assert!(begun.elapsed() > Duration::from_secs(16));
}

#[test]
fn the_bandwidth_limit_is_kept() {
    let test = "the_bandwidth_limit_is_kept";
    let Some(mut far) = Far::new(test, Speaks::Webdav, false) else {
        return;
    };
    far.backup(&day(1));
    far.lab.write("home/ann/big.bin", &"a".repeat(BIG));
    far.lab.set("cloud.bandwidthLimit", "1M");
    let before = far.bytes_there();
    let child = far.started(&day(2));
    wait_for("the first bytes", || far.bytes_there() > before + 1024);
    let begun = Instant::now();
    ended(child, &["apply"]).expect(0);
    // Three megabytes at one a second, less what was there when the first bytes were seen.
    let least = Duration::from_millis(1500);
    assert!(begun.elapsed() > least, "{:?}", begun.elapsed());
}
