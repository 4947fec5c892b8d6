//! The process of a crew of librdkafka's clients: this program once more, told by the environment to be one.
//!
//! Standard input brings `start KIND NAME key=value ...` and `stop NAME`; the process ends with its input.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::copier;
use super::role::Role;
use super::transactions::{End, Transactions};

/// Set in the environment of a crew.
pub(super) const ROLE_ENV: &str = "OTTLA_CONFORMANCE_CREW";

/// Plays the crew that the environment asks for, if it does: what the program is to end with then.
pub fn play() -> Option<ExitCode> {
    std::env::var_os(ROLE_ENV)?;
    let ended = obey();
    if let Err(error) = &ended {
        eprintln!("{error:#}");
    }
    Some(if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn obey() -> Result<()> {
    let mut roles: BTreeMap<String, Role> = BTreeMap::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split(' ');
        match words.next() {
            Some("start") => {
                let kind = words.next().context("no kind")?.to_owned();
                let role = Role::new(words)?;
                roles.insert(role.name.clone(), role.clone());
                std::thread::spawn(move || live(&kind, &role));
            }
            Some("stop") => roles[words.next().context("no name")?].stop(),
            _ => bail!("told to {line:?}"),
        }
    }
    // Clients in their threads are not waited for: they end with the process.
    std::process::exit(0)
}

fn live(kind: &str, role: &Role) {
    let ended = match kind {
        "writer" => write(role),
        "copier" => copier::copy(role),
        "reader" => copier::read(role),
        _ => Err(anyhow::anyhow!("no such client: {kind}")),
    };
    if let Err(error) = ended {
        role.say(format_args!("note trouble {error:#}"));
    }
    role.say("note ended");
}

/// Writes transactions over several partitions, some of which it aborts.
fn write(role: &Role) -> Result<()> {
    let (to, partitions, aborts) = (role.word("to")?, role.number("partitions")?, role.number("aborts")?);
    let mut dice = role.dice()?;
    let mut transactions = Transactions::open(role)?;
    while !role.is_over() {
        let is_aborted = dice.below(aborts) == 1;
        let end = transactions.run(is_aborted, |transactions| {
            for _ in 0..2 + dice.below(4) {
                transactions.send(to, dice.below(partitions) as i32, "")?;
            }
            Ok(())
        })?;
        if end == End::Fenced {
            role.say("note fenced");
            break;
        }
    }
    transactions.end();
    Ok(())
}
