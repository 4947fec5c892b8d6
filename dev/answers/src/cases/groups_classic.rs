//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup: one member, two members, static members, and every documented error.

use anyhow::{Context, Result};
use ottla_wire::ApiKey;
use ottla_wire::messages::{HeartbeatRequest, JoinGroupRequest, SyncGroupRequest};

use super::Case;
use super::group_requests::{
    HEARTBEAT, JOIN, LEAVE, Member, RANGE, SYNC, group, join, joined, joining, joins, leave, one_member, promised,
    show, stable, two_members, wait_for,
};
use crate::session::Session;

/// Versions of JoinGroup that know instance ids, and all that make members come twice.
const WITH_INSTANCES: [i16; 5] = [5, 6, 7, 8, 9];
const ID_FIRST: [i16; 6] = [4, 5, 6, 7, 8, 9];
/// Versions of LeaveGroup that know several members.
const BATCHED: [i16; 3] = [3, 4, 5];
/// Long enough to do what must be done in time, short enough to wait for what is not.
const SHORT_MS: i32 = 1500;

pub(super) fn join_group() -> Vec<Case> {
    let api = ApiKey::JoinGroup;
    vec![
        Case::each("one_member", api, join_alone),
        Case::each("two_members", api, join_both),
        Case::each("wrong", api, join_wrong),
        Case::each("wrong_member", api, join_wrong_member),
        Case::newest("votes", api, votes),
        Case::some("pending", &ID_FIRST, pending),
        Case::some("static", &WITH_INSTANCES, join_static),
        Case::some("static_changed", &WITH_INSTANCES, join_static_changed),
        Case::some("static_waiting", &WITH_INSTANCES, join_static_waiting),
        Case::newest("timeouts", api, timeouts),
        Case::some("full", &[3, 9], full),
        Case::newest("strange_names", api, strange_names),
    ]
}

fn join_alone(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let member = joins(s, v, "the first", &join(&group, "", RANGE))?;
    s.ask("again before it has synced", v, &member.rejoin())?;
    show(s, "before it has synced", &group)?;
    s.ask("of the leader", SYNC, &member.sync(&[(&member, "all")]))?;
    show(s, "after it has synced", &group)?;
    let again = joins(s, v, "again as the leader", &member.rejoin())?;
    s.ask("with other metadata before it has synced", v, &join(&group, &again.id, &[("range", b"o")]))?;
    s.ask("in the generation before", SYNC, &again.sync(&[(&again, "all")]))?;
    let now = again.at(again.generation + 1);
    s.ask("in this generation", SYNC, &now.sync(&[(&now, "all of it")]))?;
    show(s, "in the end", &group)
}

fn join_both(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let first = joins(s, v, "the first", &join(&group, "", RANGE))?;
    s.ask("of the first", SYNC, &first.sync(&[(&first, "all")]))?;
    let second = joining(s, v, "the second", &join(&group, "", &[("range", b"s")]))?;
    wait_for(s, &group, "PreparingRebalance")?;
    s.ask("of the first while the second waits", HEARTBEAT, &first.heartbeat())?;
    s.ask("of the first while the second waits", SYNC, &first.sync(&[(&first, "all")]))?;
    show(s, "while the second waits", &group)?;
    let first = joins(s, v, "the first again", &first.rejoin())?;
    let second = Member::of(&group, &s.receive(second)?.context("closed")?);
    s.ask("before they have synced", HEARTBEAT, &first.heartbeat())?;
    s.ask("of the leader", SYNC, &first.sync(&[(&first, "half"), (&second, "other half")]))?;
    s.ask("of the other", SYNC, &second.sync(&[]))?;
    let unchanged = join(&group, &second.id, &[("range", b"s")]);
    s.ask("the second again as it was", v, &unchanged)?;
    for member in [&first, &second] {
        s.ask("of each", HEARTBEAT, &member.heartbeat())?;
    }
    show(s, "with both", &group)?;
    s.ask("of the leader", LEAVE, &first.leave())?;
    s.ask("when the other is gone", HEARTBEAT, &second.heartbeat())?;
    s.ask("the second, now alone", v, &unchanged).map(drop)
}

fn join_wrong(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let good = join(&group, "", RANGE);
    for session_timeout_ms in [5_999, 1_800_001, 0, -1] {
        let request = JoinGroupRequest { session_timeout_ms, ..good.clone() };
        s.ask(&format!("a session of {session_timeout_ms} ms"), v, &request)?;
    }
    s.ask("no group", v, &JoinGroupRequest { group_id: String::new(), ..good.clone() })?;
    s.ask("a member of no group", v, &join(&group, "nobody", RANGE))?;
    show(s, "before the group is there", &group)?;
    s.ask("no protocol type", v, &JoinGroupRequest { protocol_type: String::new(), ..good.clone() })?;
    show(s, "after what was refused", &group)?;
    s.ask("no protocols", v, &join(&group, "", &[]))?;
    s.ask("a member of an empty group", v, &join(&group, "nobody", RANGE)).map(drop)
}

fn join_wrong_member(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let member = one_member(s, &group)?;
    let good = join(&group, "", RANGE);
    s.ask("no member", v, &join(&group, "nobody", RANGE))?;
    s.ask("another protocol type", v, &JoinGroupRequest { protocol_type: "connect".to_owned(), ..good.clone() })?;
    s.ask("no protocol type", v, &JoinGroupRequest { protocol_type: String::new(), ..good.clone() })?;
    s.ask("other protocols", v, &join(&group, "", &[("roundrobin", b"r"), ("sticky", b"s")]))?;
    s.ask("no protocols", v, &join(&group, "", &[]))?;
    s.ask("no protocols of the member", v, &join(&group, &member.id, &[]))?;
    let typed = JoinGroupRequest { protocol_type: "connect".to_owned(), ..member.rejoin() };
    s.ask("another protocol type of the member", v, &typed)?;
    if v >= WITH_INSTANCES[0] {
        s.ask("an instance that the member is not", v, &member.instance("i").rejoin())?;
    }
    s.ask("after all that", HEARTBEAT, &member.heartbeat())?;
    let other = join(&group, &member.id, &[("roundrobin", b"r"), ("sticky", b"s")]);
    s.ask("other protocols of the only member", v, &other).map(drop)
}

/// The protocol is one that all can do; among these the one that most prefer.
fn votes(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let (of_first, of_second): (&[_], &[_]) =
        (&[("a", &b"1"[..]), ("b", b"2"), ("c", b"3")], &[("d", &b"4"[..]), ("c", b"5"), ("b", b"6")]);
    let first = joins(s, v, "the first", &join(&group, "", of_first))?;
    let second = joining(s, v, "the second", &join(&group, "", of_second))?;
    wait_for(s, &group, "PreparingRebalance")?;
    let only_c = join(&group, &first.id, &[("c", b"7"), ("a", b"8")]);
    s.ask("the first, which can no longer do b", v, &only_c)?;
    s.receive(second)?;
    Ok(())
}

/// Members that have got an id and not come back with it.
fn pending(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let first = s.ask("without an id", v, &join(&group, "", RANGE))?.context("closed")?;
    let pending = Member::of(&group, &first);
    show(s, "with one that is to come", &group)?;
    s.ask("of one that is to come", HEARTBEAT, &pending.heartbeat())?;
    s.ask("of one that is to come", SYNC, &pending.sync(&[]))?;
    s.ask("of one that is to come", LEAVE, &pending.leave())?;
    s.ask("when it has left", v, &join(&group, &first.member_id, RANGE))?;
    let id = promised(s, &group)?;
    s.ask("with other protocols than it said", v, &join(&group, &id, &[("other", b"o")])).map(drop)
}

fn join_static(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let of = |id: &str| JoinGroupRequest { group_instance_id: Some("i1".to_owned()), ..join(&group, id, RANGE) };
    let old = joins(s, v, "an instance", &of(""))?;
    s.ask("of the instance", SYNC, &old.sync(&[(&old, "all")]))?;
    let new = joins(s, v, "the instance without its id", &of(""))?;
    s.ask("of the instance under its new id", SYNC, &new.sync(&[]))?;
    s.ask("of the instance under its new id", HEARTBEAT, &new.heartbeat())?;
    s.ask("of the instance under its old id", HEARTBEAT, &old.heartbeat())?;
    s.ask("of the old id", HEARTBEAT, &HeartbeatRequest { group_instance_id: None, ..old.heartbeat() })?;
    s.ask("of the new id without the instance", HEARTBEAT, &Member { instance: None, ..new.clone() }.heartbeat())?;
    s.ask("of another instance", HEARTBEAT, &new.instance("i2").heartbeat())?;
    s.ask("of the instance under its old id", SYNC, &old.sync(&[]))?;
    s.ask("the instance under its old id", v, &old.rejoin())?;
    s.ask("another instance with that id", v, &new.instance("i2").rejoin())?;
    show(s, "in the end", &group)?;
    s.ask("the instance under its new id", v, &new.rejoin()).map(drop)
}

/// A static member that comes back with other metadata, and with other protocols.
fn join_static_changed(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let of =
        |protocols: &[_]| JoinGroupRequest { group_instance_id: Some("i1".to_owned()), ..join(&group, "", protocols) };
    let both = [("range", &b"r"[..]), ("roundrobin", b"r")];
    stable(s, &of(&both))?;
    s.ask("with other metadata", v, &of(&[("range", b"o"), ("roundrobin", b"r")]))?;
    s.ask("with other protocols", v, &of(&[("roundrobin", b"r")]))?;
    s.ask("before it has synced", v, &of(&[("roundrobin", b"r")]))?;
    show(s, "in the end", &group)
}

/// A static member that comes back while its former self waits for the others.
fn join_static_waiting(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let leader = one_member(s, &group)?;
    let of_instance = JoinGroupRequest { group_instance_id: Some("i1".to_owned()), ..join(&group, "", RANGE) };
    let former = s.send("the instance", v, &of_instance)?;
    wait_for(s, &group, "PreparingRebalance")?;
    let latter = s.send("the instance again", v, &of_instance)?;
    s.receive(former)?;
    s.ask("the leader", v, &leader.rejoin())?;
    s.receive(latter)?;
    show(s, "in the end", &group)
}

fn timeouts(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let short = |id: &str| JoinGroupRequest { rebalance_timeout_ms: SHORT_MS, ..join(&group, id, RANGE) };
    let first = stable(s, &short(""))?;
    let id = promised(s, &group)?;
    let second = s.ask("the second, when the first has not come", v, &short(&id))?.context("closed")?;
    s.ask("of the first", HEARTBEAT, &first.heartbeat())?;
    wait_for(s, &group, "Empty")?;
    s.ask("of the second, which has not synced", SYNC, &Member::of(&group, &second).sync(&[]))?;
    show(s, "in the end", &group)
}

fn full(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let (first, _) = two_members(s, &group)?;
    s.ask("a third", v, &join(&group, "", RANGE))?;
    s.ask("a third with an id", v, &join(&group, "nobody", RANGE))?;
    s.ask("of the first", HEARTBEAT, &first.heartbeat()).map(drop)
}

fn strange_names(s: &mut Session, v: i16) -> Result<()> {
    group(s, "g")?;
    for name in [" ", "a b/ü", "."] {
        let group = s.topic(name);
        let member = joins(s, v, &format!("the group {name:?}"), &join(&group, "", RANGE))?;
        s.ask(&format!("of the group {name:?}"), SYNC, &member.sync(&[(&member, "all")]))?;
    }
    let long = s.topic(&"g".repeat(1000));
    let request = JoinGroupRequest {
        protocol_type: "any type".to_owned(),
        group_instance_id: Some("an instance".to_owned()),
        ..join(&long, "", &[("", b"")])
    };
    let code = s.get(v, &request)?.error_code;
    s.note("JoinGroup: a group of 1000 letters", &format!("error_code={code}"));
    Ok(())
}

pub(super) fn sync_group() -> Vec<Case> {
    let api = ApiKey::SyncGroup;
    vec![
        Case::each("wrong", api, sync_wrong),
        Case::some("wrong_protocols", &[5], sync_wrong_protocols),
        Case::each("follower_first", api, follower_first),
        Case::each("again", api, sync_again),
        Case::each("of_nobody", api, sync_of_nobody),
        Case::newest("interrupted", api, sync_interrupted),
    ]
}

fn sync_wrong(s: &mut Session, v: i16) -> Result<()> {
    let (group, unknown) = (group(s, "g")?, s.topic("unknown"));
    let member = joined(s, &join(&group, "", RANGE))?;
    for (label, member) in [
        ("no group", member.in_group("")),
        ("an unknown group", member.in_group(&unknown)),
        ("no member", member.called("")),
        ("an unknown member", member.called("nobody")),
        ("the generation before", member.at(member.generation - 1)),
        ("the generation after", member.at(member.generation + 1)),
        ("no generation", member.at(-1)),
    ] {
        s.ask(label, v, &member.sync(&[(&member, "all")]))?;
    }
    if v >= 3 {
        s.ask("an unknown instance", v, &member.instance("i").sync(&[]))?;
    }
    s.get(LEAVE, &member.leave())?;
    s.ask("of an empty group", v, &member.sync(&[])).map(drop)
}

fn sync_wrong_protocols(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let member = joined(s, &join(&group, "", RANGE))?;
    let good = member.sync(&[(&member, "all")]);
    for (label, protocol_type, protocol_name) in [
        ("another type", Some("connect"), Some("range")),
        ("another name", Some("consumer"), Some("roundrobin")),
        ("no type", None, Some("range")),
        ("no name", Some("consumer"), None),
        ("neither", None, None),
        ("an empty type", Some(""), Some("range")),
    ] {
        let (protocol_type, protocol_name) = (protocol_type.map(str::to_owned), protocol_name.map(str::to_owned));
        s.ask(label, v, &SyncGroupRequest { protocol_type, protocol_name, ..good.clone() })?;
    }
    Ok(())
}

/// Two members that have joined; the first one leads.
fn two_joined(s: &mut Session, group: &str) -> Result<(Member, Member)> {
    let (first, second) = two_members(s, group)?;
    let leader = s.send("", JOIN, &first.rejoin())?;
    wait_for(s, group, "PreparingRebalance")?;
    let second = joined(s, &second.rejoin())?;
    let first = Member::of(group, &s.receive_unkept(leader)?);
    Ok((first, second))
}

fn follower_first(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let (first, second) = two_joined(s, &group)?;
    let follower = s.send("of the follower", v, &second.sync(&[]))?;
    s.ask("of the leader", v, &first.sync(&[(&first, "half"), (&second, "other half")]))?;
    s.receive(follower)?;
    show(s, "in the end", &group)
}

fn sync_again(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let member = joined(s, &join(&group, "", RANGE))?;
    s.ask("of the leader", v, &member.sync(&[(&member, "all")]))?;
    s.ask("of the leader with another assignment", v, &member.sync(&[(&member, "nothing")]))?;
    s.ask("of the leader without an assignment", v, &member.sync(&[])).map(drop)
}

/// The leader forgets the other member, and means one that is not there.
fn sync_of_nobody(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let (first, second) = two_joined(s, &group)?;
    let nobody = first.called("nobody");
    s.ask("of the leader", v, &first.sync(&[(&first, "all"), (&nobody, "more")]))?;
    s.ask("of the follower", v, &second.sync(&[]))?;
    show(s, "in the end", &group)
}

fn sync_interrupted(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let (first, second) = two_joined(s, &group)?;
    let follower = s.send("of the follower", v, &second.sync(&[]))?;
    // The leader changes its mind before it has handed anything out.
    let changed = join(&group, &first.id, &[("range", b"o")]);
    let leader = s.send("the leader", JOIN, &changed)?;
    s.receive(follower)?;
    s.ask("the follower", JOIN, &second.rejoin())?;
    s.receive(leader)?;
    Ok(())
}

pub(super) fn heartbeat() -> Vec<Case> {
    vec![Case::each("wrong", ApiKey::Heartbeat, heartbeat_wrong)]
}

fn heartbeat_wrong(s: &mut Session, v: i16) -> Result<()> {
    let (group, unknown) = (group(s, "g")?, s.topic("unknown"));
    let member = one_member(s, &group)?;
    for (label, member) in [
        ("a member", member.clone()),
        ("no group", member.in_group("")),
        ("an unknown group", member.in_group(&unknown)),
        ("no member", member.called("")),
        ("an unknown member", member.called("nobody")),
        ("the generation before", member.at(member.generation - 1)),
        ("the generation after", member.at(member.generation + 1)),
        ("no generation", member.at(-1)),
        ("an unknown instance", member.instance("i")),
    ] {
        s.ask(label, v, &member.heartbeat())?;
    }
    s.get(LEAVE, &member.leave())?;
    s.ask("of an empty group", v, &member.heartbeat()).map(drop)
}

pub(super) fn leave_group() -> Vec<Case> {
    let api = ApiKey::LeaveGroup;
    vec![
        Case::each("last", api, leave_last),
        Case::each("wrong", api, leave_wrong),
        Case::some("several", &BATCHED, leave_several),
        Case::some("static", &BATCHED, leave_static),
        Case::each("waiting", api, leave_waiting),
    ]
}

fn leave_last(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let member = one_member(s, &group)?;
    s.ask("the only member", v, &member.leave())?;
    show(s, "when it has left", &group)?;
    s.ask("again", v, &member.leave())?;
    s.ask("when it has left", HEARTBEAT, &member.heartbeat())?;
    s.ask("when it has left", JOIN, &member.rejoin()).map(drop)
}

fn leave_wrong(s: &mut Session, v: i16) -> Result<()> {
    let (group, unknown) = (group(s, "g")?, s.topic("unknown"));
    let member = one_member(s, &group)?;
    s.ask("no group", v, &member.in_group("").leave())?;
    s.ask("an unknown group", v, &member.in_group(&unknown).leave())?;
    s.ask("an unknown member", v, &member.called("nobody").leave())?;
    s.ask("no member", v, &member.called("").leave())?;
    if v >= BATCHED[0] {
        s.ask("nobody", v, &leave(&group, &[]))?;
        s.ask("nobody of an unknown group", v, &leave(&unknown, &[]))?;
        s.ask("an instance that the member is not", v, &member.instance("i").leave())?;
    }
    s.ask("after all that", HEARTBEAT, &member.heartbeat()).map(drop)
}

fn leave_several(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let (first, second) = two_members(s, &group)?;
    s.ask("both and nobody", v, &leave(&group, &[(&first.id, None), ("nobody", None), (&second.id, None)]))?;
    show(s, "when both have left", &group)?;
    let (first, _) = two_members(s, &group)?;
    s.ask("one twice", v, &leave(&group, &[(&first.id, None), (&first.id, None)]))?;
    wait_for(s, &group, "PreparingRebalance")
}

fn leave_static(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let of_instance = JoinGroupRequest { group_instance_id: Some("i1".to_owned()), ..join(&group, "", RANGE) };
    let member = stable(s, &of_instance)?;
    s.ask("another instance", v, &leave(&group, &[("", Some("i2"))]))?;
    s.ask("another instance under the id", v, &leave(&group, &[(&member.id, Some("i2"))]))?;
    s.ask("the instance under another id", v, &leave(&group, &[("nobody", Some("i1"))]))?;
    s.ask("the instance", v, &leave(&group, &[("", Some("i1"))]))?;
    show(s, "when it has left", &group)?;
    let member = stable(s, &of_instance)?;
    s.ask("the id without the instance", v, &leave(&group, &[(&member.id, None)]))?;
    let member = stable(s, &of_instance)?;
    s.ask("the instance under its id", v, &member.leave()).map(drop)
}

/// The one that the others wait for leaves.
fn leave_waiting(s: &mut Session, v: i16) -> Result<()> {
    let group = group(s, "g")?;
    let first = one_member(s, &group)?;
    let id = promised(s, &group)?;
    let second = s.send("the second", JOIN, &join(&group, &id, RANGE))?;
    wait_for(s, &group, "PreparingRebalance")?;
    s.ask("the first, which the second waits for", v, &first.leave())?;
    s.receive(second)?;
    Ok(())
}
