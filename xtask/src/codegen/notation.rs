//! Reads schema files.
//!
//! A file holds messages; what belongs to a line is indented under it. `#` starts a comment; the file's first comment
//! says what the messages are for.
//!
//! ```text
//! request KEY API versions V flexible V|none      also: response KEY API, key TYPE Name, value TYPE Name,
//!                                                        metadata TYPE Name, data Name
//!   Field  type  [V]  [tag=N]  [rigid]  [= default]
//!   struct Name                                   a struct used by several fields
//! ```
//! `V` is `3`, `3-7` or `3+`. A type is a number (`i8` … `f64`), `bool`, `uuid`, `string`, `bytes`, `records`, the
//! name of a struct, or `[type]`; `?` after it allows null, `?2+` in these versions only. A struct is described under
//! the field that uses it first, or after `struct`. A field without versions has those of the line it is under.

use anyhow::{Context, Result, bail, ensure};

use super::{
    model::{Field, Message, Role, Struct, Type},
    versions::Versions,
};

/// Reads all messages of one file.
pub(super) fn parse(text: &str) -> Result<Vec<Message>> {
    let about = text.lines().next().and_then(|line| line.strip_prefix("# ")).map(str::to_owned);
    let lines = text.lines().enumerate().filter_map(Line::new).collect::<Vec<_>>();
    let mut rest = &lines[..];
    let mut messages = Vec::new();
    while let Some((head, after)) = rest.split_first() {
        let body = after.iter().take_while(|line| line.indent > head.indent).count();
        let message = message(head, &after[..body], about.clone());
        messages.push(message.with_context(|| format!("line {}: {}", head.number, head.words.join(" ")))?);
        rest = &after[body..];
    }
    Ok(messages)
}

struct Line<'a> {
    number: usize,
    indent: usize,
    words: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn new((index, text): (usize, &'a str)) -> Option<Self> {
        let content = text.trim_start();
        let indent = text.len() - content.len();
        (!content.is_empty() && !content.starts_with('#')).then(|| Self {
            number: index + 1,
            indent,
            words: content.split_whitespace().collect(),
        })
    }
}

fn message(head: &Line<'_>, body: &[Line<'_>], about: Option<String>) -> Result<Message> {
    let at = head.words.iter().position(|word| *word == "versions").context("no versions")?;
    let (names, settings) = head.words.split_at(at);
    let (role, name) = role(names)?;
    let ["versions", versions, "flexible", flexible] = settings else { bail!("settings are versions V flexible V") };
    let versions = Versions::parse(versions, i16::MAX)?;
    let flexible = match *flexible {
        "none" => None,
        some => Versions::parse(some, versions.max)?.and(versions),
    };
    let mut structs = Structs { newest: versions.max, found: Vec::new() };
    let fields = structs.fields(body, versions)?;
    let structs = with_versions(structs.found, &fields)?;
    Ok(Message { role, name, about, versions, flexible, fields, structs })
}

fn role(words: &[&str]) -> Result<(Role, String)> {
    Ok(match words {
        ["request", key, api] => (Role::Request { key: key.parse()?, api: (*api).to_owned() }, format!("{api}Request")),
        ["response", key, api] => {
            (Role::Response { key: key.parse()?, api: (*api).to_owned() }, format!("{api}Response"))
        }
        ["key", number, name] => (Role::Key(number.parse()?), (*name).to_owned()),
        ["value", number, name] => (Role::Value(number.parse()?), (*name).to_owned()),
        ["metadata", number, name] => (Role::Metadata(number.parse()?), (*name).to_owned()),
        ["data", name] => (Role::Data, (*name).to_owned()),
        _ => bail!("a message is request, response, key, value, metadata or data"),
    })
}

/// Collects the structs of one message while its fields are read.
struct Structs {
    newest: i16,
    found: Vec<(String, Vec<Field>)>,
}

impl Structs {
    fn fields(&mut self, lines: &[Line<'_>], outer: Versions) -> Result<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::new();
        let mut rest = lines;
        while let Some((head, after)) = rest.split_first() {
            let body = after.iter().take_while(|line| line.indent > head.indent).count();
            let (nested, after) = after.split_at(body);
            let place = || format!("line {}: {}", head.number, head.words.join(" "));
            if let ["struct", name] = head.words[..] {
                self.describe(name, nested, outer).with_context(place)?;
            } else {
                let field = field(&head.words, outer, self.newest).with_context(place)?;
                ensure!(fields.iter().all(|other| other.tag.is_none() || other.tag != field.tag), "tag used twice");
                if !nested.is_empty() {
                    let name = field.ty.struct_name().with_context(place)?;
                    self.describe(name, nested, field.versions).with_context(place)?;
                }
                fields.push(field);
            }
            rest = after;
        }
        Ok(fields)
    }

    fn describe(&mut self, name: &str, lines: &[Line<'_>], outer: Versions) -> Result<()> {
        ensure!(self.found.iter().all(|(other, _)| other != name), "{name} is described twice");
        let at = self.found.len();
        self.found.push((name.to_owned(), Vec::new()));
        self.found[at].1 = self.fields(lines, outer)?;
        Ok(())
    }
}

fn field(words: &[&str], outer: Versions, newest: i16) -> Result<Field> {
    let [name, ty, settings @ ..] = words else { bail!("a field is a name and a type") };
    let (ty, null) = match ty.split_once('?') {
        Some((ty, null)) => (ty, Some(null)),
        None => (*ty, None),
    };
    let mut field = Field {
        name: (*name).to_owned(),
        ty: Type::parse(ty),
        versions: outer,
        nullable: None,
        tag: None,
        default: None,
        rigid: false,
    };
    let mut words = settings.iter();
    while let Some(word) = words.next() {
        match *word {
            "=" => field.default = Some((*words.next().context("no default after =")?).to_owned()),
            "rigid" => field.rigid = true,
            tag if tag.starts_with("tag=") => field.tag = Some(tag["tag=".len()..].parse()?),
            versions => {
                let versions = Versions::parse(versions, newest)?;
                field.versions = versions.and(outer).context("versions outside those of the line above")?;
            }
        }
    }
    field.nullable = match null {
        None => None,
        Some("") => Some(field.versions),
        Some(versions) => Versions::parse(versions, newest)?.and(field.versions),
    };
    Ok(field)
}

/// Gives every struct the versions in which some field of its type is there.
fn with_versions(found: Vec<(String, Vec<Field>)>, fields: &[Field]) -> Result<Vec<Struct>> {
    let all = || fields.iter().chain(found.iter().flat_map(|(_, fields)| fields));
    for field in all() {
        if let Some(name) = field.ty.struct_name() {
            ensure!(found.iter().any(|(other, _)| other == name), "nobody says what {name} is");
        }
    }
    let versions = |name: &str| {
        let uses = all().filter(|field| field.ty.struct_name() == Some(name)).map(|field| field.versions);
        uses.reduce(Versions::hull).with_context(|| format!("struct {name} is not used"))
    };
    let versions = found.iter().map(|(name, _)| versions(name)).collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().zip(versions).map(|((name, fields), versions)| Struct { name, versions, fields }).collect())
}
