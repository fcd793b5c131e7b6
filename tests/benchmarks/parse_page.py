"""How long a metrics page takes to parse and to read: `python -m tests.benchmarks.parse_page`.

Two pages of a real vLLM under load, one second apart, are parsed in turn, so that values change as they do between two
polls. Every time is the median of many runs, and the runs alternate, so that a busy machine slows all of them.
"""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from collectors.engines.dialect import read
from collectors.engines.vllm import VLLM
from collectors.exposition import Page, Parser

if TYPE_CHECKING:
    from collections.abc import Callable

PAGES = Path(__file__).parent.parent / "fixtures" / "pages"
ROUNDS = 30
WARM_PER_ROUND = 20


def seconds(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return perf_counter() - began


def by_prometheus_client(body: bytes) -> int:
    return sum(len(family.samples) for family in text_string_to_metric_families(body.decode()))


def first_time(body: bytes) -> Page:
    return Parser().parse(body)


def measure() -> list[tuple[str, str, str]]:
    """Measure; each row says what, how much it was, and how much it should be."""
    bodies = [
        gzip.decompress((PAGES / f"{name}.prom.gz").read_bytes()) for name in ("vllm-overload", "vllm-overload-next")
    ]
    parser = Parser()
    page = parser.parse(bodies[0])
    if len(page.samples) != by_prometheus_client(bodies[0]):
        raise SystemExit("not the same samples: there is nothing to compare")
    cold: list[float] = []
    warm: list[float] = []
    reading: list[float] = []
    theirs: list[float] = []
    for turn in range(ROUNDS):
        body = bodies[turn % 2]
        cold.append(seconds(partial(first_time, body)))
        warm += [seconds(partial(parser.parse, bodies[n % 2])) for n in range(WARM_PER_ROUND)]
        reading.append(seconds(partial(read, VLLM, page)))
        theirs.append(seconds(partial(by_prometheus_client, body)))
    what = f"vLLM page, {len(bodies[0]) / 1000:.0f} kB, {len(page.samples)} samples"
    return [
        (f"{what}: parsed, first time", f"{median(cold) * 1e3:.2f} ms", ""),
        (f"{what}: parsed, every other time", f"{median(warm) * 1e3:.3f} ms", ""),
        (f"{what}: parsed by prometheus_client", f"{median(theirs) * 1e3:.2f} ms", ""),
        (f"{what}: times faster than prometheus_client", f"{median(theirs) / median(warm):.0f}x", ">= 20x"),
        (f"{what}: read into quantities", f"{median(reading) * 1e3:.2f} ms", "<= 2 ms"),
    ]


if __name__ == "__main__":
    for row in measure():
        print("{:<76}{:>10}  {}".format(*row))
