//! Members that are killed or paused.

use anyhow::{Result, ensure};
use ottla_conformance::groups::{Member, Protocol, SHORT_SESSION_MS, wait};
use ottla_conformance::{Body, Broker, Suite};

use crate::feed::Group;

/// What happens to a member, in a group of either protocol.
type Scenario = fn(&Broker, Protocol) -> Result<()>;

pub(crate) fn run(suite: &mut Suite, broker: &Broker) {
    let bodies: [(&str, Scenario); 2] = [("killed", killed), ("paused", paused)];
    let mut cases: Vec<(String, Body<'_>)> = Vec::new();
    for (name, body) in bodies {
        for protocol in Protocol::ALL {
            let name = format!("member_{name}_{protocol:?}").to_lowercase();
            cases.push((name, Box::new(move || body(broker, protocol))));
        }
    }
    suite.together(cases);
}

/// Two members that share four partitions.
fn pair(broker: &Broker, protocol: Protocol) -> Result<(Group, Member, Member)> {
    let mut group = Group::new(broker, protocol, SHORT_SESSION_MS, 4)?;
    let (first, second) = (group.member()?, group.member()?);
    group.await_owned(&[&first, &second])?;
    Ok((group, first, second))
}

/// One dies in the midst of its work; the other goes on where it had committed.
fn killed(broker: &Broker, protocol: Protocol) -> Result<()> {
    let (group, mut first, mut second) = pair(broker, protocol)?;
    group.send(2_000)?;
    group.await_count(500, &[&first, &second])?;
    first.kill()?;
    group.send(400)?;
    group.await_owned(&[&second])?;
    group.await_read(&[&second])?;
    second.leave()
}

/// One sleeps longer than its session; the other takes over; what the sleeper still holds is refused, and it comes back.
fn paused(broker: &Broker, protocol: Protocol) -> Result<()> {
    let (group, mut first, mut second) = pair(broker, protocol)?;
    group.send(400)?;
    group.await_read(&[&first, &second])?;
    first.pause()?;
    group.send(400)?;
    wait("the other to own everything", || Ok(second.owned().len() == 4), || second.describe())?;
    group.await_read(&[&first, &second])?;
    let changes = first.changes();
    first.resume()?;
    wait("the sleeper to notice", || Ok(first.changes() > changes), || first.describe())?;
    group.await_owned(&[&first, &second])?;
    group.send(400)?;
    group.await_read(&[&first, &second])?;
    for member in [&mut first, &mut second] {
        member.leave()?;
    }
    ensure!(first.owned().is_empty(), "{}", first.describe());
    group.check()
}
