"""Tests of one backend are skipped where only the other one can run."""

import pytest

from gateway.localkafka import LocalKafkaConfig
from gateway.localkafka.backend import missing_for_maven
from gateway.localkafka.java import find_java

_MISSING = missing_for_maven(LocalKafkaConfig(), find_java())

needs_java = pytest.mark.skipif(bool(_MISSING), reason=f"the Maven backend lacks {' and '.join(_MISSING)}")
