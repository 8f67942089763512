//! The page in a real browser: nothing is wider than the window, all text has the contrast of WCAG AA in light and
//! in dark, nothing is asked of any network, and scripts are off. With `REPORT_PICTURES=DIR` pages and pictures stay, among
//! them `well-top.png`, which is `docs/screens/report.png`.

#![allow(clippy::unwrap_used)]

mod sample;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use test_support::{is_installed, skip};

/// Under whichever name a system has it.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-headless-shell",
    "chromium-browser",
    "google-chrome",
];

fn texts(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one.as_str().unwrap()).collect()
}

#[test]
fn the_page_fits_and_is_readable_in_a_browser_without_scripts() {
    let Some(browser) = BROWSERS.into_iter().find(|name| is_installed(name)) else {
        return skip("chromium is not installed");
    };
    let folder = std::env::temp_dir().join(format!("report-pages-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let pictures = std::env::var_os("REPORT_PICTURES").map(PathBuf::from);
    let out = pictures.clone().unwrap_or_else(|| folder.clone());
    let pages: Vec<PathBuf> = sample::all()
        .into_iter()
        .map(|(name, report)| {
            let path = out.join(format!("{name}.html"));
            fs::write(&path, report::html_page(&report)).unwrap();
            path
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(browser).arg(&out).args(&pages);
    let ran = python.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    let looks: Vec<Value> = String::from_utf8(ran.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Three pages, three widths, light and dark.
    assert_eq!(looks.len(), 18);
    for look in &looks {
        let what = format!("{} {} {}", look["page"], look["inner"], look["mode"]);
        assert!(
            look["width"].as_u64() <= look["inner"].as_u64(),
            "{what}: {look}"
        );
        assert_eq!(texts(&look["wide"]), [""; 0], "{what}");
        assert_eq!(texts(&look["faint"]), [""; 0], "{what}");
        assert!(look["texts"].as_u64().unwrap() > 20, "{what}: {look}");
        assert_eq!(look["scripts"], 0, "{what}");
        assert!(
            look["title"].as_str().unwrap().starts_with("Backups of "),
            "{what}"
        );
        for url in texts(&look["asked"]) {
            assert!(
                url.starts_with("file://") || url.starts_with("data:"),
                "{what}: {url}"
            );
        }
        let picture = format!(
            "{}-{}-{}.png",
            look["page"].as_str().unwrap().trim_end_matches(".html"),
            look["inner"],
            look["mode"].as_str().unwrap()
        );
        let size = fs::metadata(out.join(&picture)).unwrap().len();
        assert!(size > 10_000, "{picture} has {size} bytes");
    }
    let grounds = |mode: &str| {
        let of_mode = looks.iter().find(|look| look["mode"] == mode).unwrap();
        of_mode["ground"].as_str().unwrap().to_owned()
    };
    assert_ne!(grounds("light"), grounds("dark"), "there is one mode only");
    fs::remove_dir_all(&folder).unwrap();
}
