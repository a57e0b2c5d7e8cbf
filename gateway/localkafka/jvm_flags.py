"""How the brokers' JVMs are started."""

from pathlib import Path

from gateway.localkafka.config import LocalKafkaConfig, Tuning
from gateway.localkafka.installation import Installation

FAST_START_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Start in half the time and a small process; the fully optimising compiler would pay off only after minutes."""

BENCHMARK_FLAGS = ("-XX:+UseG1GC",)
"""As Kafka's own start script does."""

COMMON_FLAGS = (
    "-XX:-UsePerfData",  # nothing in /tmp that a killed JVM leaves behind
    "-XX:+ExitOnOutOfMemoryError",  # a half-dead broker is worse than a dead one
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
)

BROKER_CLASS = "kafka.Kafka"


def heap_flag(config: LocalKafkaConfig) -> str:
    """The limit of the heap."""
    return f"-Xmx{config.heap}m"


def tuning_flags(config: LocalKafkaConfig) -> tuple[str, ...]:
    """Garbage collector and compiler."""
    return BENCHMARK_FLAGS if config.tuning is Tuning.BENCHMARK else FAST_START_FLAGS


def broker_command(config: LocalKafkaConfig, installation: Installation, directory: Path) -> list[str]:
    """The command of a broker whose `server.properties` and `log4j2.properties` are in `directory`.

    Native libraries (snappy, zstd) are unpacked into its `tmp`, so that they go away with the directory.
    """
    return [
        installation.java.executable,
        heap_flag(config),
        *tuning_flags(config),
        *COMMON_FLAGS,
        *installation.archive_flags,
        f"-Djava.io.tmpdir={directory / 'tmp'}",
        f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}",
        "-cp",
        installation.class_path,
        BROKER_CLASS,
        str(directory / "server.properties"),
    ]
