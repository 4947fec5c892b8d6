//! Generates how a struct is written.

use super::{
    model::{Field, Type},
    names,
    shape::Shape,
    types,
    versions::{Test, Versions},
};

/// The body of `encode`, without a check of the version.
pub(super) fn body(shape: &Shape<'_>) -> String {
    let (tagged, plain): (Vec<&Field>, Vec<&Field>) = shape.fields.iter().partition(|field| field.tag.is_some());
    let mut out = shape.flex_binding();
    for field in plain {
        out += &guarded(Versions::test(shape.versions, Some(field.versions)), &nullable(shape, field));
    }
    out += &tags(shape, tagged);
    out + "Ok(())"
}

fn guarded(test: Test, statement: &str) -> String {
    match test {
        Test::Always => statement.to_owned(),
        Test::Never => String::new(),
        Test::If(condition) => format!("if {condition} {{ {statement} }}"),
    }
}

fn nullable(shape: &Shape<'_>, field: &Field) -> String {
    let place = format!("self.{}", names::field(&field.name));
    if field.nullable.is_none() {
        return plain(shape, field, &place, &format!("&{place}"));
    }
    let known = field.versions.and(shape.versions).unwrap_or(shape.versions);
    let required = || {
        let write = plain(shape, field, "x", "x");
        format!("let x = crate::write::required({:?}, {place}.as_ref())?; {write}", field.name)
    };
    match Versions::test(known, field.nullable) {
        Test::Never => format!("{{ {} }}", required()),
        Test::Always => maybe(shape, field, &place),
        Test::If(null) => format!("if {null} {{ {} }} else {{ {} }}", maybe(shape, field, &place), required()),
    }
}

fn maybe(shape: &Shape<'_>, field: &Field, place: &str) -> String {
    let flex = shape.flex(field);
    match &field.ty {
        Type::Array(element) => {
            format!("w.nullable_array({flex}, {place}.as_deref(), {})?;", writer(shape, element, field))
        }
        Type::Struct(_) if field.tag.is_some() => {
            format!("w.tagged_struct({place}.as_ref(), |w, x| x.encode(w, version))?;")
        }
        Type::Struct(_) => format!("w.nullable_struct({place}.as_ref(), |w, x| x.encode(w, version))?;"),
        Type::String => format!("w.nullable_string({flex}, {place}.as_deref())?;"),
        Type::Records => format!("w.nullable_records({flex}, {place}.as_ref())?;"),
        _ => format!("w.nullable_bytes({flex}, {place}.as_ref())?;"),
    }
}

/// Writes a value that is not null, given as a place and as a reference to it.
fn plain(shape: &Shape<'_>, field: &Field, place: &str, reference: &str) -> String {
    let flex = shape.flex(field);
    match &field.ty {
        Type::Array(element) => format!("w.array({flex}, {reference}, {})?;", writer(shape, element, field)),
        ty => format!("{};", one(ty, flex, place, reference)),
    }
}

/// Writes one value that is no array.
fn one(ty: &Type, flex: &str, place: &str, reference: &str) -> String {
    match ty {
        Type::Number(name) => format!("w.{name}({place})"),
        Type::Bool => format!("w.bool({place})"),
        Type::Uuid => format!("w.uuid({place})"),
        Type::String => format!("w.string({flex}, {reference})?"),
        Type::Bytes => format!("w.bytes({flex}, {reference})?"),
        Type::Records => format!("w.records({flex}, {reference})?"),
        Type::Struct(_) | Type::Array(_) => format!("{place}.encode(w, version)?"),
    }
}

/// A function that writes one element of an array.
fn writer(shape: &Shape<'_>, element: &Type, field: &Field) -> String {
    let flex = shape.flex(field);
    match element {
        Type::Struct(_) => "|w, x| x.encode(w, version)".to_owned(),
        Type::Array(inner) => format!("|w, x| w.array({flex}, x, {})", writer(shape, inner, field)),
        Type::String => format!("|w, x| w.string({flex}, x)"),
        Type::Bytes => format!("|w, x| w.bytes({flex}, x)"),
        Type::Records => format!("|w, x| w.records({flex}, x)"),
        ty => format!("|w, x| {{ {}; Ok(()) }}", one(ty, flex, "*x", "x")),
    }
}

fn tags(shape: &Shape<'_>, mut tagged: Vec<&Field>) -> String {
    tagged.sort_by_key(|field| field.tag);
    let write = if tagged.is_empty() {
        "w.no_tags();".to_owned()
    } else {
        let fields = tagged.iter().map(|field| tag(shape, field)).collect::<String>();
        format!("let mut tags = Tags::default(); {fields} tags.finish(w)?;")
    };
    match &shape.flexible {
        Test::Never => String::new(),
        Test::Always => write,
        Test::If(_) => format!("if flex {{ {write} }}"),
    }
}

fn tag(shape: &Shape<'_>, field: &Field) -> String {
    let inside = shape.inside_tags();
    let differs = types::differs(field, &format!("self.{}", names::field(&field.name)));
    let condition = match Versions::test(inside.versions, Some(field.versions)) {
        Test::If(there) => format!("{there} && {differs}"),
        Test::Always | Test::Never => differs,
    };
    let statement = nullable(&inside, field);
    let number = field.tag.unwrap_or_default();
    format!("if {condition} {{ tags.field({number}, |w| {{ {statement} Ok(()) }})?; }}")
}
