"""The partition of a key is where producers write it: ours, and librdkafka with Java's partitioner."""

from __future__ import annotations

from confluent_kafka import Producer

from gateway.localkafka import LocalKafka
from gateway.streams.partitioning import partition_of
from gateway.streams.writing import Unwritten, writer
from tests.kafka.outside import Outsider, clients_for


async def test_it_is_where_our_producer_and_javas_partitioner_put_it(kafka: LocalKafka, fresh_name: str) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name, 5)
    keys = [f'["loc1","contact","c{number}"]'.encode() for number in range(40)]
    async with writer(clients_for(kafka), fresh_name) as to_log:
        await to_log.write([Unwritten(key, b"ours") for key in keys])
    theirs = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2_random"})
    for key in keys:
        theirs.produce(fresh_name, b"theirs", key)
    assert theirs.flush(30) == 0
    found = outsider.read(fresh_name)
    assert len(found) == 2 * len(keys)
    assert [record.partition() for record in found] == [partition_of(record.key(), 5) for record in found]
