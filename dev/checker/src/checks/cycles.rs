//! Transactions that read from each other in a circle.
//!
//! The graph has an arrow from who wrote a value to who read it. Kafka does not keep writes of transactions apart, so that
//! the order of writes says nothing; the order of each process' operations, and that one operation ended before another
//! began, do: a reader sees only what was committed before.

use std::collections::BTreeSet;

use crate::anomaly::{Anomaly, Kind};
use crate::graph::Graph;
use crate::history::{History, OperationId, Outcome};
use crate::index::Index;

pub(super) fn run(index: &Index<'_>) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    let mut graph = Graph::new(index.history.operations.len());
    add_reads(&mut graph, index);
    report(&graph, Kind::Cycle, index.history, &mut known, &mut found);
    add_processes(&mut graph, index);
    report(&graph, Kind::CycleProcess, index.history, &mut known, &mut found);
    add_times(&mut graph, index.history);
    report(&graph, Kind::CycleRealtime, index.history, &mut known, &mut found);
    found
}

/// One circle of each tangle that holds none of those that are known.
fn report(graph: &Graph, kind: Kind, history: &History, known: &mut BTreeSet<usize>, found: &mut Vec<Anomaly>) {
    for tangle in graph.tangles() {
        if tangle.iter().any(|node| known.contains(node)) {
            continue;
        }
        let circle = graph.circle(&tangle);
        let names: Vec<_> = circle.iter().map(|node| history.name(OperationId(*node))).collect();
        known.extend(tangle);
        found.push(Anomaly::new(kind, format!("{}, and round again", names.join(", then "))));
    }
}

fn add_reads(graph: &mut Graph, index: &Index<'_>) {
    for (reader, operation) in index.history.numbered() {
        for step in &operation.steps {
            let crate::history::Step::Poll { key, records } = step else { continue };
            for (_, value) in records {
                if let Some(writer) = index.sender.get(&(key, value)).filter(|writer| **writer != reader) {
                    graph.add(writer.0, reader.0);
                }
            }
        }
    }
}

fn add_processes(graph: &mut Graph, index: &Index<'_>) {
    for operations in index.by_process().into_values() {
        operations.windows(2).for_each(|pair| graph.add(pair[0].0.0, pair[1].0.0));
    }
}

/// From each operation to those that began after its end: to as few as say the same.
fn add_times(graph: &mut Graph, history: &History) {
    let mut moments: Vec<(u64, bool, usize)> = Vec::new();
    for (id, operation) in history.numbered() {
        moments.push((operation.begin, false, id.0));
        let end = operation.end.filter(|_| operation.outcome != Outcome::Unknown);
        moments.extend(end.map(|end| (end, true, id.0)));
    }
    moments.sort_unstable();
    // Those whose end says more than that of any other; of what began since, each knows them.
    let mut frontier: BTreeSet<usize> = BTreeSet::new();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); history.operations.len()];
    for (_, is_end, node) in moments {
        if is_end {
            before[node].iter().for_each(|earlier| {
                frontier.remove(earlier);
            });
            frontier.insert(node);
        } else {
            frontier.iter().for_each(|earlier| graph.add(*earlier, node));
            before[node] = frontier.iter().copied().collect();
        }
    }
}
