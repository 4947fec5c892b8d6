use super::*;

fn word(text: &str) -> Value {
    Value::Word(text.to_owned())
}

fn text_value(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn fields(fields: &[(&str, Value)]) -> Value {
    Value::Struct(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn rendered(value: &Value) -> Vec<String> {
    let lines = lines(value);
    for line in &lines {
        assert_eq!(&Line::parse(&line.render()), line);
    }
    lines.iter().map(Line::render).collect()
}

#[test]
fn elements_are_named_and_sorted() {
    let partition = |index: &str, code: &str| fields(&[("partition_index", word(index)), ("error_code", word(code))]);
    let list = Value::List(vec![partition("10", "0"), partition("9", "6"), partition("9", "0")]);
    let value =
        fields(&[("throttle_time_ms", word("0")), ("partitions", list), ("nodes", Value::List(vec![word("1")]))]);
    let expected =
        [". nodes=[1]", "partitions[9]", "partitions[9#2] error_code=NOT_LEADER_OR_FOLLOWER(6)", "partitions[10]"];
    assert_eq!(rendered(&value), expected);
}

#[test]
fn what_may_be_null_is_told_from_what_is_empty() {
    let some = |value| Value::Some(Box::new(value));
    let value = fields(&[
        ("a", some(text_value(""))),
        ("b", Value::Null),
        ("c", some(Value::List(vec![]))),
        ("d", text_value("")),
        ("e", text_value("a \"b\" [c")),
        ("f", word("-1")),
    ]);
    assert_eq!(rendered(&value), [r#". a="" c=[] e="a \"b\" [c" f=-1"#]);
}

#[test]
fn an_absent_struct_differs_from_one_of_zeros() {
    let epoch = |number| fields(&[("epoch", word(number)), ("end_offset", word(number))]);
    assert_eq!(rendered(&fields(&[("diverging", epoch("-1"))])), ["."]);
    assert_eq!(rendered(&fields(&[("diverging", epoch("0"))])), [". diverging.epoch=0 diverging.end_offset=0"]);
}

#[test]
fn an_assignment_has_a_line_for_each_topic() {
    let topic = |name, partitions: &[&str]| {
        fields(&[("topic_id", word(name)), ("partitions", Value::List(partitions.iter().map(|p| word(p)).collect()))])
    };
    let assigned = |topics: Vec<Value>| fields(&[("assignment", fields(&[("topic_partitions", Value::List(topics))]))]);
    assert_eq!(rendered(&fields(&[("assignment", Value::Null)])), ["."]);
    assert_eq!(rendered(&assigned(vec![])), [". assignment.topic_partitions=[]"]);
    let expected =
        [".", "assignment.topic_partitions[a] partitions=[2,10]", "assignment.topic_partitions[b] partitions=[0]"];
    assert_eq!(rendered(&assigned(vec![topic("b", &["0"]), topic("a", &["10", "2"])])), expected);
}

#[test]
fn places_name_every_field() {
    let lines = [Line::parse(". a=1 b=[x y]"), Line::parse("t[q] c=2")];
    let places: Vec<_> = places(&lines).into_iter().collect();
    let expected = [("", ""), ("a", "1"), ("b", "[x y]"), ("t[q]", ""), ("t[q].c", "2")];
    assert_eq!(places, expected.map(|(path, value)| (path.to_owned(), value.to_owned())));
}
