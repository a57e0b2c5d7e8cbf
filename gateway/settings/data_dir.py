"""The data directory, looked at before anything opens a file in it.

Said here once, by the setting's name: every user of it would else break off with an error of its own, some of them only
minutes after the start.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from gateway.settings.errors import SettingsError


def make_data_dir(data_dir: Path) -> None:
    """It is there, and this process may make files in it; SettingsError. Nothing stays behind."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir) as file:
            file.write(b"\0")
    except OSError as error:
        raise SettingsError(
            [f"data_dir: expected a directory that this process may write to, {data_dir}: {error.strerror or error}"]
        ) from error
