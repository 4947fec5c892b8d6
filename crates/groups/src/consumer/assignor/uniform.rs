//! `uniform`: members have as many partitions as each other, as far as their subscriptions allow, and keep what they
//! have.
//!
//! Invariants: of two subscribers of a topic, the one that has some of it has at most one partition more in all; so
//! with equal subscriptions all members are within one of each other. An assignment that fulfils this and leaves
//! nothing out stays as it is.
//!
//! It is worked out in numbers, how many partitions of which topic each member has: what members have now is counted,
//! what nobody has goes to whoever has least, and then partitions move from who has most to who has least. Only at the
//! end do numbers become partitions, so that nothing moves back and forth.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use ottla_types::Uuid;

use super::{Assignment, Member, topics};

/// How often all topics are levelled. A round lets a member give away twice as many partitions of a topic as the one
/// before, and takes differences one topic further; a level that takes more rounds than this is left to the next
/// assignment, so that a group with hostile subscriptions costs no more than this many looks at each of them.
const ROUNDS_MAX: usize = 64;

/// See the file's head.
pub(super) fn assign(members: &[Member<'_>], partition_counts: &BTreeMap<Uuid, i32>) -> Assignment {
    let mut ordered: Vec<_> = members.iter().collect();
    ordered.sort_by_key(|member| member.id);
    let mut plan = Plan::of_today(&ordered, partition_counts);
    plan.place();
    plan.level();
    ordered.iter().map(|member| member.id.to_owned()).zip(plan.into_assigned()).collect()
}

/// One topic. What is said of subscribers goes by their place in `topic.subscribers`.
struct Share {
    topic: super::Topic,
    /// How many partitions each subscriber has.
    counts: Vec<u32>,
    /// The subscriber that has each partition today.
    owners: Vec<Option<u32>>,
}

struct Plan {
    shares: Vec<Share>,
    /// Partitions that each member has in all.
    load: Vec<u32>,
}

impl Plan {
    /// What members have now. Of two that claim a partition the first has it.
    fn of_today(members: &[&Member<'_>], partition_counts: &BTreeMap<Uuid, i32>) -> Self {
        let topics = topics(members, partition_counts).into_iter();
        let mut shares: Vec<_> = topics.map(Share::new).collect();
        let mut load = vec![0; members.len()];
        for (place, member) in members.iter().enumerate() {
            for (id, partitions) in &member.current {
                let Ok(at) = shares.binary_search_by_key(id, |share| share.topic.id) else { continue };
                load[place] += shares[at].claim(place as u32, partitions);
            }
        }
        Self { shares, load }
    }

    /// Gives what nobody has to whoever has least. Topics with few subscribers come first, as they have least choice.
    fn place(&mut self) {
        let mut order: Vec<_> = (0..self.shares.len()).collect();
        order.sort_by_key(|at| self.shares[*at].topic.subscribers.len());
        for at in order {
            self.shares[at].place(&mut self.load);
        }
    }

    /// Moves partitions until no subscriber of a topic has two more than another.
    fn level(&mut self) {
        let floors = self.floors();
        let mut moves_max: u32 = 1;
        for _ in 0..ROUNDS_MAX {
            let (least, most) = (self.load.iter().min(), self.load.iter().max());
            if most.zip(least).is_none_or(|(most, least)| most - least < 2) {
                return;
            }
            // No short circuit: every topic has its turn, so that no topic gives all that a newcomer gets.
            let load = &mut self.load;
            let moved =
                self.shares.iter_mut().fold(false, |moved, share| share.level(load, &floors, moves_max) | moved);
            if !moved {
                return;
            }
            moves_max = moves_max.saturating_mul(2);
        }
    }

    /// Below what nobody is to fall. Where all read the same it is known how much each will have in the end, and who
    /// never gives more than it must gets nothing back: no partition moves that could stay. Elsewhere there is no
    /// floor.
    fn floors(&self) -> Vec<u32> {
        let members = self.load.len();
        if members == 0 || self.shares.iter().any(|share| share.topic.subscribers.len() < members) {
            return vec![0; members];
        }
        let all: usize = self.load.iter().map(|load| *load as usize).sum();
        let mut by_load: Vec<_> = (0..members).collect();
        by_load.sort_by_key(|place| Reverse(self.load[*place]));
        let mut floors = vec![(all / members) as u32; members];
        by_load.into_iter().take(all % members).for_each(|place| floors[place] += 1);
        floors
    }

    fn into_assigned(self) -> Vec<BTreeMap<Uuid, BTreeSet<i32>>> {
        let mut assigned = vec![BTreeMap::new(); self.load.len()];
        for share in self.shares {
            share.hand_out(&mut assigned);
        }
        assigned
    }
}

impl Share {
    fn new(topic: super::Topic) -> Self {
        Self { counts: vec![0; topic.subscribers.len()], owners: vec![None; topic.partitions], topic }
    }

    /// Takes over what `member` has; how many partitions that is.
    fn claim(&mut self, member: u32, partitions: &BTreeSet<i32>) -> u32 {
        let Ok(place) = self.topic.subscribers.binary_search(&member) else { return 0 };
        let mut claimed = 0;
        for partition in partitions {
            let owner = usize::try_from(*partition).ok().and_then(|partition| self.owners.get_mut(partition));
            if let Some(owner) = owner.filter(|owner| owner.is_none()) {
                *owner = Some(place as u32);
                claimed += 1;
            }
        }
        self.counts[place] += claimed;
        claimed
    }

    fn place(&mut self, load: &mut [u32]) {
        let left = self.owners.iter().filter(|owner| owner.is_none()).count();
        if left == 0 {
            return;
        }
        let subscribers = self.topic.subscribers.iter().enumerate();
        let mut by_load: BinaryHeap<_> =
            subscribers.map(|(place, member)| Reverse((load[*member as usize], place))).collect();
        for _ in 0..left {
            let Some(mut least) = by_load.peek_mut() else { return };
            let Reverse((has, place)) = &mut *least;
            *has += 1;
            self.counts[*place] += 1;
            load[self.topic.subscribers[*place] as usize] = *has;
        }
    }

    /// Moves up to `moves_max` partitions; whether any moved.
    fn level(&mut self, load: &mut [u32], floors: &[u32], moves_max: u32) -> bool {
        let mut moved = false;
        for _ in 0..moves_max {
            let Some((from, to)) = self.widest(load, floors) else { break };
            self.counts[from] -= 1;
            load[self.topic.subscribers[from] as usize] -= 1;
            self.counts[to] += 1;
            load[self.topic.subscribers[to] as usize] += 1;
            moved = true;
        }
        moved
    }

    /// Who has most among those with something to give, and who has least; nothing where they are within one.
    fn widest(&self, load: &[u32], floors: &[u32]) -> Option<(usize, usize)> {
        let (mut most, mut from) = (0, 0);
        let (mut least, mut to) = (u32::MAX, 0);
        for (place, member) in self.topic.subscribers.iter().enumerate() {
            let has = load[*member as usize];
            if has > most && has > floors[*member as usize] && self.counts[place] > 0 {
                (most, from) = (has, place);
            }
            if has < least {
                (least, to) = (has, place);
            }
        }
        (most > least.saturating_add(1)).then_some((from, to))
    }

    /// Numbers to partitions: everybody keeps the lowest of what they have, up to their number.
    fn hand_out(mut self, assigned: &mut [BTreeMap<Uuid, BTreeSet<i32>>]) {
        let members = &self.topic.subscribers;
        let mut give = |partition: usize, place: usize| {
            let topics = &mut assigned[members[place] as usize];
            topics.entry(self.topic.id).or_default().insert(partition as i32);
        };
        let mut left = Vec::new();
        for (partition, owner) in self.owners.iter().enumerate() {
            match owner.map(|place| place as usize).filter(|place| self.counts[*place] > 0) {
                Some(place) => {
                    self.counts[place] -= 1;
                    give(partition, place);
                }
                None => left.push(partition),
            }
        }
        let wanting = self.counts.iter().enumerate();
        let wanting = wanting.flat_map(|(place, wants)| std::iter::repeat_n(place, *wants as usize));
        for (partition, place) in left.into_iter().zip(wanting) {
            give(partition, place);
        }
    }
}
