"""The Snapshot: everything that is known and concluded at one moment, and the only thing that any output reads.

The screen, the report, the JSON, the exit code and the exporter cannot disagree, because they have no other source.
`msgspec.json.encode` of a Snapshot is the public JSON contract; its names are fixed, more may be added. None is "not
known" and never 0: where a number is None, `not_visible` or the field's own `why` says why.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from metrics.histogram import Quantile
from metrics.sample import Event, Process, State

SCHEMA_VERSION = 1


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


class Grade(StrEnum):
    """How well an expected effect is founded."""

    A = "A"
    """Measured: before and after, or side by side."""
    B = "B"
    """A fitted model, within the range that was observed."""
    C = "C"
    """A bound, or an extrapolation."""
    D = "D"
    """In words only."""


class Measure(Struct, frozen=True, eq=False):
    """One quantity of one target over the window. Which fields are filled follows from the kind of the quantity."""

    unit: str
    source: str = "server"
    """`server` (the server's own count) or `probe` (what a client of ours saw): never mixed."""
    rate: float | None = None
    """Counters: increase per second of real elapsed time."""
    increase: float | None = None
    """Counters: how much was added over the window."""
    value: float | None = None
    """Gauges: the newest."""
    mean: float | None = None
    """Gauges: over time. Histograms: exact mean of the observations."""
    max: float | None = None
    """Gauges: the highest that a poll saw."""
    count: float | None = None
    """Histograms: observations in the window."""
    p50: Quantile | None = None
    p90: Quantile | None = None
    p95: Quantile | None = None
    p99: Quantile | None = None
    window_seconds: float | None = None
    """Real time between the two polls that the numbers are the difference of."""
    note: str = ""
    """What is to be known about these numbers, in words: that a rate is not that of the window, and why."""
    by: dict[str, Measure] = field(default_factory=dict)
    """The parts, where the server splits the quantity by a label: `reason=length`, `engine=0`."""
    lo: float | None = None
    """Statistics of a sample: the lower end of the 95 % interval of `value`."""
    hi: float | None = None


class Track(Struct, frozen=True, eq=False):
    """A quantity over time, on a grid of equal steps, for graphs. None is a gap."""

    unit: str
    end: float
    """Seconds since the epoch at the end of the last step; a multiple of `step`, so that columns do not shimmer."""
    step: float
    """Seconds."""
    values: tuple[float | None, ...]
    """One for each step, oldest first."""


class Target(Struct, frozen=True, eq=False):
    """One inference server."""

    id: str
    url: str
    engine: str | None
    """`vllm`, `llamacpp`, ...; None while it is not known what runs there."""
    engine_version: str | None
    model: str | None
    state: State
    reason: str
    """One line where the state is not ok: what, why, what to do."""
    age_seconds: float | None
    """Since the last poll that succeeded."""
    uptime_seconds: float | None
    window_seconds: float | None
    """Real time between the oldest and the newest poll that the quantities below speak of."""
    poll_seconds: float | None
    """How long the last poll took."""
    simulated: bool
    quantities: dict[str, Measure]
    facts: dict[str, str] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    """`ttft_p50`, `ttft_p95`, `ttft_p99`, `itl_p50`, `itl_p95`, `requests_rate`, `output_tokens_rate`,
    `prompt_tokens_rate`, `requests_running`, `requests_waiting`, `kv_cache_usage`."""
    estimates: tuple[Effect, ...] = ()
    """What its windows tell: load, capacity, rate within the ITL objective, headroom (`insight.recommend.known`)."""
    quantile_seconds: float | None = None
    """Each point of a `*_p50`, `*_p95` or `*_p99` track looks back over so many seconds."""
    gpus: tuple[int, ...] | None = None
    """Indices of the GPUs on which a process of it runs; None where none is known to."""


class Gpu(Struct, frozen=True, eq=False):
    """One GPU, or one MIG instance."""

    index: int | None
    uuid: str
    name: str | None
    state: State
    reason: str
    age_seconds: float | None
    simulated: bool
    utilisation: float | None
    memory_used_bytes: float | None
    memory_total_bytes: float | None
    power_watts: float | None
    power_limit_watts: float | None
    energy_joules: float | None
    """Drawn over the window."""
    temperature_celsius: float | None
    memory_temperature_celsius: float | None
    sm_clock_hertz: float | None
    sm_clock_max_hertz: float | None
    throttle_reasons: tuple[str, ...] | None
    """None where the driver does not tell; empty where nothing holds the clocks down."""
    throttled_seconds: float | None
    """How long the clocks have been held down without a break by heat or by the hardware; None when they are not."""
    ecc_uncorrected: float | None
    xids: tuple[int, ...]
    processes: tuple[Process, ...] | None
    gauges: dict[str, float] = field(default_factory=dict)
    """Everything else that the driver gave, by series name."""
    tracks: dict[str, Track] = field(default_factory=dict)
    """`utilisation`, `power_watts`, `sm_clock_hertz`, `temperature_celsius`, `memory_used_bytes`."""


class Driver(Struct, frozen=True, eq=False):
    """The NVML driver as a whole."""

    state: State
    reason: str
    version: str | None
    cuda_version: str | None
    gpu_count: int | None
    age_seconds: float | None


class Host(Struct, frozen=True, eq=False):
    """The machine that this program runs on."""

    name: str | None
    state: State
    reason: str
    quantities: dict[str, Measure]
    facts: dict[str, str] = field(default_factory=dict)


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


class Effect(Struct, frozen=True, eq=False):
    """What a recommendation is expected to bring."""

    quantity: str
    now: float | None
    lo: float | None
    mid: float | None
    hi: float | None
    unit: str
    basis: str
    """`measured`, `model`, `bound`; `unknown` where it cannot be told, and then there is no number."""
    grade: Grade
    assumptions: tuple[str, ...] = ()
    n: float | None = None
    """Windows, requests or samples that it rests on."""
    window_seconds: float | None = None
    """Time over which those were seen."""
    needs: str = ""
    """What would have to be measured, where the basis is `unknown`."""
    valid_if: tuple[str, ...] = ()
    """What has to stay as it is for this to hold, and what would disprove it."""


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
    """`normal`, `heavy`; `even` where the load was but one."""
    why: str
    """What told them apart, or why nothing could."""
    seconds: float
    """Time at this level within the window."""
    in_flight: float | None
    """Requests in the server, on average."""
    quantities: dict[str, Measure] = field(default_factory=dict)


class NotVisible(Struct, frozen=True, eq=False):
    """Something that could not be seen."""

    what: str
    why: str
    consequence: str
    target: str | None = None


class Score(Struct, frozen=True, eq=False):
    """One dimension of the scorecard."""

    score: float | None
    """0 to 100: the share of the objective that was certainly met; None where it cannot be said."""
    text: str
    """What was met or missed, in one line, or why there is no score."""
    objective: str | None = None
    best: float | None = None
    """0 to 100: the share that may have been met, where the buckets of a histogram leave more than one answer."""


class Scorecard(Struct, frozen=True, eq=False):
    """The four dimensions of a served model."""

    throughput: Score
    ttft: Score
    quality: Score
    efficiency: Score


class Objective(Struct, frozen=True, eq=False):
    """A limit that a latency quantile should keep."""

    quantity: str
    q: float
    limit: float
    default: bool
    """True where nobody stated it and the program's own was taken."""


class Verdict(Struct, frozen=True, eq=False):
    """The one sentence at the top."""

    severity: Severity | None
    """None: nothing fires."""
    text: str
    state: str = "quiet"
    """`firing`, `pending` (something is about to fire), `quiet` (watched, and nothing found), `blind` (nothing can be
    told), `young` (watched for too short a time to say that nothing is found)."""


class Tool(Struct, frozen=True, eq=False):
    """What made the Snapshot."""

    name: str
    version: str


class Snapshot(Struct, frozen=True, eq=False):
    """One moment."""

    schema_version: int
    generated_at: str
    """RFC 3339, in UTC."""
    window_seconds: float | None
    """Real time that the numbers speak of: from the oldest to the newest poll within the window that was asked for."""
    tool: Tool
    mode: str
    """`live`, `replay`, `demo`, `report`."""
    simulated: bool
    """True when anything in it comes from the simulator."""
    verdict: Verdict
    objectives: tuple[Objective, ...]
    targets: tuple[Target, ...]
    gpus: tuple[Gpu, ...]
    driver: Driver | None
    host: Host | None
    quality: dict[str, Measure] | None
    """What the answers to questions with known answers say together (`insight.quality.summary`); `count` is the answers
    behind a number, `lo` and `hi` its 95 % interval. None where nobody was asked."""
    scorecard: Scorecard
    risks: tuple[Risk, ...]
    """Worst first."""
    recommendations: tuple[Recommendation, ...]
    not_visible: tuple[NotVisible, ...]
    events: tuple[Event, ...]
    """What happened in the window, oldest first: restarts, XID errors, marks."""
    generated_wall: float
    """`generated_at` as seconds since the epoch."""
    asked_window_seconds: float
    """The window that was asked for."""
    withheld: tuple[Withheld, ...] = ()
    onsets: tuple[Onset, ...] = ()
    """What changed first, oldest first; empty where nothing fires."""
    levels: tuple[LoadLevel, ...] = ()
    track_record: str = ""
    """How often what was foretold before came, in a sentence; empty where nothing was ever held against what came."""
    monitor: dict[str, float] = field(default_factory=dict)
    """What this program itself missed: `polls_missed`, `polls_overrun`. In a replay also where it is: `replay_position`
    and `replay_seconds` from its first Sample, and `replay_ended`, 1 once there is no more."""
