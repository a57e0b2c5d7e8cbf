"""Messages through Twilio: SMS and MMS, and WhatsApp (twilio.com/docs/messaging/api/message-resource).

Twilio queues a message for up to ten hours before it sends it. What waits there no check of ours can stop any more, so
`ValidityPeriod` ends the wait when the message has to be given up. The status callback carries what a later failure is
judged by: when the message was created, and for whom.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.providers.sending import CannotSend, HttpCall, Message
from gateway.providers.twilio.send_account import TwilioSender
from gateway.providers.twilio.send_fields import file_urls, recipient, sending_number

BODY_LIMIT = 1_600
"""Characters of a body; Twilio refuses a longer one with 21617."""

SHORTEST_VALIDITY_S, LONGEST_VALIDITY_S = 1, 36_000
"""What Twilio takes as `ValidityPeriod`; the longest is what it takes for granted."""

_WHATSAPP = "whatsapp:"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioSms(TwilioSender):
    """SMS and MMS. A sender is a number, a short code or a name: whatever the account may send from."""

    def call(self, message: Message) -> HttpCall:
        return self.create("Messages", _fields(self, message, ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioWhatsApp(TwilioSender):
    """WhatsApp. A sender is a number, with or without the scheme: no short code and no name has WhatsApp."""

    def call(self, message: Message) -> HttpCall:
        return self.create("Messages", _fields(self, message, _WHATSAPP))


def _fields(sender: TwilioSender, message: Message, scheme: str) -> list[tuple[str, str]]:
    """The form. CannotSend."""
    to, sends = recipient(message), dict(sender.sender_of(message))
    if not sends:
        raise CannotSend("no_sender", "neither the message nor the account names a sender")
    if scheme and "From" in sends:
        sends["From"] = scheme + sending_number(sends["From"].removeprefix(scheme))
    body, urls = message.body or "", file_urls(message)
    if not body.strip() and not urls:
        raise CannotSend("no_content", "expected a body or an attachment")
    if len(body) > BODY_LIMIT:
        raise CannotSend("body_too_long", f"expected a body of at most {BODY_LIMIT} characters")
    fields = [("To", scheme + to), ("StatusCallback", sender.callback(message)), *sends.items()]
    if (validity_s := _validity_s(message)) is not None:
        fields.append(("ValidityPeriod", str(validity_s)))
    if body:
        fields.append(("Body", body))
    return [*fields, *(("MediaUrl", url) for url in urls)]


def _validity_s(message: Message) -> int | None:
    """Whole seconds the message may wait at Twilio: what was left when it was checked, within Twilio's bounds."""
    if message.checked_at is None:
        return None
    return min(max((message.not_after - message.checked_at) // 1000, SHORTEST_VALIDITY_S), LONGEST_VALIDITY_S)
