"""What goes wrong, as exit codes: 1 refused or differs, 2 usage or settings, 3 a system could not be reached.

Expected errors end in one message on stderr and their code; everything else is a defect and shows its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from gateway.app import DiedError, RefusedError
from gateway.localkafka import LocalKafkaError
from gateway.roles import UnknownRoleError
from gateway.settings import SettingsError
from gateway.streams.group import MembershipError
from gateway.streams.topics import KafkaUnreachableError
from gateway.view.errors import ViewError
from gateway.web.server import AddressInUseError

REFUSED, USAGE, UNREACHABLE = 1, 2, 3


class Failure(click.ClickException):
    """Ends the command with a message and its code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click's own subclasses do the same, it is declared as a constant


CODES: tuple[tuple[type[Exception], int], ...] = (
    (SettingsError, USAGE),
    (UnknownRoleError, USAGE),
    (KafkaUnreachableError, UNREACHABLE),
    (LocalKafkaError, UNREACHABLE),
    (RefusedError, REFUSED),
    (ViewError, REFUSED),
    (AddressInUseError, REFUSED),
    (DiedError, REFUSED),
    (MembershipError, REFUSED),
)
"""Expected errors; the first that fits counts."""


@contextmanager
def expected() -> Iterator[None]:
    """Turn expected errors inside into `Failure`; several at once only when all of them are expected."""
    try:
        yield
    except ExceptionGroup as group:
        leaves = list(_leaves(group))
        failures = [failure for failure in map(_failure, leaves) if failure is not None]
        if len(failures) != len(leaves):
            raise
        raise Failure("\n".join(failure.message for failure in failures), failures[0].exit_code) from group
    except Exception as error:
        failure = _failure(error)
        if failure is None:
            raise
        raise failure from error


def _failure(error: Exception) -> Failure | None:
    for kind, code in CODES:
        if isinstance(error, kind):
            return Failure(str(error), code)
    return None


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
