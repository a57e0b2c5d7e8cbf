"""The campaign: a few hundred contacts of four businesses are written to, and opt out in the middle of it.

The same seed gives the same campaign. It has no clock: see gateway.demo.steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random

from gateway.demo import messages, signals
from gateway.demo.bad_requests import bad_requests
from gateway.demo.messages import Workflow
from gateway.demo.people import Contact, make_contacts
from gateway.demo.steps import Campaign, Send, SendRaw, Signal, Step
from gateway.dnd.model import Cause, Channel, Place, Scope

HOUR_MS = 3_600_000

LATE_SHARE = 0.02
"""Requests that were queued for so long that they have expired."""

SIGNALS_BEGIN, SIGNALS_END = 0.05, 0.8
"""When opt-outs come in, as part of the campaign: early enough that later messages meet them."""

AGAIN_BY = 0.97
"""START and users' lifts come before this part of the campaign is over."""

STARTS, REDELIVERED, USER_LIFTS, REFUSED_LIFTS = 6, 4, 3, 2
"""How many contacts reply START, signals are delivered twice, and holds a user lifts or may not lift."""


def make_campaign(seed: int) -> Campaign:
    """Everything that happens."""
    random = Random(seed)  # noqa: S311 - a demonstration, and it must come out the same every time
    return _Maker(random).make()


class _Maker:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._contacts = make_contacts(random)
        self._request_ids = (f"r-{number:05}" for number in itertools.count(1))

    def make(self) -> Campaign:
        before = [
            signals.place(kind, contact, self._random)
            for kind in signals.BEFORE
            for contact in self._random.sample(self._contacts, kind.count)
        ]
        steps = [*self._workflows(), *self._invoices(), *self._signals(), *self._bad()]
        return Campaign(before, sorted(steps, key=lambda step: step.at))  # stable: a follow-up stays behind its signal

    def _workflows(self) -> Iterator[Step]:
        for workflow in messages.WORKFLOWS:
            for contact in self._contacts:
                if self._random.random() < workflow.share:
                    channels, weights = list(workflow.weights), list(workflow.weights.values())
                    (channel,) = self._random.choices(channels, weights)
                    yield self._send(self._random.uniform(workflow.begin, workflow.end), workflow, contact, channel)

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

    def _signals(self) -> Iterator[Step]:
        random = self._random
        placed: list[tuple[float, Contact, Place]] = []
        for kind in signals.DURING:
            for contact in random.sample(self._contacts, kind.count):
                at, event = random.uniform(SIGNALS_BEGIN, SIGNALS_END), signals.place(kind, contact, random)
                placed.append((at, contact, event))
                yield Signal(at, [event])
                yield self._follow_up(at, contact, kind.scope)
        for at, _, event in random.sample(placed, REDELIVERED):
            yield Signal(self._after(at), [event])
        yield from self._lifts(placed)

    def _lifts(self, placed: list[tuple[float, Contact, Place]]) -> Iterator[Step]:
        random = self._random

        def some(count: int, *causes: Cause) -> list[tuple[float, Contact, Place]]:
            return random.sample([each for each in placed if each[2].causes[0] in causes], count)

        for at, contact, _ in some(STARTS, Cause.KEYWORD_OPT_OUT, Cause.CARRIER_OPT_OUT):
            again = self._after(at)
            yield Signal(again, [signals.start(contact, random)])
            yield self._follow_up(again, contact, Scope.SMS)
        lifted = some(USER_LIFTS, Cause.UNREACHABLE, Cause.BOUNCE)
        refused = some(REFUSED_LIFTS, Cause.COMPLAINT)
        for at, contact, event in lifted + refused:
            again = self._after(at)
            yield Signal(again, [signals.user_lift(event, random)])
            yield self._follow_up(again, contact, event.scopes[0])

    def _after(self, at: float) -> float:
        return self._random.uniform(at, AGAIN_BY)

    def _follow_up(self, at: float, contact: Contact, scope: Scope) -> Send:
        """The next message to the contact, sent as soon as the signal is acknowledged: what must not slip through."""
        channel = self._random.choice(list(Channel)) if scope is Scope.ALL else Channel(scope.value)
        return self._send(at, messages.FOLLOW_UP, contact, channel)

    def _bad(self) -> Iterator[Step]:
        for number, (what, value) in enumerate(bad_requests()):
            key = (b"c-9000", None, b"\xff\x00\x01")[number % 3]  # keys are arbitrary: some binary, some none
            yield SendRaw(self._random.uniform(0.1, 0.95), what, key, value)
