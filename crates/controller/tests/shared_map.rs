//! The shared map against a plain one.
#![allow(clippy::unwrap_used)] // a test

use std::{collections::BTreeMap, ops::Bound};

use ottla_controller::SharedMap;
use proptest::{collection::vec, prelude::*};

proptest! {
    #[test]
    fn it_is_a_sorted_map_and_copies_do_not_see_later_changes(
        steps in vec((any::<u16>(), 0_u8..4), 0..2000), probe: u16,
    ) {
        let (mut map, mut model) = (SharedMap::default(), BTreeMap::new());
        let mut old: Option<(SharedMap<u16, usize>, BTreeMap<u16, usize>)> = None;
        for (at, (key, step)) in steps.iter().enumerate() {
            let key = key % 700;
            match step {
                0 => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                1 => prop_assert_eq!(map.get_mut(&key).map(|v| { *v += 1; *v }), model.get_mut(&key).map(|v| { *v += 1; *v })),
                _ => prop_assert_eq!(map.insert(key, at), model.insert(key, at)),
            }
            if at == steps.len() / 2 {
                old = Some((map.clone(), model.clone()));
            }
        }
        for (map, model) in old.into_iter().chain([(map, model)]) {
            prop_assert_eq!(map.len(), model.len());
            prop_assert!(map.iter().eq(model.iter()));
            let probe = probe % 710;
            prop_assert_eq!(map.get(&probe), model.get(&probe));
            for bound in [Bound::Included(&probe), Bound::Excluded(&probe), Bound::Unbounded] {
                prop_assert!(map.range_from(bound).eq(model.range((bound, Bound::Unbounded))));
            }
        }
    }
}

#[test]
fn ascending_keys_fill_their_chunks() {
    let map: SharedMap<u32, ()> = (0..100_000).map(|key| (key, ())).collect();
    assert_eq!(map.len(), 100_000);
    assert!(map.iter().map(|(key, ())| *key).eq(0..100_000));
}
