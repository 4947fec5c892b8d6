//! `ApiVersions`: what this broker can do. Any version of the request is answered.

use ottla_controller::MetadataImage;
use ottla_types::ErrorCode;
use ottla_wire::{
    ApiKey,
    messages::api_versions_request::ApiVersionsRequest,
    messages::api_versions_response::{ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey},
};

use crate::{
    net::{Answer, Peer},
    node::Node,
    served,
    service::ReplyTo,
};

/// Answers a version that the broker does not know: in version 0, which every client reads, with the versions to ask in.
pub(crate) fn unsupported(reply: &ReplyTo) -> Answer {
    let body = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: [ApiKey::ApiVersions].iter().filter_map(|api| entry(*api)).collect(),
        ..ApiVersionsResponse::default()
    };
    reply.frame_of(0, &body).map_or(Answer::Close, Answer::Now)
}

pub(crate) fn handle(node: &Node, peer: &mut Peer, reply: ReplyTo, request: ApiVersionsRequest) -> Answer {
    if reply.version >= 3 {
        let named = [&request.client_software_name, &request.client_software_version];
        if !named.into_iter().all(|text| is_software_word(text)) {
            let error_code = ErrorCode::InvalidRequest.code();
            return reply.now(&ApiVersionsResponse { error_code, ..ApiVersionsResponse::default() });
        }
        peer.software = Some((request.client_software_name, request.client_software_version));
    }
    let image = node.quorum.image();
    reply.now(&ApiVersionsResponse {
        error_code: ErrorCode::None.code(),
        api_keys: served::APIS.iter().filter_map(|api| entry(*api)).collect(),
        throttle_time_ms: 0,
        supported_features: supported(reply.version),
        finalized_features_epoch: i64::try_from(image.version()).unwrap_or(i64::MAX),
        finalized_features: finalized(&image),
        zk_migration_ready: false,
    })
}

fn entry(api: ApiKey) -> Option<ApiVersion> {
    let range = served::advertised(api)?;
    Some(ApiVersion { api_key: api as i16, min_version: range.min, max_version: range.max })
}

fn supported(version: i16) -> Vec<SupportedFeatureKey> {
    // Clients below version 4 cannot read a feature that begins at 0.
    let readable = served::SUPPORTED.into_iter().filter(|(_, min, _)| *min > 0 || version >= 4);
    let feature = |(name, min_version, max_version): (&str, _, _)| SupportedFeatureKey {
        name: name.to_owned(),
        min_version,
        max_version,
    };
    readable.map(feature).collect()
}

fn finalized(image: &MetadataImage) -> Vec<FinalizedFeatureKey> {
    let feature = |(name, level): (&String, &i16)| FinalizedFeatureKey {
        name: name.clone(),
        max_version_level: *level,
        min_version_level: *level,
    };
    image.features().iter().map(feature).collect()
}

/// Letters, digits, `-` and `.`, beginning and ending with a letter or digit.
fn is_software_word(text: &str) -> bool {
    let ends = |end: Option<u8>| end.is_some_and(|byte| byte.is_ascii_alphanumeric());
    ends(text.bytes().next())
        && ends(text.bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_words() {
        for good in ["a", "apache-kafka-java", "4.3.1", "x9"] {
            assert!(is_software_word(good), "{good:?} was refused");
        }
        for bad in ["", "-a", "a.", "a b", "é", "a\n"] {
            assert!(!is_software_word(bad), "{bad:?} was taken");
        }
    }
}
