//! Generates how a stored message is shown to people: the fields of its version by Kafka's names.
//!
//! As in Kafka's own rendering, a tagged field that holds its default is left out.

use super::{
    model::{Field, Type},
    names,
    shape::Shape,
    types,
    versions::Test,
    versions::Versions,
};

/// The body of `show`.
pub(super) fn body(shape: &Shape<'_>) -> String {
    let (tagged, plain): (Vec<&Field>, Vec<&Field>) = shape.fields.iter().partition(|field| field.tag.is_some());
    if shape.fields.is_empty() {
        return "Shown::Fields(Vec::new())".to_owned();
    }
    let mut in_order = plain;
    in_order.extend(tagged);
    let pushes = in_order.into_iter().map(|field| push(shape, field)).collect::<String>();
    format!("let mut fields = Vec::new(); {pushes} Shown::Fields(fields)")
}

fn push(shape: &Shape<'_>, field: &Field) -> String {
    let place = format!("self.{}", names::field(&field.name));
    let value = match field.nullable {
        Some(_) => format!("{place}.as_ref().map_or(Shown::Null, |x| {})", shown(&field.ty, "x", "*x")),
        None => shown(&field.ty, &place, &place),
    };
    let statement = format!("fields.push(({:?}, {value}));", names::lower_camel(&field.name));
    let differs = field.tag.map(|_| types::differs(field, &place));
    let condition = match (Versions::test(shape.versions, Some(field.versions)), differs) {
        (Test::Never, _) => return String::new(),
        (Test::Always, None) => return statement,
        (Test::Always, Some(differs)) => differs,
        (Test::If(there), None) => there,
        (Test::If(there), Some(differs)) => format!("{there} && {differs}"),
    };
    format!("if {condition} {{ {statement} }}")
}

/// What a value shows, given an expression on which its methods are called, and one of the value itself.
fn shown(ty: &Type, place: &str, value: &str) -> String {
    match ty {
        Type::Number("f32") => format!("Shown::Float(f64::from({value}))"),
        Type::Number("f64") => format!("Shown::Float({value})"),
        Type::Number("i64") => format!("Shown::Number({value})"),
        Type::Number(_) => format!("Shown::Number(i64::from({value}))"),
        Type::Bool => format!("Shown::Bool({value})"),
        Type::Uuid => format!("Shown::Text({place}.to_string())"),
        Type::String => format!("Shown::Text({place}.clone())"),
        Type::Bytes => format!("Shown::Bytes({place}.clone())"),
        Type::Records => "Shown::Null".to_owned(),
        Type::Struct(_) => format!("{place}.show(version)"),
        Type::Array(element) => format!("Shown::List({place}.iter().map(|x| {}).collect())", shown(element, "x", "*x")),
    }
}
