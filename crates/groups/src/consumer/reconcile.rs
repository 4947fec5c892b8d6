//! One member's walk to its target: first it gives up what others are to have, then it receives what others have given up.
//!
//! Invariant: a partition is only ever added to a member while nobody holds it, and only ever taken from its holder once the
//! holder, asked or not, says that it owns less.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ottla_types::Uuid;

use super::{
    Context, Refused,
    after::After,
    member::{Held, Member, MemberState, Partitions},
    target::Target,
};

/// See the file's head.
pub(super) struct Reconciler<'a> {
    pub(super) context: Context<'a>,
    pub(super) after: &'a After<'a>,
    pub(super) target: &'a Target,
    /// The member wants other topics than before: what it no longer wants is not its any more.
    pub(super) subscription_changed: bool,
    /// What the member says that it owns; none when it does not say.
    pub(super) owned: Option<&'a Partitions>,
}

/// A member's partitions sorted by what is to become of them.
#[derive(Default)]
struct Sorted {
    kept: Held,
    revoked: Held,
    free: Partitions,
    /// Whether some of the target are still held by others.
    unreleased: bool,
}

impl Reconciler<'_> {
    /// The member after its next step, or as it is when it has to wait.
    pub(super) fn step(&self, member: &Member) -> Result<Member, Refused> {
        if !self.subscription_changed && member.is_reconciled_to(self.target.epoch) {
            return Ok(member.clone());
        }
        Ok(match member.state {
            MemberState::Stable if member.epoch != self.target.epoch => self.walk(member, member.epoch),
            MemberState::UnrevokedPartitions if !self.still_owns(&member.revoking) => self.walk(member, member.epoch),
            MemberState::Stable | MemberState::UnrevokedPartitions if self.subscription_changed => self.narrow(member),
            MemberState::Stable | MemberState::UnrevokedPartitions => member.clone(),
            MemberState::UnreleasedPartitions => self.walk(member, member.epoch),
            // From a version that knows more: only who starts anew can be placed.
            MemberState::Unknown(_) if self.owned.is_none_or(|owned| owned.values().any(|of| !of.is_empty())) => {
                return Err(Refused::UnknownState);
            }
            MemberState::Unknown(_) => self.walk(member, self.target.epoch),
        })
    }

    /// Towards the target. While there is something to give up, the member stays in its epoch.
    fn walk(&self, member: &Member, epoch: i32) -> Member {
        let Sorted { mut kept, revoked, free, unreleased } = self.sort(member);
        if self.still_owns(&revoked) {
            return Member {
                state: MemberState::UnrevokedPartitions,
                assigned: Arc::new(kept),
                revoking: Arc::new(revoked),
                ..member.at_epoch(epoch)
            };
        }
        for (topic, partitions) in free {
            let of_topic = kept.entry(topic).or_default();
            of_topic.extend(partitions.into_iter().map(|partition| (partition, self.target.epoch)));
        }
        Member {
            state: if unreleased { MemberState::UnreleasedPartitions } else { MemberState::Stable },
            assigned: Arc::new(kept),
            revoking: Arc::default(),
            ..member.at_epoch(self.target.epoch)
        }
    }

    fn sort(&self, member: &Member) -> Sorted {
        let mut sorted = Sorted::default();
        let topics: BTreeSet<Uuid> = self.target.partitions.keys().chain(member.assigned.keys()).copied().collect();
        for topic in topics {
            let wanted = self.after.wants(member, self.context.image, topic);
            let target = self.target.partitions.get(&topic).filter(|_| wanted);
            let held = member.assigned.get(&topic);
            for (partition, since) in held.into_iter().flatten() {
                let stays = target.is_some_and(|target| target.contains(partition));
                let side = if stays { &mut sorted.kept } else { &mut sorted.revoked };
                side.entry(topic).or_default().insert(*partition, *since);
            }
            let held = |partition: &i32| held.is_some_and(|held| held.contains_key(partition));
            for partition in target.into_iter().flatten().filter(|partition| !held(partition)) {
                if self.is_free(member, topic, *partition) {
                    sorted.free.entry(topic).or_default().insert(*partition);
                } else {
                    sorted.unreleased = true;
                }
            }
        }
        sorted
    }

    /// Nobody has the partition, or only the member itself, which has just confirmed that it gave it up.
    fn is_free(&self, member: &Member, topic: Uuid, partition: i32) -> bool {
        let own = member.revoking.get(&topic).is_some_and(|own| own.contains_key(&partition));
        own || self.after.group.index.holder(topic, partition).is_none()
    }

    /// Takes the topics away that the member no longer wants, where there is no new target to walk to.
    fn narrow(&self, member: &Member) -> Member {
        let unwanted: Vec<Uuid> = member
            .assigned
            .keys()
            .filter(|topic| !self.after.wants(member, self.context.image, **topic))
            .copied()
            .collect();
        if unwanted.is_empty() {
            return member.clone();
        }
        let (mut kept, mut revoked) = ((*member.assigned).clone(), (*member.revoking).clone());
        for topic in unwanted {
            let partitions = kept.remove(&topic).unwrap_or_default();
            revoked.entry(topic).or_default().extend(partitions);
        }
        let narrowed = Member { assigned: Arc::new(kept), ..member.at_epoch(member.epoch) };
        if self.still_owns(&revoked) {
            Member { state: MemberState::UnrevokedPartitions, revoking: Arc::new(revoked), ..narrowed }
        } else {
            narrowed
        }
    }

    /// Whether the member may still own one of `revoked`: it says so, or it says nothing.
    fn still_owns(&self, revoked: &Held) -> bool {
        let any = |(topic, partitions): (&Uuid, &BTreeMap<i32, i32>)| match self.owned {
            Some(owned) => {
                owned.get(topic).is_some_and(|owned| partitions.keys().any(|partition| owned.contains(partition)))
            }
            None => !partitions.is_empty(),
        };
        revoked.iter().any(any)
    }
}
