//! A group as it will be once what a request decided so far is written: nothing may change before that.

use std::collections::{BTreeMap, BTreeSet};

use ottla_controller::MetadataImage;
use ottla_types::Uuid;

use super::{ConsumerGroup, Resolved, member::Member};

/// See the file's head.
pub(super) struct After<'a> {
    pub(super) group: &'a ConsumerGroup,
    /// Members, as the group has them, that will be gone or other.
    pub(super) gone: Vec<&'a Member>,
    /// A member that will be there, new or in place of one of `gone`.
    pub(super) come: Option<&'a Member>,
    /// Patterns that will be resolved otherwise; none for those that will be forgotten.
    pub(super) regexes: BTreeMap<String, Option<Resolved>>,
}

impl<'a> After<'a> {
    /// Members in `gone` leave.
    pub(super) fn without(group: &'a ConsumerGroup, gone: Vec<&'a Member>) -> Self {
        Self { group, gone, come: None, regexes: BTreeMap::new() }
    }

    /// `come` enters or changes; `replaced` is the id of its predecessor if it is not its own.
    pub(super) fn with(group: &'a ConsumerGroup, come: &'a Member, replaced: Option<&str>) -> Self {
        let ids = [Some(come.id.as_str()), replaced.filter(|id| *id != come.id)];
        let gone = ids.into_iter().flatten().filter_map(|id| group.members.get(id)).collect();
        Self { group, gone, come: Some(come), regexes: BTreeMap::new() }
    }

    /// The members, in the order of their ids.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        let members: BTreeMap<&str, &Member> =
            self.members_unordered().map(|member| (member.id.as_str(), member)).collect();
        members.into_values()
    }

    /// The members; for who may stop at the first.
    pub(super) fn members_unordered(&self) -> impl Iterator<Item = &Member> {
        let stays = |member: &&Member| !self.gone.iter().any(|gone| gone.id == member.id);
        self.group.members.values().filter(stays).chain(self.come)
    }

    /// What a pattern is known to match.
    pub(super) fn resolved(&self, pattern: &str) -> Option<&Resolved> {
        match self.regexes.get(pattern) {
            Some(overlaid) => overlaid.as_ref(),
            None => self.group.regexes.get(pattern),
        }
    }

    /// How many members have a pattern.
    pub(super) fn subscribers_of(&self, pattern: &str) -> usize {
        let gone = self.gone.iter().filter(|member| member.pattern() == Some(pattern)).count();
        let come = usize::from(self.come.is_some_and(|member| member.pattern() == Some(pattern)));
        (self.group.index.subscribers_of(pattern) as usize).saturating_sub(gone).saturating_add(come)
    }

    /// Patterns that a member has.
    pub(super) fn patterns(&self) -> BTreeSet<&str> {
        let known = self.group.index.patterns().chain(self.come.and_then(Member::pattern));
        known.filter(|pattern| self.subscribers_of(pattern) > 0).collect()
    }

    /// Topics that a member wants, by name or by pattern; whether they exist is another question.
    pub(super) fn topics(&self) -> BTreeSet<&str> {
        let named = self.group.index.named().filter(|(topic, count)| {
            let gone = self.gone.iter().filter(|member| member.topics.contains(*topic)).count();
            *count as usize > gone
        });
        let mut topics: BTreeSet<&str> = named.map(|(topic, _)| topic).collect();
        topics.extend(self.come.iter().flat_map(|member| member.topics.iter().map(String::as_str)));
        for pattern in self.patterns() {
            topics
                .extend(self.resolved(pattern).iter().flat_map(|resolved| resolved.topics.iter().map(String::as_str)));
        }
        topics
    }

    /// Whether `member` wants the topic; one that is gone, nobody wants.
    pub(super) fn wants(&self, member: &Member, image: &MetadataImage, topic: Uuid) -> bool {
        let Some(topic) = image.topic_by_id(topic) else { return false };
        let matched =
            |pattern| self.resolved(pattern).is_some_and(|resolved| resolved.topics.contains(topic.name.as_str()));
        member.topics.contains(topic.name.as_str()) || member.pattern().is_some_and(matched)
    }

    /// Ids of the topics that `member` wants and that exist.
    pub(super) fn wanted_by(&self, member: &Member, image: &MetadataImage) -> BTreeSet<Uuid> {
        let resolved = member.pattern().and_then(|pattern| self.resolved(pattern));
        let matched = resolved.iter().flat_map(|resolved| resolved.topics.iter());
        member.topics.iter().chain(matched).filter_map(|name| Some(image.topic(name)?.id)).collect()
    }
}
