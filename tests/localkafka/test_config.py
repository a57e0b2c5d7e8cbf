"""What may be configured."""

import secrets

import pytest

from gateway.localkafka import LocalKafkaConfig, SecurityProtocol, Tuning

PASSWORD = secrets.token_hex()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"brokers": 2}, "1 or 3 brokers"),
        ({"brokers": 0}, "1 or 3 brokers"),
        ({"port": 80}, "outside 1024"),
        ({"port": 65534, "brokers": 3}, "outside 1024..65533"),
        ({"secure_listeners": (SecurityProtocol.PLAINTEXT,)}, "always there"),
        ({"secure_listeners": (SecurityProtocol.SSL, SecurityProtocol.SSL)}, "once"),
    ],
)
def test_an_impossible_cluster_is_refused(arguments: dict[str, int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        LocalKafkaConfig(**arguments)  # type: ignore[arg-type]  # wrong values on purpose


def test_a_benchmark_gets_a_larger_heap_unless_one_is_given() -> None:
    fast = LocalKafkaConfig()
    benchmark = LocalKafkaConfig(tuning=Tuning.BENCHMARK)
    assert benchmark.heap > fast.heap
    assert LocalKafkaConfig(tuning=Tuning.BENCHMARK, heap_mib=512).heap == 512


def test_the_password_is_not_printed() -> None:
    assert PASSWORD not in repr(LocalKafkaConfig(sasl_password=PASSWORD))
