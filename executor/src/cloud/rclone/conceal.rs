//! What rclone says, without what is secret in its configuration.
//!
//! Owns what counts as secret: values of its configuration and of its environment, by their keys; and
//! whatever looks like a password, a token or a signed address, wherever it comes from. Names of remotes,
//! hosts and folders stay, since a message without them is of no use.

use super::ini;

/// What stands in the place of a secret.
const CONCEALED: &str = "***";
/// Shorter values are in many a word that is no secret.
const SHORTEST: usize = 4;
/// From this length on a value is looked for within words as well.
const LONG: usize = 8;
/// From this length on a value is a secret unless its key is known for something else.
const TELLING: usize = 16;

/// Parts of keys whose values are secret.
const SECRET_WORDS: [&str; 14] = [
    "pass",
    "secret",
    "token",
    "auth",
    "bearer",
    "cred",
    "cookie",
    "signature",
    "private",
    "session",
    "mnemonic",
    "otp",
    "sas_url",
    "salt",
];
/// Keys whose values say where things are and how they are done.
const OPEN_KEYS: [&str; 26] = [
    "type",
    "remote",
    "upstreams",
    "provider",
    "vendor",
    "region",
    "endpoint",
    "location_constraint",
    "host",
    "url",
    "user",
    "username",
    "email",
    "scope",
    "env_auth",
    "storage_class",
    "server_side_encryption",
    "encoding",
    "description",
    "root_folder_id",
    "team_drive",
    "drive_id",
    "filename_encryption",
    "filename_encoding",
    "known_hosts_file",
    "directory_markers",
];

/// The secrets of one configuration.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// The values, the longest first.
    values: Vec<String>,
}

impl Secrets {
    /// Those of a configuration, and of the variables that are part of it.
    pub(super) fn of(config: &str) -> Self {
        let variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok()?;
                let rest = name.strip_prefix("RCLONE_CONFIG_")?;
                Some((rest.to_lowercase(), value.into_string().ok()?))
            })
            .collect();
        let variables = variables
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let values = ini::values(config)
            .into_iter()
            .map(|one| (one.key, one.value));
        Self::of_values(values.chain(variables))
    }

    fn of_values<'a>(values: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut found = Vec::new();
        for (key, value) in values {
            add_secrets(key, value, &mut found);
        }
        let encoded: Vec<String> = found.iter().map(|value| percent_encoded(value)).collect();
        found.extend(encoded);
        found.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        found.dedup();
        Self { values: found }
    }

    /// A text without them, and without what looks like one.
    pub(super) fn conceal(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = without_value(&text, value);
            }
        }
        let text = without_passwords(&text);
        schema::escape::display(without_assignments(&text).as_bytes())
    }
}

/// Whether the values of a key are secret.
fn is_secret_key(key: &str) -> bool {
    let key = key.to_lowercase();
    let is_key = key == "key"
        || key.starts_with("key_")
        || key.ends_with("apikey")
        || ["_key", "-key"].iter().any(|part| key.contains(part));
    (is_key || SECRET_WORDS.iter().any(|word| key.contains(word)))
        && !OPEN_KEYS.contains(&key.as_str())
}

/// What of a value is secret: all of it, or the texts in a token's JSON.
fn add_secrets(key: &str, value: &str, found: &mut Vec<String>) {
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(value)
        && json.is_object()
    {
        add_json_secrets(&json, found);
        found.push(value.to_owned());
        return;
    }
    // Switches and numbers are in every sentence.
    let is_plain = value.parse::<i64>().is_ok() || ["true", "false"].contains(&value);
    let is_open = key.is_empty()
        || OPEN_KEYS
            .iter()
            .any(|open| key == *open || key.ends_with(&format!("_{open}")));
    let is_secret = is_secret_key(key) || (!is_open && value.len() >= TELLING);
    if is_secret && !is_plain && value.len() >= SHORTEST {
        found.push(value.to_owned());
    }
}

fn add_json_secrets(json: &serde_json::Value, found: &mut Vec<String>) {
    let serde_json::Value::Object(members) = json else {
        return;
    };
    for (key, value) in members {
        match value {
            serde_json::Value::String(text)
                if !["expiry", "token_type"].contains(&key.as_str()) && text.len() >= SHORTEST =>
            {
                found.push(text.clone());
            }
            other => add_json_secrets(other, found),
        }
    }
}

/// A text without a value; a short one is only taken out where it stands alone.
fn without_value(text: &str, value: &str) -> String {
    if value.len() >= LONG {
        return text.replace(value, CONCEALED);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let (before, after) = (&rest[..at], &rest[at + value.len()..]);
        let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        out.push_str(before);
        let before = before
            .chars()
            .next_back()
            .or_else(|| out.chars().next_back());
        let alone = !joins(before) && !joins(after.chars().next());
        out.push_str(if alone { CONCEALED } else { value });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// As a value stands in an address.
fn percent_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A text without what stands before the `@` of an address, and after its `?`, which may be signed.
fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//") {
        let is_address = rest[..at].ends_with(':');
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        let is_end = |c: char| c == '"' || c == '\'' || c.is_whitespace();
        let end = after
            .find(|c: char| c == '/' || is_end(c))
            .unwrap_or(after.len());
        rest = after;
        if let Some(at) = after[..end].rfind('@') {
            out.push_str(CONCEALED);
            rest = &after[at..];
        }
        let end = rest.find(is_end).unwrap_or(rest.len());
        if let Some(query) = rest[..end].find('?').filter(|_| is_address) {
            out.push_str(&rest[..=query]);
            out.push_str(CONCEALED);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

/// A text without the values of what looks like `password=…`, `"token":"…"` or `Authorization: …`.
fn without_assignments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let in_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    while let Some(at) = rest.find(in_key) {
        let length = rest[at..].find(|c| !in_key(c)).unwrap_or(rest.len() - at);
        let key = &rest[at..at + length];
        out.push_str(&rest[..at + length]);
        rest = &rest[at + length..];
        if !is_secret_key(key) {
            continue;
        }
        if let Some((between, value)) = assigned_value(key, rest) {
            out.push_str(&rest[..between]);
            out.push_str(CONCEALED);
            rest = &rest[between + value..];
        }
    }
    out.push_str(rest);
    out
}

/// Where the value of a key begins that ends where `rest` begins, and how long it is.
fn assigned_value(key: &str, rest: &str) -> Option<(usize, usize)> {
    let unquoted = rest.trim_start_matches(['"', '\\']);
    let is_quoted = unquoted.len() < rest.len();
    let after = unquoted.trim_start();
    let is_header = ["authorization", "cookie"]
        .iter()
        .any(|header| key.to_lowercase().ends_with(header));
    let after = match after.chars().next()? {
        '=' => &after[1..],
        ':' if is_quoted || is_header => &after[1..],
        _ => return None,
    };
    let value = after.trim_start_matches(' ');
    let start = value.trim_start_matches(['"', '\\', '\'']);
    let quoted = start.len() < value.len();
    let end = if value.starts_with('{') || (is_header && !quoted) {
        start.len()
    } else if quoted {
        start.find(['"', '\\', '\'']).unwrap_or(start.len())
    } else {
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ':' | ';' | '&' | '"' | '\'');
        start.find(ends).unwrap_or(start.len())
    };
    (end > 0).then(|| (rest.len() - start.len(), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(config: &str) -> Secrets {
        Secrets::of_values(
            ini::values(config)
                .into_iter()
                .map(|one| (one.key, one.value)),
        )
    }

    #[test]
    fn passwords_in_addresses_are_not_told() {
        let none = Secrets::default();
        for (said, told) in [
            (
                "Get \"https://ann:s3c@ret@host/x\": dial tcp",
                "Get \"https://***@host/x\": dial tcp",
            ),
            ("a // b@c", "a // b@c"),
            ("http://host/a@b", "http://host/a@b"),
            (
                "PUT https://s3.example.org/b/k?X-Amz-Signature=0123&x=1: 403 Forbidden",
                "PUT https://s3.example.org/b/k?*** 403 Forbidden",
            ),
        ] {
            assert_eq!(none.conceal(said), told);
        }
    }

    #[test]
    fn values_of_the_configuration_are_not_told() {
        let config = "[nas]\ntype = sftp\nhost = nas.example.org\nuser = ann\npass = 0bscured-Pass_w0rd\n\
            key_pem = -----BEGIN KEY-----abc\ntoken = {\"access_token\":\"ya29.abc/def\",\"expiry\":\"2026-01-01\"}\n\
            [s3]\naccess_key_id = AKIA12345678\nsecret_access_key = sh0rt\nport = 2222\nacl = private\n\
            sha1sum_command = a-long-command --with=things\n";
        let secrets = secrets(config);
        for (said, told) in [
            ("line 4: pass = 0bscured-Pass_w0rd", "line 4: pass = ***"),
            ("bad key -----BEGIN KEY-----abc here", "bad key *** here"),
            ("token ya29.abc/def is spent", "token *** is spent"),
            ("at ?t=ya29.abc%2Fdef", "at ?t=***"),
            ("no AKIA12345678", "no ***"),
            ("sh0rt or sh0rter", "*** or sh0rter"),
            ("run a-long-command --with=things", "run ***"),
            (
                "nas: dial tcp nas.example.org:2222: private ann refused",
                "nas: dial tcp nas.example.org:2222: private ann refused",
            ),
        ] {
            assert_eq!(secrets.conceal(said), told);
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_not_told_wherever_it_comes_from() {
        let none = Secrets::default();
        for (said, told) in [
            (
                "Failed to create file system for \":sftp,host=h,pass=abc:/x\": no",
                "Failed to create file system for \":sftp,host=h,pass=***:/x\": no",
            ),
            (
                "{\"refresh_token\":\"1//0x\",\"a\":1}",
                "{\"refresh_token\":\"***\",\"a\":1}",
            ),
            (
                "said {\\\"client_secret\\\": \\\"x y\\\"}",
                "said {\\134\"client_secret\\134\": \\134\"***\\134\"}",
            ),
            ("Authorization: Bearer abc.def", "Authorization: ***"),
            ("password = \"x y\" is wrong", "password = \"***\" is wrong"),
            ("token = {\"a\": \"b\"}", "token = ***"),
            // What says why nothing works stays.
            (
                "couldn't fetch token: invalid_grant: maybe token expired?",
                "couldn't fetch token: invalid_grant: maybe token expired?",
            ),
            (
                "NoSuchKey: the key does not exist",
                "NoSuchKey: the key does not exist",
            ),
            ("failed to authorize: 401", "failed to authorize: 401"),
        ] {
            assert_eq!(none.conceal(said), told);
        }
    }
}
