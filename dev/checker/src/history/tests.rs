use super::*;

fn only(text: &str) -> Operation {
    let mut history = History::read(text).unwrap();
    assert_eq!(history.operations.len(), 1, "{history:?}");
    history.operations.remove(0)
}

fn refused(text: &str, words: &str) {
    let error = History::read(text).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn outcomes_are_what_can_be_known() {
    let outcome = |text: &str| {
        let operation = only(text);
        (operation.outcome, operation.end)
    };
    assert_eq!(outcome("1 a begin\n2 a commit\n3 a ok"), (Outcome::Ok, Some(3)));
    assert_eq!(outcome("1 a begin\n3 a fail"), (Outcome::Failed, Some(3)));
    assert_eq!(outcome("1 a begin; commit\n3 a unknown"), (Outcome::Unknown, None));
    assert_eq!(outcome("1 a begin; commit"), (Outcome::Unknown, None));
    assert_eq!(outcome("1 a begin\n3 a unknown"), (Outcome::Failed, Some(3)), "nobody asked for the commit");
    assert_eq!(outcome("1 a begin"), (Outcome::Failed, None), "the process died before it asked");
    assert_eq!(outcome("1 a send x 1"), (Outcome::Unknown, None));
    assert_eq!(outcome("1 a send x 1\n2 a acked x 1 @4"), (Outcome::Ok, Some(2)));
    assert_eq!(outcome("1 a send x 1\n2 a refused x 1"), (Outcome::Failed, Some(2)));
    assert_eq!(outcome("1 a offsets g x=3"), (Outcome::Unknown, None));
    assert_eq!(outcome("1 a offsets g x=3\n2 a ok"), (Outcome::Ok, Some(2)));
}

#[test]
fn steps_keep_their_order_and_late_answers_find_their_send() {
    let operation = only("1 a begin; send x 1 <in:7; polled y 3=4 5=6\n2 a commit; unknown\n3 a acked x 1 @9 # late");
    let key = |name: &str| Key(name.into());
    let value = |name: &str| Value(name.into());
    let sent =
        Step::Send { key: key("x"), value: value("1"), offset: Some(Offset(9)), source: Some((key("in"), Offset(7))) };
    let records = vec![(Offset(3), value("4")), (Offset(5), value("6"))];
    assert_eq!(operation.steps, [sent, Step::Poll { key: key("y"), records }]);
}

#[test]
fn processes_may_come_one_after_the_other() {
    let history = History::read("5 a send x 1\n6 a acked x 1 @0\n2 b send x 2\n9 b acked x 2 @1").unwrap();
    assert_eq!(history.processes, ["a", "b"]);
    assert_eq!(history.operations.iter().map(|it| it.begin).collect::<Vec<_>>(), [2, 5]);
}

#[test]
fn what_makes_no_sense_is_named() {
    refused("a begin", "line 1: no time");
    refused("1 a", "no time");
    refused("\n1 a dance", "line 2: no such event");
    refused("2 a begin\n1 a ok", "earlier");
    refused("1 a begin; begin", "a transaction in a transaction");
    refused("1 a ok", "nothing is under way");
    refused("1 a commit", "nothing is under way");
    refused("1 a send x", "missing");
    refused("1 a send x 1 y", "too many");
    refused("1 a send x 1 @y", "no number");
    refused("1 a acked x 1 @1", "no such value was sent");
    refused("1 a send x 1; send x 1", "sent to the key before");
    refused("1 a polled x 3", "missing");
    refused("1 a seek x", "missing");
}
