"""What is posted to the doors: signed failures of SMS as Twilio posts them, and the events that come of them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # ships no py.typed

from gateway.accounts import LocationSettings
from gateway.dnd.record import EMPTY
from gateway.providers.twilio.webhooks import parse_status, status_callback_url
from gateway.signals.publish import records_of
from gateway.signals.resolve import Known, resolve
from gateway.streams.writing import Unwritten
from tests.bench.load import LOCATION, now_ms, phone

PUBLIC_URL = "https://gw.example.com"
TOKEN = "bench-token"  # noqa: S105 - of nobody

ACCOUNTS = f"""
[locations.{LOCATION}.twilio]
account_sid = "AC00000000000000000000000000000001"
auth_token = "{TOKEN}"
public_url = "{PUBLIC_URL}"
"""

PEOPLE = 100_000
"""Different numbers that fail."""

CREATED_AT = 1_763_900_000_000


def _url(number: int) -> str:
    return status_callback_url(PUBLIC_URL, LOCATION, CREATED_AT, f"c{number}", f"outbound.requests-0-{number}")


def _fields(mark: str, number: int) -> dict[str, str]:
    sid = f"SM{mark}{number:012d}"
    return {
        "ErrorCode": "30004",
        "SmsSid": sid,
        "SmsStatus": "undelivered",
        "MessageStatus": "undelivered",
        "To": phone(number % PEOPLE),
        "MessageSid": sid,
        "AccountSid": "AC00000000000000000000000000000001",
        "From": "+14155550100",
        "ApiVersion": "2010-04-01",
    }


def posts(mark: str, count: int) -> Iterator[bytes]:
    """`count` calls as they go over the wire, each about a message of its own. `mark`: of a round, letters."""
    signer = RequestValidator(TOKEN)
    for number in range(count):
        url, fields = _url(number), _fields(mark, number)
        yield post(url, fields, signer.compute_signature(url, fields))


def stop(mark: str, number: int) -> bytes:
    """STOP of a known subject, as an inbound message."""
    url = f"{PUBLIC_URL}/webhooks/twilio/{LOCATION}/inbound"
    fields = {"MessageSid": f"SM{mark}{number:012d}", "Body": "STOP", "From": phone(number), "To": "+14155550100"}
    return post(url, fields, RequestValidator(TOKEN).compute_signature(url, fields))


def post(url: str, fields: dict[str, str], signature: str) -> bytes:
    """The call as it goes over the wire."""
    split, body = urlsplit(url), urlencode(fields).encode()
    query = f"?{split.query}" if split.query else ""
    head = (
        f"POST {split.path}{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
        f"Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nX-Twilio-Signature: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def records(count: int) -> list[Unwritten]:
    """What the door writes to `dnd.events` for such posts."""
    made: list[Unwritten] = []
    for number in range(count):
        query = dict(parse_qsl(urlsplit(_url(number)).query))
        for signal in parse_status(_fields("records", number), query, LOCATION, LocationSettings()).signals:
            made += records_of(resolve(signal, Known(EMPTY, fresh=True), now_ms(), now_ms()), now_ms())
    return made
