"""What health is made of."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """Why the service is not ready: in words, by the role that says so; `service` for what concerns all."""

    role: str
    reason: str
