"""What one collector saw in one poll of one source: the only thing that enters the core.

Everything in a Sample is plain data, already harmless (text from outside was cleaned when it came in) and already in
the words of `metrics.quantity`. A Sample is made also when a poll fails: then it carries the state and the reason.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from metrics.histogram import Histogram
from metrics.quality import Graded


class Source(StrEnum):
    """The kinds of thing that are polled."""

    SERVER = "server"
    GPU = "gpu"
    DRIVER = "driver"
    """The NVML driver as a whole: is it there, does it answer, how many GPUs does it report."""
    HOST = "host"
    QUALITY = "quality"
    """The answers of one server to questions whose answers are known."""
    PROBE = "probe"
    """A server as a client of ours sees it: `probe:<id of the server>`."""
    MONITOR = "monitor"
    """This program: what it missed and dropped."""


class State(StrEnum):
    """How a source is, as far as its last poll tells."""

    OK = "ok"
    STALE = "stale"
    """It answered before, and has not answered for a while; set by the core, never by a collector."""
    DOWN = "down"
    """It cannot be reached, or what it answers is of no use; for a GPU: lost."""
    UNAUTHORISED = "unauthorised"
    STARTING = "starting"
    """It answers that it is not ready yet."""


class Process(Struct, frozen=True, omit_defaults=True):
    """A process on a GPU, or one of a server's own."""

    pid: int
    name: str | None = None
    user: str | None = None
    memory_bytes: float | None = None
    cpu_usage: float | None = None
    """Cores in use: 1.0 is one core."""


class Event(Struct, frozen=True, omit_defaults=True):
    """Something that happened at a moment, such as an XID error of a GPU or a mark set by the user."""

    wall: float
    kind: str
    """`xid`, `restart`, `mark`, ..."""
    text: str
    code: int | None = None
    target: str | None = None
    """Id of the source that it happened to; known once the event is in a Snapshot."""


class Missing(Struct, frozen=True):
    """Something that could not be seen in this poll."""

    what: str
    """A quantity, or a thing in words: `processes of GPU 3`."""
    why: str
    consequence: str = ""
    """What cannot be said because of it."""


class Sample(Struct, frozen=True, omit_defaults=True):
    """One poll of one source."""

    source: str
    """Identity of the source, stable over its life: a server's URL, `gpu:<uuid>`, `nvml`, `host`."""
    kind: Source
    wall: float
    """Seconds since the epoch, at the middle of the poll: only to be shown and joined, never to be subtracted."""
    mono: float
    """Seconds of a monotonic clock, at the middle of the poll: for every rate and every window."""
    duration: float = 0.0
    """Seconds that the poll took."""
    state: State = State.OK
    reason: str = ""
    """One clear line where the state is not ok: what, why, what to do."""
    counters: dict[str, float] = field(default_factory=dict)
    """Cumulative values by series name (`metrics.series`)."""
    gauges: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)
    """Cumulative histograms by series name."""
    facts: dict[str, str] = field(default_factory=dict)
    """What is known in words: `engine`, `engine_version`, `model`, `name`, `uuid`, `index`, `simulated`, ..."""
    processes: tuple[Process, ...] = ()
    events: tuple[Event, ...] = ()
    missing: tuple[Missing, ...] = ()
    graded: tuple[Graded, ...] = ()
    """Of a quality source: what was asked and graded since the Sample before."""
