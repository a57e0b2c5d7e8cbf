"""Steps of a random sequence: snapshots of contacts, signals on their addresses, and what goes wrong between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import strategies as st

from gateway.contract.contacts import Imported
from gateway.dnd.model import Cause, Scope, Subject, SubjectKind
from gateway.dnd.record import RegisterKey
from tests.directory.world import BOUNCED, MANUAL, STOPPED, UNREACHABLE, contact, email, phone

CONTACTS = ("c1", "c2", "c3")
ADDRESSES = (phone(1), phone(2), email("a"))
KEYS = {SubjectKind.PHONE: (STOPPED, UNREACHABLE, MANUAL), SubjectKind.EMAIL: (BOUNCED,)}
LEGACY = (Scope.ALL, Cause.LEGACY)


@dataclass(frozen=True)
class Have:
    """A snapshot, `age` behind the newest: 0 = it is the newest."""

    id: str
    addresses: frozenset[Subject]
    merged_into: str | None = None
    imported: tuple[Imported, ...] = ()
    deleted: bool = False
    age: int = 0


class Gone(NamedTuple):
    """A null value."""

    id: str


class Hold(NamedTuple):
    subject: Subject
    key: RegisterKey


class Start(NamedTuple):
    subject: Subject


class UserLifts(NamedTuple):
    subject: Subject
    key: RegisterKey


class TakenIn:
    """The directory catches up with the log now; it does so before every snapshot anyway."""


class Crash:
    """From now on everything is published twice."""


Step = Have | Gone | Hold | Start | UserLifts | TakenIn | Crash

_IDS = st.sampled_from(CONTACTS)
_IMPORTS = st.sampled_from([(), (Imported(*LEGACY),), (Imported(*STOPPED),), (Imported(*MANUAL),)])
_SUBJECTS = st.sampled_from([*ADDRESSES, *map(contact, CONTACTS)])


def _with_key(make: Callable[[Subject, RegisterKey], Step]) -> st.SearchStrategy[Step]:
    def keys(subject: Subject) -> st.SearchStrategy[Step]:
        fitting = KEYS.get(subject.kind, (*KEYS[SubjectKind.PHONE], BOUNCED))
        return st.builds(make, st.just(subject), st.sampled_from(fitting))

    return _SUBJECTS.flatmap(keys)


STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.builds(
            Have,
            _IDS,
            st.frozensets(st.sampled_from(ADDRESSES), max_size=2),
            st.none() | _IDS,
            _IMPORTS,
            st.sampled_from([False, False, False, True]),
            st.sampled_from([0, 0, 0, 3]),
        ),
        st.builds(Gone, _IDS),
        _with_key(Hold),
        _with_key(Hold),
        st.builds(Start, st.sampled_from([phone(1), phone(2)])),
        _with_key(UserLifts),
        st.just(TakenIn()),
        st.just(Crash()),
    ),
    max_size=12,
)
