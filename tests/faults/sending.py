"""An independent producer that says only what it knows, and goes on when it breaks.

Theory of operation. A broker takes *any* first sequence number from a producer it has not met on a partition. Let
several requests be under way to a new partition and the first of them fail (its leader was named before it was ready,
or the followers were late): the broker takes the second. Then librdkafka either concludes that the first must be there
too and reports it as delivered, which it is not, or sends it again, is told that it is out of order, and ends with a
fatal error. Both were seen on busy machines. So one request at a time is under way: what failed is sent again before
anything else, and no gap can come to be.

Whatever else breaks a producer for good, another one takes its place. What the broken one had not heard of by then is
of unknown fate: it is neither claimed nor denied, and not sent a second time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tests.faults.admin import until
from tests.faults.clients import SOCKET_TIMEOUT_MS, options

REQUEST_MS = SOCKET_TIMEOUT_MS - 1_000
"""What a broker gets to have a record replicated: it answers before the socket's time is up."""

REPLACED_S = 5.0
"""For a broken producer to report what it still had; it sends nothing any more."""

Headers = Sequence[tuple[str, str | bytes | None]]

Told = Callable[[str | None], None]
"""Called once per record: None when it is acknowledged, else in words why nobody knows what became of it."""


def sending_options(bootstrap: str) -> Mapping[str, str | int | bool]:
    """Acknowledged means: once, in order, and in every replica that is in sync."""
    return {
        **options(bootstrap),
        "acks": "all",
        "enable.idempotence": True,
        "max.in.flight.requests.per.connection": 1,
        "request.timeout.ms": REQUEST_MS,
        "retry.backoff.ms": 50,
    }


class Sending:
    """One producer after the other, with the same options; `given` are added to `sending_options`."""

    def __init__(self, bootstrap: str, given: Mapping[str, str | int | bool]) -> None:
        self._options = {**sending_options(bootstrap), **given, "error_cb": self._error}
        self._broken = threading.Event()
        self.replaced = 0
        """How many broke."""
        self._producer = self._new()

    def send(self, topic: str, value: bytes | None, key: bytes | None, headers: Headers, told: Told) -> None:
        """Hand a record over. `told` is called in `poll` or `flush`, or here."""

        def delivered(error: KafkaError | None, _: Message) -> None:
            told(None if error is None else str(error))

        self._replace_if_broken()
        try:
            self._producer.produce(topic, value, key, headers=list(headers), on_delivery=delivered)
        except KafkaException as error:
            self._bear(error)
            self._replace_if_broken()
            self._producer.produce(topic, value, key, headers=list(headers), on_delivery=delivered)

    def poll(self, seconds: float) -> None:
        """Hear of acknowledgements, for up to so long until the first."""
        try:
            self._producer.poll(seconds)
        except KafkaException as error:
            self._bear(error)
        self._replace_if_broken()

    def flush(self, seconds: float) -> int:
        """How many records nothing was heard of in that time."""
        left = 0
        try:
            left = int(self._producer.flush(seconds))
        except KafkaException as error:
            self._bear(error)
        return 0 if self._replace_if_broken() else left

    def _new(self) -> Producer:
        self._broken = threading.Event()
        return Producer(self._options)

    def _error(self, error: KafkaError) -> None:
        if _is_fatal(error):
            self._broken.set()

    def _bear(self, error: KafkaException) -> None:
        """A broken producer raises wherever it is called."""
        if not _is_fatal(error.args[0]):
            raise error
        self._broken.set()

    def _replace_if_broken(self) -> bool:
        if not self._broken.is_set():
            return False
        self.replaced += 1
        broken, self._producer = self._producer, self._new()
        broken.purge()
        until("a broken producer reports what it still had", lambda: _reported(broken), REPLACED_S)
        return True


def _reported(broken: Producer) -> bool:
    with contextlib.suppress(KafkaException):
        broken.poll(0)
    return len(broken) == 0


def _is_fatal(error: KafkaError) -> bool:
    return bool(error.fatal()) or error.code() == KafkaError._FATAL
