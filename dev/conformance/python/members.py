"""Members of groups, each a consumer with a thread of its own, and a journal of what they read."""

import threading
import time

import confluent_kafka as ck

from cases import PATIENCE

POLL = 0.05
BATCH = 50


class Journal:
    """What was sent to a group and what its members made of it. A value that was committed must not come again."""

    def __init__(self):
        self._lock = threading.Lock()
        self._sent, self._read, self._committed, self._faults = set(), set(), set(), []

    def sent(self, value):
        with self._lock:
            self._sent.add(value)

    def read(self, value):
        with self._lock:
            if value in self._committed:
                self._faults.append(f"{value} came again though it was committed")
            self._read.add(value)

    def committed(self, values):
        with self._lock:
            self._committed.update(values)

    def is_done(self):
        with self._lock:
            if self._faults:
                raise AssertionError(self._faults[0])
            return self._sent <= self._read and self._sent <= self._committed

    def __str__(self):
        return f"{len(self._sent)} sent, {len(self._read)} read, {len(self._committed)} committed"


class Member:
    """Polls all the time, commits behind itself and before it gives partitions up."""

    def __init__(self, config, topics, journal):
        self._journal = journal
        self._jobs, self._uncommitted = [], {}
        self._over = threading.Event()
        self.owned, self.changes, self.problem = frozenset(), 0, None
        self.consumer = ck.Consumer(config)
        self.consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def call(self, job):
        """Does something with the consumer between two polls."""
        done, result = threading.Event(), []

        def run():
            try:
                result.append(job(self.consumer))
            finally:
                done.set()

        self._jobs.append(run)
        if not done.wait(PATIENCE) or not result:
            raise AssertionError(f"not done: {self}")
        return result[0]

    def close(self):
        self._over.set()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise AssertionError("a member does not end")

    def _run(self):
        try:
            while not self._over.is_set():
                while self._jobs:
                    self._jobs.pop(0)()
                for record in self.consumer.consume(BATCH, POLL):
                    if record.error():
                        if record.error().code() == ck.KafkaError._FATAL:
                            raise ck.KafkaException(record.error())
                        continue
                    place = (record.topic(), record.partition())
                    self._uncommitted.setdefault(place, []).append((record.offset(), record.value()))
                    self._journal.read(record.value())
                self._commit()
        except Exception as problem:
            self.problem = problem
        finally:
            self.consumer.close()
            self.owned = frozenset()

    def _commit(self):
        if not self._uncommitted:
            return
        offsets = [ck.TopicPartition(*place, read[-1][0] + 1) for place, read in self._uncommitted.items()]
        try:
            for answer in self.consumer.commit(offsets=offsets, asynchronous=False):
                if answer.error:
                    return
        except ck.KafkaException:
            return
        for read in self._uncommitted.values():
            self._journal.committed({value for _, value in read})
        self._uncommitted.clear()

    def _assigned(self, _, partitions):
        self.owned = self.owned | {(place.topic, place.partition) for place in partitions}
        self.changes += 1

    def _revoked(self, consumer, partitions):
        self._commit()
        self._lost(consumer, partitions)

    def _lost(self, _, partitions):
        gone = {(place.topic, place.partition) for place in partitions}
        for place in gone:
            self._uncommitted.pop(place, None)
        self.owned = self.owned - gone
        self.changes += 1

    def __str__(self):
        return f"{sorted(self.owned)} {self.problem or ''}"


class Group:
    """A group with its topics and its members; all of it ends with the case."""

    def __init__(self, bootstrap, name, settings):
        self.bootstrap, self.id, self.topics = bootstrap, name, {}
        self._settings, self._journal, self._members, self._values = settings, Journal(), [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self._members:
            member.close()

    def config(self, **settings):
        own = {
            "bootstrap.servers": self.bootstrap,
            "group.id": self.id,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 500,
        }
        return own | self._settings | {name.replace("_", "."): value for name, value in settings.items()}

    def join(self, *topics, **settings):
        member = Member(self.config(**settings), list(topics), self._journal)
        self._members.append(member)
        return member

    def send(self, count):
        """Sends numbers that no other record has, spread over all partitions of all topics."""
        places = sorted(self.partitions())
        failures = []
        producer = ck.Producer({"bootstrap.servers": self.bootstrap, "message.timeout.ms": 60000})
        for number in range(count):
            name, partition = places[number % len(places)]
            value = str(self._values).encode()
            self._values += 1
            self._journal.sent(value)
            producer.produce(name, value, partition=partition, on_delivery=lambda error, _: error and failures.append(error))
        if producer.flush(PATIENCE) or failures:
            raise AssertionError(f"not everything was sent: {failures[:3]}")

    def partitions(self):
        return {(name, partition) for name, count in self.topics.items() for partition in range(count)}

    def await_owned(self, each, *members):
        """Waits until these own all partitions, each one once, and each member so many; None: and nobody has none."""

        def shared():
            owned = [member.owned for member in members]
            counts = {len(some) for some in owned}
            fair = 0 not in counts if each is None else counts == {each}
            return fair and sum(map(len, owned)) == len(self.partitions()) and set().union(*owned) == self.partitions()

        self.wait("all partitions to be owned", shared)

    def await_read(self):
        self.wait("everything to be read and committed", self._journal.is_done)

    def await_problem(self, member):
        """Waits until the member ended by itself, and gives the reason."""
        wait("the end of a member", lambda: member.problem is not None, lambda: str(member))
        self._members.remove(member)
        return member.problem

    def wait(self, what, holds):
        def unless_ended():
            for member in self._members:
                if member.problem is not None:
                    raise AssertionError(f"{what}: a member ended: {member.problem}")
            return holds()

        wait(what, unless_ended, lambda: f"{self._journal}; {[str(member) for member in self._members]}")


def wait(what, holds, state=lambda: ""):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}: {state()}")
        time.sleep(0.01)
