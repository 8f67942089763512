//! rclone's configuration: it gets a private copy, what it saves of its credentials is kept, and nothing
//! of it is told.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use crate::{
    cloud::{lab, remote},
    lab::{HOST, Lab, Ran, run_command, skip},
};

const FIRST: &str = "2025-03-05T02:00:00+01:00";
const SECOND: &str = "2025-03-06T02:00:00+01:00";
const THIRD: &str = "2025-03-07T02:00:00+01:00";

/// A configuration with this token.
fn config(lab: &Lab, token: &str) -> String {
    let far = lab.path("far");
    format!(
        "# made by hand\n[proton]\ntype = alias\nremote = {}\ntoken = {{\"access_token\":\"{token}\"}}\n",
        far.display()
    )
}

/// Puts an rclone before the real one that renews the token in its configuration, as one that talks to
/// Google Drive does, each time it is told to by a file `renew` that holds the new one.
fn renewing(lab: &Lab) {
    let body = format!(
        "umask 077; for word; do case $word in --config=*) file=${{word#--config=}};; esac; done\n\
         if [ -e '{renew}' ] && [ -n \"${{file:-}}\" ] && [ \"$1\" != listremotes ]; then\n\
           token=$(cat '{renew}'); rm '{renew}'\n\
           sed \"s/access_token\\\":\\\"[^\\\"]*/access_token\\\":\\\"$token/\" \"$file\" >\"$file.new\" && mv \"$file.new\" \"$file\"\n\
         fi\n\
         PATH=${{PATH#*:}} exec rclone \"$@\"",
        renew = lab.text("renew"),
    );
    fs::create_dir_all(lab.path("bin")).unwrap();
    lab.script("bin/rclone", &body);
}

/// A run with that rclone.
fn run(lab: &Lab, arguments: &[&str]) -> Ran {
    let mut command = lab.command(arguments);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", lab.text("bin")));
    run_command(command, arguments)
}

fn apply(lab: &Lab, now: &str) -> Ran {
    run(lab, &["apply", "--now", now])
}

/// The copies of the configuration that are in the state directory.
fn copies(lab: &Lab) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(lab.path("state"))
        .into_iter()
        .map(Result::unwrap);
    let copies = all.filter(|entry| entry.file_name() == "rclone.conf");
    copies.map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn a_token_that_rclone_renews_goes_into_the_configuration() {
    let Some((lab, current)) = lab("a_token_that_rclone_renews") else {
        return;
    };
    renewing(&lab);
    remote(&lab, &config(&lab, "token-one"));
    fs::set_permissions(lab.path("rclone.conf"), fs::Permissions::from_mode(0o400)).unwrap();
    lab.write("renew", "token-two");
    let ended = apply(&lab, FIRST).expect(0);
    assert!(current.exists());
    assert!(!ended.all().contains("token-"), "{ended}");
    let now = fs::read_to_string(lab.path("rclone.conf")).unwrap();
    assert_eq!(now, config(&lab, "token-two"));
    let mode = fs::metadata(lab.path("rclone.conf"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o400);
    for copy in copies(&lab) {
        let mode = fs::metadata(&copy).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", copy.display());
        let above = fs::metadata(copy.parent().unwrap()).unwrap();
        assert_eq!(above.permissions().mode() & 0o777, 0o700);
    }
    assert_eq!(copies(&lab).len(), 1);
    // By whichever verb it is renewed.
    lab.write("renew", "token-three");
    run(&lab, &["verify", "--cloud"]).expect(0);
    let now = fs::read_to_string(lab.path("rclone.conf")).unwrap();
    assert_eq!(now, config(&lab, "token-three"));
    lab.write("renew", "token-four");
    run(&lab, &["health", "--quick"]);
    let now = fs::read_to_string(lab.path("rclone.conf")).unwrap();
    assert_eq!(now, config(&lab, "token-four"));
}

#[test]
fn a_token_that_cannot_go_into_the_configuration_is_kept_until_that_has_a_newer_one() {
    let Some((lab, _)) = lab("a_token_that_cannot_go_into_the_configuration") else {
        return;
    };
    renewing(&lab);
    let original = config(&lab, "token-one");
    remote(&lab, &original);
    // What is made anew at each boot is as good as one that cannot be written.
    let made_anew = || remote(&lab, &original);
    lab.write("renew", "token-two");
    let seen = || {
        let copies = copies(&lab).into_iter();
        let mut texts = copies.map(|copy| fs::read_to_string(copy).unwrap());
        let text = texts.next().unwrap();
        text.lines().last().unwrap().to_owned()
    };
    apply(&lab, FIRST).expect(0);
    made_anew();
    apply(&lab, SECOND).expect(0);
    assert!(seen().contains("token-two"), "{}", seen());
    // A person who let rclone in anew has the newest one.
    remote(&lab, &config(&lab, "token-mine"));
    apply(&lab, THIRD).expect(0);
    assert!(seen().contains("token-mine"), "{}", seen());
    assert_eq!(
        fs::read_to_string(lab.path("rclone.conf")).unwrap(),
        config(&lab, "token-mine")
    );
    // Neither does a copy that somebody else wrote say what root runs.
    let copy = copies(&lab).remove(0);
    let evil = format!("{}ssh = {}\n", config(&lab, "token-mine"), lab.text("evil"));
    fs::write(&copy, evil).unwrap();
    apply(&lab, "2025-03-08T02:00:00+01:00").expect(0);
    assert!(!fs::read_to_string(&copy).unwrap().contains("evil"));
    assert!(
        !fs::read_to_string(lab.path("rclone.conf"))
            .unwrap()
            .contains("evil")
    );
}

#[test]
fn where_credentials_are_kept_is_said_once() {
    let test = "where_credentials_are_kept_is_said_once";
    if !nix::unistd::geteuid().is_root() {
        skip(&format!(
            "{test} because only root can make a folder immutable"
        ));
        return;
    }
    let Some((mut lab, _)) = lab(test) else {
        return;
    };
    renewing(&lab);
    fs::create_dir(lab.path("fixed")).unwrap();
    fs::write(lab.path("fixed/rclone.conf"), config(&lab, "token-one")).unwrap();
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(lab.path("fixed/rclone.conf"), private).unwrap();
    lab.set("cloud.configFile", lab.text("fixed/rclone.conf"));
    let attribute = |how: &str| {
        let mut chattr = std::process::Command::new("chattr");
        let changed = chattr.arg(how).arg(lab.path("fixed")).status();
        changed.is_ok_and(|status| status.success())
    };
    if !attribute("+i") {
        skip(&format!(
            "{test} because the file system has no immutable folders"
        ));
        return;
    }
    let told = |now: &str, token: &str| {
        lab.write("renew", token);
        apply(&lab, now).all().contains("renewed its credentials")
    };
    let first = told(FIRST, "token-two");
    let second = told(SECOND, "token-three");
    let kept = fs::read_to_string(copies(&lab).remove(0)).unwrap();
    attribute("-i");
    assert!(first && !second);
    assert!(kept.contains("token-three"), "{kept}");
    let fixed = lab.path("fixed/rclone.conf");
    assert_eq!(
        fs::read_to_string(&fixed).unwrap(),
        config(&lab, "token-one")
    );
    // As soon as it can be written it has the newest.
    apply(&lab, THIRD).expect(0).says("renewed its credentials");
    assert_eq!(
        fs::read_to_string(&fixed).unwrap(),
        config(&lab, "token-three")
    );
}

#[test]
fn what_rclone_says_of_its_configuration_is_told_to_nobody() {
    let Some((lab, _)) = lab("what_rclone_says_of_its_configuration") else {
        return;
    };
    let secret = "pass-S3cret-w0rd";
    let config = format!("[proton]\ntype = webdav\nurl = http://127.0.0.1:9/\npass = {secret}\n");
    remote(&lab, &config);
    // One that tells all that it knows, in the ways of its log and of others.
    fs::create_dir_all(lab.path("bin")).unwrap();
    let body = format!(
        "case $1 in version) echo 'rclone v1.75.2';; listremotes) echo proton:;; *)\n\
         echo '{{\"level\":\"error\",\"msg\":\"Failed: pass = {secret}\"}}' >&2\n\
         echo '2025/03/05 02:00:00 ERROR : :webdav,url=http://h/,pass={secret}: no' >&2\n\
         echo '{{\"level\":\"error\",\"msg\":\"x\",\"object\":\"a\"}}' >&2\n\
         echo '2025/03/05 02:00:00 Fatal error: config line 4: pass = {secret}' >&2; exit 1;; esac"
    );
    lab.script("bin/rclone", &body);
    let ended = [
        run(&lab, &["apply", "--now", FIRST, "--verbose"]).expect(1),
        run(&lab, &["health", "--quick"]),
        run(&lab, &["verify", "--cloud"]).expect(1),
        run(&lab, &["restore", "--from", "cloud", "--list"]).expect(1),
        run(&lab, &["status"]),
    ];
    assert!(
        ended[0]
            .all()
            .contains("Fatal error: config line 4: pass = ***"),
        "{}",
        ended[0]
    );
    for ended in &ended {
        assert!(!ended.all().contains("S3cret"), "{ended}");
    }
    // It stands in the copy alone.
    for entry in walkdir::WalkDir::new(lab.path("")) {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy();
        if entry.file_type().is_file() && name != "rclone.conf" && name != "rclone" {
            let text = fs::read(entry.path()).unwrap();
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains("S3cret"), "{}", entry.path().display());
        }
    }
}

#[test]
fn a_configuration_of_another_user_is_not_used() {
    let test = "a_configuration_of_another_user_is_not_used";
    if !nix::unistd::geteuid().is_root() {
        skip(&format!(
            "{test} because only root can give a file to another user"
        ));
        return;
    }
    let Some((lab, current)) = lab(test) else {
        return;
    };
    std::os::unix::fs::chown(lab.path("rclone.conf"), Some(64_001), None).unwrap();
    lab.run(&["check"]).says("rclone.conf");
    lab.at(FIRST, &["apply"])
        .expect_one_of(&[1, 4])
        .says("rclone.conf");
    assert!(!current.exists() && !lab.path("far/Backups").join(HOST).exists());
    let listed = lab.run(&["restore", "--from", "cloud", "--list"]);
    listed.expect_one_of(&[1, 4]).says("rclone.conf");
}
