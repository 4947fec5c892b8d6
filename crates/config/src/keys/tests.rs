use std::collections::HashSet;

use super::*;
use crate::declaration::{Kind, Status};
use crate::value;

const SCOPES: [Scope; 4] = [Scope::Broker, Scope::Topic, Scope::Group, Scope::ClientMetrics];

#[test]
fn names_are_unique_and_every_key_is_explained() {
    for scope in SCOPES {
        let mut names = HashSet::new();
        for key in declarations(scope) {
            assert!(names.insert(key.name), "{} is declared twice", key.name);
            assert!(key.doc.ends_with('.') && key.doc.len() > 10, "{} is not explained", key.name);
            assert!(!key.doc.contains('|'), "{} would break the table", key.name);
        }
    }
}

#[test]
fn every_default_keeps_its_rule() {
    for scope in SCOPES {
        for key in declarations(scope) {
            if let Some(text) = key.default {
                let parsed = value::parse(key, text).unwrap_or_else(|e| panic!("{}: {e}", key.name));
                assert_eq!(value::parse(key, &parsed.to_string()).unwrap(), parsed, "{}", key.name);
            }
        }
    }
}

#[test]
fn what_a_key_refers_to_is_declared_and_of_a_fitting_type() {
    let number = |kind| matches!(kind, Kind::Int | Kind::Long | Kind::Short);
    for scope in SCOPES {
        for key in declarations(scope) {
            for fallback in key.fallbacks {
                assert!(number(find(Scope::Broker, fallback.key).unwrap().kind), "{}", key.name);
            }
            if let Some(name) = key.broker_key {
                let broker = find(Scope::Broker, name).unwrap();
                assert_eq!(broker.kind, key.kind, "{}", key.name);
                assert!(key.status == Status::Accepted || broker.status == key.status, "{}", key.name);
            }
        }
    }
}

#[test]
fn environment_names_do_not_collide() {
    let names: HashSet<_> = declarations(Scope::Broker).map(|key| key.name.replace(['.', '-'], "_")).collect();
    assert_eq!(names.len(), declarations(Scope::Broker).count());
}

#[test]
fn a_listener_prefix_leads_to_the_key_behind_it() {
    assert_eq!(find(Scope::Broker, "listener.name.external.ssl.key.password").unwrap().kind, Kind::Password);
    for name in
        ["listener.name.external", "listener.name..ssl.key.password", "listener.name.a.no.such", "listener.name."]
    {
        assert!(find(Scope::Broker, name).is_none(), "{name}");
    }
    assert!(find(Scope::Topic, "listener.name.external.segment.bytes").is_none());
}

#[test]
fn the_nearest_name_is_offered_only_when_near() {
    for (name, expected) in [
        ("segment.byte", Some("segment.bytes")),
        ("retention.m", Some("retention.ms")),
        ("cleanup_policy", Some("cleanup.policy")),
        ("zookeeper.connect", None),
        ("", None),
    ] {
        assert_eq!(nearest(Scope::Topic, name), expected, "{name}");
    }
    assert_eq!(nearest(Scope::Broker, &"x".repeat(1 << 20)), None);
}
