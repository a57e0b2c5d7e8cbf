"""Mailgun's suppression lists and address validation, as far as a clean-up needs them (R12): calls and answers.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun (bounces, unsubscribes) and
https://documentation.mailgun.com/docs/validate/single-valid-ir. No HTTP here: who sends a `Call` adds the base URL of
the account's region and its key, and must not let its URL library decode the path again.

Lists are per sending domain, so an address is off them only when every domain of the location was asked. Complaints
are not taken off: R11 leaves that to an appeal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from gateway.providers.reading import answered_object, path_segment, shown, text, texts, word


class SuppressionList(StrEnum):
    """The lists a clean-up takes the address off, as their paths spell them."""

    BOUNCES = "bounces"
    UNSUBSCRIBES = "unsubscribes"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the API: `path` is encoded already."""

    method: str
    path: str


class Answered(StrEnum):
    """What an answer means for the step that asked."""

    DONE = "done"
    RETRY = "retry"  # busy or broken: the same call again later
    FAILED = "failed"  # will not get better by asking again


class Verdict(StrEnum):
    """What a validation says about lifting (R12)."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"  # nothing against it, nothing known for it
    REFUSE = "refuse"


VERDICTS: Mapping[str, Verdict] = MappingProxyType(
    {
        "deliverable": Verdict.PASS,
        "catch_all": Verdict.WARN,
        "unknown": Verdict.WARN,
        "undeliverable": Verdict.REFUSE,
        "do_not_send": Verdict.REFUSE,
    }
)
"""`result` of a validation. A word that is not here refuses."""

REASONS_LIMIT = 10
"""Reasons of a validation that are kept; Mailgun names one or two."""

_DOMAIN_UNKNOWN = "domain not found"
"""How the 404 begins that is about the sending domain. It is no proof that the address is not on the list."""

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Removal:
    """How a removal ended. `why` says it to a person, without the address."""

    answered: Answered
    why: str


@dataclass(frozen=True, slots=True)
class Validation:
    """How a validation ended. `verdict` is None unless it is done; `result`, `risk`, `reasons` are Mailgun's words."""

    answered: Answered
    why: str
    verdict: Verdict | None = None
    result: str = ""
    risk: str = ""
    reasons: tuple[str, ...] = ()


def removal(domain: str, listed: SuppressionList, address: str) -> Call:
    """Takes the address off one list of one sending domain."""
    return Call("DELETE", f"/v3/{path_segment(domain)}/{listed}/{path_segment(address)}")


def removals(domains: tuple[str, ...], address: str) -> tuple[Call, ...]:
    """All removals of a clean-up, in the order in which they are made."""
    return tuple(removal(domain, listed, address) for domain in domains for listed in SuppressionList)


def validation(address: str) -> Call:
    """Asks whether the address takes mail. Each call is paid for."""
    return Call("GET", f"/v4/address/validate?address={path_segment(address)}&provider_lookup=true")


def read_removal(status: int, body: bytes) -> Removal:
    """The answer to a removal. An address that was not on the list (404) is off it."""
    message = shown(text(answered_object(body), "message"))
    if status == 404 and not message.lower().startswith(_DOMAIN_UNKNOWN):
        return Removal(Answered.DONE, "it was not on the list")
    if 200 <= status < 300:
        return Removal(Answered.DONE, "removed")
    return Removal(*_not_done(status, message))


def read_validation(status: int, body: bytes) -> Validation:
    """The answer to a validation."""
    answer = answered_object(body)
    if not 200 <= status < 300:
        return Validation(*_not_done(status, shown(text(answer, "message"))))
    result = shown(word(answer, "result"))
    if not result:
        return Validation(Answered.FAILED, "the answer has no result")
    return Validation(
        Answered.DONE,
        f"the address is {result}",
        VERDICTS.get(result, Verdict.REFUSE),
        result,
        shown(word(answer, "risk")),
        tuple(shown(each) for each in texts(answer, "reason")[:REASONS_LIMIT]),
    )


def _not_done(status: int, message: str) -> tuple[Answered, str]:
    why = f"Mailgun answered {status}" + (f": {message}" if message else "")
    return (Answered.RETRY if status in _TRANSIENT else Answered.FAILED), why
