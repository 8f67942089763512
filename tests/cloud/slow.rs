//! A server that is frozen is given up; one that is slow is not taken for frozen.

use std::{
    io::{Read, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    lab::{wait_for, wait_for_child},
    remote_lab::{Protocol, RemoteLab},
    rows::{BIG, at_once, day, message, write_big},
};

fn frozen(test: &str, protocol: Protocol) {
    let Some(mut far) = RemoteLab::new(test, protocol, false) else {
        return;
    };
    // A silence of ten seconds is borne.
    far.lab.set("cloud.timeout", "80s");
    far.lab.write("home/ann/small.txt", "small\n");
    far.backup(&day(1));
    far.lab.set("cloud.bandwidthLimit", "1M");
    let until = write_big(&far, "a");
    let child = far.started(&day(2));
    wait_for("the upload", || far.bytes_there() > until);
    far.freeze(true);
    wait_for_child(child, &["apply"])
        .expect(1)
        .says("connection failed")
        .says("the remote did not answer for 10 s")
        .hints("rclone --config=");
    far.freeze(false);
    // The local snapshot was made, and the run goes on with what is missing.
    let said = message(&far.backup(&day(2)));
    assert!(said.contains("1 file"), "{said}");
    let big = far.content(&far.current("home/ann/big.bin"));
    assert!(big == "a".repeat(BIG));
}

#[test]
fn a_server_that_freezes_is_given_up_and_a_slow_one_is_not() {
    let all: [(&str, fn()); 3] = [
        ("a_webdav_server_freezes", || {
            frozen("a_webdav_server_freezes", Protocol::Webdav)
        }),
        ("an_sftp_server_freezes", || {
            frozen("an_sftp_server_freezes", Protocol::Sftp)
        }),
        ("a_line_is_slow", slow),
    ];
    at_once(all);
}

/// Bytes a second that the slow line lets through.
const RATE: usize = 512 << 10;

/// Passes on what comes, at this many bytes a second if it is limited.
fn pass(mut from: TcpStream, mut to: TcpStream, rate: Option<usize>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            break;
        }
        if let Some(rate) = rate {
            thread::sleep(Duration::from_secs(1) * length as u32 / rate as u32);
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A slow line to this port; its own port.
fn slow_line(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
                continue;
            };
            let (back, forth) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            thread::spawn(move || pass(near, far, Some(RATE)));
            thread::spawn(move || pass(back, forth, None));
        }
    });
    own
}

fn slow() {
    let test = "a_line_is_slow";
    let Some(mut far) = RemoteLab::new(test, Protocol::Webdav, false) else {
        return;
    };
    // A silence of thirty seconds is borne; the upload takes longer than that.
    far.lab.set("cloud.timeout", "4m");
    far.connect_by(slow_line(far.port));
    far.lab.write("home/ann/big.bin", &"s".repeat(34 * RATE));
    let begun = Instant::now();
    message(&far.backup(&day(1)));
    assert!(begun.elapsed() > Duration::from_secs(30), "too fast a line");
    let big = far.content(&far.current("home/ann/big.bin"));
    assert!(big == "s".repeat(34 * RATE));
}
