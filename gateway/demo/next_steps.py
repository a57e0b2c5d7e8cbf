"""What to try while the demo stays up, as lines to copy into another terminal."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

PHONE = "+14155550123"
"""A number kept for fiction."""

LOCATION = "bright-smile"

REQUEST = (
    f'{{"request_id":"my-1","location_id":"{LOCATION}","contact_id":"me","channel":"SMS","to":"{PHONE}","body":"Hi"}}'
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the lines must name: how to call `sendguard`, where Kafka and the providers are, and the demo's files."""

    sendguard: str
    bootstrap_servers: str
    config: Path
    calls: Path
    providers_url: str


def command_as_started(argument: str) -> str:
    """How to call `sendguard` from where this process was started, given its `sys.argv[0]`."""
    started = Path(argument)
    if started.name != "sendguard":
        return f"{shlex.quote(sys.executable)} -m gateway.cli"
    found = shutil.which("sendguard")
    if found is not None and Path(found).resolve() == started.resolve():
        return "sendguard"
    return shlex.quote(str(started))


def next_steps(around: Surroundings) -> Iterator[Text]:
    """Line by line."""
    yield Text.assemble(("It stays up for you.", "bold"), " Ctrl-C stops it and removes everything.")
    for what, lines in _steps(around):
        yield Text(f"# {what}", "dim")
        yield from map(Text, lines)
    yield Text("")


def _steps(around: Surroundings) -> Iterator[tuple[str, list[str]]]:
    command, servers = around.sendguard, around.bootstrap_servers
    yield (
        "In another terminal, in this folder:",
        [
            f"export SENDGUARD_KAFKA_BOOTSTRAP_SERVERS={servers}",
            f"export SENDGUARD_CONFIG={shlex.quote(str(around.config))}",
        ],
    )
    yield "Send a request of your own", [f"echo '{REQUEST}' \\", f"  | {command} send -"]
    yield "... or with kcat", [f"echo '{REQUEST}' \\", f"  | kcat -P -b {servers} -t outbound.requests -k me"]
    yield "Put the number on hold, then send again", [f"{command} dnd set {LOCATION} --phone {PHONE} --channel SMS"]
    yield (
        "See why, and lift it",
        [
            f"{command} dnd show {LOCATION} --contact me --phone {PHONE}",
            f"{command} dnd lift {LOCATION} --phone {PHONE} --channel SMS",
        ],
    )
    texts = f"{around.providers_url}/phones/{PHONE}/texts"
    yield (
        "Reply from that phone, by a signed webhook of Twilio's",
        [f"curl -d business={LOCATION} -d body=STOP {texts}"],
    )
    yield "Watch what the providers are asked to send", [f"tail -f {shlex.quote(str(around.calls))}"]
