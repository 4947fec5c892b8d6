"""confluent-kafka: groups of librdkafka's consumers, in every way that they can belong to one."""

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from cases import PATIENCE, case, equal, for_each, main, topic
from members import Group, wait

PROTOCOLS = {
    "range": {"partition.assignment.strategy": "range"},
    "roundrobin": {"partition.assignment.strategy": "roundrobin"},
    "cooperative": {"partition.assignment.strategy": "cooperative-sticky"},
    "uniform": {"group.protocol": "consumer", "group.remote.assignor": "uniform"},
    "consumer_range": {"group.protocol": "consumer", "group.remote.assignor": "range"},
}
# One that gives everything up in a rebalance, one that keeps what stays, one whose broker assigns.
KINDS = ["range", "cooperative", "uniform"]


def group(bootstrap, protocol):
    settings = dict(PROTOCOLS[protocol])
    if "group.protocol" not in settings:
        settings |= {"session.timeout.ms": 45000, "heartbeat.interval.ms": 200}
    return Group(bootstrap, topic("group"), settings)


def admin(bootstrap):
    return AdminClient({"bootstrap.servers": bootstrap})


def done(futures):
    return {name: future.result(PATIENCE) for name, future in futures.items()}


def create(some, partitions, name=None):
    """A new topic of a group."""
    name = name or topic("grouped")
    # The client is named: what it still does ends with it.
    client = admin(some.bootstrap)
    done(client.create_topics([NewTopic(name, partitions, 1)]))
    some.topics[name] = partitions
    return name


def expect_error(code, future):
    try:
        future.result(PATIENCE)
    except ck.KafkaException as error:
        equal(error.args[0].code(), code, str(error))
    else:
        raise AssertionError(f"no error {code}")


@for_each(PROTOCOLS)
def members_come_and_go(bootstrap, protocol):
    with group(bootstrap, protocol) as some:
        name = create(some, 6)
        some.send(300)
        first = some.join(name)
        some.await_owned(6, first)
        some.await_read()
        second, third = some.join(name), some.join(name)
        some.await_owned(2, first, second, third)
        some.send(300)
        second.close()
        some.await_owned(3, first, third)
        third.close()
        some.send(300)
        some.await_owned(6, first)
        some.await_read()


@for_each(KINDS)
def nothing_happens_to_a_quiet_group(bootstrap, protocol):
    with group(bootstrap, protocol) as some:
        name = create(some, 4)
        first, second = some.join(name), some.join(name)
        some.await_owned(2, first, second)
        before = (first.changes, second.changes, first.owned)
        for _ in range(3):
            some.send(200)
            some.await_read()
        equal((first.changes, second.changes, first.owned), before, "changes and partitions")


@for_each(KINDS)
def partitions_and_topics_are_added(bootstrap, protocol):
    with group(bootstrap, protocol) as some:
        prefix = topic("pattern")
        name = create(some, 2, f"{prefix}.one")
        first, second = some.join(f"^{prefix}.*"), some.join(f"^{prefix}.*")
        some.await_owned(1, first, second)
        client = admin(bootstrap)
        done(client.create_partitions([NewPartitions(name, 4)]))
        some.topics[name] = 4
        some.await_owned(2, first, second)
        create(some, 2, f"{prefix}.two")
        some.await_owned(3, first, second)
        some.send(300)
        some.await_read()


@for_each(KINDS)
def static_member_restarts(bootstrap, protocol):
    with group(bootstrap, protocol) as some:
        name = create(some, 4)
        first, second = some.join(name, group_instance_id="a"), some.join(name, group_instance_id="b")
        some.await_owned(2, first, second)
        owned, changes = first.owned, second.changes
        first.close()
        some.send(100)
        again = some.join(name, group_instance_id="a")
        some.await_owned(2, again, second)
        some.await_read()
        equal((again.owned, second.changes), (owned, changes), "partitions, and what the other noticed")


@for_each(["range", "cooperative"])
def older_of_two_is_fenced(bootstrap, protocol):
    with group(bootstrap, protocol) as some:
        name = create(some, 4)
        first, second = some.join(name, group_instance_id="a"), some.join(name, group_instance_id="b")
        some.await_owned(2, first, second)
        newer = some.join(name, group_instance_id="a")
        problem = str(some.await_problem(first))
        equal("fenced" in problem, True, problem)
        some.await_owned(2, newer, second)
        some.send(100)
        some.await_read()


def consumer(some, name):
    """A consumer without a thread that has its partitions."""
    client = ck.Consumer(some.config())
    client.subscribe([name])

    def assigned():
        client.poll(0.05)
        return len(client.assignment()) == some.topics[name]

    wait("the assignment", assigned)
    return client


@for_each(KINDS)
def commits(bootstrap, protocol):
    with group(bootstrap, protocol) as some:
        name = create(some, 2)
        place = ck.TopicPartition(name, 0)
        client = consumer(some, name)
        equal(client.committed([place], PATIENCE)[0].offset, ck.OFFSET_INVALID, "before the first commit")
        client.commit(offsets=[ck.TopicPartition(name, 0, 7, metadata="a note")], asynchronous=False)
        found = client.committed([place], PATIENCE)[0]
        equal((found.offset, found.metadata), (7, "a note"), "committed")
        for offset in range(10, 20):
            client.commit(offsets=[ck.TopicPartition(name, 0, offset)], asynchronous=True)

        def last_is_there():
            client.poll(0.05)
            return client.committed([place], PATIENCE)[0].offset == 19

        wait("the last of many commits", last_is_there)
        equal(client.consumer_group_metadata() is not None, True, "metadata")
        client.close()


@for_each(KINDS)
def stored_offsets_are_committed(bootstrap, protocol):
    with group(bootstrap, protocol) as some:
        name = create(some, 1)
        some.send(100)
        settings = {"enable_auto_commit": True, "enable_auto_offset_store": False, "auto_commit_interval_ms": 100}
        for start in [0, 40]:
            client = ck.Consumer(some.config(**settings))
            client.subscribe([name])
            for offset in range(start, start + 40):
                record = client.poll(PATIENCE)
                equal((record.error(), record.offset()), (None, offset), "record")
                client.store_offsets(message=record)
            client.close()
        reader = admin(bootstrap)
        found = done(reader.list_consumer_group_offsets([ck.ConsumerGroupTopicPartitions(some.id)]))
        equal([place.offset for place in found[some.id].topic_partitions], [80], "committed")


@for_each(KINDS)
def seek_pause_and_resume_in_a_group(bootstrap, protocol):
    with group(bootstrap, protocol) as some:
        name = create(some, 1)
        some.send(100)
        client = ck.Consumer(some.config())
        client.subscribe([name])
        equal(client.poll(PATIENCE).offset(), 0, "first")
        client.seek(ck.TopicPartition(name, 0, 70))
        equal(client.poll(PATIENCE).offset(), 70, "after seeking")
        client.pause([ck.TopicPartition(name, 0)])
        equal(client.poll(0.2), None, "while paused")
        client.resume([ck.TopicPartition(name, 0)])
        equal(client.poll(PATIENCE).offset(), 71, "after resuming")
        client.close()


@for_each(["range", "uniform"])
def groups_are_administered(bootstrap, protocol):
    newer = protocol == "uniform"
    client = admin(bootstrap)
    with group(bootstrap, protocol) as some:
        name = create(some, 4)
        first, second = some.join(name, client_id="looked-at"), some.join(name, client_id="looked-at")
        some.await_owned(2, first, second)
        some.send(40)
        some.await_read()

        def described():
            return done(client.describe_consumer_groups([some.id]))[some.id]

        some.wait("a stable group", lambda: described().state == ck.ConsumerGroupState.STABLE)
        found = described()
        equal(found.type, ck.ConsumerGroupType.CONSUMER if newer else ck.ConsumerGroupType.CLASSIC, "type")
        equal(found.partition_assignor, "uniform" if newer else "range", "assignor")
        equal([(one.client_id, one.host) for one in found.members], [("looked-at", "/127.0.0.1")] * 2, "members")
        assigned = [(place.topic, place.partition) for one in found.members for place in one.assignment.topic_partitions]
        equal(sorted(assigned), sorted(some.partitions()), "assigned")
        types = {ck.ConsumerGroupType.CONSUMER if newer else ck.ConsumerGroupType.CLASSIC}
        listed = client.list_consumer_groups(types=types, states={ck.ConsumerGroupState.STABLE}).result(PATIENCE)
        equal(some.id in [one.group_id for one in listed.valid], True, "listed")
        expect_error(ck.KafkaError.NON_EMPTY_GROUP, client.delete_consumer_groups([some.id])[some.id])
        change = ck.ConsumerGroupTopicPartitions(some.id, [ck.TopicPartition(name, 0, 3)])
        refused = done(client.alter_consumer_group_offsets([change]))[some.id].topic_partitions
        equal([place.error.code() for place in refused], [ck.KafkaError.UNKNOWN_MEMBER_ID], "altered while active")
    some.wait("an empty group", lambda: described().state == ck.ConsumerGroupState.EMPTY)
    done(client.alter_consumer_group_offsets([change]))
    asked = ck.ConsumerGroupTopicPartitions(some.id, [ck.TopicPartition(name, 0), ck.TopicPartition(name, 1)])
    offsets = done(client.list_consumer_group_offsets([asked]))[some.id].topic_partitions
    equal([place.offset for place in offsets], [3, 10], "offsets")
    done(client.delete_consumer_groups([some.id]))
    expect_error(ck.KafkaError.GROUP_ID_NOT_FOUND, client.delete_consumer_groups([some.id])[some.id])


@case
def list_groups_of_old(bootstrap):
    with group(bootstrap, "range") as some:
        name = create(some, 1)
        some.await_owned(1, some.join(name))
        found = admin(bootstrap).list_groups(some.id, PATIENCE)
        rows = [(one.id, one.state, one.protocol_type, len(one.members)) for one in found]
        equal(rows, [(some.id, "Stable", "consumer", 1)], "groups")


if __name__ == "__main__":
    main()
