"""What one batch of input records produces: Kafka record batches, built as the records come (K20)."""

from __future__ import annotations

from collections.abc import Callable

from aiokafka.producer.message_accumulator import BatchBuilder

Header = tuple[str, bytes]


class Outputs:
    """Collects output records by topic. All go to one partition number: that of the input."""

    def __init__(self, new_batch: Callable[[], BatchBuilder], partition: int) -> None:
        self._new_batch = new_batch
        self._open: dict[str, BatchBuilder] = {}
        self._full: list[tuple[str, BatchBuilder]] = []
        self.partition = partition

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int,
        headers: list[Header] | None = None,
    ) -> None:
        """Add a record. One that is larger than a batch gets a batch of its own."""
        if headers is None:
            headers = []  # the C builder takes nothing but a list
        batch = self._open.get(topic)
        if batch is None:
            batch = self._open[topic] = self._new_batch()
        if batch.append(timestamp=timestamp_ms, key=key, value=value, headers=headers) is None:
            self._full.append((topic, batch))
            batch = self._open[topic] = self._new_batch()
            batch.append(timestamp=timestamp_ms, key=key, value=value, headers=headers)

    def batches(self) -> list[tuple[str, BatchBuilder]]:
        """All batches, those of one topic in order."""
        return [*self._full, *self._open.items()]
