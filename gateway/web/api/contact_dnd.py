"""The DND of contacts and addresses: shown, switched, cleared."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from gateway.contacts import Clear, Command, ContactService, SetAll, SetChannel, StaysPermanent
from gateway.dnd.model import Channel, SubjectKind
from gateway.dnd.status import ChannelStatus
from gateway.web.api import shown
from gateway.web.api.audit import Audit, of_change
from gateway.web.api.calls import Call, Handler
from gateway.web.api.messages import SPELLINGS, ChannelSetting, ContactDndShown, DndChanged, SetDnd
from gateway.web.api.problem_types import invalid
from gateway.web.api.routes import CLEAR_DND, SET_DND, SHOW_ADDRESS_DND, SHOW_DND, Route


class ContactDndHandlers:
    def __init__(self, contacts: ContactService, audit: Audit) -> None:
        self._contacts = contacts
        self._audit = audit

    def table(self) -> Mapping[Route, Handler]:
        return {
            SHOW_DND: self._show,
            SET_DND: self._set,
            CLEAR_DND: self._clear,
            SHOW_ADDRESS_DND: self._show_address,
        }

    async def _show(self, call: Call[None]) -> ContactDndShown:
        return shown.contact_dnd(await self._contacts.show(call.location_id, call.contact_id))

    async def _show_address(self, call: Call[None]) -> ContactDndShown:
        kind = SubjectKind(call.parameters["kind"])
        return shown.contact_dnd(await self._contacts.show_address(call.location_id, kind, call.parameters["address"]))

    async def _set(self, call: Call[SetDnd]) -> DndChanged:
        return await self._change(call, commands(call.body), evidence(call.body))

    async def _clear(self, call: Call[None]) -> DndChanged:
        return await self._change(call, (Clear(),), {})

    async def _change(
        self, call: Call[SetDnd] | Call[None], wanted: tuple[Command, ...], told: Mapping[str, object]
    ) -> DndChanged:
        change = await self._audit.begun(call, {"commands": [str(each) for each in wanted]})
        done = await self._contacts.change(
            call.location_id,
            call.contact_id,
            wanted,
            call.caller.actor,
            change_id=change.id,
            evidence={"operation": call.route.operation} | dict(told),
        )
        await self._audit.done(change, of_change(done))
        return shown.changed(done)


def switches(body: SetDnd) -> dict[Channel, ChannelSetting]:
    """The channels that are named, in whatever spelling. ProblemError for one that is named in two."""
    found: dict[Channel, ChannelSetting] = {}
    if body.dndSettings is UNSET:
        return found
    for spelling, setting in msgspec.structs.asdict(body.dndSettings).items():
        if setting is UNSET:
            continue
        channel = SPELLINGS[spelling]
        if channel in found:
            raise invalid(f"dndSettings.{spelling}", "the channel in one spelling only")
        found[channel] = setting
    return found


def commands(body: SetDnd) -> tuple[Command, ...]:
    """What the body asks for."""
    asked: list[Command] = [] if body.dnd is UNSET else [SetAll(body.dnd is True)]
    for channel, setting in switches(body).items():
        if setting.status is ChannelStatus.PERMANENT:
            asked.append(StaysPermanent(channel))
        else:
            asked.append(SetChannel(channel, setting.status is ChannelStatus.ACTIVE))
    return tuple(asked)


def evidence(body: SetDnd) -> dict[str, object]:
    """The client's own words, kept with what they led to; by channel, for one change may have several."""
    return {
        f"{name}.{channel}": text
        for channel, setting in switches(body).items()
        for name, text in (("message", setting.message), ("code", setting.code))
        if text
    }
