//! A web server with a certificate of a private authority.

use std::{process::Command, sync::Arc};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::json;

use super::{
    lab,
    server::{Answer, Server},
};
use crate::lab::{Lab, is_installed, run_command, skip};

/// Makes an authority and a certificate for 127.0.0.1 in the lab.
fn certificates(lab: &Lab) {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(lab.path(""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    let new = ["req", "-newkey", "rsa:2048", "-nodes", "-subj"];
    openssl(
        &[
            &new[..],
            &[
                "/CN=authority",
                "-x509",
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
            ],
        ]
        .concat(),
    );
    openssl(
        &[
            &new[..],
            &["/CN=localhost", "-keyout", "key.pem", "-out", "request"],
        ]
        .concat(),
    );
    lab.write("names", "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
    openssl(&[
        "x509",
        "-req",
        "-in",
        "request",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "names",
        "-out",
        "cert.pem",
    ]);
}

fn server(lab: &Lab) -> Server {
    let certificate = CertificateDer::from_pem_file(lab.path("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(lab.path("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    Server::wrapped(
        &[Answer::Status(200)],
        Box::new(move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            Box::new(StreamOwned::new(connection, stream))
        }),
    )
}

#[test]
fn a_private_authority_is_trusted_if_the_machine_trusts_it_and_only_then() {
    if !is_installed("openssl") {
        skip("a_private_authority_is_trusted because there is no openssl");
        return;
    }
    let mut lab = lab();
    certificates(&lab);
    let server = server(&lab);
    let url = format!("https://127.0.0.1:{}/hook", server.port);
    lab.set("notifications.webhook", json!({ "url": url }));
    let test = |authority: &str| {
        let mut command = lab.command(&["notify-test"]);
        // Where OpenSSL's convention says that the machine's authorities are.
        command
            .env("SSL_CERT_FILE", lab.path(authority))
            .env("SSL_CERT_DIR", lab.path("none"));
        run_command(command, &["notify-test"])
    };
    test("ca.pem").expect(0).says("told webhook at 127.0.0.1");
    assert_eq!(server.paths(), ["POST /hook"]);

    certificates_of_another(&lab);
    test("other/ca.pem")
        .expect(1)
        .says("no secure connection")
        .hints("trusts the certificate");
    assert_eq!(server.paths().len(), 1);
}

/// An authority that signed nothing.
fn certificates_of_another(lab: &Lab) {
    std::fs::create_dir(lab.path("other")).unwrap();
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=other",
        ])
        .args(["-keyout", "other/ca.key", "-out", "other/ca.pem"])
        .current_dir(lab.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
