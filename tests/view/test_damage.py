"""Files that were deleted, cut short or overwritten: the view ends in the full fold of the log, or does not open.

Every test takes the files as a process left them that was killed while it had the view open, damages them, opens the
view, and reads on from the positions it names. What it holds must be the fold of the log up to those positions.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
from rocksdict import Rdict

from gateway.dnd.model import Subject
from gateway.dnd.record import Record
from gateway.view import loading, rocksdb
from gateway.view.errors import ViewCorrupt
from gateway.view.meta import RECORDS_FROM, Tally
from gateway.view.operator import republish
from tests.view.apply_log import LARGE_BUFFER_BYTES, PARTITIONS, apply_and_die, crash_log
from tests.view.logs import Log, folded, follow, open_view, up_to

SEED = 7


@pytest.fixture(scope="module")
def log() -> Log:
    return crash_log(SEED)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a process that followed the whole log and was killed has left."""
    directory = tmp_path_factory.mktemp("crashed") / "view"
    apply_and_die(directory, SEED)
    return directory


@lru_cache(maxsize=64)
def fold_up_to(positions: tuple[int, ...]) -> dict[Subject, Record]:
    return folded(up_to(crash_log(SEED), positions))


def assert_recovers(directory: Path, log: Log) -> None:
    view = open_view(directory, PARTITIONS)
    assert dict(view.records()) == fold_up_to(tuple(view.positions()))
    follow(view, log, batch=200)
    assert dict(view.records()) == fold_up_to(tuple(lines[-1].offset + 1 for lines in log))
    view.close()


def delete(path: Path, rng: random.Random) -> None:
    path.unlink()


def empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content) + 1)])


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[rng.randrange(len(content))] ^= 0xFF
        path.write_bytes(content)


def zero_tail(path: Path, rng: random.Random) -> None:
    """What a file system may leave after a power cut: the length, without the bytes."""
    content = path.read_bytes()
    keep = rng.randrange(len(content) + 1)
    path.write_bytes(content[:keep] + bytes(len(content) - keep))


Damage = Callable[[Path, random.Random], None]


@pytest.mark.parametrize("damage", [delete, empty, cut, flip, zero_tail])
def test_whatever_file_is_damaged_the_view_ends_in_the_full_fold(
    crashed: Path, log: Log, tmp_path: Path, damage: Damage
) -> None:
    for number, name in enumerate(sorted(path.name for path in crashed.iterdir())):
        directory = tmp_path / f"view-{number}"
        shutil.copytree(crashed, directory)
        damage(directory / name, random.Random(f"{damage.__name__} {name}"))
        assert_recovers(directory, log)


def test_wherever_the_write_ahead_log_is_cut_records_and_positions_stay_in_step(log: Log, tmp_path: Path) -> None:
    apply_and_die(tmp_path / "crashed", SEED, buffer_bytes=LARGE_BUFFER_BYTES)
    rng, kept = random.Random(1), set[tuple[int, ...]]()
    for number in range(12):
        directory = tmp_path / f"view-{number}"
        shutil.copytree(tmp_path / "crashed", directory)
        cut(max(directory.glob("*.log")), rng)
        view = open_view(directory, PARTITIONS)
        kept.add(tuple(view.positions()))
        view.close()
        assert_recovers(directory, log)
    assert len(kept) > 6, "the log was cut between its ends"
    assert not list(tmp_path.glob("*.damaged-*")), "what is before the cut need not be read again"


def test_wherever_the_manifest_is_cut_the_view_ends_in_the_full_fold(crashed: Path, log: Log, tmp_path: Path) -> None:
    rng = random.Random(2)
    for number in range(6):
        directory = tmp_path / f"view-{number}"
        shutil.copytree(crashed, directory)
        cut(next(directory.glob("MANIFEST-*")), rng)
        assert_recovers(directory, log)


def test_several_files_cut_short_at_once_end_in_the_full_fold(crashed: Path, log: Log, tmp_path: Path) -> None:
    rng = random.Random(3)
    for number in range(6):
        directory = tmp_path / f"view-{number}"
        shutil.copytree(crashed, directory)
        for path in rng.sample(sorted(directory.iterdir()), 3):
            rng.choice((delete, cut, flip))(path, rng)
        assert_recovers(directory, log)


def test_a_deleted_directory_is_rebuilt_from_the_beginning(crashed: Path, log: Log, tmp_path: Path) -> None:
    view = open_view(tmp_path / "view", PARTITIONS)
    follow(view, log)
    view.close()
    shutil.rmtree(tmp_path / "view")
    view = open_view(tmp_path / "view", PARTITIONS)
    assert view.positions() == [0] * PARTITIONS
    view.close()
    assert_recovers(tmp_path / "view", log)


def test_damage_in_the_first_block_is_not_taken_for_an_empty_view(crashed: Path, log: Log, tmp_path: Path) -> None:
    view_directory = tmp_path / "view"
    shutil.copytree(crashed, view_directory)
    open_view(view_directory, PARTITIONS).close()
    for table in view_directory.glob("*.sst"):
        content = bytearray(table.read_bytes())
        content[20] ^= 0xFF
        table.write_bytes(content)
    view = open_view(view_directory, PARTITIONS)
    assert view.positions() == [0] * PARTITIONS
    view.close()
    assert list(tmp_path.glob("view.damaged-*"))
    assert_recovers(view_directory, log)


def flip_in_data(directory: Path) -> Path:
    """Damage a data block of the one table there is then, where RocksDB does not look when it opens.

    Compacted before: a process that was killed may have left tables that others have replaced, and nobody reads those.
    """
    compacted = Rdict(str(directory), rocksdb._options())
    compacted.compact_range(None, None)
    compacted.close()
    Rdict(str(directory), rocksdb._options()).close()  # removes what was replaced
    (table,) = directory.glob("*.sst")
    content = bytearray(table.read_bytes())
    content[len(content) // 3] ^= 0xFF
    table.write_bytes(content)
    return table


def test_damage_in_the_data_is_found_at_the_start_and_the_files_are_kept_aside(
    crashed: Path, log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(crashed, tmp_path / "view")
    damaged = flip_in_data(tmp_path / "view")
    content = damaged.read_bytes()
    assert_recovers(tmp_path / "view", log)
    (aside,) = tmp_path.glob("view.damaged-*")
    assert (aside / damaged.name).read_bytes() == content
    assert str(aside) in caplog.text


def test_without_the_tally_a_view_with_a_hole_would_be_taken_for_whole(
    crashed: Path, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shows that the tests above can fail: RocksDB ends a scan at a damaged block without an error."""
    shutil.copytree(crashed, tmp_path / "view")
    flip_in_data(tmp_path / "view")
    monkeypatch.setattr(Tally, "__eq__", lambda self, other: True)
    monkeypatch.setattr(Tally, "__ne__", lambda self, other: False)
    view = open_view(tmp_path / "view", PARTITIONS)
    assert not list(tmp_path.glob("view.damaged-*"))
    assert len(dict(view.records())) < len(folded(up_to(log, view.positions())))
    view.close()


def test_damage_met_while_running_is_reported_and_never_a_miss(
    crashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(crashed, tmp_path / "view")
    view = open_view(tmp_path / "view", PARTITIONS)
    keys = [key for keys, _ in loading.scan(view._table) for key in keys]
    view.close()
    (tmp_path / "view").rename(tmp_path / "whole")
    shutil.copytree(crashed, tmp_path / "view")
    flip_in_data(tmp_path / "view")
    monkeypatch.setattr(Tally, "__ne__", lambda self, other: False)  # as if the block went bad after the start
    view = open_view(tmp_path / "view", PARTITIONS)
    view._filter.add(keys)
    with pytest.raises(ViewCorrupt, match="start again"):
        view.lookup(keys)
    monkeypatch.undo()
    with pytest.raises(ViewCorrupt, match="is damaged"):
        list(republish(view))
    view.close()


def test_a_table_that_lost_records_behind_rocksdbs_back_is_set_aside(crashed: Path, log: Log, tmp_path: Path) -> None:
    directory = tmp_path / "view"
    shutil.copytree(crashed, directory)
    table = Rdict(str(directory), rocksdb._options())
    del table[next(iter(table.keys(from_key=RECORDS_FROM)))]
    table.close()
    assert_recovers(directory, log)
    assert list(tmp_path.glob("view.damaged-*"))
