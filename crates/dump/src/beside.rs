//! Small files beside the logs: checkpoints, properties, JSON.

use std::path::Path;

use ottla_wire::Shown;

use crate::{
    Shows,
    out::{Fields, Out},
    read,
};

/// A checkpoint: `0`, the count of lines, then a line per entry with a word per name.
pub(crate) fn show_lines(path: &Path, names: &[&'static str], out: &mut Out<'_>) -> Shows {
    let bytes = read(path)?;
    let text = match str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => return Ok(out.damage(Some(error.valid_up_to() as u64), &"not text")?),
    };
    if text.is_empty() {
        return Ok(()); // Kafka makes them at its start and fills them later
    }
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("0") {
        out.damage(None, &"line 1: version 0 is expected")?;
    }
    let count: Option<usize> = lines.next().and_then(|line| line.trim().parse().ok());
    if count.is_none() {
        out.damage(None, &"line 2: the number of entries is expected")?;
    }
    let mut found = 0;
    for (at, line) in lines.enumerate() {
        found += 1;
        match entry(line, names) {
            Some(fields) => out.row("entry", 0, &fields)?,
            None => {
                let what =
                    format_args!("line {}: {} are expected, not {}", at + 3, names.join(", "), Shown::text(line));
                out.damage(None, &what)?;
            }
        }
    }
    if count.is_some_and(|count| count != found) {
        out.damage(None, &format_args!("line 2 announces {} entries, {found} follow", count.unwrap_or_default()))?;
    }
    Ok(())
}

fn entry(line: &str, names: &[&'static str]) -> Option<Fields> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    if words.len() != names.len() {
        return None;
    }
    let value = |(name, word): (&&'static str, &&str)| match *name {
        "topic" => Some((*name, Shown::text(word))),
        name => Some((name, Shown::Number(word.parse().ok()?))),
    };
    names.iter().zip(&words).map(value).collect()
}

pub(crate) fn show_properties(path: &Path, out: &mut Out<'_>) -> Shows {
    let properties = match java_properties::read(&*read(path)?) {
        Ok(properties) => properties,
        Err(error) => return Ok(out.damage(None, &error)?),
    };
    let mut properties: Vec<_> = properties.into_iter().collect();
    properties.sort();
    for (key, value) in properties {
        out.row("property", 0, &vec![("key", key.into()), ("value", value.into())])?;
    }
    Ok(())
}

/// Two lines: `version: 0` and `topic_id: ID`.
pub(crate) fn show_partition_metadata(path: &Path, out: &mut Out<'_>) -> Shows {
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let mut value = |name: &str| Some(lines.next()?.strip_prefix(name)?.trim().to_owned());
    let (version, topic_id) = (value("version:"), value("topic_id:"));
    match (version.as_deref(), topic_id.and_then(|id| id.parse::<ottla_types::Uuid>().ok())) {
        (Some("0"), Some(id)) => out.row("partition", 0, &vec![("topicId", Shown::text(id))])?,
        _ => out.damage(None, &"lines with version: 0 and topic_id: are expected")?,
    }
    Ok(())
}

pub(crate) fn show_json(path: &Path, out: &mut Out<'_>) -> Shows {
    match serde_json::from_slice::<serde_json::Value>(&read(path)?) {
        // Written again, so that it is one line.
        Ok(value) => Ok(out.row("content", 0, &vec![("json", value.to_string().into())])?),
        Err(error) => Ok(out.damage(None, &error)?),
    }
}
