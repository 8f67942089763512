//! What matching paths against exclude patterns costs.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "benches end at the first surprise"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use schema::{Config, pattern::Excludes};

const PATHS: usize = 10_000;

/// Paths as in a home folder, a few of them excluded by the default patterns.
fn paths() -> Vec<(Vec<u8>, bool)> {
    const TOPS: [&str; 8] = [
        "documents",
        "photos/2024",
        ".cache/browser",
        "src/backup/target/debug",
        "music",
        ".config/editor",
        "src/site/node_modules/left-pad",
        "downloads",
    ];
    const ENDS: [&str; 5] = ["txt", "jpg", "tmp", "rs", "o"];
    (0..PATHS)
        .map(|number| {
            let top = TOPS[number % TOPS.len()];
            let end = ENDS[number % ENDS.len()];
            let path = format!("home/ann/{top}/folder {}/file {number}.{end}", number / 50);
            (path.into_bytes(), number % 10 == 0)
        })
        .collect()
}

fn matcher(criterion: &mut Criterion) {
    let paths = paths();
    let usual = Config::default().local.exclude_patterns;
    let more: Vec<String> = (0..40)
        .map(|number| match number % 4 {
            0 => format!("/home/*/vm-{number}/"),
            1 => format!("*.swp{number}"),
            2 => format!("build/**/cache-{number}"),
            _ => format!("[Tt]humbs-{number}?"),
        })
        .collect();
    let mut group = criterion.benchmark_group("excludes");
    group.throughput(Throughput::Elements(PATHS as u64));
    for (name, patterns) in [("default patterns", usual), ("forty patterns", more)] {
        let excludes = Excludes::new(&patterns).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let matched = |(path, is_dir): &&(Vec<u8>, bool)| {
                    excludes.matches(black_box(path), *is_dir).is_some()
                };
                paths.iter().filter(matched).count()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, matcher);
criterion_main!(benches);
