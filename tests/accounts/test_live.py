"""Accounts that follow their file."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import gateway.accounts.live as live
from gateway.accounts import Accounts, LiveAccounts
from gateway.settings import SettingsError
from tests.running import until

US, MX, BROKEN = (f'[locations.a]\ndefault_region = "{region}"\n' for region in ("US", "MX", "XX"))
OLDER_NS = itertools.count(10**18, -(10**9))
"""Files of tests are years old, each a second older than the last: nothing has to be left alone first."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.toml"
    write(path, US)
    return path


def write(path: Path, text: str) -> None:
    """As if it had been written, to the end, at another time than before."""
    path.write_text(text, encoding="utf-8")
    age = next(OLDER_NS)
    os.utime(path, ns=(age, age))


def write_now(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


async def test_a_changed_file_is_in_force_without_a_restart(path: Path) -> None:
    accounts = LiveAccounts(path)
    default_region = accounts.default_region  # as the guard keeps it
    before = accounts.current
    assert default_region("a") == "US"
    write(path, MX)
    assert await accounts.reload_if_changed()
    assert (default_region("a"), before.default_region("a")) == ("MX", "US")
    assert accounts.location("a") is accounts.current.location("a")


async def test_a_file_that_was_not_changed_is_not_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = LiveAccounts(path)
    await accounts.reload_if_changed()
    before = accounts.current

    def never(*_: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(live, "_attempt_if_new", never)
    assert not await accounts.reload_if_changed()
    assert accounts.current is before


async def test_a_file_with_the_same_content_at_another_time_is_not_checked_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = LiveAccounts(path)

    def never(*_: object) -> None:
        raise AssertionError("it was checked")

    monkeypatch.setattr(live, "attempt", never)
    write(path, US)
    assert not await accounts.reload_if_changed()


async def test_a_broken_file_changes_nothing_and_is_told_once_and_so_is_its_repair(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.accounts")
    accounts = LiveAccounts(path)
    for text in (BROKEN, BROKEN + "\n"):
        write(path, text)
        assert not await accounts.reload_if_changed()
    assert accounts.default_region("a") == "US"
    assert accounts.problem is not None
    assert "locations.a.default_region: expected a region" in accounts.problem
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert accounts.problem in caplog.text
    caplog.clear()
    write(path, MX)
    assert await accounts.reload_if_changed()
    assert problem_of(accounts) is None
    assert accounts.default_region("a") == "MX"
    assert [record.getMessage() for record in caplog.records] == [
        "accounts: the file is right again",
        f"accounts: changed, 1 locations in {path}",
    ]


async def test_a_file_that_is_what_it_was_before_it_broke_is_no_change(path: Path) -> None:
    accounts = LiveAccounts(path)
    before = accounts.current
    write(path, "[")
    await accounts.reload_if_changed()
    assert problem_of(accounts) is not None
    write(path, US)
    assert not await accounts.reload_if_changed()
    assert problem_of(accounts) is None
    assert accounts.current == before


async def test_a_file_that_is_gone_changes_nothing_until_it_is_back(path: Path) -> None:
    accounts = LiveAccounts(path)
    await asyncio.to_thread(path.unlink)
    assert not await accounts.reload_if_changed()
    assert accounts.problem == f"{path}: cannot be read: No such file or directory"
    assert accounts.default_region("a") == "US"
    write(path, MX)
    assert await accounts.reload_if_changed()
    assert accounts.default_region("a") == "MX"


def problem_of(accounts: LiveAccounts) -> str | None:
    """As a function, so that nobody takes it for what it was a line before."""
    return accounts.problem


def verified_by(accounts: LiveAccounts) -> str:
    assert accounts.meta is not None
    return accounts.meta.verify_token.reveal()


async def test_a_secret_that_is_exchanged_in_its_file_is_in_force(path: Path) -> None:
    token = path.parent / "token"
    write(token, "old")
    write(path, '[meta]\napp_secret = "s"\nverify_token = "file:token"\n')
    accounts = LiveAccounts(path)
    await accounts.reload_if_changed()
    write(token, "new")
    assert await accounts.reload_if_changed()
    assert verified_by(accounts) == "new"


async def test_a_secret_that_was_missing_is_found_when_its_file_comes(path: Path) -> None:
    accounts = LiveAccounts(path)
    write(path, '[meta]\napp_secret = "s"\nverify_token = "file:token"\n')
    assert not await accounts.reload_if_changed()
    assert accounts.problem is not None
    assert "meta.verify_token: file:token: cannot be read" in accounts.problem
    write(path.parent / "token", "new")
    assert await accounts.reload_if_changed()
    assert verified_by(accounts) == "new"


async def test_secrets_behind_links_are_followed_when_the_link_is_turned(path: Path) -> None:
    """How Kubernetes exchanges what is mounted: `..data` is turned to a new folder."""
    folder = path.parent
    for version in ("v1", "v2"):
        (folder / version).mkdir()
        write(folder / version / "token", version)
    (folder / "data").symlink_to("v1")
    write(path, '[meta]\napp_secret = "s"\nverify_token = "file:data/token"\n')
    accounts = LiveAccounts(path)
    await accounts.reload_if_changed()
    (folder / "turned").symlink_to("v2")
    (folder / "turned").replace(folder / "data")
    assert await accounts.reload_if_changed()
    assert verified_by(accounts) == "v2"


async def test_a_file_that_is_being_written_is_left_alone_until_it_is_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor that empties and then writes: no location would have settings, no API key would be valid."""
    accounts = LiveAccounts(path)
    waited: list[float] = []

    async def written_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        write(path, MX)

    monkeypatch.setattr(live, "SETTLE_S", 1e6)
    write_now(path, "")
    monkeypatch.setattr("gateway.accounts.live.asyncio.sleep", written_meanwhile)
    assert await accounts.reload_if_changed()
    assert accounts.default_region("a") == "MX"
    assert len(waited) == 1
    assert 0 < waited[0] <= live.SETTLE_S


async def test_a_file_that_is_written_all_the_time_is_read_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits(seconds: float) -> None:
        raise AssertionError(f"it waits {seconds} s more")

    accounts = LiveAccounts(path)
    monkeypatch.setattr(live, "SETTLE_S", 1e6)
    monkeypatch.setattr(live, "LONGEST_SETTLE_S", 0)
    monkeypatch.setattr("gateway.accounts.live.asyncio.sleep", waits)
    write_now(path, MX)
    assert await accounts.reload_if_changed()
    assert accounts.default_region("a") == "MX"


async def test_a_change_within_one_grain_of_file_times_is_seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SETTLE_S", 1e6)
    monkeypatch.setattr(live, "LONGEST_SETTLE_S", 0)
    accounts = LiveAccounts(path)
    write_now(path, MX)
    before = await asyncio.to_thread(path.stat)
    await accounts.reload()
    write_now(path, US)
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    after = await asyncio.to_thread(path.stat)
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)
    assert await accounts.reload_if_changed()
    assert accounts.default_region("a") == "US"


async def test_who_asks_is_not_kept_waiting(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.accounts")
    accounts = LiveAccounts(path)
    write_now(path, MX)
    assert await accounts.reload()
    assert accounts.default_region("a") == "MX"
    assert not await accounts.reload()
    assert caplog.messages[-1] == "accounts: read again, nothing has changed"


async def test_the_watcher_looks_by_itself_and_at_once_when_asked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def follows(change: Callable[[LiveAccounts], None]) -> None:
        write(path, US)
        accounts = LiveAccounts(path)
        watcher = asyncio.create_task(accounts.run(), name="accounts")
        write(path, MX)
        change(accounts)
        await until(lambda: accounts.default_region("a") == "MX")
        watcher.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watcher

    monkeypatch.setattr(live, "LOOK_EVERY_S", 1e6)
    await follows(LiveAccounts.reload_soon)
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.01)
    await follows(lambda _: None)


async def test_readers_see_one_version_or_the_other_and_the_loop_goes_on(path: Path) -> None:
    accounts = LiveAccounts(path)
    seen: set[tuple[str | None, str | None]] = set()

    async def look(until_done: Awaitable[bool]) -> None:
        changing = asyncio.ensure_future(until_done)
        while not changing.done():
            current = accounts.current
            seen.add((current.default_region("a"), current.default_region("b")))
            await asyncio.sleep(0)

    for region in ("MX", "US", "GB"):
        write(path, "".join(f'[locations.{each}]\ndefault_region = "{region}"\n' for each in "ab"))
        await look(accounts.reload_if_changed())
    assert seen <= {("US", None), ("MX", "MX"), ("US", "US"), ("GB", "GB")}
    assert len(seen) >= 3


def test_a_wrong_file_stops_the_start(path: Path) -> None:
    write(path, BROKEN)
    with pytest.raises(SettingsError, match=r"locations\.a\.default_region"):
        LiveAccounts(path)


async def test_without_a_file_there_are_the_defaults_for_ever() -> None:
    accounts = LiveAccounts(None)
    assert accounts.current == Accounts()
    assert not await accounts.reload()
    assert not await accounts.reload_if_changed()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(accounts.run(), 0.01)


async def test_no_secret_is_logged(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    accounts = LiveAccounts(path)
    meta = '[meta]\napp_secret = "hidden-1"\nverify_token = "hidden-2"\n'
    for text in (meta, meta + "x = 1", meta + 'api_base = "hidden"', "[meta", meta):
        write(path, text)
        await accounts.reload_if_changed()
    assert len(caplog.records) >= 5
    assert "hidden" not in caplog.text + str(accounts.problem)
