"""`sendguard dnd` through the contact API, which knows the contact's addresses, and by its key who is asking."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from gateway.cli.contact_api import call, path
from gateway.cli.failing import REFUSED, USAGE, Failure
from gateway.cli.options import print_json
from gateway.cli.records import in_words
from gateway.cli.subjects import spelt
from gateway.dnd.lifters import Lifter
from gateway.dnd.model import ActorKind, Scope, Subject, SubjectKind
from gateway.settings import ApiSettings


def show(api: ApiSettings, subjects: Sequence[Subject], *, as_json: bool) -> None:
    subject = _only(subjects)
    if subject.kind is SubjectKind.CONTACT:
        where = path("locations", subject.location_id, "contacts", subject.id, "dnd")
    else:
        where = path("locations", subject.location_id, "addresses", subject.kind, subject.id, "dnd")
    found = call(api, "GET", where)
    if as_json:
        print_json(_shown(subject.location_id, found))
        return
    click.echo(f"DND {found['status']}")
    for hold in found["holds"]:
        click.echo(_described(subject.location_id, hold))


def switch(api: ApiSettings, subjects: Sequence[Subject], scope: Scope, *, on: bool, as_json: bool) -> None:
    """Exit code 1 when holds stay."""
    contact = _only(subjects)
    if contact.kind is not SubjectKind.CONTACT:
        raise Failure("the API switches contacts: name one with --contact", USAGE)
    body: dict[str, object] = {"dnd": on}
    if scope is not Scope.ALL:
        body = {"dndSettings": {scope.value: {"status": "active" if on else "inactive"}}}
    where = path("locations", contact.location_id, "contacts", contact.id, "dnd")
    found = call(api, "PUT", where, json.dumps(body).encode())
    stays = [_described(contact.location_id, hold) for hold in found["refused"]]
    if as_json:
        shown = _shown(contact.location_id, found)
        print_json({**shown, "refused": [_hold(contact.location_id, each) for each in found["refused"]]})
    else:
        click.echo(
            f"{spelt(contact)}: DND {found['status']}, {scope} is {'held' if on else 'not held by you'} from now on"
        )
    if stays:
        raise Failure("these holds stay:\n" + "\n".join(stays), REFUSED)


def explain(api: ApiSettings, location: str, request: bytes) -> Any:
    """The answer of the API."""
    return call(api, "POST", path("locations", location, "explain"), request)


def not_through_the_api(given: Mapping[str, object]) -> None:
    """Options that say what the key says, or what the API does not do. Usage error when one is given."""
    named = [option for option, value in given.items() if value]
    if named:
        raise Failure(f"{', '.join(named)}: not with SENDGUARD_API_URL, the API key says who you are", USAGE)


def _only(subjects: Sequence[Subject]) -> Subject:
    if len(subjects) != 1:
        raise Failure("name one contact or address: the API knows which addresses a contact has", USAGE)
    return subjects[0]


def _shown(location: str, found: Mapping[str, Any]) -> dict[str, object]:
    """As the command prints it without the API."""
    return {
        "status": found["status"],
        "channels": {channel: setting["status"] for channel, setting in found["dndSettings"].items()},
        "holds": [_hold(location, each) for each in found["holds"]],
    }


def _hold(location: str, hold: Mapping[str, Any]) -> dict[str, object]:
    kept = {name: hold[name] for name in ("channel", "cause", "kind", "since", "event_id")}
    subject = [location, hold["subject"]["kind"], hold["subject"]["id"]]
    return {"subject": subject, **kept, "placed_by": hold["actor"], "lifted_by": _lifters(hold)}


def _lifters(hold: Mapping[str, Any]) -> list[str]:
    return in_words(Lifter(ActorKind(each["actor"]), each["by_appeal"]) for each in hold["lifted_by"])


def _described(location: str, hold: Mapping[str, Any]) -> str:
    since = datetime.fromtimestamp(hold["since"] / 1000, UTC).isoformat(timespec="seconds")
    subject = Subject(location, SubjectKind(hold["subject"]["kind"]), hold["subject"]["id"])
    return (
        f"{spelt(subject)}: {hold['channel']} {hold['cause']} ({hold['kind']}) since {since}, "
        f"may be lifted by {', '.join(_lifters(hold))}"
    )
