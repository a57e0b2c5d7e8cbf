"""Whether a provider knows an account of ours, and finding out when it does again (R8).

Once broken, nothing of the account is sent. It says `disconnected` for its lines, asks the provider with a growing
pause whether it knows us again, by one message where nothing else can tell, and then says `connected`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from consumers.dispatch.connecting import Caller, MaybeWritten, NotWritten
from consumers.dispatch.item import LineId
from gateway.contract.integrations import IntegrationStatus
from gateway.providers.sending import Sender

FIRST_PROBE_S, LONGEST_PROBE_S = 1.0, 60.0
"""Between two questions whether a broken account works again, doubling."""

HEARD_S = 10.0
"""How long our own word may take to come back to us."""

Announce = Callable[[LineId, str, IntegrationStatus], Awaitable[None]]
"""Says to `integrations` what a line is; returns when that is acknowledged."""


class Health:
    """Of one account. `senders`: of its lines, as they are at any moment; `waiting`: whether they have messages."""

    def __init__(
        self,
        name: str,
        senders: Mapping[LineId, Sender],
        waiting: Callable[[], bool],
        group: asyncio.TaskGroup,
        caller: Caller,
        announce: Announce,
        wake: Callable[[], None],
    ) -> None:
        self._name = name
        self._senders = senders
        self._waiting = waiting
        self._group = group
        self._caller = caller
        self._say = announce
        self._wake = wake
        self._clock = asyncio.get_running_loop().time
        self._pause_s = FIRST_PROBE_S
        self._announced: set[LineId] = set()
        self._connected_at: dict[LineId, float] = {}
        self._mender: asyncio.Task[None] | None = None
        self.broken: str | None = None
        """Why nothing can be sent, until the provider knows us again."""
        self.probing = False
        """One message may be tried although it is broken: nothing else can tell."""

    @property
    def mending(self) -> bool:
        """Whether there is something that must be said or asked yet."""
        return self._mender is not None and not self._mender.done()

    def works(self) -> None:
        """The provider has taken something."""
        self.broken, self._pause_s = None, FIRST_PROBE_S

    def breaks(self, why: str) -> None:
        """The provider does not know us."""
        self.broken = why
        if not self.mending:
            self._mender = self._group.create_task(self._mend(), name=f"mender of {self._name}")

    def found_broken(self, line: LineId) -> None:
        """`integrations` has it that the line's account is broken, as this process or another one has found."""
        said_at = self._connected_at.get(line, float("-inf"))
        if line in self._announced or self._clock() - said_at < HEARD_S:
            return
        self._announced.add(line)
        if not self.mending:
            self.breaks("it was disconnected before")

    def end(self) -> None:
        if self._mender is not None:
            self._mender.cancel()

    async def _mend(self) -> None:
        while self.broken is not None:
            await self._until_mended()
            self.probing = False
            self._wake()
            for line in list(self._announced):
                await self._say(line, self._name.partition(":")[0], IntegrationStatus.CONNECTED)
                self._announced.discard(line)
                self._connected_at[line] = self._clock()

    async def _until_mended(self) -> None:
        while self.broken is not None:
            await self._announce_disconnected()  # each time: lines may have come since
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, LONGEST_PROBE_S)
            if self.broken is not None:
                await self._ask()

    async def _ask(self) -> None:
        """Whether the account works again."""
        for sender in list(self._senders.values())[:1]:
            call = sender.probe()
            if call is None:
                # With nothing to try, and the guard refusing more, nobody would ever know: so the next one shall tell.
                self.probing = self._waiting()
                if not self.probing:
                    self.broken = None
                self._wake()
                return
            with suppress(NotWritten, MaybeWritten):
                if sender.works(await self._caller.call(call)):
                    self.works()

    async def _announce_disconnected(self) -> None:
        for line, sender in list(self._senders.items()):
            if line not in self._announced:
                await self._say(line, sender.provider, IntegrationStatus.DISCONNECTED)
                self._announced.add(line)
