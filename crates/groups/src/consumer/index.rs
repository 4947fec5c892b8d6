//! What follows from the members and is asked for often.
//!
//! Invariant: it is what [`Index::member_changed`] makes of all members one after the other, with one exception that heals
//! a log of which parts were compacted away: of two members that claim a partition, the later has it.

use std::{collections::BTreeMap, sync::Arc};

use ottla_types::Uuid;

use super::member::{Held, Member};

/// See the file's head.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    instances: BTreeMap<String, String>,
    /// How many members name each topic.
    topics: BTreeMap<String, u32>,
    /// How many members have each pattern.
    patterns: BTreeMap<String, u32>,
    /// Who has each partition, or has yet to confirm that it gave it up.
    holders: BTreeMap<Uuid, BTreeMap<i32, Arc<str>>>,
}

impl Index {
    pub(super) fn member_of(&self, instance_id: &str) -> Option<&str> {
        self.instances.get(instance_id).map(String::as_str)
    }

    /// Whether a member names the topic.
    pub(super) fn is_named(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Topics that members name, and how many do.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, u32)> {
        self.topics.iter().map(|(topic, count)| (topic.as_str(), *count))
    }

    pub(super) fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.keys().map(String::as_str)
    }

    pub(super) fn subscribers_of(&self, pattern: &str) -> u32 {
        self.patterns.get(pattern).copied().unwrap_or(0)
    }

    pub(super) fn holder(&self, topic: Uuid, partition: i32) -> Option<&str> {
        self.holders.get(&topic)?.get(&partition).map(|holder| &**holder)
    }

    /// A member is no longer as `before`, but as `after`. Costs as much as what changed is long.
    pub(super) fn member_changed(&mut self, before: Option<&Member>, after: Option<&Member>) {
        let both = before.zip(after);
        if !both.is_some_and(|(before, after)| before.same_metadata(after)) {
            before.into_iter().for_each(|before| self.unsubscribe(before));
            after.into_iter().for_each(|after| self.subscribe(after));
        }
        let same_held = |(before, after): (&Member, &Member)| {
            Arc::ptr_eq(&before.assigned, &after.assigned) && Arc::ptr_eq(&before.revoking, &after.revoking)
        };
        if !both.is_some_and(same_held) {
            before.into_iter().for_each(|before| self.release_all(before));
            after.into_iter().for_each(|after| self.hold_all(after));
        }
    }

    fn subscribe(&mut self, member: &Member) {
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), member.id.clone());
        }
        member.topics.iter().for_each(|topic| *self.topics.entry(topic.clone()).or_default() += 1);
        member.pattern().into_iter().for_each(|pattern| *self.patterns.entry(pattern.to_owned()).or_default() += 1);
    }

    fn unsubscribe(&mut self, member: &Member) {
        self.forget_instance(member);
        member.topics.iter().for_each(|topic| decrement(&mut self.topics, topic));
        member.pattern().into_iter().for_each(|pattern| decrement(&mut self.patterns, pattern));
    }

    fn hold_all(&mut self, member: &Member) {
        let id: Arc<str> = member.id.as_str().into();
        self.hold(&id, &member.assigned);
        self.hold(&id, &member.revoking);
    }

    fn release_all(&mut self, member: &Member) {
        self.release(&member.id, &member.assigned);
        self.release(&member.id, &member.revoking);
    }

    fn forget_instance(&mut self, member: &Member) {
        let Some(instance) = &member.instance_id else { return };
        if self.member_of(instance) == Some(&member.id) {
            self.instances.remove(instance);
        }
    }

    fn hold(&mut self, member: &Arc<str>, held: &Held) {
        for (topic, partitions) in held {
            let holders = self.holders.entry(*topic).or_default();
            holders.extend(partitions.keys().map(|partition| (*partition, Arc::clone(member))));
        }
    }

    fn release(&mut self, member: &str, held: &Held) {
        for (topic, partitions) in held {
            let Some(holders) = self.holders.get_mut(topic) else { continue };
            for partition in partitions.keys() {
                if holders.get(partition).is_some_and(|holder| &**holder == member) {
                    holders.remove(partition);
                }
            }
            if holders.is_empty() {
                self.holders.remove(topic);
            }
        }
    }
}

fn decrement(counts: &mut BTreeMap<String, u32>, key: &str) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count -= 1,
        _ => {
            counts.remove(key);
        }
    }
}
