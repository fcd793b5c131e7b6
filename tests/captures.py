"""The captures of real servers, as Samples beside what the client measured."""

from __future__ import annotations

import json
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from collectors.engines import identify
from collectors.engines.dialect import read
from collectors.exposition import Parser
from metrics.sample import Sample, Source, State

FOLDER = Path(__file__).parent / "fixtures" / "captures"
URL = "http://127.0.0.1:8101"
AFTER_SECONDS = 0.2
"""The server counts the end of a request a moment before or after its client does."""


class Phase(Struct, frozen=True):
    name: str
    begin: float
    end: float
    requests: list[dict[str, Any]]
    samples: list[Sample]


class Capture(Struct, frozen=True):
    samples: list[Sample]
    events: list[dict[str, Any]]
    client: list[dict[str, Any]]

    def phase(self, name: str) -> Phase:
        begin = next(e["t"] for e in self.events if e["event"] == "phase_start" and e["phase"] == name)
        end = next(e["t"] for e in self.events if e["event"] == "phase_end" and e["phase"] == name)
        seen = [sample for sample in self.samples if sample.state is State.OK]
        first = max(sample.mono for sample in seen if sample.mono <= begin)
        last = min(sample.mono for sample in seen if sample.mono >= end + AFTER_SECONDS)
        return Phase(
            name,
            begin,
            end,
            [each for each in self.client if each["t_send"] <= end and first <= each["t_send"] + each["total"]],
            [sample for sample in self.samples if first <= sample.mono <= last],
        )

    def until(self, begin: float, end: float) -> list[Sample]:
        return [sample for sample in self.samples if begin <= sample.mono <= end]


@cache
def load(name: str) -> Capture:
    with tarfile.open(FOLDER / f"{name}.tar.xz") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr] # all are files
    parser = Parser()

    def sample(scrape: dict[str, Any]) -> Sample:
        moment = scrape["t"] + scrape["dt"] / 2
        if scrape.get("status") != 200:
            return Sample(URL, Source.SERVER, moment, moment, scrape["dt"], state=State.DOWN, reason=scrape["error"])
        page = parser.parse(files[f"{scrape['n']:04d}.prom"])
        dialect = identify(page)
        assert dialect is not None
        seen = read(dialect, page)
        return Sample(
            URL,
            Source.SERVER,
            moment,
            moment,
            scrape["dt"],
            counters=seen.counters,
            gauges=seen.gauges,
            histograms=seen.histograms,
            facts=seen.facts,
            missing=seen.missing,
        )

    return Capture(
        [sample(each) for each in _lines(files["index.jsonl"])],
        _lines(files["events.jsonl"]),
        _lines(files["client.jsonl"]),
    )


def _lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]
