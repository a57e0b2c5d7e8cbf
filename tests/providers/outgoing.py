"""Messages on their way out, and what providers may answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import strategies as st

from gateway.dnd.model import Channel
from gateway.providers.sending import AccountBroken, Answer, Message, Outcome, Refused, Sender, Sent, TryLater, Unclear
from tests.providers.calls import any_json, encoded

CREATED_AT = 1_763_900_000_000
CHECKED_AT = 1_763_900_005_000

MESSAGE = Message(
    decision_id="outbound.requests:3:1200",
    request_id="req-1",
    location_id="loc1",
    contact_id="contact-1",
    channel=Channel.EMAIL,
    spelling="Email",
    to=("anna@example.com",),
    body="Hi",
    created_at=CREATED_AT,
    not_after=CREATED_AT + 3_600_000,
    checked_at=CHECKED_AT,
)

RECIPIENTS = {
    Channel.EMAIL: "anna@example.com",
    Channel.SMS: "+14155550123",
    Channel.CALL: "+14155550123",
    Channel.WHATSAPP: "+14155550123",
    Channel.FB: "24680",
    Channel.GMB: "conversations/1",
}


def message(channel: Channel = Channel.EMAIL, **changes: Any) -> Message:
    return replace(MESSAGE, **{"channel": channel, "spelling": channel.value, "to": (RECIPIENTS[channel],)} | changes)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def answer(status: int, body: object = None, **headers: str) -> Answer:
    """`headers`: with `_` for `-`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, given, b"" if body is None else encoded(body))


def graph_error(code: int, subcode: int | None = None, said: str = "no", **more: object) -> dict[str, object]:
    """As Meta answers."""
    error = {"message": said, "type": "OAuthException", "code": code, "fbtrace_id": "A", **more}
    return {"error": error if subcode is None else {**error, "error_subcode": subcode}}


def kind_of(outcome: Outcome) -> str:
    """An outcome in one word."""
    match outcome:
        case TryLater(throttled=True):
            return "throttled"
        case TryLater():
            return "later"
        case Refused():
            return "refused"
        case AccountBroken():
            return "broken"
        case Unclear():
            return "unclear"
        case Sent():
            return "sent"


def statuses_read_as(sender: Sender, sent: Message, by_status: dict[int, str]) -> None:
    """Whether answers without a body that helps are read as told."""
    assert {status: kind_of(sender.outcome(sent, answer(status))) for status in by_status} == by_status


_texts = st.sampled_from(
    ("", "x", "Grüße 😀", "a&b=c+d %20", "two\r\nlines", "\x00", "a@example.com, b@example.com")
) | st.text(max_size=8)
_lines = st.none() | _texts
_recipients = st.sampled_from((*RECIPIENTS.values(), "US.13491208655302741918", "whatsapp:+14155550123")) | _texts
_raws = st.sampled_from((None, 1, True, "", "MESSAGE_TAG", [], {}, {"name": "n", "language": {"code": "de"}})).map(raw)
_files = st.sampled_from(("https://example.com/a.pdf", "https://[", {"url": "https://example.com/b.PNG?c=d"})).map(raw)

any_message = st.builds(
    Message,
    decision_id=st.integers(0).map(lambda offset: f"outbound.requests:3:{offset}"),
    request_id=_texts,
    location_id=_texts,
    contact_id=_texts,
    channel=st.sampled_from(Channel),
    spelling=_texts,
    to=st.lists(_recipients, max_size=2).map(tuple),
    cc=st.lists(_recipients, max_size=1).map(tuple),
    bcc=st.lists(_recipients, max_size=1).map(tuple),
    from_=_lines,
    subject=_lines,
    body=_lines,
    html=_lines,
    attachments=st.lists(_raws | _files, max_size=2).map(tuple),
    metadata=st.dictionaries(st.sampled_from(("template", "tag", "messaging_type", "x")), _raws, max_size=2),
    created_at=st.integers(0, 2**53),
    not_after=st.integers(0, 2**53),
    checked_at=st.none() | st.integers(0, 2**53),
)

_odd_json: st.SearchStrategy[Any] = (
    st.sampled_from((None, True, -1, 190, 131050, 10**30, "", "131050", "\ud800", [], [{}], [{"id": 1}], {})) | any_json
)

_odd_bodies = st.one_of(
    st.binary(max_size=8),
    _odd_json.map(encoded),
    st.dictionaries(
        st.sampled_from(("id", "message_id", "messages", "message", "opt_out", "error", "domain")),
        _odd_json,
        max_size=3,
    ).map(encoded),
    st.builds(lambda code, subcode: encoded(graph_error(code, subcode)), _odd_json, _odd_json),
)

any_answer = st.builds(
    Answer,
    st.sampled_from((200, 201, 302, 400, 401, 404, 409, 422, 429, 500, 503)) | st.integers(100, 599),
    st.dictionaries(st.sampled_from(("retry-after", "date")), st.sampled_from(("1", "-1", "9" * 99, "x")), max_size=2),
    _odd_bodies,
)
"""Also such as no provider gives."""
