"""The role `commands`: workflows set a contact's DND (R19), from `dnd.commands` to events in `dnd.events`.

Theory of operation. It runs on the engine for its membership and its offsets; what a command does is written before,
without a transaction, as all events are:

1. Read a batch.
2. Perform each command as `ContactService` performs changes of people: behind a barrier, acknowledged, applied.
   Commands of one contact in their order, contacts at the same time.
3. Commit the offset.

Killed between 2 and 3 it performs the batch again. That changes nothing: the ids of events are made from the command's,
so what is in the log is not written again; and a lift ends only what was in force when the command was asked for
(`requested_at`), so nothing that came after the first time.

What a workflow may not lift, a channel that is not connected and a word that names no channel are refused parts:
logged, counted, and the rest is done. A command that cannot be read is logged and counted, too. Nothing blocks the next
one but state that cannot be vouched for, or a Kafka that does not take events: then the partition waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.contacts.commands import Clear, Command, NotEnlisted, SetAll, SetChannel
from gateway.contacts.log import NotAvailable
from gateway.contacts.service import Changed, ContactService
from gateway.contract.commands import WorkflowCommand, read_command
from gateway.contract.forgiving import TEXT_LIMIT, Unreadable
from gateway.directory.directory import Directory
from gateway.dnd.model import Actor, ActorKind, Channel
from gateway.metrics import COMMAND_PARTS_REFUSED, COMMANDS, Metrics
from gateway.roles import Services
from gateway.signals.publish import Publisher, RefusedError
from gateway.streams.group import GroupMember, group_member, membership_problems
from gateway.streams.outputs import Outputs
from gateway.streams.quorum import NotFreshError
from gateway.streams.worker import Batch, WorkerSettings

log = logging.getLogger(__name__)

BATCH_RECORDS = 500
"""Performed before their offset is committed: what a crash performs again takes a second or two."""

CONTACTS_AT_ONCE = 64
"""They share barrier rounds and the producer's batches."""

NOT_CONNECTED, UNKNOWN_CHANNEL, NOT_WRITABLE = "not_connected", "unknown_channel", "not_writable"
"""Why a part is refused, beside the reasons of `gateway.contacts.commands.Why`."""


def build(services: Services) -> CommandsRole:
    return CommandsRole(services)


class CommandsRole:
    """Serves the partitions of `dnd.commands` that its group assigns to this process."""

    def __init__(self, services: Services) -> None:
        """SettingsError: the database's URL is none."""
        self._services = services
        self._fresh = services.fresh_state()
        self._integrations = services.integrations_state()
        self._directory = Directory.of(services.settings)
        self._publisher = Publisher(services.clients, services.topics.dnd_events)
        self._member: GroupMember | None = None

    async def run(self, stop: asyncio.Event) -> None:
        if not (await self._fresh.loaded(stop) and await self._integrations.loaded(stop)):
            return
        services, settings = self._services, self._services.settings
        worker_settings = WorkerSettings(
            group_id=f"{settings.topics.prefix}sendguard.commands",
            batch_records=BATCH_RECORDS,
            session_timeout_ms=settings.guard.session_timeout_ms,
        )
        contacts = ContactService(self._fresh, self._publisher, self._directory, self._integrations.enlisted)
        self._member = group_member(
            services.clients,
            worker_settings,
            settings.instance_id,
            services.topics.dnd_commands,
            Commands(contacts, services.metrics),
        )
        try:
            async with asyncio.TaskGroup() as group:
                publishing = group.create_task(self._publisher.run(), name="command publisher")
                await self._member.run(stop)
                publishing.cancel()
        finally:
            await self._directory.close()

    def problems(self) -> list[str]:
        return self._fresh.problems() + self._integrations.problems() + membership_problems(self._member)


class Changes(Protocol):
    """`ContactService`, as far as commands need it."""

    async def change(
        self,
        location_id: str,
        contact_id: str,
        commands: Sequence[Command],
        actor: Actor,
        *,
        change_id: str | None = None,
        as_of: int | None = None,
        evidence: dict[str, object],
    ) -> Changed: ...


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a command that was refused, and why."""

    why: str
    what: str


class Commands:
    """Commands to events, as a transform of the engine that has no outputs."""

    def __init__(self, contacts: Changes, metrics: Metrics) -> None:
        self._contacts = contacts
        self._metrics = metrics
        self._undelivered: dict[int, tuple[Counter[tuple[str]], Counter[tuple[str]]]] = {}

    async def __call__(self, batch: Batch, outputs: Outputs) -> None:  # noqa: ARG002 - events are no outputs
        """Step 2. NotFreshError: some of it could not be done yet; what was done is not done again."""
        results: Counter[tuple[str]] = Counter()
        refused: Counter[tuple[str]] = Counter()
        by_contact: dict[tuple[str, str], list[WorkflowCommand]] = {}
        for record in batch.records:
            try:
                command = read_command(record.value, record.timestamp)
            except Unreadable as error:
                log.warning("%s-%d: no command at offset %d: %s", *batch.partition, record.offset, error)
                results["unreadable",] += 1
            else:
                by_contact.setdefault((command.location_id, command.contact_id), []).append(command)
        turns = asyncio.Semaphore(CONTACTS_AT_ONCE)

        async def perform(commands: list[WorkflowCommand]) -> None:
            async with turns:
                for command in commands:
                    done, parts = await self._perform(command)
                    results[_result(done, parts),] += 1
                    refused.update((part.why,) for part in parts)

        ended = await asyncio.gather(*map(perform, by_contact.values()), return_exceptions=True)
        for end in ended:
            if isinstance(end, BaseException):
                raise end
        self._undelivered[batch.partition.partition] = results, refused

    async def outputs_end(self, partition: int) -> int | None:  # noqa: ARG002 - the engine asks by partition
        """Nobody needs to know: to perform a command again changes nothing."""
        return None

    def delivered(self, batch: Batch) -> None:
        """Step 3 is done."""
        results, refused = self._undelivered.pop(batch.partition.partition)
        self._metrics.count_each(COMMANDS, results)
        self._metrics.count_each(COMMAND_PARTS_REFUSED, refused)

    async def _perform(self, command: WorkflowCommand) -> tuple[bool, list[_Part]]:
        """Whether there was anything that could be done, and what was refused of it."""
        parts = [_Part(UNKNOWN_CHANNEL, word) for word in command.unknown]
        wanted, changed = _commands_of(command), None
        try:
            try:
                changed = await self._change(command, wanted, parts)
            except NotEnlisted as error:
                parts += [_Part(NOT_CONNECTED, channel) for channel in error.channels]
                wanted = [each for each in wanted if not _is_of(each, error.channels)]
                if wanted:
                    changed = await self._change(command, wanted, parts)
        except NotAvailable as error:
            raise NotFreshError(str(error)) from error
        except RefusedError as error:
            parts.append(_Part(NOT_WRITABLE, str(error)))
        if changed is not None:
            parts += [_Part(each.why, f"{each.hold.scope} {each.hold.cause}") for each in changed.refused]
        if parts:
            named = ", ".join(f"{part.what}: {part.why}" for part in parts)
            log.warning("command %s of workflow %s: refused: %s", command.id, command.workflow_id, named)
        return changed is not None and not (changed.refused and not changed.events), parts

    async def _change(self, command: WorkflowCommand, wanted: Sequence[Command], parts: Sequence[_Part]) -> Changed:
        evidence: dict[str, object] = {
            "command_id": command.id,
            "workflow_id": command.workflow_id,
            "requested_at": command.requested_at,
        }
        if parts:
            evidence["refused"] = [f"{part.what}: {part.why}" for part in parts]
        return await self._contacts.change(
            command.location_id,
            command.contact_id,
            wanted,
            Actor(ActorKind.WORKFLOW, command.workflow_id),
            change_id=change_id(command),
            as_of=command.requested_at,
            evidence=evidence,
        )


def change_id(command: WorkflowCommand) -> str:
    """The same for a command performed again. With the contact, for two that share an address may share a command."""
    named = "command:" + json.dumps([command.id, command.contact_id], ensure_ascii=False, separators=(",", ":"))
    return named if len(named) <= TEXT_LIMIT else f"command:sha256:{hashlib.sha256(named.encode()).hexdigest()}"


def _commands_of(command: WorkflowCommand) -> list[Command]:
    """`disable ["ALL"]` clears everything a workflow may lift."""
    if command.everything and not command.enable:
        return [Clear()]
    switched: list[Command] = [SetChannel(channel, command.enable) for channel in command.channels]
    return [SetAll(on=True), *switched] if command.everything else switched


def _is_of(command: Command, channels: Sequence[Channel]) -> bool:
    return isinstance(command, SetChannel) and command.channel in channels


def _result(done: bool, parts: Sequence[_Part]) -> str:
    if not parts:
        return "done"
    return "partly" if done else "refused"
