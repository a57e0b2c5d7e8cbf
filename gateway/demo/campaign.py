"""The campaign: a few hundred contacts of four businesses are written to, and opt out in the middle of it.

The same seed gives the same campaign. It has no clock: see gateway.demo.steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from gateway.demo import messages, signals
from gateway.demo.bad_requests import bad_requests
from gateway.demo.messages import Workflow
from gateway.demo.people import Contact, make_contacts
from gateway.demo.signals import Kind
from gateway.demo.steps import Appealed, Campaign, Deed, Send, SendRaw, Signal, Step, Switched, Texted
from gateway.dnd.model import Cause, Channel, Scope

HOUR_MS = 3_600_000

LATE_SHARE = 0.02
"""Requests that were queued for so long that they have expired."""

SIGNALS_BEGIN, SIGNALS_END = 0.05, 0.8
"""When opt-outs come in, as part of the campaign: early enough that later messages meet them."""

AGAIN_BY = 0.97
"""START and users' lifts come before this part of the campaign is over."""

START_AFTER = 0.3
"""Between a STOP and the START of the same contact. Providers date messages in whole seconds: of two within one nobody
can tell which was last, and the contact stays held."""

STARTS, APPEALS, REDELIVERED, USER_LIFTS, REFUSED_LIFTS = 6, 1, 4, 3, 2
"""How many contacts reply START, appeal, signals are delivered twice, and holds a user lifts or may not lift."""

QUEUED_STOPS = 5
"""Contacts who reply STOP while a message to them waits for its turn at the last hop: those of the busiest location who
are written to last in the bulk send."""

SOON = 0.005
"""After the bulk send: its last messages wait."""


def make_campaign(seed: int) -> Campaign:
    """Everything that happens."""
    random = Random(seed)  # noqa: S311 - a demonstration, and it must come out the same every time
    return _Maker(random).make()


@dataclass(frozen=True, slots=True)
class _Held:
    """A contact that a signal has held."""

    signal: Signal
    contact: Contact
    kind: Kind


class _Maker:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._contacts = make_contacts(random)
        self._request_ids = (f"r-{number:05}" for number in itertools.count(1))
        self._numbers = itertools.count(1)
        self._in_bulk: list[tuple[float, Contact]] = []
        """SMS of the bulk send in the busiest location."""

    def make(self) -> Campaign:
        legacy = self._random.sample(self._contacts, signals.LEGACY)
        before = [self._signal(0.0, deed) for kind in signals.BEFORE for _, deed in self._deeds(kind)]
        steps = [*self._workflows(), *self._invoices(), *self._signals(), *self._queued_stops(), *self._bad()]
        return Campaign(self._contacts, legacy, before, sorted(steps, key=lambda step: step.at))

    def _workflows(self) -> Iterator[Step]:
        for workflow in messages.WORKFLOWS:
            for contact in self._contacts:
                if self._random.random() < workflow.share:
                    channels, weights = list(workflow.weights), list(workflow.weights.values())
                    (channel,) = self._random.choices(channels, weights)
                    at = self._random.uniform(workflow.begin, workflow.end)
                    if (workflow, channel) == (messages.OFFER, Channel.SMS) and contact.location.is_busy:
                        self._in_bulk.append((at, contact))
                    yield self._send(at, workflow, contact, channel)

    def _send(self, at: float, workflow: Workflow, contact: Contact, channel: Channel) -> Send:
        random = self._random
        text = workflow.text.format(
            name=contact.name,
            business=contact.location.name,
            day=random.choice(messages.DAYS),
            hour=random.randrange(9, 18),
        )
        body: dict[str, object] = {
            "request_id": next(self._request_ids),
            "location_id": contact.location.id,
            "contact_id": contact.id,
            "channel": random.choice(messages.ALSO_SPELT[channel]),
            "to": contact.to(channel),
            "body": text,
            "source": workflow.source,
            "workflow_id": workflow.id or None,
            "user_id": None if workflow.id else "u-7",
        }
        if random.random() < LATE_SHARE:
            return Send(at, body, expires_in_ms=-random.randrange(HOUR_MS))
        return Send(at, body, expires_in_ms=24 * HOUR_MS)

    def _invoices(self) -> Iterator[Step]:
        """To the contact and a housemate, with a copy to the accountant."""
        for contact in self._random.sample(self._contacts, messages.INVOICES):
            neighbours = [other for other in self._contacts if other.location == contact.location]
            housemate, accountant = self._random.choice(neighbours), self._random.choice(neighbours)
            body: dict[str, object] = {
                "request_id": next(self._request_ids),
                "location_id": contact.location.id,
                "contact_id": contact.id,
                "channel": "Email",
                "to": [contact.email, housemate.email],
                "cc": [accountant.email],
                "subject": "Your invoice",
                "body": messages.INVOICE_TEXT.format(name=contact.name, business=contact.location.name),
                "source": "workflow",
                "workflow_id": messages.INVOICE_ID,
            }
            yield Send(self._random.uniform(0.55, 1.0), body)

    def _deeds(self, kind: Kind) -> Iterator[tuple[Contact, Deed]]:
        for index, contact in enumerate(self._random.sample(self._contacts, kind.count)):
            yield contact, kind.deed(contact, index)

    def _signal(self, at: float, deed: Deed, follow_up: Scope | None = None) -> Signal:
        """`follow_up`: the next message to the contact, what must not slip through, is on this scope."""
        then = None if follow_up is None else self._follow_up(at, deed.contact, follow_up)
        return Signal(at, next(self._numbers), deed, then)

    def _signals(self) -> Iterator[Step]:
        held: list[_Held] = []
        for kind in signals.DURING:
            for contact, deed in self._deeds(kind):
                signal = self._signal(self._random.uniform(SIGNALS_BEGIN, SIGNALS_END), deed, kind.scope)
                held.append(_Held(signal, contact, kind))
                yield signal
        by_providers = [each.signal for each in held if not isinstance(each.signal.deed, Switched)]
        for signal in self._random.sample(by_providers, REDELIVERED):
            yield Signal(self._after(signal.at), signal.number, signal.deed)
        yield from self._lifts(held)

    def _lifts(self, held: list[_Held]) -> Iterator[Step]:
        def some(count: int, *causes: Cause) -> list[_Held]:
            return self._random.sample([each for each in held if each.kind.cause in causes], count)

        early = [
            each for each in some(signals.STOP.count, Cause.KEYWORD_OPT_OUT) if each.signal.at + START_AFTER < AGAIN_BY
        ]
        for each in early[:STARTS]:
            again = self._after(each.signal.at + START_AFTER)
            yield self._signal(again, Texted(each.contact, "START"), each.kind.scope)
        for each in some(APPEALS, Cause.CARRIER_OPT_OUT):
            yield self._signal(self._after(each.signal.at), Appealed(each.contact, Channel.SMS), each.kind.scope)
        lifted = some(USER_LIFTS, Cause.UNREACHABLE, Cause.BOUNCE)
        for each in lifted + some(REFUSED_LIFTS, Cause.COMPLAINT):
            switched = Switched(each.contact, each.kind.scope, on=False)
            yield self._signal(self._after(each.signal.at), switched, each.kind.scope)

    def _queued_stops(self) -> Iterator[Step]:
        last = sorted(self._in_bulk, key=lambda each: each[0])[-QUEUED_STOPS:]
        for index, (_, contact) in enumerate(reversed(last)):
            yield self._signal(messages.OFFER.end + SOON, signals.STOP.deed(contact, index), Scope.SMS)

    def _after(self, at: float) -> float:
        return self._random.uniform(at, AGAIN_BY)

    def _follow_up(self, at: float, contact: Contact, scope: Scope) -> Send:
        channel = self._random.choice(list(Channel)) if scope is Scope.ALL else Channel(scope.value)
        return self._send(at, messages.FOLLOW_UP, contact, channel)

    def _bad(self) -> Iterator[Step]:
        for number, (what, value) in enumerate(bad_requests()):
            key = (b"c-9000", None, b"\xff\x00\x01")[number % 3]  # keys are arbitrary: some binary, some none
            yield SendRaw(self._random.uniform(0.1, 0.95), what, key, value)
