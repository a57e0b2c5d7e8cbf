"""Hooks: URLs that messages are posted to as `gateway.providers.http.send` says, each post taken once for its key."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec
from aiohttp import web

from gateway.clock import now_ms
from gateway.demo.providers.accounts import Hook
from gateway.demo.providers.answering import Counter, Newest, Refusal, Reply
from gateway.demo.providers.request_log import Asked

PROVIDER = "http"

KEY_HEADER = "Idempotency-Key"


class _Posted(msgspec.Struct, frozen=True):
    """A message, as far as it is read."""

    channel: str
    to: list[str]
    decision_id: str = ""
    cc: list[str] = []
    bcc: list[str] = []
    body: str | None = None


_decode = msgspec.json.Decoder(_Posted).decode


class HookSandbox:
    """All hooks."""

    def __init__(self, hooks: Mapping[str, Hook], counter: Counter) -> None:
        """`hooks` by name."""
        self._hooks = hooks
        self._counter = counter
        self._taken: Newest[str] = Newest()

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/hooks/{name}", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        began_at = now_ms()
        hook = self._hooks.get(request.match_info["name"])
        if hook is None:
            return Reply(404, {"message": "there is no such hook"}).response()
        body, key = await request.read(), request.headers.get(KEY_HEADER, "")
        message_id, code, before = "", "", self._taken.get(f"{hook.name} {key}")
        posted = _Posted(hook.channel, [])
        try:
            posted = _read(body, hook, key)
            message_id = before or str(uuid.uuid4())
            self._taken.keep(f"{hook.name} {key}", message_id)
            reply = Reply(201 if before is None else 200, {"id": message_id})
        except Refusal as refusal:
            reply, code = refusal.reply, refusal.code
        asked = Asked(
            at=began_at,
            provider=PROVIDER,
            account=hook.name,
            location_id=hook.location_id,
            channel=hook.channel,
            to=(*posted.to, *posted.cc, *posted.bcc),
            text=posted.body or "",
            status=reply.status,
            message_id=message_id,
            code=code,
            decision_id=posted.decision_id,
            repeated=before is not None,
        )
        return await self._counter.answered(asked, reply)


def _read(body: bytes, hook: Hook, key: str) -> _Posted:
    try:
        posted = _decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Refusal(Reply(400, {"message": f"expected a message: {error}"})) from None
    if not key:
        raise Refusal(Reply(400, {"message": f"expected the header {KEY_HEADER}"}))
    if posted.channel != hook.channel or not posted.to:
        raise Refusal(Reply(422, {"message": f"expected a message to somebody on {hook.channel}"}))
    return posted
