"""One try of a message: check, call, and what the provider's answer makes of it.

Theory of operation. Steps, the same for a first try and every other:

1. Past `not_after`: expired.
2. Check (`checking`): held = dropped; not connected, or nobody can say = it waits.
3. The adapter says which call sends it, to those recipients that are left.
4. Get a connection; when the check is older than CHECK_VALID_S by then, check again. A changed answer ends the try.
5. Write, and read the answer; the adapter says what it means.

What comes out is a `Tried`: a final receipt, or how long to wait, and what was learnt of the account.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from consumers.dispatch.checking import CHECK_VALID_S, Checked, Checker
from consumers.dispatch.connecting import Caller, MaybeWritten, NotWritten, Unwritable
from consumers.dispatch.item import UNKNOWN_OUTCOME, Item
from consumers.dispatch.retrying import asked_s, pause_s
from gateway.clock import now_ms
from gateway.contract.decisions import Outcome as Decided
from gateway.contract.receipts import REASONS_LIMIT, Receipt, ReceiptOutcome, error_of
from gateway.contract.requests import read_request
from gateway.dnd.model import Channel
from gateway.providers.sending import (
    AccountBroken,
    Answer,
    CannotSend,
    HttpCall,
    Message,
    Outcome,
    Refused,
    Sender,
    Sent,
    TryLater,
    Unclear,
)
from gateway.providers.signals import OptOut
from gateway.streams.quorum import NotFreshError

log = logging.getLogger(__name__)

NOT_FRESH_S = 0.1
"""Until the next look whether anything may be decided again."""

UNAVAILABLE_S = 1.0
"""Until the next look whether the channel is connected again."""

UNWRITABLE = "unwritable_call"
ADAPTER_FAULT = "adapter_fault"
"""Codes of receipts."""


class Learnt(StrEnum):
    """What a try tells of the account."""

    NOTHING = "nothing"
    WORKS = "works"
    FAILS = "fails"
    THROTTLED = "throttled"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Tried:
    """A final `receipt`, or None: it waits for `wait_s`. `opt_outs` are to be published before the receipt counts.

    `after_s`: how long a throttled account is asked to wait. `word`: how the try ended, for counting.
    """

    word: str
    receipt: Receipt | None = None
    wait_s: float = 0.0
    learnt: Learnt = Learnt.NOTHING
    after_s: float | None = None
    why: str = ""
    opt_outs: tuple[OptOut, ...] = ()


class _Changed(Exception):  # noqa: N818 - an outcome, not a fault
    """A later check says something else."""

    def __init__(self, checked: Checked) -> None:
        super().__init__(checked.outcome)
        self.checked = checked


class Trier:
    """`attempt` from any number of tasks. `recheck=False` is for tests that show what the second look is for."""

    def __init__(
        self, checker: Checker, caller: Caller, observe_age: Callable[[float], None], *, recheck: bool = True
    ) -> None:
        self._checker = checker
        self._caller = caller
        self._observe_age = observe_age
        self._recheck = recheck
        self._clock = asyncio.get_running_loop().time

    async def attempt(self, item: Item, sender: Sender, *, as_probe: bool = False) -> Tried:
        """`as_probe`: whether the channel is connected is what the try shall tell."""
        if now_ms() > item.not_after:  # 1
            return Tried("expired", item.expired(now_ms()))
        try:
            checked = await self._checker.check(item.readable, connected=as_probe)  # 2
            return await self._checked(item, sender, checked, as_probe=as_probe)
        except NotFreshError:
            return Tried("not_fresh", wait_s=NOT_FRESH_S)
        except _Changed as changed:
            return self._refused(item, changed.checked) or Tried("changed")

    async def _checked(self, item: Item, sender: Sender, checked: Checked, *, as_probe: bool) -> Tried:
        if (refused := self._refused(item, checked)) is not None:
            return refused
        message = message_of(item, checked, now_ms() - round((self._clock() - checked.began) * 1000))
        try:
            call = _call_of(sender, message)  # 3
        except CannotSend as error:
            return _failed(item, sender, checked, error.code, str(error), Learnt.NOTHING)
        item.tries += 1

        async def recheck() -> None:  # 4
            if self._recheck and self._clock() - checked.began > CHECK_VALID_S:
                again = await self._checker.check(item.readable, connected=as_probe)
                if (again.outcome, again.value) != (checked.outcome, checked.value):
                    raise _Changed(again)
                self._observe_age(self._clock() - again.began)
            else:
                self._observe_age(self._clock() - checked.began)
            item.attempts += 1
            item.called_at = now_ms()

        try:
            answer = await self._caller.call(call, recheck)  # 5
        except Unwritable as error:
            return _failed(item, sender, checked, UNWRITABLE, str(error), Learnt.NOTHING)
        except NotWritten as error:
            wait = pause_s(item.tries)
            return Tried("not_connected", wait_s=wait, learnt=Learnt.FAILS, why=str(error))
        except MaybeWritten as error:
            return _unclear(item, sender, checked, call, Unclear("no_answer", str(error)), Learnt.FAILS)
        return _meaning(item, sender, checked, call, _outcome_of(sender, message, answer))

    def _refused(self, item: Item, checked: Checked) -> Tried | None:
        """What the check makes of it, None when it may be sent."""
        match checked.outcome:
            case Decided.FORWARDED:
                return None
            case Decided.DROPPED:
                receipt = item.receipt(ReceiptOutcome.DROPPED, now_ms())
                receipt.reasons = checked.reasons[:REASONS_LIMIT]
                return Tried("dropped", receipt)
            case Decided.EXPIRED:
                return Tried("expired", item.expired(now_ms()))
            case Decided.UNAVAILABLE:
                return Tried("unavailable", wait_s=UNAVAILABLE_S, why="the channel is not connected")
            case Decided.INVALID:
                raise AssertionError("a readable request is not invalid")
            case _:
                assert_never(checked.outcome)


def message_of(item: Item, checked: Checked, checked_at: int) -> Message:
    """The request as the adapter gets it: to those who may have it now. `checked_at` (ms): when the check began."""
    request = item.request
    if checked.removed and checked.value is not None:
        request = read_request(checked.value)
    channel = item.line[1]
    return Message(
        decision_id=item.decision_id,
        request_id=request.request_id,
        location_id=request.location_id,
        contact_id=request.contact_id,
        channel=channel,
        spelling=request.channel,
        to=_listed(request.to) if channel is Channel.EMAIL else (item.recipient,),
        cc=_listed(request.cc),
        bcc=_listed(request.bcc),
        from_=request.from_,
        subject=request.subject,
        body=request.body,
        html=request.html,
        attachments=tuple(request.attachments or ()),
        metadata=request.metadata or {},
        created_at=item.decided_at if request.created_at is None else request.created_at,
        not_after=item.not_after,
        checked_at=checked_at,
    )


def _listed(spelt: str | list[str] | None) -> tuple[str, ...]:
    return () if spelt is None else (spelt,) if isinstance(spelt, str) else tuple(spelt)


def _call_of(sender: Sender, message: Message) -> HttpCall:
    try:
        return sender.call(message)
    except CannotSend:
        raise
    except Exception as error:
        # A fault of ours in one adapter, met by one message: it must not end the process again and again.
        log.exception("the adapter of %s cannot make a call of %s", sender.provider, message.decision_id)
        raise CannotSend(ADAPTER_FAULT, type(error).__name__) from error


def _outcome_of(sender: Sender, message: Message, answer: Answer) -> Outcome:
    try:
        return sender.outcome(message, answer)
    except Exception as error:  # as above
        log.exception("the adapter of %s cannot read the answer to %s", sender.provider, message.decision_id)
        return Unclear(ADAPTER_FAULT, type(error).__name__)


def _meaning(item: Item, sender: Sender, checked: Checked, call: HttpCall, outcome: Outcome) -> Tried:
    match outcome:
        case Sent():
            receipt = _receipt(item, sender, checked, ReceiptOutcome.SENT)
            receipt.provider_message_id = outcome.message_id
            return Tried("sent", receipt, learnt=Learnt.WORKS)
        case Refused():
            return _failed(
                item, sender, checked, outcome.code, outcome.message, Learnt.WORKS, outcome.opt_outs, "refused"
            )
        case TryLater():
            wait = asked_s(outcome.after_s, pause_s(item.tries))
            learnt = Learnt.THROTTLED if outcome.throttled else Learnt.FAILS
            return Tried(
                "throttled" if outcome.throttled else "try_later",
                wait_s=0.0 if outcome.throttled else wait,
                learnt=learnt,
                after_s=outcome.after_s,
                why=outcome.code,
            )
        case Unclear():
            return _unclear(item, sender, checked, call, outcome, Learnt.NOTHING)
        case AccountBroken():
            return Tried("account_broken", learnt=Learnt.BROKEN, why=f"{outcome.code}: {outcome.message}")
        case _:
            assert_never(outcome)


def _unclear(item: Item, sender: Sender, checked: Checked, call: HttpCall, outcome: Unclear, learnt: Learnt) -> Tried:
    """A provider that takes a call once only is asked again; with any other it may have been sent."""
    if call.repeatable:
        item.unclear = f"{outcome.code}: {outcome.message}"
        return Tried("unclear", wait_s=pause_s(item.tries), learnt=learnt, why=outcome.code)
    message = f"{outcome.code}: {outcome.message}"
    return _failed(item, sender, checked, UNKNOWN_OUTCOME, message, learnt, word="unclear")


def _failed(
    item: Item,
    sender: Sender,
    checked: Checked,
    code: str,
    message: str,
    learnt: Learnt,
    opt_outs: tuple[OptOut, ...] = (),
    word: str = "cannot_send",
) -> Tried:
    receipt = _receipt(item, sender, checked, ReceiptOutcome.FAILED)
    receipt.error = error_of(code, message)
    return Tried(word, receipt, learnt=learnt, opt_outs=opt_outs, why=code)


def _receipt(item: Item, sender: Sender, checked: Checked, outcome: ReceiptOutcome) -> Receipt:
    receipt = item.receipt(outcome, now_ms())
    receipt.provider = sender.provider
    if checked.removed:
        receipt.removed = checked.removed
    return receipt
