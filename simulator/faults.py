"""What can go wrong in a scenario, and when: each `[[faults]]` table of its file is one of these, by its `kind`.

`at` is in seconds of the scenario; what has `seconds` ends so much later, and lasts to the end where none are given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from simulator.lengths import Lengths
from simulator.ranges import Factor, Few, Gib, Megahertz, Seconds, Share, Times, Watts

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREVER = 1e12
LEAST_EVERY = 0.1


class Timed(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something that begins at a moment."""

    at: Annotated[float, Meta(le=1e7)]

    def __post_init__(self) -> None:
        if self.at < 0:
            raise ValueError(f"at is {self.at}: it lies in the warm-up, which nobody sees")


class Spell(Timed, frozen=True, kw_only=True):
    """Something that begins at a moment and may end."""

    seconds: Seconds = FOREVER

    def there(self, now: float) -> bool:
        """Tell whether it is so at this moment."""
        return self.at <= now < self.at + self.seconds


# --- the load


class LoadChange(Timed, frozen=True, tag="load", tag_field="kind", kw_only=True):
    """Arrivals come at `multiplier` times the workload's rate, reached in a ramp of `over` seconds."""

    multiplier: Times
    over: Seconds = 0.0


class Shift(Timed, frozen=True, tag="shift", tag_field="kind", kw_only=True):
    """Other requests come than before; what is not given stays as it was."""

    prompt_tokens: Lengths | None = None
    output_tokens: Lengths | None = None
    shared_prefix_share: Share | None = None


class Burst(Spell, frozen=True, tag="burst", tag_field="kind", kw_only=True):
    """So many requests come at one moment, and again `every` so many seconds; once where that is 0."""

    requests: Few
    every: Seconds = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.every < LEAST_EVERY:
            raise ValueError(f"every is {self.every}: give at least {LEAST_EVERY} s, or 0 for a single burst")

    def moments(self) -> Iterator[float]:
        """Tell when they come, one moment after the other."""
        number = 0
        while self.there(at := self.at + number * self.every):
            yield at
            if not self.every:
                return
            number += 1


class Clients(Spell, frozen=True, tag="clients", tag_field="kind", kw_only=True):
    """So many clients, each of which sends its next request when it has its answer and has thought: a closed loop."""

    count: Few
    think: Seconds = 0.0
    """Seconds from an answer to the next request, on average; they are exponentially distributed."""


class Aborts(Spell, frozen=True, tag="aborts", tag_field="kind", kw_only=True):
    """Of this share of the requests the client is gone `after` so many seconds, answered or not."""

    share: Share
    after: Seconds


class BadRequests(Spell, frozen=True, tag="bad_requests", tag_field="kind", kw_only=True):
    """A share of the requests is refused with 400: they name no model, or are longer than the model takes."""

    share: Share


# --- the server


class Freeze(Spell, frozen=True, tag="freeze", tag_field="kind", kw_only=True):
    """The engine makes no step, while HTTP goes on answering with the numbers of the last one."""


class Restart(Timed, frozen=True, tag="restart", tag_field="kind", kw_only=True):
    """The server process dies and is back after so long, with empty counters and an empty cache."""

    seconds: Seconds


class Errors(Spell, frozen=True, tag="errors", tag_field="kind", kw_only=True):
    """A share of the requests ends with an error at its first token."""

    share: Share


class Slow(Spell, frozen=True, tag="slow", tag_field="kind", kw_only=True):
    """Every step takes `factor` times as long, for a reason that no GPU shows: the host is too slow for it."""

    factor: Factor


class Ingress(Spell, frozen=True, tag="ingress", tag_field="kind", kw_only=True):
    """Requests take so long on their way to the engine: only a client can tell, the server's clock starts later."""

    delay: Seconds


# --- the GPUs


class CoolingLoss(Timed, frozen=True, tag="cooling_loss", tag_field="kind", kw_only=True):
    """One GPU heats `factor` times as far above its surroundings as it should."""

    gpu: int
    factor: Factor


class PowerCap(Spell, frozen=True, tag="power_cap", tag_field="kind", kw_only=True):
    """The power limit of every GPU is set to so many watts."""

    watts: Watts


class Clock(Spell, frozen=True, tag="clock", tag_field="kind", kw_only=True):
    """The clock of one GPU is held at so many MHz, for a reason as NVML calls it, or for none that it tells."""

    gpu: int
    mhz: Megahertz
    reason: Literal["", "hw_slowdown", "hw_power_brake", "applications_clocks"] = ""


class GpuError(Timed, frozen=True, tag="gpu_error", tag_field="kind", kw_only=True):
    """One GPU shows a fault of its hardware; `lost` takes it, and the server with it, away."""

    gpu: int
    what: Literal["xid", "ecc", "row_remap", "pcie_width", "pcie_replays", "nvlink", "lost"]
    code: int = 0
    """Of an XID."""


class DriverHang(Spell, frozen=True, tag="driver_hang", tag_field="kind", kw_only=True):
    """The NVML driver does not answer."""


class Neighbour(Spell, frozen=True, tag="neighbour", tag_field="kind", kw_only=True):
    """A process of somebody else's takes memory of one GPU, and a share of its time."""

    gpu: int
    memory_gib: Gib
    share: Share

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share == 1:
            raise ValueError("share must be below 1: nothing would be left for the server")


# --- the host


class HostPressure(Spell, frozen=True, tag="host", tag_field="kind", kw_only=True):
    """A resource of the host runs short: `cpu` as the share of time in which tasks wait, the others as what is free."""

    resource: Literal["cpu", "memory", "disk"]
    share: Share


# --- the answers


class WrongAnswers(Spell, frozen=True, tag="wrong_answers", tag_field="kind", kw_only=True):
    """A share of the questions with known answers is answered wrongly that would have been answered rightly."""

    share: Share
    warm_only: bool = False
    """Only where the answer comes from a warm cache."""


Fault = (
    LoadChange
    | Burst
    | Clients
    | Shift
    | Aborts
    | BadRequests
    | Freeze
    | Restart
    | Errors
    | Slow
    | Ingress
    | CoolingLoss
    | PowerCap
    | Clock
    | GpuError
    | DriverHang
    | Neighbour
    | HostPressure
    | WrongAnswers
)
OF_GPU = (CoolingLoss, Clock, GpuError, Neighbour)
"""Those that name a GPU."""
