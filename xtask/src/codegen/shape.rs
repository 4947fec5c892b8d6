//! One struct as the emitters see it: its fields and what is known about the version where it is read or written.

use super::{
    model::{Field, Message, Struct},
    versions::{Test, Versions},
};

pub(super) struct Shape<'a> {
    pub(super) name: &'a str,
    pub(super) fields: &'a [Field],
    /// The versions in which this struct occurs.
    pub(super) versions: Versions,
    /// Whether the version is a flexible one.
    pub(super) flexible: Test,
    flexible_from: Option<Versions>,
}

impl<'a> Shape<'a> {
    pub(super) fn of_message(message: &'a Message) -> Self {
        Self::new(&message.name, &message.fields, message.versions, message.flexible)
    }

    pub(super) fn of_struct(message: &'a Message, part: &'a Struct) -> Self {
        Self::new(&part.name, &part.fields, part.versions, message.flexible)
    }

    fn new(name: &'a str, fields: &'a [Field], versions: Versions, flexible: Option<Versions>) -> Self {
        Self { name, fields, versions, flexible: Versions::test(versions, flexible), flexible_from: flexible }
    }

    /// The same struct where tagged fields are read or written: the version is known to be flexible there.
    pub(super) fn inside_tags(&self) -> Self {
        let versions = self.flexible_versions().unwrap_or(self.versions);
        Self::new(self.name, self.fields, versions, self.flexible_from)
    }

    /// The versions of this struct that are flexible.
    pub(super) fn flexible_versions(&self) -> Option<Versions> {
        self.flexible_from.and_then(|flexible| flexible.and(self.versions))
    }

    /// The argument that tells a read or write whether lengths are compact.
    pub(super) fn flex(&self, field: &Field) -> &str {
        if field.rigid {
            return "false";
        }
        let known = field.versions.and(self.versions).unwrap_or(self.versions);
        match Versions::test(known, self.flexible_from) {
            Test::Always => "true",
            Test::Never => "false",
            Test::If(_) => "flex",
        }
    }

    /// Binds `flex` where the version decides about it.
    pub(super) fn flex_binding(&self) -> String {
        match &self.flexible {
            Test::If(condition) => format!("let flex = {condition};"),
            Test::Always | Test::Never => String::new(),
        }
    }
}
