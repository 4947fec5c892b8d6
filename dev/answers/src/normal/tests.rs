use super::*;
use crate::answer::{Line, lines};

const ID: &str = "bbbbbbbbbbbbbbbbbbbbbQ";
const OTHER: &str = "cccccccccccccccccccccQ";

fn word(text: &str) -> Value {
    Value::Word(text.to_owned())
}

fn fields(fields: &[(&str, Value)]) -> Value {
    Value::Struct(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn topic(name: &str, id: &str) -> Value {
    fields(&[("name", Value::Text(name.to_owned())), ("topic_id", word(id))])
}

fn names() -> Names {
    Names::new("ans-x-1-".to_owned(), 1_800_000_000_000)
}

fn shown(names: &mut Names, value: Value) -> Vec<String> {
    lines(&names.normal(value)).iter().map(Line::render).collect()
}

#[test]
fn topics_and_ids_keep_their_names() {
    let mut names = names();
    let all = Value::List(vec![topic("ans-x-1-a", ID), topic("ans-x-2-a", OTHER), topic("__consumer_offsets", OTHER)]);
    assert_eq!(shown(&mut names, fields(&[("topics", all)])), [".", "topics[~a] topic_id=id~a"]);
    assert_eq!(shown(&mut names, fields(&[("topic_id", word(ID))])), [". topic_id=id~a"]);
    let again = Value::List(vec![topic("ans-x-1-a", OTHER), topic("ans-x-1-b", ZERO_ID)]);
    let expected = [".", "topics[~a] topic_id=id~a#2", "topics[~b]"];
    assert_eq!(shown(&mut names, fields(&[("topics", again)])), expected);
}

#[test]
fn producers_sessions_times_and_addresses() {
    let mut names = names();
    let value = |producer: &str| {
        fields(&[
            ("producer_id", word(producer)),
            ("session_id", word("77")),
            ("port", word("9092")),
            ("time", word("1800000000001")),
            ("old", word("1600000000000")),
            ("error_message", Value::Some(Box::new(Value::Text("why".to_owned())))),
            ("host", Value::Text("localhost".to_owned())),
        ])
    };
    let rest = "session_id=session1 port=PORT time=NOW old=1600000000000 error_message=TEXT host=HOST";
    assert_eq!(shown(&mut names, value("0")), [format!(". producer_id=pid1 {rest}")]);
    assert_eq!(shown(&mut names, value("9")), [format!(". producer_id=pid2 {rest}")]);
    assert_eq!(shown(&mut names, value("0")), [format!(". producer_id=pid1 {rest}")]);
    assert_eq!(shown(&mut names, fields(&[("producer_id", word("-1"))])), [". producer_id=-1"]);
}

#[test]
fn members_and_groups() {
    const UUID: &str = "0f1e2d3c-aaaa-bbbb-cccc-0123456789ab";
    let mut names = names();
    let member = |id: &str| fields(&[("member_id", Value::Text(id.to_owned()))]);
    let answer = fields(&[
        ("leader", Value::Text(format!("answers-{UUID}"))),
        ("members", Value::List(vec![member("dddddddddddddddddddddQ"), member(&format!("i1-{UUID}")), member("m")])),
    ]);
    let expected = [". leader=\"answers-member1\"", "members[i1-member1]", "members[m]", "members[member2]"];
    assert_eq!(shown(&mut names, answer), expected);
    let group = |id: &str, field: &str| fields(&[("group_id", Value::Text(id.to_owned())), (field, word("1"))]);
    let all = ["ans-x-1-g", "ans-x-2-g", ""].map(|id| group(id, "group_type"));
    assert_eq!(shown(&mut names, fields(&[("groups", Value::List(all.into()))])), [".", "groups[~g] group_type=1"]);
    let chosen = ["ans-x-1-g", "ans-x-2-g", ""].map(|id| group(id, "state"));
    let expected = [".", "groups[] state=1", "groups[~g] state=1"];
    assert_eq!(shown(&mut names, fields(&[("groups", Value::List(chosen.into()))])), expected);
}

#[test]
fn names_inside_bytes_lose_their_prefix_and_its_length() {
    let mut names = names();
    let bytes = Value::Bytes(b"\x00\x00\x00\x02\x00\x09ans-x-1-a\x00\x0aans-x-1-bb\xff".to_vec());
    assert_eq!(shown(&mut names, fields(&[("metadata", bytes)])), [". metadata=0x0000000200027e6100037e6262ff"]);
}
