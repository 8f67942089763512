//! A POST of the report as JSON, with headers from a file.

use std::time::Duration;

use schema::{Report, config::AbsolutePath};

use super::{
    attempt::{Failure, Tried},
    secret::{self, Address},
    web::{self, Post},
};

const OPTION: &str = "notifications.webhook";
const FILE_OPTION: &str = "notifications.webhook.headersFile";
/// Headers that say how the body is sent, which is not for others to say.
const OURS: [&str; 6] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "transfer-encoding",
    "upgrade",
];

/// Sends it.
pub(super) fn notify_by_webhook(
    url: Option<&str>,
    url_file: Option<&AbsolutePath>,
    headers_file: Option<&AbsolutePath>,
    report: &Report,
    limit: Duration,
) -> Tried {
    let address = Address::read(url, url_file, OPTION)?;
    let body = serde_json::to_vec(report)
        .map_err(|error| Failure::lasting(format!("got no report: {error}"), ""))?;
    let mut headers = match headers_file {
        Some(file) => parse_headers(&secret::read_secret(file, FILE_OPTION)?, file)?,
        None => Vec::new(),
    };
    if !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    let post = Post {
        address,
        headers,
        body,
    };
    web::post_request(&post, limit)
}

/// One `Name: value` a line; blank lines and those that start with `#` are left out. Names in lower
/// case.
fn parse_headers(text: &str, file: &AbsolutePath) -> Result<Vec<(String, String)>, Failure> {
    let mut headers = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line may be a secret, so only its number is told.
        let fault = |what: &str| {
            let line = index + 1;
            Failure::lasting(
                format!("is not told: line {line} of {file} ({FILE_OPTION}) {what}"),
                format!("write one `Name: value` a line into {file}"),
            )
        };
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| fault("is not `Name: value`"))?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        // Tokens of RFC 9110, section 5.6.2.
        let in_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(in_name) {
            return Err(fault("has no header's name before the `:`"));
        }
        if OURS.contains(&name.as_str()) {
            return Err(fault("sets a header that this program sets itself"));
        }
        if !value
            .chars()
            .all(|c| c.is_ascii_graphic() || c == ' ' || c == '\t')
        {
            return Err(fault("has a value that is not printable ASCII"));
        }
        headers.push((name, value.to_owned()));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_a_faulty_line_is_told_by_its_number_only() {
        let file = AbsolutePath::new("/run/keys/headers");
        let text = "# for the hook\n\nAuthorization: Bearer a:b\r\nX-Team:  ops \n";
        assert_eq!(
            parse_headers(text, &file).unwrap(),
            [
                ("authorization".to_owned(), "Bearer a:b".to_owned()),
                ("x-team".to_owned(), "ops".to_owned()),
            ]
        );
        for bad in [
            "s3cret",
            ": s3cret",
            "a b: s3cret",
            "Host: s3cret",
            "Content-Length: 3",
            "X: s3cret\u{7}",
            "X: gr\u{fc}n",
        ] {
            let fault = parse_headers(&format!("A: b\n{bad}\n"), &file).unwrap_err();
            assert!(fault.because.contains("line 2 of"), "{}", fault.because);
            let told = format!("{}{}", fault.because, fault.hint);
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
