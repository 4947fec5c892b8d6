//! Striped placement over racks, for any number of brokers.
#![allow(clippy::unwrap_used)] // a test

mod world;

use std::collections::{BTreeMap, BTreeSet};

use ottla_controller::{MetadataImage, PlacementError, ReplicaPlacement};
use ottla_types::BrokerId;
use proptest::prelude::*;
use world::{broker, image_of};

fn cluster(racks: &[&[i32]]) -> MetadataImage {
    let brokers = racks
        .iter()
        .enumerate()
        .flat_map(|(rack, ids)| ids.iter().map(move |id| broker(*id, Some(&format!("rack{rack}")), false)));
    image_of(brokers)
}

fn counts(partitions: &[Vec<BrokerId>], of: impl Fn(&Vec<BrokerId>) -> Vec<BrokerId>) -> (usize, usize) {
    let mut counts: BTreeMap<BrokerId, usize> = BTreeMap::new();
    partitions.iter().flat_map(of).for_each(|id| *counts.entry(id).or_default() += 1);
    (counts.values().copied().min().unwrap_or(0), counts.values().copied().max().unwrap_or(0))
}

fn place(image: &MetadataImage, start: u64, factor: i16, partitions: usize) -> Vec<Vec<BrokerId>> {
    let mut placement = ReplicaPlacement::new(image, start);
    (0..partitions).map(|_| placement.place(factor).unwrap()).collect()
}

proptest! {
    #[test]
    fn replicas_are_even_and_apart_over_equal_racks(
        racks in 1_usize..5, per_rack in 1_usize..4, factor in 1_i16..6, start: u64,
    ) {
        let brokers = racks * per_rack;
        prop_assume!(usize::try_from(factor).unwrap() <= brokers);
        let ids: Vec<Vec<i32>> = (0..racks)
            .map(|rack| (0..per_rack).map(|at| (rack * per_rack + at) as i32).collect())
            .collect();
        let image = cluster(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let partitions = place(&image, start, factor, brokers * 4);
        for replicas in &partitions {
            prop_assert_eq!(replicas.len(), factor as usize);
            let distinct: BTreeSet<_> = replicas.iter().collect();
            prop_assert_eq!(distinct.len(), replicas.len(), "a broker twice: {:?}", replicas);
            let distinct: BTreeSet<_> = replicas.iter().map(|id| id.0 as usize / per_rack).collect();
            prop_assert_eq!(distinct.len(), racks.min(replicas.len()), "racks shared: {:?}", replicas);
        }
        let (min, max) = counts(&partitions, |replicas| vec![replicas[0]]);
        prop_assert!(max - min <= 1, "leaders {min}..{max}");
        let (min, max) = counts(&partitions, Vec::clone);
        prop_assert!(max - min <= factor as usize, "replicas {min}..{max}");
    }
}

#[test]
fn a_fenced_broker_never_leads_and_is_taken_last() {
    let image = image_of([broker(1, None, true), broker(2, None, false), broker(3, None, false)]);
    for replicas in place(&image, 5, 2, 10) {
        assert!(!replicas.contains(&BrokerId(1)), "{replicas:?}");
    }
    for replicas in place(&image, 5, 3, 10) {
        assert_eq!(replicas[2], BrokerId(1), "{replicas:?}");
    }
}

#[test]
fn what_cannot_be_placed_says_why() {
    let image = image_of([broker(1, None, false)]);
    let place = |factor| ReplicaPlacement::new(&image, 0).place(factor);
    assert_eq!(place(0), Err(PlacementError::NotPositive(0)));
    assert_eq!(place(-3), Err(PlacementError::NotPositive(-3)));
    assert_eq!(place(2), Err(PlacementError::TooFewBrokers { wanted: 2, registered: 1 }));
    let fenced = image_of([broker(1, None, true)]);
    assert_eq!(ReplicaPlacement::new(&fenced, 0).place(1), Err(PlacementError::AllFenced));
    let nobody = MetadataImage::default();
    assert_eq!(
        ReplicaPlacement::new(&nobody, 0).place(1),
        Err(PlacementError::TooFewBrokers { wanted: 1, registered: 0 })
    );
}
