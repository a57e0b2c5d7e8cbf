"""A sender that writes header names in Latin-1, as clients may that take bytes for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from tests.kafka.outside import started

NO_CODEC, ZSTD = 0, 4


class Latin1(str):
    """A name that is not encoded as UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "latin-1", errors: str = "strict") -> bytes:
        return super().encode("latin-1", errors)


Row = tuple[bytes, str]
"""Value, and the name of the record's one header."""


async def send_misnamed(
    bootstrap: str, topic: str, rows: Sequence[Row], partition: int = 0, codec: int = NO_CODEC
) -> None:
    """The records as one batch."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    async with started(producer):
        batch: Any = producer.create_batch()
        builder = _DefaultRecordBatchBuilderPy(2, codec, 0, -1, -1, -1, 1 << 20)
        for offset, (value, name) in enumerate(rows):
            assert builder.append(offset, 1, b"key", value, [(Latin1(name), b"header")])
        batch._builder, batch._relative_offset = builder, len(rows)
        await (await producer.send_batch(batch, topic, partition=partition))
