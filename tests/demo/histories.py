"""Histories for the audit: a clean one with a request of every outcome, made of records as the topics hold them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.contract.decisions import DECISION_ID, Outcome
from gateway.contract.events import encode_event, event_key
from gateway.contract.receipts import Receipt, ReceiptOutcome, encode_receipt
from gateway.demo.audit.audit import audit
from gateway.demo.audit.faults import Fault, Report
from gateway.demo.audit.held import Sighting
from gateway.demo.audit.history import History
from gateway.demo.providers.request_log import Asked
from gateway.dnd.model import (
    Actor,
    ActorKind,
    Cause,
    Channel,
    Event,
    Lift,
    LiftTerm,
    Place,
    Scope,
    Subject,
    SubjectKind,
)
from gateway.streams.tap import Tapped

ADA, BEN = "+14155550100", "+14155550101"

State = Sequence[tuple[int, int]]


def no_region(_: str) -> None:
    return None


def audited(history: History) -> Report:
    return audit(history, no_region)


def faults(history: History) -> set[Fault]:
    return {finding.fault for finding in audited(history).findings}


def phone(number: str, location: str = "loc1") -> Subject:
    return Subject(location, SubjectKind.PHONE, number)


def stop(subject: Subject, at: int, scope: Scope = Scope.SMS, cause: Cause = Cause.KEYWORD_OPT_OUT) -> Place:
    return Place(f"stop-{at}", subject, (scope,), (cause,), at, Actor(ActorKind.CONTACT, "x"))


def start(subject: Subject, at: int) -> Lift:
    terms = (LiftTerm(Scope.SMS, Cause.KEYWORD_OPT_OUT, at),)
    return Lift(f"start-{at}", subject, terms, Actor(ActorKind.CONTACT, "x"))


def event_at(event: Event, timestamp: int, offset: int, partition: int = 0) -> Tapped:
    """The record of an event appended at the time."""
    return Tapped("dnd.events", partition, offset, timestamp, event_key(event.subject), encode_event(event, timestamp))


class Writer:
    """Puts a history together, request by request, as a guard would."""

    def __init__(self) -> None:
        self.history = History([], [], {channel: [] for channel in Channel}, [], [], [], [], [])

    def event(self, event: Event, timestamp: int, partition: int = 0, seen_after: int = 1) -> None:
        """`seen_after`: so long after its date a reader had it (ms)."""
        offset = sum(record.partition == partition for record in self.history.events)
        self._extend("events", event_at(event, timestamp, offset, partition))
        self._extend("seen", Sighting(partition, offset + 1, timestamp + seen_after))

    def request(
        self,
        timestamp: int,
        outcome: Outcome,
        to: str | list[str] = ADA,
        channel: Channel = Channel.SMS,
        state: State = (),
        removed: Sequence[str] = (),
        finished: ReceiptOutcome = ReceiptOutcome.SENT,
        called_after: int = 9,
    ) -> str:
        """A request with its decision and what follows from it; the id of the decision.

        `called_after`: so long after the request the provider was called, and the receipt written (ms).
        """
        offset = len(self.history.requests)
        name = f"outbound.requests-0-{offset}"
        value = _request(offset, channel, to)
        headers = (("sender", b"own"),)
        self._extend("requests", Tapped("outbound.requests", 0, offset, timestamp, b"c1", value, headers))
        decision = {
            "decision_id": name,
            "location_id": "loc1",
            "contact_id": "c1",
            "channel": channel,
            "outcome": outcome,
            "state": {"events": list(state)},
            "removed": list(removed),
        }
        encoded = msgspec.json.encode(decision)
        self._extend("decisions", Tapped("outbound.decisions", 0, offset, timestamp + 5, b"c1", encoded))
        ours = (*headers, (DECISION_ID, name.encode()))
        if outcome is Outcome.INVALID:
            self._extend("dead", Tapped("outbound.dead", 0, offset, timestamp + 5, b"c1", value, ours))
        if outcome is Outcome.FORWARDED:
            kept = [each for each in to if each not in removed] if isinstance(to, list) else to
            record = Tapped(channel.lower(), 0, offset, timestamp + 5, b"c1", _request(offset, channel, kept), ours)
            self.output(channel, record)
            self.receipt(name, channel, finished, timestamp + called_after)
            if finished is ReceiptOutcome.SENT:
                reached = tuple(kept) if isinstance(kept, list) else (kept,)
                self.call(name, channel, reached, timestamp + called_after)
        return name

    def receipt(self, name: str, channel: Channel, outcome: ReceiptOutcome, at: int) -> None:
        took = f"id-of-{name}" if outcome is ReceiptOutcome.SENT else None
        receipt = Receipt(name, "r", "loc1", "c1", channel, None, outcome, at, provider_message_id=took)
        offset = len(self.history.receipts)
        self._extend("receipts", Tapped("outbound.receipts", 0, offset, at, b"c1", encode_receipt(receipt)))

    def call(self, name: str, channel: Channel, to: tuple[str, ...], at: int, message_id: str | None = None) -> None:
        """The provider is called for the decision, and takes it unless `message_id` is empty."""
        took = f"id-of-{name}" if message_id is None else message_id
        said = "" if channel is Channel.FB else name  # Messenger has no field for it
        status = 201 if took else 400
        self._extend("calls", Asked(at, "sandbox", "a", "loc1", channel, to, "Hi", status, took, "", said))

    def output(self, channel: Channel, record: Tapped) -> None:
        outputs = {**self.history.outputs, channel: [*self.history.outputs[channel], record]}
        self.history = dataclasses.replace(self.history, outputs=outputs)

    def _extend(self, field: str, entry: object) -> None:
        changed: Any = {field: [*getattr(self.history, field), entry]}
        self.history = dataclasses.replace(self.history, **changed)


def _request(offset: int, channel: Channel, to: str | list[str]) -> bytes:
    request = {"request_id": f"r-{offset}", "location_id": "loc1", "contact_id": "c1", "channel": channel, "to": to}
    return msgspec.json.encode(request)


def clean() -> Writer:
    """Ada has replied STOP at 100; a request of every outcome at 200."""
    writer = Writer()
    writer.event(stop(phone(ADA), 100), 100)
    seen = ((0, 1),)
    writer.request(200, Outcome.DROPPED, ADA, state=seen)
    writer.request(200, Outcome.FORWARDED, BEN, state=seen)
    writer.request(200, Outcome.EXPIRED, BEN, state=seen)
    writer.request(200, Outcome.INVALID, "call me", state=seen)
    return writer
