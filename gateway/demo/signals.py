"""What contacts, carriers, mail providers and users do about DND during the campaign, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.demo.people import Contact
from gateway.demo.steps import Bounced, Chose, Deed, Objected, Switched, Texted, Undelivered
from gateway.dnd.model import Cause, Scope


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: `count` contacts are held on `scope` for `cause` by a deed. `words`: what was said, in turn."""

    count: int
    cause: Cause
    scope: Scope
    make: Callable[[Contact, str], Deed]
    words: tuple[str, ...]

    def deed(self, contact: Contact, index: int) -> Deed:
        """That of the contact with this index among those of the row."""
        return self.make(contact, self.words[index % len(self.words)])


def _switched_on(contact: Contact, scope: str) -> Deed:
    return Switched(contact, Scope(scope), on=True)


LEGACY = 10
"""Contacts whose flag was on in the old CRM; the import brings it."""

STOP = Kind(
    24,
    Cause.KEYWORD_OPT_OUT,
    Scope.SMS,
    Texted,
    ("STOP", "Stop.", "UNSUBSCRIBE", "CANCEL", "stop all"),
)

BEFORE: tuple[Kind, ...] = (
    Kind(8, Cause.KEYWORD_OPT_OUT, Scope.SMS, Texted, ("STOP",)),
    Kind(4, Cause.MANUAL, Scope.CALL, _switched_on, (Scope.CALL.value,)),
)
"""What happened before the campaign began."""

DURING: tuple[Kind, ...] = (
    STOP,
    Kind(6, Cause.CARRIER_OPT_OUT, Scope.SMS, Undelivered, ("30004", "21610")),
    Kind(7, Cause.UNREACHABLE, Scope.SMS, Undelivered, ("30003", "30005", "30006")),
    Kind(8, Cause.BOUNCE, Scope.EMAIL, Bounced, ("bounce", "generic", "suppress-bounce")),
    Kind(7, Cause.UNSUBSCRIBE, Scope.EMAIL, Objected, ("unsubscribed",)),
    Kind(2, Cause.SUPPRESSED_COMPLAINT, Scope.EMAIL, Bounced, ("suppress-complaint",)),
    Kind(5, Cause.COMPLAINT, Scope.EMAIL, Objected, ("complained",)),
    Kind(5, Cause.PROVIDER_OPT_OUT, Scope.WHATSAPP, Chose, ("stop",)),
    Kind(8, Cause.MANUAL, Scope.ALL, _switched_on, (Scope.ALL.value,)),
    Kind(4, Cause.MANUAL, Scope.FB, _switched_on, (Scope.FB.value,)),
    Kind(3, Cause.MANUAL, Scope.GMB, _switched_on, (Scope.GMB.value,)),
)
"""What comes in while it runs."""
