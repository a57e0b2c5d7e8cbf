"""Live figures for the screen, counted from what is committed to the topics.

A request, its decision and its receipt are read from three topics in any order: a decision is shown once its request is
there, and a receipt at once, as it repeats what matters of both.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from gateway.clock import now_ms
from gateway.contract.decisions import Outcome
from gateway.contract.receipts import ReceiptOutcome
from gateway.contract.requests import SPELLINGS
from gateway.contract.topics import Topics
from gateway.demo.audit.held import Sighting
from gateway.dnd.model import Channel
from gateway.streams.clients import Clients
from gateway.streams.tap import Tapped, tap

SHOWN_LIMIT = 20
"""Requests kept for the screen."""


@dataclass(frozen=True, slots=True)
class Told:
    """A request with its decision, or with its receipt.

    `why`: the causes in words, what was wrong with the request, or the provider's words; "" where all is well.
    """

    request_id: str
    channel: Channel | None
    to: str
    outcome: Outcome | ReceiptOutcome
    why: str
    removed: tuple[str, ...] = ()
    message_id: str = ""


@dataclass(slots=True)
class Figures:
    """What the topics hold so far. By channel, None for those whose channel cannot be told.

    `causes`, `causes_at_dispatch`: the first reason of what was dropped, by the guard and at dispatch.
    """

    requests: int = 0
    opt_outs: int = 0
    outcomes: Counter[tuple[Channel | None, Outcome]] = field(default_factory=Counter)
    receipts: Counter[tuple[Channel | None, ReceiptOutcome]] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    causes_at_dispatch: Counter[str] = field(default_factory=Counter)

    @property
    def decisions(self) -> int:
        return self.outcomes.total()

    def total(self, outcome: Outcome) -> int:
        return sum(count for (_, each), count in self.outcomes.items() if each is outcome)

    def sent(self, outcome: ReceiptOutcome = ReceiptOutcome.SENT) -> int:
        return sum(count for (_, each), count in self.receipts.items() if each is outcome)

    @property
    def waiting(self) -> int:
        """Forwarded, and not finished: in the channel topics, or at dispatch."""
        return max(0, self.total(Outcome.FORWARDED) - self.receipts.total())

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way; a quick look, no audit."""
        return self.requests == self.decisions and self.waiting == 0


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
    channel: str | None
    outcome: Outcome
    reasons: list[_Reason]
    removed: list[str] = []


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Receipt(msgspec.Struct):
    request_id: str | None
    channel: str | None
    to: str | list[str] | None
    outcome: ReceiptOutcome
    provider_message_id: str | None
    reasons: list[_Reason]
    error: _Error | None = None
    removed: list[str] = []


class _Event(msgspec.Struct):
    type: str = ""


class _To(msgspec.Struct):
    to: str | list[str] = ""


_decode_decision = msgspec.json.Decoder(_Decision).decode
_decode_receipt = msgspec.json.Decoder(_Receipt).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_to = msgspec.json.Decoder(_To).decode


class Ledger:
    """`figures` so far; `latest` requests that were not sent, last one last; `shown` is called for every one.

    `seen`: how far `dnd.events` had been read by when.
    """

    def __init__(self, clients: Clients, topics: Topics) -> None:
        self._clients = clients
        self._topics = topics
        self._requests: dict[str, str] = {}
        self._decisions: dict[str, _Decision] = {}
        self.figures = Figures()
        self.latest: deque[Told] = deque(maxlen=SHOWN_LIMIT)
        self.seen: list[Sighting] = []
        self.shown: Callable[[Told], None] = lambda _: None

    async def run(self) -> None:
        """Until cancelled. KafkaUnreachableError."""
        topics = self._topics
        watched = (topics.requests, topics.decisions, topics.receipts, topics.dnd_events)
        async with tap(self._clients, watched) as tapped:
            while True:
                for record in await tapped.read():
                    self._take(record)
                self._match()

    def _take(self, record: Tapped) -> None:
        topics, figures = self._topics, self.figures
        if record.topic == topics.requests:
            figures.requests += 1
            self._requests[f"{record.topic}-{record.partition}-{record.offset}"] = _recipient(record.value)
        elif record.topic == topics.decisions:
            self._count(_decode_decision(record.value or b""))
        elif record.topic == topics.receipts:
            self._receipt(_decode_receipt(record.value or b""))
        else:
            self.seen.append(Sighting(record.partition, record.offset + 1, now_ms()))
            figures.opt_outs += _is_place(record.value)

    def _count(self, decision: _Decision) -> None:
        figures = self.figures
        figures.outcomes[_channel(decision.channel), decision.outcome] += 1
        if decision.outcome is Outcome.DROPPED:
            figures.causes[decision.reasons[0].cause] += 1
        self._decisions[decision.decision_id] = decision

    def _match(self) -> None:
        """Show what has both its request and its decision, in the order of the decisions."""
        for name in [name for name in self._decisions if name in self._requests]:
            decision, to = self._decisions.pop(name), self._requests.pop(name)
            self._show(
                Told(
                    request_id=decision.request_id or "?",
                    channel=_channel(decision.channel),
                    to=to,
                    outcome=decision.outcome,
                    why="; ".join(map(str, decision.reasons)),
                    removed=tuple(decision.removed),
                )
            )

    def _receipt(self, receipt: _Receipt) -> None:
        figures, channel = self.figures, _channel(receipt.channel)
        figures.receipts[channel, receipt.outcome] += 1
        if receipt.outcome is ReceiptOutcome.DROPPED:
            figures.causes_at_dispatch[receipt.reasons[0].cause] += 1
        error = "" if receipt.error is None else f"{receipt.error.code}: {receipt.error.message}"
        self._show(
            Told(
                request_id=receipt.request_id or "?",
                channel=channel,
                to=_named(receipt.to or "?"),
                outcome=receipt.outcome,
                why=error or "; ".join(map(str, receipt.reasons)),
                removed=tuple(receipt.removed),
                message_id=receipt.provider_message_id or "",
            )
        )

    def _show(self, told: Told) -> None:
        if told.outcome not in (Outcome.FORWARDED, ReceiptOutcome.SENT):
            self.latest.append(told)
        self.shown(told)


def _channel(spelt: str | None) -> Channel | None:
    """Of an invalid request the channel is as the sender spelt it, or missing."""
    return None if spelt is None else SPELLINGS.get(spelt.lower())


def _is_place(value: bytes | None) -> bool:
    try:
        return _decode_event(value or b"").type == "place"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _recipient(value: bytes | None) -> str:
    """To whom, for the screen; whatever the request is like."""
    try:
        return _named(_decode_to(value or b"").to)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "?"


def _named(to: str | list[str]) -> str:
    return to if isinstance(to, str) else ", ".join(to)
