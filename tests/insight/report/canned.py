"""Four Snapshots that a report must be able to tell: a good day, an overload, a dead server, the first second."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from metrics.effect import Effect, Grade
from metrics.finding import Change, Evidence, LoadLevel, Onset, Recommendation, Risk, RiskState, Severity, Withheld
from metrics.histogram import Histogram, Quantile
from metrics.measure import describe
from metrics.observed import Driver, Gpu, Host, Measure, Target, Track
from metrics.sample import Event, State
from metrics.snapshot import NotVisible, Objective, Score, Scorecard, Snapshot, Tool, Verdict
from metrics.units import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

WALL = 1_790_000_551.0
URL = "http://127.0.0.1:8000"
SECONDS = 299.2
"""The window that was seen; 300 s were asked for."""
TTFT_BOUNDS = (0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0)
ITL_BOUNDS = (0.01, 0.025, 0.05, 0.075, 0.1)


def observed(bounds: tuple[float, ...], counts: tuple[float, ...], mean: float, unit: str = "s") -> Measure:
    """What a histogram with these counts makes, by the program's own rules."""
    return describe(Histogram(bounds, counts, mean * sum(counts)), unit, SECONDS)


def counter(increase: float, unit: str = "1", **by: float) -> Measure:
    parts = {f"reason={reason}": counter(part, unit) for reason, part in by.items()}
    return Measure(unit, rate=increase / SECONDS, increase=increase, window_seconds=SECONDS, by=parts)


def gauge(value: float, mean: float, peak: float, unit: str = "1") -> Measure:
    return Measure(unit, value=value, mean=mean, max=peak, window_seconds=SECONDS)


STEP = 2.0
POINTS = 150


def track(unit: str, of: Callable[[float], float | None]) -> Track:
    """What a function of the seconds before the report (299 to 0) draws."""
    end = WALL // STEP * STEP
    return Track(unit, end, STEP, tuple(of((POINTS - 1 - index) * STEP) for index in range(POINTS)))


def wave(middle: float, height: float, period: float = 40.0) -> Callable[[float], float | None]:
    return lambda ago: middle + height * math.sin(ago / period)


def rising(before: float, after: float, since: float = 60.0) -> Callable[[float], float | None]:
    """Level until so many seconds ago, then a ramp; nothing was seen for ten seconds, two minutes ago."""

    def value(ago: float) -> float | None:
        if 120 <= ago < 130:
            return None
        return before if ago > since else after - (after - before) * ago / since

    return value


def server_tracks(busy: bool) -> dict[str, Track]:
    curve = rising if busy else lambda before, after: wave(before, (after - before) / 100)
    units = {
        "ttft_p50": "s",
        "ttft_p95": "s",
        "itl_p50": "s",
        "itl_p95": "s",
        "requests_rate": "1/s",
        "output_tokens_rate": "tokens/s",
        "prompt_tokens_rate": "tokens/s",
        "requests_running": "1",
        "requests_waiting": "1",
        "kv_cache_usage": "ratio",
    }
    ends = {
        "ttft_p50": (0.09, 17.8),
        "ttft_p95": (0.22, 38.2),
        "itl_p50": (0.017, 0.036),
        "itl_p95": (0.024, 0.049),
        "requests_rate": (1.4, 1.2),
        "output_tokens_rate": (135.0, 97.0),
        "prompt_tokens_rate": (700.0, 620.0),
        "requests_running": (3.0, 8.0),
        "requests_waiting": (0.0, 54.0),
        "kv_cache_usage": (0.21, 0.96),
    }
    return {name: track(units[name], curve(*ends[name])) for name in units}


def gpu_tracks(index: int, hot: bool = False) -> dict[str, Track]:
    return {
        "sm_clock_hertz": track("Hz", rising(1.98e9, 1.155e9, 41.0) if hot else lambda _: 1.98e9),
        "power_watts": track("W", wave(500.0 + index, 12.0)),
        "temperature_celsius": track("celsius", rising(58.0, 87.0) if hot else wave(58.0 + index, 1.0)),
        "utilisation": track("ratio", wave(0.96, 0.03)),
        "memory_used_bytes": track("bytes", lambda _: 70.3 * 2**30),
    }


def target(quantities: dict[str, Measure]) -> Target:
    return Target(
        id=URL,
        url=URL,
        engine="vllm",
        engine_version="0.32.0",
        model="meta-llama/Llama-3.1-70B-Instruct",
        state=State.OK,
        reason="",
        age_seconds=0.4,
        uptime_seconds=3 * 86_400 + 4 * 3_600,
        window_seconds=SECONDS,
        poll_seconds=0.012,
        simulated=False,
        quantities=quantities,
        facts={"engine": "vllm", "max_num_seqs": "8", "enable_prefix_caching": "True"},
        tracks=server_tracks(busy=False) if quantities else {},
        quantile_seconds=30.0 if quantities else None,
    )


def capacity(arriving: float, capacity: float) -> tuple[Effect, ...]:
    """Load, capacity and headroom of a server that finishes 5 % more or less than `capacity`; of the objective none."""
    lo, hi = 0.95 * capacity, 1.05 * capacity
    assumed, stays = ("a queue stood, 8 requests ran",), ("prompts and outputs stay as they are",)
    least, more, most = (each / arriving - 1.0 for each in (lo, capacity, hi))
    return (
        Effect("load", None, 0.82, None, None, "ratio", "bound", Grade.C, n=71, window_seconds=213.0),
        Effect(
            "requests_finished",
            capacity,
            lo,
            capacity,
            hi,
            "1/s",
            "measured",
            Grade.A,
            assumed,
            84,
            69.0,
            valid_if=stays,
            name="capacity",
        ),
        Effect(
            "requests_finished",
            None,
            None,
            None,
            None,
            "1/s",
            "unknown",
            Grade.D,
            needs="steps of more sizes",
            name="rate with mean ITL at limit",
        ),
        Effect("headroom", more, least, more, most, "ratio", "measured", Grade.A, assumed, 84, 69.0, valid_if=stays),
    )


def gpu(index: int) -> Gpu:
    return Gpu(
        index=index,
        uuid=f"GPU-{index:08x}",
        name="NVIDIA H100 80GB HBM3",
        state=State.OK,
        reason="",
        age_seconds=0.6,
        simulated=False,
        utilisation=0.96 + index / 400,
        memory_used_bytes=70.3 * 2**30,
        memory_total_bytes=79.6 * 2**30,
        power_watts=508.0 + index,
        power_limit_watts=700.0,
        energy_joules=152_000.0,
        temperature_celsius=58.0 + index,
        memory_temperature_celsius=70.0,
        sm_clock_hertz=1.98e9,
        sm_clock_max_hertz=1.98e9,
        throttle_reasons=(),
        throttled_seconds=None,
        ecc_uncorrected=0.0,
        xids=(),
        processes=(),
        tracks=gpu_tracks(index),
    )


def host() -> Host:
    disk = {
        "mount=/": Measure("bytes", value=180 * 2**30, mean=180 * 2**30, max=180 * 2**30, window_seconds=SECONDS),
        "mount=/models": Measure("bytes", value=1.4 * 2**40, mean=1.4 * 2**40, max=1.4 * 2**40, window_seconds=SECONDS),
    }
    return Host(
        name="gpu-host-7",
        state=State.OK,
        reason="",
        quantities={
            "cpu_usage": gauge(0.34, 0.31, 0.52, "ratio"),
            "load1": gauge(12.3, 11.8, 14.0),
            "host_memory_used_bytes": gauge(210 * 2**30, 209 * 2**30, 211 * 2**30, "bytes"),
            "host_memory_total_bytes": gauge(1007 * 2**30, 1007 * 2**30, 1007 * 2**30, "bytes"),
            "pressure_cpu": gauge(0.004, 0.003, 0.021, "ratio"),
            "disk_used_bytes": Measure("bytes", by=disk),
            "network_rx_bytes": counter(3.6e8, "bytes"),
        },
        facts={"kernel": "6.8.0", "cpu": "Xeon 8480C"},
    )


def absent(name: str, title: str) -> Risk:
    return Risk(
        id=name,
        title=title,
        state=RiskState.NOT_OBSERVED,
        severity=Severity.INFO,
        likelihood="not observed in 2 h 10 min (at most 1.4/h)",
        impact="high: every request is slower",
        description="Not observed in 2 h 10 min.",
        mitigation="Watch it; nothing to do.",
        since=None,
        target=None,
    )


def untold(name: str, title: str, why: str) -> Risk:
    return replace(
        absent(name, title),
        state=RiskState.UNKNOWN,
        likelihood="unknown",
        description=f"Cannot be told: {why}.",
        summary=why,
    )


LEVELS_WHY = (
    "up to 8 requests in the server are normal, above is heavy: the cut explains 93.1 % of how 29 spells of 10 s differ"
)
NO_QUALITY = Score(None, "not measured: no quality file was given (--quality FILE)")


def healthy() -> Snapshot:
    """A vLLM on eight GPUs; all objectives are met and nothing fires."""
    quantities = {
        "ttft_seconds": observed(TTFT_BOUNDS, (212, 170, 24, 3, 1, 0, 0, 0, 0, 0, 0), 0.118),
        "itl_seconds": observed(ITL_BOUNDS, (2_100, 36_400, 1_900, 20, 0, 0), 0.0173),
        "e2e_seconds": observed((1.0, 2.0, 5.0, 10.0), (40, 260, 100, 10, 0), 1.81),
        "queue_seconds": observed((0.3, 0.5, 1.0), (408, 2, 0, 0), 0.004),
        "prompt_tokens": observed((200, 500, 1_000, 2_000), (90, 180, 110, 30, 0), 512.0, "tokens"),
        "requests_finished": counter(410, abort=0, length=31, stop=379),
        "output_tokens_total": counter(40_400, "tokens"),
        "prompt_tokens_total": counter(210_000, "tokens"),
        "prompt_tokens_cached": counter(121_000, "tokens"),
        "preemptions": counter(0),
        "requests_running": gauge(3, 2.4, 7),
        "requests_waiting": gauge(0, 0.02, 1),
        "kv_cache_usage": gauge(0.213, 0.2, 0.31, "ratio"),
    }
    return Snapshot(
        schema_version=1,
        generated_at=rfc3339(WALL),
        window_seconds=SECONDS,
        tool=Tool("chimera-top", "0.1.0"),
        mode="live",
        simulated=False,
        verdict=Verdict(None, "no risk found in 4 min 59 s"),
        objectives=(
            Objective("ttft_seconds", 0.95, 2.0, default=True),
            Objective("itl_seconds", 0.95, 0.05, default=False),
        ),
        targets=(target(quantities),),
        gpus=tuple(map(gpu, range(8))),
        driver=Driver(State.OK, "", "580.82.07", "13.0", 8, 0.6),
        host=host(),
        quality=None,
        scorecard=Scorecard(
            throughput=Score(96.4, "135 output tokens/s, no request waited for more than 1 s"),
            ttft=Score(100.0, "95 % of first tokens came within 2 s", "TTFT p95 <= 2 s"),
            quality=NO_QUALITY,
            efficiency=Score(None, "no reference for this model on these GPUs"),
        ),
        risks=(
            absent("model_overloading", "Model overloading"),
            absent("cache_saturation", "Cache saturation"),
            untold("quality_regression", "Quality regression", "no quality file was given"),
        ),
        recommendations=(),
        not_visible=(
            NotVisible("processes of GPU 0", "no permission", "who else uses the GPU cannot be said; run as root"),
        ),
        events=(Event(WALL - 200, "mark", "rolled out prompt v2"),),
        generated_wall=WALL,
        asked_window_seconds=300.0,
        monitor={"polls_missed": 0.0, "polls_overrun": 1.0},
    )


def overloaded() -> Snapshot:
    """The same server with more requests than it can finish, and GPU 1 too hot."""
    base = healthy()
    quantities = {
        **base.targets[0].quantities,
        "ttft_seconds": observed(TTFT_BOUNDS, (4, 6, 10, 11, 14, 24, 30, 60, 110, 80, 11), 19.4),
        "itl_seconds": observed(ITL_BOUNDS, (0, 3_100, 24_000, 1_900, 0, 0), 0.0369),
        "e2e_seconds": observed((1.0, 2.0, 5.0, 10.0, 20.0, 40.0), (0, 2, 14, 60, 120, 110, 54), 26.2),
        "queue_seconds": observed((0.3, 0.5, 1.0, 5.0, 10.0, 20.0, 40.0), (9, 8, 13, 55, 70, 110, 84, 11), 18.9),
        "requests_finished": counter(359, length=30, stop=329),
        "output_tokens_total": counter(29_000, "tokens"),
        "preemptions": counter(30),
        "requests_running": gauge(8, 7.9, 8),
        "requests_waiting": gauge(54, 21.3, 54),
        "kv_cache_usage": gauge(0.961, 0.81, 0.99, "ratio"),
    }
    hot = replace(
        base.gpus[1],
        temperature_celsius=87.0,
        sm_clock_hertz=1.155e9,
        throttle_reasons=("hw_thermal",),
        throttled_seconds=41.0,
        xids=(63,),
        tracks=gpu_tracks(1, hot=True),
    )
    overloading = Risk(
        id="model_overloading",
        title="Model overloading",
        state=RiskState.FIRING,
        severity=Severity.CRITICAL,
        likelihood="certain (active)",
        impact="high: every request waits",
        description="54 requests wait while all 8 slots are in use; 1.2/s finish and 2.1/s arrive.",
        mitigation="Cap the queue, add a replica, or shed load at the gateway.",
        since=rfc3339(WALL - 41),
        target=URL,
        summary="54 waiting for 41 s",
        evidence=(
            Evidence("requests_waiting", 54, "1", 5, 60.0, text="54 waiting"),
            Evidence("requests_finished", 1.2, "1/s", None, 60.0, text="1.2 finished of 2.1 arriving"),
            Evidence("ttft_p95", 33.2, "s", 2.0, 60.0, 72, "p95 20-40 s", 20.0, 40.0),
        ),
        seconds_in_state=41.0,
        episodes=((rfc3339(WALL - 3_700), rfc3339(WALL - 3_400)), (rfc3339(WALL - 41), None)),
    )
    throttled = Risk(
        id="thermal_throttle",
        title="Thermal throttling",
        state=RiskState.FIRING,
        severity=Severity.WARNING,
        likelihood="certain (active)",
        impact="medium: the other GPUs wait for it",
        description="GPU 1 runs at 1155 MHz of 1980 MHz for heat.",
        mitigation="Check fans and airflow.",
        since=rfc3339(WALL - 41),
        target="gpu:GPU-00000001",
        summary="1155 of 1980 MHz",
        evidence=(Evidence("sm_clock_hertz", 1.155e9, "Hz", 1.782e9, 41.0),),
        seconds_in_state=41.0,
    )
    saturating = Risk(
        id="cache_saturation",
        title="Cache saturation",
        state=RiskState.PENDING,
        severity=Severity.WARNING,
        likelihood="possible (pending)",
        impact="high: running requests are pushed back and begin again",
        description="The KV cache is 96.1 % full and requests were preempted.",
        mitigation="Lower --max-num-seqs or raise --gpu-memory-utilization.",
        since=rfc3339(WALL - 40),
        target=URL,
        summary="96.1 % for 40 s",
        evidence=(Evidence("kv_cache_usage", 0.961, "ratio", 0.95, 40.0),),
        seconds_in_state=40.0,
        fires_in_seconds=20.0,
    )
    return replace(
        base,
        verdict=Verdict(Severity.CRITICAL, "model overloading: 54 waiting for 41 s (+1 more)"),
        targets=(replace(target(quantities), tracks=server_tracks(busy=True), estimates=capacity(2.1, 1.2)),),
        gpus=(base.gpus[0], hot),
        driver=Driver(State.OK, "", "580.82.07", "13.0", 2, 0.6),
        scorecard=Scorecard(
            throughput=Score(51.0, "97 of 190 output tokens/s that this server did before"),
            ttft=Score(12.3, "12.3 % of first tokens came within 2 s", "TTFT p95 <= 2 s"),
            quality=NO_QUALITY,
            efficiency=Score(74.0, "74 % of the output tokens per joule at full batches"),
        ),
        risks=(overloading, throttled, saturating, base.risks[2], absent("stuck_server", "Stuck server")),
        recommendations=(
            Recommendation(
                id="cap_queue",
                title="Cap the queue at 9 requests, or add one replica",
                actions=("Refuse at the gateway from 9 waiting on", "Or start a second replica behind a balancer"),
                effect=Effect(
                    quantity="ttft_p95",
                    now=33.2,
                    lo=0.5,
                    mid=0.7,
                    hi=1.1,
                    unit="s",
                    basis="model",
                    grade=Grade.B,
                    assumptions=("arrivals stay at 2.1/s",),
                    n=118,
                    window_seconds=290.0,
                    valid_if=("prompts stay as long as they are",),
                ),
                because=("2.1/s arrive and 1.2/s finish",),
                risks=("model_overloading",),
                target=URL,
                changes=(
                    Change("--max-num-queued-reqs", None, "17", restart=True),
                    Change("--max-num-seqs", "8", "12", restart=True),
                ),
                cost="a restart, 90 s in this deployment",
                harm="what comes above the cap is refused with 503",
                disproved_by="TTFT p95 above 1.1 s while fewer than 17 are in flight",
            ),
            Recommendation(
                id="cool",
                title="Cool GPU 1",
                actions=("Check fans and airflow",),
                effect=None,
                because=("the step time of this model was never seen at full clocks in this window",),
                risks=("thermal_throttle",),
                target="gpu:GPU-00000001",
            ),
        ),
        events=(*base.events, Event(WALL - 41, "xid", "GPU 1: XID 63", 63)),
        withheld=(
            Withheld(
                "prefix_cache", "Turn on prefix caching", "it is on: 57.6 % of the prompt tokens came from it", URL
            ),
        ),
        onsets=(
            Onset("kv_cache_usage", rfc3339(WALL - 58), WALL - 58, 0.21, 0.43, "ratio", URL, 2.0),
            Onset("requests_waiting", rfc3339(WALL - 52), WALL - 52, 0.0, 12.0, "1", URL, 2.0),
            Onset("sm_clock_hertz", rfc3339(WALL - 40), WALL - 40, 1.98e9, 1.155e9, "Hz", "gpu:GPU-00000001", 2.0),
            Onset("ttft_p95", rfc3339(WALL - 36), WALL - 36, 0.22, 15.3, "s", URL, 30.0),
        ),
        levels=(
            LoadLevel(URL, "normal", LEVELS_WHY, 240.0, 3.0, base.targets[0].quantities),
            LoadLevel(URL, "heavy", LEVELS_WHY, 50.0, 34.5, quantities),
        ),
    )


def server_down() -> Snapshot:
    """A server that refuses connections, on a host without a GPU."""
    base = healthy()
    reason = "connection refused at 127.0.0.1:8000: nothing listens there; start the server or name its address"
    down = replace(
        target({}),
        engine=None,
        engine_version=None,
        model=None,
        state=State.DOWN,
        reason=reason,
        age_seconds=None,
        uptime_seconds=None,
        window_seconds=None,
        poll_seconds=0.001,
        facts={},
    )
    unreachable = Risk(
        id="server_unreachable",
        title="Server unreachable",
        state=RiskState.FIRING,
        severity=Severity.CRITICAL,
        likelihood="certain (active)",
        impact="high: no request is served",
        description=f"3 polls failed: {reason}.",
        mitigation="See the server's log; restart it.",
        since=rfc3339(WALL - 12),
        target=URL,
        summary="silent for 12 s: connection refused",
        evidence=(Evidence("polls_failed", 3, "1", 3, text="3 failed polls"),),
        seconds_in_state=12.0,
        episodes=((rfc3339(WALL - 12), None),),
    )
    none = Score(None, "not measured: no server answered")
    return replace(
        base,
        verdict=Verdict(Severity.CRITICAL, "server unreachable: silent for 12 s: connection refused"),
        targets=(down,),
        gpus=(),
        driver=Driver(
            State.DOWN, "libnvidia-ml.so.1 is not there: no NVIDIA driver is installed", None, None, None, None
        ),
        scorecard=Scorecard(none, none, NO_QUALITY, none),
        risks=(unreachable, untold("model_overloading", "Model overloading", "the server does not answer")),
        not_visible=(
            NotVisible("metrics", "connection refused", "nothing can be said of its requests", URL),
            NotVisible("GPUs", "no NVIDIA driver is installed", "heat, memory and errors cannot be said"),
        ),
        events=(),
    )


def nothing_yet() -> Snapshot:
    """The first second of a replay of the simulator: one server that has not answered, no window."""
    base = server_down()
    none = Score(None, "not measured yet")
    return replace(
        base,
        window_seconds=None,
        mode="replay",
        simulated=True,
        verdict=Verdict(None, f"waiting for the first answer of {URL}", "blind"),
        objectives=(),
        targets=(replace(base.targets[0], state=State.STARTING, reason="it answers 503: not ready", simulated=True),),
        driver=None,
        host=None,
        scorecard=Scorecard(none, none, none, none),
        risks=(),
        recommendations=(),
        not_visible=(),
        events=(),
        monitor={},
    )


SNAPSHOTS = {
    "healthy": healthy,
    "overloaded": overloaded,
    "server_down": server_down,
    "nothing_yet": nothing_yet,
}
OPEN_ENDED = Quantile(None, 160.0, None)
