//! The configuration page of the documentation, made from the declarations.

use std::fmt::Write as _;

use crate::declaration::{Declaration, Rule, Scope, Status, Update};
use crate::keys;

/// The page, as markdown. `docs/config.md` holds exactly this.
#[must_use]
pub fn render_reference() -> String {
    let mut page = String::from(INTRODUCTION);
    for (title, scope) in SCOPES {
        let _ = write!(page, "\n## {title}\n");
        for (section, declarations) in keys::sections(scope) {
            if scope == Scope::Broker {
                let _ = write!(page, "\n### {section}\n");
            }
            table(&mut page, scope, declarations);
        }
    }
    page
}

const SCOPES: [(&str, Scope); 4] = [
    ("Broker keys", Scope::Broker),
    ("Topic keys", Scope::Topic),
    ("Group keys", Scope::Group),
    ("Client-metrics keys", Scope::ClientMetrics),
];

const INTRODUCTION: &str = "# Configuration

This page is made from the declarations: `cargo run -p ottla-config --example render_config > docs/config.md`.

Keys have Kafka's names, types, defaults and meaning. A broker without any configuration listens on 127.0.0.1:9092 and
keeps its data in `./ottla-data`. A value comes from the first of these that has one:

1. what was set at run time on this broker,
2. what was set at run time on all brokers,
3. the command line: `--set log.retention.ms=60000`,
4. the environment: `OTTLA_LOG_RETENTION_MS=60000`,
5. the file: `server.properties`, or TOML with the same names (`log.retention.ms = 60000`),
6. the default.

A topic's own value comes before all of them. An unknown key in a file or the environment is a warning, on the command
line an error. A broker key may carry the prefix `listener.name.<listener>.` to be about one listener.

The column *here* says what Ottla does with a key: **yes**: the value has its effect; **kept**: the value is checked,
kept and shown, and changes nothing; **no**: only the default is taken. The column *change* says how a broker key changes
without a restart: for one *broker*, or for the *cluster*.
";

fn table(page: &mut String, scope: Scope, declarations: &[Declaration]) {
    let fourth = if scope == Scope::Broker { "change" } else { "broker key" };
    let _ = write!(page, "\n| key | type | default | {fourth} | here | what it does |\n|---|---|---|---|---|---|\n");
    for key in declarations {
        let change = if scope == Scope::Broker { update(key.update).to_owned() } else { code(key.broker_key) };
        let (kind, default, here) = (key.kind.name().to_lowercase(), default(key), status(key.status));
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {default} | {change} | {here} | {}{} |",
            key.name,
            key.doc,
            values(key.rule)
        );
    }
}

fn code(text: Option<&str>) -> String {
    text.map(|text| format!("`{text}`")).unwrap_or_default()
}

fn default(key: &Declaration) -> String {
    match key.default {
        None => String::new(),
        Some("") => "empty".to_owned(),
        Some(text) => format!("`{text}`"),
    }
}

fn update(update: Update) -> &'static str {
    match update {
        Update::ReadOnly => "",
        Update::PerBroker => "broker",
        Update::ClusterWide => "cluster",
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Honoured => "yes",
        Status::Accepted => "kept",
        Status::Refused => "no",
    }
}

fn values(rule: Rule) -> String {
    match rule {
        Rule::AtLeast(least) => format!(" At least {least}."),
        Rule::Between(least, most) => format!(" {least} to {most}."),
        Rule::Within(least, most) => format!(" {least} to {most}."),
        Rule::GzipLevel => " 1 to 9, or -1.".to_owned(),
        Rule::PositiveOrUnlimited => " Not 0.".to_owned(),
        Rule::OneOf(words) | Rule::OneOfAnyCase(words) => format!(" One of `{}`.", words.join("`, `")),
        Rule::EachOf(words) => format!(" Any of `{}`.", words.join("`, `")),
        Rule::Any | Rule::ThrottledReplicas | Rule::NonEmpty | Rule::AutoOffsetReset | Rule::HostCounts => {
            String::new()
        }
    }
}

#[cfg(test)]
mod tests;
