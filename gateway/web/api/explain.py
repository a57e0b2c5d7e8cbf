"""What the guard would decide. The request is judged by the guard's own reader, so the body is handed on as it came."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.contacts.explain import Explainer, OtherLocation
from gateway.contacts.log import answering
from gateway.web.api import shown
from gateway.web.api.calls import Call, Handler
from gateway.web.api.messages import Explained
from gateway.web.api.problem_types import invalid
from gateway.web.api.routes import EXPLAIN, Route

DEADLINE_S = 8.0


class ExplainHandlers:
    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer

    def table(self) -> Mapping[Route, Handler]:
        return {EXPLAIN: self._explain}

    async def _explain(self, call: Call[bytes]) -> Explained:
        try:
            async with answering(DEADLINE_S):
                return shown.explained(await self._explainer.explain(call.location_id, call.body))
        except OtherLocation:
            raise invalid("location_id", "the location of the path") from None
