"""The guided email clean-up over HTTP (R12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.cleanup import Cleanup, CleanupError, NoAccount, NoAddress, NotDeliverable, StepFailed
from gateway.cleanup.service import Asked
from gateway.contacts import ContactService
from gateway.web.api import shown
from gateway.web.api.audit import Audit, of_dnd
from gateway.web.api.calls import Call, Handler
from gateway.web.api.messages import CleanUpEmail, CleanupStep, EmailCleanedUp
from gateway.web.api.problem_types import FieldError, ProblemError, ProblemType
from gateway.web.api.routes import CLEAN_UP_EMAIL, Route

GO_ON_AFTER_S = 10
"""Asked for when the provider is busy."""


class CleansUp(Protocol):
    """`EmailCleanups`."""

    async def clean_up(self, asked: Asked) -> Cleanup: ...


class CleanupHandlers:
    def __init__(self, cleanups: CleansUp, contacts: ContactService, audit: Audit) -> None:
        self._cleanups = cleanups
        self._contacts = contacts
        self._audit = audit

    def table(self) -> Mapping[Route, Handler]:
        return {CLEAN_UP_EMAIL: self._clean_up}

    async def _clean_up(self, call: Call[CleanUpEmail]) -> EmailCleanedUp:
        body = call.body
        asked = Asked(call.location_id, call.contact_id, call.caller.actor, body.address, body.by_hand)
        before = await self._contacts.show(call.location_id, call.contact_id)
        change = await self._audit.begun(call, {"by_hand": body.by_hand})
        try:
            done = await self._cleanups.clean_up(asked)
        except CleanupError as error:
            raise _problem(error) from error
        after = await self._contacts.show(call.location_id, call.contact_id)
        told = {"cleanup": done.id, "by_hand": body.by_hand, "before": of_dnd(before), "after": of_dnd(after)}
        await self._audit.done(change, told)
        steps = [CleanupStep(step.name, step.at, step.by, step.outcome) for step in done.steps]
        return EmailCleanedUp(done.id, done.started_at, steps, shown.contact_dnd(after))


def _problem(error: CleanupError) -> ProblemError:
    match error:
        case NoAddress():
            errors = [FieldError("address", "one of the contact's email addresses")]
            return ProblemError(ProblemType.NO_ADDRESS, str(error), errors=errors)
        case NoAccount():
            return ProblemError(ProblemType.NO_ACCOUNT, str(error))
        case NotDeliverable():
            return ProblemError(ProblemType.NOT_DELIVERABLE, str(error))
        case StepFailed():
            return ProblemError(ProblemType.STEP_FAILED, str(error))
        case _:
            return ProblemError(ProblemType.UNFINISHED, str(error), headers={"Retry-After": str(GO_ON_AFTER_S)})
