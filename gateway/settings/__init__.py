"""Everything that can be set, once: typed rows, read from the environment and one TOML file."""

from gateway.settings.api import ApiSettings
from gateway.settings.errors import SettingsError
from gateway.settings.load import load
from gateway.settings.model import (
    REQUEST_RETENTION_MIN_HOURS,
    GuardSettings,
    HttpSettings,
    KafkaSettings,
    LogLevel,
    SaslMechanism,
    SecurityProtocol,
    Settings,
    TopicSettings,
    settings_table,
)
from gateway.settings.rows import Setting
from gateway.settings.secret import Secret

__all__ = [
    "REQUEST_RETENTION_MIN_HOURS",
    "ApiSettings",
    "GuardSettings",
    "HttpSettings",
    "KafkaSettings",
    "LogLevel",
    "SaslMechanism",
    "Secret",
    "SecurityProtocol",
    "Setting",
    "Settings",
    "SettingsError",
    "TopicSettings",
    "load",
    "settings_table",
]
