//! What the page, the mail and the text tell, and that no name from outside is more than a name.

#![allow(clippy::unwrap_used)]

mod sample;

use report::{html_page, mail_html, plain_text};

/// The text of a page: what stands between its tags.
fn words(html: &str) -> String {
    let parts = html
        .split('<')
        .map(|part| part.split_once('>').map_or("", |(_, text)| text));
    parts.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_verdict_stands_first_and_what_to_do_next() {
    let page = html_page(&sample::well());
    let told = words(&page);
    for part in [
        "All is well",
        "Last backup 5 hours ago",
        "29 of 29",
        "22 of 30",
        "of 1.8 TiB; full in 2,540 days",
        "in 2,540 days, about 13 Nov 2032",
        "/home/ann/Pictures/2025",
        "+41.0 GiB",
        "34 snapshots",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("What to do"), "{told}");
    let told = words(&html_page(&sample::troubled()));
    let at = |text: &str| told.find(text).unwrap_or_else(|| panic!("{text}: {told}"));
    assert!(at("cannot be relied on") < at("is damaged in 3 snapshots"));
    assert!(at("is damaged in 3 snapshots") < at("runs are refused"));
    assert!(at("runs are refused") < at("offsite"));
}

#[test]
fn a_hostile_name_is_a_name_everywhere() {
    let report = sample::troubled();
    for (what, html) in [("page", html_page(&report)), ("mail", mail_html(&report))] {
        let lower = html.to_lowercase();
        assert!(!lower.contains("<script"), "{what}");
        assert!(lower.contains("&lt;script&gt;alert(1)"), "{what}");
        // Nothing that is not seen as itself, and no attribute that a quote could end.
        let odd = html
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(odd, None, "{what}");
        for tag in html.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap();
            assert!(
                !tag.contains("alert(1)") || tag.contains("&quot;"),
                "{what}: {tag}"
            );
            let mut words = tag.split_whitespace();
            let handler = words.find(|word| word.starts_with("on") && word.contains('='));
            assert_eq!(handler, None, "{what}: {tag}");
        }
    }
    let text = plain_text(&report);
    let odd = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(odd, None, "{text}");
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    for (name, report) in sample::all() {
        let page = html_page(&report);
        for outside in [
            "http://",
            "https://",
            "src=",
            "@import",
            "url(",
            "<script",
            "javascript:",
        ] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
        assert!(page.contains("default-src 'none'"), "{name}");
        assert!(page.len() < 300_000, "{name}: {} bytes", page.len());
    }
}

#[test]
fn each_tag_that_is_opened_is_closed() {
    const VOID: [&str; 4] = ["meta", "link", "br", "!DOCTYPE"];
    for (name, report) in sample::all() {
        for html in [html_page(&report), mail_html(&report)] {
            let mut open: Vec<&str> = Vec::new();
            for tag in html.split('<').skip(1) {
                let tag = tag.split('>').next().unwrap();
                let word = tag.split([' ', '\n']).next().unwrap();
                match word.strip_prefix('/') {
                    Some(word) => assert_eq!(open.pop(), Some(word), "{name}"),
                    None if VOID.contains(&word) => {}
                    None => open.push(word),
                }
            }
            assert_eq!(open, [""; 0], "{name}");
        }
    }
}

#[test]
fn the_text_says_what_the_page_says() {
    let text = plain_text(&sample::well());
    for part in [
        "Backups of atlas: all is well\n",
        "2 Nov 2025 to 30 Nov 2025, 07:12 (28 days)\n",
        "  Good runs:        29 of 29 (none failed)\n",
        "  Grew most:        +41.0 GiB /home/ann/Pictures/2025\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = plain_text(&sample::first_day());
    assert!(
        text.contains("No backup yet\n  what to do: `backup now` makes the first one\n"),
        "{text}"
    );
    let html = mail_html(&sample::well());
    assert!(words(&html).contains("29 of 29"), "{html}");
}

#[test]
fn amounts_of_folders_are_those_of_the_report() {
    let report = sample::well();
    let folders = sample::first(&report).folders.as_ref().unwrap();
    let sum: u64 = folders.largest.iter().map(|one| one.bytes).sum();
    assert_eq!(sum, folders.all.bytes);
}

#[test]
fn a_day_of_which_no_run_is_remembered_is_not_said_to_have_had_none() {
    let mut report = sample::well();
    let unknown = |page: &str| page.matches(": no run<").count();
    let before = unknown(&html_page(&report));
    report.destinations[0].runs.drain(..71);
    let page = html_page(&report);
    assert!(words(&page).contains("No run before 11 Nov 2025 is remembered."));
    assert!(unknown(&page) <= before, "{page}");
}
