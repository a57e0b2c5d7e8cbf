"""What of a message may stand in a call to Twilio: its recipient, a number that sends, and files."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from gateway.providers.sending import CannotSend, Message

FILES_LIMIT = 10
"""Files of one message (twilio.com/docs/messaging/api/message-resource, MediaUrl)."""

LONGEST_URL = 2_000
"""Characters of a file's URL: what everything on the way takes; Twilio names no limit."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")


class _File(msgspec.Struct):
    url: str


_ATTACHMENT = msgspec.json.Decoder(str | _File)


def recipient(message: Message) -> str:
    """The one number the message goes to. CannotSend.

    Nothing but a bare number passes: to Twilio the form of an address is the channel, and it is the message's own
    channel that was checked.
    """
    if len(message.to) != 1 or message.cc or message.bcc:
        raise CannotSend("bad_recipient", "expected one recipient")
    if not _E164.fullmatch(message.to[0]):
        raise CannotSend("bad_recipient", "expected the recipient's phone number as E.164")
    return message.to[0]


def sending_number(number: str) -> str:
    """A sender that must be a phone number. CannotSend."""
    if not _E164.fullmatch(number):
        raise CannotSend("bad_sender", "expected the sender's phone number as E.164")
    return number


def file_urls(message: Message) -> list[str]:
    """The attachments: each an https URL, or an object with one in `url`. CannotSend."""
    if len(message.attachments) > FILES_LIMIT:
        raise CannotSend("too_many_attachments", f"expected at most {FILES_LIMIT} attachments")
    return [_url(attachment, index) for index, attachment in enumerate(message.attachments)]


def _url(attachment: msgspec.Raw, index: int) -> str:
    try:
        found = _ATTACHMENT.decode(attachment)
        url = found if isinstance(found, str) else found.url
        parts = urlsplit(url)
        fits = parts.scheme == "https" and parts.hostname and parts.port != 0
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: not UTF-8, or no URL
        fits, url = False, ""
    if not fits or len(url) > LONGEST_URL or _NOT_IN_A_URL.search(url):
        raise CannotSend(
            "bad_attachment", f'attachments[{index}]: expected an https URL, or an object with it in "url"'
        )
    return url
