//! A web server on loopback that answers as it is told to and keeps what it was asked.
#![allow(dead_code, reason = "two suites share it, and neither uses all of it")]

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// What a server does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// Answers with this status.
    Status(u16),
    /// Reads it and never answers.
    Silence,
    /// Says something that is not HTTP.
    Nonsense,
}

/// What a server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) what: String,
    /// `name: value` lines, names in lower case.
    pub(crate) headers: Vec<String>,
    /// The body.
    pub(crate) body: String,
}

/// A server that runs until the tests end.
pub(crate) struct Server {
    /// Its port on loopback.
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// What a connection is wrapped in.
type Wrap = Box<dyn Fn(TcpStream) -> Box<dyn Stream> + Send>;

/// A stream that can be read and written.
pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Server {
    /// A server that answers these in turn, and the last of them for ever.
    pub(crate) fn new(answers: &[Answer]) -> Self {
        Self::wrapped(answers, Box::new(|stream| Box::new(stream)))
    }

    /// The same behind something else, such as TLS.
    pub(crate) fn wrapped(answers: &[Answer], wrap: Wrap) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut answers = VecDeque::from(answers.to_vec());
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = wrap(stream.unwrap());
                // Whoever does not like the certificate goes away.
                let Some(one) = read(&mut stream) else {
                    continue;
                };
                kept.lock().unwrap().push(one);
                let answer = answers[0];
                if answers.len() > 1 {
                    answers.pop_front();
                }
                let text = match answer {
                    Answer::Status(code @ 300..=399) => {
                        format!("HTTP/1.1 {code} X\r\nLocation: http://127.0.0.1:{port}/else\r\n")
                    }
                    Answer::Status(code) => format!("HTTP/1.1 {code} X\r\n"),
                    Answer::Nonsense => "SSH-2.0-server\r\n".to_owned(),
                    Answer::Silence => {
                        silent.push(stream);
                        continue;
                    }
                };
                let rest = "Content-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(format!("{text}{rest}").as_bytes());
                let _ = stream.flush();
            }
        });
        Self { port, asked }
    }

    /// Its address with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it was asked until now.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Method and path of each request until now.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|one| one.what).collect()
    }
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let first = lines.next().unwrap();
    let what = first.strip_suffix(" HTTP/1.1").unwrap().to_owned();
    let headers: Vec<String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| format!("{}: {}", name.to_lowercase(), value.trim()))
        .collect();
    let length = headers
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Asked {
        what,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}
