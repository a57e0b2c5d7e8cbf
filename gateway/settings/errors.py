"""Why the service does not start."""

from __future__ import annotations

from collections.abc import Sequence


class SettingsError(Exception):
    """One line for each unknown key or bad value, naming it and saying what was expected."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
