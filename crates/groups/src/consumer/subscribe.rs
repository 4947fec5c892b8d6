//! What the members want: their subscriptions, the patterns among them, and when that calls for a new group epoch.
//!
//! The group epoch rises when a member comes, leaves or wants other topics, and when a topic that the group is subscribed to
//! appears, disappears or gets partitions; nothing else raises it. The metadata hash stands for those topics.
//!
//! Patterns are held against the topics here and at once, so that a member gets its partitions with its first answer. Kafka
//! does it aside and answers the first heartbeat before it knows.

use std::{collections::BTreeSet, ops::Bound};

use ottla_controller::MetadataImage;
use ottla_coordinator::Pattern;
use ottla_types::Millis;

use super::{ConsumerGroup, Context, Refused, Resolved, after::After, epoch_record, member::Member, regex_record};
use crate::record::GroupRecord;

/// Patterns are held against a new image at most so often, unless it has more or fewer topics: most changes of metadata are
/// none of topics, and matching thousands of names for each of them would be felt.
const MATCH_INTERVAL_MS: i64 = 10_000;

/// Patterns that one request holds against the topics at most; the next ones go on from there.
const PATTERNS_PER_REQUEST: usize = 64;

/// The image that a group's patterns are held against, or were last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matched {
    version: u64,
    topics: usize,
    at: Millis,
    /// The pattern that was the turn of last, as long as others wait for theirs.
    reached: Option<String>,
}

/// What [`subscribe`] found.
pub(super) struct Subscribed {
    /// Of the group, raised or not.
    pub(super) epoch: i32,
    /// Whether the member wants other topics than before.
    pub(super) changed: bool,
    /// The image whose topics were looked at for the metadata hash, if they were.
    pub(super) checked: Option<u64>,
    /// The image that patterns were held against, if they were.
    pub(super) matched: Option<Matched>,
}

/// A member that was `before` is now `after.come`: writes what follows for the member, the patterns and the group epoch.
pub(super) fn subscribe(
    context: Context<'_>,
    before: Option<&Member>,
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
    let (matched, matches_changed) = resolve(context, after, old_pattern, records)?;
    // A pattern that matches nothing, of a member that had none, changes nothing.
    let matters = |pattern| after.resolved(pattern).is_some_and(|resolved| !resolved.topics.is_empty());
    let pattern_matters = pattern_changed && (old_pattern.is_some() || member.pattern().is_some_and(matters));

    let mut subscribed =
        Subscribed { epoch: group.epoch, changed: names_changed || pattern_changed, checked: None, matched };
    let must_bump = names_changed || pattern_matters || matches_changed;
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

/// Forgets patterns that nobody has any more, and resolves those that need it: the member's if it is new, all (over time) if
/// the topics may have changed. What was looked at, and whether a pattern matches other topics than before.
fn resolve(
    context: Context<'_>,
    after: &mut After<'_>,
    old_pattern: Option<&str>,
    records: &mut Vec<GroupRecord>,
) -> Result<(Option<Matched>, bool), Refused> {
    if let Some(old) = old_pattern.filter(|old| after.subscribers_of(old) == 0) {
        forget(context.group_id, after, old, records);
    }
    let new = after.come.and_then(Member::pattern).filter(|new| after.resolved(new).is_none());
    if let Some(pattern) = new {
        let compiled = Pattern::compile(pattern)
            .map_err(|invalid| Refused::InvalidRegex { regex: pattern.to_owned(), reason: invalid.to_string() })?;
        let resolved = matching(&compiled, context);
        records.push(regex_record(context.group_id, pattern, Some(&resolved)));
        after.regexes.insert(pattern.to_owned(), Some(resolved));
    }
    let Some(mut matched) = turn(context, after.group) else { return Ok((None, false)) };
    let from = (matched.reached.take().map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
    let patterns = after.patterns();
    let mut waiting = patterns.range::<str, _>((from.0.as_ref().map(String::as_str), from.1));
    let chosen: Vec<String> =
        waiting.by_ref().take(PATTERNS_PER_REQUEST).map(|pattern| (*pattern).to_owned()).collect();
    let are_more = waiting.next().is_some();
    matched.reached = chosen.last().filter(|_| are_more).cloned();
    let changed = refresh(context, after, chosen, records);
    Ok((Some(matched), changed))
}

/// Forgets a pattern that nobody has any more.
pub(super) fn forget(group_id: &str, after: &mut After<'_>, pattern: &str, records: &mut Vec<GroupRecord>) {
    if after.resolved(pattern).is_some() {
        records.push(regex_record(group_id, pattern, None));
        after.regexes.insert(pattern.to_owned(), None);
    }
}

/// Where to go on holding the patterns against the topics; none where that was done.
fn turn(context: Context<'_>, group: &ConsumerGroup) -> Option<Matched> {
    let (version, topics) = (context.image.version(), context.image.topic_count());
    let anew = || Some(Matched { version, topics, at: context.now, reached: None });
    let Some(matched) = &group.soft.matched else { return anew() };
    let age_ms = context.now.since(matched.at);
    let stale = matched.version != version && (matched.topics != topics || age_ms >= MATCH_INTERVAL_MS);
    if stale || age_ms >= i64::from(context.settings.groups.consumer_regex_refresh_interval_ms) {
        return anew();
    }
    matched.reached.is_some().then(|| matched.clone())
}

/// Holds patterns against the topics; whether one matches others than before.
fn refresh(context: Context<'_>, after: &mut After<'_>, patterns: Vec<String>, records: &mut Vec<GroupRecord>) -> bool {
    let mut changed = false;
    for pattern in patterns {
        // One that another broker wrote may not compile here; what it matched then must do.
        let Ok(compiled) = Pattern::compile(&pattern) else { continue };
        let resolved = matching(&compiled, context);
        if after.resolved(&pattern).is_none_or(|before| before.topics != resolved.topics) {
            records.push(regex_record(context.group_id, &pattern, Some(&resolved)));
            after.regexes.insert(pattern, Some(resolved));
            changed = true;
        }
    }
    changed
}

fn matching(pattern: &Pattern, context: Context<'_>) -> Resolved {
    let names = context.image.topics().map(|topic| topic.name.as_str());
    Resolved {
        topics: names.filter(|name| pattern.matches(name)).map(str::to_owned).collect(),
        version: i64::try_from(context.image.version()).unwrap_or(i64::MAX),
        at: context.now.0,
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
