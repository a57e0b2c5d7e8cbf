"""Calls and voicemail drops through Twilio (twilio.com/docs/voice/api/call-resource).

What is heard travels with the call, as TwiML: the body is said, then the attachments are played. A voicemail drop is a
call that waits for the end of an answering machine's greeting; a person who answers hears it at once.

Calls have no `ValidityPeriod`: Twilio places them one a second unless the account has more, and queues the others for
up to a day. So it is our rate limit that keeps them from waiting where no check reaches them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

from gateway.providers.sending import CannotSend, HttpCall, Message
from gateway.providers.twilio.send_account import TwilioSender
from gateway.providers.twilio.send_fields import file_urls, recipient, sending_number

TWIML_LIMIT = 4_000
"""Characters of the `Twiml` of a call; Twilio refuses a longer one with 32018."""

VOICEMAIL = "voicemail"
"""The spelling of the channel that means a voicemail drop, folded to lower case."""

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not have, not even as a reference: a TwiML with one is not read at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioCalls(TwilioSender):
    """Calls. A sender is a number: a messaging service cannot call."""

    def call(self, message: Message) -> HttpCall:
        to, number = recipient(message), (message.from_ or "").strip() or self.from_number
        if not number:
            raise CannotSend("no_sender", "neither the message nor the account names a number that calls")
        fields = [("To", to), ("From", sending_number(number)), ("StatusCallback", self.callback(message))]
        if message.spelling.casefold() == VOICEMAIL:
            fields.append(("MachineDetection", "DetectMessageEnd"))
        return self.create("Calls", [*fields, ("Twiml", twiml(message))])


def twiml(message: Message) -> str:
    """What is heard. CannotSend for a message without anything to say or play, or with too much."""
    body, urls = message.body or "", file_urls(message)
    if not body.strip() and not urls:
        raise CannotSend("no_content", "expected a body or an attachment")
    said = f"<Say>{_escaped(body)}</Say>" if body.strip() else ""
    played = "".join(f"<Play>{_escaped(url)}</Play>" for url in urls)
    found = f'<?xml version="1.0" encoding="UTF-8"?><Response>{said}{played}</Response>'
    if len(found) > TWIML_LIMIT:
        raise CannotSend("body_too_long", f"expected a body that makes at most {TWIML_LIMIT} characters of TwiML")
    return found


def _escaped(text: str) -> str:
    return escape(_NOT_IN_XML.sub(" ", text))
