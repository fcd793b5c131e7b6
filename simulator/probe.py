"""A probe of the simulated server in virtual time: what a client would get, shaped as the collector of a probe.

A small request is sent every `INTERVAL` seconds; what lies between client and engine (`ingress` faults) is part of its
latency, as it is of a real client's and is not of the server's own TTFT.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from metrics.histogram import Histogram
from metrics.sample import Sample, Source
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.request import Request
    from simulator.simulation import Simulation

INTERVAL = 1.0
PROMPT_TOKENS, OUTPUT_TOKENS = 130, 16
BOUNDS = tuple(float(f"{0.001 * 1.1**power:.4g}") for power in range(117))
"""From 1 ms to 60 s, each a tenth above the last."""
HANDLER = "/v1/chat/completions"
CLIENT_SECONDS = 0.003
"""What a client on the same host adds: measured on a real vLLM, 2 to 4 ms."""
_TTFT = series("probe_ttft_seconds", prefix="cold")
_E2E = "probe_e2e_seconds"


class ProbeCollector:
    """Tells what a probe of the server `server` would have found so far."""

    kind = Source.PROBE
    interval: float | None = None

    def __init__(self, simulation: Simulation, server: str, wall: float, mono: float) -> None:
        self.name = f"probe:{server}"
        self._simulation = simulation
        self._wall = wall
        """Of second 0 of the simulation, as is `_mono`."""
        self._mono = mono
        self._due = 0.0
        self._open: list[tuple[float, Request]] = []
        """Requests under way, with the moment at which the client sent them."""
        self._counts = {name: [0.0] * (len(BOUNDS) + 1) for name in (_TTFT, _E2E)}
        self._sums = dict.fromkeys(self._counts, 0.0)
        self._answered = 0

    async def collect(self) -> Sequence[Sample]:
        """Send what is due, and make one Sample of what has been found."""
        simulation = self._simulation
        now = simulation.now
        if simulation.up and now >= self._due:
            self._due = max(self._due + INTERVAL, now)
            arrives = now + simulation.ingress_delay
            self._open.append((now, simulation.engine.submit(arrives, PROMPT_TOKENS, OUTPUT_TOKENS, HANDLER)))
        for sent, request in self._open:
            if request.ended is not None and request.first_token is not None:
                self._observe(_TTFT, request.first_token - sent + CLIENT_SECONDS)
                self._observe(_E2E, request.ended - sent + CLIENT_SECONDS)
                self._answered += 1
        self._open = [(sent, request) for sent, request in self._open if not request.done]
        return [
            Sample(
                source=self.name,
                kind=self.kind,
                wall=self._wall + now,
                mono=self._mono + now,
                counters={series("probe_requests", outcome="ok"): float(self._answered)},
                histograms={
                    name: Histogram(BOUNDS, tuple(counts), self._sums[name]) for name, counts in self._counts.items()
                },
                facts={"probe": "simulated"},
            )
        ]

    async def close(self) -> None:
        """Nothing is held open."""

    def _observe(self, name: str, seconds: float) -> None:
        self._counts[name][bisect_left(BOUNDS, seconds)] += 1
        self._sums[name] += seconds
