"""What providers tell us about a person's wishes, in our words: the result of every parser in this package.

A parser is pure: verified bytes and the location's settings in, signals out. It knows no clock, no Kafka and no state;
who turns signals into events of `dnd.events` adds those. What a provider says and we do not know is a `Note`, never an
error: providers add fields and words without notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.dnd.model import Actor, Cause, Scope, Subject


class BadSignature(Exception):  # noqa: N818 - an outcome of verifying, not a fault
    """The call is not from the provider, or was changed on its way. Its text says what is wrong, without secrets."""


class Unparsable(Exception):  # noqa: N818 - an outcome of parsing, not a fault
    """Signed by the provider, but not in a shape we can read. Its text names what was expected."""


@dataclass(frozen=True, slots=True)
class OptOut:
    """Hold `subject` on `scopes` for `cause`.

    `at` (ms): when it became true, as the provider dates it; None = the moment we received it.
    `event_id` is the same for every delivery of the same fact.
    `message_id`: the provider's id of the message of ours that failed. Without `at` it is true since that message was
    created, if somebody knows when that was.
    """

    event_id: str
    subject: Subject
    scopes: tuple[Scope, ...]
    cause: Cause
    at: int | None
    actor: Actor
    evidence: Mapping[str, object] = field(default_factory=dict)
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class OptIn:
    """End the holds of `causes` on `scopes` that were placed before we received it (R18: START; WhatsApp resume).

    `message_id`: the provider's id of the message that said so, for asking the provider when it was sent.
    `at` (ms): only the holds placed at or before it end, as the provider dates the wish; None = the moment we received
    it. A dated one that arrives behind a newer opt-out does not lift it.
    """

    event_id: str
    subject: Subject
    scopes: tuple[Scope, ...]
    causes: tuple[Cause, ...]
    actor: Actor
    message_id: str | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)
    at: int | None = None


class Note(StrEnum):
    """Why a call, or a part of it, changes nothing, or what was odd about it. Each is counted."""

    NO_KEYWORD = "no_keyword"  # an ordinary message
    NOT_A_FAILURE = "not_a_failure"  # a status without meaning for DND
    UNKNOWN_EVENT = "unknown_event"  # a kind of event we have no row for
    UNKNOWN_CODE = "unknown_code"  # a failure whose code or reason has no row
    TEMPORARY_FAILURE = "temporary_failure"
    NO_EFFECT = "no_effect"  # a failure that has a row, and the row says: it tells nothing of the person's wish
    BAD_ADDRESS = "bad_address"  # nothing that could be held
    UNKNOWN_ACCOUNT = "unknown_account"  # signed for an account, page or number that no location has
    KEYWORD_CONFLICT = "keyword_conflict"  # the provider's word and our profile differ; the stricter counts
    PARTIAL_OPT_OUT = "partial_opt_out"  # from less than a channel (a topic of a Messenger page): nothing is held
    IGNORED_BY_SETTING = "ignored_by_setting"  # the location chose that it does not count
    TEST_MODE = "test_mode"  # the provider says that it is not meant


Signal = OptOut | OptIn


@dataclass(frozen=True, slots=True)
class Parsed:
    """Signals of one call in the order they were told, and what was noted beside them."""

    signals: tuple[Signal, ...] = ()
    notes: tuple[Note, ...] = ()
