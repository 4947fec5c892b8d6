//! Why a value or a change is refused, in words that Kafka's users know.

use std::fmt;

use ottla_types::ErrorCode;

use crate::change::OpKind;
use crate::declaration::{Kind, Scope};

/// A refused value or change of one resource.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// No key of this scope has that name.
    #[error("Unknown {scope} config name: {key}{}", hint(*nearest))]
    UnknownKey {
        /// Where it was looked for.
        scope: Scope,
        /// As given, clipped.
        key: Box<str>,
        /// The declared name most like it, if any is.
        nearest: Option<&'static str>,
    },
    /// Another type, or against the key's rule.
    #[error("Invalid value {value} for configuration {key}: {reason}")]
    InvalidValue {
        /// The key.
        key: Box<str>,
        /// As given, clipped; hidden for a password.
        value: Box<str>,
        /// What is wrong.
        reason: Reason,
    },
    /// A value that would promise what is not done here.
    #[error("{key}={value} is not served: {doc}")]
    NotServed {
        /// The key.
        key: &'static str,
        /// As given, clipped.
        value: Box<str>,
        /// The declaration's own explanation.
        doc: &'static str,
    },
    /// A set, append or subtract without a value.
    #[error("Null value not supported for : {0}")]
    NullValue(Box<str>),
    /// Append and subtract are for lists.
    #[error("Can't {op} to key {key} because its type is not LIST.")]
    NotList {
        /// The key.
        key: Box<str>,
        /// What was asked.
        op: OpKind,
    },
    /// One request names a key twice.
    #[error("Error due to duplicate config keys: {0}")]
    DuplicateKey(Box<str>),
    /// Broker keys that need a restart.
    #[error("Cannot update these configs dynamically: [{0}]")]
    ReadOnly(Box<str>),
    /// Broker keys that Kafka changes while it runs and Ottla reads at its start.
    #[error("Cannot update these configs while the broker runs, set them where it is started: [{0}]")]
    AtStart(Box<str>),
    /// Broker keys that no cluster-wide default exists for.
    #[error("Cannot update these configs at default cluster level, broker id must be specified: [{0}]")]
    PerBroker(Box<str>),
    /// Security keys change only for one listener.
    #[error("These security configs can be dynamically updated only per-listener using the listener prefix: [{0}]")]
    PerListener(Box<str>),
    /// A record would have to be compacted before it may be.
    #[error("conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})")]
    CompactionLags {
        /// `min.compaction.lag.ms`
        min: i64,
        /// `max.compaction.lag.ms`
        max: i64,
    },
    /// A group's value under what the broker allows.
    #[error("{key} must be greater than or equal to {bound}")]
    BelowBroker {
        /// The group's key.
        key: &'static str,
        /// The broker's key.
        bound: &'static str,
    },
    /// A group's value over what the broker allows.
    #[error("{key} must be less than or equal to {bound}")]
    AboveBroker {
        /// The group's key.
        key: &'static str,
        /// The broker's key.
        bound: &'static str,
    },
    /// A member would expire before it could heartbeat.
    #[error("{session} must be greater than {heartbeat}")]
    SessionUnderHeartbeat {
        /// The session timeout's key.
        session: &'static str,
        /// The heartbeat interval's key.
        heartbeat: &'static str,
    },
    /// There is no cluster-wide default of groups or of client-metrics subscriptions.
    #[error("Default {0} resources are not allowed.")]
    NoDefault(Scope),
}

impl ConfigError {
    /// The code of the answer when `scope` was being altered.
    #[must_use]
    pub fn error_code(&self, scope: Scope) -> ErrorCode {
        match self {
            Self::NullValue(_) | Self::DuplicateKey(_) | Self::NoDefault(_) => ErrorCode::InvalidRequest,
            Self::ReadOnly(_) | Self::AtStart(_) | Self::PerBroker(_) | Self::PerListener(_) => {
                ErrorCode::InvalidRequest
            }
            Self::UnknownKey { .. } if scope == Scope::ClientMetrics => ErrorCode::InvalidRequest,
            Self::InvalidValue { .. } if scope == Scope::Broker => ErrorCode::InvalidRequest,
            Self::UnknownKey { .. } | Self::InvalidValue { .. } | Self::NotServed { .. } => ErrorCode::InvalidConfig,
            Self::NotList { .. } | Self::CompactionLags { .. } => ErrorCode::InvalidConfig,
            Self::BelowBroker { .. } | Self::AboveBroker { .. } | Self::SessionUnderHeartbeat { .. } => {
                ErrorCode::InvalidConfig
            }
        }
    }
}

fn hint(nearest: Option<&'static str>) -> String {
    nearest.map(|name| format!(" (nearest: {name})")).unwrap_or_default()
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // each is its message
pub enum Reason {
    NotNumber(Kind),
    NotBoolean,
    BelowInteger(i64),
    AboveInteger(i64),
    BelowDouble(f64),
    AboveDouble(f64),
    NotOneOf(&'static [&'static str]),
    NotGzipLevel,
    NotThrottledReplicas,
    Empty,
    EmptyElement,
    NotAutoOffsetReset,
    NotHostCounts,
    ZeroLimit,
    NotMatch,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNumber(kind) => write!(f, "Not a number of type {}", kind.name()),
            Self::NotBoolean => f.write_str("Expected value to be either true or false"),
            Self::BelowInteger(least) => write!(f, "Value must be at least {least}"),
            Self::AboveInteger(most) => write!(f, "Value must be no more than {most}"),
            Self::BelowDouble(least) => write!(f, "Value must be at least {least}"),
            Self::AboveDouble(most) => write!(f, "Value must be no more than {most}"),
            Self::NotOneOf(words) => write!(f, "String must be one of: {}", words.join(", ")),
            Self::NotGzipLevel => f.write_str("Value must be between 1 and 9 or equal to -1"),
            Self::NotThrottledReplicas => f.write_str("Must be '*' or a list of partitionId:brokerId"),
            Self::Empty => f.write_str("String must be non-empty"),
            Self::EmptyElement => f.write_str("No element of the list may be empty"),
            Self::NotAutoOffsetReset => f.write_str("Must be earliest, latest or by_duration:PnDTnHnMn.nS"),
            Self::NotHostCounts => f.write_str("Must be a list of host:count"),
            Self::ZeroLimit => f.write_str("Must be unlimited (-1) or at least 1"),
            Self::NotMatch => f.write_str("Must be a list of name=regular expression"),
        }
    }
}
