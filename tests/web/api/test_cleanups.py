"""The guided email clean-up (R12), from the call to the lift, with a server that behaves like Mailgun's API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.cleanup import EmailCleanups
from gateway.cleanup.model import CleanupStatus
from gateway.cleanup.service import Asked, Unfinished
from gateway.cleanup.store import CleanupStore
from gateway.clock import now_ms
from gateway.dnd.model import Cause, Scope, Subject, SubjectKind
from gateway.settings import Settings
from tests.cleanup.provider import MailgunThatKeepsLists, mailgun_that_keeps_lists
from tests.contacts.people import CONTACT, EMAIL, USER, place
from tests.web.api.memory import InMemoryLog, gateway_in_memory
from tests.web.api.serving import Api, accounts, api_of

CLEANUP = "contacts/c1/email-cleanup"
REMOVALS = [
    f"DELETE /v3/{domain}/{listed}/a%40example.com"
    for domain in ("mg.example.com", "news.example.com")
    for listed in ("bounces", "unsubscribes")
]
VALIDATION = "GET /v4/address/validate?address=a%40example.com&provider_lookup=true"


@pytest.fixture
async def mailgun() -> AsyncIterator[MailgunThatKeepsLists]:
    async with mailgun_that_keeps_lists() as provider:
        yield provider


@pytest.fixture
async def api(log: InMemoryLog, mailgun: MailgunThatKeepsLists, tmp_path: Path) -> AsyncIterator[Api]:
    given = Settings.of(http_port=0, data_dir=str(tmp_path))
    async with api_of(gateway_in_memory(log), given, accounts(loc1=mailgun.settings())) as serving:
        serving.directory.entries["c1"] = (EMAIL,)
        yield serving


async def bounced(api: Api) -> None:
    """And complained of, switched off by somebody, and off the other list: each for itself."""
    for subject in (EMAIL, CONTACT):
        await api.gateway.told(
            place(subject, Scope.EMAIL, Cause.BOUNCE, event_id="b"),
            place(subject, Scope.EMAIL, Cause.UNSUBSCRIBE, event_id="u"),
        )
    await api.gateway.told(
        place(EMAIL, Scope.EMAIL, Cause.COMPLAINT, event_id="c"),
        place(CONTACT, Scope.EMAIL, Cause.MANUAL, event_id="m"),
    )


async def causes(api: Api) -> list[str]:
    return sorted({hold["cause"] for hold in (await api.dnd())["holds"]})


async def test_r12_the_address_is_taken_off_every_list_validated_and_then_lifted(
    api: Api, mailgun: MailgunThatKeepsLists
) -> None:
    """R11 too: a complaint stays, and what a person has switched off."""
    await bounced(api)
    mailgun.lists["news.example.com", "bounces"] = {EMAIL.id}
    answer = await api.call("POST", CLEANUP)
    assert answer.status == 200, answer
    assert mailgun.calls == [*REMOVALS, VALIDATION]
    assert mailgun.lists["news.example.com", "bounces"] == set()
    assert [step["outcome"] for step in answer.body["steps"]] == [
        "it was not on the list",
        "it was not on the list",
        "removed",
        "it was not on the list",
        "the address is deliverable",
    ]
    assert {step["by"] for step in answer.body["steps"]} == {"key:user"}
    assert await causes(api) == ["complaint", "manual"]
    (done,) = [row for row in await api.audited() if row["stage"] == "done"]
    assert "Email bounce on email" in done["details"]["before"]["holds"]
    assert "Email bounce on email" not in done["details"]["after"]["holds"]


FAILURES = [(step, status) for step in (0, 3, 4) for status in (401, 302, 429, 500)]
FAILURES.append((4, 404))  # of a removal, a 404 is how it is done that was done before


@pytest.mark.parametrize(("step", "status"), FAILURES)
async def test_r12_a_step_that_fails_lifts_nothing_and_the_next_call_goes_on_there(
    api: Api, mailgun: MailgunThatKeepsLists, log: InMemoryLog, step: int, status: int
) -> None:
    answered = 503 if status in {429, 500} else 502
    await bounced(api)
    mailgun.answers = [200] * step + [status]
    before = len(log.events)
    answer = await api.call("POST", CLEANUP)
    assert answer.status == answered, answer
    assert answer.problem == ("step-failed" if answered == 502 else "unfinished")
    assert (len(log.events), await causes(api)) == (before, ["bounce", "complaint", "manual", "unsubscribe"])
    mailgun.calls.clear()
    again = await api.call("POST", CLEANUP, key="agency")
    assert again.status == 200
    assert mailgun.calls == [*REMOVALS, VALIDATION][step:]
    assert await causes(api) == ["complaint", "manual"]


async def test_r12_an_address_that_takes_no_mail_stays_held(api: Api, mailgun: MailgunThatKeepsLists) -> None:
    await bounced(api)
    mailgun.result = "undeliverable"
    answer = await api.call("POST", CLEANUP)
    assert (answer.status, answer.problem) == (409, "not-deliverable")
    assert await causes(api) == ["bounce", "complaint", "manual", "unsubscribe"]
    mailgun.result = "deliverable"
    assert (await api.call("POST", CLEANUP)).status == 200  # from the beginning
    assert len(mailgun.calls) == 10


async def test_r12_what_is_placed_while_a_clean_up_runs_stays(api: Api, mailgun: MailgunThatKeepsLists) -> None:
    await bounced(api)
    mailgun.answers = [500]
    await api.call("POST", CLEANUP)
    await api.gateway.told(place(EMAIL, Scope.EMAIL, Cause.BOUNCE, at=now_ms(), event_id="b2"))
    answer = await api.call("POST", CLEANUP)
    assert answer.status == 200
    assert [(hold["cause"], hold["event_id"]) for hold in answer.body["contact"]["holds"]] == [
        ("manual", "m"),
        ("bounce", "b2"),
        ("complaint", "c"),
    ]


@pytest.mark.parametrize("hours", [25, 23, -23, -25])
async def test_r12_a_clean_up_that_was_begun_a_day_ago_is_begun_again_also_by_a_fast_clock(
    api: Api, mailgun: MailgunThatKeepsLists, hours: int
) -> None:
    """Minus: the clock it was begun by was ahead of this one."""
    await bounced(api)
    begun_at = now_ms()
    clock = [begun_at]
    cleanups = EmailCleanups(
        api.gateway.log,
        api.directory,
        accounts(loc1=mailgun.settings()),
        CleanupStore(api.engine),
        clock=lambda: clock[0],
    )
    asked = Asked("loc1", "c1", USER)
    mailgun.answers = [200, 500]
    with pytest.raises(Unfinished):
        await cleanups.clean_up(asked)
    mailgun.calls.clear()
    clock[0] = begun_at + hours * 3_600_000
    assert (await cleanups.clean_up(asked)).status is CleanupStatus.DONE
    assert mailgun.calls == [*REMOVALS, VALIDATION][0 if abs(hours) > 24 else 1 :]
    assert await causes(api) == ["complaint", "manual"]


async def test_r12_a_user_may_confirm_that_it_was_done_by_hand(api: Api, mailgun: MailgunThatKeepsLists) -> None:
    await bounced(api)
    mailgun.answers = [401]
    assert (await api.call("POST", CLEANUP)).status == 502
    mailgun.calls.clear()
    answer = await api.call("POST", CLEANUP, {"by_hand": True, "address": "A@Example.com"})
    assert (answer.status, [step["name"] for step in answer.body["steps"]]) == (200, ["by_hand"])
    assert answer.body["steps"][0]["by"] == "key:user"
    assert mailgun.calls == []
    assert await causes(api) == ["complaint", "manual"]


async def test_which_address_is_meant_must_be_clear(api: Api) -> None:
    other = Subject("loc1", SubjectKind.EMAIL, "b@example.com")
    for known, address in ((), None), ((EMAIL, other), None), ((EMAIL,), "b@example.com"), ((EMAIL,), "nobody"):
        api.directory.entries["c1"] = known
        answer = await api.call("POST", CLEANUP, {} if address is None else {"address": address})
        assert (answer.status, answer.problem, answer.fields) == (409, "no-email-address", ["address"])


async def test_without_an_account_it_can_only_be_confirmed_by_hand(quick: Api) -> None:
    quick.directory.entries["c1"] = (EMAIL,)
    answer = await quick.call("POST", CLEANUP)
    assert (answer.status, answer.problem) == (409, "no-mail-account")
    assert (await quick.call("POST", CLEANUP, {"by_hand": True})).status == 200


async def test_while_the_provider_is_away_the_clean_up_waits(
    api: Api, mailgun: MailgunThatKeepsLists, log: InMemoryLog, tmp_path: Path
) -> None:
    gone = accounts(loc1=MailgunThatKeepsLists(url="http://127.0.0.1:9").settings())
    given = Settings.of(http_port=0, data_dir=str(tmp_path))
    async with api_of(gateway_in_memory(log), given, gone) as away:
        away.directory.entries["c1"] = (EMAIL,)
        answer = await away.call("POST", CLEANUP)
    assert (answer.status, answer.problem) == (503, "unfinished")
    assert int(answer.headers["Retry-After"]) > 0
