//! The cluster's id and its feature levels.

use std::collections::BTreeSet;

use ottla_types::{BrokerId, ErrorCode};

use super::Decision;
use crate::{
    command::{Bootstrap, Reply, UpdateFeatures},
    image::MetadataImage,
    record::{ClusterId, FeatureLevel, MetadataRecord},
};

/// Why the feature levels stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// One request names it twice.
    #[error("Duplicate feature {0}")]
    Duplicate(String),
    /// Below 0.
    #[error("Invalid update version {level} for feature {name}: negative levels do not exist.")]
    Negative {
        /// The feature.
        name: String,
        /// The level asked for.
        level: i16,
    },
    /// A broker cannot run it.
    #[error("Invalid update version {level} for feature {name}. Broker {broker} does not support it.")]
    Unsupported {
        /// The feature.
        name: String,
        /// The level asked for.
        level: i16,
        /// The first broker that cannot.
        broker: BrokerId,
    },
}

impl FeatureError {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Duplicate(_) => ErrorCode::InvalidRequest,
            Self::Negative { .. } | Self::Unsupported { .. } => ErrorCode::InvalidUpdateVersion,
        }
    }
}

pub(super) fn bootstrap(image: &MetadataImage, ask: &Bootstrap) -> Decision {
    if !image.cluster_id().is_zero() {
        return Decision::new(Vec::new(), Reply::Bootstrap(image.cluster_id()));
    }
    let mut records = vec![ClusterId { id: ask.cluster_id }.into()];
    records.extend(ask.features.iter().map(level_record));
    Decision::new(records, Reply::Bootstrap(ask.cluster_id))
}

pub(super) fn update(image: &MetadataImage, ask: &UpdateFeatures) -> Decision {
    match check(image, ask) {
        Ok(()) => {
            let changed = ask.features.iter().filter(|(name, level)| current(image, name) != *level);
            let records = changed.map(level_record).collect();
            Decision::new(records, Reply::UpdateFeatures(Ok(()))).validated(ask.validate_only)
        }
        Err(error) => Decision::new(Vec::new(), Reply::UpdateFeatures(Err(error))),
    }
}

fn check(image: &MetadataImage, ask: &UpdateFeatures) -> Result<(), FeatureError> {
    let mut seen = BTreeSet::new();
    for (name, level) in &ask.features {
        if !seen.insert(name) {
            return Err(FeatureError::Duplicate(name.clone()));
        }
        if *level < 0 {
            return Err(FeatureError::Negative { name: name.clone(), level: *level });
        }
        if let Some(broker) = image.brokers().values().find(|broker| !supports(&broker.features, name, *level)) {
            return Err(FeatureError::Unsupported { name: name.clone(), level: *level, broker: broker.broker });
        }
    }
    Ok(())
}

fn supports(features: &[crate::record::FeatureRange], name: &str, level: i16) -> bool {
    level == 0 || features.iter().any(|feature| feature.name == name && (feature.min..=feature.max).contains(&level))
}

fn current(image: &MetadataImage, name: &str) -> i16 {
    image.features().get(name).copied().unwrap_or(0)
}

fn level_record((name, level): &(String, i16)) -> MetadataRecord {
    FeatureLevel { name: name.clone(), level: *level }.into()
}
