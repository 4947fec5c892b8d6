//! The arrows between crates: they point down, along the layers of ARCHITECTURE.md, which names every crate.

#![allow(clippy::unwrap_used)] // a test may

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use root::root;
use serde_json::Value;

#[path = "../src/root.rs"]
mod root;

/// Crates that ship, with their layers.
const LAYERS: [(&str, u8); 18] = [
    ("base2histogram", 0),
    ("types", 0),
    ("disk", 1),
    ("wire", 1),
    ("records", 1),
    ("config", 1),
    ("controller", 2),
    ("coordinator", 2),
    ("groups", 2),
    ("transactions", 2),
    ("purgatory", 2),
    ("sessions", 2),
    ("log", 3),
    ("quorum", 4),
    ("broker", 4),
    ("dump", 4),
    ("import", 4),
    ("ottla", 5),
];
/// Arrows that stay within a layer.
const WITHIN: [(&str, &str); 9] = [
    ("wire", "disk"),
    ("coordinator", "controller"),
    ("groups", "controller"),
    ("groups", "coordinator"),
    ("transactions", "controller"),
    ("transactions", "coordinator"),
    ("broker", "quorum"),
    ("dump", "quorum"),
    ("import", "quorum"),
];
/// What a crate of layers 0 to 3 may not use: runtimes, sockets, randomness.
const ABOVE_LAYER_3_ONLY: [&str; 6] = ["tokio", "async-std", "socket2", "mio", "openraft", "rand"];
/// The one crate that may use openraft.
const OPENRAFT_USER: &str = "quorum";

#[derive(Debug, PartialEq, Eq)]
struct Arrow {
    from: String,
    to: String,
    dev_only: bool,
}

fn packages() -> Vec<Value> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Folder of a package below the root: `crates/log`, `dev/peer`, `xtask`.
fn folder(package: &Value) -> String {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let folder = manifest
        .parent()
        .unwrap()
        .strip_prefix(root().canonicalize().unwrap())
        .unwrap_or_else(|_| manifest.parent().unwrap().strip_prefix(root()).unwrap());
    folder.to_string_lossy().into_owned()
}

/// Arrows by folder; those to crates of others by their names.
fn arrows(packages: &[Value]) -> Vec<Arrow> {
    let folders: BTreeMap<_, _> =
        packages.iter().map(|package| (package["name"].as_str().unwrap(), folder(package))).collect();
    let mut arrows = Vec::new();
    for package in packages {
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let to = folders.get(name).cloned().unwrap_or_else(|| name.to_owned());
            arrows.push(Arrow { from: folder(package), to, dev_only: dependency["kind"] == "dev" });
        }
    }
    arrows
}

fn layer(folder: &str) -> Option<u8> {
    let name = folder.strip_prefix("crates/")?;
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

/// Why an arrow is wrong, if it is.
fn fault(arrow: &Arrow) -> Option<String> {
    let from = layer(&arrow.from)?;
    let inside = arrow.to.starts_with("crates/") || arrow.to.starts_with("dev/") || arrow.to == "xtask";
    if !inside {
        let lower = from <= 3 && ABOVE_LAYER_3_ONLY.contains(&arrow.to.as_str());
        let raft = arrow.to == "openraft" && arrow.from != format!("crates/{OPENRAFT_USER}");
        return ((lower || raft) && !arrow.dev_only).then(|| format!("{} may not use {}", arrow.from, arrow.to));
    }
    let within = WITHIN.iter().any(|(a, b)| arrow.from == format!("crates/{a}") && arrow.to == format!("crates/{b}"));
    match layer(&arrow.to) {
        _ if within => None,
        Some(to) if to < from => None,
        Some(to) => Some(format!("{} (layer {from}) may not use {} (layer {to})", arrow.from, arrow.to)),
        None if arrow.dev_only => None,
        None => Some(format!("{} ships and may not use {}, which does not", arrow.from, arrow.to)),
    }
}

#[test]
fn arrows_point_down() {
    let wrong: Vec<_> = arrows(&packages()).iter().filter_map(fault).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_crate_that_ships_has_a_layer() {
    let folders: BTreeSet<_> = packages().iter().map(folder).filter(|folder| folder.starts_with("crates/")).collect();
    let known: BTreeSet<_> = LAYERS.iter().map(|(name, _)| format!("crates/{name}")).collect();
    assert_eq!(folders, known);
}

#[test]
fn a_wrong_arrow_is_named() {
    let arrow = |from: &str, to: &str, dev_only| Arrow { from: from.to_owned(), to: to.to_owned(), dev_only };
    assert_eq!(fault(&arrow("crates/log", "crates/disk", false)), None);
    assert_eq!(fault(&arrow("crates/wire", "crates/disk", false)), None);
    assert_eq!(fault(&arrow("crates/log", "dev/testkit", true)), None);
    assert_eq!(fault(&arrow("crates/broker", "tokio", false)), None);
    let up = fault(&arrow("crates/disk", "crates/log", false)).unwrap();
    assert_eq!(up, "crates/disk (layer 1) may not use crates/log (layer 3)");
    assert!(fault(&arrow("crates/disk", "crates/wire", false)).is_some(), "within a layer, the other way round");
    assert!(fault(&arrow("crates/log", "dev/testkit", false)).is_some(), "what ships uses what does not");
    assert!(fault(&arrow("crates/log", "tokio", false)).is_some(), "a runtime below layer 4");
    assert!(fault(&arrow("crates/broker", "openraft", false)).is_some(), "openraft beside the quorum");
}

/// The words in backticks of a text that look like a crate's folder.
fn folders_named(text: &str) -> BTreeSet<String> {
    let words = text.split('`').skip(1).step_by(2);
    let folder = |word: &&str| {
        let mut parts = word.split('/');
        let known = matches!(parts.next(), Some("crates" | "dev"));
        known && parts.next().is_some_and(|name| !name.is_empty()) && parts.next().is_none() || *word == "xtask"
    };
    words.filter(folder).map(str::to_owned).collect()
}

#[test]
fn architecture_names_every_crate_and_no_other() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let folders: BTreeSet<_> = packages().iter().map(folder).collect();
    let named = folders_named(&text);
    let unnamed: Vec<_> = folders.difference(&named).collect();
    let gone: Vec<_> = named.difference(&folders).collect();
    assert!(unnamed.is_empty() && gone.is_empty(), "not named: {unnamed:?}; named but not there: {gone:?}");
}

#[test]
fn crates_in_a_text_are_found() {
    let found =
        folders_named("| `crates/log` | and `dev/peer`, `xtask`, not `crates/` nor `crates/log/src` nor `tokio` |");
    assert_eq!(found, ["crates/log", "dev/peer", "xtask"].map(str::to_owned).into());
}
