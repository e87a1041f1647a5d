//! What the README shows of `ddinstall render`: each command as it stands there, and the first lines of its document.

use std::process::Command;

use super::{TARGETS, folder};

#[test]
fn the_readmes_commands_give_the_lines_that_it_shows() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("\n## Containers and Kubernetes\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let folder = folder("render-readme");
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_ddinstall"));
    let mut seen = Vec::new();
    for shown in section.split("\n    $ ").skip(1) {
        let mut lines = shown.lines();
        let command = lines.next().unwrap();
        let expected: Vec<&str> = lines.map_while(|line| line.strip_prefix("    ")).collect();
        let (_, file) = command.split_once(" > ").unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).env_clear().env("PATH", binary.parent().unwrap()).current_dir(&folder);
        assert!(shell.output().unwrap().status.success(), "{command}");
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let first: Vec<&str> = text.lines().take(expected.len()).collect();
        assert!(expected.len() >= 3 && first == expected, "{command}:\n{}", first.join("\n"));
        seen.push(command.split(' ').nth(2).unwrap());
    }
    assert_eq!(seen, TARGETS.map(|(name, _)| name));
}
