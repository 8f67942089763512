//! Uploads to WebDAV and SFTP servers on loopback, with their requests counted.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    lab::{HOST, Lab, contents, id},
    uploads::fill,
};

/// A server of rclone, which ends with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    fn start(lab: &Lab, protocol: &str, port: u16, more: &[&str]) -> Self {
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("rclone");
        command
            .args(["serve", protocol])
            .arg(lab.path("far"))
            .args(["--addr", &address, "--config", "/dev/null"])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Self(command.spawn().unwrap());
        let begun = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "the server does not answer"
            );
            thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

/// Passes everything on to a server, and counts the requests of HTTP.
fn counting_proxy(to: u16) -> (u16, Arc<AtomicUsize>) {
    const SIGN: &[u8] = b" HTTP/1.1\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let pass = |mut from: TcpStream, mut to: TcpStream, count: Option<Arc<AtomicUsize>>| {
        let mut buffer = vec![0; 64 << 10];
        // What may be the beginning of the sign in the next piece.
        let mut kept: Vec<u8> = Vec::new();
        while let Ok(read) = from.read(&mut buffer) {
            if read == 0 || to.write_all(&buffer[..read]).is_err() {
                break;
            }
            if let Some(count) = &count {
                kept.extend_from_slice(&buffer[..read]);
                let found = kept
                    .windows(SIGN.len())
                    .filter(|piece| *piece == SIGN)
                    .count();
                count.fetch_add(found, Ordering::Relaxed);
                kept.drain(..kept.len().saturating_sub(SIGN.len() - 1));
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    };
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                continue;
            };
            let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let counted = Arc::clone(&counted);
            thread::spawn(move || pass(client, server, Some(counted)));
            thread::spawn(move || pass(forth, back, None));
        }
    });
    (port, count)
}

#[test]
fn webdav_is_asked_once_where_nothing_changed() {
    let Some(mut lab) = Lab::new("served") else {
        return;
    };
    let port = free_port();
    let _server = Server::start(&lab, "webdav", port, &[]);
    let (port, count) = counting_proxy(port);
    lab.remote = format!(":webdav,url='http://127.0.0.1:{port}',vendor=other:{HOST}");
    for number in 0..100 {
        lab.write(1, format!("home/{number}"), format!("paper {number}\n"));
    }
    let sealed = lab.seal(1);
    assert_eq!(lab.upload_sealed(1, &sealed).unwrap().objects, 100);
    count.store(0, Ordering::Relaxed);
    assert!(!lab.upload_sealed(1, &sealed).unwrap().is_new);
    let asked = count.swap(0, Ordering::Relaxed);
    assert!((1..=3).contains(&asked), "{asked} requests");
    // Another manifest with the same contents: as many requests, whatever there is.
    std::fs::rename(lab.tree(1), lab.tree(2)).unwrap();
    std::fs::rename(lab.tree(2).join("home"), lab.tree(2).join("house")).unwrap();
    let moved = lab.upload(2);
    assert_eq!((moved.is_new, moved.objects), (true, 0));
    let asked = count.swap(0, Ordering::Relaxed);
    assert!(asked <= 16, "{asked} requests");
    lab.cache = "new".to_owned();
    let (brought, tree) = lab.fetch(None, &[""]);
    assert_eq!(
        (brought.id, brought.files, brought.missing),
        (id(2), 100, 0)
    );
    assert_eq!(contents(&tree), contents(&lab.tree(2)));
}

#[test]
fn sftp_takes_objects_and_gives_them_back() {
    let Some(mut lab) = Lab::new("served") else {
        return;
    };
    let port = free_port();
    let _server = Server::start(&lab, "sftp", port, &["--user", "u", "--pass", "p"]);
    let obscured = Command::new("rclone")
        .args(["obscure", "p"])
        .output()
        .unwrap();
    let password = String::from_utf8(obscured.stdout).unwrap();
    lab.remote = format!(
        ":sftp,host=127.0.0.1,port={port},user=u,pass={}:{HOST}",
        password.trim()
    );
    fill(&lab, 1);
    assert_eq!(lab.upload(1).objects, 3);
    fill(&lab, 2);
    lab.write(2, "home/new", "new\n");
    assert_eq!(lab.upload(2).objects, 1);
    lab.cache = "new".to_owned();
    let (brought, tree) = lab.fetch(None, &[""]);
    assert_eq!((brought.files, brought.missing), (5, 0));
    assert_eq!(contents(&tree), contents(&lab.tree(2)));
}
