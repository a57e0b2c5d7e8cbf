"""Settings of the comparison with providers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.settings.rows import number


class ReconcileSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how fast the role `reconcile` reads the providers' lists of who opted out."""

    interval_s: Annotated[
        int,
        number(
            "reconcile_interval_s",
            "How often each provider's list of who opted out is read and compared with ours.",
            unit="s",
            ge=1,
            le=7 * 24 * 3_600,
        ),
    ] = 3_600
    calls_per_second: Annotated[
        int,
        number("reconcile_calls_per_second", "Pages of such lists read in a second of one account.", ge=1, le=1_000),
    ] = 2
    page_size: Annotated[
        int, number("reconcile_page_size", "Entries asked for with one page.", unit="entries", ge=1, le=1_000)
    ] = 1_000

    @property
    def interval_ms(self) -> int:
        return self.interval_s * 1_000
