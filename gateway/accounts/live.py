"""The accounts as the file says them now: read again while the service runs.

Theory of operation. Every few seconds the accounts file, and every file its secrets are in, is looked at (time of
change, size, inode: an exchange by renaming, as editors and Kubernetes do it, changes the inode). Files that look
different are left alone until nobody has written for `SETTLE_S`, for an editor may first empty the file and then write
it, and a half of it can be valid. Then, if the content is new too, the whole is read and checked, and the immutable
`Accounts` are exchanged for the new ones in one assignment. If anything is wrong, nothing is exchanged: what was
in force stays, `problem` says why, and the log says it once, and once when it is over. Files are read in threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.accounts.accounts import FILE_LIMIT_BYTES, Accounts, Attempt, attempt
from gateway.accounts.model import ApiKey, LocationSettings, MailgunAccount, MetaApp, TwilioAccount
from gateway.accounts.references import hashes_now

log = logging.getLogger(__name__)

LOOK_EVERY_S = 3.0
"""A token that is exchanged must be valid soon; a look costs one stat for each file."""

SETTLE_S = 0.5
"""Nobody has written for so long = written to the end. Also far above the grain of file times."""

LONGEST_SETTLE_S = 10.0
"""A file that is written all the time is read as it is."""

PROBLEMS_SHOWN = 10
"""In the log and in `problem`; a wrong header can make thousands."""

_Stat = tuple[int, int, int] | None
"""Time of change, size, inode; None = it is not there."""


@dataclass(frozen=True, slots=True)
class _Look:
    """How files look from outside, and since when the youngest has been left alone."""

    stats: Mapping[Path, _Stat]
    quiet_s: float

    @property
    def wait_s(self) -> float:
        """0 for times in the future: another machine's clock says nothing about when."""
        return SETTLE_S - self.quiet_s if 0 <= self.quiet_s < SETTLE_S else 0.0


class LiveAccounts:
    """Look-ups as in `Accounts`, always of the newest that are right. `run` is the watcher; somebody owns its task."""

    def __init__(self, path: Path | None) -> None:
        """Reads the file once. SettingsError names everything that is wrong. Without a file: defaults, for ever."""
        self.current = Accounts()
        self.problem: str | None = None
        """Why the file, as it is now, is not in force; None = it is."""
        self._path = path
        self._hashes: Mapping[Path, bytes | None] = {}
        self._seen: Mapping[Path, _Stat] | None = None
        """What nothing new is to be found behind; None = the files must be read again to know."""
        self._asked = asyncio.Event()
        self._reading = asyncio.Lock()
        if path is not None:
            first = attempt(path)
            self.current = first.result()
            self._hashes = first.hashes

    @property
    def meta(self) -> MetaApp | None:
        return self.current.meta

    @property
    def api_keys(self) -> Mapping[bytes, ApiKey]:
        return self.current.api_keys

    def default_region(self, location_id: str) -> str | None:
        return self.current.default_region(location_id)

    def location(self, location_id: str) -> LocationSettings:
        return self.current.location(location_id)

    def twilio(self, location_id: str) -> TwilioAccount | None:
        return self.current.twilio(location_id)

    def mailgun(self, location_id: str) -> MailgunAccount | None:
        return self.current.mailgun(location_id)

    def locations_of_twilio(self, account_sid: str) -> frozenset[str]:
        return self.current.locations_of_twilio(account_sid)

    async def run(self) -> None:
        """Watches the files, for ever."""
        if self._path is None:
            await asyncio.Event().wait()
        while True:
            if await self._asked_within(LOOK_EVERY_S):
                await self.reload()
            else:
                await self.reload_if_changed()

    def reload_soon(self) -> None:
        """Ask the watcher to read the files at once (SIGHUP)."""
        self._asked.set()

    async def reload_if_changed(self) -> bool:
        """Reads the files if they have changed, once they have been left alone. Whether other accounts are in force."""
        async with self._reading:
            look = await self._settled()
            return look.stats != self._seen and await self._read(look)

    async def reload(self) -> bool:
        """The same without waiting: who asks has written the files to the end."""
        async with self._reading:
            changed = await self._read(await asyncio.to_thread(_look, self._files()))
        if not changed and self.problem is None:
            log.info("accounts: read again, nothing has changed")
        return changed

    async def _asked_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _settled(self) -> _Look:
        deadline = time.monotonic() + LONGEST_SETTLE_S
        while True:
            look = await asyncio.to_thread(_look, self._files())
            if look.stats == self._seen or look.wait_s == 0 or time.monotonic() > deadline:
                return look
            await asyncio.sleep(look.wait_s)

    async def _read(self, look: _Look) -> bool:
        """Whether other accounts are in force. `look` is from before: what changes from now on looks different."""
        if self._path is None:
            return False
        found = await asyncio.to_thread(_attempt_if_new, self._path, self._hashes)
        watched = look.stats.keys() if found is None else found.hashes.keys()
        self._seen = look.stats if look.wait_s == 0 and watched == look.stats.keys() else None
        if found is None:
            return False
        self._hashes = found.hashes
        return self._take(found)

    def _take(self, found: Attempt) -> bool:
        if found.accounts is None:
            problem = _summary(found.problems)
            if problem != self.problem:
                log.error("accounts: what was in force stays, for the file is wrong: %s", problem)
            self.problem = problem
            return False
        changed = found.accounts != self.current
        if self.problem is not None:
            log.info("accounts: the file is right again")
        if changed:
            log.info("accounts: changed, %d locations in %s", len(found.accounts.locations), self._path)
        self.current, self.problem = found.accounts, None
        return changed

    def _files(self) -> list[Path]:
        return list(self._hashes)


def _look(paths: Iterable[Path]) -> _Look:
    stats = {path: _stat(path) for path in paths}
    youngest = max((stat[0] for stat in stats.values() if stat is not None), default=0)
    return _Look(stats, (time.time_ns() - youngest) / 1e9)


def _stat(path: Path) -> _Stat:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _attempt_if_new(path: Path, known: Mapping[Path, bytes | None]) -> Attempt | None:
    """None = all files have the content they had."""
    return None if hashes_now(known, FILE_LIMIT_BYTES) == known else attempt(path)


def _summary(problems: tuple[str, ...]) -> str:
    shown = "; ".join(problems[:PROBLEMS_SHOWN])
    more = len(problems) - PROBLEMS_SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown
