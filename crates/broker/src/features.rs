//! Feature levels of a cluster that was begun by an earlier version of this program.
//!
//! What that version did not know is turned on at the start, at the level that a new cluster has: nobody has to run a tool
//! to get what the new version can do, and no older data stands against it. A level that is set is never changed here.

use ottla_controller::{FeatureRange, UpdateFeatures};
use ottla_quorum::{Quorum, SubmitError};

use crate::served;

/// Features that a broker can run.
#[must_use]
pub fn supported_features() -> Vec<FeatureRange> {
    served::SUPPORTED.map(|(name, min, max)| FeatureRange { name: name.to_owned(), min, max }).to_vec()
}

/// Gives every feature that the cluster lacks its level.
///
/// # Errors
/// The quorum does not answer.
pub(crate) async fn raise(quorum: &Quorum) -> Result<(), SubmitError> {
    let image = quorum.image();
    let lacking = served::FEATURES.into_iter().filter(|(name, _)| !image.features().contains_key(*name));
    let features: Vec<_> = lacking.map(|(name, level)| (name.to_owned(), level)).collect();
    if features.is_empty() {
        return Ok(());
    }
    match quorum.submit(UpdateFeatures { features: features.clone(), validate_only: false }).await? {
        Ok(()) => tracing::info!(?features, "features of this version are turned on"),
        // Another broker is not as far; the last one to be updated turns them on.
        Err(error) => tracing::info!(%error, "features stay as they are"),
    }
    Ok(())
}
