//! Many threads at one purgatory: every operation completes exactly once, and nothing of it stays.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    thread,
};

use ottla_purgatory::{SharedPurgatory, Watch};
use ottla_types::Millis;

fn is_empty<O>(purgatory: &SharedPurgatory<u32, O>) -> bool {
    purgatory.is_empty() && purgatory.watches() == 0 && purgatory.timers() == 0
}

fn waiting<O: std::fmt::Debug>(watch: Watch<O>) -> (ottla_purgatory::Ticket<O>, bool) {
    match watch {
        Watch::Waiting { ticket, rearm } => (ticket, rearm),
        other => panic!("does not wait: {other:?}"),
    }
}

#[test]
fn an_operation_completes_by_event_deadline_or_owner() {
    let purgatory = SharedPurgatory::new(Millis(0));
    for (name, keys, deadline) in [("event", 0..300, 50), ("deadline", 300..600, 150), ("owner", 600..900, 250)] {
        let (ticket, _) = waiting(purgatory.watch(keys, Millis(deadline), name, |_| false));
        match name {
            "event" => {
                assert!(purgatory.check(&7, |_| false).is_empty());
                assert_eq!(purgatory.check(&8, |_| true), [name]);
            }
            "deadline" => {
                assert!(purgatory.advance(Millis(149)).is_empty());
                assert_eq!(purgatory.advance(Millis(150)), [name]);
            }
            _ => assert_eq!(purgatory.cancel(&ticket), Some(name)),
        }
        assert_eq!(purgatory.cancel(&ticket), None);
        assert!(purgatory.advance(Millis(deadline)).is_empty() && is_empty(&purgatory));
    }
}

#[test]
fn what_is_complete_already_does_not_wait() {
    let purgatory = SharedPurgatory::new(Millis(0));
    let watch = purgatory.watch([1, 2, 2, 1], Millis(50), "done", |_| true);
    assert!(matches!(watch, Watch::Completed("done")));
    assert!(is_empty(&purgatory));
}

#[test]
fn events_ask_in_the_order_of_arrival() {
    let purgatory = SharedPurgatory::new(Millis(0));
    for number in 0..10 {
        waiting(purgatory.watch([1, 2], Millis(50), number, |_| false));
    }
    assert_eq!(purgatory.check(&1, |number| *number % 2 == 0), [0, 2, 4, 6, 8]);
    assert_eq!(purgatory.check(&2, |_| true), [1, 3, 5, 7, 9]);
}

#[test]
fn an_earlier_deadline_asks_for_the_timer_task() {
    let purgatory = SharedPurgatory::new(Millis(0));
    let add = |deadline| waiting(purgatory.watch([1], Millis(deadline), (), |()| false)).1;
    assert!(add(500), "nothing was armed");
    assert!(!add(600));
    assert!(add(400));
    assert!(purgatory.next_deadline().unwrap() <= Millis(400));
    let armed = purgatory.next_deadline().unwrap().0;
    assert!(!add(armed) && add(armed - 1));
    purgatory.advance(Millis(1000));
    assert_eq!(purgatory.next_deadline(), None);
    assert!(add(2000), "the timer task sleeps without end");
}

/// One thread begins to wait for an offset at the moment in which another appends it. Whichever comes first, one of the
/// two must see the other.
#[test]
fn an_event_at_the_moment_of_watching_is_seen_by_one_side() {
    const ROUNDS: i64 = 5_000;
    let purgatory = SharedPurgatory::<u32, i64>::new(Millis(0));
    let (end, completed, step) = (AtomicI64::new(0), AtomicUsize::new(0), Barrier::new(2));
    let wrong = AtomicUsize::new(0);
    let is_complete = |offset: &mut i64| end.load(Ordering::Relaxed) >= *offset;
    thread::scope(|threads| {
        threads.spawn(|| {
            for offset in 1..=ROUNDS {
                step.wait();
                let watch = purgatory.watch([1, 2, 3], Millis(i64::MAX), offset, is_complete);
                completed.fetch_add(usize::from(matches!(watch, Watch::Completed(_))), Ordering::Relaxed);
                step.wait();
                wrong.fetch_add(usize::from(completed.load(Ordering::Relaxed) != offset as usize), Ordering::Relaxed);
            }
        });
        threads.spawn(|| {
            for offset in 1..=ROUNDS {
                step.wait();
                end.store(offset, Ordering::Relaxed);
                completed.fetch_add(purgatory.check(&2, is_complete).len(), Ordering::Relaxed);
                step.wait();
            }
        });
    });
    assert_eq!(wrong.load(Ordering::Relaxed), 0, "rounds in which it was missed, or completed twice");
    assert!(is_empty(&purgatory), "{} left, {} entries", purgatory.len(), purgatory.watches());
}

/// Everything that can complete an operation, at once.
#[test]
fn races_between_event_deadline_and_owner_complete_once() {
    let purgatory = Arc::new(SharedPurgatory::<u32, u32>::new(Millis(0)));
    let completed = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..4_u32)
        .map(|thread| {
            let (purgatory, completed) = (purgatory.clone(), completed.clone());
            thread::spawn(move || {
                for round in 0..3_000_u32 {
                    let keys = [round % 7, round % 11, thread];
                    let watch = purgatory.watch(keys, Millis(i64::from(round)), round, |_| false);
                    let mut found = purgatory.check(&(round % 7), |wait| wait.is_multiple_of(3)).len();
                    found += purgatory.advance(Millis(i64::from(round) - 10)).len();
                    if let Watch::Waiting { ticket, .. } = watch {
                        found += usize::from(round % 5 == 0 && purgatory.cancel(&ticket).is_some());
                    }
                    completed.fetch_add(found, Ordering::Relaxed);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let rest = purgatory.advance(Millis(i64::MAX)).len();
    assert_eq!(completed.load(Ordering::Relaxed) + rest, 4 * 3_000);
    assert!(is_empty(&purgatory));
}
