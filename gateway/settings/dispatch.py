"""Settings of the last hop."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.settings.rows import number


class DispatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Calls to providers."""

    call_timeout_ms: Annotated[
        int,
        number(
            "dispatch_call_timeout_ms",
            "How long a provider may take for one call; nobody knows then whether it has the message.",
            unit="ms",
            ge=100,
            le=60_000,
        ),
    ] = 20_000
