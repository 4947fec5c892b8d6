//! What administrators ask of groups of either protocol: describe, list, delete.

mod deletion;
#[cfg(test)]
mod tests;

use ottla_types::ErrorCode;
use ottla_wire::messages::{describe_groups_response::DescribedGroup, list_groups_response::ListedGroup};

pub(crate) use self::deletion::Deletions;
use crate::shard::{Group, GroupShard};

/// From here on `DescribeGroups` says that a group is not there.
const GROUP_ID_NOT_FOUND_VERSION: i16 = 6;
const CLASSIC: &str = "classic";
const CONSUMER: &str = "consumer";
const EMPTY: &str = "Empty";
const DEAD: &str = "Dead";
/// Protocol and state of a group that only stores offsets.
pub(crate) const STORED: (&str, &str) = (CLASSIC, EMPTY);

/// Protocol and state of a group, as they are listed.
pub(crate) fn kind_and_state(group: &Group) -> (&'static str, &'static str) {
    match group {
        Group::Classic(group) => (CLASSIC, group.state_name()),
        Group::Consumer(group) => (CONSUMER, group.state_name()),
    }
}

impl GroupShard {
    /// As `DescribeGroups` does, which knows classic groups only.
    pub(crate) fn describe(&self, version: i16, group_id: String) -> DescribedGroup {
        match self.groups.get(&group_id) {
            Some(Group::Classic(group)) => group.describe(&group_id, version),
            Some(Group::Consumer(group)) => absent(version, group.describe_classic(&group_id)),
            None if self.offsets.has_group(&group_id) => {
                DescribedGroup { group_id, group_state: EMPTY.to_owned(), ..DescribedGroup::default() }
            }
            None => absent(version, not_found(group_id)),
        }
    }

    /// Groups by id, ascending; of certain states and types where `states` and `types` are not empty.
    pub(crate) fn list(&self, states: &[String], types: &[String]) -> Vec<ListedGroup> {
        let stored = self.offsets.group_ids().filter(|id| !self.groups.contains_key(*id));
        let mut listed: Vec<_> = self.groups.iter().map(|(id, group)| listed(id, group)).collect();
        listed.extend(stored.map(|id| entry(id, "", EMPTY, CLASSIC)));
        listed.retain(|group| {
            let state_fits = states.iter().any(|state| state.trim().eq_ignore_ascii_case(&group.group_state));
            let type_fits = types.iter().any(|kind| kind.eq_ignore_ascii_case(&group.group_type));
            (states.is_empty() || state_fits) && (types.is_empty() || type_fits)
        });
        listed.sort_unstable_by(|a, b| a.group_id.cmp(&b.group_id));
        listed
    }
}

fn not_found(group_id: String) -> DescribedGroup {
    DescribedGroup {
        error_code: ErrorCode::GroupIdNotFound.code(),
        error_message: Some(format!("Group {group_id} not found.")),
        group_id,
        group_state: DEAD.to_owned(),
        ..DescribedGroup::default()
    }
}

/// What is not there is dead and no error in early versions.
fn absent(version: i16, described: DescribedGroup) -> DescribedGroup {
    if version >= GROUP_ID_NOT_FOUND_VERSION {
        described
    } else {
        DescribedGroup { error_code: ErrorCode::None.code(), error_message: None, ..described }
    }
}

fn listed(id: &str, group: &Group) -> ListedGroup {
    match group {
        Group::Classic(group) => entry(id, group.protocol_type(), group.state_name(), CLASSIC),
        Group::Consumer(group) => entry(id, CONSUMER, group.state_name(), CONSUMER),
    }
}

fn entry(id: &str, protocol_type: &str, state: &str, kind: &str) -> ListedGroup {
    ListedGroup {
        group_id: id.to_owned(),
        protocol_type: protocol_type.to_owned(),
        group_state: state.to_owned(),
        group_type: kind.to_owned(),
    }
}
