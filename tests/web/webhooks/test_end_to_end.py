"""From a provider's signed call to what the guard does with the next request: one service, a real Kafka."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.app import Service
from gateway.localkafka import LocalKafka
from tests.providers.calls import payload
from tests.providers.twilio.calls import form
from tests.running import Outside, request, running, settings_for
from tests.web.webhooks.calling import Answer, Provider, accounts_in, mailgun_event

pytestmark = pytest.mark.asyncio(loop_scope="module")

PERMANENT, TEMPORARY = "permanent", "temporary"


@dataclass
class Gateway:
    """The service, its callers, and a sender whose requests it decides."""

    service: Service
    outside: Outside
    provider: Provider
    phones: int = 0
    sent: set[str] = field(default_factory=set)

    def phone(self) -> str:
        """Of somebody new."""
        self.phones += 1
        return f"+1415555{self.phones:04d}"

    async def decides(self, *requests: Mapping[str, object]) -> list[dict[str, Any]]:
        """The decisions on requests made now, in their order."""
        made = [request(0, **{"contact_id": "c", **each}, request_id=uuid.uuid4().hex) for each in requests]
        await asyncio.to_thread(self.outside.send, made)
        self.sent |= {str(each["request_id"]) for each in made}
        decisions = await asyncio.to_thread(self.outside.decisions, len(self.sent))
        found = {each["request_id"]: each for each in decisions}
        return [found[each["request_id"]] for each in made]

    async def holds(self, to: str, channel: str = "SMS", location: str = "loc1") -> set[tuple[str, str]]:
        """Cause and kind of what drops a request to the address; empty = it is forwarded."""
        (decided,) = await self.decides({"to": to, "channel": channel, "location_id": location})
        assert decided["outcome"] == ("dropped" if decided["reasons"] else "forwarded")
        return {(reason["cause"], reason["kind"]) for reason in decided["reasons"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("gateway")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(kafka: LocalKafka, folder: Any) -> AsyncIterator[Gateway]:
    prefix = f"webhooks-{uuid.uuid4().hex[:8]}"
    settings = settings_for(kafka, folder / "data", prefix, accounts=str(accounts_in(folder)))
    async with running(settings, "guard", "http") as service, aiohttp.ClientSession() as session:
        provider = Provider(f"http://127.0.0.1:{service.port}", session)
        yield Gateway(service, Outside.of(settings), provider)


def done(*answers: Answer) -> None:
    assert [answer.status for answer in answers] == [200] * len(answers)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_r13_a_stop_by_sms_drops_the_next_request_whoever_the_contact_is(gateway: Gateway) -> None:
    stopped, other = gateway.phone(), gateway.phone()
    answer = await gateway.provider.text("Stop.", stopped)
    done(answer)
    assert answer.body == b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
    decided = await gateway.decides(
        {"to": stopped, "contact_id": "c1"},
        {"to": stopped, "contact_id": "c2", "source": "app"},
        {"to": stopped, "channel": "MMS"},
        {"to": stopped, "channel": "Call"},
        {"to": other},
    )
    assert [each["outcome"] for each in decided] == ["dropped", "dropped", "dropped", "forwarded", "forwarded"]
    (reason,) = decided[0]["reasons"]
    assert (reason["cause"], reason["kind"], reason["subject"]) == ("keyword_opt_out", PERMANENT, "address")


@pytest.mark.parametrize(
    "said",
    [
        "STOP",
        "unsubscribe",
        "CANCEL",
        "UNSTOP",
        " \u201cStop\u201d! ",
        "\uff33\uff34\uff2f\uff30",
        "S\u200bTOP",
        "opt  out",
    ],
)
async def test_r13_r14_words_that_opt_out(gateway: Gateway, said: str) -> None:
    person = gateway.phone()
    done(await gateway.provider.text(said, person))
    assert await gateway.holds(person) == {("keyword_opt_out", PERMANENT)}


async def test_r13_sentences_and_emoji_are_no_keywords(gateway: Gateway) -> None:
    person = gateway.phone()
    for said in ("Stop by tomorrow", "cancel my 3pm", "\U0001f6d1", "", "YES", "HELP", "nonstop"):
        done(await gateway.provider.text(said, person))
    assert await gateway.holds(person) == set()


async def test_r14_twilio_says_start_to_unstop_and_our_profile_says_opt_out_stays_blocked(gateway: Gateway) -> None:
    person = gateway.phone()
    done(await gateway.provider.text("UNSTOP", person, OptOutType="START"))
    assert await gateway.holds(person) == {("keyword_opt_out", PERMANENT)}


async def test_r13_twilio_says_stop_to_a_word_that_only_it_knows(gateway: Gateway) -> None:
    person = gateway.phone()
    done(await gateway.provider.text("BASTA", person, OptOutType="STOP"))
    assert await gateway.holds(person) == {("keyword_opt_out", PERMANENT)}


@pytest.mark.parametrize("code", ["30003", "30005", "30006"])
async def test_r15_unreachable_is_temporary(gateway: Gateway, code: str) -> None:
    person = gateway.phone()
    done(await gateway.provider.failed(code, person))
    assert await gateway.holds(person) == {("unreachable", TEMPORARY)}


@pytest.mark.parametrize("code", ["30004", "21610"])
async def test_r16_a_carrier_s_opt_out_is_permanent(gateway: Gateway, code: str) -> None:
    person = gateway.phone()
    done(await gateway.provider.failed(code, person))
    assert await gateway.holds(person) == {("carrier_opt_out", PERMANENT)}


async def test_r15_r16_other_codes_hold_nobody(gateway: Gateway) -> None:
    person = gateway.phone()
    for code in ("30007", "30008", "63016", "99999", ""):
        done(await gateway.provider.failed(code, person))
    assert await gateway.holds(person) == set()


async def test_r18_start_lifts_what_stop_and_the_carrier_placed(gateway: Gateway) -> None:
    person = gateway.phone()
    for code in ("30003", "30004", "21610"):
        done(await gateway.provider.failed(code, person))
    assert await gateway.holds(person) == {("unreachable", TEMPORARY), ("carrier_opt_out", PERMANENT)}
    done(await gateway.provider.text("start", person))
    assert await gateway.holds(person) == set()
    done(await gateway.provider.text("stop", person))
    assert await gateway.holds(person) == {("keyword_opt_out", PERMANENT)}
    done(await gateway.provider.text("START", person))
    assert await gateway.holds(person) == set()


async def test_r18_a_late_30004_of_a_message_older_than_start_does_not_block_again(gateway: Gateway) -> None:
    person, created_at = gateway.phone(), now_ms()
    done(await gateway.provider.text("STOP", person), await gateway.provider.text("START", person))
    done(await gateway.provider.failed("30004", person, created_at))
    assert await gateway.holds(person) == set()
    done(await gateway.provider.failed("30004", person, now_ms() + 1))
    assert await gateway.holds(person) == {("carrier_opt_out", PERMANENT)}


async def test_r18_a_start_that_is_delivered_again_does_not_lift_a_newer_stop(gateway: Gateway) -> None:
    person = gateway.phone()
    done(
        await gateway.provider.text("STOP", person, sid="SMfirst"),
        await gateway.provider.text("START", person, sid="SMstart"),
        await gateway.provider.text("STOP", person, sid="SMsecond"),
        await gateway.provider.text("START", person, sid="SMstart"),
    )
    assert await gateway.holds(person) == {("keyword_opt_out", PERMANENT)}


async def test_r18_start_of_somebody_who_never_opted_out_does_nothing(gateway: Gateway) -> None:
    person = gateway.phone()
    done(await gateway.provider.text("START", person))
    assert await gateway.holds(person) == set()
    done(await gateway.provider.text("STOP", person))
    assert await gateway.holds(person) == {("keyword_opt_out", PERMANENT)}


async def test_r21_an_opt_out_is_its_location_s_alone(gateway: Gateway) -> None:
    person = gateway.phone()
    done(await gateway.provider.text("STOP", person))
    assert await gateway.holds(person, location="loc2") == set()


@pytest.mark.parametrize(
    ("name", "cause", "kind"),
    [
        ("permanent_bounce", "bounce", TEMPORARY),
        ("permanent_generic", "bounce", TEMPORARY),
        ("permanent_suppress_bounce", "bounce", TEMPORARY),
        ("permanent_suppress_unsubscribe", "unsubscribe", TEMPORARY),
        ("permanent_suppress_complaint", "suppressed_complaint", TEMPORARY),
        ("unsubscribed", "unsubscribe", TEMPORARY),
        ("complained", "complaint", PERMANENT),
    ],
)
async def test_r9_r10_events_of_mailgun_hold_the_address(gateway: Gateway, name: str, cause: str, kind: str) -> None:
    person = f"{uuid.uuid4().hex}@Example.com"
    done(await gateway.provider.mailgun(mailgun_event(name, person)))
    assert await gateway.holds(person.lower(), "Email") == {(cause, kind)}


async def test_r9_temporary_failures_and_other_reasons_hold_nobody(gateway: Gateway) -> None:
    person = f"{uuid.uuid4().hex}@example.com"
    for name in ("temporary_generic", "permanent_old", "delivered"):
        done(await gateway.provider.mailgun(mailgun_event(name, person)))
    assert await gateway.holds(person, "Email") == set()


async def test_provider_opt_out_whatsapp_preferences_hold_and_free_whatsapp_alone(gateway: Gateway) -> None:
    person, wa_id = "+16505550123", "16505550123"
    stop, resume = payload("meta", "preference_stop"), payload("meta", "preference_resume")
    assert wa_id in json.dumps(stop)
    said_at = now_ms() // 1000
    for post, at in ((stop, said_at - 10), (resume, said_at - 5)):
        (preference,) = post["entry"][0]["changes"][0]["value"]["user_preferences"]
        preference["timestamp"] = at
    done(await gateway.provider.meta(stop))
    assert await gateway.holds(person, "WhatsApp") == {("provider_opt_out", TEMPORARY)}
    assert await gateway.holds(person) == set()
    done(await gateway.provider.meta(resume), await gateway.provider.meta(stop))  # the stop came again
    assert await gateway.holds(person, "WhatsApp") == set()


async def test_provider_opt_out_131050_holds_whatsapp(gateway: Gateway) -> None:
    status, person = payload("meta", "status_failed_131050"), gateway.phone()
    (item,) = status["entry"][0]["changes"][0]["value"]["statuses"]
    item["recipient_id"] = person.removeprefix("+")
    done(await gateway.provider.meta(status))
    assert await gateway.holds(person, "WhatsApp") == {("provider_opt_out", TEMPORARY)}


async def test_a_hundred_calls_at_a_time_are_all_enforced(gateway: Gateway) -> None:
    people = [gateway.phone() for _ in range(100)]
    done(*await asyncio.gather(*[gateway.provider.text("STOP", person) for person in people]))
    decided = await gateway.decides(*[{"to": person} for person in people])
    assert {each["outcome"] for each in decided} == {"dropped"}


async def test_an_unsigned_stop_holds_nobody(gateway: Gateway) -> None:
    person, path = gateway.phone(), "/webhooks/twilio/loc1/inbound"
    answer = await gateway.provider.twilio(path, form("inbound_stop", From=person), key="guessed")
    assert answer.status == 403
    assert await gateway.holds(person) == set()
