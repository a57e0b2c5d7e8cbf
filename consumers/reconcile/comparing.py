"""What a page says, compared with our holds: what is missing here, and what differs. No I/O, no clock.

Of a list that tells state (Mailgun's) an entry is missing unless a hold of its cause is in force. What was lifted here
at the entry's date or later stays lifted; only what came on the list after that holds again. A log (Twilio's) tells
what people said: a STOP counts unless it is known, or something later is. An address is counted and placed once for a
page, however often it stands there: by its newest date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import assert_never

from consumers.reconcile.lists import entry_of
from gateway.dnd.model import Cause, Place, Scope, Subject
from gateway.dnd.record import Record, Register
from gateway.drift import Counts, Side
from gateway.providers.signals import OptIn, OptOut, Signal
from gateway.signals.resolve import Known, resolve

AHEAD_MS = 24 * 3_600_000
"""A date further ahead of the brokers' clock is a mistake: the entry counts as undated. Clocks differ by less."""

TOLD_AS: Mapping[Cause, Cause] = {Cause.COMPLAINT: Cause.SUPPRESSED_COMPLAINT}
"""Who is on Mailgun's list of complaints is also told of with each message (`suppress-complaint`), and that users may
clear (R11). So an entry that was told like that since is known: it makes no spam of what may be cleared, and what was
cleared does not come back."""

_NOTHING = Register()


class _Judged(Enum):
    KNOWN = auto()
    LIFTED = auto()
    UNUSABLE = auto()


@dataclass(slots=True)
class Compared:
    """`missing`: the events that say it. `differing`: addresses, each once."""

    missing: list[Place] = field(default_factory=list)
    differing: dict[Side, dict[str, None]] = field(default_factory=dict)
    unusable: int = 0

    def differs(self, side: Side, subject: Subject) -> None:
        self.differing.setdefault(side, {})[subject.id] = None

    def add_to(self, counts: Counts) -> None:
        counts.unusable += self.unusable
        for side, addresses in self.differing.items():
            for address in addresses:
                counts.differs(side, address)


def compare(
    told: Sequence[Signal],
    record_of: Callable[[Subject], Record],
    answered: Mapping[str, int],
    now: int,
    *,
    tells_state: bool,
) -> Compared:
    """`answered`: when (ms) people opted in last, by `entry_of`. `now` (ms): not earlier than it is."""
    found = Compared()
    missing: dict[tuple[Subject, Sequence[Cause], Sequence[Scope]], Place] = {}
    for signal in told:
        record = record_of(signal.subject)
        if isinstance(signal, OptIn):
            if _would_free(signal, record):
                found.differs(Side.MISSING_THERE, signal.subject)
            continue
        judged = _judge_state(signal, record, now) if tells_state else _judge_word(signal, record, answered, now)
        match judged:
            case Place():
                key = (judged.subject, judged.causes, judged.scopes)
                if key not in missing or judged.at > missing[key].at:
                    missing[key] = judged
                found.differs(Side.MISSING_HERE, signal.subject)
            case _Judged.LIFTED:
                found.differs(Side.LIFTED_HERE, signal.subject)
            case _Judged.UNUSABLE:
                found.unusable += 1
            case _Judged.KNOWN:
                pass
            case _:
                assert_never(judged)
    found.missing = list(missing.values())
    return found


def _judge_state(entry: OptOut, record: Record, now: int) -> Place | _Judged:
    """What is to be placed for an entry of a list that tells state, or why nothing is."""
    also = _registers(replace(entry, cause=TOLD_AS.get(entry.cause, entry.cause)), record)
    if all(register.in_force for register in _registers(entry, record)):
        return _Judged.KNOWN
    if all(register.in_force and register.placed.at >= (entry.at or 0) for register in also):
        return _Judged.KNOWN
    lifted_at = max(each.lifted.at for each in (*_registers(entry, record), *also))
    at = entry.at
    if at is None or at > now + AHEAD_MS:
        if lifted_at >= 0:  # nothing tells whether it was lifted since
            return _Judged.UNUSABLE
        at = now
    if at <= lifted_at:
        return _Judged.LIFTED
    return _new(replace(entry, at=at), record, now) or _Judged.LIFTED


def _judge_word(word: OptOut, record: Record, answered: Mapping[str, int], now: int) -> Place | _Judged:
    """The same for what a person said, once."""
    if word.at is None:
        return _Judged.UNUSABLE
    if _new(word, record, now) is None:
        return _Judged.KNOWN
    at = word.at
    scopes = tuple(scope for scope in word.scopes if at >= answered.get(entry_of(word.subject, scope), 0))
    open_ = replace(word, scopes=scopes)
    if not any(at > max(each.lifted.at, each.placed.at) for each in _registers(open_, record)):
        return _Judged.KNOWN
    return _new(open_, record, now) or _Judged.KNOWN


def _registers(told: OptOut, record: Record) -> list[Register]:
    return [record.registers.get((scope, told.cause), _NOTHING) for scope in told.scopes]


def _new(dated: OptOut, record: Record, now: int) -> Place | None:
    """The event by the rules of the door; None when the log has it."""
    for event in resolve(dated, Known(record, fresh=True), now, now):
        if isinstance(event, Place):
            return event
    return None


def _would_free(told: OptIn, record: Record) -> bool:
    """A START of which we know nothing, of somebody it would free."""
    if f"lift:{told.event_id}" in record.seen or told.at is None:
        return False
    registers = (record.registers.get((scope, cause), _NOTHING) for scope in told.scopes for cause in told.causes)
    return any(register.in_force and register.placed.at <= told.at for register in registers)
