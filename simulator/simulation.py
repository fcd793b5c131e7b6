"""A whole scenario in motion: the engines and the GPUs under them, in one virtual time, with what goes wrong in it."""

from __future__ import annotations

from math import ceil, inf
from typing import TYPE_CHECKING

from simulator.engine import Engine
from simulator.faults import GpuError, Ingress, Restart
from simulator.gpus import TICK, Gpus

if TYPE_CHECKING:
    from simulator.scenario import Scenario


class Simulation:
    """Advances engines and GPUs together: an engine's work heats its GPUs, and their clocks set its pace.

    Clocks and restarts take effect on a grid of `TICK` seconds, so that the course of things is the same however often
    it is looked at. Second 0 is when it is first looked at; the warm-up lies before.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        start = -scenario.warm_up_seconds
        config, faults = scenario.engine, scenario.faults
        # The first engine has the seed itself: one engine alone lives as it always did.
        self.engines = tuple(
            Engine(config, scenario.workload, seed + 1000 * number, start, faults, share)
            for number, share in enumerate(config.replica_shares)
        )
        self.gpus = Gpus(scenario.gpus, faults, len(self.engines))
        self.now = start
        self.started_at = start
        """When the server process started."""
        self._delays = [f for f in faults if isinstance(f, Ingress)]
        self._restarts = sorted(
            [
                *((f.at, f.seconds) for f in faults if isinstance(f, Restart)),
                *((f.at, inf) for f in faults if isinstance(f, GpuError) and f.what == "lost"),
            ]
        )
        self._tick = ceil(start / TICK)
        self.advance(0.0)

    @property
    def engine(self) -> Engine:
        """The first engine, which also serves the requests that come from outside."""
        return self.engines[0]

    @property
    def ingress_delay(self) -> float:
        """How long a request that is sent now is on its way to the engine."""
        return sum(delay.delay for delay in self._delays if delay.there(self.now))

    @property
    def up(self) -> bool:
        """The server process runs and answers."""
        return self.now >= self.engine.up_at

    def advance(self, to: float) -> None:
        """Live up to this moment; one in the past changes nothing."""
        while (tick := self._tick * TICK) <= to:
            for engine in self.engines:
                engine.advance(tick)
            if self._restarts and self._restarts[0][0] <= tick:
                seconds = self._restarts.pop(0)[1]
                for engine in self.engines:
                    engine.restart(tick, seconds)
                self.started_at = tick
            whole = sum(engine.in_flight for engine in self.engines)
            for engine in self.engines:
                engine.elsewhere = whole - engine.in_flight
            self.gpus.advance(tick, self.engines)
            for engine, slowdown in zip(self.engines, self.gpus.slowdowns, strict=True):
                engine.slowdown = slowdown
            self._tick += 1
        for engine in self.engines:
            engine.advance(to)
        self.now = max(self.now, to)
