"""Settings of the store of sent messages."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.settings.rows import number

DAY_MS = 24 * 3_600_000


class SentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What providers took, kept by the role `receipts`."""

    retention_days: Annotated[
        int,
        number(
            "sent_retention_days",
            "How long messages that providers took are kept, so that what is told of them late finds them.",
            unit="d",
            ge=1,
            le=3_650,
        ),
    ] = 30

    @property
    def retention_ms(self) -> int:
        return self.retention_days * DAY_MS
