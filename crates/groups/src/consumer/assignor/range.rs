//! `range`: each topic is cut into as many ranges as it has subscribers, and they take them in their order.
//!
//! Static members come first, by instance id, then the others by member id. Invariants: a member's partitions of a
//! topic are contiguous; sizes differ by at most one, the larger ones first; where members read the same topics with
//! the same number of partitions they have the same numbers of each (co-partitioning). What members have now plays no
//! part: static members keep their place because their instance id does.

use std::collections::BTreeMap;

use ottla_types::Uuid;

use super::{Assignment, Member, topics};

/// See the file's head.
pub(super) fn assign(members: &[Member<'_>], partition_counts: &BTreeMap<Uuid, i32>) -> Assignment {
    let mut ordered: Vec<_> = members.iter().collect();
    ordered.sort_by_key(|member| (member.instance_id.is_none(), member.instance_id, member.id));
    let mut assigned = vec![BTreeMap::new(); ordered.len()];
    for topic in topics(&ordered, partition_counts) {
        let (size, larger) = (topic.partitions / topic.subscribers.len(), topic.partitions % topic.subscribers.len());
        let mut start = 0;
        for (at, member) in topic.subscribers.iter().enumerate() {
            let end = start + size + usize::from(at < larger);
            if start < end {
                assigned[*member as usize].insert(topic.id, (start as i32..end as i32).collect());
            }
            start = end;
        }
    }
    ordered.iter().map(|member| member.id.to_owned()).zip(assigned).collect()
}
