"""Where settings come from: one TOML file, and above it the environment."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from gateway.settings.errors import SettingsError
from gateway.settings.model import Settings, settings_from
from gateway.settings.rows import ENVIRONMENT_PREFIX, Raw

CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"

READ_ELSEWHERE = frozenset({CONFIG_VARIABLE, ENVIRONMENT_PREFIX + "KAFKA_BACKEND"})
"""Variables of ours that are no settings of the service: the file's name, and what runs the local broker."""


def load(environment: Mapping[str, str], config: Path | None = None) -> Settings:
    """Settings of the process; `config` (or SENDGUARD_CONFIG) names the file. Raises SettingsError."""
    path = config or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    given = {} if path is None else _from_file(path)
    given.update(_from_environment(environment))
    return settings_from(given)


def _from_file(path: Path) -> dict[str, Raw]:
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: expected TOML: {error}"]) from error
    return {key: Raw(value, f"{path}: {key}") for key, value in values.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Raw]:
    """Variables of ours; an empty one counts as not set, as compose files write it."""
    return {
        variable.removeprefix(ENVIRONMENT_PREFIX).lower(): Raw(value, variable)
        for variable, value in environment.items()
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in READ_ELSEWHERE and value
    }
