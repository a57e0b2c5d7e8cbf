"""Whatever is sent: no 500, nothing told to the door without a valid signature, and the next call is served."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.calls import any_json
from tests.web.webhooks.calling import mailgun_call, meta_call, twilio_call
from tests.web.webhooks.serving import RemembersAll, Served, served

PATHS = [
    "/webhooks/twilio/loc1/inbound",
    "/webhooks/twilio/loc1/status",
    "/webhooks/mailgun/loc1",
    "/webhooks/meta",
]

REFUSED = {400, 403, 404, 405, 408, 411, 413, 417, 431, 501}
"""What somebody may be told whose call is not good."""

header_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60).map(str.strip)
content_types = st.sampled_from(
    ["application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", "text/xml", ";=,", ""]
)
form_text = st.text(max_size=30)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """Hypothesis calls a plain function many times: all of them on one loop, with one server."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def door() -> RemembersAll:
    return RemembersAll()


@pytest.fixture(scope="module")
def web(loop: asyncio.Runner, door: RemembersAll) -> Iterator[Served]:
    async def enter() -> tuple[Any, Served]:
        opened = served(door)
        return opened, await opened.__aenter__()

    opened, found = loop.run(enter())
    yield found
    loop.run(opened.__aexit__(None, None, None))


@given(
    path=st.sampled_from(PATHS),
    body=st.binary(max_size=300),
    content_type=content_types,
    signature=header_values,
    query=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
)
def test_random_bodies_under_random_signatures_change_nothing(
    loop: asyncio.Runner,
    web: Served,
    door: RemembersAll,
    path: str,
    body: bytes,
    content_type: str,
    signature: str,
    query: str,
) -> None:
    headers = {"Content-Type": content_type, "X-Twilio-Signature": signature, "X-Hub-Signature-256": signature}
    told = len(door.told)
    answer = loop.run(web.provider.post(f"{path}?{query.replace('#', '')}", body, headers))
    assert answer.status == 403
    assert answer.problem["status"] == 403
    assert len(door.told) == told


@given(fields=st.dictionaries(form_text, form_text, max_size=5), known=st.data(), path=st.sampled_from(PATHS[:2]))
def test_random_signed_forms_are_200(
    loop: asyncio.Runner, web: Served, fields: dict[str, str], known: st.DataObject, path: str
) -> None:
    """Twilio adds fields, and says anything in those that we know."""
    for name in ("MessageSid", "Body", "From", "To", "ErrorCode", "MessageStatus", "OptOutType"):
        if known.draw(st.booleans()):
            fields[name] = known.draw(form_text | st.sampled_from(["SM1", "STOP", "+14155550001", "30004", "failed"]))
    answer = loop.run(web.provider.twilio(path, fields))
    assert answer.status == 200


@given(event=any_json)
def test_random_signed_events_of_mailgun_are_200(loop: asyncio.Runner, web: Served, event: Any) -> None:
    body, headers = mailgun_call(event)
    assert loop.run(web.provider.post(PATHS[2], body, headers)).status == 200


@given(post=any_json | st.fixed_dictionaries({"object": st.sampled_from(["page", "x"]), "entry": st.lists(any_json)}))
def test_random_signed_posts_of_meta_are_200(loop: asyncio.Runner, web: Served, post: Any) -> None:
    body, headers = meta_call(json.dumps(post).encode())
    assert loop.run(web.provider.post(PATHS[3], body, headers)).status == 200


@given(body=st.binary(max_size=200))
def test_signed_bytes_that_are_no_json_are_200_from_meta(loop: asyncio.Runner, web: Served, body: bytes) -> None:
    assert loop.run(web.provider.post(PATHS[3], *meta_call(body))).status == 200


@given(location=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_location_in_the_path_is_403_or_not_there(loop: asyncio.Runner, web: Served, location: str) -> None:
    async def call() -> int:
        url = f"{web.provider.url}/webhooks/twilio/"
        async with web.provider.session.post(f"{url}{location}/inbound", data={"a": "b"}) as answer:
            return answer.status

    assert loop.run(call()) in {403, 404}


HOSTILE: dict[str, bytes] = {
    "latin-1 in a form": b"Body=\xe9&From=%2B14155550001",
    "a half of an emoji": b"Body=%ED%A0%BD",
    "no name": b"=STOP",
    "nothing but marks": b"&&&&====",
    "a NUL": b"Body=STOP%00&From=%2B14155550001\x00",
    "many fields": b"&".join(b"a%d=1" % number for number in range(10_000)),
    "utf-16": "Body=STOP".encode("utf-16"),
    "brackets": b"[" * 100_000,
    "a number without end": b'{"signature": ' + b"9" * 100_000,
    "nested objects": b'{"a":' * 50_000,
    "xml": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
}


@pytest.mark.parametrize("name", list(HOSTILE))
@pytest.mark.parametrize("path", PATHS)
def test_hostile_bodies_unsigned_are_403(
    loop: asyncio.Runner, web: Served, door: RemembersAll, path: str, name: str
) -> None:
    told = len(door.told)
    for content_type in ("application/x-www-form-urlencoded", "application/json"):
        headers = {"Content-Type": content_type, "X-Twilio-Signature": "a", "X-Hub-Signature-256": "sha256=a"}
        assert loop.run(web.provider.post(path, HOSTILE[name], headers)).status == 403
    assert len(door.told) == told


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_bodies_signed_by_meta_are_200(loop: asyncio.Runner, web: Served, name: str) -> None:
    assert loop.run(web.provider.post(PATHS[3], *meta_call(HOSTILE[name]))).status == 200


raw_calls = st.sampled_from(
    [
        b"POST /webhooks/meta HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /webhooks/meta HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /webhooks/meta HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /webhooks/meta HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /webhooks/meta HTTP/9.9\r\n\r\n",
        b"POST /webhooks/meta HTTP/1.1\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\na",
        b"POST /webhooks/twilio/%ff%00/inbound HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST http://other/webhooks/meta HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /webhooks/meta HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n",
    ]
)


@given(call=raw_calls | st.binary(max_size=200).map(lambda rest: b"POST /webhooks/meta HTTP/1.1\r\n" + rest))
def test_what_is_hardly_http_is_refused_and_the_server_goes_on(
    loop: asyncio.Runner, web: Served, door: RemembersAll, call: bytes
) -> None:
    told = len(door.told)

    async def send() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(call)
        writer.write_eof()
        try:
            return await asyncio.wait_for(reader.readline(), 20)
        except ConnectionError:
            return b""
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    line = loop.run(send())
    assert line == b"" or int(line.split()[1]) in REFUSED, line
    assert len(door.told) == told
    assert loop.run(web.provider.post(PATHS[0], *twilio_call(PATHS[0], {"MessageSid": "SM1"}))).status == 200
