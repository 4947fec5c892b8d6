//! What a schema file says, as plain data.
//!
//! Invariants, kept by the parser: every field has at least one version; a struct's `versions` cover those of every
//! field of that type; tags are unique within a struct.

use super::versions::Versions;

/// One message: a request or response, a record's key or value, or a piece of data inside another protocol.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) role: Role,
    /// Name of the Rust struct, such as `FetchRequest`.
    pub(super) name: String,
    /// What the file says about it in its first comment.
    pub(super) about: Option<String>,
    pub(super) versions: Versions,
    /// Versions with compact lengths and tagged fields.
    pub(super) flexible: Option<Versions>,
    pub(super) fields: Vec<Field>,
    /// Nested structs, outermost first.
    pub(super) structs: Vec<Struct>,
}

/// What a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Request {
        key: i16,
        api: String,
    },
    Response {
        key: i16,
        api: String,
    },
    /// Key of a record of an internal topic; the number says which record it is.
    Key(i16),
    /// Value of such a record.
    Value(i16),
    /// Record of a metadata log, with its number.
    Metadata(i16),
    Data,
}

impl Role {
    /// Whether it lies in files, where people look at it.
    pub(super) fn is_stored(&self) -> bool {
        !matches!(self, Self::Request { .. } | Self::Response { .. })
    }
}

#[derive(Debug)]
pub(super) struct Struct {
    pub(super) name: String,
    pub(super) versions: Versions,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Field {
    /// Kafka's spelling, such as `TopicId`.
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) versions: Versions,
    /// Versions in which null is allowed.
    pub(super) nullable: Option<Versions>,
    pub(super) tag: Option<u32>,
    pub(super) default: Option<String>,
    /// Never compact, even in flexible versions.
    pub(super) rigid: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Number(&'static str),
    Bool,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    /// Reads a type as the notation spells it, without the mark for null.
    pub(super) fn parse(text: &str) -> Self {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Self::Array(Box::new(Self::parse(inner)));
        }
        match text {
            "bool" => Self::Bool,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            name => match NUMBERS.iter().find(|number| **number == name) {
                Some(number) => Self::Number(number),
                None => Self::Struct(name.to_owned()),
            },
        }
    }

    /// The struct that this is, or that this is an array of.
    pub(super) fn struct_name(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(element) => element.struct_name(),
            _ => None,
        }
    }
}

const NUMBERS: [&str; 8] = ["i8", "i16", "u16", "i32", "u32", "i64", "f32", "f64"];
