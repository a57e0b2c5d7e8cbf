"""Appeals (R18): filed with proof, decided by somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from gateway.contacts.appeal import AppealStatus, BadEvidence, Evidence
from gateway.contacts.appeals import (
    AlreadyDecided,
    Appeals,
    NotAllowed,
    NothingToAppeal,
    TooMany,
    UnknownAppeal,
)
from gateway.web.api import shown
from gateway.web.api.audit import Audit
from gateway.web.api.calls import Call, Handler
from gateway.web.api.messages import AppealApproved, AppealList, AppealShown, DecideAppeal, FileAppeal
from gateway.web.api.problem_types import ProblemError, ProblemType, invalid
from gateway.web.api.routes import APPROVE_APPEAL, FILE_APPEAL, LIST_APPEALS, REJECT_APPEAL, Route


class AppealHandlers:
    def __init__(self, appeals: Appeals, audit: Audit) -> None:
        self._appeals = appeals
        self._audit = audit

    def table(self) -> Mapping[Route, Handler]:
        return {
            FILE_APPEAL: self._file,
            LIST_APPEALS: self._list,
            APPROVE_APPEAL: self._approve,
            REJECT_APPEAL: self._reject,
        }

    async def _file(self, call: Call[FileAppeal]) -> AppealShown:
        body = call.body
        given = body.evidence
        try:
            evidence = Evidence(tuple(given.relationship_numbers), given.contact, given.recording_url)
        except BadEvidence as error:
            raise invalid(f"evidence.{error.field}", error.expected) from None
        change = await self._audit.begun(call, {"channel": body.channel})
        async with _as_problems():
            filed = await self._appeals.file(
                call.location_id, call.contact_id, body.channel, evidence, call.caller.actor
            )
        await self._audit.done(change, {"appeal": filed.id, "channel": body.channel, "status": filed.status})
        return shown.appeal(filed)

    async def _list(self, call: Call[None]) -> AppealList:
        status = call.parameters.get("status")
        found = await self._appeals.listed(call.location_id, None if status is None else AppealStatus(status))
        return AppealList([shown.appeal(each) for each in found])

    async def _approve(self, call: Call[DecideAppeal]) -> AppealApproved:
        appeal_id = call.parameters["appeal_id"]
        change = await self._audit.begun(call, {"appeal": appeal_id})
        async with _as_problems():
            done = await self._appeals.approve(call.location_id, appeal_id, call.caller.actor, call.body.note)
        lifted = sorted({event.event_id for event in done.events})
        await self._audit.done(change, {"appeal": appeal_id, "status": done.appeal.status, "events": lifted})
        return shown.approved(done)

    async def _reject(self, call: Call[DecideAppeal]) -> AppealShown:
        appeal_id = call.parameters["appeal_id"]
        change = await self._audit.begun(call, {"appeal": appeal_id})
        async with _as_problems():
            rejected = await self._appeals.reject(call.location_id, appeal_id, call.caller.actor, call.body.note)
        await self._audit.done(change, {"appeal": appeal_id, "status": rejected.status})
        return shown.appeal(rejected)


@asynccontextmanager
async def _as_problems() -> AsyncIterator[None]:
    try:
        yield
    except UnknownAppeal:
        raise ProblemError(ProblemType.NOT_FOUND) from None
    except NotAllowed as error:
        raise ProblemError(ProblemType.SAME_PERSON, str(error)) from error
    except NothingToAppeal as error:
        raise ProblemError(ProblemType.NOTHING_TO_APPEAL, str(error)) from error
    except TooMany as error:
        raise ProblemError(ProblemType.TOO_MANY_APPEALS, str(error)) from error
    except AlreadyDecided as error:
        raise ProblemError(ProblemType.DECIDED, str(error)) from error
