"""Which errors are expected, and what a shell sees of them."""

import pytest

from gateway.app import DiedError
from gateway.cli.failing import Failure, expected
from gateway.settings import SettingsError
from gateway.streams.topics import KafkaUnreachableError
from gateway.view.errors import ViewCorrupt, ViewLocked


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ViewLocked("open elsewhere"), 1),
        (SettingsError(["http_port: expected a number"]), 2),
        (KafkaUnreachableError("no answer"), 3),
    ],
    ids=["refused", "usage", "unreachable"],
)
def test_an_expected_error_becomes_its_code_and_keeps_its_words(error: Exception, code: int) -> None:
    with pytest.raises(Failure, match=str(error)) as caught, expected():
        raise error
    assert caught.value.exit_code == code


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), expected():
        raise ZeroDivisionError


def test_what_several_tasks_died_of_is_all_told() -> None:
    inner = ExceptionGroup("fresh state", [ViewCorrupt("block 7 is damaged")])
    with pytest.raises(Failure, match="damaged\nthe role guard") as caught, expected():
        raise ExceptionGroup("service", [inner, DiedError("the role guard has ended by itself")])
    assert caught.value.exit_code == 1


def test_a_defect_among_expected_errors_keeps_all_tracebacks() -> None:
    with pytest.raises(ExceptionGroup), expected():
        raise ExceptionGroup("service", [ViewLocked("open elsewhere"), ZeroDivisionError()])
