"""confluent-kafka: transactions of librdkafka, which speaks version 1 of their protocol."""

import threading
import time

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewTopic

from cases import CODECS, PATIENCE, case, equal, for_each, main, topic

KINDS = {
    "eager": {"partition.assignment.strategy": "range"},
    "cooperative": {"partition.assignment.strategy": "cooperative-sticky"},
}
PARTITIONS = 4


def create(bootstrap, partitions=1, **settings):
    name = topic("transactional")
    config = {key.replace("_", "."): value for key, value in settings.items()}
    client = AdminClient({"bootstrap.servers": bootstrap})
    for future in client.create_topics([NewTopic(name, partitions, 1, config=config)]).values():
        future.result(PATIENCE)
    return name


def unready(bootstrap, name=None, **settings):
    config = {"bootstrap.servers": bootstrap, "transactional.id": name or topic("id"), "linger.ms": 0}
    return ck.Producer(config | {key.replace("_", "."): value for key, value in settings.items()})


def producer(bootstrap, name=None, **settings):
    """A producer that has its id, fenced off from others before it."""
    made = unready(bootstrap, name, **settings)
    made.init_transactions(PATIENCE)
    return made


def send(client, name, values):
    """Sends all and waits until the broker has them."""
    for value in values:
        client.produce(name, str(value).encode(), partition=0)
    equal(client.flush(PATIENCE), 0, "left to send")


def whole(client, name, *values):
    client.begin_transaction()
    send(client, name, values)
    client.commit_transaction(PATIENCE)


def read(bootstrap, name, isolation="read_committed"):
    """All values that a consumer of this isolation sees, up to the end that it has."""
    reader = ck.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": topic("unused"),
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    partitions = reader.list_topics(name, PATIENCE).topics[name].partitions
    reader.assign([ck.TopicPartition(name, partition, 0) for partition in partitions])
    values, ends, deadline = [], set(), time.monotonic() + PATIENCE
    while len(ends) < len(partitions):
        message = reader.poll(0.2)
        if message is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"no end after {len(values)} records")
        elif message.error() is None:
            values.append(message.value().decode())
        elif message.error().code() == ck.KafkaError._PARTITION_EOF:
            ends.add(message.partition())
        else:
            raise ck.KafkaException(message.error())
    reader.close()
    return values


def eventually(check):
    """Asks again until it passes: the end of a transaction is answered before its markers are everywhere."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def await_committed(bootstrap, name, *values):
    eventually(lambda: equal(read(bootstrap, name), [str(value) for value in values], "committed"))


def refused(what, call, *codes, kind=None):
    """The call must raise an error with one of these codes, and of this kind: fatal, or one that asks for an abort."""
    try:
        call()
    except ck.KafkaException as problem:
        error = problem.args[0]
        if codes and error.code() not in codes:
            raise AssertionError(f"{what}: {error!r}") from problem
        if kind == "fatal" and not error.fatal() or kind == "abort" and not error.txn_requires_abort():
            raise AssertionError(f"{what}: not {kind}: {error!r}") from problem
    else:
        raise AssertionError(f"{what} was taken")


FENCED = [ck.KafkaError._FENCED, ck.KafkaError.PRODUCER_FENCED, ck.KafkaError.INVALID_PRODUCER_EPOCH]


@for_each(CODECS)
def commit_and_abort(bootstrap, codec):
    name = create(bootstrap)
    client = producer(bootstrap, compression_codec=codec, linger_ms=10)
    whole(client, name, *range(300))
    client.begin_transaction()
    send(client, name, ["lost"] * 300)
    client.abort_transaction(PATIENCE)
    whole(client, name, *range(300, 600))
    await_committed(bootstrap, name, *range(600))
    equal(len(read(bootstrap, name, "read_uncommitted")), 900, "all")


@case
def nothing_is_seen_before_its_end(bootstrap):
    name = create(bootstrap)
    client, plain = producer(bootstrap), ck.Producer({"bootstrap.servers": bootstrap})
    whole(client, name, "a")
    client.begin_transaction()
    send(client, name, ["b"])
    send(plain, name, ["c"])
    await_committed(bootstrap, name, "a")
    equal(read(bootstrap, name, "read_uncommitted"), ["a", "b", "c"], "all")
    client.commit_transaction(PATIENCE)
    await_committed(bootstrap, name, "a", "b", "c")


@case
def empty_transactions(bootstrap):
    name = create(bootstrap)
    client = producer(bootstrap)
    for _ in range(3):
        client.begin_transaction()
        client.commit_transaction(PATIENCE)
        client.begin_transaction()
        client.abort_transaction(PATIENCE)
    whole(client, name, "one")
    await_committed(bootstrap, name, "one")


@case
def many_partitions(bootstrap):
    name = create(bootstrap, 60)
    client = producer(bootstrap)
    for fate in ["kept", "lost", "kept"]:
        client.begin_transaction()
        for number in range(600):
            client.produce(name, fate.encode(), partition=number % 60)
        equal(client.flush(PATIENCE), 0, "left to send")
        if fate == "kept":
            client.commit_transaction(PATIENCE)
        else:
            client.abort_transaction(PATIENCE)
    eventually(lambda: equal(sorted(read(bootstrap, name)), ["kept"] * 1200, "committed"))


@case
def fenced_by_a_second_of_its_id(bootstrap):
    name, id_of_both = create(bootstrap), topic("id")
    zombie = producer(bootstrap, id_of_both)
    zombie.begin_transaction()
    send(zombie, name, ["zombie"])
    heir = producer(bootstrap, id_of_both)
    refused("the zombie's commit", lambda: zombie.commit_transaction(PATIENCE), *FENCED, kind="fatal")
    whole(heir, name, "heir")
    refused("the zombie's next", zombie.begin_transaction, kind="fatal")
    await_committed(bootstrap, name, "heir")


@case
def fenced_while_it_sends(bootstrap):
    name, id_of_both = create(bootstrap), topic("id")
    zombie = producer(bootstrap, id_of_both)
    zombie.begin_transaction()
    send(zombie, name, ["zombie"])
    heir = producer(bootstrap, id_of_both)
    zombie.produce(name, b"late", partition=0)
    refused("the zombie's commit", lambda: zombie.commit_transaction(PATIENCE), *FENCED, kind="fatal")
    whole(heir, name, "heir")
    await_committed(bootstrap, name, "heir")


@case
def a_timeout_that_is_too_long(bootstrap):
    client = unready(bootstrap, transaction_timeout_ms=900_001)
    too_long = ck.KafkaError.INVALID_TRANSACTION_TIMEOUT
    refused("the timeout", lambda: client.init_transactions(PATIENCE), too_long, kind="fatal")


@case
def timed_out(bootstrap):
    name, own_id = create(bootstrap), topic("id")
    client = producer(bootstrap, own_id, transaction_timeout_ms=1000)
    client.begin_transaction()
    send(client, name, ["lost"])
    plain = ck.Producer({"bootstrap.servers": bootstrap})
    send(plain, name, ["plain"])
    await_committed(bootstrap, name, "plain")
    refused("a commit too late", lambda: client.commit_transaction(PATIENCE))
    again = producer(bootstrap, own_id)
    whole(again, name, "kept")
    await_committed(bootstrap, name, "plain", "kept")


@case
def abortable_error(bootstrap):
    name = create(bootstrap, max_message_bytes="2000")
    client = producer(bootstrap)
    client.begin_transaction()
    send(client, name, ["spoiled"])
    client.produce(name, b"x" * 10_000, partition=0)
    client.flush(PATIENCE)
    refused("a commit after an error", lambda: client.commit_transaction(PATIENCE), kind="abort")
    client.abort_transaction(PATIENCE)
    try:
        whole(client, name, "sound")
    except ck.KafkaException as problem:
        # This client counts the refused record among those that have a sequence; the next abort sets that right.
        equal(problem.args[0].code(), ck.KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, str(problem))
        client.abort_transaction(PATIENCE)
        whole(client, name, "sound")
    await_committed(bootstrap, name, "sound")


def member(bootstrap, group, name, kind, **watch):
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "heartbeat.interval.ms": 200,
        "session.timeout.ms": 10_000,
        "topic.metadata.refresh.interval.ms": 500,
    }
    made = ck.Consumer(config | KINDS[kind])
    made.subscribe([name], **watch)
    return made


def offset(bootstrap, group, place):
    reader = ck.Consumer({"bootstrap.servers": bootstrap, "group.id": group, "isolation.level": "read_committed"})
    found = reader.committed([place], PATIENCE)[0].offset
    reader.close()
    return found


@case
def offsets_share_the_fate_of_their_transaction(bootstrap):
    name, group = create(bootstrap), topic("group")
    reader = member(bootstrap, group, name, "eager")
    while not reader.assignment():
        reader.poll(0.1)
    client, place = producer(bootstrap), ck.TopicPartition(name, 0)
    for where, commits, expected in [(5, True, 5), (9, False, 5), (7, True, 7)]:
        client.begin_transaction()
        there = [ck.TopicPartition(name, 0, where)]
        client.send_offsets_to_transaction(there, reader.consumer_group_metadata(), PATIENCE)
        if commits:
            client.commit_transaction(PATIENCE)
        else:
            client.abort_transaction(PATIENCE)
        equal(offset(bootstrap, group, place), expected, f"offset after {where}")
    reader.close()


@for_each(KINDS)
def stale_metadata_is_refused(bootstrap, kind):
    name, group = create(bootstrap, PARTITIONS), topic("group")
    first = member(bootstrap, group, name, kind)
    deadline = time.monotonic() + PATIENCE
    while len(first.assignment()) < PARTITIONS and time.monotonic() < deadline:
        first.poll(0.05)
    old = first.consumer_group_metadata()
    second = member(bootstrap, group, name, kind)
    while not (len(second.assignment()) == len(first.assignment()) == 2) and time.monotonic() < deadline:
        first.poll(0.05)
        second.poll(0.05)
    equal(len(second.assignment()), 2, "partitions of the second")
    client, there = producer(bootstrap), [ck.TopicPartition(name, 0, 7)]
    client.begin_transaction()
    stale = lambda: client.send_offsets_to_transaction(there, old, PATIENCE)  # noqa: E731
    refused("offsets of an old generation", stale, ck.KafkaError.ILLEGAL_GENERATION, kind="abort")
    client.abort_transaction(PATIENCE)
    client.begin_transaction()
    client.send_offsets_to_transaction(there, first.consumer_group_metadata(), PATIENCE)
    client.commit_transaction(PATIENCE)
    first.close()
    second.close()
    equal(offset(bootstrap, group, there[0]), 7, "offset")


class Processor:
    """Reads, and writes what it read with the offsets of it in one transaction, in a thread of its own."""

    def __init__(self, bootstrap, group, source, sink, kind):
        self._producer = producer(bootstrap, transaction_timeout_ms=60_000)
        self._consumer = member(bootstrap, group, source, kind)
        self._sink, self._over, self.problem, self.owned = sink, threading.Event(), None, 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            while not self._over.is_set():
                messages = self._consumer.consume(20, 0.05)
                self.owned = len(self._consumer.assignment())
                if messages:
                    self._process(messages)
        except Exception as problem:
            self.problem = problem
        finally:
            self._consumer.close()

    def _process(self, messages):
        self._producer.begin_transaction()
        try:
            for message in messages:
                if message.error():
                    raise ck.KafkaException(message.error())
                self._producer.produce(self._sink, message.value())
            positions = self._consumer.position(self._consumer.assignment())
            known = [place for place in positions if place.offset >= 0]
            self._producer.send_offsets_to_transaction(known, self._consumer.consumer_group_metadata(), PATIENCE)
            self._producer.commit_transaction(PATIENCE)
        except ck.KafkaException as problem:
            if not problem.args[0].txn_requires_abort():
                raise
            self._producer.abort_transaction(PATIENCE)
            self._rewind()

    def _rewind(self):
        """What was read is somebody else's now, or is read again."""
        for place in self._consumer.committed(self._consumer.assignment(), PATIENCE):
            if place.offset < 0:
                place.offset = ck.OFFSET_BEGINNING
            self._consumer.seek(place)

    def close(self):
        self._over.set()
        self._thread.join(PATIENCE)
        equal(self._thread.is_alive(), False, "alive after closing")


@for_each(KINDS)
def each_record_once(bootstrap, kind):
    source, sink, group = create(bootstrap, PARTITIONS), create(bootstrap, 3), topic("group")
    feeder, sent = producer(bootstrap), []

    def feed(count):
        for keep in [False, True]:
            feeder.begin_transaction()
            for number in range(len(sent), len(sent) + count):
                value = str(number) if keep else "lost"
                feeder.produce(source, value.encode(), partition=number % PARTITIONS)
            # What is not there yet would not be sent at all by an abort.
            equal(feeder.flush(PATIENCE), 0, "left to send")
            if keep:
                feeder.commit_transaction(PATIENCE)
            else:
                feeder.abort_transaction(PATIENCE)
        sent.extend(str(number) for number in range(len(sent), len(sent) + count))

    def healthy():
        for one in processors:
            if one.problem is not None:
                raise one.problem

    def await_passed(count):
        def check():
            healthy()
            found = read(bootstrap, sink)
            equal(len(found) >= count, True, f"{len(found)} of {count} records")

        eventually(check)

    # One that is closed in the midst of joining does not say so, and its group waits until its session is over.
    def await_owned(*owners):
        def check():
            healthy()
            owned = [one.owned for one in owners]
            equal(sum(owned) == PARTITIONS and 0 not in owned, True, f"owned: {owned}")

        eventually(check)

    processors = []
    join = lambda: processors.append(Processor(bootstrap, group, source, sink, kind))  # noqa: E731
    try:
        join()
        feed(300)
        join()
        join()
        feed(300)
        await_owned(*processors)
        feed(300)
        processors[1].close()
        join()
        await_owned(processors[0], *processors[2:])
        feed(300)
        await_passed(len(sent))
    finally:
        for one in processors:
            one.close()
    equal(sorted(read(bootstrap, sink), key=int), sent, "each record once")


if __name__ == "__main__":
    main()
