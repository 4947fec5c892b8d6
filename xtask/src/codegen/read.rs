//! Generates how a struct is read.

use super::{
    model::{Field, Type},
    names,
    shape::Shape,
    types,
    versions::{Test, Versions},
};

/// The body of `decode`, without a check of the version.
pub(super) fn body(shape: &Shape<'_>) -> String {
    let (tagged, plain): (Vec<&Field>, Vec<&Field>) = shape.fields.iter().partition(|field| field.tag.is_some());
    let mut out = shape.flex_binding();
    let values = shape.fields.iter().map(|field| match plain.iter().any(|other| other.name == field.name) {
        true => format!("{}: {},", names::field(&field.name), value(shape, field)),
        false => format!("{}: {},", names::field(&field.name), types::default(field)),
    });
    let values = values.collect::<String>();
    let tags = tags(shape, &tagged);
    if tags.is_empty() {
        return out + &format!("Ok(Self {{ {values} }})");
    }
    let mutable = if tagged.is_empty() { "" } else { "mut " };
    out += &format!("let {mutable}m = Self {{ {values} }}; {tags} Ok(m)");
    out
}

fn value(shape: &Shape<'_>, field: &Field) -> String {
    let read = nullable(shape, field);
    match Versions::test(shape.versions, Some(field.versions)) {
        Test::Always => read,
        Test::Never => types::default(field),
        Test::If(there) => format!("if {there} {{ {read} }} else {{ {} }}", types::default(field)),
    }
}

fn nullable(shape: &Shape<'_>, field: &Field) -> String {
    if field.nullable.is_none() {
        return plain(shape, field);
    }
    let known = field.versions.and(shape.versions).unwrap_or(shape.versions);
    match Versions::test(known, field.nullable) {
        Test::Never => format!("Some({})", plain(shape, field)),
        Test::Always => maybe(shape, field),
        Test::If(null) => format!("if {null} {{ {} }} else {{ Some({}) }}", maybe(shape, field), plain(shape, field)),
    }
}

fn maybe(shape: &Shape<'_>, field: &Field) -> String {
    let flex = shape.flex(field);
    match &field.ty {
        Type::Array(element) => format!("r.nullable_array({flex}, {})?", reader(shape, element, field)),
        Type::Struct(name) if field.tag.is_some() => format!("r.tagged_struct(|r| {name}::decode(r, version))?"),
        Type::Struct(name) => format!("r.nullable_struct(|r| {name}::decode(r, version))?"),
        ty => format!("r.nullable_{}({flex})?", method(ty)),
    }
}

fn plain(shape: &Shape<'_>, field: &Field) -> String {
    let flex = shape.flex(field);
    match &field.ty {
        Type::Array(element) => format!("r.array({flex}, {})?", reader(shape, element, field)),
        Type::Struct(name) => format!("{name}::decode(r, version)?"),
        ty @ (Type::String | Type::Bytes | Type::Records) => format!("r.{}({flex})?", method(ty)),
        ty => format!("r.{}()?", method(ty)),
    }
}

/// A function that reads one element of an array.
fn reader(shape: &Shape<'_>, element: &Type, field: &Field) -> String {
    let flex = shape.flex(field);
    match element {
        Type::Struct(name) => format!("|r| {name}::decode(r, version)"),
        Type::Array(inner) => format!("|r| r.array({flex}, {})", reader(shape, inner, field)),
        ty @ (Type::String | Type::Bytes | Type::Records) => format!("|r| r.{}({flex})", method(ty)),
        ty => format!("Reader::{}", method(ty)),
    }
}

fn method(ty: &Type) -> &str {
    match ty {
        Type::Number(name) => name,
        Type::Bool => "bool",
        Type::Uuid => "uuid",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Records => "records",
        Type::Struct(_) | Type::Array(_) => "array",
    }
}

fn tags(shape: &Shape<'_>, tagged: &[&Field]) -> String {
    let read = if tagged.is_empty() {
        "r.skip_tags()?;".to_owned()
    } else {
        let arms = tagged.iter().map(|field| arm(shape, field)).collect::<String>();
        format!("r.tags(|r, tag| {{ match tag {{ {arms} _ => return Ok(false), }} Ok(true) }})?;")
    };
    match &shape.flexible {
        Test::Never => String::new(),
        Test::Always => read,
        Test::If(_) => format!("if flex {{ {read} }}"),
    }
}

fn arm(shape: &Shape<'_>, field: &Field) -> String {
    let known = shape.flexible_versions().unwrap_or(shape.versions);
    let guard = match Versions::test(known, Some(field.versions)) {
        Test::If(condition) => format!(" if {condition}"),
        Test::Always | Test::Never => String::new(),
    };
    let tag = field.tag.unwrap_or_default();
    format!("{tag}{guard} => m.{} = {},", names::field(&field.name), nullable(&shape.inside_tags(), field))
}
