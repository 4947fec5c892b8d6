"""kafka-python: transactions, as its producer has them."""

import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError
from kafka.structs import OffsetAndMetadata

from cases import CODECS, PATIENCE, case, equal, for_each, topic


def create(bootstrap, partitions=1):
    name = topic("transactional")
    client = KafkaAdminClient(bootstrap_servers=bootstrap)
    client.create_topics([NewTopic(name, partitions, 1)])
    client.close()
    return name


def producer(bootstrap, name=None, **settings):
    """A producer that has its id, fenced off from others before it."""
    made = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=name or topic("id"), **settings)
    made.init_transactions()
    return made


def send(client, name, *values):
    sent = [client.send(name, str(value).encode(), partition=0) for value in values]
    client.flush(PATIENCE)
    for future in sent:
        future.get(PATIENCE)


def whole(client, name, *values):
    client.begin_transaction()
    send(client, name, *values)
    client.commit_transaction()


def read(bootstrap, name, isolation="read_committed"):
    """All values that a consumer of this isolation sees, up to the end that it has."""
    reader = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, isolation_level=isolation)
    place = TopicPartition(name, 0)
    reader.assign([place])
    reader.seek_to_beginning(place)
    end, values, deadline = reader.end_offsets([place])[place], [], time.monotonic() + PATIENCE
    while reader.position(place) < end:
        for records in reader.poll(timeout_ms=200).values():
            values.extend(record.value.decode() for record in records)
        if time.monotonic() > deadline:
            raise AssertionError(f"no end after {len(values)} records")
    reader.close()
    return values


def await_committed(bootstrap, name, *values):
    """Asks again until it is so: the end of a transaction is answered before its markers are everywhere."""
    expected, deadline = [str(value) for value in values], time.monotonic() + PATIENCE
    while (found := read(bootstrap, name)) != expected:
        if time.monotonic() > deadline:
            equal(found, expected, "committed")


@for_each(CODECS)
def transaction_commit_and_abort(bootstrap, codec):
    name = create(bootstrap)
    client = producer(bootstrap, compression_type=None if codec == "none" else codec)
    whole(client, name, *range(200))
    client.begin_transaction()
    send(client, name, *["lost"] * 200)
    client.abort_transaction()
    whole(client, name, *range(200, 400))
    client.close()
    await_committed(bootstrap, name, *range(400))
    equal(len(read(bootstrap, name, "read_uncommitted")), 600, "all")


@case
def transaction_is_not_seen_before_its_end(bootstrap):
    name, client = create(bootstrap), producer(bootstrap)
    client.begin_transaction()
    send(client, name, "a")
    await_committed(bootstrap, name)
    equal(read(bootstrap, name, "read_uncommitted"), ["a"], "all")
    client.commit_transaction()
    await_committed(bootstrap, name, "a")
    client.begin_transaction()
    client.commit_transaction()
    client.close()


@case
def transaction_fenced_by_a_second_of_its_id(bootstrap):
    name, id_of_both = create(bootstrap), topic("id")
    zombie = producer(bootstrap, id_of_both)
    zombie.begin_transaction()
    send(zombie, name, "zombie")
    heir = producer(bootstrap, id_of_both)
    try:
        zombie.commit_transaction()
    except (ProducerFencedError, InvalidProducerEpochError):
        pass
    else:
        raise AssertionError("the zombie's commit was taken")
    whole(heir, name, "heir")
    heir.close()
    zombie.close(timeout=0)
    await_committed(bootstrap, name, "heir")


@case
def transaction_timed_out(bootstrap):
    name, own_id = create(bootstrap), topic("id")
    client = producer(bootstrap, own_id, transaction_timeout_ms=1000)
    client.begin_transaction()
    send(client, name, "lost")
    plain = KafkaProducer(bootstrap_servers=bootstrap)
    send(plain, name, "plain")
    plain.close()
    await_committed(bootstrap, name, "plain")
    try:
        client.commit_transaction()
    except KafkaError:
        pass
    else:
        raise AssertionError("a commit too late was taken")
    client.close(timeout=0)
    again = producer(bootstrap, own_id)
    whole(again, name, "kept")
    again.close()
    await_committed(bootstrap, name, "plain", "kept")


@case
def transaction_of_offsets(bootstrap):
    name, group, client = create(bootstrap), topic("group"), producer(bootstrap)
    place = TopicPartition(name, 0)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    for where, commits, expected in [(5, True, 5), (9, False, 5), (7, True, 7)]:
        client.begin_transaction()
        send(client, name, where)
        client.send_offsets_to_transaction({place: OffsetAndMetadata(where, "", -1)}, group)
        if commits:
            client.commit_transaction()
        else:
            client.abort_transaction()
        deadline = time.monotonic() + PATIENCE
        found = None
        while found != expected and time.monotonic() < deadline:
            offsets = admin.list_group_offsets(group)[group]
            found = offsets[place].offset if place in offsets else None
        equal(found, expected, f"offset after {where}")
    client.close()
    admin.close()
    await_committed(bootstrap, name, 5, 7)
