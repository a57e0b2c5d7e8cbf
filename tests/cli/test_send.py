"""`sendguard send`."""

import json
from pathlib import Path

from tests.cli.shell import sendguard
from tests.running import Outside, request


def lines(*requests: dict[str, object] | str) -> str:
    return "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in requests)


def test_requests_are_written_in_order_and_keyed_by_contact(environment: dict[str, str], outside: Outside) -> None:
    given = [request(number, contact_id="c1") for number in range(50)]
    sent = sendguard(environment, "send", "-", stdin=lines(*given))
    assert (sent.code, sent.out) == (0, "50 requests sent\n")
    records = outside.committed(outside.topics.requests, 50)
    assert [json.loads(record.value()) for record in records] == given
    assert {(record.key(), record.partition()) for record in records} == {(b"c1", records[0].partition())}


def test_the_bytes_of_a_line_are_sent_as_they_are(
    environment: dict[str, str], outside: Outside, tmp_path: Path
) -> None:
    line = (
        b'{ "request_id":"r","location_id":"l","contact_id":"c","channel":"SMS","to":"+14155552671","body":"\xc3\xa9" }'
    )
    (tmp_path / "requests").write_bytes(b"\n" + line + b"\r\n\n")
    assert sendguard(environment, "send", str(tmp_path / "requests"), "--json").json == {"sent": 1, "invalid": 0}
    assert outside.committed(outside.topics.requests, 1)[0].value() == line


def test_an_invalid_line_is_named_with_its_field_and_nothing_is_sent(
    environment: dict[str, str], outside: Outside
) -> None:
    given = lines(request(1), "not json", request(2, to="12"), request(3, channel="Fax"), {"request_id": "r-4"})
    ended = sendguard(environment, "send", "-", stdin=given)
    assert (ended.code, ended.out) == (1, "")
    assert [error.split(": expected")[0] for error in ended.err.splitlines()[:4]] == [
        "line 2: value",
        "line 3: to",
        "line 4: channel",
        "line 5: location_id",
    ]
    assert outside.committed(outside.topics.requests, 0) == []


def test_force_sends_invalid_lines_too(environment: dict[str, str], outside: Outside) -> None:
    ended = sendguard(environment, "send", "-", "--force", stdin=lines(request(1), "not json", request(2, to="12")))
    assert (ended.code, ended.out) == (0, "3 requests sent, 2 of them invalid\n")
    keys = sorted((record.key() or b"none") for record in outside.committed(outside.topics.requests, 3))
    assert keys == [b"c1", b"c2", b"none"]


def test_a_number_without_country_code_is_read_in_the_region_of_its_location(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "accounts.toml").write_text('[locations.loc1]\ndefault_region = "US"\n')
    given = lines(request(1, to="(415) 555-2671"))
    assert sendguard(environment, "send", "-", stdin=given).code == 1
    with_region = environment | {"SENDGUARD_ACCOUNTS": str(tmp_path / "accounts.toml")}
    assert sendguard(with_region, "send", "-", stdin=given).code == 0


def test_a_line_that_no_topic_takes_is_refused_by_its_number(environment: dict[str, str], outside: Outside) -> None:
    given = lines(request(1), request(2, body="x" * 6_000_000), request(3))
    ended = sendguard(environment, "send", "-", "--force", stdin=given)
    assert (ended.code, "line 2" in ended.err) == (1, True)


def test_a_file_that_is_not_there_ends_with_2(environment: dict[str, str]) -> None:
    assert sendguard(environment, "send", "nowhere.ndjson").code == 2
