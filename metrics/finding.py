"""Findings: risks with their evidence, what to do about them, what changed first, and what was done at which load."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from metrics.effect import Effect
from metrics.observed import Measure


class Severity(StrEnum):
    """How bad a finding is; the order of definition is the order of rank, worst first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class RiskState(StrEnum):
    """Where a risk stands in its life."""

    PENDING = "pending"
    """Its condition holds, not yet for long enough."""
    FIRING = "firing"
    RESOLVING = "resolving"
    """It fired, its condition no longer holds, not yet for long enough."""
    NOT_OBSERVED = "not_observed"
    UNKNOWN = "unknown"
    """What it needs cannot be seen."""


class Evidence(Struct, frozen=True, eq=False):
    """One number that a finding rests on, traceable to a quantity and a window."""

    quantity: str
    value: float | None
    unit: str
    threshold: float | None = None
    window_seconds: float | None = None
    count: float | None = None
    """Observations behind the value, where it is a statistic."""
    text: str = ""
    """How a sentence says it: `p95 20-40 s`."""
    lo: float | None = None
    hi: float | None = None


class Risk(Struct, frozen=True, eq=False):
    """A finding of one rule about one target, GPU or host."""

    id: str
    """`model_overloading`, `ttft_slo`, ...: fixed names."""
    title: str
    state: RiskState
    severity: Severity
    likelihood: str
    """In words, with its horizon and counts where it is a number."""
    impact: str
    description: str
    mitigation: str
    since: str | None
    """RFC 3339: when the condition began to hold (pending, firing) or ceased to (resolving)."""
    target: str | None
    """Id of the target or `gpu:<uuid>` that it is about."""
    summary: str = ""
    """The shortest sentence that says it, for one line of a screen: `54 waiting for 41 s`."""
    evidence: tuple[Evidence, ...] = ()
    seconds_in_state: float | None = None
    fires_in_seconds: float | None = None
    """Pending: how long until it fires if its condition goes on holding."""
    episodes: tuple[tuple[str, str | None], ...] = ()
    """RFC 3339 begin and end of every firing so far; the end is None for the one that goes on."""


class Change(Struct, frozen=True, eq=False):
    """One setting of the server, in the words of its command line."""

    flag: str
    now: str | None
    """The value in force; None where the server does not tell."""
    proposed: str
    restart: bool
    """It takes a restart of the server."""
    exact: bool = True
    """`proposed` is a value that can be typed; else it is a direction (`lower`) or says what kind of value it is."""


class Recommendation(Struct, frozen=True, eq=False):
    """What to do about a risk, on this server, with its flags."""

    id: str
    title: str
    actions: tuple[str, ...]
    effect: Effect | None
    """None: what it brings was not measured and is not guessed; `because` says what would have to be measured."""
    because: tuple[str, ...]
    risks: tuple[str, ...] = ()
    """Ids of the risks that it answers."""
    target: str | None = None
    changes: tuple[Change, ...] = ()
    cost: str = ""
    """What it takes: hardware, memory, another latency; empty where nothing but the doing."""
    harm: str = ""
    """What may get worse by it."""
    disproved_by: str = ""
    """What would show, after it is done, that it was wrong."""


class Withheld(Struct, frozen=True, eq=False):
    """Advice that would usually be given and is not, and why."""

    id: str
    title: str
    why: str
    target: str | None = None


class Onset(Struct, frozen=True, eq=False):
    """When a quantity first left what it had been, of those that changed around a fault."""

    quantity: str
    at: str
    """RFC 3339."""
    wall: float
    before: float
    after: float
    unit: str
    target: str
    """Id of the target or `gpu:<uuid>` that it is about."""
    within_seconds: float
    """The change began at most so long before `at`: the step of the track, or how far back its points look."""


class LoadLevel(Struct, frozen=True, eq=False):
    """What a server did at one level of load, as far as the data tells levels apart."""

    target: str
    name: str
    """`normal`, `heavy`; `even` where the load was but one, `uneven` where it varied otherwise; `—` where that is not
    known yet."""
    why: str
    """What told them apart, or why nothing could."""
    seconds: float
    """Time at this level within the window."""
    in_flight: float | None
    """Requests in the server, on average."""
    quantities: dict[str, Measure] = field(default_factory=dict)
