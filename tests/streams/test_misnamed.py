"""Getting behind records whose header names are not UTF-8."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway.localkafka import LocalKafka
from gateway.streams.misnamed import MisnamedRecord, WithMisnamed, read, read_at
from tests.kafka.outside import DEADLINE_S, Given, Outsider, clients_for, started
from tests.streams.misnaming import NO_CODEC, ZSTD, send_misnamed

BAD, ESCAPED = "caf\xe9", "caf\\xe9"


@asynccontextmanager
async def reading(kafka: LocalKafka, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    reader = clients_for(kafka).reader()
    async with started(reader):
        reader.assign([TopicPartition(topic, 0)])
        reader.seek(TopicPartition(topic, 0), 0)
        await reader.end_offsets([TopicPartition(topic, 0)])  # who leads is known then
        yield reader


async def rest_of(kafka: LocalKafka, topic: str, limit: int = 100) -> list[tuple[int, bytes | None, bool]]:
    """Offset, value and whether it was misnamed, of all records, in as many reads as it takes."""
    partition, found, end = TopicPartition(topic, 0), [], Outsider.of(kafka).end(topic)
    async with reading(kafka, topic) as reader:
        while (position := await reader.position(partition)) < end:
            records = await read_at(reader, partition, position, limit)
            assert len(records) <= limit
            found += [(record.offset, record.value, isinstance(record, MisnamedRecord)) for record in records]
    return found


async def test_aiokafka_itself_never_gets_behind_one(kafka: LocalKafka, fresh_name: str) -> None:
    """The fact this rests on: not even by seeking to the next offset."""
    Outsider.of(kafka).create(fresh_name)
    await send_misnamed(kafka.bootstrap_servers, fresh_name, [(b"1", BAD), (b"2", "fine")])
    async with reading(kafka, fresh_name) as reader:
        for position in (0, 1):
            reader.seek(TopicPartition(fresh_name, 0), position)
            with pytest.raises(UnicodeDecodeError):
                await reader.getmany(timeout_ms=int(DEADLINE_S * 1000))


@pytest.mark.parametrize("codec", [NO_CODEC, ZSTD])
async def test_everything_else_of_it_is_as_it_was(kafka: LocalKafka, fresh_name: str, codec: int) -> None:
    Outsider.of(kafka).create(fresh_name, message_timestamp_type="CreateTime")
    await send_misnamed(kafka.bootstrap_servers, fresh_name, [(b"\xff", BAD), (b"2", "fine")], codec=codec)
    async with reading(kafka, fresh_name) as reader:
        bad, fine = await read_at(reader, TopicPartition(fresh_name, 0), 0, 10)
        assert await reader.position(TopicPartition(fresh_name, 0)) == 2
    assert isinstance(bad, MisnamedRecord)
    assert (bad.offset, bad.timestamp, bad.key, bad.value) == (0, 1, b"key", b"\xff")
    assert bad.headers == ((ESCAPED, b"header"),)
    assert not isinstance(fine, MisnamedRecord)
    assert (fine.value, fine.headers) == (b"2", (("fine", b"header"),))


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_whatever_the_limit_every_record_comes_once_and_in_order(
    kafka: LocalKafka, fresh_name: str, limit: int
) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    outsider.produce(fresh_name, [Given(b"0", headers=[("Жж", b"x"), ("none", None)])])
    await send_misnamed(kafka.bootstrap_servers, fresh_name, [(b"1", "fine"), (b"2", BAD), (b"3", BAD), (b"4", "fine")])
    outsider.produce(fresh_name, [b"5"])
    assert await rest_of(kafka, fresh_name, limit) == [
        (number, b"%d" % number, number in (2, 3)) for number in range(6)
    ]


async def test_what_a_transaction_took_back_is_left_out_here_too(kafka: LocalKafka, fresh_name: str) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    outsider.open_transaction(fresh_name, [b"taken back"], fresh_name).abort_transaction(DEADLINE_S)
    await send_misnamed(kafka.bootstrap_servers, fresh_name, [(b"1", BAD)])
    outsider.produce(fresh_name, [b"2"], transactional_id=fresh_name)
    assert [value for _, value, _ in await rest_of(kafka, fresh_name)] == [b"1", b"2"]


async def test_a_reader_goes_on_as_before_behind_it(kafka: LocalKafka, fresh_name: str) -> None:
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name)
    await send_misnamed(kafka.bootstrap_servers, fresh_name, [(b"1", BAD)])
    outsider.produce(fresh_name, [b"2"])
    async with reading(kafka, fresh_name) as reader:
        (bad,) = await read_at(reader, TopicPartition(fresh_name, 0), 0, 1)
        following = await reader.getone()
    assert (bad.value, following.value, type(following) is MisnamedRecord) == (b"1", b"2", False)


async def test_of_several_partitions_every_record_comes_once_and_in_order(kafka: LocalKafka, fresh_name: str) -> None:
    """Whatever aiokafka had taken from the others when it met the misnamed one."""
    outsider = Outsider.of(kafka)
    outsider.create(fresh_name, partitions=3)
    for number in range(3):
        outsider.produce(fresh_name, [b"%d" % each for each in range(5)], number)
    await send_misnamed(kafka.bootstrap_servers, fresh_name, [(b"5", BAD)], partition=1)
    outsider.produce(fresh_name, [b"6"], 1)
    positions = {TopicPartition(fresh_name, number): 0 for number in range(3)}
    found: dict[int, list[bytes | None]] = {number: [] for number in range(3)}
    reader = clients_for(kafka).reader()
    async with started(reader):
        ends = await reader.end_offsets(positions)
        reader.assign([*positions])
        for partition in positions:
            reader.seek(partition, 0)
        while positions != ends:
            for partition, records in (await read(reader, positions, int(DEADLINE_S * 1000), 2)).items():
                assert records
                found[partition.partition] += [record.value for record in records]
            positions = {partition: await reader.position(partition) for partition in positions}
        assert await read(reader, positions, 1, 2) == {}
    assert found == {number: [b"%d" % each for each in range(7 if number == 1 else 5)] for number in range(3)}


async def test_at_the_end_there_is_nothing(kafka: LocalKafka, fresh_name: str) -> None:
    Outsider.of(kafka).create(fresh_name)
    async with reading(kafka, fresh_name) as reader:
        records = await read_at(reader, TopicPartition(fresh_name, 0), 0, 10)
    assert isinstance(records, WithMisnamed)
    assert records == []
