//! What must hold across the messages of all schema files before code is generated from them.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};

use super::{
    emit,
    model::{Field, Message, Role},
};

/// Checks all messages.
pub(super) fn all(messages: &[Message]) -> Result<()> {
    let mut seen = HashSet::new();
    for message in messages {
        ensure!(seen.insert(&message.name), "{} is described twice", message.name);
        one(message).with_context(|| message.name.clone())?;
        if let Role::Request { api, .. } = &message.role {
            pair(message, messages).with_context(|| api.clone())?;
        }
    }
    Ok(())
}

/// A request and its response share versions, so one header version fits both.
fn pair(request: &Message, messages: &[Message]) -> Result<()> {
    let Role::Request { key, api } = &request.role else { return Ok(()) };
    let wanted = Role::Response { key: *key, api: api.clone() };
    let response = messages.iter().find(|message| message.role == wanted).context("no response")?;
    ensure!(response.versions == request.versions, "request and response have different versions");
    ensure!(response.flexible == request.flexible, "request and response turn flexible in different versions");
    Ok(())
}

fn one(message: &Message) -> Result<()> {
    for part in &message.structs {
        ensure!(!emit::is_reserved(&part.name), "a struct cannot be named {}", part.name);
        ensure!(part.name != message.name, "struct {} is named as its message", part.name);
    }
    let nested = message.structs.iter().flat_map(|part| &part.fields);
    message.fields.iter().chain(nested).try_for_each(|field| self::field(message, field).context(field.name.clone()))
}

fn field(message: &Message, field: &Field) -> Result<()> {
    ensure!(field.nullable.is_none() || emit::takes_null(&field.ty), "a number cannot be null");
    ensure!(field.default.as_deref() != Some("null") || field.nullable.is_some(), "null by default, but never null");
    let flexible = message.flexible.and_then(|flexible| flexible.and(field.versions));
    ensure!(field.tag.is_none() || flexible == Some(field.versions), "tagged in versions that are not flexible");
    Ok(())
}
