"""What holds for the webhooks of all providers: signatures, limits, answers, counting."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.signals.door import RefusedError, SpoolUnavailable
from gateway.web.webhooks import reception
from gateway.web.webhooks.mailgun import LIMITS as MAILGUN_LIMITS
from gateway.web.webhooks.meta import LIMITS as META_LIMITS
from gateway.web.webhooks.reception import Limits
from gateway.web.webhooks.twilio import LIMITS as TWILIO_LIMITS
from tests.providers.calls import payload
from tests.providers.twilio.calls import form
from tests.running import until
from tests.web.webhooks.calling import Answer, Call, Provider, mailgun_call, mailgun_event, meta_call, twilio_call
from tests.web.webhooks.serving import FailsAtFirst, RemembersAll, Served, TakesItsTime, served

PHONE = "+14155550001"
STOP_PATH = "/webhooks/twilio/loc1/inbound"
STOP = form("inbound_stop", From=PHONE)

OPT_OUTS: dict[str, Callable[[Provider], Awaitable[Answer]]] = {
    "twilio": lambda provider: provider.text("STOP", PHONE),
    "mailgun": lambda provider: provider.mailgun(mailgun_event("unsubscribed", "a@example.com")),
    "meta": lambda provider: provider.meta(payload("meta", "preference_stop")),
}
"""By provider: a call that holds somebody."""

SIGNED: dict[str, tuple[str, Call]] = {
    "twilio": (STOP_PATH, twilio_call(STOP_PATH, STOP)),
    "mailgun": ("/webhooks/mailgun/loc1", mailgun_call(mailgun_event("unsubscribed", "a@example.com"))),
    "meta": ("/webhooks/meta", meta_call(json.dumps(payload("meta", "preference_stop")).encode())),
}
"""The same as a path, a body and its headers."""

LIMITS: dict[str, Limits] = {"twilio": TWILIO_LIMITS, "mailgun": MAILGUN_LIMITS, "meta": META_LIMITS}

providers = pytest.mark.parametrize("provider", list(SIGNED))


@pytest.fixture
def door() -> RemembersAll:
    return RemembersAll()


@pytest.fixture
async def web(door: RemembersAll) -> AsyncIterator[Served]:
    async with served(door) as found:
        yield found


@asynccontextmanager
async def raw(port: int, head: str, body: bytes = b"") -> AsyncIterator[asyncio.StreamReader]:
    """A call written by hand, so that no client puts it right."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}\r\nHost: x\r\n\r\n".encode() + body)
    try:
        yield reader
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def status(reader: asyncio.StreamReader) -> int:
    line = await asyncio.wait_for(reader.readline(), 20)
    return int(line.split()[1])


# ---- what is signed and what is not ----


@providers
async def test_a_signed_call_is_told_and_answered_with_200(web: Served, door: RemembersAll, provider: str) -> None:
    answer = await OPT_OUTS[provider](web.provider)
    assert answer.status == 200
    assert len(door.told) == 1
    assert web.counted("webhooks_total", provider=provider, result="accepted") == 1
    assert web.counted("webhook_seconds_count") == 1


@providers
@pytest.mark.parametrize("spoiled", ["body", "no signature", "signature"])
async def test_a_call_without_a_good_signature_is_403_and_changes_nothing(
    web: Served, door: RemembersAll, provider: str, spoiled: str
) -> None:
    path, (body, headers) = SIGNED[provider]
    if provider == "mailgun":  # the signature is in the body
        body = {
            "body": body.replace(b'"timestamp": "1', b'"timestamp": "2'),
            "no signature": b'{"event-data": {"event": "unsubscribed", "recipient": "a@example.com"}}',
            "signature": mailgun_call(mailgun_event("unsubscribed", "a@example.com"), key="another")[0],
        }[spoiled]
    elif spoiled == "body":
        body += b"&x=1"
    else:
        kept = {name: value for name, value in headers.items() if "ignature" not in name}
        headers = kept if spoiled == "no signature" else headers | dict.fromkeys(headers.keys() - kept, "sha256=00")
    answer = await web.provider.post(path, body, headers)
    assert answer.status == 403
    assert answer.problem["status"] == 403
    assert door.told == []
    location = "*" if provider == "meta" else "loc1"
    assert web.counted("webhooks_total", provider=provider, result="unsigned") == 1
    assert web.counted("webhooks_refused_total", provider=provider, location=location, status="403") == 1


@pytest.mark.parametrize("path", ["/webhooks/twilio/{}/inbound", "/webhooks/twilio/{}/status", "/webhooks/mailgun/{}"])
async def test_nobody_finds_out_which_locations_have_an_account(web: Served, door: RemembersAll, path: str) -> None:
    body, headers = mailgun_call(mailgun_event("complained", "a@example.com"), key="guessed")
    found = [await web.provider.post(path.format(each), body, headers) for each in ("loc1", "loc3", "nowhere")]
    assert len({(answer.status, answer.body) for answer in found}) == 1
    assert found[0].status == 403
    provider = "twilio" if "twilio" in path else "mailgun"
    assert web.counted("webhooks_refused_total", provider=provider, location="loc1", status="403") == 1
    assert web.counted("webhooks_refused_total", provider=provider, location="", status="403") == 2


async def test_without_an_app_at_meta_nothing_of_it_is_signed() -> None:
    door = RemembersAll()
    async with served(door, accounts="") as web:
        assert (await web.provider.meta(payload("meta", "preference_stop"))).status == 403
        async with web.provider.session.get(f"{web.provider.url}/webhooks/meta?hub.mode=subscribe") as answer:
            assert answer.status == 403
    assert door.told == []


@providers
async def test_events_that_mean_nothing_are_200_and_counted(web: Served, door: RemembersAll, provider: str) -> None:
    match provider:
        case "twilio":
            answer, note = await web.provider.text("See you at 3", PHONE), "no_keyword"
        case "mailgun":
            answer, note = await web.provider.mailgun(mailgun_event("delivered", "a@b.c", event="new")), "unknown_event"
        case _:
            answer, note = await web.provider.meta({"object": "new", "entry": [{}]}), "unknown_event"
    assert answer.status == 200
    assert door.told == []
    assert web.counted("signal_notes_total", provider=provider, note=note) == 1


@providers
async def test_signed_and_unreadable_is_200_because_it_would_come_again_the_same(web: Served, provider: str) -> None:
    match provider:
        case "twilio":
            answer = await web.provider.twilio(STOP_PATH, {"Body": "STOP", "From": PHONE})
            assert answer.body.endswith(b"<Response/>")
        case "mailgun":
            answer = await web.provider.post("/webhooks/mailgun/loc1", *mailgun_call(None))
        case _:
            answer = await web.provider.post("/webhooks/meta", *meta_call(b"[]"))
    assert answer.status == 200
    assert web.counted("webhooks_total", provider=provider, result="unparsable") == 1


@providers
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_405(web: Served, provider: str, method: str) -> None:
    path, _ = SIGNED[provider]
    async with web.provider.session.request(method, f"{web.provider.url}{path}") as answer:
        assert answer.status == 405


# ---- what is not safe ----


@providers
async def test_what_cannot_be_kept_is_503_and_counts_when_it_comes_again(provider: str) -> None:
    door = FailsAtFirst(error=SpoolUnavailable("disk full"))
    path, (body, headers) = SIGNED[provider]
    async with served(door) as web:
        first = await web.provider.post(path, body, headers)
        again = await web.provider.post(path, body, headers)
        assert web.counted("webhooks_total", provider=provider, result="unsafe") == 1
    assert (first.status, again.status) == (503, 200)
    assert int(first.headers["Retry-After"]) > 0
    assert "disk" not in first.body.decode()
    assert len(door.told) == 1


@providers
async def test_what_can_never_be_written_is_not_asked_for_again(provider: str) -> None:
    async with served(FailsAtFirst(error=RefusedError("an event of 70000 bytes"))) as web:
        assert (await OPT_OUTS[provider](web.provider)).status == 200
        assert web.counted("webhooks_total", provider=provider, result="unparsable") == 1


@providers
async def test_too_many_calls_at_a_time_are_503_never_429_and_health_stays_open(
    monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    door = TakesItsTime()
    async with served(door) as web:
        limit = LIMITS[provider].calls
        inside = [asyncio.create_task(_nth(web.provider, provider, number)) for number in range(limit)]
        await until(lambda: door.inside == limit)
        refused = await OPT_OUTS[provider](web.provider)
        async with web.provider.session.get(f"{web.provider.url}/readyz") as health:
            assert health.status == 200
        door.go_on.set()
        assert {answer.status for answer in await asyncio.gather(*inside)} == {200}
        assert (await OPT_OUTS[provider](web.provider)).status == 200
    assert refused.status == 503
    assert "Retry-After" in refused.headers
    assert len(door.told) == limit + 1


async def _nth(provider: Provider, name: str, number: int) -> Answer:
    match name:
        case "twilio":
            return await provider.text("STOP", f"+1415555{number:04d}")
        case "mailgun":
            return await provider.mailgun(mailgun_event("unsubscribed", f"{number}@example.com"))
        case _:
            return await provider.meta(payload("meta", "preference_stop"))


# ---- bodies ----


@providers
async def test_a_body_above_the_limit_is_413_whether_it_says_its_length_or_not(
    web: Served, door: RemembersAll, provider: str
) -> None:
    path, (_, headers) = SIGNED[provider]
    body = b"x" * (LIMITS[provider].body_bytes + 1)

    async def in_chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 64 * 1024):
            yield body[start : start + 64 * 1024]

    assert (await web.provider.post(path, body, headers)).status == 413
    async with web.provider.session.post(f"{web.provider.url}{path}", data=in_chunks(), headers=headers) as answer:
        assert answer.status == 413
        assert answer.content_type == "application/problem+json"
    assert web.counted("webhooks_total", provider=provider, result="refused") == 2
    assert (await web.provider.post(path, body[:-1], headers)).status == 403


@providers
async def test_a_huge_length_is_refused_before_the_body_comes(web: Served, provider: str) -> None:
    async with raw(web.port, f"POST {SIGNED[provider][0]} HTTP/1.1\r\nContent-Length: 99999999999") as reader:
        assert await status(reader) == 413


@providers
async def test_a_slow_body_is_cut_and_its_place_is_free_again(
    web: Served, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setattr(reception, "BODY_DEADLINE_S", 0.2)
    async with raw(web.port, f"POST {SIGNED[provider][0]} HTTP/1.1\r\nContent-Length: 100", b"a=b") as reader:
        assert await status(reader) == 408
    assert (await OPT_OUTS[provider](web.provider)).status == 200


@pytest.mark.parametrize(
    "chunk", [b"zz\r\nabc\r\n0\r\n\r\n", b"3\r\nabcdefgh\r\n0\r\n\r\n", b"-3\r\nabc\r\n", b"\x00\xff\r\n\r\n"]
)
@providers
async def test_chunks_that_are_none_are_400_and_change_nothing(
    web: Served, door: RemembersAll, provider: str, chunk: bytes
) -> None:
    async with raw(web.port, f"POST {SIGNED[provider][0]} HTTP/1.1\r\nTransfer-Encoding: chunked", chunk) as reader:
        assert await status(reader) == 400
    assert door.told == []


@providers
async def test_a_caller_that_goes_away_in_the_middle_changes_nothing(
    web: Served, door: RemembersAll, provider: str
) -> None:
    async with raw(web.port, f"POST {SIGNED[provider][0]} HTTP/1.1\r\nContent-Length: 100", b"a=b"):
        pass
    await until(lambda: web.counted("webhooks_total", provider=provider, result="refused") == 1)
    assert door.told == []


@providers
async def test_a_body_in_chunks_counts_like_any_other(web: Served, provider: str) -> None:
    path, (body, headers) = SIGNED[provider]

    async def in_chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    async with web.provider.session.post(f"{web.provider.url}{path}", data=in_chunks(), headers=headers) as answer:
        assert answer.status == 200


@providers
async def test_a_caller_that_waits_to_be_told_to_continue_is_told(web: Served, provider: str) -> None:
    path, (body, headers) = SIGNED[provider]
    async with web.provider.session.post(
        f"{web.provider.url}{path}", data=body, headers=headers, expect100=True
    ) as answer:
        assert answer.status == 200


@providers
async def test_a_packed_body_is_not_unpacked(web: Served, door: RemembersAll, provider: str) -> None:
    """Some KiB unpack to gigabytes, and what is signed are the bytes that came."""
    path, (body, headers) = SIGNED[provider]
    packed = gzip.compress(body)
    answer = await web.provider.post(path, packed, {**headers, "Content-Encoding": "gzip"})
    assert answer.status == 403
    assert door.told == []


async def test_why_a_location_s_calls_are_refused_is_logged_once_a_while(
    web: Served, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await web.provider.twilio(STOP_PATH, STOP, key="wrong")
        await web.provider.twilio("/webhooks/twilio/nowhere/inbound", STOP, key="wrong")
    (said,) = (record.getMessage() for record in caplog.records if record.name == reception.__name__)
    assert "twilio for loc1 is unsigned: the signature does not match" in said
