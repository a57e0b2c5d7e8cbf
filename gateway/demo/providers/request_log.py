"""The request log of the sandbox providers: one line of JSON for each call to send something, in the order they began.

It is what an audit counts provider calls by: nothing of ours writes it but the receiving end of the HTTP call.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import TracebackType

import msgspec

from gateway.dnd.model import Channel

SHOWN_LIMIT = 20
"""Calls kept for the screen."""


class Asked(msgspec.Struct, frozen=True):
    """One call to send something, whatever came of it.

    `at` (ms): when its head had come in. `to`: everybody it would reach, phone numbers as E.164, the rest as spelt.
    `message_id`: as callbacks and receipts name what was taken, empty for a refusal; `code`: why it was refused.
    `decision_id`: what the call itself says, empty where the provider is not told. `repeated`: the same idempotency key
    had come before, so nothing more was sent.
    """

    at: int
    provider: str
    account: str
    location_id: str
    channel: Channel
    to: tuple[str, ...]
    text: str
    status: int
    message_id: str = ""
    code: str = ""
    decision_id: str = ""
    repeated: bool = False


_decode = msgspec.json.Decoder(Asked).decode
_encode = msgspec.json.Encoder().encode


class RequestLog:
    """Open from `__enter__` to `__exit__`. `count` calls so far, the `latest` of them last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0
        self.latest: deque[Asked] = deque(maxlen=SHOWN_LIMIT)

    def __enter__(self) -> RequestLog:
        self._file = self._path.open("ab", buffering=0)  # whoever reads the file sees what was asked so far
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, asked: Asked) -> None:
        self._file.write(_encode(asked) + b"\n")
        self.count += 1
        self.latest.append(asked)

    def read(self) -> list[Asked]:
        """All calls so far; also when it is not open."""
        if not self._path.exists():
            return []
        return [_decode(line) for line in self._path.read_bytes().splitlines()]
