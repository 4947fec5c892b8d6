//! Where lines go: text for people, or one JSON object a line for programs.
//!
//! Invariant: both forms say the same, since both are made from the same fields.

use std::{
    fmt::Display,
    io::{self, Write},
    path::Path,
};

use ottla_wire::Shown;

pub(crate) type Fields = Vec<(&'static str, Shown)>;

/// See the file's head.
pub(crate) struct Out<'a> {
    to: &'a mut dyn Write,
    json: bool,
    file: String,
    damages: usize,
}

impl<'a> Out<'a> {
    pub(crate) fn new(to: &'a mut dyn Write, json: bool) -> Self {
        Self { to, json, file: String::new(), damages: 0 }
    }

    /// A file begins.
    pub(crate) fn begin(&mut self, path: &Path) -> io::Result<()> {
        self.file = path.display().to_string();
        if self.json { Ok(()) } else { writeln!(self.to, "File {}", self.file) }
    }

    /// Something that a file holds; `depth` says inside how many others it lies.
    pub(crate) fn row(&mut self, kind: &'static str, depth: usize, fields: &Fields) -> io::Result<()> {
        if self.json {
            write!(self.to, "{{\"file\":{},\"kind\":\"{kind}\"", Shown::text(&self.file))?;
            for (name, value) in fields {
                write!(self.to, ",\"{name}\":{value}")?;
            }
            return writeln!(self.to, "}}");
        }
        write!(self.to, "{}{kind}", "| ".repeat(depth))?;
        for (name, value) in fields {
            match value {
                Shown::Text(text) if is_plain(text) => write!(self.to, " {name}: {text}")?,
                value => write!(self.to, " {name}: {value}")?,
            }
        }
        writeln!(self.to)
    }

    /// A place that is not what it should be.
    pub(crate) fn damage(&mut self, position: Option<u64>, what: &dyn Display) -> io::Result<()> {
        self.damages += 1;
        let position = position.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
        let mut fields: Fields = vec![];
        if position.is_some() {
            fields.push(("position", position.into()));
        }
        fields.push(("error", Shown::text(what)));
        self.row("damage", 0, &fields)
    }

    /// How many places were damaged.
    pub(crate) fn finish(self) -> io::Result<usize> {
        self.to.flush()?;
        Ok(self.damages)
    }
}

/// Whether a text can stand on a line without quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '"' || c == '\\')
}
