"""Whom a `sendguard dnd` command is about."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from gateway.accounts import Accounts
from gateway.cli.failing import USAGE, Failure
from gateway.dnd.addresses import canonical, recipient_key
from gateway.dnd.model import BadAddress, Channel, Subject, SubjectKind
from gateway.settings import Settings

CHANNEL_OF_KIND = {
    SubjectKind.PHONE: Channel.SMS,
    SubjectKind.EMAIL: Channel.EMAIL,
    SubjectKind.PSID: Channel.FB,
    SubjectKind.GMB: Channel.GMB,
    SubjectKind.WA_USER: Channel.WHATSAPP,
}
"""A channel whose requests go to that kind of address, so that the shell reads an address as a request's is read."""

OPTIONS = (
    ("--contact", SubjectKind.CONTACT, "ID", "A contact."),
    ("--phone", SubjectKind.PHONE, "NUMBER", "A phone number; without country code, of the location's region."),
    ("--email", SubjectKind.EMAIL, "ADDRESS", "An email address."),
    ("--psid", SubjectKind.PSID, "ID", "A Messenger user of a page."),
    ("--gmb", SubjectKind.GMB, "ID", "A Google Business user."),
    ("--wa-user", SubjectKind.WA_USER, "ID", "A WhatsApp user without a number."),
)


def subject_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds LOCATION and one repeatable option for each kind of subject; the command gets `subjects`."""

    @functools.wraps(command)
    def wrapped(settings: Settings, location: str, **arguments: Any) -> None:
        named = {kind: arguments.pop(kind.value) for _, kind, _, _ in OPTIONS}
        region = Accounts.load_without_secrets(settings.accounts).default_region(location)
        subjects = [_subject(location, kind, text, region) for kind, texts in named.items() for text in texts]
        if not subjects:
            raise Failure(f"name whom: {', '.join(option for option, *_ in OPTIONS)}", USAGE)
        command(settings=settings, subjects=subjects, **arguments)

    for option, kind, metavar, what in reversed(OPTIONS):
        wrapped = click.option(option, kind.value, multiple=True, metavar=metavar, help=what)(wrapped)
    return click.argument("location")(wrapped)


def _subject(location: str, kind: SubjectKind, text: str, region: str | None) -> Subject:
    """Under the key the guard looks it up by. An address that cannot be read is refused: nothing is sent to it."""
    if kind is SubjectKind.CONTACT or kind not in CHANNEL_OF_KIND:
        return Subject(location, kind, text)
    try:
        found, key = recipient_key(CHANNEL_OF_KIND[kind], text, region)
    except BadAddress as error:
        raise Failure(f"--{kind.replace('_', '-')}: expected {error}", USAGE) from None
    return canonical(Subject(location, found, key))


def spelt(subject: Subject) -> str:
    """For people: the subject in the words of the options."""
    return f"{subject.kind.replace('_', '-')} {subject.id} in {subject.location_id}"
