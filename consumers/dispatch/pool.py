"""The lines and accounts of a process: which account sends a line's messages, by the accounts file as it is now.

Partitions share them: an account's limits are the process's. A line is made with its first message, and forgotten some
time after its last one; an account is ended when it has no lines, is not called, and does not wait to be mended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Set
from dataclasses import dataclass

from consumers.dispatch.account import Account, Means
from consumers.dispatch.item import Item, LineId
from consumers.dispatch.line import Line
from gateway.accounts import Accounts, Lookups
from gateway.accounts.senders import serving
from gateway.clock import now_ms
from gateway.contract.receipts import Receipt, ReceiptOutcome, error_of

LOOK_S = 1.0
"""How often lines are looked at: for changes of the accounts file, and for those that nobody needs."""

IDLE_LOOKS = 30
"""Looks in a row at which a line is empty before it is forgotten."""

NOT_CONFIGURED = "not_configured"
"""Code of a receipt: the accounts file has nothing that sends the location's messages of the channel."""


@dataclass(slots=True)
class _Attached:
    line: Line
    account: Account | None
    idle: int = 0


class Pool:
    """`add` from any task of the loop while `run` runs."""

    def __init__(self, accounts: Lookups, means: Means, found_broken: Callable[[], Collection[LineId]]) -> None:
        """`found_broken`: the lines that are disconnected because some process of ours has found it."""
        self._found_broken = found_broken
        self._lookups = accounts
        self._known: Accounts = accounts.current
        self._means = means
        self._lines: dict[LineId, _Attached] = {}
        self.accounts: dict[str, Account] = {}

    def add(self, item: Item) -> bool:
        """Give the message to its line; False = nothing sends it."""
        attached = self._attached(item.line)
        if attached.account is None:
            return False
        attached.line.add(item)
        attached.account.wake()
        return True

    def withdraw(self, line: LineId, items: Set[Item]) -> None:
        """These must not be tried any more; they are read again."""
        if (attached := self._lines.get(line)) is not None:
            attached.line.withdraw(set(items))
            if attached.account is not None:
                attached.account.wake()
        for item in items:
            item.withdrawn = True

    async def run(self) -> None:
        """Look after lines and accounts, until cancelled."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                self.look()
        finally:
            for account in self.accounts.values():
                account.end()

    def look(self) -> None:
        accounts = self._lookups.current
        for identity in list(self._found_broken()):
            if (account := self._attached(identity).account) is not None:
                account.health.found_broken(identity)
        changed = accounts is not self._known
        self._known = accounts
        for identity, attached in list(self._lines.items()):
            line = attached.line
            if changed:
                self._reattach(attached, accounts)
            if attached.account is None:
                _fail_waiting(line)
            attached.idle = 0 if len(line) else attached.idle + 1
            mending = attached.account is not None and attached.account.health.mending
            if attached.idle > IDLE_LOOKS and not mending:
                if attached.account is not None:
                    attached.account.detach(line)
                del self._lines[identity]
        for name, account in list(self.accounts.items()):
            if not account.lines and not account.flying and not account.health.mending:
                account.end()
                del self.accounts[name]

    def _attached(self, identity: LineId) -> _Attached:
        attached = self._lines.get(identity)
        if attached is None:
            line = Line(identity)
            attached = self._lines[identity] = _Attached(line, self._attach(line, self._lookups.current))
        return attached

    def _attach(self, line: Line, accounts: Accounts) -> Account | None:
        found = serving(accounts, *line.identity)
        if found is None:
            return None
        account = self.accounts.get(found.account)
        if account is None:
            account = self.accounts[found.account] = Account(found.account, self._means)
        account.attach(line, found.sender, found.max_per_second)
        return account

    def _reattach(self, attached: _Attached, accounts: Accounts) -> None:
        """Also to the same account: with another token, or rate."""
        before = attached.account
        attached.account = self._attach(attached.line, accounts)
        if before is not None and before is not attached.account:
            before.detach(attached.line)


def not_configured(item: Item) -> Receipt:
    receipt = item.receipt(ReceiptOutcome.FAILED, now_ms())
    receipt.error = error_of(NOT_CONFIGURED, "nothing sends this channel of the location")
    return receipt


def _fail_waiting(line: Line) -> None:
    while waiting := [item for item in line.waiting() if not item.withdrawn]:
        for item in waiting:
            line.drop(item)
            item.origin.settle(item, not_configured(item))
            line.finish(item)
