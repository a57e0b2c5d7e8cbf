"""Live figures for the screen, counted from what is committed to the topics.

A request and its decision are read from two topics in any order; they are shown once both are there.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from gateway.contract.decisions import Outcome
from gateway.contract.requests import SPELLINGS
from gateway.contract.topics import Topics
from gateway.dnd.model import Channel
from gateway.streams.clients import Clients
from gateway.streams.tap import Tapped, tap

RATE_WINDOW_S = 2.0
"""Rates are over so long."""

SHOWN_LIMIT = 20
"""Requests kept for the screen."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A request with its decision. `why`: the causes in words, or what was wrong with the request; "" if forwarded."""

    request_id: str
    contact_id: str
    channel: Channel | None
    to: str
    outcome: Outcome
    why: str
    removed: tuple[str, ...] = ()


@dataclass(slots=True)
class Figures:
    """What the topics hold so far. Outcomes by channel, None for those whose channel cannot be told."""

    requests: int = 0
    decisions: int = 0
    opt_outs: int = 0
    outcomes: Counter[tuple[Channel | None, Outcome]] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)

    def total(self, outcome: Outcome) -> int:
        return sum(count for (_, each), count in self.outcomes.items() if each is outcome)


class _Reason(msgspec.Struct):
    """A hold's or a field's reason, whichever it is."""

    subject: str = ""
    channel: str = ""
    cause: str = ""
    kind: str = ""
    field: str = ""
    expected: str = ""

    def __str__(self) -> str:
        if self.field:
            return f"{self.field}: expected {self.expected}"
        kind = "" if self.kind == self.cause else f" ({self.kind})"
        return f"{self.cause}{kind} on the {self.subject}" + (", all channels" if self.channel == "ALL" else "")


class _Decision(msgspec.Struct):
    decision_id: str
    request_id: str | None
    contact_id: str | None
    channel: str | None
    outcome: Outcome
    reasons: list[_Reason]
    removed: list[str] = []


class _Event(msgspec.Struct):
    type: str = ""


class _To(msgspec.Struct):
    to: str | list[str] = ""


_decode_decision = msgspec.json.Decoder(_Decision).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_to = msgspec.json.Decoder(_To).decode


class Ledger:
    """`figures` so far; `latest` requests that were not forwarded, last one last; `shown` is called for every one."""

    def __init__(self, clients: Clients, topics: Topics) -> None:
        self._clients = clients
        self._topics = topics
        self._requests: dict[str, str] = {}
        self._decisions: dict[str, _Decision] = {}
        self._decided_at: deque[float] = deque()
        self.figures = Figures()
        self.latest: deque[Decided] = deque(maxlen=SHOWN_LIMIT)
        self.shown: Callable[[Decided], None] = lambda _: None

    async def run(self) -> None:
        """Until cancelled. KafkaUnreachableError."""
        topics = self._topics
        async with tap(self._clients, (topics.requests, topics.decisions, topics.dnd_events)) as tapped:
            while True:
                for record in await tapped.read():
                    self._take(record)
                self._match()

    def rate(self) -> float:
        """Decisions per second, lately."""
        now = time.monotonic()
        while self._decided_at and self._decided_at[0] < now - RATE_WINDOW_S:
            self._decided_at.popleft()
        return len(self._decided_at) / RATE_WINDOW_S

    def _take(self, record: Tapped) -> None:
        topics, figures = self._topics, self.figures
        if record.topic == topics.requests:
            figures.requests += 1
            self._requests[f"{record.topic}-{record.partition}-{record.offset}"] = _recipient(record.value)
        elif record.topic == topics.decisions:
            self._count(_decode_decision(record.value or b""))
        else:
            figures.opt_outs += _is_place(record.value)

    def _count(self, decision: _Decision) -> None:
        figures = self.figures
        figures.decisions += 1
        figures.outcomes[_channel(decision), decision.outcome] += 1
        if decision.outcome is Outcome.DROPPED:
            figures.causes[decision.reasons[0].cause] += 1
        self._decided_at.append(time.monotonic())
        self._decisions[decision.decision_id] = decision

    def _match(self) -> None:
        """Show what has both its request and its decision, in the order of the decisions."""
        for name in [name for name in self._decisions if name in self._requests]:
            decision, to = self._decisions.pop(name), self._requests.pop(name)
            decided = Decided(
                request_id=decision.request_id or "?",
                contact_id=decision.contact_id or "?",
                channel=_channel(decision),
                to=to,
                outcome=decision.outcome,
                why="; ".join(map(str, decision.reasons)),
                removed=tuple(decision.removed),
            )
            if decided.outcome is not Outcome.FORWARDED:
                self.latest.append(decided)
            self.shown(decided)


def _channel(decision: _Decision) -> Channel | None:
    """Of an invalid request the channel is as the sender spelt it, or missing."""
    return None if decision.channel is None else SPELLINGS.get(decision.channel.lower())


def _is_place(value: bytes | None) -> bool:
    try:
        return _decode_event(value or b"").type == "place"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _recipient(value: bytes | None) -> str:
    """To whom, for the screen; whatever the request is like."""
    try:
        to = _decode_to(value or b"").to
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "?"
    return to if isinstance(to, str) else ", ".join(to)
