"""kafka-python: a client without librdkafka. Consumers are assigned their partitions here."""

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import MessageSizeTooLargeError, TopicAlreadyExistsError, UnknownTopicOrPartitionError

import pure_groups  # noqa: F401, its cases are run too
import pure_transactions  # noqa: F401, and these
from cases import CODECS, PATIENCE, case, equal, for_each, main, topic


def producer(bootstrap, **settings):
    return KafkaProducer(bootstrap_servers=bootstrap, **settings)


def consume(bootstrap, name, count, start=0, partition=0, **settings):
    reader = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, consumer_timeout_ms=PATIENCE * 1000, **settings)
    place = TopicPartition(name, partition)
    reader.assign([place])
    reader.seek(place, start)
    records = []
    for record in reader:
        records.append(record)
        if len(records) == count:
            break
    reader.close()
    equal(len(records), count, "records")
    return records


def admin(bootstrap):
    return KafkaAdminClient(bootstrap_servers=bootstrap)


@for_each(CODECS)
def every_shape(bootstrap, codec):
    name = topic(codec)
    client = producer(
        bootstrap, compression_type=None if codec == "none" else codec, max_request_size=1048588, linger_ms=20
    )
    shapes = [
        (b"key", b"value", []),
        (None, b"no key", []),
        (b"tombstone", None, []),
        (b"k", b"", []),
        (b"k", b"h", [("one", b"1")]),
        (b"k", b"h", [("same", b"1"), ("same", b"2"), ("same", b"1")]),
        (b"k", b"h", [("empty", b"")]),
        (b"large", bytes(n * 7 // 3 % 256 for n in range(1_000_000)), []),
    ]
    sent = []
    for number, (key, value, headers) in enumerate(shapes):
        time = 1_600_000_000_000 + number
        sent.append(client.send(name, value, key, headers, partition=0, timestamp_ms=time))
    client.flush(PATIENCE)
    for number, future in enumerate(sent):
        equal(future.get(PATIENCE).offset, number, "acknowledged offset")
    client.close()
    found = consume(bootstrap, name, len(shapes))
    for number, (record, (key, value, headers)) in enumerate(zip(found, shapes)):
        equal((record.key, record.value, list(record.headers or [])), (key, value, headers), f"record {number}")
        equal((record.offset, record.timestamp), (number, 1_600_000_000_000 + number), "offset and time")


@for_each([0, 1, "all"])
def acks(bootstrap, acks):
    name = topic("acks")
    admin(bootstrap).create_topics([NewTopic(name, 1, 1)])
    values = [f"value {number}".encode() for number in range(500)]
    client = producer(bootstrap, acks=acks, enable_idempotence=False)
    for value in values:
        client.send(name, value, partition=0)
    client.flush(PATIENCE)
    client.close()
    equal([record.value for record in consume(bootstrap, name, 500)], values, "values")


@case
def idempotent(bootstrap):
    name = topic("idempotent")
    values = [f"value {number}".encode() for number in range(5000)]
    client = producer(bootstrap, enable_idempotence=True, batch_size=1000)
    for value in values:
        client.send(name, value, partition=0)
    client.flush(PATIENCE)
    client.close()
    equal([record.value for record in consume(bootstrap, name, 5000)], values, "values")


@case
def offsets(bootstrap):
    name = topic("offsets")
    client = producer(bootstrap)
    for number in range(100):
        client.send(name, b"x", partition=0, timestamp_ms=1_600_000_000_000 + number * 10)
    client.flush(PATIENCE)
    client.close()
    reader = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    place = TopicPartition(name, 0)
    equal(reader.beginning_offsets([place]), {place: 0}, "beginning")
    equal(reader.end_offsets([place]), {place: 100}, "end")
    equal(reader.offsets_for_times({place: 1_600_000_000_495})[place].offset, 50, "by time")
    equal(reader.offsets_for_times({place: 1_600_000_009_000})[place], None, "after the last")
    equal(reader.partitions_for_topic(name), {0}, "partitions")
    reader.close()


@case
def small_fetches(bootstrap):
    name = topic("fetches")
    client = producer(bootstrap, batch_size=2000)
    values = [b"x" * 900 + str(number).encode() for number in range(300)]
    for value in values:
        client.send(name, value, partition=0)
    client.flush(PATIENCE)
    client.close()
    found = consume(bootstrap, name, 300, max_partition_fetch_bytes=1000, fetch_max_bytes=1000)
    equal([record.value for record in found], values, "values")


@case
def too_large_a_record(bootstrap):
    name = topic("too-large")
    admin(bootstrap).create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "1000"})])
    client = producer(bootstrap)
    try:
        client.send(name, b"x" * 2000, partition=0).get(PATIENCE)
    except MessageSizeTooLargeError:
        pass
    else:
        raise AssertionError("taken")
    finally:
        client.close()


@case
def topics_and_configs(bootstrap):
    name = topic("managed")
    client = admin(bootstrap)
    client.create_topics([NewTopic(name, 2, 1, topic_configs={"retention.ms": "1000000"})])
    try:
        client.create_topics([NewTopic(name, 2, 1)])
    except TopicAlreadyExistsError:
        pass
    else:
        raise AssertionError("created twice")
    equal(name in client.list_topics(), True, "listed")
    client.create_partitions({name: NewPartitions(4)})
    equal(len(client.describe_topics([name])[0]["partitions"]), 4, "partitions")
    text = str(client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)]))
    equal("retention.ms" in text and "1000000" in text, True, text)
    client.delete_topics([name])
    try:
        client.delete_topics([name])
    except UnknownTopicOrPartitionError:
        pass
    else:
        raise AssertionError("deleted twice")
    client.close()


@case
def cluster_is_described(bootstrap):
    client = admin(bootstrap)
    cluster = client.describe_cluster()
    nodes = [f"{node['host']}:{node['port']}" for node in cluster["brokers"]]
    equal(nodes, [bootstrap], "nodes")
    client.close()


if __name__ == "__main__":
    main()
