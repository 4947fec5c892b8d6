//! Rust types and default values of schema fields.

use super::model::{Field, Type};

/// The Rust type of a field.
pub(super) fn rust(field: &Field) -> String {
    let plain = plain(&field.ty);
    if field.nullable.is_some() { format!("Option<{plain}>") } else { plain }
}

fn plain(ty: &Type) -> String {
    match ty {
        Type::Number(name) => (*name).to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Uuid => "Uuid".to_owned(),
        Type::String => "String".to_owned(),
        Type::Bytes => "Bytes".to_owned(),
        Type::Records => "Records".to_owned(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", self::plain(element)),
    }
}

/// The value of a field that a version does not have, as a Rust expression.
pub(super) fn default(field: &Field) -> String {
    if field.default.as_deref() == Some("null") {
        return "None".to_owned();
    }
    let value = plain_default(&field.ty, field.default.as_deref());
    if field.nullable.is_some() { format!("Some({value})") } else { value }
}

fn plain_default(ty: &Type, given: Option<&str>) -> String {
    match (ty, given) {
        (Type::Number("f32" | "f64"), None) => "0.0".to_owned(),
        (Type::Number(number), given) => number_literal(number, given.unwrap_or("0")),
        (Type::Bool, given) => given.unwrap_or("false").to_owned(),
        (Type::String, Some(text)) => format!("{text:?}.to_owned()"),
        (Type::Uuid, _) => "Uuid::ZERO".to_owned(),
        (Type::Array(_), _) => "Vec::new()".to_owned(),
        (ty, _) => format!("{}::default()", plain(ty)),
    }
}

fn number_literal(number: &str, text: &str) -> String {
    match (number, text) {
        ("i32", "0x7fffffff" | "2147483647") => "i32::MAX".to_owned(),
        ("i32", "-2147483648") => "i32::MIN".to_owned(),
        ("i64", "9223372036854775807") => "i64::MAX".to_owned(),
        _ => text.to_owned(),
    }
}

/// Whether the default is what `derive(Default)` gives.
pub(super) fn derives_default(field: &Field) -> bool {
    match field.default.as_deref() {
        Some("null") => true,
        given => field.nullable.is_none() && matches!(given, None | Some("0" | "false")),
    }
}

/// Whether a field holds something other than its default, as a Rust expression of type `bool`.
pub(super) fn differs(field: &Field, place: &str) -> String {
    match (&field.ty, default(field).as_str()) {
        (_, "None") => format!("{place}.is_some()"),
        (_, "true") => format!("!{place}"),
        (_, "false") => place.to_owned(),
        (Type::String | Type::Array(_) | Type::Bytes, _) if field.nullable.is_none() && field.default.is_none() => {
            format!("!{place}.is_empty()")
        }
        (Type::Array(_), _) if field.nullable.is_some() => format!("{place}.as_ref().is_none_or(|x| !x.is_empty())"),
        (_, value) => format!("{place} != {value}"),
    }
}
