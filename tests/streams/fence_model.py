"""A model of several owners of one partition, and a search through everything that can happen between them.

An owner fences every producer id, reads the committed offset, then decides one record after another, each in a
transaction on the next id in turn. At any moment it may fail or crash and start over. No owner knows of another.

What the model takes from the broker:
* a transaction succeeds only while its owner is the last one that fenced the id it runs on;
* fencing an id waits until the last commit on that id is complete;
* a committed offset may be read OLD: a commit is certain to be seen only by who fenced its id after it (a commit that
  is acknowledged is not yet visible everywhere).

A *double decision* is a transaction that succeeds for a record that is decided already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import permutations
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Protocol:
    """What an owner may do: the orders in which it may fence `producers` ids, and where its turns may begin."""

    producers: int
    fence_orders: frozenset[tuple[int, ...]]
    first: frozenset[int]

    @classmethod
    def any_order(cls, producers: int) -> Protocol:
        """Fencing all at the same time: the broker may answer in any order."""
        return cls(producers, frozenset(permutations(range(producers))), frozenset({0}))

    @classmethod
    def any_first(cls, producers: int) -> Protocol:
        """Fencing in order, but the first transaction anywhere."""
        return cls(producers, frozenset({tuple(range(producers))}), frozenset(range(producers)))


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much each owner does: the search visits everything within."""

    transactions: int
    restarts: int


class Phase(Enum):
    FENCING = 1
    READING = 2
    DECIDING = 3


class Owner(NamedTuple):
    """`next_offset` is the least it can still read while it fences, then the record it decides next."""

    phase: Phase
    fenced: tuple[int, ...]
    next_offset: int
    turn: int
    transactions_left: int
    restarts_left: int


class State(NamedTuple):
    """`holder`: who fenced each id last. `last_commit`: the offset that the last commit on each id committed."""

    committed: int
    holder: tuple[int | None, ...]
    last_commit: tuple[int, ...]
    owners: tuple[Owner, ...]


class DoubleDecisionError(Exception):
    """The record at `offset` was decided twice."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"record {offset} is decided twice")
        self.offset = offset


def search(protocols: Sequence[Protocol], bounds: Bounds) -> int:
    """Visit every state that owners with these protocols can reach; returns how many states there are.

    Raises DoubleDecisionError at the first one in which a record is decided twice.
    """
    owner = Owner(Phase.FENCING, (), 0, 0, bounds.transactions, bounds.restarts)
    ids = max(protocol.producers for protocol in protocols)
    nobody: tuple[int | None, ...] = (None,) * ids
    start = State(0, nobody, (0,) * ids, (owner,) * len(protocols))
    seen, ahead = {start}, [start]
    while ahead:
        state = ahead.pop()
        for number, protocol in enumerate(protocols):
            for following in _steps(protocol, state, number):
                if following not in seen:
                    seen.add(following)
                    ahead.append(following)
    return len(seen)


def _steps(protocol: Protocol, state: State, number: int) -> Iterator[State]:
    """Everything owner `number` may do next."""
    owner = state.owners[number]
    match owner.phase:
        case Phase.FENCING:
            yield from _fence_one(protocol, state, number)
        case Phase.READING:
            for offset in range(owner.next_offset, state.committed + 1):
                for turn in protocol.first:
                    yield _with(state, number, owner._replace(phase=Phase.DECIDING, next_offset=offset, turn=turn))
        case Phase.DECIDING:
            yield from _decide_one(protocol.producers, state, number)
    if owner.restarts_left and (owner.phase is not Phase.FENCING or owner.fenced):
        again = Owner(Phase.FENCING, (), 0, 0, owner.transactions_left, owner.restarts_left - 1)
        yield _with(state, number, again)


def _fence_one(protocol: Protocol, state: State, number: int) -> Iterator[State]:
    owner = state.owners[number]
    done = len(owner.fenced)
    for identity in {order[done] for order in protocol.fence_orders if order[:done] == owner.fenced}:
        fenced = (*owner.fenced, identity)
        phase = Phase.READING if len(fenced) == protocol.producers else Phase.FENCING
        seen_at_least = max(owner.next_offset, state.last_commit[identity])
        owns = owner._replace(phase=phase, fenced=fenced, next_offset=seen_at_least)
        yield _with(state, number, owns)._replace(holder=_put(state.holder, identity, number))


def _decide_one(producers: int, state: State, number: int) -> Iterator[State]:
    owner = state.owners[number]
    identity = owner.turn % producers
    if not owner.transactions_left or state.holder[identity] != number:
        return
    if owner.next_offset != state.committed:
        raise DoubleDecisionError(owner.next_offset)
    decided = state.committed + 1
    goes_on = owner._replace(next_offset=decided, turn=owner.turn + 1, transactions_left=owner.transactions_left - 1)
    yield _with(state, number, goes_on)._replace(
        committed=decided, last_commit=_put(state.last_commit, identity, decided)
    )


def _with(state: State, number: int, owner: Owner) -> State:
    return state._replace(owners=_put(state.owners, number, owner))


def _put(row: tuple[Item, ...], index: int, item: Item) -> tuple[Item, ...]:
    return (*row[:index], item, *row[index + 1 :])
