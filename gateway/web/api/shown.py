"""From what the contacts' service says to the API's types."""

from __future__ import annotations

from gateway.contacts import Changed, ContactDnd, Hold, Refused
from gateway.dnd.model import Channel
from gateway.dnd.status import ChannelStatus
from gateway.web.api.messages import (
    TEXT_LIMIT,
    ActorShown,
    ChannelSetting,
    ContactDndShown,
    DndChanged,
    HoldShown,
    LifterShown,
    RefusedShown,
    SubjectShown,
)


def contact_dnd(dnd: ContactDnd) -> ContactDndShown:
    return ContactDndShown(
        dnd=dnd.dnd,
        dndSettings=_settings(dnd),
        status=dnd.status,
        holds=[hold(each) for each in dnd.holds],
        enlisted=_in_order(dnd.enlisted),
    )


def changed(change: Changed) -> DndChanged:
    after = change.after
    return DndChanged(
        dnd=after.dnd,
        dndSettings=_settings(after),
        status=after.status,
        holds=[hold(each) for each in after.holds],
        enlisted=_in_order(after.enlisted),
        refused=[refused(each) for each in change.refused],
    )


def hold(held: Hold) -> HoldShown:
    return HoldShown(
        subject=SubjectShown(held.subject.kind, held.subject.id),
        channel=held.scope,
        cause=held.cause,
        kind=held.kind,
        since=held.since,
        event_id=held.event_id,
        actor=ActorShown(held.actor.kind, held.actor.id),
        evidence=dict(held.evidence),
        lifted_by=[LifterShown(each.actor, each.by_appeal) for each in held.lifted_by],
    )


def refused(stays: Refused) -> RefusedShown:
    shown = hold(stays.hold)
    return RefusedShown(**{name: getattr(shown, name) for name in HoldShown.__struct_fields__}, why=stays.why.value)


def _settings(dnd: ContactDnd) -> dict[Channel, ChannelSetting]:
    return {channel: _setting(dnd, channel, status) for channel, status in dnd.channels.items()}


def _setting(dnd: ContactDnd, channel: Channel, status: ChannelStatus) -> ChannelSetting:
    """`message` and `code` of whoever placed the channel's latest hold, as far as they gave any."""
    own = [held for held in dnd.holds if held.scope.value == channel.value]
    if not own:
        return ChannelSetting(status)
    latest = max(own, key=lambda held: held.since)
    return ChannelSetting(status, _text(latest, "message"), _text(latest, "code"))


def _text(held: Hold, name: str) -> str:
    found = held.evidence.get(f"{name}.{held.scope}", "")
    return found[:TEXT_LIMIT] if isinstance(found, str) else ""


def _in_order(channels: frozenset[Channel]) -> list[Channel]:
    return [channel for channel in Channel if channel in channels]
