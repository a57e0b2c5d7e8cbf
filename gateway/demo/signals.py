"""What contacts, carriers, mail providers and users do about DND during the campaign, as data."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gateway.demo.people import Contact
from gateway.demo.steps import NOW
from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Lift, LiftTerm, Place, Scope

START_LIFTS = (Cause.KEYWORD_OPT_OUT, Cause.CARRIER_OPT_OUT, Cause.UNREACHABLE)
"""What a contact's START ends (R18)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: `count` contacts are held on `scope`.

    `channel`: by which it came, so that its address is held; None = the contact is. `words`: what was said, one each.
    """

    count: int
    cause: Cause
    scope: Scope
    channel: Channel | None
    actor: ActorKind
    provider: str
    words: tuple[str, ...]


BEFORE: tuple[Kind, ...] = (
    Kind(10, Cause.LEGACY, Scope.ALL, None, ActorKind.SYSTEM, "import", ("dnd flag of the old CRM",)),
    Kind(8, Cause.KEYWORD_OPT_OUT, Scope.SMS, Channel.SMS, ActorKind.CONTACT, "twilio", ("STOP",)),
    Kind(4, Cause.MANUAL, Scope.CALL, None, ActorKind.USER, "crm", ("asked not to be called",)),
)
"""What was held before the campaign began."""

DURING: tuple[Kind, ...] = (
    Kind(
        24,
        Cause.KEYWORD_OPT_OUT,
        Scope.SMS,
        Channel.SMS,
        ActorKind.CONTACT,
        "twilio",
        ("STOP", "Stop.", "UNSUBSCRIBE", "CANCEL", "stop all"),
    ),
    Kind(6, Cause.CARRIER_OPT_OUT, Scope.SMS, Channel.SMS, ActorKind.PROVIDER, "twilio", ("30004", "21610")),
    Kind(7, Cause.UNREACHABLE, Scope.SMS, Channel.SMS, ActorKind.PROVIDER, "twilio", ("30003", "30005", "30006")),
    Kind(
        8,
        Cause.BOUNCE,
        Scope.EMAIL,
        Channel.EMAIL,
        ActorKind.PROVIDER,
        "mailgun",
        ("bounce", "generic", "suppress-bounce"),
    ),
    Kind(7, Cause.UNSUBSCRIBE, Scope.EMAIL, Channel.EMAIL, ActorKind.CONTACT, "mailgun", ("unsubscribed",)),
    Kind(
        2,
        Cause.SUPPRESSED_COMPLAINT,
        Scope.EMAIL,
        Channel.EMAIL,
        ActorKind.PROVIDER,
        "mailgun",
        ("suppress-complaint",),
    ),
    Kind(5, Cause.COMPLAINT, Scope.EMAIL, Channel.EMAIL, ActorKind.PROVIDER, "mailgun", ("complained",)),
    Kind(
        5,
        Cause.PROVIDER_OPT_OUT,
        Scope.WHATSAPP,
        Channel.WHATSAPP,
        ActorKind.CONTACT,
        "meta",
        ("user_preferences stop", "131050"),
    ),
    Kind(8, Cause.MANUAL, Scope.ALL, None, ActorKind.USER, "crm", ("all channels off",)),
    Kind(4, Cause.MANUAL, Scope.FB, None, ActorKind.AGENCY, "crm", ("no Messenger",)),
    Kind(3, Cause.MANUAL, Scope.GMB, None, ActorKind.USER, "crm", ("no Google messages",)),
)
"""What comes in while it runs."""


def place(kind: Kind, contact: Contact, random: Random) -> Place:
    """The event of one signal."""
    subject = contact.subject if kind.channel is None else contact.address(kind.channel)
    by = subject.id if kind.actor is ActorKind.CONTACT else kind.provider
    return Place(
        event_id=f"{kind.provider}:{random.getrandbits(64):016x}",
        subject=subject,
        scopes=(kind.scope,),
        causes=(kind.cause,),
        at=NOW,
        actor=Actor(kind.actor, by),
        evidence={"provider": kind.provider, "text": random.choice(kind.words)},
    )


def start(contact: Contact, random: Random) -> Lift:
    """The contact replies START."""
    phone = contact.address(Channel.SMS)
    terms = tuple(LiftTerm(Scope.SMS, cause, NOW) for cause in START_LIFTS)
    actor = Actor(ActorKind.CONTACT, phone.id)
    return Lift(f"twilio:{random.getrandbits(64):016x}", phone, terms, actor, {"provider": "twilio", "text": "START"})


def user_lift(held: Place, random: Random) -> Lift:
    """A user switches a hold off; whether they may is for the causes table."""
    terms = tuple(LiftTerm(scope, cause, NOW) for scope in held.scopes for cause in held.causes)
    return Lift(f"crm:{random.getrandbits(64):016x}", held.subject, terms, Actor(ActorKind.USER, "u-7"))
