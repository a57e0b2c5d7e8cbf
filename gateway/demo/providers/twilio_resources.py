"""What Twilio's API answers with: messages, calls, errors (twilio.com/docs/usage/twilios-response)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

from gateway.demo.providers.accounts import TwilioAccount
from gateway.demo.providers.answering import Refusal, Reply

API_VERSION = "2010-04-01"

ERRORS: Mapping[int, tuple[int, str]] = {
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    21201: (400, "No 'To' number is specified"),
    21205: (400, "Url parameter is required."),
    21211: (400, "Invalid 'To' Phone Number: {to}"),
    21213: (400, "No 'From' number is specified"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21606: (400, "The 'From' phone number provided is not a valid message-capable Twilio phone number."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit."),
}
"""Status and text by code."""

Resource = dict[str, object]


def error(code: int, to: str = "") -> Refusal:
    status, text = ERRORS[code]
    body = {
        "code": code,
        "message": text.format(to=to),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return Refusal(Reply(status, body), str(code))


def message_resource(account: TwilioAccount, sid: str, fields: Mapping[str, object]) -> Resource:
    uri = f"/{API_VERSION}/Accounts/{account.sid}/Messages/{sid}"
    return {
        "account_sid": account.sid,
        "api_version": API_VERSION,
        "date_created": date(),
        "date_sent": None,
        "date_updated": date(),
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "uri": f"{uri}.json",
        **fields,
    }


def call_resource(account: TwilioAccount, sid: str, fields: Mapping[str, object]) -> Resource:
    uri = f"/{API_VERSION}/Accounts/{account.sid}/Calls/{sid}"
    return {
        "account_sid": account.sid,
        "api_version": API_VERSION,
        "answered_by": None,
        "date_created": None,
        "date_updated": None,
        "direction": "outbound-api",
        "duration": None,
        "end_time": None,
        "price": None,
        "price_unit": "USD",
        "queue_time": "0",
        "sid": sid,
        "start_time": None,
        "status": "queued",
        "subresource_uris": {"events": f"{uri}/Events.json"},
        "uri": f"{uri}.json",
        **fields,
    }


def new_sid(kind: str) -> str:
    return f"{kind}{uuid.uuid4().hex}"


def date() -> str:
    """RFC 2822, whole seconds."""
    return format_datetime(datetime.now(UTC).replace(microsecond=0))
