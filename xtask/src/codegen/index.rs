//! Generates what ties the messages together: the module list, the API keys, the request and response enums.

use std::collections::BTreeMap;

use super::{
    emit::HEADER,
    model::{Message, Role},
    names,
    versions::Versions,
};

/// `mod.rs`: the modules, and every struct whose name only one module uses.
pub(super) fn modules(messages: &[Message]) -> String {
    let mut uses = BTreeMap::<&str, usize>::new();
    for name in messages.iter().flat_map(names_of) {
        *uses.entry(name).or_default() += 1;
    }
    let mut out = format!("{HEADER}\n//! Every message of the protocol, a module each.\n//!\n");
    out += "//! Names are Kafka's own; structs whose name only one message uses can be named without its module.\n\n";
    out += "mod api_key; mod dispatch;\n";
    for message in messages {
        out += &format!("pub mod {};\n", names::snake(&message.name));
    }
    out += "\npub use api_key::ApiKey; pub use dispatch::{KINDS, Request, Response};\n";
    for message in messages {
        let names = names_of(message).filter(|name| uses[name] == 1).collect::<Vec<_>>().join(", ");
        out += &format!("pub use {}::{{{names}}};\n", names::snake(&message.name));
    }
    out
}

fn names_of(message: &Message) -> impl Iterator<Item = &str> {
    std::iter::once(message.name.as_str()).chain(message.structs.iter().map(|part| part.name.as_str()))
}

struct Api<'a> {
    key: i16,
    name: &'a str,
    message: &'a Message,
}

fn apis(messages: &[Message]) -> Vec<Api<'_>> {
    let requests = messages.iter().filter_map(|message| match &message.role {
        Role::Request { key, api } => Some(Api { key: *key, name: api, message }),
        _ => None,
    });
    let mut apis = requests.collect::<Vec<_>>();
    apis.sort_by_key(|api| api.key);
    apis
}

/// `api_key.rs`: the enum of API keys and the facts about each.
pub(super) fn api_keys(messages: &[Message]) -> String {
    let apis = apis(messages);
    let lines = |line: &dyn Fn(&Api<'_>) -> String| apis.iter().map(line).collect::<String>();
    let variants = lines(&|api| {
        let about = api.message.about.as_deref().unwrap_or("Kafka's API of this name.");
        format!("/// {about}\n{} = {},\n", api.name, api.key)
    });
    let all = lines(&|api| format!("Self::{},", api.name));
    let codes = lines(&|api| format!("{} => Self::{},", api.key, api.name));
    let texts = lines(&|api| format!("Self::{0} => {0:?},", api.name));
    let ranges = lines(&|api| {
        let Versions { min, max } = api.message.versions;
        format!("Self::{} => VersionRange::new({min}, {max}),", api.name)
    });
    let flexible = lines(&|api| {
        let from = api.message.flexible.map_or("i16::MAX".to_owned(), |flexible| flexible.min.to_string());
        format!("Self::{} => {from},", api.name)
    });
    format!(
        "{HEADER}
        //! The APIs that clients and brokers may call.

        use crate::VersionRange;

        /// An API, numbered as on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {{ {variants} }}

        impl ApiKey {{
            /// Every API, by number.
            pub const ALL: [Self; {}] = [{all}];

            /// The API of a number, if there is one.
            #[must_use]
            pub fn from_code(code: i16) -> Option<Self> {{ Some(match code {{ {codes} _ => return None, }}) }}

            /// Kafka's name of the API.
            #[must_use]
            pub fn name(self) -> &'static str {{ match self {{ {texts} }} }}

            /// The versions that this codec reads and writes.
            #[must_use]
            pub fn versions(self) -> VersionRange {{ match self {{ {ranges} }} }}

            /// The first version with compact lengths and tagged fields; `i16::MAX` where none has them.
            #[must_use]
            pub fn flexible_from(self) -> i16 {{ match self {{ {flexible} }} }}
        }}
        ",
        apis.len()
    )
}

/// `dispatch.rs`: one enum over all requests, one over all responses, and the table of all messages.
pub(super) fn dispatch(messages: &[Message]) -> String {
    let apis = apis(messages);
    let kinds = messages.iter().map(kind).collect::<String>();
    format!(
        "{HEADER}
        //! Requests and responses by API key, and the table of all messages.

        use super::*;
        use crate::{{DecodeError, EncodeError, Message, MessageKind, Reader, Role, Writer}};

        {}{}
        /// Every message that this codec knows.
        pub static KINDS: [MessageKind; {}] = [{kinds}];
        ",
        enumeration("Request", &apis),
        enumeration("Response", &apis),
        messages.len()
    )
}

fn enumeration(what: &str, apis: &[Api<'_>]) -> String {
    let lines = |line: &dyn Fn(&str) -> String| apis.iter().map(|api| line(api.name)).collect::<String>();
    let variants = lines(&|api| format!("{api}({api}{what}),"));
    let decode = lines(&|api| format!("ApiKey::{api} => Self::{api}({api}{what}::decode(r, version)?),"));
    let encode = lines(&|api| format!("Self::{api}(message) => message.encode(w, version),"));
    let keys = lines(&|api| format!("Self::{api}(_) => ApiKey::{api},"));
    let from = lines(&|api| {
        format!("impl From<{api}{what}> for {what} {{ fn from(m: {api}{what}) -> Self {{ Self::{api}(m) }} }}\n\n")
    });
    let noun = what.to_lowercase();
    format!(
        "/// Any {noun}.
        #[derive(Clone, Debug, PartialEq)]
        pub enum {what} {{ {variants} }}

        impl {what} {{
            /// Reads the body of a {noun}.
            ///
            /// # Errors
            /// What is wrong with the bytes, or that the version is not one of the API's.
            pub fn decode(api: ApiKey, version: i16, r: &mut Reader) -> Result<Self, DecodeError> {{
                Ok(match api {{ {decode} }})
            }}

            /// Writes the body.
            ///
            /// # Errors
            /// What the version cannot express.
            pub fn encode(&self, version: i16, w: &mut Writer) -> Result<(), EncodeError> {{
                match self {{ {encode} }}
            }}

            /// The API it belongs to.
            #[must_use]
            pub fn api(&self) -> ApiKey {{ match self {{ {keys} }} }}
        }}

        {from}"
    )
}

fn kind(message: &Message) -> String {
    let role = match &message.role {
        Role::Request { api, .. } => format!("Request(ApiKey::{api})"),
        Role::Response { api, .. } => format!("Response(ApiKey::{api})"),
        Role::Key(number) => format!("Key({number})"),
        Role::Value(number) => format!("Value({number})"),
        Role::Metadata(number) => format!("Metadata({number})"),
        Role::Data => "Data".to_owned(),
    };
    let of = if message.role.is_stored() { "stored" } else { "of" };
    format!("MessageKind::{of}::<{}>(Role::{role}),", message.name)
}
