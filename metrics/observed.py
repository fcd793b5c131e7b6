"""What was observed: servers, GPUs, the driver and the host, with every quantity over the window."""

from __future__ import annotations

from msgspec import Struct, field

from metrics.effect import Effect
from metrics.histogram import Quantile
from metrics.sample import Process, State


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
