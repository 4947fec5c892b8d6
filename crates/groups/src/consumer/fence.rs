//! Members that are no longer members: they left, or were silent, or did not let go.

use super::{Context, after::After, epoch_record, expire::cancel_all, member::removal_records, migration, subscribe};
use crate::{
    record::GroupRecord,
    shard::{Decided, GroupShard},
};

/// Takes the members of these ids out of the group, as far as they are in it. What they had is free at once. Where only
/// members of the classic protocol are left, the group becomes a classic one.
pub(super) fn fence(shard: &mut GroupShard, context: Context<'_>, ids: &[String]) -> Decided {
    let mut decided = Decided::none();
    let Some(group) = shard.consumer(context.group_id) else { return decided };
    let mut gone: Vec<_> = ids.iter().filter_map(|id| group.members.get(id)).collect();
    gone.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    gone.dedup_by(|a, b| a.id == b.id);
    if gone.is_empty() {
        return decided;
    }
    let gone_ids: Vec<String> = gone.iter().map(|member| member.id.clone()).collect();
    let mut after = After::without(group, gone);
    match migration::downgrade(context, &after) {
        Some(classic) => {
            decided.records = group.tombstones(context.group_id);
            let everybody: Vec<String> = group.members.keys().cloned().collect();
            everybody.iter().for_each(|id| cancel_all(shard, context.group_id, id));
            decided.records.push(migration::finish_downgrade(shard, context, &classic, true));
        }
        None => {
            decided.records = removals(context, &mut after, &gone_ids);
            gone_ids.iter().for_each(|id| cancel_all(shard, context.group_id, id));
        }
    }
    decided
}

fn removals(context: Context<'_>, after: &mut After<'_>, gone: &[String]) -> Vec<GroupRecord> {
    let mut records: Vec<_> = gone.iter().flat_map(|id| removal_records(context.group_id, id)).collect();
    let patterns: std::collections::BTreeSet<String> =
        after.gone.iter().filter_map(|member| Some(member.pattern()?.to_owned())).collect();
    for pattern in patterns {
        if after.subscribers_of(&pattern) == 0 {
            subscribe::forget(context.group_id, after, &pattern, &mut records);
        }
    }
    let hash = subscribe::metadata_hash(&after.topics(), context.image);
    records.push(epoch_record(context.group_id, after.group.epoch.saturating_add(1), hash));
    records
}
