"""Mailgun's suppression lists: asked for as Mailgun's own client asks, read as the vendor's reference shows them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from mailgun.client import Client

from gateway.dnd.model import ActorKind, Cause, Scope
from gateway.providers.dates import rfc2822
from gateway.providers.mailgun.lists import OptOutList, first_path, opt_out, read_page
from gateway.providers.signals import Unparsable
from tests.providers.calls import any_json

DOMAIN = "mg.example.com"
AT = 1_319_194_975_000
"""Fri, 21 Oct 2011 11:02:55 GMT"""

ITEMS: dict[OptOutList, dict[str, Any]] = {
    OptOutList.BOUNCES: {"address": "Alice@example.com", "code": "550", "error": "no such user bob@example.com"},
    OptOutList.UNSUBSCRIBES: {"address": "alice@example.com", "tags": ["*"]},
    OptOutList.COMPLAINTS: {"address": "alice@example.com"},
}


def page(*items: object, following: str | None = None, listed: OptOutList = OptOutList.BOUNCES) -> bytes:
    base = f"https://api.mailgun.net/v3/{DOMAIN}/{listed}"
    paging = {"first": base, "last": f"{base}?page=last", "next": following or f"{base}?page=next&address=z&limit=2"}
    return json.dumps({"items": items, "paging": paging}).encode()


@pytest.mark.parametrize("listed", OptOutList)
def test_the_question_is_that_of_mailguns_own_client(listed: OptOutList, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[requests.PreparedRequest] = []

    def keep(_: requests.Session, request: requests.PreparedRequest, **__: Any) -> requests.Response:
        asked.append(request)
        response = requests.Response()
        response.status_code = 200
        return response

    monkeypatch.setattr(requests.Session, "send", keep)
    with Client(auth=("api", "key-1")) as client:
        getattr(client, listed.value).get(domain=DOMAIN, filters={"limit": 500})
    (request,) = asked
    assert (request.method, request.url) == ("GET", f"https://api.mailgun.net{first_path(DOMAIN, listed, 500)}")


@pytest.mark.parametrize("listed", OptOutList)
@pytest.mark.parametrize("date", ["Fri, 21 Oct 2011 11:02:55 GMT", "Fri, 21 Oct 2011 11:02:55 UTC"])
def test_r9_r10_an_entry_holds_the_address_since_it_is_on_the_list(listed: OptOutList, date: str) -> None:
    causes = {"bounces": Cause.BOUNCE, "unsubscribes": Cause.UNSUBSCRIBE, "complaints": Cause.COMPLAINT}
    (entry,) = read_page(page(ITEMS[listed] | {"created_at": date}, listed=listed), DOMAIN, listed).entries
    signal = opt_out(entry, DOMAIN, listed, "loc1")
    assert (signal.subject.location_id, signal.subject.id) == ("loc1", "alice@example.com")
    assert (signal.scopes, signal.cause, signal.at) == ((Scope.EMAIL,), causes[listed], AT)
    assert signal.actor.kind is (ActorKind.PROVIDER if listed is OptOutList.BOUNCES else ActorKind.CONTACT)
    assert "bob@example.com" not in str(signal.evidence)
    assert signal == opt_out(entry, DOMAIN, listed, "loc1")


def test_r21_an_entry_has_an_id_of_its_own_for_each_list_and_date() -> None:
    dates = ("Fri, 21 Oct 2011 11:02:55 GMT", "Fri, 21 Oct 2011 11:02:56 GMT", "")
    (one, *others) = read_page(
        page(*[ITEMS[OptOutList.BOUNCES] | {"created_at": each} for each in dates]), DOMAIN, OptOutList.BOUNCES
    ).entries
    ids = {
        opt_out(each, domain, listed, "loc1").event_id
        for each in (one, *others)
        for domain in (DOMAIN, "x.org")
        for listed in OptOutList
    }
    assert len(ids) == 3 * 2 * 3


def test_the_next_page_is_asked_of_the_base_that_was_set_and_a_page_without_entries_is_the_last() -> None:
    elsewhere = f"https://somewhere-else.example.org/v3/{DOMAIN}/bounces?page=next&address=a%2Bb%40x.org&limit=2"
    found = read_page(page({"address": "a@x.org"}, following=elsewhere), DOMAIN, OptOutList.BOUNCES)
    assert found.next_path == f"/v3/{DOMAIN}/bounces?page=next&address=a%2Bb%40x.org&limit=2"
    assert read_page(page(), DOMAIN, OptOutList.BOUNCES).next_path is None


@pytest.mark.parametrize(
    "following",
    [
        f"https://api.mailgun.net/v3/{DOMAIN}/complaints?page=next",
        "https://api.mailgun.net/v3/other.example.com/bounces?page=next",
        f"https://api.mailgun.net/v3/{DOMAIN}/bounces",
        "nowhere",
    ],
)
def test_a_next_page_of_another_list_is_not_followed(following: str) -> None:
    with pytest.raises(Unparsable):
        read_page(page({"address": "a@x.org"}, following=following), DOMAIN, OptOutList.BOUNCES)


@given(st.lists(any_json | st.fixed_dictionaries({"address": any_json, "created_at": any_json})))
def test_whatever_stands_in_a_page_each_entry_is_read_or_counted(items: list[Any]) -> None:
    found = read_page(page(*items), DOMAIN, OptOutList.BOUNCES)
    assert len(found.entries) + found.unusable == len(items)
    assert all("@" in opt_out(each, DOMAIN, OptOutList.BOUNCES, "loc1").subject.id for each in found.entries)


@given(st.text(max_size=40))
def test_a_date_is_a_time_or_none(text: str) -> None:
    found = rfc2822(text)
    assert found is None or found > 0


@given(any_json)
def test_an_answer_of_another_shape_is_no_page(answer: Any) -> None:
    if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
        with pytest.raises(Unparsable):
            read_page(json.dumps(answer).encode(), DOMAIN, OptOutList.BOUNCES)
