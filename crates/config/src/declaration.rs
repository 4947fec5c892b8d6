//! What is known of one configuration key, as data.
//!
//! Invariants: a declaration's default satisfies its own rule; names are unique within a scope; a fallback and a broker
//! synonym name a declared broker key. The registry's tests check all three.

use std::fmt;

/// Whose configuration a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A broker, or the cluster-wide default of all brokers.
    Broker,
    /// A topic.
    Topic,
    /// A group: consumer, share or streams.
    Group,
    /// A client-metrics subscription.
    ClientMetrics,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broker => "broker",
            Self::Topic => "topic",
            Self::Group => "group",
            Self::ClientMetrics => "client metrics",
        })
    }
}

/// Type of a value; the number is the one `DescribeConfigs` sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean = 1,
    /// Text, trimmed.
    String = 2,
    /// 32 bits, signed.
    Int = 3,
    /// 16 bits, signed.
    Short = 4,
    /// 64 bits, signed.
    Long = 5,
    /// 64-bit floating point.
    Double = 6,
    /// Texts separated by commas.
    List = 7,
    /// Name of a Java class; never loaded.
    Class = 8,
    /// Text that is never shown.
    Password = 9,
}

impl Kind {
    /// The number `DescribeConfigs` sends.
    #[must_use]
    pub fn code(self) -> i8 {
        self as i8
    }

    /// Kafka's name, as in `LONG`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// Which of the values of its kind a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Every value.
    Any,
    /// Numbers from here on.
    AtLeast(i64),
    /// Numbers from the first to the second, both included.
    Between(i64, i64),
    /// Floating point from the first to the second, both included.
    Within(f64, f64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words in any case.
    OneOfAnyCase(&'static [&'static str]),
    /// A list of these words, each at most once; may be empty.
    EachOf(&'static [&'static str]),
    /// 1 to 9, or −1 for the codec's own default.
    GzipLevel,
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
    /// Text with at least one character.
    NonEmpty,
    /// `earliest`, `latest` or `by_duration:` and an ISO-8601 duration.
    AutoOffsetReset,
    /// A list of `host:count`.
    HostCounts,
    /// Milliseconds from 1, or below zero for no limit.
    PositiveOrUnlimited,
}

/// How a key may change while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Only by a restart.
    ReadOnly,
    /// For one broker at a time.
    PerBroker,
    /// For one broker or for all of them.
    ClusterWide,
}

/// What Ottla does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The value has Kafka's effect.
    Honoured,
    /// The value is checked, kept and shown, and changes nothing.
    Accepted,
    /// Only the default is taken: ignoring another value would break a promise, as with an authorizer.
    Refused,
}

/// Another key that stands in when this one is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// Its name.
    pub key: &'static str,
    /// What its value is multiplied with to get this key's unit.
    pub factor: i64,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Declaration {
    /// Kafka's name.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Default as text; `None` where Kafka has null.
    pub default: Option<&'static str>,
    /// Valid values.
    pub rule: Rule,
    /// Whether it changes at run time; means something for broker keys only.
    pub update: Update,
    /// What Ottla does with it.
    pub status: Status,
    /// Whether `DescribeConfigs` names it when nobody set it.
    pub listed: bool,
    /// For a topic or group key: the broker key that gives its default.
    pub broker_key: Option<&'static str>,
    /// For a broker key: what stands in when it is null, in order.
    pub fallbacks: &'static [Fallback],
    /// One or two sentences for the user.
    pub doc: &'static str,
}

impl Declaration {
    /// Whether the value must never be shown.
    #[must_use]
    pub fn sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    const fn new(name: &'static str, kind: Kind, default: Option<&'static str>) -> Self {
        Self {
            name,
            kind,
            default,
            rule: Rule::Any,
            update: Update::ReadOnly,
            status: Status::Accepted,
            listed: true,
            broker_key: None,
            fallbacks: &[],
            doc: "",
        }
    }

    pub(crate) const fn unset(name: &'static str, kind: Kind) -> Self {
        Self::new(name, kind, None)
    }

    pub(crate) const fn rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    pub(crate) const fn at_least(self, least: i64) -> Self {
        self.rule(Rule::AtLeast(least))
    }

    pub(crate) const fn per_broker(mut self) -> Self {
        self.update = Update::PerBroker;
        self
    }

    pub(crate) const fn cluster_wide(mut self) -> Self {
        self.update = Update::ClusterWide;
        self
    }

    pub(crate) const fn unlisted(mut self) -> Self {
        self.listed = false;
        self
    }

    pub(crate) const fn defaults_to(mut self, key: &'static str) -> Self {
        self.broker_key = Some(key);
        self
    }

    pub(crate) const fn or(mut self, fallbacks: &'static [Fallback]) -> Self {
        self.fallbacks = fallbacks;
        self
    }

    pub(crate) const fn honoured(self, doc: &'static str) -> Self {
        self.with(Status::Honoured, doc)
    }

    pub(crate) const fn accepted(self, doc: &'static str) -> Self {
        self.with(Status::Accepted, doc)
    }

    pub(crate) const fn refused(self, doc: &'static str) -> Self {
        self.with(Status::Refused, doc)
    }

    const fn with(mut self, status: Status, doc: &'static str) -> Self {
        self.status = status;
        self.doc = doc;
        self
    }
}

macro_rules! starts {
    ($($name:ident $kind:ident),* $(,)?) => {
        $(pub(crate) const fn $name(name: &'static str, default: &'static str) -> Declaration {
            Declaration::new(name, Kind::$kind, Some(default))
        })*
    };
}

starts!(boolean Boolean, string String, int Int, short Short, long Long, double Double, list List, class Class);

/// A key whose default is null.
pub(crate) const fn unset(name: &'static str, kind: Kind) -> Declaration {
    Declaration::unset(name, kind)
}

/// A key that stands in, with the factor to this key's unit.
pub(crate) const fn other(key: &'static str, factor: i64) -> Fallback {
    Fallback { key, factor }
}
