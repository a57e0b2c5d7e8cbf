"""What the sandbox provider was asked to send: one line of JSON a call, in a file that only grows."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.contract.requests import Request
from gateway.dnd.model import Channel


class Call(msgspec.Struct, frozen=True):
    """One call of a provider. `to`: everybody it would reach, in the sender's spelling; `at`: when, in ms."""

    decision_id: str
    location_id: str
    contact_id: str
    channel: Channel
    to: tuple[str, ...]
    text: str
    at: int


def recipients(request: Request) -> tuple[str, ...]:
    """Everybody a request would reach, as spelt, in the order of to, cc, bcc."""
    named = [request.to, request.cc or [], request.bcc or []]
    return tuple(each for field in named for each in ([field] if isinstance(field, str) else field))


_decode = msgspec.json.Decoder(Call).decode
_encode = msgspec.json.Encoder().encode


class CallLog:
    """Appends calls to the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, calls: list[Call]) -> None:
        with self._path.open("ab") as file:
            file.writelines(_encode(call) + b"\n" for call in calls)

    def read(self) -> list[Call]:
        """All calls so far."""
        if not self._path.exists():
            return []
        return [_decode(line) for line in self._path.read_bytes().splitlines()]
