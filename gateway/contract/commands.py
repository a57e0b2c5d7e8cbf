"""The messages of `dnd.commands`: a workflow's action "Set contact DND" (R19).

A command with no id, contact or action is none. Of its channels those that are known are set, the others are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from gateway.contract.forgiving import SHOWN_LIMIT, TEXT_LIMIT, Text, Unreadable
from gateway.contract.requests import ID_LIMIT, SPELLINGS
from gateway.dnd.model import Channel

CHANNELS_LIMIT = 100
"""Entries of one command: the six channels and ALL in every spelling, and some more."""

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_LIMIT)]
_ACTIONS = {"enable": True, "disable": False}
_ALL = "all"


class _Message(msgspec.Struct):
    command_id: Text
    location_id: _Id
    contact_id: _Id
    action: str
    channels: Annotated[list[Any], msgspec.Meta(min_length=1, max_length=CHANNELS_LIMIT)]
    workflow_id: Any = None
    requested_at: Any = None


_decode = msgspec.json.Decoder(_Message).decode


@dataclass(frozen=True, slots=True)
class WorkflowCommand:
    """`enable` turns DND on. `everything`: ALL was named. `unknown`: words that name no channel. Times in ms."""

    id: str
    location_id: str
    contact_id: str
    enable: bool
    everything: bool
    channels: tuple[Channel, ...]
    unknown: tuple[str, ...]
    workflow_id: str
    requested_at: int


def read_command(value: bytes | None, timestamp: int) -> WorkflowCommand:
    """The command of a record written at `timestamp` (ms), which is when it was asked for unless it says so itself.

    Raises Unreadable.
    """
    if value is None:
        raise Unreadable("value", "a JSON object, not null")
    try:
        message = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable("value", f"command_id, location_id, contact_id, action and channels ({error})") from None
    action = message.action.strip().lower()
    if action not in _ACTIONS:
        raise Unreadable("action", f"one of {', '.join(_ACTIONS)}")
    words = [found.strip() if isinstance(found, str) else type(found).__name__ for found in message.channels]
    everything = any(word.lower() == _ALL for word in words)
    channels = dict.fromkeys(SPELLINGS[word.lower()] for word in words if word.lower() in SPELLINGS)
    unknown = tuple(word[:SHOWN_LIMIT] for word in words if word.lower() not in SPELLINGS and word.lower() != _ALL)
    if not everything and not channels:
        raise Unreadable("channels", f"ALL, or some of {', '.join(Channel)}")
    requested_at = message.requested_at
    return WorkflowCommand(
        id=message.command_id,
        location_id=message.location_id,
        contact_id=message.contact_id,
        enable=_ACTIONS[action],
        everything=everything,
        channels=tuple(channels),
        unknown=unknown,
        workflow_id=message.workflow_id[:TEXT_LIMIT] if isinstance(message.workflow_id, str) else "",
        requested_at=requested_at if type(requested_at) is int and requested_at >= 0 else timestamp,
    )
