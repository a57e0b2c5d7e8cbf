"""Messages of a page in Messenger (developers.facebook.com/docs/messenger-platform/reference/send-api).

Outside 24 hours after the person last wrote, Meta wants a reason: `metadata` of the request may carry `messaging_type`
and `tag`. One call sends a text or a file, not both. `from` is not looked at: the page is the account.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from gateway.providers.http.answers import not_sent, succeeded, unreadable
from gateway.providers.meta.graph import GraphNode, error_of, means, media_of, only_recipient
from gateway.providers.meta.send_codes import MESSENGER
from gateway.providers.reading import answered_object, text
from gateway.providers.sending import Answer, CannotSend, HttpCall, Message, Outcome, Sent

MESSAGING_TYPES = ("RESPONSE", "UPDATE", "MESSAGE_TAG")
"""Without one: RESPONSE, or MESSAGE_TAG where there is a tag."""

TAG_LIMIT = 64
"""Characters of a tag; Meta's longest is half of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessengerSender:
    """A page."""

    page_id: str
    token: str = field(repr=False)
    api_base: str = "https://graph.facebook.com/v21.0"

    @property
    def provider(self) -> str:
        return "meta"

    @property
    def account(self) -> str:
        return self.page_id

    def call(self, message: Message) -> HttpCall:
        fields = {
            "recipient": {"id": only_recipient(message)},
            **_reason(message),
            "message": _content(message),
        }
        return self._page().post_message(fields)

    def outcome(self, message: Message, answer: Answer) -> Outcome:
        found = answered_object(answer.body)
        if succeeded(answer) and "error" not in found:
            id_ = text(found, "message_id")
            return Sent(id_) if id_ else unreadable(answer)
        error = error_of(found)
        meaning = means(MESSENGER, error, answer)
        return not_sent(meaning, answer, error.named(), error.said, checked_at=message.checked_at)

    def probe(self) -> HttpCall:
        return self._page().probe()

    def works(self, answer: Answer) -> bool:
        return self._page().works(answer)

    def _page(self) -> GraphNode:
        return GraphNode(id=self.page_id, token=self.token, api_base=self.api_base)


def _reason(message: Message) -> dict[str, str]:
    tag = _word(message, "tag")
    kind = _word(message, "messaging_type") or ("MESSAGE_TAG" if tag else "RESPONSE")
    if kind not in MESSAGING_TYPES:
        raise CannotSend("bad_metadata", f"metadata.messaging_type: expected one of {', '.join(MESSAGING_TYPES)}")
    if (kind == "MESSAGE_TAG") != bool(tag):
        raise CannotSend("bad_metadata", "metadata.tag: expected with the messaging_type MESSAGE_TAG, and only with it")
    return {"messaging_type": kind, "tag": tag} if tag else {"messaging_type": kind}


def _word(message: Message, name: str) -> str:
    given = message.metadata.get(name)
    try:
        found = "" if given is None else msgspec.json.decode(given, type=str | None) or ""
    except (msgspec.DecodeError, ValueError):  # ValueError: not UTF-8
        raise CannotSend("bad_metadata", f"metadata.{name}: expected a text") from None
    if len(found) > TAG_LIMIT:
        raise CannotSend("bad_metadata", f"metadata.{name}: expected at most {TAG_LIMIT} characters")
    return found


def _content(message: Message) -> dict[str, object]:
    media = media_of(message)
    if media is None:
        if not message.body:
            raise CannotSend("no_content", "expected a body or an attachment")
        return {"text": message.body}
    if message.body:
        raise CannotSend(
            "body_with_attachment", "expected either a body or an attachment: Messenger sends one at a time"
        )
    kind = "file" if media.kind == "document" else media.kind
    return {"attachment": {"type": kind, "payload": {"url": media.url, "is_reusable": False}}}
