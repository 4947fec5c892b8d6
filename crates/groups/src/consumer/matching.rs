//! Patterns and the topics they match: found out aside, because it may take long, and fed back.
//!
//! A hostile pattern over many topics takes seconds. Whoever runs the shard takes a [`Matching`] from it, works it out where
//! nobody waits, and hands the [`Matched`] back. A heartbeat with a pattern of which nothing is known is parked until then,
//! so that its member gets partitions with its first answer; all others of the shard go on.
//!
//! Invariants: of each group at most one matching is under way; whoever is parked is answered when its pattern is known, when
//! the same member says something else, or never because the shard is gone. All of it is soft.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, InvalidPattern, Pattern, Ticket};
use ottla_types::{ErrorCode, Millis, Uuid};
use ottla_wire::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;

use super::{
    ConsumerGroup, Context, Resolved, Timer, after::After, epoch_record, expire::set, heartbeat, regex_record,
    subscribe::metadata_hash,
};
use crate::{
    record::GroupRecord,
    request::Client,
    shard::{Decided, GroupShard},
};

/// Patterns of one matching at most: the next group has its turn in between.
const PATTERNS_AT_ONCE: usize = 64;

/// Known patterns are held against a new image at most so often, unless it has more or fewer topics: most changes of metadata
/// are none of topics, and matching thousands of names for each of them would be felt.
const MATCH_INTERVAL_MS: i64 = 10_000;

/// What is known of a pattern.
pub(crate) type Found = Result<Resolved, InvalidPattern>;

/// Patterns of a group that are to be held against the topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    group_id: String,
    patterns: Vec<String>,
}

/// What came of a [`Matching`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    group_id: String,
    found: Vec<(String, Found)>,
}

impl Matching {
    /// Takes long where patterns are costly and topics many.
    #[must_use]
    pub fn work_out(self, now: Millis, image: &MetadataImage) -> Matched {
        let resolve = |pattern: String| {
            let found = Pattern::compile(&pattern).map(|compiled| matching(&compiled, now, image));
            (pattern, found)
        };
        Matched { group_id: self.group_id, found: self.patterns.into_iter().map(resolve).collect() }
    }

    /// For when it could not be worked out.
    #[must_use]
    pub fn given_up(self) -> Matched {
        let refuse = |pattern| (pattern, Err(InvalidPattern::Unsupported));
        Matched { group_id: self.group_id, found: self.patterns.into_iter().map(refuse).collect() }
    }
}

fn matching(pattern: &Pattern, now: Millis, image: &MetadataImage) -> Resolved {
    let names = image.topics().map(|topic| topic.name.as_str());
    Resolved {
        topics: names.filter(|name| pattern.matches(name)).map(str::to_owned).collect(),
        version: i64::try_from(image.version()).unwrap_or(i64::MAX),
        at: now.0,
    }
}

/// The image that a group's patterns were last held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looked {
    version: u64,
    topics: usize,
    at: Millis,
}

/// What a shard's groups want to know of patterns, and who waits for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Matcher {
    groups: BTreeMap<String, Wanting>,
    /// Groups that want something and have no matching under way, in the order of their turns.
    ready: VecDeque<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Wanting {
    /// Patterns that somebody is parked for.
    asked: BTreeSet<String>,
    /// Known patterns that are to be looked at again.
    again: BTreeSet<String>,
    is_under_way: bool,
    found: BTreeMap<String, Found>,
    parked: VecDeque<Parked>,
}

/// A heartbeat that waits.
#[derive(Clone, Debug, PartialEq)]
struct Parked {
    from: Ticket,
    version: i16,
    client: Client,
    fresh: Uuid,
    request: ConsumerGroupHeartbeatRequest,
}

impl Wanting {
    /// Whether there is something to work out now.
    fn is_ready(&self) -> bool {
        !self.is_under_way && (!self.asked.is_empty() || !self.again.is_empty())
    }

    fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.again.is_empty() && !self.is_under_way && self.parked.is_empty()
    }

    /// The next patterns; those that somebody waits for come first.
    fn take(&mut self) -> Vec<String> {
        let mut patterns = Vec::new();
        while patterns.len() < PATTERNS_AT_ONCE {
            let Some(pattern) = self.asked.pop_first().or_else(|| self.again.pop_first()) else { break };
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
        patterns
    }

    /// Takes out who waits for what is known by now.
    fn next_known(&mut self) -> Option<Parked> {
        let knows = |parked: &Parked| parked.pattern().is_none_or(|pattern| self.found.contains_key(pattern));
        let at = self.parked.iter().position(knows)?;
        self.parked.remove(at)
    }
}

impl Parked {
    fn pattern(&self) -> Option<&str> {
        pattern_of(&self.request)
    }
}

impl Matcher {
    /// What was just found out about a pattern of the group.
    pub(super) fn found(&self, group_id: &str, pattern: &str) -> Option<&Found> {
        self.groups.get(group_id)?.found.get(pattern)
    }

    fn want(&mut self, group_id: &str, want: impl FnOnce(&mut Wanting)) {
        let wanting = self.groups.entry(group_id.to_owned()).or_default();
        let was_ready = wanting.is_ready();
        want(wanting);
        if wanting.is_ready() && !was_ready {
            self.ready.push_back(group_id.to_owned());
        }
    }

    fn drop_if_idle(&mut self, group_id: &str) {
        if self.groups.get(group_id).is_some_and(Wanting::is_idle) {
            self.groups.remove(group_id);
        }
    }
}

fn pattern_of(request: &ConsumerGroupHeartbeatRequest) -> Option<&str> {
    request.subscribed_topic_regex.as_deref().filter(|pattern| !pattern.is_empty())
}

/// Whether the pattern of a heartbeat has to be looked at before it can be decided.
pub(super) fn is_unknown(shard: &GroupShard, request: &ConsumerGroupHeartbeatRequest) -> bool {
    let Some(pattern) = pattern_of(request) else { return false };
    let group_id = request.group_id.as_str();
    let is_resolved = shard.consumer(group_id).is_some_and(|group| group.regexes.contains_key(pattern));
    !is_resolved && shard.matcher.found(group_id, pattern).is_none()
}

/// Parks a heartbeat until its pattern is known.
pub(super) fn park(
    shard: &mut GroupShard,
    context: Context<'_>,
    from: Ticket,
    version: i16,
    client: Client,
    fresh: Uuid,
    request: ConsumerGroupHeartbeatRequest,
) {
    let session_ms = i64::from(context.settings.session_timeout_ms(context.image, context.group_id));
    if shard.consumer(context.group_id).is_some_and(|group| group.members.contains_key(&request.member_id)) {
        let timer = Timer::Session(request.member_id.clone());
        set(shard, context.group_id, timer, context.now.plus(session_ms));
    }
    shard.matcher.want(context.group_id, |wanting| {
        wanting.asked.extend(pattern_of(&request).map(str::to_owned));
        wanting.parked.push_back(Parked { from, version, client, fresh, request });
    });
}

/// The member says something else: what it has parked is answered, so that no request stays without an answer.
pub(super) fn unpark(shard: &mut GroupShard, group_id: &str, member_id: &str) -> Decided {
    let mut decided = Decision::none();
    if member_id.is_empty() {
        return decided;
    }
    let Some(wanting) = shard.matcher.groups.get_mut(group_id) else { return decided };
    wanting.parked.retain(|parked| {
        let stays = parked.request.member_id != member_id;
        if !stays {
            decided.extend(heartbeat::turned_away(parked.from, ErrorCode::CoordinatorLoadInProgress));
        }
        stays
    });
    decided
}

/// Has a group's known patterns looked at again where the topics may have changed or time has passed.
pub(super) fn look_again(shard: &mut GroupShard, context: Context<'_>) {
    let Some(group) = shard.consumer_mut(context.group_id) else { return };
    if group.index.patterns().next().is_none() || !is_due(context, group.soft.looked.as_ref()) {
        return;
    }
    let patterns: BTreeSet<String> = group.index.patterns().map(str::to_owned).collect();
    let (version, topics) = (context.image.version(), context.image.topic_count());
    group.soft.looked = Some(Looked { version, topics, at: context.now });
    shard.matcher.want(context.group_id, |wanting| wanting.again.extend(patterns));
}

fn is_due(context: Context<'_>, looked: Option<&Looked>) -> bool {
    let Some(looked) = looked else { return true };
    let age_ms = context.now.since(looked.at);
    let is_other = looked.version != context.image.version();
    let is_stale = is_other && (looked.topics != context.image.topic_count() || age_ms >= MATCH_INTERVAL_MS);
    is_stale || age_ms >= i64::from(context.settings.groups.consumer_regex_refresh_interval_ms)
}

impl GroupShard {
    /// What is to be worked out next, where nobody waits. Its outcome belongs into [`GroupShard::matched`].
    pub fn next_matching(&mut self) -> Option<Matching> {
        while let Some(group_id) = self.matcher.ready.pop_front() {
            let Some(wanting) = self.matcher.groups.get_mut(&group_id) else { continue };
            let patterns = wanting.take();
            if !patterns.is_empty() {
                wanting.is_under_way = true;
                return Some(Matching { group_id, patterns });
            }
        }
        None
    }

    /// Patterns were worked out. Where they match other topics than before, the group is to spread them anew; who waits for
    /// them is decided at once, by [`ottla_coordinator::Shard::expire`].
    pub fn matched(&mut self, now: Millis, image: &MetadataImage, matched: Matched) -> Decided {
        let Matched { group_id, found } = matched;
        if !self.matcher.groups.contains_key(&group_id) {
            return Decision::none();
        }
        let settings = std::sync::Arc::clone(&self.settings);
        let context = Context { now, image, settings: &settings, group_id: &group_id };
        let mut records = Vec::new();
        if let Some(group) = self.consumer_mut(&group_id) {
            records = refreshed(context, group, &found);
        }
        let mut waits = false;
        self.matcher.want(&group_id, |wanting| {
            wanting.is_under_way = false;
            waits = !wanting.parked.is_empty();
            if waits {
                wanting.found.extend(found);
            }
        });
        if waits {
            set(self, &group_id, Timer::Matched, now);
        }
        self.matcher.drop_if_idle(&group_id);
        let decided = Decision { records, ..Decision::default() };
        self.count(&decided, false);
        decided
    }
}

/// What follows for patterns that members have already.
fn refreshed(context: Context<'_>, group: &mut ConsumerGroup, found: &[(String, Found)]) -> Vec<GroupRecord> {
    let mut records = Vec::new();
    let mut after = After::without(group, Vec::new());
    for (pattern, resolved) in found {
        // One that another broker wrote may not compile here; what it matched then must do.
        let Ok(resolved) = resolved else { continue };
        let has_other = after.resolved(pattern).is_none_or(|before| before.topics != resolved.topics);
        if has_other && after.subscribers_of(pattern) > 0 {
            records.push(regex_record(context.group_id, pattern, Some(resolved)));
            after.regexes.insert(pattern.clone(), Some(resolved.clone()));
        }
    }
    if records.is_empty() {
        return records;
    }
    let hash = metadata_hash(&after.topics(), context.image);
    records.push(epoch_record(context.group_id, group.epoch.saturating_add(1), hash));
    group.soft.checked = Some(context.image.version());
    records
}

/// Decides one of those who wait for what is known by now.
pub(super) fn resume(shard: &mut GroupShard, now: Millis, image: &MetadataImage, group_id: &str) -> Decided {
    let Some(wanting) = shard.matcher.groups.get_mut(group_id) else { return Decision::none() };
    let Some(Parked { from, version, client, fresh, request }) = wanting.next_known() else {
        wanting.found.clear();
        shard.matcher.drop_if_idle(group_id);
        return Decision::none();
    };
    // Each of them is to see what the one before it wrote.
    set(shard, group_id, Timer::Matched, now);
    heartbeat::heartbeat(shard, now, image, from, version, client, fresh, request)
}
