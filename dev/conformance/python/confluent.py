"""confluent-kafka: librdkafka from Python. Consumers are assigned their partitions."""

import confluent_kafka as ck
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from cases import CODECS, PATIENCE, case, equal, for_each, main, topic


def producer(bootstrap, **settings):
    config = {"bootstrap.servers": bootstrap, "message.timeout.ms": 60000}
    return ck.Producer(config | {name.replace("_", "."): value for name, value in settings.items()})


def send(client, name, values, partition=0, **more):
    failures = []

    def delivered(error, _):
        if error is not None:
            failures.append(error)

    for value in values:
        while True:
            try:
                client.produce(name, value, partition=partition, on_delivery=delivered, **more)
                break
            except BufferError:
                client.poll(0.1)
    left = client.flush(PATIENCE)
    if left or failures:
        raise AssertionError(f"{left} records not sent, refused: {failures[:3]}")


def consumer(bootstrap, **settings):
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": "assigned-only",
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "check.crcs": True,
    }
    return ck.Consumer(config | {name.replace("_", "."): value for name, value in settings.items()})


def consume(bootstrap, name, count, partition=0, offset=ck.OFFSET_BEGINNING, **settings):
    client = consumer(bootstrap, **settings)
    client.assign([ck.TopicPartition(name, partition, offset)])
    records = []
    while len(records) < count:
        batch = client.consume(count - len(records), PATIENCE)
        if not batch:
            raise AssertionError(f"only {len(records)} of {count} records came")
        for record in batch:
            if record.error():
                raise AssertionError(str(record.error()))
            records.append(record)
    client.close()
    return records


def done(futures):
    return {name: future.result(PATIENCE) for name, future in futures.items()}


def create(bootstrap, name, partitions=1, **config):
    config = {key.replace("_", "."): str(value) for key, value in config.items()}
    # The client is named: what it still does ends with it.
    admin = AdminClient({"bootstrap.servers": bootstrap})
    done(admin.create_topics([NewTopic(name, partitions, 1, config=config)]))


@for_each(CODECS)
def every_shape(bootstrap, codec):
    name = topic(codec)
    client = producer(bootstrap, compression_type=codec, message_max_bytes=1048588, linger_ms=20)
    shapes = [
        (b"key", b"value", None),
        (None, b"no key", None),
        (b"tombstone", None, None),
        (b"", b"", None),
        (b"k", b"h", [("one", b"1")]),
        (b"k", b"h", [("same", b"1"), ("same", b"2"), ("same", b"1")]),
        (b"k", b"h", [("empty", b""), ("null", None), ("", b"no name")]),
        (b"large", bytes(n * 7 // 3 % 256 for n in range(1_000_000)), None),
    ]
    for number, (key, value, headers) in enumerate(shapes):
        client.produce(name, value, key, 0, timestamp=1_600_000_000_000 + number, headers=headers)
    equal(client.flush(PATIENCE), 0, "records not sent")
    found = consume(bootstrap, name, len(shapes))
    for number, (record, shape) in enumerate(zip(found, shapes)):
        equal((record.key(), record.value(), record.headers()), shape, f"record {number}")
        equal(record.offset(), number, "offset")
        equal(record.timestamp(), (ck.TIMESTAMP_CREATE_TIME, 1_600_000_000_000 + number), "time")


@for_each(["0", "1", "all"])
def acks(bootstrap, acks):
    name = topic("acks")
    create(bootstrap, name)
    values = [f"value {number}".encode() for number in range(1000)]
    send(producer(bootstrap, acks=acks), name, values)
    equal([record.value() for record in consume(bootstrap, name, 1000)], values, "values")


@for_each(CODECS)
def idempotent(bootstrap, codec):
    name = topic("idempotent")
    values = [f"value {number}".encode() for number in range(20000)]
    settings = {"enable.idempotence": True, "compression.type": codec, "batch.num.messages": 100}
    send(ck.Producer({"bootstrap.servers": bootstrap} | settings), name, values)
    equal([record.value() for record in consume(bootstrap, name, 20000)], values, "values")


@case
def partitioned_by_key(bootstrap):
    name = topic("keys")
    create(bootstrap, name, 6)
    client = producer(bootstrap)
    for number in range(600):
        client.produce(name, str(number).encode(), f"key {number % 60}".encode())
    equal(client.flush(PATIENCE), 0, "records not sent")
    reader = consumer(bootstrap)
    reader.assign([ck.TopicPartition(name, partition, 0) for partition in range(6)])
    homes, seen = {}, []
    while len(seen) < 600:
        record = reader.poll(PATIENCE)
        equal(record is not None and record.error() is None, True, f"record after {len(seen)}")
        equal(homes.setdefault(record.key(), record.partition()), record.partition(), "partition of one key")
        seen.append(int(record.value()))
    equal(sorted(seen), list(range(600)), "values")
    reader.close()


@case
def seek_pause_and_resume(bootstrap):
    name = topic("seek")
    send(producer(bootstrap), name, [str(number).encode() for number in range(1000)])
    reader = consumer(bootstrap)
    reader.assign([ck.TopicPartition(name, 0, 0)])
    equal(reader.poll(PATIENCE).value(), b"0", "first")
    reader.seek(ck.TopicPartition(name, 0, 700))
    equal(reader.poll(PATIENCE).value(), b"700", "after seeking")
    reader.pause([ck.TopicPartition(name, 0)])
    equal(reader.poll(0.2), None, "while paused")
    reader.resume([ck.TopicPartition(name, 0)])
    equal(reader.poll(PATIENCE).value(), b"701", "after resuming")
    reader.close()


@case
def many_small_fetches(bootstrap):
    name = topic("fetches")
    values = [b"x" * 900 + str(number).encode() for number in range(2000)]
    send(producer(bootstrap, batch_num_messages=10), name, values)
    small = {"fetch_max_bytes": 5000, "fetch_message_max_bytes": 2000, "message_max_bytes": 2000}
    found = consume(bootstrap, name, 2000, **small)
    equal([record.value() for record in found], values, "values")


@case
def read_committed(bootstrap):
    name = topic("committed")
    send(producer(bootstrap), name, [b"a", b"b"])
    found = consume(bootstrap, name, 2, isolation_level="read_committed")
    equal([record.value() for record in found], [b"a", b"b"], "values")


@case
def offsets_by_time(bootstrap):
    name = topic("times")
    client = producer(bootstrap, batch_num_messages=7)
    for number in range(100):
        client.produce(name, b"x", partition=0, timestamp=1_600_000_000_000 + number * 10)
    equal(client.flush(PATIENCE), 0, "records not sent")
    reader = consumer(bootstrap)
    for time, offset in [(0, 0), (5, 1), (990, 99), (991, ck.OFFSET_END)]:
        asked = ck.TopicPartition(name, 0, 1_600_000_000_000 + time)
        equal(reader.offsets_for_times([asked], PATIENCE)[0].offset, offset, f"time {time}")
    equal(reader.get_watermark_offsets(ck.TopicPartition(name, 0), PATIENCE), (0, 100), "watermarks")
    reader.close()


@case
def list_offsets(bootstrap):
    name = topic("offsets")
    client = producer(bootstrap)
    for number, time in enumerate([5, 9, 7]):
        client.produce(name, str(number).encode(), partition=0, timestamp=1_600_000_000_000 + time)
    equal(client.flush(PATIENCE), 0, "records not sent")
    admin = AdminClient({"bootstrap.servers": bootstrap})
    partition = ck.TopicPartition(name, 0)
    specs = [(OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 3), (OffsetSpec.max_timestamp(), 1)]
    for spec, offset in specs + [(OffsetSpec.for_timestamp(1_600_000_000_006), 1)]:
        found = done(admin.list_offsets({partition: spec}))
        equal(found[partition].offset, offset, str(spec))


@case
def delete_records(bootstrap):
    name = topic("deleted-records")
    send(producer(bootstrap), name, [str(number).encode() for number in range(100)])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    done(admin.delete_records([ck.TopicPartition(name, 0, 40)]))
    found = consume(bootstrap, name, 60)
    equal((found[0].offset(), found[0].value()), (40, b"40"), "first record left")
    reader = consumer(bootstrap)
    equal(reader.get_watermark_offsets(ck.TopicPartition(name, 0), PATIENCE), (40, 100), "watermarks")
    reader.close()


@case
def topics_are_created_grown_described_and_deleted(bootstrap):
    name = topic("managed")
    create(bootstrap, name, 3, retention_ms=1000000)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    done(admin.create_partitions([NewPartitions(name, 5)]))
    described = done(admin.describe_topics(ck.TopicCollection([name])))[name]
    equal(len(described.partitions), 5, "partitions")
    equal(all(len(partition.isr) == 1 for partition in described.partitions), True, "in-sync replicas")
    equal(name in admin.list_topics(timeout=PATIENCE).topics, True, "listed")
    done(admin.delete_topics([name]))
    equal(name in admin.list_topics(timeout=PATIENCE).topics, False, "listed after deletion")


@case
def documented_errors(bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    name = topic("errors")
    create(bootstrap, name)
    failing = [
        (NewTopic(name, 1, 1), ck.KafkaError.TOPIC_ALREADY_EXISTS),
        (NewTopic("not a name!", 1, 1), ck.KafkaError.TOPIC_EXCEPTION),
        (NewTopic(topic("zero"), 0, 1), ck.KafkaError.INVALID_PARTITIONS),
        (NewTopic(topic("replicas"), 1, 3), ck.KafkaError.INVALID_REPLICATION_FACTOR),
        (NewTopic(topic("config"), 1, 1, config={"no.such.key": "1"}), ck.KafkaError.INVALID_CONFIG),
        (NewTopic(topic("config"), 1, 1, config={"retention.ms": "soon"}), ck.KafkaError.INVALID_CONFIG),
    ]
    for new, code in failing:
        expect_error(admin.create_topics([new]), code, new.topic)
    expect_error(admin.delete_topics([topic("unknown")]), ck.KafkaError.UNKNOWN_TOPIC_OR_PART, "delete")
    expect_error(admin.create_partitions([NewPartitions(name, 1)]), ck.KafkaError.INVALID_PARTITIONS, "shrink")


def expect_error(futures, code, what):
    for future in futures.values():
        try:
            future.result(PATIENCE)
        except ck.KafkaException as error:
            equal(error.args[0].code(), code, what)
        else:
            raise AssertionError(f"{what}: no error")


@case
def validate_only_makes_nothing(bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    name = topic("validated")
    done(admin.create_topics([NewTopic(name, 2, 1)], validate_only=True))
    equal(name in admin.list_topics(timeout=PATIENCE).topics, False, "made")


@case
def configs_are_altered_and_described(bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    name = topic("configured")
    create(bootstrap, name)
    entry = ConfigEntry("max.message.bytes", "5000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    done(admin.incremental_alter_configs([resource]))
    asked = ConfigResource(ResourceType.TOPIC, name)
    described = done(admin.describe_configs([asked]))[asked]
    equal(described["max.message.bytes"].value, "5000", "altered")
    equal(described["max.message.bytes"].is_default, False, "is a default")
    equal(described["cleanup.policy"].value, "delete", "default")
    equal(described["cleanup.policy"].is_default, True, "is a default")
    try:
        send(producer(bootstrap), name, [b"x" * 6000])
    except AssertionError as error:
        equal("MSG_SIZE_TOO_LARGE" in str(error), True, str(error))
    else:
        raise AssertionError("a record over the limit was taken")


@case
def cluster_is_described(bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    cluster = admin.describe_cluster().result(PATIENCE)
    equal([f"{node.host}:{node.port}" for node in cluster.nodes], [bootstrap], "nodes")
    equal(bool(cluster.cluster_id), True, "cluster id")


@case
def log_append_time(bootstrap):
    name = topic("append-time")
    create(bootstrap, name, message_timestamp_type="LogAppendTime")
    send(producer(bootstrap, compression_type="zstd"), name, [b"a", b"b", b"c"], timestamp=5)
    kinds = {record.timestamp()[0] for record in consume(bootstrap, name, 3)}
    equal(kinds, {ck.TIMESTAMP_LOG_APPEND_TIME}, "kind of time")
    equal(all(record.timestamp()[1] > 5 for record in consume(bootstrap, name, 3)), True, "times")


@for_each(["gzip", "snappy", "lz4", "zstd", "uncompressed"])
def broker_compresses(bootstrap, codec):
    name = topic("recompressed")
    create(bootstrap, name, compression_type=codec)
    values = [f"value {number}".encode() for number in range(3000)]
    send(producer(bootstrap, compression_type="lz4" if codec != "lz4" else "gzip"), name, values)
    equal([record.value() for record in consume(bootstrap, name, 3000)], values, "values")


if __name__ == "__main__":
    main()
