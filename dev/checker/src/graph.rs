//! Arrows between operations, and the circles that they make.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// From how many nodes of a tangle the shortest circle is sought.
const STARTS_MAX: usize = 64;

/// Nodes are numbers from 0.
#[derive(Debug)]
pub(crate) struct Graph {
    to: Vec<Vec<usize>>,
}

/// Where the walk stands in a node.
struct Frame {
    node: usize,
    next: usize,
}

/// Tarjan's tables.
struct Walk {
    number: Vec<Option<usize>>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    count: usize,
}

impl Graph {
    pub(crate) fn new(nodes: usize) -> Graph {
        Graph { to: vec![Vec::new(); nodes] }
    }

    pub(crate) fn add(&mut self, from: usize, to: usize) {
        self.to[from].push(to);
    }

    /// Sets of more than one node, each of which can be reached from each: strongly connected components.
    pub(crate) fn tangles(&self) -> Vec<BTreeSet<usize>> {
        let nodes = self.to.len();
        let mut walk = Walk {
            number: vec![None; nodes],
            low: vec![0; nodes],
            on_stack: vec![false; nodes],
            stack: Vec::new(),
            count: 0,
        };
        let mut tangles = Vec::new();
        for root in 0..nodes {
            if walk.number[root].is_none() {
                self.walk_from(root, &mut walk, &mut tangles);
            }
        }
        tangles
    }

    /// Without recursion: histories are longer than stacks are deep.
    fn walk_from(&self, root: usize, walk: &mut Walk, tangles: &mut Vec<BTreeSet<usize>>) {
        let mut frames = vec![walk.enter(root)];
        while let Some(frame) = frames.last_mut() {
            let node = frame.node;
            if let Some(next) = self.to[node].get(frame.next).copied() {
                frame.next += 1;
                match walk.number[next] {
                    None => frames.push(walk.enter(next)),
                    Some(number) if walk.on_stack[next] => walk.low[node] = walk.low[node].min(number),
                    Some(_) => {}
                }
                continue;
            }
            frames.pop();
            if let Some(parent) = frames.last() {
                walk.low[parent.node] = walk.low[parent.node].min(walk.low[node]);
            }
            if walk.number[node] == Some(walk.low[node]) {
                let tangle = walk.leave(node);
                if tangle.len() > 1 {
                    tangles.push(tangle);
                }
            }
        }
    }

    /// The shortest circle within a tangle that goes through one of its first nodes.
    pub(crate) fn circle(&self, tangle: &BTreeSet<usize>) -> Vec<usize> {
        let circles = tangle.iter().take(STARTS_MAX).map(|start| self.circle_through(*start, tangle));
        circles.filter(|circle| !circle.is_empty()).min_by_key(Vec::len).unwrap_or_default()
    }

    fn circle_through(&self, start: usize, tangle: &BTreeSet<usize>) -> Vec<usize> {
        let mut from: HashMap<usize, usize> = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for next in self.to[node].iter().copied().filter(|next| tangle.contains(next)) {
                if next == start {
                    let mut circle = vec![node];
                    while let Some(earlier) = from.get(&circle[circle.len() - 1]) {
                        circle.push(*earlier);
                    }
                    circle.reverse();
                    return circle;
                }
                if let Entry::Vacant(unknown) = from.entry(next) {
                    unknown.insert(node);
                    queue.push_back(next);
                }
            }
        }
        Vec::new()
    }
}

impl Walk {
    fn enter(&mut self, node: usize) -> Frame {
        self.number[node] = Some(self.count);
        self.low[node] = self.count;
        self.on_stack[node] = true;
        self.stack.push(node);
        self.count += 1;
        Frame { node, next: 0 }
    }

    fn leave(&mut self, node: usize) -> BTreeSet<usize> {
        let mut tangle = BTreeSet::new();
        while let Some(member) = self.stack.pop() {
            self.on_stack[member] = false;
            tangle.insert(member);
            if member == node {
                break;
            }
        }
        tangle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(usize, usize)]) -> Graph {
        let nodes = arrows.iter().map(|(from, to)| from.max(to) + 1).max().unwrap_or(0);
        let mut graph = Graph::new(nodes);
        arrows.iter().for_each(|(from, to)| graph.add(*from, *to));
        graph
    }

    #[test]
    fn tangles_are_found() {
        assert!(graph(&[(0, 1), (1, 2), (0, 2)]).tangles().is_empty());
        let two = graph(&[(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 3), (4, 5)]);
        let mut tangles = two.tangles();
        tangles.sort();
        assert_eq!(tangles, [BTreeSet::from([0, 1, 2]), BTreeSet::from([3, 4])]);
    }

    #[test]
    fn the_shortest_circle_is_shown() {
        let graph = graph(&[(0, 1), (1, 2), (2, 3), (3, 0), (2, 1)]);
        let tangle = graph.tangles().remove(0);
        assert_eq!(graph.circle(&tangle), [1, 2]);
        assert_eq!(graph.circle_through(3, &tangle), [3, 0, 1, 2]);
    }

    #[test]
    fn a_long_path_needs_no_deep_stack() {
        let arrows: Vec<_> = (0..300_000).map(|at| (at, at + 1)).collect();
        assert!(graph(&arrows).tangles().is_empty());
    }
}
