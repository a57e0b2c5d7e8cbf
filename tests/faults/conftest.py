"""The stage for fault tests, and a cluster that is whole again afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from gateway.localkafka import LocalKafka
from tests.faults.admin import Admin
from tests.faults.scene import LONG, SHORT, Scene, Size
from tests.faults.stage import Stage


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "load(**kwargs): what the driver's load is to differ in")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every scenario in two lengths."""
    if "size" in metafunc.fixturenames:
        marks = [pytest.mark.soak, pytest.mark.timeout(3_600)]
        metafunc.parametrize("size", [SHORT, pytest.param(LONG, marks=marks)], ids=str)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed on a scene names the folder in which all is kept that may explain it."""
    report = yield
    staged = getattr(item, "funcargs", {}).get("scene")
    if report.when == "call" and report.failed and isinstance(staged, Scene):
        report.sections.append(("kept to explain it", str(staged.keep())))
    return report


@pytest.fixture
def scene(
    cluster: LocalKafka, fresh_name: str, tmp_path: Path, size: Size, request: pytest.FixtureRequest
) -> Iterator[Scene]:
    """Topics of its own; everything that was started is gone afterwards, and every broker back."""
    for mark in request.node.iter_markers("load"):
        size = dataclasses.replace(size, load=dataclasses.replace(size.load, **mark.kwargs))
    staged = Scene(cluster, fresh_name, tmp_path, size)
    try:
        yield staged
    finally:
        restore(cluster)
        staged.close()


@pytest.fixture
def stage(kafka: LocalKafka, fresh_name: str, tmp_path: Path) -> Iterator[Stage]:
    """Topics of its own on the single broker, for proofs that need no fault of a broker."""
    staged = Stage(kafka, fresh_name, tmp_path)
    staged.open()
    try:
        yield staged
    finally:
        staged.close()


def restore(cluster: LocalKafka) -> None:
    """Whatever a test did to the brokers."""
    for broker in cluster.brokers:
        if broker.is_running():
            broker.thaw()
    cluster.start_all()
    Admin(cluster.bootstrap_servers).wait_in_sync(len(cluster.brokers))
