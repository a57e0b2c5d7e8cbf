"""`sendguard dnd`: holds of a contact or an address, through the contact API (`dnd_api`) when SENDGUARD_API_URL is set,
else written to and read from dnd.events directly."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from gateway.cli import dnd_api
from gateway.cli.dnd_explain import explain
from gateway.cli.failing import REFUSED, USAGE, Failure
from gateway.cli.options import as_json, print_json, with_settings
from gateway.cli.records import Held, all_holds, hold_json, holds, in_words, records_of
from gateway.cli.subjects import spelt, subject_options
from gateway.clock import now_ms
from gateway.contract.topics import Topics
from gateway.dnd.causes import CAUSES, may_lift
from gateway.dnd.lifters import lifters, may_lift_directly
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Lift, LiftTerm, Place, Scope, Subject, SubjectKind
from gateway.dnd.record import Record
from gateway.dnd.status import ContactRecords, channel_status, status
from gateway.settings import Settings
from gateway.streams.clients import Clients
from gateway.streams.writing import event_record, writer

SCOPES = click.Choice([scope.value for scope in Scope], case_sensitive=False)
CAUSE_WORDS = click.Choice([cause.value for cause in Cause])
ACTORS = click.Choice([kind.value for kind in ActorKind])


@click.group()
def dnd() -> None:
    """Show, place and lift holds of a contact or an address.

    With SENDGUARD_API_URL and SENDGUARD_API_KEY they ask the contact API, and the key says who you are. Without, they
    need no running service, and read the whole of dnd.events to its end each time: seconds per million events.
    """


dnd.add_command(explain)


@dnd.command("set")
@with_settings
@subject_options
@click.option("--channel", "scope", type=SCOPES, required=True, help="What to hold; ALL is a hold of its own.")
@click.option("--cause", type=CAUSE_WORDS, help="Why. [default: manual]")
@click.option("--actor", type=ACTORS, help="Who does it. [default: user]")
@click.option("--actor-id", default="", help="Their id, for the record.")
@as_json
def set_hold(
    settings: Settings,
    subjects: Sequence[Subject],
    scope: str,
    cause: str | None,
    actor: str | None,
    actor_id: str,
    as_json: bool,
) -> None:
    """Put a contact or an address on hold, and wait until Kafka has acknowledged it: enforced from then on.

    \b
    Example:
      sendguard dnd set loc1 --phone +14155552671 --channel SMS
    """
    if settings.api.url is not None:
        dnd_api.not_through_the_api({"--cause": cause, "--actor": actor, "--actor-id": actor_id})
        dnd_api.switch(settings.api, subjects, Scope(scope), on=True, as_json=as_json)
        return
    held, why = Scope(scope), Cause(cause or Cause.MANUAL)
    if held not in CAUSES[why].scopes:
        words = ", ".join(sorted(CAUSES[why].scopes))
        raise Failure(f"--channel: expected {words} with the cause {why}, got {held}", USAGE)
    by = Actor(ActorKind(actor or ActorKind.USER), actor_id)
    places = asyncio.run(_place(settings, subjects, held, why, by))
    if as_json:
        print_json([{"event_id": place.event_id, "subject": place.subject, "at": place.at} for place in places])
        return
    for place in places:
        click.echo(f"{spelt(place.subject)}: {held} is held ({why}), enforced from now on; event {place.event_id}")


@dnd.command()
@with_settings
@subject_options
@click.option("--channel", "scope", type=SCOPES, required=True, help="What to lift; ALL lifts the ALL hold alone.")
@click.option("--cause", type=CAUSE_WORDS, help="Only this cause. [default: every cause the actor may lift]")
@click.option("--actor", type=ACTORS, help="Who does it. [default: user]")
@click.option("--actor-id", default="", help="Their id, for the record.")
@click.option("--appeal", default="", metavar="ID", help="The approved appeal support acts on; recorded.")
@as_json
def lift(
    settings: Settings,
    subjects: Sequence[Subject],
    scope: str,
    cause: str | None,
    actor: str | None,
    actor_id: str,
    appeal: str,
    as_json: bool,
) -> None:
    """Lift the holds on a channel that the actor may lift; exit code 1 when some stay, which are named.

    Ends what is in force now, never a hold placed later.

    \b
    Example:
      sendguard dnd lift loc1 --contact c1 --channel ALL --actor agency
    """
    if settings.api.url is not None:
        refused = {"--cause": cause, "--actor": actor, "--actor-id": actor_id, "--appeal": appeal}
        dnd_api.not_through_the_api(refused)
        dnd_api.switch(settings.api, subjects, Scope(scope), on=False, as_json=as_json)
        return
    by = Actor(ActorKind(actor or ActorKind.USER), actor_id)
    lifting = _Lifting(Scope(scope), None if cause is None else Cause(cause), by, appeal)
    lifts, stays = asyncio.run(_lift(settings, subjects, lifting))
    if as_json:
        print_json(
            {
                "lifted": [
                    {"event_id": each.event_id, "subject": each.subject, "causes": [term.cause for term in each.terms]}
                    for each in lifts
                ],
                "refused": [{"subject": subject, **hold_json(*held)} for subject, held in stays],
            }
        )
    else:
        for each in lifts:
            causes = ", ".join(term.cause for term in each.terms)
            click.echo(f"{spelt(each.subject)}: {lifting.scope} lifted ({causes}); event {each.event_id}")
        if not lifts and not stays:
            click.echo("nothing is held there")
    if stays:
        lines = (f"{spelt(subject)}: {_described(held)}" for subject, held in stays)
        raise Failure("these holds stay:\n" + "\n".join(lines), REFUSED)


@dnd.command()
@with_settings
@subject_options
@as_json
def show(settings: Settings, subjects: Sequence[Subject], as_json: bool) -> None:
    """Show On, Off or Partial, and every hold in force with its cause, since when, and who may lift it.

    Name the contact's addresses beside it to see all that counts for it, and all six channels count as enlisted; the
    API knows both.

    \b
    Example:
      sendguard dnd show loc1 --contact c1 --phone +14155552671
    """
    if settings.api.url is not None:
        dnd_api.show(settings.api, subjects, as_json=as_json)
        return
    records = asyncio.run(records_of(Clients(settings.kafka), Topics(settings.topics.prefix).dnd_events, subjects))
    together = _together(records)
    overall = status(together, list(Channel))
    if as_json:
        print_json(
            {
                "status": overall,
                "channels": {channel: channel_status(together, channel) for channel in Channel},
                "holds": [{"subject": subject, **hold_json(*held)} for subject, held in all_holds(records)],
            }
        )
        return
    click.echo(f"DND {overall}")
    for subject, held in all_holds(records):
        click.echo(f"{spelt(subject)}: {_described(held)}")


class _Lifting:
    """What a lift is to end, and who does it."""

    def __init__(self, scope: Scope, cause: Cause | None, actor: Actor, appeal: str) -> None:
        self.scope = scope
        self.cause = cause
        self.actor = actor
        self.evidence = {"appeal": appeal} if appeal else {}

    def wanted(self, record: Record) -> list[Held]:
        return [held for held in holds(record) if held[0] is self.scope and self.cause in (None, held[1])]

    def allowed(self, cause: Cause) -> bool:
        """The causes table; support needs an appeal where the table says so (R18)."""
        allows = may_lift if self.evidence else may_lift_directly
        return allows(self.actor.kind, cause)


async def _place(
    settings: Settings, subjects: Sequence[Subject], scope: Scope, cause: Cause, actor: Actor
) -> list[Place]:
    clients, topic = Clients(settings.kafka), Topics(settings.topics.prefix).dnd_events
    records = await records_of(clients, topic, subjects)
    now = now_ms()
    places = []
    for subject, record in records.items():
        register = record.registers.get((scope, cause))
        at = now if register is None else max(now, register.lifted.at + 1)  # never older than what lifted it before
        places.append(Place(f"cli:{uuid.uuid4()}", subject, (scope,), (cause,), at, actor))
    async with writer(clients, topic) as to_log:
        await to_log.write(event_record(place, now) for place in places)
    return places


async def _lift(
    settings: Settings, subjects: Sequence[Subject], lifting: _Lifting
) -> tuple[list[Lift], list[tuple[Subject, Held]]]:
    clients, topic = Clients(settings.kafka), Topics(settings.topics.prefix).dnd_events
    records = await records_of(clients, topic, subjects)
    lifts: list[Lift] = []
    stays: list[tuple[Subject, Held]] = []
    for subject, record in records.items():
        terms = []
        for held in lifting.wanted(record):
            scope, cause, register = held
            if lifting.allowed(cause):
                terms.append(LiftTerm(scope, cause, register.placed.at))
            else:
                stays.append((subject, held))
        if terms:
            lifts.append(Lift(f"cli:{uuid.uuid4()}", subject, tuple(terms), lifting.actor, lifting.evidence))
    if lifts:
        now = now_ms()
        async with writer(clients, topic) as to_log:
            await to_log.write(event_record(each, now) for each in lifts)
    return lifts, stays


def _together(records: dict[Subject, Record]) -> ContactRecords:
    """The records of a contact and its addresses; several contacts count as one that was merged."""
    contact: Record | None = None
    addresses: dict[SubjectKind, list[Record]] = {}
    for subject, record in records.items():
        if subject.kind is SubjectKind.CONTACT:
            contact = record if contact is None else contact.join(record)
        else:
            addresses.setdefault(subject.kind, []).append(record)
    return ContactRecords(contact, addresses)


def _described(held: Held) -> str:
    scope, cause, register = held
    since = datetime.fromtimestamp(register.placed.at / 1000, UTC).isoformat(timespec="seconds")
    who = ", ".join(in_words(lifters(cause)))
    return f"{scope} {cause} ({CAUSES[cause].kind}) since {since}, may be lifted by {who}"
