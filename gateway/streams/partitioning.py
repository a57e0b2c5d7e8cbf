"""Which partition the records of a key belong to: that to which our own producers, and Java's, write them."""

from __future__ import annotations

from aiokafka.partitioner import DefaultPartitioner

_partition = DefaultPartitioner()


def partition_of(key: bytes, count: int) -> int:
    """The partition number of a topic with `count` partitions."""
    numbers = list(range(count))
    return int(_partition(key, numbers, numbers))
