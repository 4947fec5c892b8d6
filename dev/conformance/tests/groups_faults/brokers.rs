//! The broker is killed or restarted: members that come back within their session see no rebalance, a rebalance that was
//! under way comes to its end, and an acknowledged commit is there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_conformance::groups::{LONG_SESSION_MS, Member, Protocol, wait};
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::create_topic;
use ottla_conformance::{Broker, Suite};
use ottla_types::ErrorCode;

use crate::classic::{Classic, at_coordinator, await_state, commit, committed, settled};
use crate::feed::Group;

/// Several heartbeats, and a look at the metadata.
const HEARTBEATS: Duration = Duration::from_millis(1_200);

/// How a broker ends.
type End = fn(&mut Broker) -> Result<()>;

pub(crate) fn run(suite: &mut Suite, broker: &mut Broker) {
    suite.case("nothing_else_is_a_rebalance", || quiet(broker));
    let ends: [(&str, End); 2] = [("killed", Broker::kill), ("restarted", Broker::stop)];
    for (name, end) in ends {
        suite.case(&format!("broker_{name}_in_steady_state"), || steady(broker, end));
        suite.case(&format!("broker_{name}_in_mid_rebalance"), || mid_rebalance(broker, end));
        suite.case(&format!("broker_{name}_between_commits"), || between_commits(broker, end));
    }
}

/// Groups of all kinds at work: nobody notices but by the pause.
fn steady(broker: &mut Broker, end: End) -> Result<()> {
    let mut groups = Vec::new();
    for protocol in Protocol::ALL {
        let mut group = Group::new(broker, protocol, LONG_SESSION_MS, 4)?;
        let members = [group.member()?, group.member()?];
        groups.push((group, members));
    }
    for (group, [first, second]) in &groups {
        group.await_owned(&[first, second])?;
        group.send(2_000)?;
        group.await_count(200, &[first, second])?;
    }
    let before = standing(&groups)?;
    end(broker)?;
    broker.start_again()?;
    for (group, [first, second]) in &groups {
        group.send(400)?;
        group.await_read(&[first, second])?;
    }
    let after = standing(&groups)?;
    ensure!(before == after, "changes of assignments, and epochs: {before:?} before, {after:?} after");
    for (_, members) in &mut groups {
        members.iter_mut().try_for_each(Member::leave)?;
    }
    Ok(())
}

/// How often each member's assignment changed, as it was told, and the epochs of groups, as the coordinator has them: a rebalance
/// that leaves everybody with what it has shows in the epoch alone.
fn standing(groups: &[(Group, [Member; 2])]) -> Result<(Vec<usize>, Vec<Option<i32>>)> {
    let changes = groups.iter().flat_map(|(_, members)| members.iter().map(Member::changes)).collect();
    let epochs = groups.iter().map(|(group, _)| group.epoch()).collect::<Result<_>>()?;
    Ok((changes, epochs))
}

/// Groups of all kinds at work while all else changes: settings, other topics, other groups, the start of the log.
fn quiet(broker: &Broker) -> Result<()> {
    let mut groups = Vec::new();
    for protocol in Protocol::ALL {
        let mut group = Group::new(broker, protocol, LONG_SESSION_MS, 4)?;
        let members = [group.member()?, group.member()?];
        groups.push((group, members));
    }
    for (group, [first, second]) in &groups {
        group.await_owned(&[first, second])?;
        group.send(400)?;
        group.await_read(&[first, second])?;
    }
    let before = standing(&groups)?;
    for (group, _) in &groups {
        group.disturb()?;
    }
    let mut other = Classic::new(&broker.bootstrap(), &broker.topic("group"), &groups[0].0.topic)?;
    let joined = other.join()?;
    ensure!(joined.error_code == 0, "{joined:?}");
    other.sync_alone(&[0])?;
    ensure!(other.leave()? == 0, "the other group's member cannot leave");
    // What the members read now comes after several heartbeats of theirs and looks at the metadata.
    for _ in 0..3 {
        std::thread::sleep(HEARTBEATS);
        for (group, [first, second]) in &groups {
            group.send(100)?;
            group.await_read(&[first, second])?;
        }
    }
    let after = standing(&groups)?;
    ensure!(before == after, "changes of assignments, and epochs: {before:?} before, {after:?} after");
    for (_, members) in &mut groups {
        members.iter_mut().try_for_each(Member::leave)?;
    }
    Ok(())
}

/// One group waits for a member to join again, another for its leader's assignment.
fn mid_rebalance(broker: &mut Broker, end: End) -> Result<()> {
    let mut joining = Mixed::start(broker)?;
    let mut assigning = Mixed::start(broker)?;
    let heartbeat = assigning.leader.heartbeat()?;
    ensure!(heartbeat == ErrorCode::RebalanceInProgress.code(), "error {heartbeat}");
    let joined = assigning.leader.join()?;
    ensure!(joined.leader == assigning.leader.id && joined.members.len() == 2, "{joined:?}");
    await_state(&broker.bootstrap(), &assigning.group.id, "CompletingRebalance", 2)?;
    await_state(&broker.bootstrap(), &joining.group.id, "PreparingRebalance", 2)?;
    end(broker)?;
    broker.start_again()?;
    joining.come_back(broker).context("the group that was joining")?;
    assigning.come_back(broker).context("the group that was assigning")
}

/// A group of a process and a leader that does each step when it is told to.
struct Mixed {
    group: Group,
    leader: Classic,
    member: Member,
}

impl Mixed {
    /// The leader had all four partitions; the process wants to join, and the group waits for the leader.
    fn start(broker: &Broker) -> Result<Mixed> {
        let mut group = Group::new(broker, Protocol::Eager, LONG_SESSION_MS, 4)?;
        let mut leader = Classic::new(&broker.bootstrap(), &group.id, &group.topic)?;
        let joined = leader.join()?;
        ensure!(joined.error_code == 0 && joined.leader == leader.id, "{joined:?}");
        leader.sync_alone(&[0, 1, 2, 3])?;
        let member = group.member()?;
        await_state(&broker.bootstrap(), &group.id, "PreparingRebalance", 2)?;
        Ok(Mixed { group, leader, member })
    }

    /// The leader is known still; it joins again with the process and hands everything to that.
    fn come_back(&mut self, broker: &Broker) -> Result<()> {
        self.leader.raw = at_coordinator(&broker.bootstrap(), &self.group.id)?;
        let heartbeat = self.leader.heartbeat()?;
        ensure!(heartbeat != ErrorCode::UnknownMemberId.code(), "the leader is forgotten");
        // The process may join later than the leader: then that leads a generation of its own first.
        let process = loop {
            let joined = self.leader.join()?;
            ensure!(joined.error_code == 0 && joined.leader == self.leader.id, "{joined:?}");
            let other = joined.members.iter().find(|member| member.member_id != self.leader.id);
            if let Some(other) = other {
                break other.member_id.clone();
            }
            self.leader.sync_alone(&[0, 1, 2, 3])?;
            let rebalance = ErrorCode::RebalanceInProgress.code();
            wait("the process to join", || Ok(self.leader.heartbeat()? == rebalance), || self.member.describe())?;
        };
        let answer = self.leader.sync(&BTreeMap::from([(process, vec![0, 1, 2, 3])]))?;
        ensure!(answer.error_code == 0, "{answer:?}");
        self.group.await_owned(&[&self.member])?;
        self.group.send(400)?;
        self.group.await_read(&[&self.member])?;
        ensure!(self.leader.leave()? == 0, "the leader cannot leave");
        self.member.leave()
    }
}

/// Offsets are committed one after the other when the broker ends: what was acknowledged is there, and nothing that was
/// not asked for.
fn between_commits(broker: &mut Broker, end: End) -> Result<()> {
    let (group, topic) = (broker.topic("group"), broker.topic("committed"));
    create_topic(&broker.bootstrap(), &topic, 1, &[])?;
    let of = (group.as_str(), topic.as_str());
    let (sent, acknowledged) = (AtomicI64::new(-1), AtomicI64::new(-1));
    let mut raw = at_coordinator(&broker.bootstrap(), &group)?;
    std::thread::scope(|scope| -> Result<()> {
        scope.spawn(|| {
            for offset in 0.. {
                sent.store(offset, Ordering::SeqCst);
                match commit(&mut raw, of, ("", -1, None), offset) {
                    Ok(0) => acknowledged.store(offset, Ordering::SeqCst),
                    _ => return,
                }
            }
        });
        let some = || Ok(acknowledged.load(Ordering::SeqCst) >= 200);
        let waited = wait("acknowledged commits", some, String::new);
        // The thread ends when the broker does.
        end(broker).and(waited)
    })?;
    broker.start_again()?;
    let mut raw = Raw::connect(&broker.bootstrap())?;
    let mut found = -1;
    settled(|| match committed(&mut raw, of, None)? {
        Ok(offset) => {
            found = offset;
            Ok(0)
        }
        Err(code) => Ok(code),
    })?;
    let (sent, acknowledged) = (sent.into_inner(), acknowledged.into_inner());
    ensure!((acknowledged..=sent).contains(&found), "{found}; {acknowledged} was acknowledged, {sent} sent");
    Ok(())
}
