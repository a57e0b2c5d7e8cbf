"""Sending a message through a provider: what an adapter makes of a message, and of the provider's answer.

An adapter is pure: it says which HTTP call sends a message and what an answer means. Who makes the call, when it may be
tried, and what becomes of an outcome is `consumers.dispatch`'s. Answers are read by tables, one row a code: what has no
row counts by its HTTP status, and an unknown outcome is never taken for a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from gateway.dnd.model import Channel
from gateway.providers.signals import OptOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A forwarded request, checked just now.

    `to`, `cc`, `bcc`: those who may have it; phone numbers as E.164, email addresses as the sender spelt them.
    `spelling`: the channel as the sender wrote it: what is a voicemail drop, and what a call.
    `created_at` (ms): when the sender made it, else when it was decided. `not_after` (ms): given up then.
    `checked_at` (ms): when the check before this try began; set anew for each try. None: what rests on it is left out.
    """

    decision_id: str
    request_id: str
    location_id: str
    contact_id: str
    channel: Channel
    spelling: str
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    from_: str | None = None
    subject: str | None = None
    body: str | None = None
    html: str | None = None
    attachments: tuple[msgspec.Raw, ...] = ()
    metadata: Mapping[str, msgspec.Raw] = field(default_factory=dict)
    created_at: int
    not_after: int
    checked_at: int | None = None


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP request, whole. Its text form hides `headers` and `body`: they carry secrets and what people write.

    `repeatable`: whether the provider takes it once only, however often it comes (an idempotency key): then it may be
    tried again after an answer that leaves open whether it was sent.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class CannotSend(Exception):  # noqa: N818 - an outcome, not a fault
    """The provider has no way to send this: no call is made. `code` and the text go into the receipt."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider has taken it. `message_id`: as its later callbacks name it."""

    message_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Not sent, and never will be. `opt_outs`: what the refusal says of the person's wish; empty for bad data."""

    code: str
    message: str
    opt_outs: tuple[OptOut, ...] = ()


@dataclass(frozen=True, slots=True)
class TryLater:
    """Certainly not sent, and worth another try: throttled, or turned away at the door.

    `after_s`: not before, as the provider says. `throttled`: the account works, it is only asked to be slower.
    """

    code: str
    message: str
    after_s: float | None = None
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Unclear:
    """It may have been sent: an answer of 500, 502 or 504, or one that cannot be read."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AccountBroken:
    """The provider does not know us (401, 403, Twilio 20003): nothing of this account is sent until it does (R8)."""

    code: str
    message: str


Outcome = Sent | Refused | TryLater | Unclear | AccountBroken


class Sender(Protocol):
    """One account at a provider, for one channel."""

    @property
    def provider(self) -> str:
        """`twilio`, `mailgun`, `meta` or `http`: as in receipts."""

    @property
    def account(self) -> str:
        """What limits, the breaker and `integrations` are kept for: the same for all channels of one account."""

    def call(self, message: Message) -> HttpCall:
        """The call that sends it. CannotSend."""

    def outcome(self, message: Message, answer: Answer) -> Outcome:
        """What the answer says."""

    def probe(self) -> HttpCall | None:
        """A call that costs nothing and tells whether the account works again; None: only a message can tell."""

    def works(self, answer: Answer) -> bool:
        """Whether the probe's answer says so."""
