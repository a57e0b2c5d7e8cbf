"""Attachments as Twilio fetches them: https URLs."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.sending import CannotSend
from gateway.providers.twilio.send_fields import FILES_LIMIT, LONGEST_URL, file_urls
from tests.providers.calls import any_json
from tests.providers.twilio.sending import attached, message


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/a.png",
        "HTTPS://x.example/a.png",
        "https://user:secret@x.example:8443/a?b=c#d",
        "https://[2001:db8::1]/a",
        "https://x.example/é",
        "https://x",
    ],
)
def test_an_https_url_by_itself_or_in_an_object(url: str) -> None:
    named = {"url": url, "name": "a.png", "more": [{}]}
    assert file_urls(message(attachments=attached(url, named))) == [url, url]


@pytest.mark.parametrize(
    "attachment",
    [
        *("", "x", "http://x.example/a", "ftp://x.example/a", "file:///etc/passwd", "https:///a", "https:x", "//x/a"),
        *("https://x.example:port/a", "https://x.example:99999/", "https://[::1/a", "javascript:alert(1)"),
        *("https://x.example/a b", "https://x.example/\n", "https://x.example\\@y.example/", " https://x.example/"),
        "https://x.example/" + "a" * LONGEST_URL,
        *(None, 1, True, [], ["https://x.example/"], {}, {"url": None}, {"url": 1}, {"href": "https://x.example/"}),
        {"url": {"url": "https://x.example/"}},
    ],
)
def test_nothing_else_is_an_attachment(attachment: object) -> None:
    with pytest.raises(CannotSend, match=r"attachments\[1\]") as refused:
        file_urls(message(attachments=attached("https://x.example/a", attachment)))
    assert refused.value.code == "bad_attachment"


def test_a_message_has_ten_files_at_most() -> None:
    urls = [f"https://x.example/{each}" for each in range(FILES_LIMIT + 1)]
    assert file_urls(message(attachments=attached(*urls[:10]))) == urls[:10]
    with pytest.raises(CannotSend) as refused:
        file_urls(message(attachments=attached(*urls)))
    assert refused.value.code == "too_many_attachments"


DEEP = [b"[" * 100_000 + b"]" * 100_000, b'{"url":' * 100_000 + b"1" + b"}" * 100_000, b'{"a":' + b"[" * 100_000]


@given(st.binary(max_size=60) | any_json.map(lambda found: json.dumps(found).encode()) | st.sampled_from(DEEP))
def test_any_attachment_is_taken_or_refused(raw: bytes) -> None:
    try:
        (url,) = file_urls(message(attachments=(msgspec.Raw(raw),)))
    except CannotSend as refused:
        assert refused.code == "bad_attachment"  # noqa: PT017 - both ways out are right
    else:
        assert url.lower().startswith("https://")
