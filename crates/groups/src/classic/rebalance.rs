//! The rebalance: prepare it, complete the joins, and what happens when time is up.

use ottla_coordinator::Decision;
use ottla_types::{ErrorCode, Millis};

use super::{InitialDelay, Parked, State, Timer, Turn, join, sync};
use crate::shard::{Decided, GroupShard};

/// Pause before the next attempt at a generation for which nobody came, where the members ask for less. Static members
/// that want no wait at all would otherwise be tried again and again at the same moment.
const RETRY_MS_MIN: i64 = 100;

/// The time of `timer` has come.
pub(crate) fn expire(shard: &mut GroupShard, now: Millis, group_id: &str, timer: Timer) -> Decided {
    let Some(mut turn) = Turn::of(shard, now, group_id) else { return Decision::none() };
    match timer {
        Timer::Join => turn.join_expired(),
        Timer::Sync => turn.sync_expired(),
        Timer::Session(member_id) => turn.session_expired(&member_id),
        Timer::Adopted => turn.adopted(),
    }
    turn.decided
}

impl Turn<'_> {
    /// Something changed that calls for a new generation.
    pub(super) fn rebalance(&mut self) {
        match self.group.state {
            State::PreparingRebalance { .. } => self.maybe_complete_join(),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare(),
        }
    }

    /// Has everybody join again. A group without members waits for a while, so that a fleet that starts makes one
    /// generation rather than one each.
    pub(super) fn prepare(&mut self) {
        if self.group.state == State::CompletingRebalance {
            self.take_back_assignment();
        }
        self.group.pending_sync.clear();
        self.cancel(Timer::Sync);
        if self.group.is_empty() {
            let delay_ms = self.initial_delay_ms();
            let left_ms = (self.group.members.rebalance_timeout_ms() - delay_ms).max(0);
            self.set(Timer::Join, delay_ms);
            let initial = InitialDelay { delay_ms, left_ms, joined: false };
            return self.become_state(State::PreparingRebalance { initial: Some(initial) });
        }
        self.become_state(State::PreparingRebalance { initial: None });
        if self.all_joined() {
            self.complete_join();
        } else {
            self.set(Timer::Join, self.group.members.rebalance_timeout_ms());
        }
    }

    /// Begins the generation if nobody is missing; a first one waits for its delay all the same.
    pub(super) fn maybe_complete_join(&mut self) {
        if self.group.state == (State::PreparingRebalance { initial: None }) && self.all_joined() {
            self.complete_join();
        }
    }

    fn initial_delay_ms(&self) -> i64 {
        i64::from(self.settings.initial_rebalance_delay_ms)
    }

    fn all_joined(&self) -> bool {
        self.group.members.joining() == self.group.members.len() && self.group.pending_join.is_empty()
    }

    /// Those who wait for the assignment of a generation that ends too early are to join again.
    fn take_back_assignment(&mut self) {
        let ids: Vec<_> = self.group.members.ids().cloned().collect();
        for id in ids {
            self.group.members.assign(&id, bytes::Bytes::new());
            if let Some(ticket) = self.group.members.take_sync(&id) {
                self.reply(ticket, sync::refused(ErrorCode::RebalanceInProgress));
                self.keep_alive(&id);
            }
        }
    }

    /// Begins the generation with those who joined. Static members keep their place until their session ends.
    fn complete_join(&mut self) {
        self.cancel(Timer::Join);
        let late = |member: &super::Member| member.joining.is_none() && member.instance_id.is_none();
        let late: Vec<_> = self.group.members.iter().filter(|(_, m)| late(m)).map(|(id, _)| id.clone()).collect();
        for id in late {
            self.remove(&id);
        }
        if self.group.members.is_empty() {
            self.become_empty();
        } else if self.elect_leader() {
            self.begin_generation();
        } else {
            // Only absent static members are left: either one comes back, or their sessions end.
            let retry_ms = self.group.members.rebalance_timeout_ms().max(RETRY_MS_MIN);
            self.set(Timer::Join, retry_ms);
            self.group.state = State::PreparingRebalance { initial: None };
        }
    }

    /// A leader must be there to do its work: whether one is.
    fn elect_leader(&mut self) -> bool {
        let members = &self.group.members;
        let is_there = |id: &String| members.get(id).is_some_and(|member| member.joining.is_some());
        if !self.group.leader.as_ref().is_some_and(is_there) {
            let Some(joined) = members.ids().find(|id| is_there(id)).cloned() else { return false };
            self.group.leader = Some(joined);
        }
        true
    }

    fn become_empty(&mut self) {
        self.group.generation = self.group.generation.saturating_add(1);
        self.group.protocol = None;
        self.group.leader = None;
        self.group.subscribed = self.group.compute_subscribed();
        self.become_state(State::Empty);
        let value = self.group.to_value();
        self.write(value);
    }

    fn begin_generation(&mut self) {
        self.group.generation = self.group.generation.saturating_add(1);
        self.group.protocol = self.group.members.select_protocol();
        self.group.subscribed = self.group.compute_subscribed();
        self.become_state(State::CompletingRebalance);
        let ids: Vec<_> = self.group.members.ids().cloned().collect();
        for id in &ids {
            let parked = self.group.members.edit(id, |member| {
                member.is_new = false;
                member.joining.take()
            });
            if let Some(Parked { ticket, version }) = parked.flatten() {
                let response = self.group.current(id);
                self.reply(ticket, join::replied(version, response));
            }
            self.keep_alive(id);
        }
        self.group.pending_sync = ids.into_iter().collect();
        self.set(Timer::Sync, self.group.members.rebalance_timeout_ms());
    }

    /// The wait for joins is over, unless it is a group's first and members keep coming.
    fn join_expired(&mut self) {
        let State::PreparingRebalance { initial } = self.group.state else { return };
        match initial {
            Some(InitialDelay { delay_ms, left_ms, joined: true }) if left_ms > 0 => {
                let longer_ms = self.initial_delay_ms().min(left_ms);
                let left_ms = (left_ms - delay_ms).max(0);
                let initial = InitialDelay { delay_ms: longer_ms, left_ms, joined: false };
                self.set(Timer::Join, longer_ms);
                self.group.state = State::PreparingRebalance { initial: Some(initial) };
            }
            _ => self.complete_join(),
        }
    }

    /// Members that took their part in a generation and never asked for their assignment are gone.
    fn sync_expired(&mut self) {
        if !matches!(self.group.state, State::CompletingRebalance | State::Stable) || self.group.pending_sync.is_empty()
        {
            return;
        }
        for id in std::mem::take(&mut self.group.pending_sync) {
            self.remove(&id);
        }
        self.prepare();
    }

    fn session_expired(&mut self, member_id: &str) {
        let is_pending = self.group.pending_join.contains(member_id);
        let is_late = self.group.members.get(member_id).is_some_and(|member| !member.is_excused());
        if !is_pending && !is_late {
            return;
        }
        self.remove(member_id);
        match self.group.state {
            State::PreparingRebalance { .. } if self.all_joined() => self.complete_join(),
            State::Stable | State::CompletingRebalance if is_late => self.prepare(),
            _ => {}
        }
    }

    fn adopted(&mut self) {
        if self.group.state == State::Stable {
            self.prepare();
        }
    }
}
