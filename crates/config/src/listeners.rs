//! Listeners: where the broker listens and what it tells clients to connect to.
//!
//! Invariants of [`Listeners`]: at least one is opened; names are unique and upper-case; no two share a port other
//! than 0 unless one is an IPv4 and the other an IPv6 address; every opened one speaks PLAINTEXT; an advertised host is
//! never a wildcard.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::broker_config::BrokerConfig;
use crate::value::{Value, clipped};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address, an IPv6 address without brackets; empty for every interface.
    pub host: Box<str>,
    /// Port; 0 for one that is not known yet.
    pub port: u16,
}

/// One opened listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, upper-case.
    pub name: Box<str>,
    /// Where it is bound; an empty host means every interface, port 0 a free port.
    pub bind: HostPort,
    /// What clients are told; port 0 stands for the port that is bound.
    pub advertised: HostPort,
    /// Most connections of this listener (`listener.name.<name>.max.connections`).
    pub max_connections: Option<i32>,
}

/// What `listeners` and its companions say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// Listeners to open, in the order written.
    pub opened: Vec<Listener>,
    /// The controller's listeners, which are not opened.
    pub controller: Vec<Box<str>>,
    /// Index into `opened` of the one that brokers use among themselves.
    pub inter_broker: usize,
}

/// Why the listeners make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // each is its message
pub enum ListenerError {
    #[error("{key}: {text} is not of the form NAME://host:port")]
    Form { key: &'static str, text: Box<str> },
    #[error("{key}: the listener name {name} is there twice")]
    SameName { key: &'static str, name: Box<str> },
    #[error("listeners: {first} and {second} share port {port}")]
    SamePort { first: Box<str>, second: Box<str>, port: u16 },
    #[error("listeners: none is left to open")]
    None,
    #[error("listener.security.protocol.map: {0} is not of the form NAME:PROTOCOL")]
    Map(Box<str>),
    #[error("No security protocol defined for listener {0}")]
    NoProtocol(Box<str>),
    #[error("listener {name}: {protocol} is not served yet, only PLAINTEXT is")]
    NotServed { name: Box<str>, protocol: &'static str },
    #[error("advertised.listeners: there is no listener {0}")]
    Unknown(Box<str>),
    #[error("advertised.listeners: clients cannot connect to {0}, which stands for every interface")]
    Wildcard(Box<str>),
    #[error("inter.broker.listener.name: there is no listener {0}")]
    InterBroker(Box<str>),
    #[error("inter.broker.listener.name and security.inter.broker.protocol cannot both be set")]
    BothInterBroker,
}

const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

impl Listeners {
    /// Reads them from `config`. `hostname` is advertised for a listener that is bound to every interface and has no
    /// advertised address.
    ///
    /// # Errors
    /// [`ListenerError`].
    pub fn read(config: &BrokerConfig, hostname: &str) -> Result<Self, ListenerError> {
        let protocols = protocols(config)?;
        let controller = upper(config.value("controller.listener.names"));
        let mut listeners = parse_all("listeners", config.value("listeners"))?;
        listeners.retain(|(name, _)| !controller.contains(name));
        let advertised = advertised(config, &controller, &listeners)?;
        check_ports(&listeners)?;
        let opened: Vec<_> = listeners
            .into_iter()
            .map(|(name, bind)| open(config, &protocols, &advertised, hostname, name, bind))
            .collect::<Result<_, _>>()?;
        let inter_broker = inter_broker(config, &opened)?;
        Ok(Self { opened, controller, inter_broker })
    }
}

fn open(
    config: &BrokerConfig,
    protocols: &BTreeMap<Box<str>, &'static str>,
    advertised: &[(Box<str>, HostPort)],
    hostname: &str,
    name: Box<str>,
    bind: HostPort,
) -> Result<Listener, ListenerError> {
    match protocols.get(&name) {
        Some(&"PLAINTEXT") => {}
        Some(protocol) => return Err(ListenerError::NotServed { name, protocol }),
        None => return Err(ListenerError::NoProtocol(name)),
    }
    let told = advertised.iter().find(|(other, _)| *other == name).map(|(_, address)| address.clone());
    let advertised = told.unwrap_or_else(|| HostPort {
        host: if is_wildcard(&bind.host) { hostname.into() } else { bind.host.clone() },
        port: bind.port,
    });
    let limit = config.value(&format!("listener.name.{}.max.connections", name.to_ascii_lowercase()));
    let max_connections = limit.map(|value| value.integer() as i32);
    Ok(Listener { name, bind, advertised, max_connections })
}

fn advertised(
    config: &BrokerConfig,
    controller: &[Box<str>],
    listeners: &[(Box<str>, HostPort)],
) -> Result<Vec<(Box<str>, HostPort)>, ListenerError> {
    let mut advertised = parse_all("advertised.listeners", config.value("advertised.listeners"))?;
    advertised.retain(|(name, _)| !controller.contains(name));
    for (name, address) in &advertised {
        if listeners.iter().all(|(other, _)| other != name) {
            return Err(ListenerError::Unknown(name.clone()));
        }
        if is_wildcard(&address.host) {
            return Err(ListenerError::Wildcard(address.host.clone()));
        }
    }
    Ok(advertised)
}

fn inter_broker(config: &BrokerConfig, opened: &[Listener]) -> Result<usize, ListenerError> {
    if opened.is_empty() {
        return Err(ListenerError::None);
    }
    let Some(name) = config.value("inter.broker.listener.name") else {
        return inter_broker_protocol(config).map(|()| 0);
    };
    if config.layers().any(|(_, layer)| layer.contains_key("security.inter.broker.protocol")) {
        return Err(ListenerError::BothInterBroker);
    }
    let name: Box<str> = name.text().to_ascii_uppercase().into();
    opened.iter().position(|listener| listener.name == name).ok_or(ListenerError::InterBroker(name))
}

fn inter_broker_protocol(config: &BrokerConfig) -> Result<(), ListenerError> {
    let wanted = config.value("security.inter.broker.protocol").map_or("PLAINTEXT", |value| value.text());
    match PROTOCOLS.iter().find(|protocol| **protocol == wanted) {
        Some(protocol) if *protocol != "PLAINTEXT" => {
            Err(ListenerError::NotServed { name: "between brokers".into(), protocol })
        }
        _ => Ok(()),
    }
}

fn protocols(config: &BrokerConfig) -> Result<BTreeMap<Box<str>, &'static str>, ListenerError> {
    let text = config.value("listener.security.protocol.map").map_or("", |value| value.text());
    crate::value::elements(text)
        .iter()
        .map(|pair| {
            let (name, protocol) = pair.split_once(':').ok_or_else(|| ListenerError::Map(clipped(pair)))?;
            let protocol = protocol.trim().to_ascii_uppercase();
            let known =
                PROTOCOLS.iter().find(|known| **known == protocol).ok_or_else(|| ListenerError::Map(clipped(pair)))?;
            Ok((name.trim().to_ascii_uppercase().into(), *known))
        })
        .collect()
}

fn upper(names: Option<&Value>) -> Vec<Box<str>> {
    names.map(|names| names.list().iter().map(|name| name.to_ascii_uppercase().into()).collect()).unwrap_or_default()
}

fn parse_all(key: &'static str, list: Option<&Value>) -> Result<Vec<(Box<str>, HostPort)>, ListenerError> {
    let mut parsed: Vec<(Box<str>, HostPort)> = Vec::new();
    for text in list.map(Value::list).unwrap_or_default() {
        let (name, address) = parse(text).ok_or_else(|| ListenerError::Form { key, text: clipped(text) })?;
        if parsed.iter().any(|(other, _)| *other == name) {
            return Err(ListenerError::SameName { key, name });
        }
        parsed.push((name, address));
    }
    Ok(parsed)
}

/// `NAME://host:port`, with an IPv6 address in brackets or without.
fn parse(text: &str) -> Option<(Box<str>, HostPort)> {
    let (name, address) = text.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').map_or(Some(host), |inner| inner.strip_suffix(']'))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '%' | '.' | '_' | ':');
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if name.is_empty() || !host.chars().all(allowed) || !digits {
        return None;
    }
    let address = HostPort { host: host.into(), port: port.parse().ok()? };
    Some((name.to_ascii_uppercase().into(), address))
}

/// Whether binding to `host` means every interface.
fn is_wildcard(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address == Ipv4Addr::UNSPECIFIED,
        Ok(IpAddr::V6(address)) => address == Ipv6Addr::UNSPECIFIED,
        Err(_) => host.is_empty(),
    }
}

fn check_ports(listeners: &[(Box<str>, HostPort)]) -> Result<(), ListenerError> {
    for (at, (second, b)) in listeners.iter().enumerate() {
        let taken = listeners[..at].iter().find(|(_, a)| a.port != 0 && a.port == b.port && !one_of_each(a, b));
        if let Some((first, _)) = taken {
            return Err(ListenerError::SamePort { first: first.clone(), second: second.clone(), port: b.port });
        }
    }
    Ok(())
}

fn one_of_each(a: &HostPort, b: &HostPort) -> bool {
    let version = |host: &str| host.parse::<IpAddr>().ok().map(|address| address.is_ipv4());
    matches!((version(&a.host), version(&b.host)), (Some(a), Some(b)) if a != b)
}

#[cfg(test)]
mod tests;
