"""The directory of a view: one owner at a time, set aside rather than deleted.

The lock is a file beside the directory, not in it, so that it also covers moving the directory away. The kernel drops
it when its process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path

from gateway.view.errors import ViewCorrupt, ViewError, ViewLocked, Why

ASIDE_LIMIT = 8
"""Most directories kept aside by themselves: a disk that damages every new view must not fill up with them."""


class DirectoryLock:
    """Held from creation to `release`. Raises `ViewLocked` when somebody else has it, in this process or another."""

    def __init__(self, directory: Path) -> None:
        directory.parent.mkdir(parents=True, exist_ok=True)
        path = directory.with_name(f"{directory.name}.lock")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._file, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise ViewLocked(
                f"the view in {directory} is open in another process (pid {owner}): "
                f"give each process a data directory of its own"
            ) from None
        os.truncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def has_files(directory: Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())


def require_ours(directory: Path) -> None:
    """Raises `ViewError` when `directory` has files and none looks like a view's: never move away a wrong path."""
    ours = ("CURRENT", "IDENTITY", "LOCK", "LOG", "MANIFEST-*", "OPTIONS-*", "*.sst", "*.log", "rocksdict-config.json")
    if has_files(directory) and not any(path.match(pattern) for path in directory.iterdir() for pattern in ours):
        raise ViewError(f"{directory} holds other files and no view; set the data directory to one of sendguard's own")


def set_aside(directory: Path, why: Why) -> Path:
    """Move `directory` to a dated name beside it and return that. The caller holds its lock.

    Raises `ViewCorrupt` when it cannot be moved, or when too many were set aside before.
    """
    aside = sorted(directory.parent.glob(f"{directory.name}.damaged-*"))
    aside += sorted(directory.parent.glob(f"{directory.name}.outdated-*"))
    if why != "discarded" and len(aside) >= ASIDE_LIMIT:
        raise ViewCorrupt(
            f"the view in {directory} is {why} and {len(aside)} others were set aside before it: look at the disk, "
            f"then remove {directory}.damaged-* and {directory}.outdated-*, and start again"
        )
    target = _free_name(directory, why)
    try:
        directory.rename(target)
    except OSError as error:
        raise ViewCorrupt(
            f"the view in {directory} is {why} and could not be moved to {target} ({error.strerror}): "
            f"move what is in it away by hand and start again; it is rebuilt from the log"
        ) from error
    return target


def _free_name(directory: Path, why: Why) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = directory.with_name(f"{directory.name}.{why}-{stamp}")
    number = 2
    while target.exists():
        target = directory.with_name(f"{directory.name}.{why}-{stamp}-{number}")
        number += 1
    return target
