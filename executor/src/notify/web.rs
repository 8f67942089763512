//! Requests to web servers: one try, its time, and what the answer means.
//!
//! No redirect is followed: a POST would lose its body on the way, and a secret header would go to
//! whoever the server names. Certificates are judged by the system's roots, so that a private
//! authority that the machine trusts is trusted here. Errors name the host only, because the rest
//! of an address may be a secret.

use std::{sync::Arc, time::Duration};

use ureq::{
    Agent, Error,
    http::StatusCode,
    tls::{RootCerts, TlsConfig},
};

use super::{
    attempt::{Failure, Tried},
    secret::Address,
};
use crate::{error::system_reason, threads};

/// A request with a body.
pub(super) struct Post<'a> {
    /// The address.
    pub(super) address: Address<'a>,
    /// Name and value of each header.
    pub(super) headers: Vec<(String, String)>,
    /// What is sent.
    pub(super) body: Vec<u8>,
}

/// Sends it once. Anything but a success of the server is a failure.
pub(super) fn post_request(post: &Post<'_>, limit: Duration) -> Tried {
    // Names are looked up on a thread of its own.
    threads::can_start_thread().map_err(|error| {
        Failure::passing(
            format!("cannot be asked: {}", error.message),
            error.hint.unwrap_or_default(),
        )
    })?;
    let address = &post.address;
    let mut request = web_agent(limit).post(address.url.as_ref());
    for (name, value) in &post.headers {
        request = request.header(name, value);
    }
    let tried = match request.send(&post.body) {
        Ok(answer) => judge_response(answer.status(), address.option, &address.named()),
        Err(error) => Err(web_failure(&error, &address.named(), limit)),
    };
    tried.map_err(|failure| address.conceal(failure))
}

fn web_agent(limit: Duration) -> Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("backup/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent()
}

/// What a status means (RFC 9110, section 15).
fn judge_response(status: StatusCode, option: &str, address: &str) -> Tried {
    let code = status.as_u16();
    let because = match status.canonical_reason() {
        Some(phrase) => format!("answered {code} {phrase}"),
        None => format!("answered {code}"),
    };
    match code {
        200..=299 => Ok(None),
        300..=399 => Err(Failure::lasting(
            format!("{because}, which leads elsewhere"),
            format!("set {address} to the address where the server answers itself"),
        )),
        401 | 403 | 407 => Err(Failure::lasting(
            because,
            format!("see whether the secret file of {option} holds what the server expects"),
        )),
        // Too slow, too early or too often: another time may do.
        408 | 425 | 429 => Err(Failure::passing(
            because,
            format!("see whether the server of {option} limits how often it is asked"),
        )),
        500..=599 => Err(Failure::passing(
            because,
            format!("see what is wrong with the server of {option}"),
        )),
        _ => Err(Failure::lasting(
            because,
            format!("see whether {address} is the whole address"),
        )),
    }
}

/// What an error means; `address` is the key that gave the address.
fn web_failure(error: &Error, address: &str, limit: Duration) -> Failure {
    let network = format!("see whether the machine is online and {address} is right");
    match error {
        Error::Timeout(_) => {
            let because = format!("did not answer within {} s", limit.as_secs());
            Failure::passing(because, network)
        }
        Error::HostNotFound => Failure::passing("connection failed: no such host", network),
        Error::Io(error) => {
            // A certificate that is not accepted comes wrapped in an error of the connection.
            match error.get_ref().and_then(|inner| certificate_fault(inner)) {
                Some(fault) => untrusted_failure(&fault, address),
                None => Failure::passing(
                    format!("connection failed: {}", system_reason(error)),
                    network,
                ),
            }
        }
        Error::Rustls(fault) => untrusted_failure(&fault.to_string(), address),
        Error::Tls(fault) => untrusted_failure(fault, address),
        Error::Protocol(_) | Error::LargeResponseHeader(..) => {
            let hint = format!("see whether {address} is the address of a web server");
            Failure::lasting("answered in another language than HTTP", hint)
        }
        Error::Http(_) | Error::BadUri(_) => {
            let hint = format!("see whether {address} and its headers are well formed");
            Failure::lasting("cannot be asked: the request is malformed", hint)
        }
        Error::InvalidProxyUrl | Error::ConnectProxyFailed(_) => Failure::passing(
            "connection failed: the proxy does not serve",
            "see the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
        ),
        _ => Failure::passing("connection failed", network),
    }
}

/// What rustls says, if it is rustls that speaks.
fn certificate_fault(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(fault) = error.downcast_ref::<rustls::Error>() {
            return Some(fault.to_string());
        }
        at = error.source();
    }
    None
}

fn untrusted_failure(fault: &str, address: &str) -> Failure {
    Failure::lasting(
        format!("connection failed: no secure connection: {fault}"),
        format!(
            "see whether the machine trusts the certificate of the server in {address}, and \
             its clock is right"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let again = |code: u16| {
            let status = StatusCode::from_u16(code).unwrap();
            judge_response(status, "notifications.ntfy", "notifications.ntfy.url")
                .err()
                .map(|it| it.again)
        };
        assert_eq!(again(200), None);
        assert_eq!(again(204), None);
        for lasting in [301, 307, 400, 401, 404, 413] {
            assert_eq!(again(lasting), Some(false), "{lasting}");
        }
        for passing in [408, 429, 500, 503] {
            assert_eq!(again(passing), Some(true), "{passing}");
        }
    }
}
