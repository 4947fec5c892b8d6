use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const KEY: [u8; 16] = [7; 16];

fn map(entries: usize, load_factor: f64) -> OffsetMap {
    OffsetMap::new(entries * ENTRY_BYTES, u64::MAX, load_factor, &KEY)
}

#[test]
fn memory_is_bounded_by_bytes_and_by_what_is_needed() {
    assert_eq!(map(1000, 0.9).entries.len(), 1000);
    assert_eq!(OffsetMap::new(1 << 30, 9, 0.9, &KEY).entries.len(), 12);
    assert_eq!(OffsetMap::new(0, u64::MAX, 0.9, &KEY).entries.len(), 2, "there is always room for one key");
}

#[test]
fn a_full_map_refuses_new_keys_and_still_moves_old_ones() {
    let mut map = map(100, 0.9);
    let taken = (0i64..1000).take_while(|i| map.put(&i.to_be_bytes(), Offset(*i))).count() as i64;
    assert_eq!((taken, map.percent()), (90, 90));
    assert!(!map.put(b"new", Offset(5000)));
    assert!(map.put(&3i64.to_be_bytes(), Offset(6000)));
    assert_eq!((map.get(b"new"), map.get(&3i64.to_be_bytes())), (None, Some(Offset(6000))));
    assert_eq!(map.get(&4i64.to_be_bytes()), Some(Offset(4)));
    let mut whole = self::map(50, 1.0);
    assert_eq!((0i64..1000).take_while(|i| whole.put(&i.to_be_bytes(), Offset(*i))).count(), 49);
    assert_eq!(whole.get(b"absent"), None, "a search in a map without room ends");
}

proptest! {
    #[test]
    fn it_knows_what_a_plain_map_knows(
        puts in prop::collection::vec((0u16..400, 0i64..1_000_000), 0..600),
        entries in 2usize..500,
        load in 0.1f64..1.0,
    ) {
        let mut map = map(entries, load);
        let mut plain = HashMap::new();
        for (key, offset) in puts {
            let known = plain.contains_key(&key);
            let took = map.put(&key.to_be_bytes(), Offset(offset));
            prop_assert_eq!(took, known || plain.len() < map.used_max);
            if took {
                plain.insert(key, offset);
            }
        }
        prop_assert_eq!(map.len(), plain.len());
        for key in 0u16..400 {
            prop_assert_eq!(map.get(&key.to_be_bytes()).map(|offset| offset.0), plain.get(&key).copied());
        }
    }
}
