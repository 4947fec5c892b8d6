//! ApiVersions in every version and in none; what is no request at all.

use anyhow::Result;
use ottla_wire::ApiKey;
use ottla_wire::messages::{ApiVersionsRequest, MetadataRequest};

use super::Case;
use crate::session::Session;

pub(super) fn api_versions() -> Vec<Case> {
    let api = ApiKey::ApiVersions;
    vec![
        Case::each("plain", api, plain),
        Case::newest("software_names", api, software_names),
        Case::newest("unsupported", api, unsupported),
        Case::newest("twice", api, twice),
    ]
}

pub(super) fn frames() -> Vec<Case> {
    vec![
        Case::some("unknown_api", &[0], unknown_api),
        Case::some("unsupported_version", &[0], unsupported_version),
        Case::some("broken", &[0], broken),
        Case::some("trailing_bytes", &[0], trailing_bytes),
        Case::some("client_ids", &[0], client_ids),
    ]
}

fn named(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest { client_software_name: name.to_owned(), client_software_version: version.to_owned() }
}

fn plain(s: &mut Session, v: i16) -> Result<()> {
    s.ask("a client", v, &named("answers", "1.0")).map(drop)
}

fn software_names(s: &mut Session, v: i16) -> Result<()> {
    for (name, version) in [
        ("", "1.0"),
        ("answers", ""),
        ("an swers", "1.0"),
        ("answers", "1 0"),
        ("-answers", "1.0"),
        ("answers-", "1.0"),
        ("an.swe-rs", "1.0-b.2"),
        ("änswers", "1.0"),
        ("answers", "v1.0+2"),
    ] {
        // What is served is shown elsewhere.
        let code = s.get(v, &named(name, version))?.error_code;
        s.note(&format!("ApiVersions: {name:?} {version:?}"), &format!("error_code={code}"));
    }
    Ok(())
}

/// The head of a request: API, version, correlation id 1, client id "a".
fn head(api: i16, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&api.to_be_bytes());
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 1, 0, 1, b'a']);
    bytes
}

fn unsupported(s: &mut Session, _: i16) -> Result<()> {
    let body = [&[0][..], b"\x08answers\x041.0", &[0]].concat();
    for version in [5, 100, i16::MAX] {
        let request = [head(18, version), body.clone()].concat();
        s.ask_raw::<ApiVersionsRequest>(&format!("version {version}"), &request, 0)?;
    }
    s.ask_raw::<ApiVersionsRequest>("version 5 without tags in the head", &head(18, 5), 0)?;
    s.ask_raw::<ApiVersionsRequest>("version -1", &head(18, -1), 0)?;
    s.ask("and on the same connection", 3, &named("answers", "1.0")).map(drop)
}

fn twice(s: &mut Session, v: i16) -> Result<()> {
    for label in ["first", "second"] {
        let code = s.get(v, &named("answers", "1.0"))?.error_code;
        s.note(&format!("ApiVersions: {label}"), &format!("error_code={code}"));
    }
    Ok(())
}

fn unknown_api(s: &mut Session, _: i16) -> Result<()> {
    for key in [4, 5, 6, 7, 71, 72, 1000, -1] {
        s.send_raw(&format!("api {key}, version 0"), &head(key, 0))?;
    }
    Ok(())
}

fn unsupported_version(s: &mut Session, _: i16) -> Result<()> {
    for (api, version) in [
        (0, 2),
        (0, 14),
        (1, 3),
        (1, 19),
        (2, 0),
        (3, 14),
        (3, -1),
        (8, 1),
        (8, 11),
        (9, 0),
        (9, 11),
        (10, 7),
        (11, 10),
        (19, 1),
        (20, 0),
        (32, 0),
        (42, 3),
        (60, 3),
        (68, 2),
        (75, 1),
    ] {
        s.send_raw(&format!("api {api}, version {version}"), &head(api, version))?;
    }
    Ok(())
}

fn broken(s: &mut Session, _: i16) -> Result<()> {
    s.send_raw("no bytes", &[])?;
    s.send_raw("half a head", &[0, 3, 0, 1, 0])?;
    s.send_raw("no body", &head(3, 1))?;
    s.send_raw("an array of two that ends", &[head(3, 1), vec![0, 0, 0, 2, 0, 1, b'x']].concat())?;
    s.send_raw("an array of 2^31-1", &[head(3, 1), vec![0x7f, 0xff, 0xff, 0xff]].concat())?;
    s.send_raw("an array of -2", &[head(3, 1), vec![0xff, 0xff, 0xff, 0xfe]].concat())?;
    s.send_raw("a name that is no text", &[head(3, 1), vec![0, 0, 0, 1, 0, 1, 0xff]].concat())
}

fn trailing_bytes(s: &mut Session, _: i16) -> Result<()> {
    let request = [head(3, 1), vec![0, 0, 0, 0, 1, 2, 3]].concat();
    s.ask_raw::<MetadataRequest>("no topics, and three bytes", &request, 1)
}

fn client_ids(s: &mut Session, _: i16) -> Result<()> {
    let none = [&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff][..], &[0, 0, 0, 0]].concat();
    s.ask_raw::<MetadataRequest>("null", &none, 1)?;
    let empty = [&[0, 3, 0, 1, 0, 0, 0, 1, 0, 0][..], &[0, 0, 0, 0]].concat();
    s.ask_raw::<MetadataRequest>("empty", &empty, 1)?;
    let tagged = [&[0, 3, 0, 9, 0, 0, 0, 1, 0, 1, b'a', 1, 9, 2, 7, 7][..], &[1, 0, 0, 0, 0]].concat();
    s.ask_raw::<MetadataRequest>("an unknown tag in the head", &tagged, 9)
}
