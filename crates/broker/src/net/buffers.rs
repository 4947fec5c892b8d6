//! Memory for frames: a budget for the whole process and a pool of buffers.
//!
//! Invariants: the bytes leased never exceed the budget; a buffer in the pool holds no data; the pool keeps at most
//! [`POOLED_BYTES_MAX`].

use std::sync::Arc;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a connection may read ahead without asking the budget: requests other than produce nearly always fit.
pub(crate) const SMALL_FRAME_BYTES: usize = 16 * 1024;
/// What the pool keeps for the next frame; more goes back to the allocator.
const POOLED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A buffer above this is not kept: a rare giant frame must not occupy the pool.
const POOLED_BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Unit of the budget, so that its size fits the semaphore on any machine.
const UNIT_BYTES: usize = 1024;

/// Shared by all connections of the process.
#[derive(Debug)]
pub(crate) struct FrameMemory {
    budget: Arc<Semaphore>,
    budget_units: usize,
    pool: Mutex<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    free: Vec<BytesMut>,
    bytes: usize,
}

/// Bytes of the budget, given back on drop.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    permit: Option<OwnedSemaphorePermit>,
}

impl FrameMemory {
    /// Allows frames under way to take `budget_bytes` in all.
    pub(crate) fn new(budget_bytes: usize) -> Self {
        let budget_units = (budget_bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { budget: Arc::new(Semaphore::new(budget_units)), budget_units, pool: Mutex::default() }
    }

    /// Bytes leased now.
    pub(crate) fn leased_bytes(&self) -> usize {
        (self.budget_units - self.budget.available_permits()) * UNIT_BYTES
    }

    /// Extends `lease` until it covers `bytes`; waits while others hold the budget. A single frame larger than the whole
    /// budget gets all of it.
    pub(crate) async fn extend(&self, lease: &mut Lease, bytes: usize) {
        let wanted = bytes.div_ceil(UNIT_BYTES).min(self.budget_units);
        let held = lease.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if wanted <= held {
            return;
        }
        // The semaphore is never closed, so an error cannot happen; without a permit the frame merely goes uncounted.
        if let Ok(more) = Arc::clone(&self.budget).acquire_many_owned((wanted - held) as u32).await {
            match &mut lease.permit {
                Some(permit) => permit.merge(more),
                none => *none = Some(more),
            }
        }
    }

    /// A buffer, empty, of whatever size is at hand.
    pub(crate) fn take(&self) -> BytesMut {
        let mut pool = self.pool.lock();
        match pool.free.pop() {
            Some(buffer) => {
                pool.bytes -= buffer.capacity();
                buffer
            }
            None => BytesMut::with_capacity(SMALL_FRAME_BYTES),
        }
    }

    /// Puts an empty buffer back. One that a request still refers to is left to that request.
    pub(crate) fn give(&self, mut buffer: BytesMut) {
        debug_assert!(buffer.is_empty());
        // One byte more than is left makes it look at what earlier frames took, if nobody holds them.
        let _ = buffer.try_reclaim(buffer.capacity() + 1);
        let whole = buffer.try_reclaim(SMALL_FRAME_BYTES);
        let bytes = buffer.capacity();
        let mut pool = self.pool.lock();
        if whole && bytes <= POOLED_BUFFER_BYTES_MAX && pool.bytes + bytes <= POOLED_BYTES_MAX {
            pool.bytes += bytes;
            pool.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lease_is_bounded_by_the_budget_and_given_back() {
        let memory = FrameMemory::new(64 * 1024);
        let mut lease = Lease::default();
        memory.extend(&mut lease, 10_000).await;
        assert_eq!(memory.leased_bytes(), 10 * 1024);
        memory.extend(&mut lease, 1 << 30).await;
        assert_eq!(memory.leased_bytes(), 64 * 1024);
        drop(lease);
        assert_eq!(memory.leased_bytes(), 0);
    }

    #[test]
    fn a_buffer_comes_back_whole_and_a_giant_one_does_not() {
        let memory = FrameMemory::new(1 << 20);
        let mut buffer = BytesMut::with_capacity(100_000);
        buffer.extend_from_slice(&[1; 50_000]);
        drop(buffer.split_to(50_000).freeze());
        memory.give(buffer);
        assert!(memory.take().capacity() >= 100_000);
        memory.give(BytesMut::with_capacity(POOLED_BUFFER_BYTES_MAX + 1));
        assert_eq!(memory.take().capacity(), SMALL_FRAME_BYTES);
    }
}
