//! Who gets which partitions: the assignors that the broker offers.
//!
//! Invariants of each: a partition of a topic goes to exactly one of the topic's subscribers, and to nobody where there
//! is none; every member has an entry; the order in which members are given does not matter; what a member has now is
//! believed only as far as it subscribes to the topic and the partition exists.

mod range;
#[cfg(test)]
mod tests;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use ottla_types::Uuid;

/// Partitions by member and topic.
pub(crate) type Assignment = BTreeMap<String, BTreeMap<Uuid, BTreeSet<i32>>>;

/// One member as an assignor sees it.
#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) id: &'a str,
    /// `group.instance.id` of a static member.
    pub(crate) instance_id: Option<&'a str>,
    /// Topics to read; those without partitions are passed over.
    pub(crate) subscribed: BTreeSet<Uuid>,
    /// The assignment to stay close to.
    pub(crate) current: BTreeMap<Uuid, BTreeSet<i32>>,
}

/// The assignment that the assignor called `name` makes; none where there is no such assignor.
pub(crate) fn assign(name: &str, members: &[Member<'_>], partition_counts: &BTreeMap<Uuid, i32>) -> Option<Assignment> {
    match name {
        "range" => Some(range::assign(members, partition_counts)),
        "uniform" => Some(uniform::assign(members, partition_counts)),
        _ => None,
    }
}

/// The assignor that most members ask for, of those that ask for one; `default` where none does. Where several have
/// as many votes it is `default` if it is among them, else the first by name.
pub(crate) fn preferred<'a>(votes: impl Iterator<Item = Option<&'a str>>, default: &'a str) -> &'a str {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for name in votes.flatten() {
        *count.entry(name).or_default() += 1;
    }
    let most = count.values().copied().max().unwrap_or(0);
    if count.get(default) == Some(&most) {
        return default;
    }
    count.into_iter().find(|(_, votes)| *votes == most).map_or(default, |(name, _)| name)
}

/// A topic that somebody reads.
struct Topic {
    id: Uuid,
    /// At least 1.
    partitions: usize,
    /// Places in the list of members, ascending; never empty.
    subscribers: Vec<u32>,
}

/// Topics that have partitions and subscribers, by id ascending.
fn topics(members: &[&Member<'_>], partition_counts: &BTreeMap<Uuid, i32>) -> Vec<Topic> {
    let counted = partition_counts.iter().map(|(id, count)| (*id, usize::try_from(*count).unwrap_or(0)));
    let empty = |(id, partitions)| Topic { id, partitions, subscribers: Vec::new() };
    let mut topics: Vec<_> = counted.filter(|(_, partitions)| *partitions > 0).map(empty).collect();
    for (place, member) in (0..).zip(members) {
        let mut at = 0;
        for id in &member.subscribed {
            // Both ascend, so that who reads all topics finds each right behind the last.
            if topics.get(at).is_some_and(|topic| topic.id < *id) {
                at += topics[at..].partition_point(|topic| topic.id < *id);
            }
            if let Some(topic) = topics.get_mut(at).filter(|topic| topic.id == *id) {
                topic.subscribers.push(place);
                at += 1;
            }
        }
    }
    topics.retain(|topic| !topic.subscribers.is_empty());
    topics
}
