"""kafka-python: groups of its consumers, which know the classic protocol."""

import threading
import time

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.structs import OffsetAndMetadata

from cases import PATIENCE, case, equal, for_each, topic

ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "cooperative": CooperativeStickyAssignor,
}


class Watch(ConsumerRebalanceListener):
    """What a consumer is given and what is taken from it."""

    def __init__(self, before_revoked):
        self.owned, self.changes, self._before_revoked = frozenset(), 0, before_revoked

    def on_partitions_assigned(self, assigned):
        self.owned = self.owned | set(assigned)
        self.changes += 1

    def on_partitions_revoked(self, revoked):
        if revoked:
            self._before_revoked()
        self.owned = self.owned - set(revoked)
        self.changes += 1


class Member:
    """A consumer with a thread of its own: it polls all the time and commits behind itself."""

    def __init__(self, bootstrap, group, name, values, **settings):
        settings = {"session_timeout_ms": 30000, "heartbeat_interval_ms": 200} | settings
        self.consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            **settings,
        )
        self.watch, self._values, self._over, self.problem = Watch(self._commit), values, threading.Event(), None
        self._uncommitted = False
        # Known before: this client loses its way when it learns of a topic in the midst of joining.
        self.consumer.partitions_for_topic(name)
        self.consumer.subscribe([name], listener=self.watch)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            while not self._over.is_set():
                # Longer than a rebalance takes: this client forgets a join that is not done when polling ends.
                for records in self.consumer.poll(timeout_ms=1000).values():
                    self._values.extend(record.value for record in records)
                    self._uncommitted = True
                self._commit()
        except Exception as problem:
            self.problem = problem
        finally:
            self.consumer.close(autocommit=False)
            self.watch.owned = frozenset()

    def _commit(self):
        if self._uncommitted:
            self.consumer.commit()
            self._uncommitted = False

    def close(self):
        self._over.set()
        self._thread.join(PATIENCE)
        equal(self._thread.is_alive(), False, "alive after closing")


def wait(what, holds, *members):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        for member in members:
            if member.problem is not None:
                raise AssertionError(f"{what}: {member.problem!r}")
        if time.monotonic() > deadline:
            owned = [sorted(member.watch.owned) for member in members]
            raise AssertionError(f"waited in vain for {what}; owned {owned}")
        time.sleep(0.01)


def await_owned(each, *members):
    def shared():
        owned = [member.watch.owned for member in members]
        return all(len(some) == each for some in owned) and len(set().union(*owned)) == each * len(owned)

    wait(f"{each} partitions each", shared, *members)


def create(bootstrap, partitions):
    name = topic("grouped")
    client = KafkaAdminClient(bootstrap_servers=bootstrap)
    client.create_topics([NewTopic(name, partitions, 1)])
    client.close()
    return name


def send(bootstrap, name, partitions, numbers):
    # A topic is listed before it takes records: one batch at a time keeps their order then.
    client = KafkaProducer(bootstrap_servers=bootstrap, max_in_flight_requests_per_connection=1)
    for number in numbers:
        client.send(name, str(number).encode(), partition=number % partitions)
    client.flush(PATIENCE)
    client.close()


def numbers(values):
    return sorted(int(value) for value in values)


@for_each(ASSIGNORS)
def group_members_come_and_go(bootstrap, assignor):
    name, group, values = create(bootstrap, 4), topic("group"), []
    settings = {"partition_assignment_strategy": (ASSIGNORS[assignor],)}
    send(bootstrap, name, 4, range(200))
    first = Member(bootstrap, group, name, values, **settings)
    second = None
    try:
        await_owned(4, first)
        second = Member(bootstrap, group, name, values, **settings)
        await_owned(2, first, second)
        send(bootstrap, name, 4, range(200, 400))
        wait("all records", lambda: len(values) >= 400, first, second)
        second.close()
        await_owned(4, first)
        send(bootstrap, name, 4, range(400, 600))
        wait("all records", lambda: len(values) >= 600, first)
    finally:
        for member in filter(None, [second, first]):
            member.close()
    equal(numbers(values), list(range(600)), "each value once")


@case
def group_static_member_restarts(bootstrap):
    name, group, values = create(bootstrap, 4), topic("group"), []
    first = Member(bootstrap, group, name, values, group_instance_id="a")
    second = again = None
    try:
        await_owned(4, first)
        second = Member(bootstrap, group, name, values, group_instance_id="b")
        await_owned(2, first, second)
        owned = second.watch.owned
        second.close()
        again = Member(bootstrap, group, name, values, group_instance_id="b")
        await_owned(2, first, again)
        # No word of rebalances: this client's leader joins again by itself when it looks at its topics at a bad moment.
        equal(again.watch.owned, owned, "partitions")
    finally:
        for member in filter(None, [first, second, again]):
            member.close()


@case
def group_offsets(bootstrap):
    name, group = create(bootstrap, 1), topic("group")
    send(bootstrap, name, 1, range(100))
    place = TopicPartition(name, 0)
    for start in [0, 40]:
        reader = KafkaConsumer(
            name,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            consumer_timeout_ms=PATIENCE * 1000,
        )
        for offset in range(start, start + 40):
            equal(next(reader).offset, offset, "offset")
        reader.commit({place: OffsetAndMetadata(start + 40, "a note", -1)})
        found = reader.committed(place, metadata=True)
        equal((found.offset, found.metadata), (start + 40, "a note"), "committed")
        equal(reader.group_metadata().group_id, group, "group of the metadata")
        reader.close()


@case
def group_administration(bootstrap):
    name, group = create(bootstrap, 2), topic("group")
    send(bootstrap, name, 2, range(20))
    values = []
    member = Member(bootstrap, group, name, values)
    client = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        wait("all records", lambda: len(values) == 20, member)
        wait("stable", lambda: client.describe_groups([group])[group]["group_state"] == "Stable", member)
        found = client.describe_groups([group])[group]
        equal((found["protocol_data"], len(found["members"])), ("range", 1), "described")
        equal(group in [one["group_id"] for one in client.list_groups(states_filter=["Stable"])], True, "listed")
        equal(client.delete_groups([group]), {group: "NonEmptyGroupError"}, "deleted while active")
    finally:
        member.close()
    places = [TopicPartition(name, partition) for partition in range(2)]
    offsets = client.list_group_offsets(group)[group]
    equal([offsets[place].offset for place in places], [10, 10], "offsets")
    client.alter_group_offsets(group, {places[0]: OffsetAndMetadata(3, "", -1)})
    equal(client.list_group_offsets(group)[group][places[0]].offset, 3, "altered")
    client.delete_group_offsets(group, [places[0]])
    equal(places[0] in client.list_group_offsets(group)[group], False, "offset deleted")
    equal(client.delete_groups([group]), {group: "OK"}, "deleted")
    equal(group in [one["group_id"] for one in client.list_groups()], False, "listed after all")
    client.close()
