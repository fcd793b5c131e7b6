"""A server over some polls: its pages grow, break, become another server's, and every output is made of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from unittest.mock import patch

import msgspec

from collectors.answer import Answer, Failure
from collectors.clock import Clock
from collectors.server import ServerCollector
from insight.assess import Assessor
from insight.settings import Settings
from metrics.columns import MAX_COLUMNS, MAX_SERIES
from metrics.sample import State
from metrics.store import Store
from metrics.view import View
from tests.fuzz import corpus
from tests.fuzz.case import drawn_from
from tests.fuzz.invariants import sound_outputs, sound_sample, sound_snapshot
from tests.fuzz.mutation import grown, mutated, mutated_json

if TYPE_CHECKING:
    from random import Random

URL = "http://127.0.0.1:8000"


def make(random: Random) -> list[bytes]:
    """Make the answers to some polls, one after another, and behind them two answers of facts endpoints."""
    polls = random.choice((3, 4, 6, 10))
    if random.random() < 0.3:
        run = corpus.run(random.choice(corpus.RUNS))
        at = random.randrange(max(1, len(run) - polls))
        good = list(run[at : at + polls])
    else:
        page, share = corpus.any_page(random), random.choice((0.0, 0.001, 0.1, 3.0))
        good = [grown(page, n * share) for n in range(polls)]
    pages: list[bytes] = []
    lasting: int | None = None
    for each in good:
        if random.random() < 0.4:
            lasting = random.getrandbits(32) if random.random() < 0.4 else None
            pages.append(mutated(each, random, corpus.any_page(random)))
        elif lasting is not None:
            pages.append(mutated(each, type(random)(lasting), b""))
        else:
            pages.append(each)
        if random.random() < 0.05:
            pages[-1] = mutated_json(random.choice(corpus.JSON_ANSWERS), random)
    return [*pages, *(mutated_json(random.choice(corpus.JSON_ANSWERS), random) for _ in range(2))]


def run(pieces: list[bytes]) -> None:
    """Poll as the live program does, and make everything of what is seen."""
    asyncio.run(_live(pieces[:-2], pieces[-2:], drawn_from(pieces)))


class _Moment:
    """Now, as it is set; the wall may be set back."""

    def __init__(self) -> None:
        self.mono, self.wall = 1000.0, 1.8e9

    def pass_by(self, random: Random) -> None:
        step = random.choice((1.0, 1.0, 1.0, 0.1, 3.0, 10.0, 61.0, 700.0, 0.0))
        self.mono += step
        self.wall += random.choice((step, step, step, -3600.0, 86_400.0))


class _Server:
    """Answers in the place of `collectors.fetch.Fetch`."""

    def __init__(self, facts: list[bytes], random: Random) -> None:
        self.page: Answer | Failure = Failure(State.DOWN, "")
        self._facts = facts
        self._random = random

    async def get(self, url: str, _shown: str, _deadline: float | None = None) -> Answer | Failure:
        if "metrics" in url:
            return self.page
        status = self._random.choice((200, 200, 200, 404, 401, 500))
        return Answer(status, "application/json", self._random.choice(self._facts))

    async def close(self) -> None:
        """Nothing is open."""


async def _live(pages: list[bytes], facts: list[bytes], random: Random) -> None:
    now, server = _Moment(), _Server(facts, random)
    collector = ServerCollector(URL, clock=Clock(lambda: now.wall, lambda: now.mono))
    store, assessor = Store(), Assessor(Settings(window=random.choice((10.0, 60.0, 300.0)), targets=(URL,)))
    for number, page in enumerate(pages, 1):
        server.page = Answer(random.choice((200,) * 12 + (503, 401, 404)), "text/plain", page)
        with patch("collectors.fetch.Fetch", lambda *_, **__: server):
            (sample,) = await collector.collect()
        sound_sample(sample)
        store.add(sample)
        view = View(store, now.mono, now.wall)
        if number == len(pages) or random.random() < 0.3:
            snapshot = assessor.snapshot(view)
            sound_snapshot(snapshot, store)
            sound_outputs(snapshot, random)
        else:
            assessor.observe(view)
        _bounded(store)
        now.pass_by(random)


def _bounded(store: Store) -> None:
    """Check that nothing which a page can say makes memory grow without end."""
    for history in store.sources.values():
        columns = history.columns
        assert len(columns.counters) + len(columns.gauges) + len(columns.histograms) <= MAX_SERIES
        assert columns.width <= MAX_COLUMNS
        assert len(columns.births) <= MAX_SERIES
        assert len(msgspec.msgpack.encode(history.newest)) < 2**25
