//! Who is connected: limits per process and per address, idle connections, stop.
//!
//! Invariant: every open connection holds exactly one [`Slot`]; the counts equal the slots that live.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use ottla_types::Millis;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// `max.connections`, `max.connections.per.ip` and its overrides, `connections.max.idle.ms`.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) connections_max: usize,
    pub(crate) connections_per_ip_max: usize,
    pub(crate) per_ip_overrides: HashMap<IpAddr, usize>,
    pub(crate) idle_max_ms: i64,
}

/// All connections of the broker.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: ConnectionLimits,
    open: Mutex<Open>,
    next_id: AtomicU64,
    empty: Notify,
}

#[derive(Debug, Default)]
struct Open {
    slots: HashMap<u64, Arc<Link>>,
    per_ip: HashMap<IpAddr, usize>,
}

/// What the rest of the process may do to a connection.
#[derive(Debug)]
struct Link {
    ip: IpAddr,
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
        Self { limits, open: Mutex::default(), next_id: AtomicU64::new(0), empty: Notify::new() }
    }

    /// A place for a connection from `ip`, or none where a limit is reached.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr, now: Millis) -> Option<Slot> {
        let ip = ip.to_canonical();
        let per_ip_max = *self.limits.per_ip_overrides.get(&ip).unwrap_or(&self.limits.connections_per_ip_max);
        let mut open = self.open.lock();
        if open.slots.len() >= self.limits.connections_max || open.per_ip.get(&ip).copied().unwrap_or(0) >= per_ip_max {
            return None;
        }
        *open.per_ip.entry(ip).or_default() += 1;
        let id = self.next_id.fetch_add(1, Relaxed);
        let link = Arc::new(Link { ip, last_active: AtomicI64::new(now.0), end: Notify::new() });
        open.slots.insert(id, Arc::clone(&link));
        Some(Slot { id, link, connections: Arc::clone(self) })
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.open.lock().slots.len()
    }

    /// Ends the connections that were silent for longer than `connections.max.idle.ms`.
    pub(crate) fn end_idle(&self, now: Millis) {
        if self.limits.idle_max_ms < 0 {
            return;
        }
        for link in self.open.lock().slots.values() {
            if now.since(Millis(link.last_active.load(Relaxed))) > self.limits.idle_max_ms {
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
            let ended = self.empty.notified();
            if self.count() == 0 {
                return;
            }
            ended.await;
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
        let mut open = self.connections.open.lock();
        open.slots.remove(&self.id);
        if let Some(count) = open.per_ip.get_mut(&self.link.ip) {
            *count -= 1;
            if *count == 0 {
                open.per_ip.remove(&self.link.ip);
            }
        }
        if open.slots.is_empty() {
            self.connections.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn connections(all: usize, per_ip: usize) -> Arc<Connections> {
        Arc::new(Connections::new(ConnectionLimits {
            connections_max: all,
            connections_per_ip_max: per_ip,
            per_ip_overrides: HashMap::from([(IpAddr::from([127, 0, 0, 9]), 2)]),
            idle_max_ms: 1_000,
        }))
    }

    #[test]
    fn limits_hold_per_process_and_per_address() {
        let all = connections(3, 1);
        let first = all.admit(Ipv4Addr::LOCALHOST.into(), Millis(0));
        assert!(first.is_some());
        assert!(all.admit(Ipv4Addr::LOCALHOST.into(), Millis(0)).is_none(), "one per address");
        let others: Vec<_> = (0..2).map(|_| all.admit([127, 0, 0, 9].into(), Millis(0))).collect();
        assert!(others.iter().all(Option::is_some), "an override raises the limit");
        assert!(all.admit([127, 0, 0, 2].into(), Millis(0)).is_none(), "three in all");
        drop(first);
        assert!(all.admit([127, 0, 0, 2].into(), Millis(0)).is_some(), "a place is free again");
        drop(others);
        assert_eq!(all.count(), 0);
    }

    #[tokio::test]
    async fn only_silent_connections_are_ended() {
        let all = connections(3, 3);
        let silent = all.admit([127, 0, 0, 1].into(), Millis(0)).unwrap();
        let busy = all.admit([127, 0, 0, 2].into(), Millis(0)).unwrap();
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
