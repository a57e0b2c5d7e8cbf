"""From what the contacts' service says to the API's types."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.contacts import Changed, ContactDnd, Hold, Refused
from gateway.contacts.appeal import Appeal
from gateway.contacts.appeals import Approved
from gateway.contacts.explain import Explanation
from gateway.dnd.model import Actor, Channel
from gateway.dnd.status import ChannelStatus
from gateway.web.api.messages import (
    TEXT_LIMIT,
    ActorShown,
    AppealApproved,
    AppealEvidence,
    AppealShown,
    ChannelSetting,
    ChannelUnavailable,
    ContactDndShown,
    DndChanged,
    Explained,
    HeldReason,
    HoldShown,
    LifterShown,
    RefusedShown,
    SubjectShown,
)
from gateway.web.api.problem_types import FieldError


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
        actor=actor(held.actor),
        evidence=dict(held.evidence),
        lifted_by=[LifterShown(each.actor, each.by_appeal) for each in held.lifted_by],
    )


def refused(stays: Refused) -> RefusedShown:
    return RefusedShown(**_fields(hold(stays.hold)), why=stays.why.value)


def explained(told: Explanation) -> Explained:
    channel = told.unavailable
    return Explained(
        outcome=told.outcome,
        request_id=told.request_id,
        contact_id=told.contact_id,
        channel=told.channel,
        reasons=[HeldReason(**_fields(hold(each.hold)), held_on=each.wire.subject) for each in told.reasons],
        fault=None if told.fault is None else FieldError(told.fault.field, told.fault.expected),
        unavailable=None if channel is None else ChannelUnavailable(channel.channel, channel.status),
        removed=list(told.removed),
        decided_at=told.decided_at,
    )


def appeal(filed: Appeal) -> AppealShown:
    evidence = filed.evidence
    return AppealShown(
        id=filed.id,
        status=filed.status,
        contact_id=filed.contact_id,
        channel=filed.channel,
        evidence=AppealEvidence(list(evidence.relationship_numbers), evidence.contact, evidence.recording_url),
        filed_by=actor(filed.filed_by),
        filed_at=filed.filed_at,
        decided_by=None if filed.decided_by is None else actor(filed.decided_by),
        decided_at=filed.decided_at,
        note=filed.note,
    )


def approved(done: Approved) -> AppealApproved:
    return AppealApproved(**_fields(appeal(done.appeal)), stays=[hold(each) for each in done.stays])


def actor(who: Actor) -> ActorShown:
    return ActorShown(who.kind, who.id)


def _fields(shown: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(shown, name) for name in shown.__struct_fields__}


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
