//! Where a value comes from, as `DescribeConfigs` tells it, and where a setting was written.

use std::fmt;
use std::sync::Arc;

use crate::declaration::Kind;

/// Layer that gives a value; the number is the one `DescribeConfigs` sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum Source {
    /// Set on the topic.
    DynamicTopic = 1,
    /// Set at run time on this broker.
    DynamicBroker = 2,
    /// Set at run time on all brokers.
    DynamicDefaultBroker = 3,
    /// From file, environment or flags.
    StaticBroker = 4,
    /// Nobody set it.
    Default = 5,
    /// Level of a logger, set at run time.
    DynamicBrokerLogger = 6,
    /// Set on the client-metrics subscription.
    ClientMetrics = 7,
    /// Set on the group.
    Group = 8,
}

impl Source {
    /// The number `DescribeConfigs` sends.
    #[must_use]
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// One answer of `DescribeConfigs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub name: Box<str>,
    /// The value in effect; `None` for null and for every password.
    pub value: Option<Box<str>>,
    /// Its type.
    pub kind: Kind,
    /// The layer it comes from.
    pub source: Source,
    /// Whether only a restart changes it.
    pub read_only: bool,
    /// Whether the value is withheld.
    pub sensitive: bool,
    /// Every layer that names the key or what stands in for it, the one in effect first.
    pub synonyms: Vec<Synonym>,
    /// What the key does.
    pub doc: &'static str,
}

/// A layer's word on a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Synonym {
    /// The key as that layer names it.
    pub name: Box<str>,
    /// Its value; `None` for a password.
    pub value: Option<Box<str>>,
    /// The layer.
    pub source: Source,
}

/// Where a static setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, from 1; `None` where the line is not known.
    File {
        /// The file as the caller named it.
        name: Arc<str>,
        /// The line.
        line: Option<u32>,
    },
    /// An environment variable.
    Environment(Box<str>),
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: Some(line) } => write!(f, "{name}:{line}"),
            Self::File { name, line: None } => f.write_str(name),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}
