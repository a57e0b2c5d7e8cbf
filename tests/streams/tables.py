"""What the follower fills in tests: a table in memory that keeps every record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.contract.log import LogRecord


class ListTable:
    """The records as they were applied, by partition."""

    def __init__(self, partitions: int = 1) -> None:
        self.records: list[list[LogRecord]] = [[] for _ in range(partitions)]
        self._positions = [0] * partitions
        self.topic_id: str | None = None
        self.applying: Callable[[], None] = lambda: None
        """Called at the beginning of every `apply`."""

    def positions(self) -> list[int]:
        return list(self._positions)

    def fingerprint(self, partition: int) -> LogRecord | None:
        return self.records[partition][-1] if self.records[partition] else None

    def matches(self, partition: int, record: LogRecord) -> bool:
        last = self.fingerprint(partition)
        return last is not None and _content(last) == _content(record)

    def apply(self, partition: int, records: Sequence[LogRecord], position: int) -> None:
        self.applying()
        self.records[partition] += [record for record in records if record.offset >= self._positions[partition]]
        self._positions[partition] = max(position, self._positions[partition])

    def bind(self, topic_id: str) -> bool:
        if self.topic_id is None:
            self.topic_id = topic_id
        return self.topic_id == topic_id

    def values(self, partition: int = 0) -> list[bytes | None]:
        return [record.value for record in self.records[partition]]


def _content(record: LogRecord) -> tuple[int, int, bytes | None, bytes | None]:
    return record.offset, record.timestamp, record.key, record.value
