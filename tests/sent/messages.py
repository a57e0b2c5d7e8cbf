"""Messages that a provider took."""

from __future__ import annotations

from gateway.database import Positions
from gateway.sent import SentMessage

AT = 1_763_900_000_000
TOPIC = "outbound.receipts"


def message(number: int, **changes: object) -> SentMessage:
    given: dict[str, object] = {
        "location_id": "loc1",
        "provider": "twilio",
        "provider_message_id": f"SM{number}",
        "decision_id": f"outbound.requests-0-{number}",
        "request_id": f"r-{number}",
        "contact_id": f"c{number}",
        "channel": "SMS",
        "recipients": ("+14155552671",),
        "created_at": AT + number,
        "finished_at": AT + number,
    }
    return SentMessage(**given | changes)  # type: ignore[arg-type]  # values by name


def at(topic_id: str = "t1", **offsets: int) -> Positions:
    """`p0=5`: partition 0 is taken in up to 5."""
    return Positions(TOPIC, topic_id, {int(name[1:]): offset for name, offset in offsets.items()})
