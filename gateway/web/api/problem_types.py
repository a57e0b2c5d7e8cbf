"""What the API answers when it does not do what it was asked: one row for each kind of problem (RFC 9457).

`type` of an answer is `urn:sendguard:problem:<name>`: stable, and compared as a whole. `detail` is for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import msgspec
from aiohttp import web

from gateway.web.problems import PROBLEM_TYPE

URN = "urn:sendguard:problem:"


class Row(NamedTuple):
    """`caller_does`: what helps, for the documentation."""

    name: str
    status: int
    title: str
    caller_does: str


class ProblemType(Enum):
    """Every kind there is."""

    NOT_JSON = Row("not-json", 400, "The body is not JSON", "Send one JSON value in UTF-8, not compressed.")
    CUT_SHORT = Row("cut-short", 400, "The body was cut short", "Send it again.")
    NOT_AUTHENTICATED = Row("not-authenticated", 401, "Not authenticated", "Send a key or a token that is valid.")
    CLOSED = Row(
        "api-closed",
        401,
        "The API is closed",
        "Ask the operator to set up API keys or a key server; nobody has access.",
    )
    ROLE_TOO_LOW = Row("role-too-low", 403, "The role may not do this", "Use a key of one of the roles named.")
    SAME_PERSON = Row(
        "same-person", 403, "Somebody else has to decide", "An appeal is decided by another person of support (R18)."
    )
    NOT_FOUND = Row(
        "not-found", 404, "Not found", "Check the path. A location the key is not for does not exist for it."
    )
    TOO_SLOW = Row("too-slow", 408, "The body took too long", "Send it again, in one go.")
    NOT_ENLISTED = Row(
        "channel-not-enlisted",
        409,
        "The channel is not connected",
        "Connect it first, or leave it out of the body (R7).",
    )
    NOTHING_TO_APPEAL = Row(
        "nothing-to-appeal", 409, "Nothing is held that an appeal would end", "Look at the contact's holds (R18)."
    )
    TOO_MANY_APPEALS = Row(
        "too-many-appeals", 409, "The contact has too many appeals", "Decide on those that are open first."
    )
    DECIDED = Row("appeal-decided", 409, "The appeal has been decided the other way", "File another one.")
    NO_ADDRESS = Row(
        "no-email-address", 409, "It is not clear which address is meant", "Name one that the contact has."
    )
    NO_ACCOUNT = Row(
        "no-mail-account",
        409,
        "The location has no account whose lists could be asked",
        "Take the address off the provider's lists by hand and confirm it with `by_hand` (R12).",
    )
    NOT_DELIVERABLE = Row(
        "not-deliverable",
        409,
        "The provider says that the address takes no mail",
        "Ask the contact for another address.",
    )
    TOO_LARGE = Row("too-large", 413, "The body is too large", "Send a smaller one.")
    INVALID = Row("invalid", 422, "Something is not as expected", "Correct what `errors` names.")
    NOT_PERMANENT = Row(
        "not-permanent",
        422,
        "Nobody can set a channel to permanent",
        "Use active or inactive; opt-outs end in permanent.",
    )
    TOO_MANY_CALLS = Row("too-many-calls", 429, "Too many calls with this key", "Wait for `Retry-After` seconds.")
    STEP_FAILED = Row(
        "step-failed",
        502,
        "The provider refused a step of the clean-up",
        "Look at the account. Nothing was lifted; the next call goes on at this step.",
    )
    UNFINISHED = Row(
        "unfinished",
        503,
        "The clean-up is not at its end",
        "Ask again after `Retry-After` seconds: it goes on where it stopped. Nothing was lifted.",
    )
    NOT_AVAILABLE = Row(
        "not-available",
        503,
        "No true answer can be given now",
        "Ask again after `Retry-After` seconds. Of a change, parts may be done; doing it again does no harm.",
    )
    KEYS_UNAVAILABLE = Row(
        "keys-unavailable", 503, "The key server does not answer", "Try again after `Retry-After` seconds."
    )

    @property
    def status(self) -> int:
        return self.value.status

    @property
    def urn(self) -> str:
        return URN + self.value.name


class FieldError(msgspec.Struct, frozen=True):
    """`field`: as a path into the body, or the name of a parameter; empty = all of it."""

    field: str
    expected: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer of 400 and above (application/problem+json)."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: list[FieldError] = []


class ProblemError(Exception):
    """Ends a call with this answer."""

    def __init__(
        self,
        kind: ProblemType,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        """`close`: the rest of the body must not be taken for the next call."""
        super().__init__(f"{kind.value.name}: {detail}")
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.close = close

    def answer(self) -> web.Response:
        row = self.kind.value
        body = Problem(self.kind.urn, row.title, row.status, self.detail, list(self.errors))
        answer = web.Response(
            body=msgspec.json.encode(body), status=row.status, headers=self.headers, content_type=PROBLEM_TYPE
        )
        if self.close:
            answer.force_close()
        return answer


def not_available(detail: str, retry_after_s: int) -> ProblemError:
    return ProblemError(ProblemType.NOT_AVAILABLE, detail, headers={"Retry-After": str(retry_after_s)})


def invalid(field: str, expected: str) -> ProblemError:
    return ProblemError(ProblemType.INVALID, f"{field}: expected {expected}", errors=[FieldError(field, expected)])
