"""Meta's Graph API as far as sending needs it: its calls, its errors, and the files a message may have.

developers.facebook.com/docs/graph-api: JSON in and out, a bearer token. Nothing is documented that would let a post be
repeated without being taken twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from gateway.providers.http.answers import Means, by_status, succeeded
from gateway.providers.meta.send_codes import ANY, Codes
from gateway.providers.reading import Json, answered_object, member, path_segment, text
from gateway.providers.sending import Answer, CannotSend, HttpCall, Message

Kind = Literal["image", "video", "audio", "document"]

LONGEST_URL = 2_000
"""Characters of a file's URL: what everything on the way takes; Meta names no limit."""

_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys((".jpg", ".jpeg", ".png"), "image"),
        **dict.fromkeys((".mp4", ".3gp"), "video"),
        **dict.fromkeys((".aac", ".amr", ".mp3", ".m4a", ".ogg"), "audio"),
    }
)
"""By the ending of a URL's path: what Meta takes as such. Everything else is a document."""

_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")

_CODE = re.compile(r"[0-9]{1,9}")


class _File(msgspec.Struct):
    url: str


_attachment = msgspec.json.Decoder(str | _File)


@dataclass(frozen=True, slots=True)
class Media:
    """A file by its URL. `filename`: the last part of the URL's path; may be empty."""

    url: str
    kind: Kind
    filename: str


@dataclass(frozen=True, slots=True)
class GraphError:
    """What an answer says went wrong. `code` is None, and `subcode` 0, where it does not say."""

    code: int | None
    subcode: int
    said: str
    transient: bool

    def named(self) -> str:
        """As in receipts: `131050`, `10/2018278`; empty without a code."""
        if self.code is None:
            return ""
        return f"{self.code}/{self.subcode}" if self.subcode else str(self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """A page, or a phone number, that sends. `api_base` has the version in it."""

    id: str
    token: str = field(repr=False)
    api_base: str

    def post_message(self, message: Mapping[str, object]) -> HttpCall:
        """Has the node send it."""
        headers = {**self._headers(), "Content-Type": "application/json"}
        return HttpCall("POST", f"{self._url()}/messages", headers, msgspec.json.encode(message))

    def probe(self) -> HttpCall:
        """Asks for the node's own id: free, and refused when the token has expired."""
        return HttpCall("GET", f"{self._url()}?fields=id", self._headers())

    def works(self, answer: Answer) -> bool:
        """Whether the probe was answered with this node. That it may send it does not tell."""
        return answer.status == 200 and text(answered_object(answer.body), "id") == self.id

    def _url(self) -> str:
        return f"{self.api_base.rstrip('/')}/{path_segment(self.id)}"

    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}


def error_of(answered: Json) -> GraphError:
    """The error in an answer. Never raises."""
    error = member(answered, "error")
    subcode = _number(text(error, "error_subcode"))
    said = text(member(error, "error_data"), "details") or text(error, "message")
    return GraphError(_number(text(error, "code")), subcode or 0, said, error.get("is_transient") is True)


def means(codes: Codes, error: GraphError, answer: Answer) -> Means:
    """By code and subcode, by code, else by the status."""
    if error.code is None:
        return by_status(answer)
    row = codes.get((error.code, error.subcode)) or codes.get((error.code, ANY))
    if row is Means.UNCLEAR and by_status(answer) is Means.LATER:
        return Means.LATER  # 503: turned away at the door
    if row is not None:
        return row
    if succeeded(answer) or (error.transient and by_status(answer) is Means.REFUSED):
        return Means.UNCLEAR  # not a refusal, Meta says, but neither that nothing was sent
    return by_status(answer)


def _number(digits: str) -> int | None:
    return int(digits) if _CODE.fullmatch(digits) else None


def only_recipient(message: Message) -> str:
    """The one person the message goes to."""
    if len(message.to) != 1 or message.cc or message.bcc or not message.to[0].strip():
        raise CannotSend("bad_recipient", "expected one recipient")
    return message.to[0].strip()


def media_of(message: Message) -> Media | None:
    """The one file of the message: a URL as text, or an object with one in `url`."""
    if not message.attachments:
        return None
    if len(message.attachments) > 1:
        raise CannotSend("too_many_attachments", "expected at most one attachment")
    try:
        found = _attachment.decode(message.attachments[0])
        url = found if isinstance(found, str) else found.url
        parts = urlsplit(url)
        fits = parts.scheme == "https" and parts.hostname and (parts.port is None or parts.port > 0)
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: not UTF-8, or no URL
        fits = None
    if not fits or len(url) > LONGEST_URL or _NOT_IN_A_URL.search(url):
        raise CannotSend("bad_attachment", 'attachments[0]: expected an https URL, or an object with one in "url"')
    path = PurePosixPath(unquote(parts.path))
    return Media(url, _KINDS.get(path.suffix.lower(), "document"), path.name)
