"""How we open RocksDB, each option with its reason, and what its errors mean to us.

`rocksdict` raises bare `Exception` with RocksDB's status as text ("Corruption: ...", "IO error: ..."): this is the one
place that reads those texts.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
)

from gateway.view.directory import has_files
from gateway.view.errors import Unusable, ViewCorrupt, ViewError

WRITE_BUFFER_BYTES = 16 << 20
"""One memtable. Two can exist at a time: 32 MiB of the process at most."""

BLOCK_CACHE_BYTES = 48 << 20
"""Data, index and bloom filter blocks together, so that memory stays bounded at any number of subjects."""

BLOCK_BYTES = 4 << 10
"""What a hit reads and unpacks when it is not cached."""

BLOOM_BITS_PER_KEY = 10
"""1 % false positives; guards the look-ups that `gateway.view.held` lets through."""

KEEP_LOG_FILES = 4
MAX_LOG_FILE_BYTES = 1 << 20
"""RocksDB's own text log: enough to look back at the last starts, 4 MiB at most."""

SCAN_READAHEAD_BYTES = 2 << 20
"""A scan at start reads every block in order; large reads make it a matter of the disk's bandwidth."""


def open_table(directory: Path) -> Rdict:
    """Open or create. Raises `Unusable` for files cut short, missing or overwritten, `ViewError` for all else."""
    if has_files(directory) and not (directory / "CURRENT").exists():
        raise Unusable("damaged", "the file CURRENT is missing")  # RocksDB would create a new table among the files
    try:
        options = _options()
        # Without `column_families` an existing table opens with the options in its files: without our cache and filter.
        return Rdict(str(directory), options, column_families={"default": options})
    except Exception as error:
        if is_status(error):
            raise while_opening(directory, error) from error
        raise


def is_status(error: BaseException) -> bool:
    """Whether RocksDB says so, and not an error of ours: `rocksdict` raises plain `Exception` and no kinds of it."""
    return type(error) is Exception


def while_opening(directory: Path, error: Exception) -> Unusable | ViewError:
    """What an error while opening means: only damage may set a directory aside, not a full disk or a missing right.

    All but input/output errors are about contents; a missing file is an input/output error to RocksDB.
    """
    text = str(error)
    if text.startswith("IO error") and "No such file or directory" not in text:
        return ViewError(f"the view in {directory} cannot be opened: {text}")
    return Unusable("damaged", text)


def while_running(directory: Path, error: Exception) -> ViewError:
    """What an error of an open table means; the process ends either way."""
    text = str(error)
    if text.startswith("Corruption"):
        return ViewCorrupt(
            f"the view in {directory} is damaged ({text}): start again, it is then set aside and rebuilt from the log"
        )
    return ViewError(f"the view in {directory} failed: {text}")


def let_go(table: Rdict) -> None:
    """Close a table. Closing flushes first; if that fails the table is closed all the same, and the log has it all."""
    with contextlib.suppress(Exception):
        table.close()


def scan_options() -> ReadOptions:
    options = ReadOptions()
    options.set_readahead_size(SCAN_READAHEAD_BYTES)
    return options


def _options() -> Options:
    options = Options(raw_mode=True)  # bytes in, bytes out
    options.create_if_missing(True)
    options.set_paranoid_checks(True)  # refuse at open what is damaged, rather than serve half of it
    # The write-ahead log stays on and is not synced: a killed process loses nothing (the page cache has it). A power
    # cut may lose its tail; records and offsets are in one batch, so what is left is an older, whole state.
    options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())  # stop at the first torn or damaged batch
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_max_background_jobs(2)  # one flush, one compaction: the decision loop wants the other core
    options.set_compression_type(DBCompressionType.lz4())  # a fifth of the size; the cache holds blocks unpacked
    options.set_keep_log_file_num(KEEP_LOG_FILES)
    options.set_max_log_file_size(MAX_LOG_FILE_BYTES)
    blocks = BlockBasedOptions()
    # Index and filter in the bounded cache too, and in small parts: one filter block of a large file is megabytes, does
    # not fit a shard of the cache and is then read from disk at every look-up (measured: 9 us a miss instead of 0.6).
    blocks.set_block_cache(Cache.new_hyper_clock_cache(BLOCK_CACHE_BYTES, BLOCK_BYTES))
    blocks.set_block_size(BLOCK_BYTES)
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_index_type(BlockBasedIndexType.two_level_index_search())
    blocks.set_partition_filters(True)
    blocks.set_metadata_block_size(BLOCK_BYTES)
    blocks.set_pin_top_level_index_and_filter(True)
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, False)
    options.set_block_based_table_factory(blocks)
    return options
