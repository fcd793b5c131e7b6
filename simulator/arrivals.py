"""The stream in which requests arrive."""

from __future__ import annotations

from heapq import heappop, heappush, merge
from itertools import repeat
from math import inf
from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from simulator.faults import Burst, Clients, LoadChange, Shift
from simulator.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simulator.faults import Fault
    from simulator.scenario import Workload


RETRY_SECONDS = 1.0
"""A client whose request was refused, or that found nobody, tries again so much later."""


class Load:
    """How many times the workload's own rate arrives, over time: constant, with steps and ramps."""

    def __init__(self, changes: Sequence[LoadChange]) -> None:
        self._changes = sorted(changes, key=lambda change: change.at)
        self.most = max([1.0, *(change.multiplier for change in self._changes)])

    def at(self, seconds: float) -> float:
        """Tell the multiplier at this moment."""
        value = 1.0
        for change in self._changes:
            if seconds < change.at:
                break
            share = 1.0 if change.over <= 0 else min(1.0, (seconds - change.at) / change.over)
            value += (change.multiplier - value) * share
        return value


class Arrivals:
    """The requests that come, by themselves, in bursts and from clients that wait for their answers.

    What comes by itself is a Poisson stream whose rate follows the load, drawn by thinning. All of it is the same for
    the same seed. `share` of everything comes here; after a Shift other requests come.
    """

    def __init__(
        self,
        workload: Workload,
        faults: Sequence[Fault],
        max_model_len: int,
        seed: int,
        start: float,
        share: float = 1.0,
    ) -> None:
        self._workload = workload
        self._load = Load([fault for fault in faults if isinstance(fault, LoadChange)])
        self._longest = max_model_len
        self._random = Random(f"arrivals {seed}")
        self._thoughts = Random(f"thoughts {seed}")
        self._share = share
        self._shifts = sorted((f for f in faults if isinstance(f, Shift)), key=lambda shift: shift.at)
        self._alone_at = start
        """When the next request comes by itself."""
        self._bursts: Iterator[float] = merge(*(_of_burst(f, share) for f in faults if isinstance(f, Burst)))
        self._burst_at = next(self._bursts, inf)
        self._due: list[tuple[float, int, Clients]] = []
        """When a client sends its next request; the number keeps those of one moment in order."""
        self._sent = 0
        for each in (f for f in faults if isinstance(f, Clients)):
            for _ in range(round(each.count * share)):
                self._send(each, each.at + self._think(each))
        self._advance()

    @property
    def next_at(self) -> float:
        """When the next request comes."""
        return min(self._alone_at, self._burst_at, self._due[0][0] if self._due else inf)

    def pop(self) -> Request:
        """Take the next request off the stream."""
        at, random = self.next_at, self._random
        while self._shifts and self._shifts[0].at <= at:
            self._workload = _shifted(self._workload, self._shifts.pop(0))
        workload = self._workload
        prefix, prefix_tokens = None, 0
        if workload.shared_prefix_share and random.random() < workload.shared_prefix_share:
            prefix, prefix_tokens = random.randrange(workload.shared_prefixes), workload.shared_prefix_tokens
        prompt = min(prefix_tokens + workload.prompt_tokens.draw(random), self._longest - 1)
        asked = min(workload.max_tokens, self._longest - prompt)
        output = min(workload.output_tokens.draw(random), asked)
        clients = None
        if at == self._alone_at:
            self._advance()
        elif at == self._burst_at:
            self._burst_at = next(self._bursts, inf)
        else:
            clients = heappop(self._due)[2]
        return Request(at, prompt, output, asked, prefix, prefix_tokens, clients=clients)

    def over(self, request: Request, now: float, *, refused: bool = False) -> None:
        """Let the client of a request send its next one, where one waits for this."""
        if request.clients is not None:
            self._send(request.clients, now + self._think(request.clients) + (RETRY_SECONDS if refused else 0.0))

    def end(self) -> None:
        """Let no more come."""
        self._alone_at = self._burst_at = inf
        self._due.clear()

    def _send(self, clients: Clients, at: float) -> None:
        if clients.there(at):
            self._sent += 1
            heappush(self._due, (at, self._sent, clients))

    def _think(self, clients: Clients) -> float:
        return self._thoughts.expovariate(1 / clients.think) if clients.think else 0.0

    def _advance(self) -> None:
        highest = self._workload.requests_per_second * self._share * self._load.most
        if highest <= 0:
            self._alone_at = inf
            return
        random = self._random
        while True:
            self._alone_at += random.expovariate(highest)
            if random.random() * self._load.most < self._load.at(self._alone_at):
                return


def _of_burst(burst: Burst, share: float) -> Iterator[float]:
    for at in burst.moments():
        yield from repeat(at, round(burst.requests * share))


def _shifted(workload: Workload, shift: Shift) -> Workload:
    share = shift.shared_prefix_share
    return replace(
        workload,
        prompt_tokens=shift.prompt_tokens or workload.prompt_tokens,
        output_tokens=shift.output_tokens or workload.output_tokens,
        shared_prefix_share=workload.shared_prefix_share if share is None else share,
    )
