"""On, Off and Partial, and the vendor's word for each channel."""

from __future__ import annotations

import pytest

from gateway.dnd.model import Actor, ActorKind, Cause, Channel, Place, Scope, SubjectKind
from gateway.dnd.record import Record
from gateway.dnd.status import ChannelStatus, ContactRecords, Status, channel_status, status
from tests.dnd.strategies import SUBJECT, folded

SMS, EMAIL, CALL, WHATSAPP = Channel.SMS, Channel.EMAIL, Channel.CALL, Channel.WHATSAPP
PHONE, MAILBOX, WA_USER = SubjectKind.PHONE, SubjectKind.EMAIL, SubjectKind.WA_USER


def holding(*holds: tuple[Scope, Cause]) -> Record:
    user = Actor(ActorKind.USER)
    return folded(
        (Place(f"e{at}", SUBJECT, (scope,), (cause,), at, user), at) for at, (scope, cause) in enumerate(holds)
    )


ALL = holding((Scope.ALL, Cause.MANUAL))
SMS_MANUAL = holding((Scope.SMS, Cause.MANUAL))
SMS_STOP = holding((Scope.SMS, Cause.KEYWORD_OPT_OUT))
EMAIL_BOUNCE = holding((Scope.EMAIL, Cause.BOUNCE))
BOTH = holding((Scope.SMS, Cause.MANUAL), (Scope.EMAIL, Cause.MANUAL))
NOTHING = ContactRecords()


@pytest.mark.parametrize(
    ("records", "enlisted", "expected"),
    [
        pytest.param(NOTHING, {SMS, EMAIL}, Status.OFF, id="nothing held"),
        pytest.param(NOTHING, set(), Status.OFF, id="nothing held, nothing enlisted"),
        pytest.param(ContactRecords(ALL), {SMS, EMAIL}, Status.ON, id="ALL"),
        pytest.param(ContactRecords(ALL), set(), Status.ON, id="ALL, nothing enlisted"),
        pytest.param(ContactRecords(SMS_MANUAL), {SMS, EMAIL}, Status.PARTIAL, id="one of two"),
        pytest.param(ContactRecords(SMS_MANUAL), {SMS}, Status.ON, id="the only one"),
        pytest.param(ContactRecords(SMS_MANUAL), {EMAIL}, Status.OFF, id="held, but not enlisted"),
        pytest.param(ContactRecords(BOTH), {SMS, EMAIL}, Status.ON, id="each by its own hold"),
        pytest.param(ContactRecords(BOTH), set(Channel), Status.PARTIAL, id="two of six"),
        pytest.param(ContactRecords(None, {PHONE: [SMS_STOP]}), {SMS, CALL}, Status.PARTIAL, id="on the phone"),
        pytest.param(
            ContactRecords(SMS_MANUAL, {MAILBOX: [EMAIL_BOUNCE]}), {SMS, EMAIL}, Status.ON, id="contact and mailbox"
        ),
        pytest.param(ContactRecords(None, {PHONE: [holding(), SMS_STOP]}), {SMS}, Status.ON, id="on one of two phones"),
        pytest.param(
            ContactRecords(None, {PHONE: [ALL]}), {SMS, CALL, WHATSAPP, EMAIL}, Status.PARTIAL, id="ALL on the phone"
        ),
        pytest.param(ContactRecords(None, {PHONE: [ALL]}), {SMS, CALL}, Status.ON, id="ALL on the only address"),
        pytest.param(ContactRecords(None, {MAILBOX: [SMS_STOP]}), {SMS}, Status.OFF, id="SMS hold on a mailbox"),
    ],
)
def test_status_is_computed_over_the_enlisted_channels(
    records: ContactRecords, enlisted: set[Channel], expected: Status
) -> None:
    """R4."""
    assert status(records, enlisted) is expected


@pytest.mark.parametrize(
    ("records", "channel", "expected"),
    [
        pytest.param(NOTHING, SMS, ChannelStatus.INACTIVE, id="nothing held"),
        pytest.param(ContactRecords(ALL), SMS, ChannelStatus.INACTIVE, id="ALL is shown apart"),
        pytest.param(ContactRecords(SMS_MANUAL), SMS, ChannelStatus.ACTIVE, id="active means DND is on"),
        pytest.param(ContactRecords(SMS_MANUAL), EMAIL, ChannelStatus.INACTIVE, id="another channel"),
        pytest.param(ContactRecords(SMS_STOP), SMS, ChannelStatus.PERMANENT, id="permanent"),
        pytest.param(ContactRecords(None, {PHONE: [SMS_STOP]}), SMS, ChannelStatus.PERMANENT, id="on the phone"),
        pytest.param(
            ContactRecords(SMS_MANUAL, {PHONE: [SMS_STOP]}), SMS, ChannelStatus.PERMANENT, id="permanent and manual"
        ),
        pytest.param(ContactRecords(None, {MAILBOX: [EMAIL_BOUNCE]}), EMAIL, ChannelStatus.ACTIVE, id="temporary"),
        pytest.param(ContactRecords(None, {PHONE: [EMAIL_BOUNCE]}), EMAIL, ChannelStatus.INACTIVE, id="not its kind"),
        pytest.param(
            ContactRecords(None, {WA_USER: [holding((Scope.WHATSAPP, Cause.PROVIDER_OPT_OUT))]}),
            WHATSAPP,
            ChannelStatus.ACTIVE,
            id="WhatsApp user without a number",
        ),
    ],
)
def test_each_channel_shows_its_own_holds(records: ContactRecords, channel: Channel, expected: ChannelStatus) -> None:
    """R4, and `dndSettings` of the contact API."""
    assert channel_status(records, channel) is expected
