"""The role `reconcile` reads the sandbox's lists of who opted out, with the accounts file a demonstration has."""

from __future__ import annotations

import aiohttp

from consumers.reconcile.calling import Caller
from consumers.reconcile.lists import Account, ProviderList, accounts_of
from gateway.clock import now_ms
from gateway.demo.providers.sandbox import SandboxProviders
from gateway.dnd.model import Cause
from gateway.metrics import Metrics
from gateway.providers.signals import OptOut
from tests.demo.providers.serving import PERSON, parsed_accounts

PAGE_SIZE = 2


async def read_through(each: ProviderList, account: Account) -> tuple[list[int], set[tuple[str, str, Cause]]]:
    """How many entries each page had, and who is to be held where."""
    held: set[tuple[str, str, Cause]] = set()
    sizes: list[int] = []
    async with aiohttp.ClientSession() as session:
        caller = Caller(session, account.base, account.user, account.key, 1_000, Metrics("test"))
        path: str | None = each.first_path(None, now_ms(), PAGE_SIZE)
        while path is not None:
            page = each.read(await caller.get(path, each.provider))
            sizes.append(page.entries)
            for location, told in page.told:
                held |= {(location, signal.subject.id, signal.cause) for signal in told if isinstance(signal, OptOut)}
            path = page.next_path
    return sizes, held


async def test_every_list_of_every_account_is_read_to_its_end(running: SandboxProviders) -> None:
    domain, twilio = running.accounts.mailgun[0], running.accounts.twilio[0]
    people = [f"p{number}@example.com" for number in range(5)]
    for person in people:
        running.mailgun.failed(domain, person, "bounce")
    running.mailgun.told(domain, people[0], "unsubscribed")
    running.mailgun.told(domain, people[0], "complained")
    for word in ("Hello", "STOP", "Hello"):
        running.twilio.wrote(twilio, PERSON, word)
    found = {
        (each.account, each.listed): await read_through(each, account)
        for account in accounts_of(parsed_accounts(running))
        for each in account.lists
    }
    here = domain.location_id
    assert len(found) == 8
    assert found[domain.name, "bounces"] == ([2, 2, 1, 0], {(here, person, Cause.BOUNCE) for person in people})
    assert found[domain.name, "unsubscribes"] == ([1, 0], {(here, people[0], Cause.UNSUBSCRIBE)})
    assert found[domain.name, "complaints"] == ([1, 0], {(here, people[0], Cause.COMPLAINT)})
    assert found[twilio.sid, "messages"] == ([2, 1], {(here, PERSON, Cause.KEYWORD_OPT_OUT)})
    assert [held for (account, _), (_, held) in found.items() if account not in (domain.name, twilio.sid)] == [
        set()
    ] * 4
