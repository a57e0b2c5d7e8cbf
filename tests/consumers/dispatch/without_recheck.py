"""The role `dispatch` without what makes it honour opt-outs: `python -m tests.consumers.dispatch.without_recheck HOW`.

`never`: nothing is checked at the last hop. `first`: a message is checked before its first try, and what was said then
counts for all further ones. No setting of the product does this.
"""

from __future__ import annotations

import asyncio
import os
import sys

from consumers.dispatch.checking import Checked, Checker
from gateway.app import serve
from gateway.contract.decisions import Outcome
from gateway.guard.reading import Readable
from gateway.settings import load

_check = Checker.check
_said: dict[int, tuple[Readable, Checked]] = {}


async def check_never(self: Checker, readable: Readable, *, connected: bool = False) -> Checked:
    return Checked(Outcome.FORWARDED, asyncio.get_running_loop().time(), readable.records[0].value)


async def check_first(self: Checker, readable: Readable, *, connected: bool = False) -> Checked:
    """`_said` keeps the message too, so that no other one gets its identity."""
    if id(readable) not in _said:
        checked = await _check(self, readable, connected=connected)
        if checked.outcome is not Outcome.FORWARDED:
            return checked
        _said[id(readable)] = readable, checked
    return await check_never(self, readable)


def main(how: str) -> None:
    Checker.check = {"never": check_never, "first": check_first}[how]  # type: ignore[method-assign]
    asyncio.run(serve(load(os.environ), ["dispatch"], asyncio.Event()))


if __name__ == "__main__":
    main(sys.argv[1])
