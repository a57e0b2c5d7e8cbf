"""Who may call what, and what a call that cannot be done is answered with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from gateway.dnd.model import ActorKind
from gateway.web.api import bodies
from gateway.web.api.routes import ROUTES, Route
from tests.web.api.memory import InMemoryLog
from tests.web.api.serving import KEYS, Api

DND = "contacts/c1/dnd"


def path_of(route: Route, location: str = "loc1") -> str:
    values = {"location_id": location, "contact_id": "c1", "kind": "phone", "address": "+14155552671"}
    return route.path.format(**values, appeal_id="a1")


def refusals() -> Iterator[tuple[Route, str]]:
    for route in ROUTES:
        yield from ((route, role) for role in ("user", "agency", "support") if ActorKind(role) not in route.roles)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
async def test_without_a_key_nothing_is_answered_but_401(quick: Api, route: Route) -> None:
    for key in (None, "nobody's"):
        answer = await quick.call(route.method, path_of(route), key=key, raw=b"not even json")
        assert (answer.status, answer.problem) == (401, "not-authenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
async def test_a_key_of_another_location_cannot_tell_it_from_one_that_is_not_there(
    quick: Api, log: InMemoryLog, route: Route
) -> None:
    answers = [
        await quick.call(route.method, path_of(route, location), {"dnd": True}, key="other")
        for location in ("loc1", "loc-of-nobody")
    ]
    assert [(each.status, each.problem) for each in answers] == [(404, "not-found")] * 2
    assert answers[0].body == answers[1].body
    assert log.events == []


@pytest.mark.parametrize(("route", "role"), list(refusals()), ids=str)
async def test_a_role_that_is_too_low_is_told_so(quick: Api, route: Route, role: str) -> None:
    answer = await quick.call(route.method, path_of(route), {}, key=role)
    assert (answer.status, answer.problem) == (403, "role-too-low")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"dnnd": True}, "dnnd"),
        ({"dnd": 1}, "dnd"),
        ({"dnd": None}, "dnd"),
        ({"dndSettings": {"RCS": {"status": "active"}}}, "dndSettings.RCS"),
        ({"dndSettings": {"Instagram": {"status": "active"}}}, "dndSettings.Instagram"),
        ({"dndSettings": {"SMS": {}}}, "dndSettings.SMS.status"),
        ({"dndSettings": {"SMS": {"status": "on"}}}, "dndSettings.SMS.status"),
        ({"dndSettings": {"SMS": {"status": "active", "until": 1}}}, "dndSettings.SMS.until"),
        ({"dndSettings": {"SMS": {"status": "active", "message": "x" * 201}}}, "dndSettings.SMS.message"),
        ({"dndSettings": {"SMS": {"status": "active"}, "sms": {"status": "inactive"}}}, "dndSettings.sms"),
        ([], ""),
        ("x", ""),
    ],
)
async def test_what_is_wrong_with_a_body_is_named_by_its_field(
    quick: Api, log: InMemoryLog, body: object, field: str
) -> None:
    answer = await quick.call("PUT", DND, body)
    assert (answer.status, answer.problem, answer.fields) == (422, "invalid", [field])
    assert log.events == []


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"dnd":true}x', b"[" * 50_000, b'{"dndSettings":' * 4_000])
async def test_a_body_that_is_not_json_is_refused(quick: Api, raw: bytes) -> None:
    answer = await quick.call("PUT", DND, raw=raw)
    assert (answer.status, answer.problem) in {(400, "not-json"), (422, "invalid")}


async def test_a_body_above_the_limit_is_refused_before_it_is_read(quick: Api) -> None:
    answer = await quick.call("PUT", DND, raw=b" " * 65 * 1024)
    assert (answer.status, answer.problem) == (413, "too-large")


async def test_a_body_that_does_not_come_is_cut(quick: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_DEADLINE_S", 0.1)
    reader, writer = await asyncio.open_connection(*quick.url.removeprefix("http://").split(":"))
    head = f"PUT /v1/locations/loc1/{DND} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['user']}\r\n"
    writer.write(f"{head}Content-Length: 10\r\n\r\n{{".encode())
    assert b" 408 " in await reader.readline()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("contacts/" + "x" * 129 + "/dnd", "contact_id"),
        ("contacts/%00/dnd", "contact_id"),
        ("addresses/contact/c1/dnd", "kind"),
        ("addresses/fax/1/dnd", "kind"),
        ("addresses/phone/0123/dnd", "address"),
        ("addresses/email/nobody/dnd", "address"),
        ("appeals?status=lost", "status"),
    ],
)
async def test_what_is_wrong_with_a_path_is_named(quick: Api, path: str, field: str) -> None:
    answer = await quick.call("GET", path)
    assert (answer.status, answer.problem, answer.fields) == (422, "invalid", [field])


@pytest.mark.parametrize("contact", ["a/b", "{c}", "ü", "a b", "%", "a.b", "c1?x"])
async def test_a_contact_may_be_called_whatever_it_likes(quick: Api, log: InMemoryLog, contact: str) -> None:
    answer = await quick.call("PUT", f"contacts/{quote(contact, safe='')}/dnd", {"dnd": True})
    assert answer.status == 200, answer
    assert [event.subject.id for event in log.events] == [contact]


async def test_while_the_state_may_be_stale_or_kafka_is_away_the_answer_is_503_and_nothing_is_claimed(
    quick: Api, log: InMemoryLog
) -> None:
    log.fresh = False
    for method, path in (("GET", DND), ("PUT", DND), ("POST", f"{DND}/clear"), ("POST", "explain")):
        answer = await quick.call(method, path, {"dnd": True})
        assert (answer.status, answer.problem) == (503, "not-available"), path
        assert int(answer.headers["Retry-After"]) > 0
    log.fresh, log.writable = True, False
    assert (await quick.call("GET", DND)).status == 200
    answer = await quick.call("PUT", DND, {"dnd": True})
    assert (answer.status, answer.problem) == (503, "not-available")


async def test_what_cannot_be_recorded_is_not_done(quick: Api, log: InMemoryLog) -> None:
    async with quick.engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE api_audit (something_else INTEGER)")
    answer = await quick.call("PUT", DND, {"dnd": True})
    assert (answer.status, answer.problem) == (503, "not-available")
    assert log.events == []
