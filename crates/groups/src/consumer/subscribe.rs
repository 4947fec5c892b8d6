//! What the members want: their subscriptions, the patterns among them, and when that calls for a new group epoch.
//!
//! The group epoch rises when a member comes, leaves or wants other topics, and when a topic that the group is subscribed to
//! appears, disappears or gets partitions; nothing else raises it. The metadata hash stands for those topics.
//!
//! What patterns match is found out aside, see [`super::matching`]; here a member's pattern is taken over with what is known of
//! it.

use std::collections::BTreeSet;

use ottla_controller::MetadataImage;
use ottla_coordinator::InvalidPattern;

use super::{
    ConsumerGroup, Context, Refused, after::After, epoch_record, matching::Found, member::Member, regex_record,
};
use crate::record::GroupRecord;

/// What [`subscribe`] found.
pub(super) struct Subscribed {
    /// Of the group, raised or not.
    pub(super) epoch: i32,
    /// Whether the member wants other topics than before.
    pub(super) changed: bool,
    /// The image whose topics were looked at for the metadata hash, if they were.
    pub(super) checked: Option<u64>,
}

/// A member that was `before` is now `after.come`: writes what follows for the member, the patterns and the group epoch.
/// `found` is what was just found out about its pattern.
pub(super) fn subscribe(
    context: Context<'_>,
    before: Option<&Member>,
    found: Option<&Found>,
    after: &mut After<'_>,
    records: &mut Vec<GroupRecord>,
) -> Result<Subscribed, Refused> {
    let group = after.group;
    let Some(member) = after.come else { unreachable!("somebody subscribes") };
    if !before.is_some_and(|before| before.same_metadata(member)) {
        records.push(member.metadata_record(context.group_id));
    }
    let names_changed = before.map(|before| &before.topics).cloned().unwrap_or_default() != member.topics;
    let old_pattern = before.and_then(Member::pattern);
    let pattern_changed = old_pattern != member.pattern();
    resolve(context, after, old_pattern, found, records)?;
    // A pattern that matches nothing, of a member that had none, changes nothing.
    let matters = |pattern| after.resolved(pattern).is_some_and(|resolved| !resolved.topics.is_empty());
    let pattern_matters = pattern_changed && (old_pattern.is_some() || member.pattern().is_some_and(matters));

    let mut subscribed = Subscribed { epoch: group.epoch, changed: names_changed || pattern_changed, checked: None };
    let must_bump = names_changed || pattern_matters;
    if must_bump || group.soft.checked != Some(context.image.version()) {
        subscribed.checked = Some(context.image.version());
        let hash = metadata_hash(&after.topics(), context.image);
        if must_bump || hash != group.metadata_hash {
            subscribed.epoch = group.epoch.saturating_add(1);
            records.push(epoch_record(context.group_id, subscribed.epoch, hash));
        }
    }
    Ok(subscribed)
}

/// Forgets the pattern that the member had, if nobody has it any more, and takes over what the new one matches. One of which
/// nothing is known yet matches nothing; it is looked at soon.
fn resolve(
    context: Context<'_>,
    after: &mut After<'_>,
    old_pattern: Option<&str>,
    found: Option<&Found>,
    records: &mut Vec<GroupRecord>,
) -> Result<(), Refused> {
    if let Some(old) = old_pattern.filter(|old| after.subscribers_of(old) == 0) {
        forget(context.group_id, after, old, records);
    }
    let new = after.come.and_then(Member::pattern).filter(|new| after.resolved(new).is_none());
    let Some((pattern, found)) = new.zip(found) else { return Ok(()) };
    let invalid =
        |reason: &InvalidPattern| Refused::InvalidRegex { regex: pattern.to_owned(), reason: reason.to_string() };
    let resolved = found.as_ref().map_err(invalid)?;
    records.push(regex_record(context.group_id, pattern, Some(resolved)));
    after.regexes.insert(pattern.to_owned(), Some(resolved.clone()));
    Ok(())
}

/// Forgets a pattern that nobody has any more.
pub(super) fn forget(group_id: &str, after: &mut After<'_>, pattern: &str, records: &mut Vec<GroupRecord>) {
    if after.resolved(pattern).is_some() {
        records.push(regex_record(group_id, pattern, None));
        after.regexes.insert(pattern.to_owned(), None);
    }
}

/// Whether topics that the group is subscribed to are not as they were when the group epoch was raised last.
pub(super) fn topics_changed(context: Context<'_>, group: &ConsumerGroup) -> bool {
    group.soft.checked != Some(context.image.version())
        && metadata_hash(&After::without(group, Vec::new()).topics(), context.image) != group.metadata_hash
}

/// Stands for the topics that exist among `topics`, with their ids and numbers of partitions; 0 when none does.
pub(super) fn metadata_hash(topics: &BTreeSet<&str>, image: &MetadataImage) -> i64 {
    let mut hash = Fnv::new();
    let mut none = true;
    for topic in topics.iter().filter_map(|name| image.topic(name)) {
        none = false;
        hash.eat(topic.name.as_str().as_bytes());
        hash.eat(&topic.id.0);
        hash.eat(&(topic.partitions.len() as u64).to_be_bytes());
    }
    if none { 0 } else { hash.finish() }
}

/// FNV-1a of 64 bits. It need only tell one state of a group's topics from the next; nobody gains by finding two that agree.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in `bytes`, and that they ended here.
    fn eat(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&(bytes.len() as u32).to_be_bytes()) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Never 0, which stands for no topics.
    fn finish(self) -> i64 {
        if self.0 == 0 { 1 } else { self.0.cast_signed() }
    }
}
