//! Who is connected: limits per process, listener and address, the pace of new connections, idle ones, the stop.
//!
//! Invariants: every open connection holds exactly one [`Slot`]; the counts equal the slots that live; new limits hold from
//! the next connection on, and end none that is open.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ottla_types::Millis;
use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};

/// How much ahead of its pace a burst of connections may run.
const BURST_US: i64 = 1_000_000;
const SECOND_US: i64 = 1_000_000;

/// `max.connections`, `max.connections.per.ip` and its overrides, `max.connection.creation.rate`,
/// `connections.max.idle.ms`.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) all: Limit,
    /// Limits that one listener has besides those of all, by its name.
    pub(crate) per_listener: HashMap<Arc<str>, Limit>,
    pub(crate) connections_per_ip_max: usize,
    pub(crate) per_ip_overrides: HashMap<IpAddr, usize>,
    pub(crate) idle_max_ms: i64,
}

/// How many connections may be open, and how many may come in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) connections_max: usize,
    pub(crate) per_second_max: i32,
}

/// Why a connection is not let in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotNow {
    /// Its address has as many as it may: it is closed.
    Address,
    /// All have as many as they may: it waits until one ends.
    Full,
    /// They come too fast: it waits this long.
    TooFast(Duration),
}

/// All connections of the broker.
#[derive(Debug)]
pub(crate) struct Connections {
    open: Mutex<Open>,
    next_id: AtomicU64,
    /// Told when one ends, and when the limits change.
    changed: Notify,
}

#[derive(Debug)]
struct Open {
    limits: ConnectionLimits,
    slots: HashMap<u64, Arc<Link>>,
    per_ip: HashMap<IpAddr, usize>,
    per_listener: HashMap<Arc<str>, OfListener>,
    pace: Pace,
}

#[derive(Debug, Default)]
struct OfListener {
    open: usize,
    pace: Pace,
}

/// Where the connections would be, in microseconds, if they came at the pace that is allowed.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    due_us: i64,
}

impl Pace {
    /// How long the next one has to wait; none where it need not.
    fn wait(self, now: Millis, per_second: i32) -> Option<Duration> {
        let ahead = self.due_us.saturating_sub(now.0.saturating_mul(1_000));
        let over = match per_second {
            i32::MAX => return None,
            1.. => ahead - (BURST_US - SECOND_US / i64::from(per_second)),
            _ => SECOND_US, // nobody, until this is changed
        };
        u64::try_from(over).ok().filter(|over| *over > 0).map(Duration::from_micros)
    }

    fn take(&mut self, now: Millis, per_second: i32) {
        if (1..i32::MAX).contains(&per_second) {
            self.due_us = self.due_us.max(now.0.saturating_mul(1_000)) + SECOND_US / i64::from(per_second);
        }
    }
}

/// What the rest of the process may do to a connection.
#[derive(Debug)]
struct Link {
    ip: IpAddr,
    listener: Arc<str>,
    last_active: AtomicI64,
    end: Notify,
}

/// One open connection; its place is free again on drop.
#[derive(Debug)]
pub(crate) struct Slot {
    id: u64,
    link: Arc<Link>,
    connections: Arc<Connections>,
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        let open = Open {
            limits,
            slots: HashMap::new(),
            per_ip: HashMap::new(),
            per_listener: HashMap::new(),
            pace: Pace::default(),
        };
        Self { open: Mutex::new(open), next_id: AtomicU64::new(0), changed: Notify::new() }
    }

    /// Limits from now on.
    pub(crate) fn set_limits(&self, limits: ConnectionLimits) {
        self.open.lock().limits = limits;
        self.changed.notify_waiters();
    }

    /// Ends when a connection ends or the limits change, counted from this call on.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// A place for a connection from `ip` to `listener`.
    ///
    /// # Errors
    /// Why there is none now.
    pub(crate) fn admit(self: &Arc<Self>, listener: &Arc<str>, ip: IpAddr, now: Millis) -> Result<Slot, NotNow> {
        let ip = ip.to_canonical();
        let mut open = self.open.lock();
        open.take(listener, ip, now)?;
        let id = self.next_id.fetch_add(1, Relaxed);
        let (listener, last_active) = (Arc::clone(listener), AtomicI64::new(now.0));
        let link = Arc::new(Link { ip, listener, last_active, end: Notify::new() });
        open.slots.insert(id, Arc::clone(&link));
        Ok(Slot { id, link, connections: Arc::clone(self) })
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.open.lock().slots.len()
    }

    /// Ends the connections that were silent for longer than `connections.max.idle.ms`.
    pub(crate) fn end_idle(&self, now: Millis) {
        let open = self.open.lock();
        let idle_max_ms = open.limits.idle_max_ms;
        if idle_max_ms < 0 {
            return;
        }
        for link in open.slots.values() {
            if now.since(Millis(link.last_active.load(Relaxed))) > idle_max_ms {
                link.end.notify_one();
            }
        }
    }

    /// Asks every connection to end: what was taken in is answered, nothing more is read.
    pub(crate) fn end_all(&self) {
        for link in self.open.lock().slots.values() {
            link.end.notify_one();
        }
    }

    /// Returns once no connection is open.
    pub(crate) async fn all_ended(&self) {
        loop {
            let ended = self.changed();
            if self.count() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Open {
    /// Counts a connection in, or says why not. As in Kafka the address is looked at last, when the others have let it in.
    fn take(&mut self, listener: &Arc<str>, ip: IpAddr, now: Millis) -> Result<(), NotNow> {
        let all = self.limits.all;
        let own = self.limits.per_listener.get(listener).copied().unwrap_or(all);
        let of_listener = self.per_listener.entry(Arc::clone(listener)).or_default();
        if self.slots.len() >= all.connections_max || of_listener.open >= own.connections_max {
            return Err(NotNow::Full);
        }
        let waits = [self.pace.wait(now, all.per_second_max), of_listener.pace.wait(now, own.per_second_max)];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(NotNow::TooFast(wait));
        }
        self.pace.take(now, all.per_second_max);
        of_listener.pace.take(now, own.per_second_max);
        let per_ip_max = *self.limits.per_ip_overrides.get(&ip).unwrap_or(&self.limits.connections_per_ip_max);
        if self.per_ip.get(&ip).copied().unwrap_or(0) >= per_ip_max {
            return Err(NotNow::Address);
        }
        of_listener.open += 1;
        *self.per_ip.entry(ip).or_default() += 1;
        Ok(())
    }

    fn free(&mut self, slot: &Slot) {
        self.slots.remove(&slot.id);
        if let Some(of_listener) = self.per_listener.get_mut(&slot.link.listener) {
            of_listener.open -= 1;
        }
        if let Some(count) = self.per_ip.get_mut(&slot.link.ip) {
            *count -= 1;
            if *count == 0 {
                self.per_ip.remove(&slot.link.ip);
            }
        }
    }
}

impl Slot {
    pub(crate) fn touch(&self, now: Millis) {
        self.link.last_active.store(now.0, Relaxed);
    }

    /// Returns when the connection is asked to end.
    pub(crate) async fn ended(&self) {
        self.link.end.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.open.lock().free(self);
        self.connections.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn limit(connections_max: usize) -> Limit {
        Limit { connections_max, per_second_max: i32::MAX }
    }

    fn limits(all: usize, per_ip: usize) -> ConnectionLimits {
        ConnectionLimits {
            all: limit(all),
            per_listener: HashMap::from([("NARROW".into(), limit(1))]),
            connections_per_ip_max: per_ip,
            per_ip_overrides: HashMap::from([(IpAddr::from([127, 0, 0, 9]), 2)]),
            idle_max_ms: 1_000,
        }
    }

    fn connections(all: usize, per_ip: usize) -> Arc<Connections> {
        Arc::new(Connections::new(limits(all, per_ip)))
    }

    fn admit(all: &Arc<Connections>, last: u8, now: i64) -> Result<Slot, NotNow> {
        all.admit(&"WIDE".into(), Ipv4Addr::new(127, 0, 0, last).into(), Millis(now))
    }

    #[test]
    fn limits_hold_per_process_and_per_address() {
        let all = connections(3, 1);
        let first = admit(&all, 1, 0).unwrap();
        assert_eq!(admit(&all, 1, 0).unwrap_err(), NotNow::Address, "one per address");
        let others = [admit(&all, 9, 0).unwrap(), admit(&all, 9, 0).unwrap()]; // an override raises the limit
        assert_eq!(admit(&all, 2, 0).unwrap_err(), NotNow::Full, "three in all");
        drop(first);
        drop(admit(&all, 2, 0).unwrap());
        drop(others);
        assert_eq!(all.count(), 0);
    }

    #[test]
    fn a_listener_has_limits_of_its_own() {
        let all = connections(3, 9);
        let narrow = |last| all.admit(&"NARROW".into(), Ipv4Addr::new(127, 0, 0, last).into(), Millis(0));
        let one = narrow(1).unwrap();
        assert_eq!(narrow(2).unwrap_err(), NotNow::Full);
        drop(admit(&all, 2, 0).unwrap());
        drop(one);
        narrow(2).unwrap();
    }

    #[tokio::test]
    async fn new_limits_hold_at_once_and_end_nobody() {
        let all = connections(3, 1);
        let first = admit(&all, 1, 0).unwrap();
        let changed = all.changed();
        all.set_limits(limits(1, 5));
        changed.await; // whoever waits for room looks again
        assert_eq!(admit(&all, 2, 0).unwrap_err(), NotNow::Full);
        assert_eq!(all.count(), 1);
        all.set_limits(limits(9, 2));
        let second = admit(&all, 1, 0).unwrap();
        assert_eq!(admit(&all, 1, 0).unwrap_err(), NotNow::Address);
        let changed = all.changed();
        drop(second);
        changed.await;
        drop(first);
    }

    #[test]
    fn who_comes_faster_than_the_rate_waits() {
        let all = connections(1_000, 1_000);
        let rate = |per_second_max| {
            let all = Limit { connections_max: 1_000, per_second_max };
            ConnectionLimits { all, per_listener: HashMap::new(), ..limits(0, 1_000) }
        };
        all.set_limits(rate(10));
        let at_once: Vec<_> = (0..10).map(|_| admit(&all, 1, 5_000).unwrap()).collect();
        assert_eq!(admit(&all, 1, 5_000).unwrap_err(), NotNow::TooFast(Duration::from_millis(100)));
        let next = admit(&all, 1, 5_100).unwrap();
        assert!(matches!(admit(&all, 1, 5_150).unwrap_err(), NotNow::TooFast(_)));
        all.set_limits(rate(0));
        assert!(matches!(admit(&all, 1, 99_000).unwrap_err(), NotNow::TooFast(_)), "at rate 0 nobody comes in");
        all.set_limits(rate(i32::MAX));
        admit(&all, 1, 5_150).unwrap();
        drop((at_once, next));
    }

    #[tokio::test]
    async fn only_silent_connections_are_ended() {
        let all = connections(3, 3);
        let silent = admit(&all, 1, 0).unwrap();
        let busy = admit(&all, 2, 0).unwrap();
        busy.touch(Millis(1_500));
        all.end_idle(Millis(2_000));
        silent.ended().await;
        tokio::select! {
            biased;
            () = busy.ended() => panic!("a busy connection was ended"),
            () = std::future::ready(()) => {}
        }
    }
}
