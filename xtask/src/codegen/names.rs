//! Rust spellings of Kafka's names.

/// `IsFutureKey` → `is_future_key`, `KRaftVersion` → `k_raft_version`.
pub(super) fn snake(name: &str) -> String {
    let chars = name.chars().collect::<Vec<_>>();
    let mut out = String::with_capacity(name.len() + 8);
    for (at, c) in chars.iter().enumerate() {
        let follows_lower = at > 0 && !chars[at - 1].is_uppercase();
        let starts_word = at > 0 && chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (follows_lower || starts_word) {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// The name of a struct's field; words that Rust keeps for itself are written raw.
pub(super) fn field(name: &str) -> String {
    let snake = snake(name);
    if matches!(snake.as_str(), "type" | "match" | "ref" | "where" | "use" | "move" | "in" | "final") {
        return format!("r#{snake}");
    }
    snake
}

/// `TopicId` → `topicId`, as Kafka names the field in JSON.
pub(super) fn lower_camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
