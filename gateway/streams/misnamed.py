"""Reading records whose header names are not UTF-8.

Kafka does not look at header names, and some clients write any bytes there. aiokafka raises UnicodeDecodeError for a
fetch with such a record, and for every later one: to get behind a record it parses it, so even a seek to the next
offset ends in the same error. One record would stop its partition for ever, in every process that is given it.

So what stands at that position is fetched once more and parsed by aiokafka's own slower parser, with the bytes that
are not UTF-8 escaped (`\\xe9`). A record that was changed so is a `MisnamedRecord`; nothing else about it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException, LeaderNotAvailableError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy

FETCH_BYTES = 1024 * 1024
"""Asked for; a larger batch still comes whole (KIP-74)."""


class MisnamedRecord(ConsumerRecord[bytes, bytes]):
    """A record with escaped header names."""


Positions = Mapping[TopicPartition, int]
Read = Mapping[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]]


class WithMisnamed(list[ConsumerRecord[bytes, bytes]]):
    """Records of which some may be misnamed. A plain list has none, so that nobody has to look at each record."""


async def read(consumer: AIOKafkaConsumer, positions: Positions, wait_ms: int, limit: int) -> Read:
    """The next records of the assigned partitions, whatever their headers are called: at most `limit`, or `limit` of
    each partition when some are misnamed. None within `wait_ms`: empty. KafkaError.

    `positions`: of the partitions that are read. What aiokafka had taken when it met the record is read again.
    """
    try:
        fetched: Read = await consumer.getmany(timeout_ms=wait_ms, max_records=limit)
        return fetched
    except UnicodeDecodeError:
        found = {partition: await read_at(consumer, partition, at, limit) for partition, at in positions.items()}
        return {partition: records for partition, records in found.items() if records}


async def read_at(consumer: AIOKafkaConsumer, partition: TopicPartition, position: int, limit: int) -> WithMisnamed:
    """The records from `position` on, at most `limit`, whatever their headers are called; the consumer is behind them
    then. For when `getmany` raised UnicodeDecodeError; what that had taken from other partitions is lost with it, so
    they have to be sought back. KafkaError.
    """
    level = READ_COMMITTED if consumer._isolation_level == "read_committed" else READ_UNCOMMITTED
    leader = consumer._client.cluster.leader_for_partition(partition)
    if leader is None or leader < 0:
        raise LeaderNotAvailableError
    wanted = [(partition.topic, [(partition.partition, position, FETCH_BYTES)])]
    response: Any = await consumer._client.send(leader, FetchRequest(0, 1, FETCH_BYTES, level, wanted))
    ((_, ((_, error, _, *rest),)),) = response.topics
    if error:
        raise for_code(error)
    aborted = rest[2] if response.API_VERSION >= 11 else rest[-2]
    parsed = PartitionRecords(partition, _Batches(rest[-1]), aborted, position, None, None, True, level)
    records = WithMisnamed(_named(record) for record in islice(parsed, limit))
    consumer.seek(partition, parsed.next_fetch_offset)
    return records


def _named(record: ConsumerRecord[bytes, bytes]) -> ConsumerRecord[bytes, bytes]:
    names = [name.encode(errors="surrogateescape").decode(errors="backslashreplace") for name, _ in record.headers]
    headers = tuple((name, value) for name, (_, value) in zip(names, record.headers, strict=True))
    if headers == record.headers:
        return record
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return MisnamedRecord(**fields | {"headers": headers})


class _Escaping(bytearray):
    """Bytes that are text whatever they are: what is not UTF-8 becomes a lone surrogate."""

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        return _Escaping(part) if isinstance(key, slice) else part

    def decode(self, *_: object) -> str:
        return bytes(self).decode(errors="surrogateescape")


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]  # final for type checkers only
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Escaping(self._buffer)


class _Batches:
    """The batches of a fetch, as PartitionRecords asks for them."""

    def __init__(self, data: bytes) -> None:
        self._left = self._split(memoryview(data))
        self._next = next(self._left, None)

    def has_next(self) -> bool:
        return self._next is not None

    def next_batch(self) -> _Batch:
        batch, self._next = self._next, next(self._left, None)
        if batch is None:
            raise CorruptRecordException("no batch is left")
        return batch

    @staticmethod
    def _split(data: memoryview) -> Iterator[_Batch]:
        while len(data) > _LENGTH_AT.stop:
            end = _LENGTH_AT.stop + int.from_bytes(data[_LENGTH_AT])
            if end > len(data):
                return  # the fetch ends in the middle of it
            yield _Batch(data[:end])
            data = data[end:]


_LENGTH_AT = slice(8, 12)
"""Where a batch has the number of bytes that follow."""
