//! Checks history files that were kept: `ottla-checker FILE…`. Exit code 1 when one is wrong.

use std::process::ExitCode;

use anyhow::{Context, Result};
use ottla_checker::{History, check};

fn main() -> Result<ExitCode> {
    let mut found = 0;
    for name in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&name).with_context(|| name.clone())?;
        let history = History::read(&text).with_context(|| name.clone())?;
        println!("{name}: {}", history.describe());
        for anomaly in check(&history) {
            println!("{anomaly}");
            found += 1;
        }
    }
    Ok(if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
