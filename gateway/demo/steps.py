"""What a campaign consists of: steps at points of its time, without clock times, which whoever plays it fills in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.demo.people import Contact
from gateway.dnd.model import Channel, Scope


@dataclass(frozen=True, slots=True)
class Texted:
    """The contact writes an SMS to the business."""

    contact: Contact
    words: str


@dataclass(frozen=True, slots=True)
class Undelivered:
    """The carrier did not deliver an SMS to the contact, for the reason that Twilio's `code` names."""

    contact: Contact
    code: str


@dataclass(frozen=True, slots=True)
class Bounced:
    """An email to the contact failed for good."""

    contact: Contact
    reason: str


@dataclass(frozen=True, slots=True)
class Objected:
    """The contact `unsubscribed`, or `complained` of spam."""

    contact: Contact
    event: str


@dataclass(frozen=True, slots=True)
class Chose:
    """The contact chose in WhatsApp to `stop` or to `resume` the business's marketing messages."""

    contact: Contact
    value: str


@dataclass(frozen=True, slots=True)
class Switched:
    """A user switches the contact's DND. Whether a hold may be lifted is for the causes table."""

    contact: Contact
    scope: Scope
    on: bool


@dataclass(frozen=True, slots=True)
class Appealed:
    """A user appeals with proof that the contact wants messages on the channel, and support approves."""

    contact: Contact
    channel: Channel


Deed = Texted | Undelivered | Bounced | Objected | Chose | Switched | Appealed


@dataclass(frozen=True, slots=True)
class Send:
    """A workflow sends a request. `at` is the part of the campaign that is over, 0 to 1.

    `created_at` is added when it is sent, and `not_after` when `expires_in_ms` (may be negative) is given.
    """

    at: float
    body: Mapping[str, object]
    expires_in_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SendRaw:
    """Somebody sends what is no request; `what` says what is wrong with it."""

    at: float
    what: str
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Signal:
    """Somebody does something outside; `then` is sent as soon as the service has answered.

    Other steps do not wait for it, but for those about the same contact. The same `number` again: the provider delivers
    what it told before once more.
    """

    at: float
    number: int
    deed: Deed
    then: Send | None = None


Step = Send | SendRaw | Signal


@dataclass(frozen=True, slots=True)
class Campaign:
    """`legacy`: contacts whose flag in the old CRM is on. `before`: what happened before it began.

    `steps` in the order of their time.
    """

    contacts: Sequence[Contact]
    legacy: Sequence[Contact]
    before: Sequence[Signal]
    steps: Sequence[Step]
