"""How the brokers' JVMs are started."""

from collections.abc import Sequence
from pathlib import Path

from gateway.localkafka.config import LocalKafkaConfig, Tuning
from gateway.localkafka.java import Java

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

SILENT_ARCHIVE = ("-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")
"""An archive that does not fit this JVM any more is left unused without a word."""

BROKER_CLASS = "kafka.Kafka"


def heap_flags(config: LocalKafkaConfig) -> tuple[str, ...]:
    """Heap and the flags of the tuning."""
    tuning = BENCHMARK_FLAGS if config.tuning is Tuning.BENCHMARK else FAST_START_FLAGS
    return (f"-Xmx{config.heap}m", *tuning)


def broker_command(
    java: Java, config: LocalKafkaConfig, class_path: str, directory: Path, archive_flags: Sequence[str]
) -> list[str]:
    """The command of a broker whose `server.properties` and `log4j2.properties` are in `directory`.

    Native libraries (snappy, zstd) are unpacked into its `tmp`, so that they go away with the directory.
    """
    return [
        java.executable,
        *heap_flags(config),
        *COMMON_FLAGS,
        *archive_flags,
        f"-Djava.io.tmpdir={directory / 'tmp'}",
        f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}",
        "-cp",
        class_path,
        BROKER_CLASS,
        str(directory / "server.properties"),
    ]
