//! What differs from run to run gets stable names: topics, ids, producers, sessions, addresses, times, messages.
//!
//! | in the answer | in the transcript |
//! |---|---|
//! | a topic or group that the case made up as `a` | `~a`; its id `id~a`, ids of later topics of that name `id~a#2` |
//! | the random part of a member id that the broker made | `member1`, numbered as they appear |
//! | producer ids outside 900,000 to 999,999, which cases choose; fetch session ids | `pid1`, `session1`, numbered as they appear |
//! | host, port, cluster id, directories and their sizes | `HOST`, `PORT`, … |
//! | times of this run | `NOW` |
//! | messages for people | `TEXT`: that there is one is compared, not its words |
//! | topics and groups of other cases, internal topics | left out |

use std::collections::BTreeMap;

use crate::answer::NO_ID;
use crate::records::{self, Depth};
use crate::value::Value;

/// Every topic of every run starts with this.
pub const TOPIC_PREFIX: &str = "ans-";
/// Topics that a broker makes when it first needs them; that depends on what was asked before.
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];
/// The id that stands for none.
const ZERO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";
/// Letters and digits of random parts of member ids, as UUIDs are written and as Kafka writes 128 bits.
const UUID_LEN: usize = 36;
const ID_LEN: usize = 22;
/// Broker and this program have the same clock; no time that a case sends is this close to it.
const NOW_MILLIS: i64 = 6 * 3600 * 1000;

/// The names that one case has used so far.
#[derive(Debug)]
pub struct Names {
    /// What the case's topics start with.
    prefix: String,
    now: i64,
    /// How record batches are shown from now on.
    pub depth: Depth,
    ids: BTreeMap<String, String>,
    producers: Vec<String>,
    sessions: Vec<String>,
    members: Vec<String>,
}

impl Names {
    /// No names yet; `now` in milliseconds since 1970.
    #[must_use]
    pub fn new(prefix: String, now: i64) -> Names {
        let (producers, sessions, members) = (Vec::new(), Vec::new(), Vec::new());
        Names { prefix, now, depth: Depth::Bytes, ids: BTreeMap::new(), producers, sessions, members }
    }

    /// The real name of the topic that the case calls `name`.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Remembers the id of a topic; only the first topic of an id counts.
    pub fn learn_id(&mut self, topic: &str, id: &str) {
        let Some(name) = topic.strip_prefix(&self.prefix) else { return };
        if id == ZERO_ID || self.ids.contains_key(id) {
            return;
        }
        let same = |known: &&String| known.as_str() == name || known.starts_with(&format!("{name}#"));
        let name = match self.ids.values().filter(same).count() {
            0 => name.to_owned(),
            n => format!("{name}#{}", n + 1),
        };
        self.ids.insert(id.to_owned(), name);
    }

    /// `answer` with stable names.
    pub fn normal(&mut self, mut answer: Value) -> Value {
        self.learn(&answer);
        self.rename("", &mut answer);
        answer
    }

    fn learn(&mut self, value: &Value) {
        match value.inner() {
            Value::List(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Struct(fields) => {
                let name = value.field("name").or_else(|| value.field("topic"));
                if let (Some(Value::Text(name)), Some(Value::Word(id))) = (name, value.field("topic_id")) {
                    self.learn_id(name, id);
                }
                fields.iter().for_each(|(_, value)| self.learn(value));
            }
            _ => {}
        }
    }

    fn rename(&mut self, field: &str, value: &mut Value) {
        match value {
            Value::Some(inner) => self.rename(field, inner),
            Value::List(items) => {
                items.retain(|item| !self.is_foreign(item));
                items.iter_mut().for_each(|item| self.rename(field, item));
            }
            Value::Struct(fields) => fields.iter_mut().for_each(|(name, value)| self.rename(name, value)),
            Value::Text(text) => *value = self.text(field, text),
            Value::Word(word) => *word = self.word(field, word),
            Value::Bytes(bytes) if field == "records" => {
                let now = self.now;
                *value = records::tree(bytes, self.depth, |time| is_now(now, time));
                self.rename("batches", value);
            }
            Value::Bytes(bytes) => *bytes = without_prefix(bytes, self.prefix.as_bytes()),
            Value::Null => {}
        }
    }

    /// An element that is about a topic or a group of another case, or an internal topic.
    fn is_foreign(&self, item: &Value) -> bool {
        // Groups whose names others chose freely are only seen where all are listed.
        let lists_groups = item.field("group_type").is_some();
        ["name", "topic", "topic_name", "resource_name", "group_id", "transactional_id"].iter().any(|field| match item
            .field(field)
        {
            Some(Value::Text(name)) if lists_groups || name.starts_with(TOPIC_PREFIX) => {
                !name.starts_with(&self.prefix)
            }
            Some(Value::Text(name)) => INTERNAL.contains(&name.as_str()),
            _ => false,
        })
    }

    fn text(&mut self, field: &str, text: &str) -> Value {
        let masked = match field {
            "host" => "HOST",
            "cluster_id" => "CLUSTER",
            "log_dir" => "DIRECTORY",
            "member_id" | "leader" => return Value::Text(self.member(text)),
            "error_message" | "batch_index_error_message" | "documentation" if !text.is_empty() => "TEXT",
            _ => return Value::Text(shortened(&text.replace(&self.prefix, "~"))),
        };
        Value::Word(masked.to_owned())
    }

    /// A member's id: what the broker made of it is a number behind what the client is called.
    fn member(&mut self, id: &str) -> String {
        let (client, random) = match id.len().checked_sub(UUID_LEN).and_then(|at| id.split_at_checked(at)) {
            Some((client, random)) if client.ends_with('-') && is_uuid(random) => (client, random),
            _ if id.len() == ID_LEN && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) => {
                ("", id)
            }
            _ => return id.replace(&self.prefix, "~"),
        };
        format!("{client}{}", numbered("member", &mut self.members, random))
    }

    fn word(&mut self, field: &str, word: &str) -> String {
        let number = word.parse::<i64>().ok();
        match (field, number) {
            ("port", Some(1..)) => "PORT".to_owned(),
            ("total_bytes" | "usable_bytes", Some(1..)) => "BYTES".to_owned(),
            ("finalized_features_epoch", Some(0..)) => "EPOCH".to_owned(),
            ("producer_id", Some(0..=899_999 | 1_000_000..)) => numbered("pid", &mut self.producers, word),
            ("session_id", Some(1..)) => numbered("session", &mut self.sessions, word),
            ("replica_directory_id", None) if word != ZERO_ID => "ID".to_owned(),
            (_, Some(time)) if is_now(self.now, time) => "NOW".to_owned(),
            (_, None) if word == ZERO_ID => NO_ID.to_owned(),
            (_, None) => self.ids.get(word).map_or(word.to_owned(), |name| format!("id~{name}")),
            _ => word.to_owned(),
        }
    }
}

/// `bytes` in which every name that begins with `prefix` begins with `~` instead. Names stand behind their lengths, two
/// bytes each, in what clients hand each other through a coordinator.
fn without_prefix(mut bytes: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    while let Some(at) = bytes.windows(prefix.len()).position(|part| part == prefix) {
        shown.extend_from_slice(&bytes[..at]);
        if let Some(length) = shown.last_chunk_mut::<2>() {
            *length = (u16::from_be_bytes(*length) + 1).saturating_sub(prefix.len() as u16).to_be_bytes();
        }
        shown.push(b'~');
        bytes = &bytes[at + prefix.len()..];
    }
    shown.extend_from_slice(bytes);
    shown
}

fn is_uuid(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    text.bytes().enumerate().all(|(at, byte)| match byte {
        b'-' => dashes.contains(&at),
        byte => byte.is_ascii_hexdigit() && !dashes.contains(&at),
    })
}

/// A long text of one letter as the letter and its number.
fn shortened(text: &str) -> String {
    match text.chars().next() {
        Some(first) if text.len() > 20 && text.chars().all(|c| c == first) => {
            format!("{first}*{}", text.chars().count())
        }
        _ => text.to_owned(),
    }
}

fn is_now(now: i64, time: i64) -> bool {
    (now - NOW_MILLIS..now + NOW_MILLIS).contains(&time)
}

fn numbered(kind: &str, known: &mut Vec<String>, word: &str) -> String {
    let at = known.iter().position(|one| one == word).unwrap_or_else(|| {
        known.push(word.to_owned());
        known.len() - 1
    });
    format!("{kind}{}", at + 1)
}

#[cfg(test)]
mod tests;
