//! How `DescribeGroups` shows a classic group.

use ottla_wire::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};

use super::{ClassicGroup, Member, State};

impl ClassicGroup {
    /// The group and its members; what they said of themselves only when it is about the current protocol. The same in
    /// all versions.
    pub(crate) fn describe(&self, group_id: &str, _version: i16) -> DescribedGroup {
        let protocol = if self.state == State::Stable { self.protocol.as_deref() } else { None };
        DescribedGroup {
            group_id: group_id.to_owned(),
            group_state: self.state_name().to_owned(),
            protocol_type: self.protocol_type.clone(),
            protocol_data: protocol.unwrap_or_default().to_owned(),
            members: self.members.iter().map(|(id, member)| described(id, member, protocol)).collect(),
            ..DescribedGroup::default()
        }
    }
}

fn described(id: &str, member: &Member, protocol: Option<&str>) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: id.to_owned(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        member_metadata: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
        member_assignment: member.assignment.clone(),
    }
}
