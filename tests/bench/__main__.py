"""The benchmark: our guard against itself with parts left out, a floor, first tries and rivals, in one run.

The figures of one machine mean little; the ratios of one run, interleaved over several rounds, are the result.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from gateway.contract.topics import Topics
from gateway.localkafka import LocalKafka, LocalKafkaConfig, Tuning
from tests.bench.barrier import barrier_times
from tests.bench.coldstart import cold_start
from tests.bench.latency import latencies_ms, warm_up
from tests.bench.load import HoldChanges, Load, produce_holds, produce_requests
from tests.bench.postgres import postgres
from tests.bench.report import Results, Sample, print_report
from tests.bench.run import World, variant
from tests.bench.staleness import ROUNDS, stale_decisions
from tests.bench.webhooks import webhook_times

console = Console(width=120)

SLOW = {"e-wait": 40, "e-send": 4}
"""These get a part of the requests only, so that a round ends; what counts is decisions per second."""

LATENCY_OF = ("a", "b", "c", "f-confluent")
COLD_STARTS = (0, 100_000, 1_000_000)
LONG_COLD_START = 10_000_000
QUIET_HOLDS = 16_000
FIRST_STALE_NUMBER = 1_000_000


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--requests", default=200_000, show_default=True, help="Requests each variant decides in a round.")
@click.option("--subjects", default=200_000, show_default=True, help="Known subjects; 8 % of them are held.")
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds.")
@click.option("--variants", default="d,a,b,c,f-confluent,f-postgres,e-send,e-wait", show_default=True)
@click.option("--parts", default="speed,latency,stale,barrier,webhook,cold", show_default=True, help="What to measure.")
@click.option("--ten-million", is_flag=True, help="Also a cold start with 10 million held subjects: many minutes.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Where the results go.")
def main(
    requests: int,
    subjects: int,
    rounds: int,
    variants: str,
    parts: str,
    ten_million: bool,
    json_file: Path | None,
) -> None:
    """Run the benchmark: about 10 minutes with the defaults.

    Example: python -m tests.bench --rounds 3 --parts speed --variants d,a
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started here ends also then
    load = Load(requests, subjects)
    names, wanted = variants.split(","), parts.split(",")
    results = Results(load=load)
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="sendguard-bench-"))
        kafka = stack.enter_context(LocalKafka(LocalKafkaConfig(tuning=Tuning.BENCHMARK)))
        database_url = None
        if "f-postgres" in names:
            database_url = stack.enter_context(postgres(Path(directory) / "postgres"))
            if database_url is None:
                console.print("f-postgres is left out: no PostgreSQL server programs (initdb, pg_ctl) were found")
                names.remove("f-postgres")
        world = World(kafka.bootstrap_servers, Topics("bench."), load, Path(directory), database_url)
        world.create_topics()
        produce_requests(world.bootstrap, world.topics, load)
        produce_holds(world.bootstrap, world.topics, sum(number % 25 < 2 for number in range(subjects)))
        if "speed" in wanted:
            _speed(world, names, rounds, results)
        quiet = replace(world, topics=Topics("quiet."))  # no backlog that a new group would have to decide first
        quiet.create_topics()
        produce_holds(quiet.bootstrap, quiet.topics, QUIET_HOLDS)
        if "latency" in wanted:
            warm_up(quiet)
        for name in names if "latency" in wanted else ():
            if name in LATENCY_OF:
                results.latencies_ms[name] = latencies_ms(quiet, name)
                console.print(f"latency of {name} measured")
        for index, name in enumerate(names if "stale" in wanted else ()):
            if name != "d":
                first = FIRST_STALE_NUMBER + index * ROUNDS
                results.stale[name] = stale_decisions(quiet, name, first)
                console.print(f"{name}: {results.stale[name]} stale decisions in {ROUNDS} rounds")
        if "barrier" in wanted:
            results.barrier = barrier_times(world)
        results.webhooks = webhook_times(quiet) if "webhook" in wanted else None
        for count in (*COLD_STARTS, *((LONG_COLD_START,) if ten_million else ())) if "cold" in wanted else ():
            results.cold_starts.append(cold_start(world, count))
            console.print(f"cold start with {count:,} held subjects measured")
    print_report(results, console)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(results.as_json(), indent=2))
        console.print(f"written to {json_file}")


def _speed(world: World, names: list[str], rounds: int, results: Results) -> None:
    for round_number in range(rounds):
        for name in names:
            target = world.load.requests // SLOW.get(name, 1)
            with HoldChanges(world.bootstrap, world.topics, world.load), variant(world, name, target) as process:
                process.go()
                measured = process.result()
            sample = Sample(
                measured.decided / measured.seconds, measured.cpu_s / measured.decided, measured.peak_rss_mib
            )
            results.speed.setdefault(name, []).append(sample)
            console.print(f"round {round_number + 1} {name}: {sample.per_s:,.0f}/s")


if __name__ == "__main__":
    main()
