use super::*;
use crate::messages::{
    ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse, ProduceRequest, SaslHandshakeRequest,
};

fn request<M: ApiRequest>(version: i16, body: &M) -> Bytes {
    let frame = encode_request(version, 77, Some("client"), body).unwrap().read().unwrap();
    assert_eq!(frame[..4], (frame.len() as i32 - 4).to_be_bytes());
    frame.slice(4..)
}

fn check_request<M: ApiRequest>(version: i16, header_version: i16) {
    assert_eq!(request_header_version(M::API, version), header_version, "{} version {version}", M::NAME);
    let (header, mut body) = parse_request(request(version, &M::default())).unwrap();
    let client_id = Some("client".to_owned());
    assert_eq!(header, RequestHeader { api: M::API, version, correlation_id: 77, client_id });
    assert!(header.is_supported());
    assert_eq!(M::decode(&mut body, version), Ok(M::default()));
    assert_eq!(body.left(), 0);
}

#[test]
fn a_request_survives_its_frame() {
    check_request::<ProduceRequest>(8, 1);
    check_request::<ProduceRequest>(9, 2);
    check_request::<ApiVersionsRequest>(2, 1);
    check_request::<ApiVersionsRequest>(3, 2);
    check_request::<SaslHandshakeRequest>(1, 1);
    check_request::<MetadataRequest>(13, 2);
}

#[test]
fn a_request_of_an_unknown_version_can_be_answered() {
    // ApiVersions version 99 of client "me", with a body that nobody understands.
    let frame = Bytes::from_static(&[0, 18, 0, 99, 0, 0, 0, 5, 0, 2, b'm', b'e', 0xff, 0xff, 0xff, 0xff, 0xff]);
    let (header, _) = parse_request(frame.clone()).unwrap();
    assert_eq!((header.api, header.version, header.correlation_id), (ApiKey::ApiVersions, 99, 5));
    assert_eq!(header.client_id.as_deref(), Some("me"));
    assert!(!header.is_supported());
    // And where not even the client's name can be read.
    let (header, _) = parse_request(frame.slice(..9)).unwrap();
    assert_eq!((header.correlation_id, header.client_id), (5, None));
}

#[test]
fn an_unknown_api_is_named_in_the_error() {
    let unknown = parse_request(Bytes::from_static(&[0x7f, 0, 0, 1, 0, 0, 0, 9, 0xff, 0xff])).unwrap_err();
    assert_eq!(unknown, HeaderError::UnknownApi { key: 0x7f00, version: 1, correlation_id: 9 });
    // The controllers' own APIs are not served to anybody.
    let vote = parse_request(Bytes::from_static(&[0, 52, 0, 0, 0, 0, 0, 9, 0xff, 0xff]));
    assert!(matches!(vote, Err(HeaderError::UnknownApi { key: 52, .. })));
}

#[test]
fn a_header_that_ends_early_is_refused() {
    let frame = request(9, &ProduceRequest::default());
    for end in 0..17 {
        let refused = parse_request(frame.slice(..end)).unwrap_err();
        assert!(matches!(refused, HeaderError::Malformed(DecodeError::Truncated { .. })), "{end} bytes: {refused}");
    }
}

#[test]
fn bytes_after_a_request_do_no_harm() {
    let mut frame = request(9, &ProduceRequest::default()).to_vec();
    frame.extend_from_slice(b"and more");
    let (_, mut body) = parse_request(frame.into()).unwrap();
    assert_eq!(ProduceRequest::decode(&mut body, 9), Ok(ProduceRequest::default()));
    assert_eq!(body.rest(), "and more");
}

#[test]
fn a_response_repeats_the_correlation_id() {
    for (version, header_version) in [(8, 0), (9, 1)] {
        assert_eq!(response_header_version(ApiKey::Metadata, version), header_version);
        let body = MetadataResponse::default();
        let frame = encode_response(version, 77, &body.clone().into()).unwrap().read().unwrap();
        assert_eq!(frame[..4], (frame.len() as i32 - 4).to_be_bytes());
        let (correlation_id, mut r) = parse_response(ApiKey::Metadata, version, frame.slice(4..)).unwrap();
        assert_eq!(correlation_id, 77);
        assert_eq!(MetadataResponse::decode(&mut r, version), Ok(body));
    }
}

#[test]
fn an_answer_about_versions_never_has_tagged_fields_in_its_header() {
    for version in 0..=4 {
        assert_eq!(response_header_version(ApiKey::ApiVersions, version), 0);
    }
    let body = ApiVersionsResponse { error_code: 35, ..ApiVersionsResponse::default() };
    let frame = encode_response_of(ApiKey::ApiVersions, 0, 5, &body).unwrap().read().unwrap();
    assert_eq!(frame[..], [0, 0, 0, 10, 0, 0, 0, 5, 0, 35, 0, 0, 0, 0]);
}

#[test]
fn keys_have_names_and_versions() {
    assert_eq!(ApiKey::ALL.len(), 77);
    for api in ApiKey::ALL {
        assert_eq!(ApiKey::from_code(api as i16), Some(api));
    }
    assert_eq!(ApiKey::from_code(-1), None);
    assert_eq!(ApiKey::ShareFetch.name(), "ShareFetch");
    assert_eq!(ApiKey::Produce.versions(), crate::VersionRange::new(3, 13));
    assert_eq!(ApiKey::InitProducerId.versions(), crate::VersionRange::new(0, 5));
}
