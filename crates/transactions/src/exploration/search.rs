//! Breadth first, each state once.

use std::collections::{HashMap, hash_map::Entry};

use super::{
    model::{Step, Universe, World},
    network::Tags,
    rules::{self, Violation},
};

/// What came of a search.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) states: usize,
    pub(super) steps: usize,
    /// Transactions that a client was told to be committed, in some state.
    pub(super) told: Tags,
    pub(super) violation: Option<Violation>,
    /// The shortest way to it.
    pub(super) way: Vec<String>,
}

pub(super) fn explore(universe: &mut Universe) -> Found {
    let start = universe.start();
    // Each state with the one that it came from.
    let mut seen: HashMap<World, u32> = HashMap::from([(start, 0)]);
    let mut came: Vec<(World, u32, Option<Step>)> = vec![(start, 0, None)];
    let (mut at, mut steps, mut told) = (0, 0, Tags::default());
    while let Some((world, ..)) = came.get(at).copied() {
        told.extend(world.told);
        for step in universe.steps(&world) {
            steps += 1;
            let mut next = world;
            let taken = universe.take(&mut next, step);
            if next == world && taken.is_ok() {
                continue; // as most that comes again
            }
            let number = came.len() as u32;
            let new = match seen.entry(next) {
                Entry::Vacant(vacant) => *vacant.insert(number) == number,
                Entry::Occupied(_) => false,
            };
            if new {
                came.push((next, at as u32, Some(step)));
            }
            let checked = if new { rules::check(universe, &next) } else { Ok(()) };
            if let Err(violation) = taken.and(checked) {
                let way = way(universe, &came, at, step);
                return Found { states: came.len(), steps, told, violation: Some(violation), way };
            }
        }
        at += 1;
    }
    Found { states: came.len(), steps, told, violation: None, way: Vec::new() }
}

fn way(universe: &Universe, came: &[(World, u32, Option<Step>)], mut at: usize, last: Step) -> Vec<String> {
    let mut way = vec![universe.show(last)];
    while let (_, before, Some(step)) = came[at] {
        way.push(universe.show(step));
        at = before as usize;
    }
    way.reverse();
    way
}
