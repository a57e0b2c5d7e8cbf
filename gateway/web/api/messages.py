"""What goes in and out of the contact API: the types that bodies are checked by, and that the document is made of.

The vendor's shape: **`active` means that DND is on**. Keys of `dndSettings` have two spellings (the vendor's versions 2
and 3); we answer in the first. A client may send back what it was shown: the fields that only we set are ignored then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.contacts.appeal import NOTE_LIMIT, NUMBERS_LIMIT, URL_LIMIT, AppealStatus
from gateway.contacts.appeal import TEXT_LIMIT as EVIDENCE_TEXT_LIMIT
from gateway.contract.decisions import Outcome
from gateway.dnd.model import ActorKind, Cause, Channel, Kind, Scope, SubjectKind
from gateway.dnd.status import ChannelStatus, Status
from gateway.web.api.problem_types import FieldError

ADDRESS_LIMIT = 320
"""Characters: the longest email address, 64 + 1 + 255."""

TEXT_LIMIT = 200
"""Characters of a client's `message` and `code`, which are kept as evidence."""

_Text = Annotated[str, Meta(max_length=TEXT_LIMIT)]

V3_SPELLINGS = {Channel.WHATSAPP: "whatsApp"}
"""Where the vendor's version 3 does not just spell in lower case."""

SPELLINGS: dict[str, Channel] = {
    spelling: channel
    for channel in Channel
    for spelling in (channel.value, V3_SPELLINGS.get(channel, channel.value.lower()), channel.value.lower())
}
"""Every key of `dndSettings` that is understood."""


class ChannelSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The switch of one channel. `active` = DND is on. `permanent` is shown, and cannot be set."""

    status: ChannelStatus
    message: _Text = ""
    code: _Text = ""


if TYPE_CHECKING:
    ChannelSettings: TypeAlias = msgspec.Struct
else:  # made from data, which a type checker does not follow
    ChannelSettings = msgspec.defstruct(
        "ChannelSettings",
        [(spelling, ChannelSetting | UnsetType, UNSET) for spelling in SPELLINGS],
        namespace={"__doc__": "The channels to switch; those that are not named stay as they are."},
        forbid_unknown_fields=True,
        frozen=True,
    )


class SetDnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes what it names. `dnd`: the switch for all channels at once, a hold of its own."""

    dnd: bool | UnsetType = UNSET
    dndSettings: ChannelSettings | UnsetType = UNSET  # noqa: N815 - the vendor's spelling
    status: Annotated[Any, Meta(description="Read only, ignored.")] = None
    holds: Annotated[Any, Meta(description="Read only, ignored.")] = None
    enlisted: Annotated[Any, Meta(description="Read only, ignored.")] = None
    refused: Annotated[Any, Meta(description="Read only, ignored.")] = None


class SubjectShown(msgspec.Struct, frozen=True):
    """What a hold is on: the contact, or one of its addresses."""

    kind: SubjectKind
    id: str


class ActorShown(msgspec.Struct, frozen=True):
    """Who placed it; `kind` is null for somebody unknown."""

    kind: ActorKind | None
    id: str


class LifterShown(msgspec.Struct, frozen=True):
    """Who may lift a hold; `by_appeal`: only through an approved appeal."""

    actor: ActorKind
    by_appeal: bool


class HoldShown(msgspec.Struct, frozen=True):
    """A hold in force. `since`: milliseconds since 1970 (UTC)."""

    subject: SubjectShown
    channel: Scope
    cause: Cause
    kind: Kind
    since: int
    event_id: str
    actor: ActorShown
    evidence: dict[str, str | int | float | bool]
    lifted_by: list[LifterShown]


class ContactDndShown(msgspec.Struct, frozen=True):
    """The DND of a contact, or of an address by itself. `status` is over the channels in `enlisted`."""

    dnd: bool
    dndSettings: dict[Channel, ChannelSetting]  # noqa: N815 - the vendor's spelling
    status: Status
    holds: list[HoldShown]
    enlisted: list[Channel]


class RefusedShown(HoldShown, frozen=True, kw_only=True):
    """A hold that stays although the change asks for its end, and why."""

    why: str


class DndChanged(ContactDndShown, frozen=True, kw_only=True):
    """The DND after the change, and what of it was refused; the rest is done."""

    refused: list[RefusedShown]


class HeldReason(HoldShown, frozen=True, kw_only=True):
    """Why a request would be dropped: `held_on` as in decisions, and the hold."""

    held_on: str


class ChannelUnavailable(msgspec.Struct, frozen=True):
    """The channel is not connected, which is no DND (R8)."""

    channel: str
    status: str


class Explained(msgspec.Struct, frozen=True):
    """A decision without its id: `fault` says why it is `invalid`, `unavailable` why it is that.

    `removed`: recipients of an email that are taken out.
    """

    outcome: Outcome
    request_id: str | None
    contact_id: str | None
    channel: str | None
    reasons: list[HeldReason]
    fault: FieldError | None
    unavailable: ChannelUnavailable | None
    removed: list[str]
    decided_at: int


class AppealEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Proof that the contact wants messages."""

    relationship_numbers: Annotated[list[str], Meta(min_length=1, max_length=NUMBERS_LIMIT)]
    contact: Annotated[str, Meta(min_length=1, max_length=EVIDENCE_TEXT_LIMIT)]
    recording_url: Annotated[str, Meta(min_length=1, max_length=URL_LIMIT)]


class FileAppeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For one channel; what is in force on it at this moment is what is asked for."""

    channel: Channel
    evidence: AppealEvidence


class DecideAppeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A word about it, for the record."""

    note: Annotated[str, Meta(max_length=NOTE_LIMIT)] = ""


class AppealShown(msgspec.Struct, frozen=True):
    """`filed_at`, `decided_at`: milliseconds since 1970 (UTC)."""

    id: str
    status: AppealStatus
    contact_id: str
    channel: Channel
    evidence: AppealEvidence
    filed_by: ActorShown
    filed_at: int
    decided_by: ActorShown | None
    decided_at: int | None
    note: str


class AppealApproved(AppealShown, frozen=True, kw_only=True):
    """What still stays on the channel, placed after the appeal was filed."""

    stays: list[HoldShown]


class AppealList(msgspec.Struct, frozen=True):
    """The newest first."""

    appeals: list[AppealShown]


class CleanUpEmail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`address`: needed when the contact has several. `by_hand`: somebody says that the provider's part was done."""

    address: Annotated[str, Meta(min_length=1, max_length=ADDRESS_LIMIT)] | None = None
    by_hand: bool = False


class CleanupStep(msgspec.Struct, frozen=True):
    """A step that is done, by whom, and what came of it."""

    name: str
    at: int
    by: str
    outcome: str


class EmailCleanedUp(msgspec.Struct, frozen=True):
    """The clean-up, and the contact's DND after it: a complaint stays, and what was placed while it ran."""

    id: str
    started_at: int
    steps: list[CleanupStep]
    contact: ContactDndShown
