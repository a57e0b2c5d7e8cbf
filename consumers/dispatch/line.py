"""The messages of one location and channel that are in memory: whose turn it is, in each recipient's order.

Theory of operation. Every recipient's address has a *chain* of the messages to it, in log order. A message may be tried
when it is the first in the chains of all its recipients; until it is finished it stays there, also while it waits for
its next try, so that messages to one address never overtake one another. Messages are added whole, in log order, so no
two can wait for each other.

Pure: no I/O; time comes in as an argument (seconds of the loop's clock).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count

from consumers.dispatch.item import Item, LineId


class Line:
    """Messages are added, taken when it is their turn, and then finished or taken back."""

    def __init__(self, identity: LineId) -> None:
        self.identity = identity
        self._chains: dict[bytes, deque[Item]] = {}
        self._ready: deque[Item] = deque()
        self._later: list[tuple[float, int, Item]] = []
        self._order = count()

    def __len__(self) -> int:
        """Addresses with messages; 0 = none is in memory, waiting or tried."""
        return len(self._chains)

    def add(self, item: Item) -> None:
        for address in item.addresses:
            chain = self._chains.setdefault(address, deque())
            if not chain or chain[-1] is not item:  # an address twice in one email
                item.blockers += bool(chain)
                chain.append(item)
        if item.blockers == 0:
            self._ready.append(item)

    def take(self, now: float) -> Item | None:
        """The next message whose turn it is, None when there is none at present."""
        while self._later and self._later[0][0] <= now:
            self._ready.append(heappop(self._later)[2])
        return self._ready.popleft() if self._ready else None

    def soonest(self) -> float | None:
        """When the next message's turn comes; None: not before another one is finished, or added."""
        if self._ready:
            return 0.0
        return self._later[0][0] if self._later else None

    def take_back(self, item: Item) -> None:
        """It was not tried: it is the next one again."""
        if not item.withdrawn:
            self._ready.appendleft(item)

    def again(self, item: Item, due: float) -> None:
        """It was tried and waits for another try."""
        if not item.withdrawn:
            item.due = due
            heappush(self._later, (due, next(self._order), item))

    def finish(self, item: Item) -> None:
        """The messages behind it may be tried."""
        for address in dict.fromkeys(item.addresses):
            chain = self._chains.get(address)
            if chain is None or chain[0] is not item:
                continue  # withdrawn meanwhile
            chain.popleft()
            if not chain:
                del self._chains[address]
                continue
            chain[0].blockers -= 1
            if chain[0].blockers == 0:
                self._ready.append(chain[0])

    def waiting(self) -> Iterator[Item]:
        """Those that could be tried if anything could."""
        yield from self._ready
        for _, _, item in self._later:
            yield item

    def drop(self, expired: Item) -> None:
        """Take out one of `waiting`."""
        if expired in self._ready:
            self._ready.remove(expired)
        else:
            self._later = [entry for entry in self._later if entry[2] is not expired]
            heapify(self._later)

    def withdraw(self, items: set[Item]) -> None:
        """Take these out wherever they are, those that are tried included."""
        for item in items:
            item.withdrawn = True
        self._ready = deque(item for item in self._ready if item not in items)
        self._later = [entry for entry in self._later if entry[2] not in items]
        heapify(self._later)
        left = dict.fromkeys(item for chain in self._chains.values() for item in chain if item not in items)
        free = {item for item in left if item.blockers == 0}
        chains = {
            address: deque(item for item in chain if item not in items) for address, chain in self._chains.items()
        }
        self._chains = {address: chain for address, chain in chains.items() if chain}
        for item in left:
            item.blockers = sum(self._chains[address][0] is not item for address in dict.fromkeys(item.addresses))
            if item.blockers == 0 and item not in free:
                self._ready.append(item)
