"""R22: what is queued fails once DND is on.

It has three moments: the decision, the time a message waits behind the guard, and the call to the provider. Here is the
first, for whatever waited before it. A worker that calls providers itself has to look again (`explain`).
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from gateway.localkafka import LocalKafka
from tests.requirements.accounts import Kind, accounts_file, location_ids
from tests.requirements.location import DROPPED, FORWARDED, MANUAL, Location, now_ms
from tests.requirements.mailgun_api import MailgunApi
from tests.requirements.outside import Outside
from tests.requirements.people import somebody
from tests.requirements.process import environment, running, sendguard

KEYWORD = {("SMS", "keyword_opt_out", "permanent")}


def test_r22_all_that_is_queued_fails_once_dnd_is_on(kafka: LocalKafka, tmp_path: Path) -> None:
    """Requests that wait in Kafka when the opt-out is acknowledged are dropped, scheduled and repeated ones too.

    The guard does not run while they are queued: there is no doubt about which came first. The role that takes in
    the opt-out is a process of its own.
    """
    prefix, accounts = f"queued-{uuid.uuid4().hex[:8]}.", tmp_path / "accounts.toml"
    accounts.write_text(accounts_file("http://127.0.0.1:1"), encoding="utf-8")
    door = environment(kafka, prefix, tmp_path / "door", ACCOUNTS=str(accounts), INSTANCE_ID="door")
    guard = environment(kafka, prefix, tmp_path / "guard", ACCOUNTS=str(accounts), INSTANCE_ID="guard")
    sendguard(door, "topics", "apply")
    person, other = somebody(), somebody()
    with running(door, tmp_path, "http") as service:
        outside = Outside.of(service, kafka.bootstrap_servers, prefix, MailgunApi())
        location = Location(location_ids(Kind.PLAIN)[0], outside)
        scheduled: dict[str, Any] = {"created_at": now_ms() - 86_400_000, "not_after": now_ms() + 86_400_000}
        queued = [location.requests(person, source=source, **scheduled) for source in ("workflow", "campaign", MANUAL)]
        queued.append(queued[0].replace(b'"request_id":"', b'"request_id":"again-'))
        outside.produce("outbound.requests", person.contact, queued[-1])
        free = location.requests(other)
        location.texts(person, "STOP")
        with running(guard, tmp_path, "guard"):
            assert [location.decided(each).holds for each in queued] == [KEYWORD] * len(queued)
            assert location.decided(free).outcome == FORWARDED
            outside.reader.balance()
        outside.reader.close()


def test_r22_the_state_is_read_when_the_decision_is_made(location: Location) -> None:
    """On, off and on again between requests of one stream: each is judged by what is acknowledged at its time."""
    person = somebody()
    for on in (True, False, True, False):
        location.switch(person, SMS=on)
        assert location.outcome(person) == (DROPPED if on else FORWARDED)


def test_r22_a_worker_that_looks_again_is_told_what_the_guard_would_say_now(location: Location) -> None:
    """`explain`: for what was forwarded and waits in a queue or for a retry."""
    person = somebody()
    forwarded = location.sends(person)
    assert forwarded.outcome == FORWARDED
    location.texts(person, "STOP")
    answer = location.outside.service.call(
        "POST",
        f"/v1/locations/{location.id}/explain",
        forwarded.sent,
        {"Authorization": "Bearer sk-user", "Content-Type": "application/json"},
    )
    assert answer.status == 200, answer
    assert answer.json["outcome"] == DROPPED
    assert [each["cause"] for each in answer.json["reasons"]] == ["keyword_opt_out"]
