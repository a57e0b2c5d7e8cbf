"""The options RocksDB runs with."""

from __future__ import annotations

from pathlib import Path

from gateway.view.rocksdb import BLOCK_CACHE_BYTES, WRITE_BUFFER_BYTES, open_table


def test_our_options_hold_for_a_new_table_and_for_an_existing_one(tmp_path: Path) -> None:
    """RocksDB keeps options in its files; what opened the table once must not decide how it is opened now."""
    for _ in range(2):
        table = open_table(tmp_path / "view")
        assert table.property_int_value("rocksdb.block-cache-capacity") == BLOCK_CACHE_BYTES
        options = max((tmp_path / "view").glob("OPTIONS-*")).read_text()
        assert f"write_buffer_size={WRITE_BUFFER_BYTES}" in options
        assert "wal_recovery_mode=kPointInTimeRecovery" in options
        assert "filter_policy=bloomfilter" in options
        table.close()
