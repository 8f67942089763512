//! The lines of docs/without.md, which list and restore without this program.

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::Path,
    process::Command,
};

use test_support::{is_installed, restore_with_example, skip};

use crate::lab::{Lab, contents, id};

/// The only shell block of the page that begins with `#!`.
fn script() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/without.md");
    let page = fs::read_to_string(page).unwrap();
    let block = page
        .split("```bash\n")
        .find(|block| block.starts_with("#!"))
        .unwrap();
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn twenty_lines_of_shell_list_and_restore_a_snapshot() {
    let test = "the lines of docs/without.md";
    for tool in ["zstd", "awk"] {
        if !is_installed(tool) {
            skip(&format!("{test} because {tool} is not installed"));
            return;
        }
    }
    let Some(lab) = Lab::new(test) else {
        return;
    };
    let odd: [&[u8]; 8] = [
        b"plain",
        b"a b",
        b"new\nline\n",
        b"back\\slash",
        b"gro\xdf",
        b"-rf",
        "\u{e9}t\u{e9}".as_bytes(),
        b"*?[x]=#",
    ];
    for (number, name) in odd.iter().enumerate() {
        let name = Path::new("home").join(std::ffi::OsStr::from_bytes(name));
        lab.write(1, &name, format!("{number}\n"));
        lab.write(
            1,
            Path::new("home/below").join(&name),
            format!("{number}\n"),
        );
    }
    let tree = lab.tree(1);
    fs::set_permissions(tree.join("home/plain"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("-x \n\\y", tree.join("home/link")).unwrap();
    fs::create_dir(tree.join("home/empty folder")).unwrap();
    lab.upload(1);
    lab.write(2, "home/later", "later\n");
    lab.upload_marked(
        2,
        &lab.seal(2),
        &schema::record::SnapshotMarks {
            pinned: true,
            ..schema::record::SnapshotMarks::default()
        },
    )
    .unwrap();
    let text = script();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    assert!(lines.count() <= 20);
    let file = lab.path("get.sh");
    fs::write(&file, &text).unwrap();
    let sh = if is_installed("dash") { "dash" } else { "sh" };
    let run = |arguments: &[&str]| {
        let mut command = Command::new(sh);
        command
            .arg("-e")
            .arg(&file)
            .arg(&lab.remote)
            .args(arguments)
            .current_dir(lab.root.path());
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&[]), format!("{}\n{}\n", id(1), id(2)));
    run(&[&id(1).to_string(), "back"]);
    let by_page = lab.path("by the page");
    let paths = [Path::new("/"), &by_page];
    if let Some(read) = restore_with_example(test, &lab.far(""), &id(1).to_string(), paths) {
        read.expect(0);
        assert_eq!(contents(&by_page), contents(&tree));
    }
    let back = lab.path("back");
    let mut found = contents(&back);
    found.retain(|path, _| !path.to_str().is_some_and(|path| path.starts_with('.')));
    assert_eq!(found, contents(&tree));
    assert_eq!(
        fs::read_link(back.join("home/link")).unwrap(),
        fs::read_link(tree.join("home/link")).unwrap()
    );
    assert!(back.join("home/empty folder").is_dir());
    let mode = fs::metadata(back.join("home/plain"))
        .unwrap()
        .permissions()
        .mode()
        & 0o7777;
    assert_eq!(mode, 0o640);
}
