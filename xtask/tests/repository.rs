//! What no file of the repository may hold: paths of one machine, and work put off.

use std::process::Command;

use root::root;

#[path = "../src/root.rs"]
mod root;

/// Each in two parts, so that this file does not hold them.
const FORBIDDEN: [(&str, &str); 4] = [("/wor", "k/"), ("/roo", "t/"), ("todo", "!("), ("unimplemented", "!(")];

fn forbidden() -> Vec<String> {
    FORBIDDEN.iter().map(|(one, two)| format!("{one}{two}")).collect()
}

fn faults(name: &str, text: &str) -> Vec<String> {
    let words = forbidden();
    let lines = text.lines().enumerate();
    let hits = lines.filter_map(|(number, line)| Some((number + 1, words.iter().find(|word| line.contains(*word))?)));
    hits.map(|(line, word)| format!("{name}:{line}: {word}")).collect()
}

#[test]
fn no_file_holds_what_it_may_not() {
    let root = root();
    let listing = Command::new("git").args(["ls-files", "-z"]).current_dir(&root).output().unwrap();
    assert!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout).unwrap();
    let names: Vec<_> = names.split('\0').filter(|name| !name.is_empty()).collect();
    assert!(names.len() > 20, "only {} files", names.len());
    let mut found = Vec::new();
    for name in names {
        // A file may be deleted and not yet committed, or not be text.
        if let Ok(text) = std::fs::read_to_string(root.join(name)) {
            found.extend(faults(name, &text));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn each_forbidden_word_is_found() {
    for word in forbidden() {
        assert_eq!(faults("a", &format!("fine\n x {word} y")), [format!("a:2: {word}")]);
    }
    assert!(faults("a", "fine").is_empty());
}
