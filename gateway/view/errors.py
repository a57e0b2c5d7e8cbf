"""What can be wrong with the local view, by who has to act. Every message names the directory and the next step."""

from __future__ import annotations

from typing import Literal

Why = Literal["damaged", "outdated", "discarded"]
"""Why a directory was set aside; part of its new name."""


class ViewError(Exception):
    """The view cannot be used: disk full, no permission, input/output error. The process ends; nothing was lost."""


class ViewLocked(ViewError):  # noqa: N818 - reads as what is the case
    """Another process has this view open. Each process needs a data directory of its own."""


class ViewCorrupt(ViewError):  # noqa: N818
    """The files are damaged and could not be set aside, or the damage was found while running.

    In the second case the next start finds the damage by itself, sets the directory aside and rebuilds from the log.
    """


class ViewMismatch(ViewError):  # noqa: N818
    """The view was built from another log (cluster, topic, partition count). An operator must say which is right."""


class Unusable(Exception):  # noqa: N818
    """Within the package: a table that holds nothing the log does not, so it is set aside and built again.

    `topic_id`: the log it was folded from, as far as it could be read; the new table must find the same.
    """

    def __init__(self, why: Why, reason: str, topic_id: str | None = None) -> None:
        super().__init__(reason)
        self.why: Why = why
        self.topic_id = topic_id
