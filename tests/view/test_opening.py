"""Which directories a view opens, and which it refuses or sets aside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.contract.events import event_key
from gateway.dnd.record import EMPTY
from gateway.view import codec, loading, table
from gateway.view.directory import ASIDE_LIMIT
from gateway.view.errors import ViewCorrupt, ViewError, ViewLocked, ViewMismatch
from gateway.view.table import View
from tests.view.logs import line, open_view, phone, place


@pytest.fixture
def view_directory(tmp_path: Path) -> Path:
    """A closed view with one hold, bound to a topic."""
    path = tmp_path / "data" / "view"
    view = open_view(path)
    view.apply(0, [line(0, place("e1", phone(1)))], 1)
    view.bind("topic-id-1")
    view.close()
    return path


def test_a_second_view_on_the_directory_is_refused_while_the_first_is_open(view_directory: Path) -> None:
    view = open_view(view_directory)
    with pytest.raises(ViewLocked, match=str(view_directory)):
        open_view(view_directory)
    view.close()
    open_view(view_directory).close()


def test_a_view_that_another_process_has_open_is_refused_and_free_once_that_is_dead(view_directory: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.view.logs import open_view\n"
        f"view = open_view(Path({str(view_directory)!r}))\n"
        "sys.stdout.write('open\\n'); sys.stdout.flush(); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(ViewLocked, match=f"pid {process.pid}"):
            open_view(view_directory)
        process.kill()
        process.wait()
    open_view(view_directory).close()


@pytest.mark.parametrize(
    ("other", "named"),
    [({"cluster_id": "cluster-b"}, "cluster_id"), ({"topic": "dnd.other"}, "topic"), ({"partitions": 2}, "partitions")],
)
def test_a_view_of_another_log_is_refused_and_left_as_it_is(
    view_directory: Path, other: dict[str, object], named: str
) -> None:
    log = {"topic": "dnd.events", "partitions": 1, "cluster_id": "cluster-a"} | other
    with pytest.raises(ViewMismatch, match=f"{named}.*republish.*discard"):
        View.open(view_directory, **log)  # type: ignore[arg-type]
    view = open_view(view_directory)
    assert view.count() == 1
    view.close()


@pytest.mark.parametrize("change", ["format", "rules"])
def test_a_view_of_another_format_or_other_rules_is_set_aside_and_built_again_from_the_same_topic(
    view_directory: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    with monkeypatch.context() as patch:
        if change == "format":
            patch.setattr(table, "FORMAT", codec.FORMAT + 1)
        else:
            patch.setattr(table, "rules_digest", lambda: "other rules")
        view = open_view(view_directory)
        assert view.positions() == [0]
        assert view.get(phone(1)) == EMPTY
        assert not view.bind("topic-id-2"), "the log must still be the one the outdated table was built from"
        assert view.bind("topic-id-1")
        view.close()
    (aside,) = view_directory.parent.glob("view.outdated-*")
    kept = open_view(aside)
    assert kept.lookup([event_key(phone(1))]) != [None]
    kept.close()


def test_a_mismatch_counts_before_other_rules_do(view_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "rules_digest", lambda: "other rules")
    with pytest.raises(ViewMismatch):
        open_view(view_directory, cluster_id="cluster-b")
    assert not list(view_directory.parent.glob("view.outdated-*"))


def test_a_directory_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "thesis.txt").write_text("years of work")
    with pytest.raises(ViewError, match="no view"):
        open_view(tmp_path / "view")
    assert (tmp_path / "view" / "thesis.txt").read_text() == "years of work"


def test_a_disk_that_damages_every_new_view_stops_the_start_before_it_is_full(view_directory: Path) -> None:
    for number in range(ASIDE_LIMIT + 1):
        (view_directory / "CURRENT").write_bytes(b"damaged")
        if number < ASIDE_LIMIT:
            open_view(view_directory).close()
    with pytest.raises(ViewCorrupt, match="look at the disk"):
        open_view(view_directory)
    assert len(list(view_directory.parent.glob("view.damaged-*"))) == ASIDE_LIMIT


def test_a_damaged_directory_that_cannot_be_moved_is_the_operators(
    view_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (view_directory / "CURRENT").unlink()

    def busy(self: Path, target: Path) -> Path:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(ViewCorrupt, match="by hand"):
        open_view(view_directory)


def test_a_failure_that_is_no_damage_sets_nothing_aside(view_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise Exception("IO error: No space left on device: While appending to file")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.view.rocksdb.Rdict", full)
        with pytest.raises(ViewError, match="No space left"):
            open_view(view_directory)
    view = open_view(view_directory)
    assert view.count() == 1
    view.close()


def test_an_error_of_our_own_is_no_damage_and_lets_go_of_the_directory(
    view_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(loading, "scan", lambda _: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            open_view(view_directory)
    view = open_view(view_directory)
    assert view.count() == 1
    view.close()


def test_an_existing_view_opens_whatever_log_it_is_from_and_says_which(view_directory: Path) -> None:
    view = View.open_existing(view_directory)
    assert (view.identity.topic, view.identity.partitions, view.identity.cluster_id) == ("dnd.events", 1, "cluster-a")
    assert view.count() == 1
    view.close()


def test_opening_an_existing_view_creates_and_moves_nothing(tmp_path: Path, view_directory: Path) -> None:
    with pytest.raises(ViewError, match="no view"):
        View.open_existing(tmp_path / "nothing")
    (view_directory / "CURRENT").unlink()
    with pytest.raises(ViewCorrupt):
        View.open_existing(view_directory)
    assert not list(view_directory.parent.glob("view.damaged-*"))
    assert not (tmp_path / "nothing").exists()
