//! Produce with acks 0: no answer, and the end of the connection where something went wrong.

use ottla_types::Uuid;
use ottla_wire::messages::{ApiVersionsRequest, ProduceRequest};
use tempfile::TempDir;

use crate::asking::{Asking, PATIENCE, PRODUCE, Topic, produce, record, start};

#[test]
fn what_goes_well_is_not_answered() {
    let dir = TempDir::new().unwrap();
    let broker = start(&dir, &[]);
    let mut client = Asking::of(&broker);
    let topic = client.create("a", &[]);
    client.tell(PRODUCE, &produce(&topic, 0, 0, record(b"one")));
    client.tell(PRODUCE, &produce(&topic, 0, 0, record(b"two")));
    // The first frame that comes is the answer to this.
    assert_eq!(client.end_of(&topic), 2);
}

#[test]
fn an_error_ends_the_connection_once_earlier_answers_are_out() {
    let dir = TempDir::new().unwrap();
    let broker = start(&dir, &[]);
    let topic = Asking::of(&broker).create("a", &[]);
    let absent = Topic { name: "b".to_owned(), id: Uuid([7; 16]) };
    let mut damaged = record(b"one").to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let faults: [(&str, ProduceRequest); 4] = [
        ("no such partition", produce(&topic, 5, 0, record(b"one"))),
        ("no such topic", produce(&absent, 0, 0, record(b"one"))),
        ("a wrong checksum", produce(&topic, 0, 0, damaged.into())),
        ("no batch", produce(&topic, 0, 0, vec![1, 2, 3].into())),
    ];
    for (what, fault) in faults {
        let mut client = Asking::of(&broker);
        client.tell(0, &ApiVersionsRequest::default());
        client.tell(PRODUCE, &fault);
        assert!(client.wire.read_frame(PATIENCE).unwrap().is_some(), "{what}: what was asked before is not answered");
        assert!(client.wire.is_closed_within(PATIENCE).unwrap(), "{what}: answered, or left open");
    }
    assert_eq!(Asking::of(&broker).end_of(&topic), 0);
}
