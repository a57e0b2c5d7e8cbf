"""The handle of one broker: what tests do to it, whatever runs it."""

import time
from collections.abc import Mapping
from typing import Protocol

from gateway.localkafka.config import LocalKafkaError, SecurityProtocol
from gateway.localkafka.probe import NotReadyError, check_ready
from gateway.localkafka.properties import Endpoint

POLL_S = 0.05
"""Between two looks at a starting broker; each costs it well under a millisecond."""

ORDERLY_STOP_S = 15.0
"""A broker without a controller to say goodbye to would wait for minutes; then it is killed, which Kafka survives."""

LOG_LINES_SHOWN = 30
"""Of a broker that does not start: enough for the exception with its causes."""


class BrokerProcess(Protocol):
    """One run after the other of the same broker on the same data. Implemented for a JVM and for a container."""

    @property
    def pid(self) -> int | None:
        """Of the running process on this machine; None when it does not run or runs elsewhere."""

    def launch(self) -> None:
        """Start it, without waiting for anything."""

    def is_running(self) -> bool:
        """A frozen process runs."""

    def kill(self) -> None:
        """SIGKILL and wait until it is gone; nothing happens when it does not run."""

    def freeze(self) -> None:
        """SIGSTOP."""

    def thaw(self) -> None:
        """SIGCONT."""

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting."""

    def wait_stopped(self, timeout_s: float) -> bool:
        """Whether it has ended within the time."""

    def log_tail(self, lines: int) -> str:
        """The end of its log."""


class Broker:
    """One broker of a LocalKafka; it keeps its addresses and data over kill() and start()."""

    def __init__(
        self,
        node_id: int,
        cluster_id: str,
        process: BrokerProcess,
        addresses: Mapping[SecurityProtocol, Endpoint],
        start_deadline_s: float,
    ) -> None:
        self.node_id = node_id
        self._cluster_id = cluster_id
        self._process = process
        self._addresses = addresses
        self._start_deadline_s = start_deadline_s

    def __repr__(self) -> str:
        return f"<Broker {self.node_id} at {self.address}, pid {self.pid}>"

    @property
    def address(self) -> str:
        """`host:port` of the PLAINTEXT listener."""
        return self.address_for(SecurityProtocol.PLAINTEXT)

    def address_for(self, protocol: SecurityProtocol) -> str:
        """`host:port` of the listener with this protocol."""
        return str(self._addresses[protocol])

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def is_running(self) -> bool:
        """True also while it is frozen."""
        return self._process.is_running()

    def start(self, *, wait: bool = True) -> None:
        """Start it again on the same data and port; waits until it serves, which needs a majority of the cluster."""
        if self.is_running():
            raise LocalKafkaError(f"broker {self.node_id} runs already")
        self._process.launch()
        if wait:
            self.wait_ready({self.node_id}, time.monotonic() + self._start_deadline_s)

    def stop(self) -> None:
        """SIGTERM; a clean shut-down hands over its leaderships first. Killed when that takes too long."""
        self.ask_to_stop()
        self.finish_stop()

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._process.kill()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nothing is answered."""
        self._require_running()
        self._process.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self._require_running()
        self._process.thaw()

    def ask_to_stop(self) -> None:
        """The first half of stop(), so that several brokers can stop at the same time."""
        if self.is_running():
            self._process.thaw()  # a frozen process would not get the message
            self._process.ask_to_stop()

    def finish_stop(self) -> None:
        """The second half of stop()."""
        if not self._process.wait_stopped(ORDERLY_STOP_S):
            self._process.kill()

    def wait_ready(self, expected: set[int], deadline: float) -> None:
        """Wait until it serves and knows the `expected` node ids; `deadline` is on the monotonic clock."""
        at = self._addresses[SecurityProtocol.PLAINTEXT]
        while True:
            try:
                check_ready(at.host, at.port, self._cluster_id, expected)
            except NotReadyError as not_ready:
                if not self.is_running():
                    raise LocalKafkaError(self._explain("ended while it started")) from not_ready
                if time.monotonic() >= deadline:
                    raise LocalKafkaError(self._explain(f"was not ready in time: {not_ready}")) from not_ready
            else:
                return
            time.sleep(POLL_S)

    def _require_running(self) -> None:
        if not self.is_running():
            raise LocalKafkaError(f"broker {self.node_id} does not run")

    def _explain(self, what: str) -> str:
        return f"broker {self.node_id} {what}. The end of its log:\n{self._process.log_tail(LOG_LINES_SHOWN)}"
