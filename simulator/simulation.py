"""A whole scenario in motion: the engine and the GPUs under it, in one virtual time, with what goes wrong in it."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from simulator.engine import Engine
from simulator.gpus import TICK, Gpus
from simulator.scenario import CoolingLoss, Restart

if TYPE_CHECKING:
    from simulator.scenario import Scenario


class Simulation:
    """Advances engine and GPUs together: the engine's work heats the GPUs, and their clocks set its pace.

    Clocks and restarts take effect on a grid of `TICK` seconds, so that the course of things is the same however often
    it is looked at. Second 0 is when it is first looked at; the warm-up lies before.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        start = -scenario.warm_up_seconds
        self.engine = Engine(scenario.engine, scenario.workload, seed, start, scenario.faults)
        self.gpus = Gpus(scenario.gpus, [each for each in scenario.faults if isinstance(each, CoolingLoss)])
        self.now = start
        self.started_at = start
        """When the server process started."""
        self._restarts = sorted((f.at, f.seconds) for f in scenario.faults if isinstance(f, Restart))
        self._tick = ceil(start / TICK)
        self.advance(0.0)

    @property
    def up(self) -> bool:
        """The server process runs and answers."""
        return self.now >= self.engine.up_at

    def advance(self, to: float) -> None:
        """Live up to this moment; one in the past changes nothing."""
        while (tick := self._tick * TICK) <= to:
            self.engine.advance(tick)
            if self._restarts and self._restarts[0][0] <= tick:
                self.engine.restart(tick, self._restarts.pop(0)[1])
                self.started_at = tick
            self.gpus.advance(tick, self.engine)
            self.engine.slowdown = self.gpus.slowdown
            self._tick += 1
        self.engine.advance(to)
        self.now = max(self.now, to)
