"""What to try while the demo stays up, as lines to copy into another terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PHONE = "+14155550123"
"""A number kept for fiction."""

LOCATION = "bright-smile"

REQUEST = (
    f'{{"request_id":"my-1","location_id":"{LOCATION}","contact_id":"me","channel":"SMS","to":"{PHONE}","body":"Hi"}}'
)


def command_as_started(argument: str) -> str:
    """How to call `sendguard` from where this process was started, given its `sys.argv[0]`."""
    started = Path(argument)
    if started.name != "sendguard":
        return f"{sys.executable} -m gateway.cli"
    found = shutil.which("sendguard")
    if found is not None and Path(found).resolve() == started.resolve():
        return "sendguard"
    return str(started)


def next_steps(
    sendguard: str, bootstrap_servers: str, environment: Mapping[str, str]
) -> Iterator[tuple[str, list[str]]]:
    """What each does, and the lines."""
    yield "In another terminal, in this folder:", [f"export {name}={value}" for name, value in environment.items()]
    yield "Send a request of your own", [f"echo '{REQUEST}' \\", f"  | {sendguard} send -"]
    yield "... or with kcat", [f"echo '{REQUEST}' \\", f"  | kcat -P -b {bootstrap_servers} -t outbound.requests -k me"]
    yield "Put the number on hold, then send again", [f"{sendguard} dnd set {LOCATION} --phone {PHONE} --channel SMS"]
    yield (
        "See why, and lift it",
        [
            f"{sendguard} dnd show {LOCATION} --contact me --phone {PHONE}",
            f"{sendguard} dnd lift {LOCATION} --phone {PHONE} --channel SMS",
        ],
    )
