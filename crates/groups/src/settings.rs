//! What groups are bound by.

use ottla_config::{GroupSettings, OffsetsSettings};
use ottla_controller::{ConfigResource, MetadataImage};

/// The broker's settings of groups and offsets; some of them a group may override.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Of groups.
    pub groups: GroupSettings,
    /// Of their offsets.
    pub offsets: OffsetsSettings,
}

impl Settings {
    /// `consumer.session.timeout.ms` of a group.
    pub(crate) fn session_timeout_ms(&self, image: &MetadataImage, group: &str) -> i32 {
        overridden(image, group, "consumer.session.timeout.ms").unwrap_or(self.groups.consumer_session_timeout_ms)
    }

    /// `consumer.heartbeat.interval.ms` of a group.
    pub(crate) fn heartbeat_interval_ms(&self, image: &MetadataImage, group: &str) -> i32 {
        overridden(image, group, "consumer.heartbeat.interval.ms").unwrap_or(self.groups.consumer_heartbeat_interval_ms)
    }

    /// `consumer.assignment.interval.ms` of a group.
    pub(crate) fn assignment_interval_ms(&self, image: &MetadataImage, group: &str) -> i32 {
        overridden(image, group, "consumer.assignment.interval.ms")
            .unwrap_or(self.groups.consumer_assignment_interval_ms)
    }
}

fn overridden(image: &MetadataImage, group: &str, key: &str) -> Option<i32> {
    image.config(&ConfigResource::group(group))?.get(key)?.parse().ok()
}
