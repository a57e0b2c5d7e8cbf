"""What the code past the Kafka clients needs of a record."""

from __future__ import annotations

from typing import Protocol


class LogRecord(Protocol):
    """One record of a Kafka partition. `timestamp` is in ms since the epoch (broker time on LogAppendTime topics)."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
