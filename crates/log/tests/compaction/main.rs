//! Whatever is appended, rolled, compacted, restarted and crashed: a reader who starts at the front finds the last committed
//! value of every key, every record is at its old offset, and who is quick enough sees every deletion. A crash in a pass
//! leaves each group of segments as it was, or as the pass leaves it.

#![allow(clippy::unwrap_used)] // a test

mod crashes;
mod indexes;
mod world;

use proptest::prelude::*;

use self::world::{World, cases, op};

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_reader_finds_the_last_value_of_every_key(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::new();
        for op in &ops {
            world.run(op)?;
        }
    }
}
