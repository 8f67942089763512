//! A line to a server of HTTP on loopback that does what bad lines and bad servers do: it counts requests,
//! answers some by itself, breaks off, and holds answers back.

#![allow(
    clippy::disallowed_methods,
    reason = "a test ends where no thread can be started"
)]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
};

use crate::wait_for;

/// Longest head of a request.
const LONGEST_HEAD: usize = 64 << 10;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server answers it.
    Passed,
    /// It is lost on the way: the server never sees it.
    Lost,
    /// The server does what it asks for, and the answer is lost.
    Unanswered,
    /// The server does what it asks for, and the answer waits until [`HttpProxy::release`].
    Held,
    /// The server never sees it; this status is the answer.
    Answered(u16),
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT` and the like.
    pub method: String,
    /// Path on the server, as it was sent.
    pub path: String,
    /// The status that the client was sent; none where no answer came to it.
    pub status: Option<u16>,
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:?}", self.method, self.path, self.status)
    }
}

type Rule = Arc<dyn Fn(usize, &Request) -> Fate + Send + Sync>;

/// What all connections share.
struct Shared {
    /// The server's port.
    to: u16,
    state: Mutex<State>,
    released: Condvar,
}

struct State {
    rule: Rule,
    requests: Vec<Request>,
    /// Counted on by each reset: answers to requests of before are not noted.
    period: usize,
    held: usize,
    is_released: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// The line. Its threads end with the process of the test.
pub struct HttpProxy {
    port: u16,
    shared: Arc<Shared>,
}

impl HttpProxy {
    /// A line to the server of this port, on a port of its own.
    #[must_use]
    pub fn new(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            to,
            state: Mutex::new(State {
                rule: Arc::new(|_, _| Fate::Passed),
                requests: Vec::new(),
                period: 0,
                held: 0,
                is_released: false,
            }),
            released: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&own);
                thread::spawn(move || serve(client, &shared));
            }
        });
        Self { port, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Counts from 1 on again, and has this say what becomes of the nth request.
    pub fn set(&self, rule: impl Fn(usize, &Request) -> Fate + Send + Sync + 'static) {
        let mut state = self.shared.state();
        state.rule = Arc::new(rule);
        state.requests.clear();
        state.period += 1;
        state.held = 0;
        state.is_released = false;
    }

    /// The same for a line without faults.
    pub fn mend(&self) {
        self.set(|_, _| Fate::Passed);
    }

    /// The requests since it was set.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Waits until an answer is held back.
    #[track_caller]
    pub fn wait_until_held(&self) {
        wait_for("a request that is held", || self.is_holding());
    }

    /// Whether an answer is held back.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.shared.state().held > 0
    }

    /// Lets held answers go on.
    pub fn release(&self) {
        self.shared.state().is_released = true;
        self.shared.released.notify_all();
    }
}

/// Reads a request's head, with what came of its body meanwhile.
fn read_head(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let (mut bytes, mut buffer) = (Vec::new(), [0; 8 << 10]);
    loop {
        if let Some(at) = bytes.windows(END.len()).position(|piece| piece == END) {
            let body = bytes.split_off(at + END.len());
            return Some((String::from_utf8(bytes).ok()?, body));
        }
        let read = client.read(&mut buffer).ok()?;
        if read == 0 || bytes.len() > LONGEST_HEAD {
            return None;
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}

/// The head, but that the connection ends with the answer: so each connection has one request.
fn only_one(head: &str) -> String {
    let is_kept = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:");
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").filter(is_kept).collect();
    lines.push("Connection: close\r\n\r\n");
    lines.join("\r\n")
}

fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.nth(1)?.parse().ok()
}

fn serve(mut client: TcpStream, shared: &Shared) {
    let Some((head, body)) = read_head(&mut client) else {
        return;
    };
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let request = Request {
        method: word(),
        path: word(),
        status: None,
    };
    let (fate, at, period) = {
        let mut state = shared.state();
        state.requests.push(request.clone());
        let (at, rule) = (state.requests.len(), Arc::clone(&state.rule));
        (rule(at, &request), at, state.period)
    };
    let note = |status: Option<u16>| {
        let mut state = shared.state();
        if state.period == period {
            state.requests[at - 1].status = status;
        }
    };
    match fate {
        Fate::Lost => {}
        Fate::Answered(status) => {
            let forth = client.try_clone().unwrap();
            let all = thread::spawn(move || std::io::copy(&mut &forth, &mut std::io::sink()));
            let reason = match status {
                403 => "Forbidden",
                500 => "Internal Server Error",
                _ => "No",
            };
            let answer = format!(
                "HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            note(Some(status));
            let _ = client.write_all(answer.as_bytes());
            let _ = client.shutdown(Shutdown::Write);
            // An answer that ends before the request was read is lost.
            let _ = all.join();
        }
        Fate::Passed => pass(
            &client,
            shared.to,
            (&head, &body),
            &mut |piece, is_first| {
                if is_first {
                    note(status_of(piece));
                }
                (&client).write_all(piece).is_ok()
            },
        ),
        Fate::Unanswered => pass(&client, shared.to, (&head, &body), &mut |_, _| true),
        Fate::Held => {
            let mut answer = Vec::new();
            pass(&client, shared.to, (&head, &body), &mut |piece, _| {
                answer.extend_from_slice(piece);
                true
            });
            let mut state = shared.state();
            state.held += 1;
            while state.period == period && !state.is_released {
                state = shared.released.wait(state).unwrap();
            }
            drop(state);
            note(status_of(&answer));
            let _ = client.write_all(&answer);
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// Passes a request on, and each piece of the answer to `answer`, until that says that it is enough.
fn pass(
    client: &TcpStream,
    to: u16,
    (head, body): (&str, &[u8]),
    answer: &mut dyn FnMut(&[u8], bool) -> bool,
) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)) else {
        return;
    };
    let head = only_one(head);
    if server.write_all(head.as_bytes()).is_err() || server.write_all(body).is_err() {
        return;
    }
    let (forth, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut &forth, &mut into));
    let (mut buffer, mut is_first) = ([0; 32 << 10], true);
    while let Ok(read) = server.read(&mut buffer) {
        if read == 0 || !answer(&buffer[..read], is_first) {
            break;
        }
        is_first = false;
    }
    let _ = server.shutdown(Shutdown::Both);
}
