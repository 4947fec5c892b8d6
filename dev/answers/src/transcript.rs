//! The answers of all cases, in files that people can read: one for each API.
//!
//! ```text
//! == create_topics/taken v2-4
//! > CreateTopics: a name that exists
//! .
//! topics[~a] error_code=TOPIC_ALREADY_EXISTS(36) error_message=TEXT
//! ```
//!
//! Invariants: versions with the same answers share one entry; reading what was written gives it back.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::answer::Line;
use crate::session::Step;

/// The answers of one case in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `api/name`.
    pub case: String,
    /// The version of the API that the case is about.
    pub version: i16,
    /// Questions and answers in order.
    pub steps: Vec<Step>,
}

/// Text of `entries`, which have the cases together and their versions ascending.
#[must_use]
pub fn render(entries: &[Entry]) -> String {
    let mut text = String::new();
    for cases in entries.chunk_by(|a, b| a.case == b.case && a.steps == b.steps && a.version + 1 == b.version) {
        let (first, last) = (&cases[0], cases[cases.len() - 1].version);
        let _ = match first.version == last {
            true => writeln!(text, "== {} v{last}", first.case),
            false => writeln!(text, "== {} v{}-{last}", first.case, first.version),
        };
        for step in &first.steps {
            let _ = writeln!(text, "> {}", step.title);
            step.lines.iter().for_each(|line| text.push_str(&(line.render() + "\n")));
        }
        text.push('\n');
    }
    text
}

/// Reads [`render`]'s text.
///
/// # Errors
/// The first line that is out of place.
pub fn parse(text: &str) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut same: usize = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(head) = line.strip_prefix("== ") {
            let heads = entries_of(head)?;
            same = heads.len();
            entries.extend(heads);
            continue;
        }
        let from = entries.len() - same;
        for entry in &mut entries[from..] {
            match (line.strip_prefix("> "), entry.steps.last_mut()) {
                (Some(title), _) => entry.steps.push(Step { title: title.to_owned(), lines: Vec::new() }),
                (None, Some(step)) => step.lines.push(Line::parse(line)),
                (None, None) => bail!("an answer to nothing: {line}"),
            }
        }
    }
    Ok(entries)
}

/// `case v2-4`, without steps.
fn entries_of(head: &str) -> Result<Vec<Entry>> {
    let (case, versions) = head.rsplit_once(" v").with_context(|| format!("no version: {head}"))?;
    let (first, last) = versions.split_once('-').unwrap_or((versions, versions));
    let range = first.parse::<i16>()?..=last.parse()?;
    Ok(range.map(|version| Entry { case: case.to_owned(), version, steps: Vec::new() }).collect())
}

/// Writes one file for each API into `folder`; files of APIs that have no entries are left alone.
///
/// # Errors
/// What the file system says.
pub fn write(folder: &Path, entries: &[Entry]) -> Result<()> {
    let mut files: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        files.entry(entry.case.split('/').next().unwrap_or_default()).or_default().push(entry.clone());
    }
    fs::create_dir_all(folder)?;
    for (api, entries) in files {
        fs::write(folder.join(format!("{api}.txt")), render(&entries))?;
    }
    Ok(())
}

/// All entries in the files of `folder`.
///
/// # Errors
/// What the file system says; a file that was not written by [`write`].
pub fn read(folder: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = file?.path();
        entries.extend(parse(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(case: &str, version: i16, answers: &[&str]) -> Entry {
        let step = |answer: &&str| Step {
            title: "Metadata: all: of them".to_owned(),
            lines: answer.lines().map(Line::parse).collect(),
        };
        Entry { case: case.to_owned(), version, steps: answers.iter().map(step).collect() }
    }

    #[test]
    fn equal_neighbours_share_an_entry() {
        let entries = [
            entry("metadata/a", 0, &[". x=1\nt[~a] y=2"]),
            entry("metadata/a", 1, &[". x=1\nt[~a] y=2"]),
            entry("metadata/a", 2, &[". x=1", "closed"]),
            entry("metadata/b", 3, &[". x=1", "closed"]),
        ];
        let text = render(&entries);
        assert!(
            text.starts_with("== metadata/a v0-1\n> Metadata: all: of them\n. x=1\nt[~a] y=2\n\n== metadata/a v2\n")
        );
        assert_eq!(parse(&text).unwrap(), entries);
    }

    #[test]
    fn what_is_out_of_place_is_an_error() {
        for text in ["== a\n", "== a v1\n. x=1\n", "== a vx\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
