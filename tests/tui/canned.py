"""Snapshots made by hand, with round numbers: an overload, a quiet hour, a server that is not there."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from metrics.effect import Effect, Grade
from metrics.finding import Change, Evidence, LoadLevel, Onset, Recommendation, Risk, RiskState, Severity, Withheld
from metrics.histogram import Quantile
from metrics.observed import Driver, Gpu, Host, Measure, Target, Track
from metrics.sample import Event, Process, State
from metrics.snapshot import NotVisible, Objective, Score, Scorecard, SinceMark, Snapshot, Tool, Verdict
from metrics.units import rfc3339

WALL = 1_763_647_351.0
"""2025-11-20 14:02:31 UTC."""
STEPS = 300


def track(unit: str, values: list[float | None], *, step: float = 1.0, wall: float = WALL) -> Track:
    return Track(unit, math.floor(wall / step) * step, step, tuple(values))


def ramp(low: float, high: float, *, begin: int = 150, wobble: float = 0.03) -> list[float | None]:
    """Low, then from `begin` on rising to `high`; a gap of ten steps, as a missed poll leaves it."""
    values: list[float | None] = []
    for i in range(STEPS):
        share = 0.0 if i < begin else 1 - math.exp(-(i - begin) / 50)
        level = low + (high - low) * share
        values.append(level * (1 + wobble * math.sin(i / 7) + wobble * math.sin(i / 3.1)))
    values[80:90] = [None] * 10
    return values


def histogram(p50: float, p95: tuple[float, float | None], p99: tuple[float, float | None], mean: float) -> Measure:
    lo, hi = p95
    return Measure(
        unit="s",
        count=412.0,
        mean=mean,
        p50=Quantile(p50, p50 * 0.8, p50 * 1.2),
        p90=Quantile(p50 * 1.4, p50, p50 * 2),
        p95=Quantile(None if hi is None else (lo + hi) / 2, lo, hi),
        p99=Quantile(None if p99[1] is None else (p99[0] + p99[1]) / 2, *p99),
        window_seconds=300.0,
    )


def counter(rate: float, unit: str = "1") -> Measure:
    return Measure(unit=unit, rate=rate, increase=rate * 300, window_seconds=300.0)


def gauge(value: float, unit: str = "1", mean: float | None = None, most: float | None = None) -> Measure:
    return Measure(unit=unit, value=value, mean=value if mean is None else mean, max=value if most is None else most)


def estimate(quantity: str, interval: tuple[float, float, float], unit: str, basis: str, grade: Grade) -> Effect:
    lo, mid, hi = interval
    seen = ("prompts and outputs stay as they are",)
    return Effect(quantity, mid, lo, mid, hi, unit, basis, grade, n=898.0, window_seconds=48.0, valid_if=seen)


def unknown(quantity: str, unit: str, needs: str) -> Effect:
    return Effect(quantity, None, None, None, None, unit, "unknown", Grade.D, needs=needs)


def saturated() -> tuple[Effect, ...]:
    """What is estimated of a server with a queue: its capacity is measured, its load is not known."""
    return _named(
        unknown("load", "ratio", "traffic in 15 more windows of 3 s"),
        estimate("requests_finished", (1.18, 1.2, 1.22), "1/s", "measured", Grade.A),
        unknown("requests_finished", "1/s", "traffic in 15 more windows of 3 s"),
        estimate("headroom", (-0.44, -0.43, -0.42), "ratio", "measured", Grade.A),
    )


def with_room() -> tuple[Effect, ...]:
    """What is estimated of a server at 42 % of load, from the step times of the engine."""
    return _named(
        estimate("load", (0.3738, 0.4157, 0.4575), "ratio", "model", Grade.B),
        estimate("requests_finished", (16.09, 20.11, 24.13), "1/s", "model", Grade.C),
        Effect("requests_finished", 11.9, 21.9, None, None, "1/s", "bound", Grade.C, ("mean ITL of at most 50 ms",)),
        estimate("headroom", (0.3518, 0.6898, 1.0279), "ratio", "model", Grade.C),
    )


def _named(load: Effect, capacity: Effect, within: Effect, headroom: Effect) -> tuple[Effect, ...]:
    names = {"load": load, "capacity": capacity, "rate with mean ITL at limit": within, "headroom": headroom}
    return tuple(msgspec.structs.replace(each, name=name) for name, each in names.items())


def overloaded_target(wall: float = WALL, **changes: Any) -> Target:
    def on(unit: str, values: list[float | None]) -> Track:
        return track(unit, values, wall=wall)

    target = Target(
        id="http://127.0.0.1:8000",
        url="http://127.0.0.1:8000",
        engine="vllm",
        engine_version="0.32.0",
        model="llama-3-70b",
        state=State.OK,
        reason="",
        age_seconds=0.4,
        uptime_seconds=3 * 86_400 + 4 * 3600,
        window_seconds=300.0,
        poll_seconds=0.012,
        simulated=False,
        quantities={
            "ttft_seconds": histogram(18.2, (20.0, 40.0), (40.0, 80.0), 19.4),
            "itl_seconds": histogram(0.031, (0.025, 0.05), (0.05, 0.075), 0.032),
            "tpot_seconds": histogram(0.034, (0.025, 0.05), (0.05, 0.075), 0.033),
            "e2e_seconds": histogram(24.0, (30.0, 40.0), (60.0, None), 26.0),
            "queue_seconds": histogram(17.6, (20.0, 30.0), (30.0, 40.0), 18.9),
            "prefill_seconds": histogram(0.38, (0.5, 0.8), (0.8, 1.0), 0.41),
            "prompt_tokens": Measure(unit="tokens", count=412.0, mean=812.0),
            "output_tokens": Measure(unit="tokens", count=398.0, mean=80.8),
            "requests_finished": counter(1.2),
            "requests_failed": counter(0.0),
            "requests_rejected": counter(0.0),
            "http_requests": counter(1.2),
            "prompt_tokens_total": counter(974.0, "tokens"),
            "prompt_tokens_cached": counter(117.0, "tokens"),
            "output_tokens_total": counter(97.0, "tokens"),
            "preemptions": counter(0.1),
            "requests_running": gauge(6.0, mean=5.8, most=8.0),
            "requests_waiting": gauge(54.0, mean=21.0, most=54.0),
            "kv_cache_usage": gauge(0.96, "ratio", 0.81, 0.99),
            "max_running_requests": gauge(8.0),
            "max_model_len": gauge(8192.0, "tokens"),
        },
        facts={"max_num_seqs": "8", "gpu_memory_utilization": "0.90"},
        tracks={
            "ttft_p50": on("s", ramp(0.2, 18.2)),
            "ttft_p95": on("s", ramp(0.5, 33.0)),
            "ttft_p99": on("s", ramp(0.7, 38.0, begin=140)),
            "itl_p50": on("s", ramp(0.021, 0.031)),
            "itl_p95": on("s", ramp(0.028, 0.041)),
            "requests_rate": on("1", ramp(2.1, 1.2, wobble=0.1)),
            "output_tokens_rate": on("tokens", ramp(118.0, 97.0, wobble=0.06)),
            "prompt_tokens_rate": on("tokens", ramp(1400.0, 974.0, wobble=0.1)),
            "requests_running": on("1", ramp(4.0, 6.0)),
            "requests_waiting": on("1", ramp(0.0, 54.0)),
            "kv_cache_usage": on("ratio", ramp(0.6, 0.96)),
        },
        quantile_seconds=60.0,
        estimates=saturated(),
    )
    return msgspec.structs.replace(target, **changes)


def gpu(index: int, *, throttled: float | None = None, wall: float = WALL, **changes: Any) -> Gpu:
    hot = throttled is not None
    one = Gpu(
        index=index,
        uuid=f"GPU-{index:08x}-aaaa-bbbb-cccc-000000000000",
        name="NVIDIA H100 80GB HBM3",
        state=State.OK,
        reason="",
        age_seconds=0.6,
        simulated=False,
        utilisation=0.97 + (index % 3) * 0.01,
        memory_used_bytes=70.1 * 2**30,
        memory_total_bytes=80.0 * 2**30,
        power_watts=508.0 + index,
        power_limit_watts=700.0,
        energy_joules=152_000.0,
        temperature_celsius=87.0 if hot else 61.0 + index % 4,
        memory_temperature_celsius=70.0,
        sm_clock_hertz=1.155e9 if hot else 1.98e9,
        sm_clock_max_hertz=1.98e9,
        throttle_reasons=(
            "hw_thermal",
            "hw_slowdown",
        )
        if hot
        else (),
        throttled_seconds=throttled,
        ecc_uncorrected=0.0,
        xids=(),
        processes=(Process(4242, "vllm", "serve", 70.0 * 2**30),),
        gauges={"pcie_generation": 5.0, "pcie_width": 16.0, "nvlink_links_active": 18.0},
        tracks={
            "utilisation": track("ratio", ramp(0.7, 0.98), wall=wall),
            "power_watts": track("W", ramp(420.0, 512.0), wall=wall),
            "sm_clock_hertz": track("Hz", ramp(1.98e9, 1.155e9 if hot else 1.98e9, begin=260, wobble=0.0), wall=wall),
            "temperature_celsius": track("celsius", ramp(58.0, 87.0 if hot else 61.0), wall=wall),
        },
    )
    return msgspec.structs.replace(one, **changes)


def overloading(wall: float = WALL) -> Risk:
    return Risk(
        id="model_overloading",
        title="model overloading",
        state=RiskState.FIRING,
        severity=Severity.CRITICAL,
        likelihood="certain",
        impact="high",
        description="More requests arrive than the server finishes: 2.1 requests/s came and 1.2 were finished, "
        "so the queue grew from 0 to 54 and every new request waits for the ones before it.",
        mitigation="Cap the queue, or add a replica; until then shed load at the gateway.",
        since=rfc3339(wall - 41),
        target="http://127.0.0.1:8000",
        summary="54 waiting, 1.2 of 2.1 req/s",
        evidence=(
            Evidence("requests_waiting", 54.0, "1", 8.0, 60.0, text="54 waiting, more than the 8 that may run"),
            Evidence("ttft_seconds", 33.0, "s", 0.8, 60.0, 72.0, "TTFT p95 20-40 s, objective 0.8 s", 20.0, 40.0),
            Evidence("requests_finished", 1.2, "1", 2.1, 60.0, 72.0, "1.2 finished of 2.1 arriving requests/s"),
        ),
        seconds_in_state=41.0,
        episodes=((rfc3339(wall - 41), None),),
    )


def throttling(wall: float = WALL) -> Risk:
    return Risk(
        id="thermal_throttle",
        title="thermal throttle",
        state=RiskState.FIRING,
        severity=Severity.WARNING,
        likelihood="certain",
        impact="medium",
        description="GPU 1 runs at 1155 MHz of 1980 MHz because it is too hot; the other ranks wait for it.",
        mitigation="Check fans, airflow and the neighbours of GPU 1.",
        since=rfc3339(wall - 41),
        target="gpu:GPU-00000001-aaaa-bbbb-cccc-000000000000",
        summary="GPU 1, clock -42 %",
        evidence=(Evidence("sm_clock_hertz", 1.155e9, "Hz", 1.782e9, 41.0),),
        seconds_in_state=41.0,
    )


def saturation(wall: float = WALL) -> Risk:
    return Risk(
        id="kv_cache_saturation",
        title="cache saturation",
        state=RiskState.PENDING,
        severity=Severity.WARNING,
        likelihood="high",
        impact="high",
        description="The KV cache is nearly full, so that running requests will be pushed back to the queue.",
        mitigation="Lower max_num_seqs, or give the cache more memory.",
        since=rfc3339(wall - 40),
        target="http://127.0.0.1:8000",
        summary="96 % for 40 s, fires in 20 s",
        evidence=(Evidence("kv_cache_usage", 0.96, "ratio", 0.95, 40.0),),
        seconds_in_state=40.0,
        fires_in_seconds=20.0,
    )


def quiet_risks() -> tuple[Risk, ...]:
    return tuple(
        Risk(f"quiet_{i}", f"quiet rule {i}", state, Severity.WARNING, "-", "low", "", "", None, None)
        for i, state in enumerate([RiskState.NOT_OBSERVED] * 9 + [RiskState.UNKNOWN] * 2)
    )


def cap_the_queue() -> Recommendation:
    return Recommendation(
        id="cap_queue",
        title="Cap the queue",
        actions=(
            "--max-num-queued-reqs 9: what comes above it gets 503 (now: not told by the server; takes a restart)",
            "clients back off: what is refused is sent again later, and not at once",
            CHECK,
        ),
        effect=Effect(
            "ttft_seconds", 33.0, 0.5, 0.7, 1.0, "s", "model", Grade.B, ("arrivals stay at 2.1/s",), 71.0, 213.0
        ),
        because=("54 wait and 8 run", "each of them takes 6.7 s"),
        risks=("model_overloading",),
        target="http://127.0.0.1:8000",
        changes=(Change("--max-num-queued-reqs", None, "9", restart=True),),
        cost="what comes above the capacity is refused",
        harm="clients that send again at once make the load larger",
        disproved_by="requests that are let in still wait longer than the cap allows",
    )


def more_slots() -> Recommendation:
    return Recommendation(
        id="raise_slots",
        title="Let more requests run at once",
        actions=("--max-num-seqs 16 (now 8; takes a restart)", CHECK),
        effect=unknown("requests_finished", "1/s", "traffic in 15 more windows of 3 s"),
        because=("each of them takes 6.7 s", "8 slots, all taken"),
        risks=("model_overloading",),
        target="http://127.0.0.1:8000",
        changes=(Change("--max-num-seqs", "8", "16", restart=True),),
        cost="a longer ITL",
    )


CHECK = "check the flags against --help of this version"


def first_changes(wall: float = WALL) -> tuple[Onset, ...]:
    """What changed around the fault: the cache, the clocks of two GPUs at once, the queue, TTFT within a minute."""

    def at(ago: float, quantity: str, before: float, after: float, unit: str, within: float = 2.0) -> Onset:
        return Onset(quantity, rfc3339(wall - ago), wall - ago, before, after, unit, "http://127.0.0.1:8000", within)

    slower = at(41.0, "sm_clock_hertz", 1.98e9, 1.155e9, "Hz")
    return (
        at(61.0, "kv_cache_usage", 0.6, 0.96, "ratio"),
        *(
            msgspec.structs.replace(slower, target=f"gpu:GPU-{index:08x}-aaaa-bbbb-cccc-000000000000")
            for index in (0, 1)
        ),
        at(41.0, "requests_waiting", 0.0, 54.0, "1"),
        at(11.0, "ttft_p95", 0.5, 33.0, "s", 60.0),
    )


def two_levels() -> tuple[LoadLevel, ...]:
    """A server that had little and then much to do."""
    why = "up to 12 requests in the server are normal, above is heavy: the cut explains 91 % of how 30 spells differ"
    quantities = {"requests_finished": counter(1.2), "ttft_seconds": histogram(0.2, (0.25, 0.5), (0.5, 0.75), 0.24)}
    return tuple(
        LoadLevel("http://127.0.0.1:8000", name, why, seconds, in_flight, quantities)
        for name, seconds, in_flight in (("normal", 180.0, 4.1), ("heavy", 120.0, 38.0))
    )


def host() -> Host:
    return Host(
        name="gpu-host-7",
        state=State.OK,
        reason="",
        quantities={
            "cpu_usage": gauge(0.34, "ratio"),
            "cpu_count": gauge(64.0),
            "load1": gauge(12.3),
            "host_memory_used_bytes": gauge(210.0 * 2**30, "bytes"),
            "host_memory_total_bytes": gauge(512.0 * 2**30, "bytes"),
            "swap_used_bytes": gauge(0.0, "bytes"),
            "swap_total_bytes": gauge(8.0 * 2**30, "bytes"),
            "pressure_cpu": gauge(0.02, "ratio"),
            "pressure_memory": gauge(0.0, "ratio"),
            "pressure_io": gauge(0.004, "ratio"),
            "network_rx_bytes": counter(1.2e6, "bytes"),
            "network_tx_bytes": counter(3.4e6, "bytes"),
        },
    )


def overloaded(count: int = 2, wall: float = WALL, **changes: Any) -> Snapshot:
    """An overload: the queue grows, TTFT misses its objective, GPU 1 is too hot."""
    snapshot = Snapshot(
        schema_version=1,
        generated_at=rfc3339(wall),
        window_seconds=300.0,
        tool=Tool("chimera-top", "0.1.0"),
        mode="live",
        simulated=False,
        verdict=Verdict(Severity.CRITICAL, "model overloading: 54 waiting for 41 s, TTFT p95 20-40 s of 0.8 s"),
        objectives=(
            Objective("ttft_seconds", 0.95, 0.8, default=False),
            Objective("itl_seconds", 0.95, 0.05, default=True),
        ),
        targets=(overloaded_target(wall),),
        gpus=tuple(gpu(i, throttled=41.0 if i == 1 else None, wall=wall) for i in range(count)),
        driver=Driver(State.OK, "", "580.82.07", "13.0", count, 0.6),
        host=host(),
        quality=None,
        scorecard=Scorecard(
            throughput=Score(51.0, "97 of 190 output tokens/s that this server did before", "190 tokens/s"),
            ttft=Score(12.0, "12 % of the requests had their first token within 0.8 s", "p95 <= 0.8 s"),
            quality=Score(None, "no quality file was given (--quality FILE)"),
            efficiency=Score(74.0, "0.095 tokens/J of 0.128 at full batches", None),
        ),
        risks=(overloading(wall), throttling(wall), saturation(wall), *quiet_risks()),
        recommendations=(cap_the_queue(), more_slots()),
        withheld=(
            Withheld("scale_in", "Use fewer replicas", "requests wait", "http://127.0.0.1:8000"),
            Withheld("cool", "Cool the GPU", "already so", "gpu:GPU-00000000-aaaa-bbbb-cccc-000000000000"),
        ),
        onsets=first_changes(wall),
        levels=two_levels(),
        not_visible=(
            NotVisible("GPU processes", "no permission", "who else uses the GPUs cannot be said"),
            NotVisible("host swap", "not mounted", "memory pressure is judged without it"),
        ),
        events=(
            Event(wall - 200, "mark", "deployed v2"),
            Event(wall - 41, "throttle", "GPU 1: hardware thermal slowdown"),
        ),
        generated_wall=wall,
        asked_window_seconds=300.0,
    )
    return msgspec.structs.replace(snapshot, **changes)


def healthy(count: int = 2, wall: float = WALL) -> Snapshot:
    """A quiet hour: everything within its objective, nothing fires."""
    base = overloaded_target(wall)
    target = msgspec.structs.replace(
        base,
        quantities={
            **base.quantities,
            "ttft_seconds": histogram(0.21, (0.25, 0.5), (0.5, 0.75), 0.24),
            "queue_seconds": histogram(0.004, (0.005, 0.01), (0.01, 0.02), 0.005),
            "prefill_seconds": histogram(0.19, (0.2, 0.3), (0.3, 0.5), 0.2),
            "requests_waiting": gauge(0.0, mean=0.1, most=1.0),
            "kv_cache_usage": gauge(0.41, "ratio", 0.4, 0.45),
            "preemptions": counter(0.0),
        },
        tracks={
            **base.tracks,
            "ttft_p50": track("s", ramp(0.2, 0.21), wall=wall),
            "ttft_p95": track("s", ramp(0.4, 0.45), wall=wall),
            "ttft_p99": track("s", ramp(0.6, 0.62), wall=wall),
            "requests_waiting": track("1", [0.0] * STEPS, wall=wall),
        },
        estimates=with_room(),
    )
    return overloaded(
        count,
        wall,
        targets=(target,),
        gpus=tuple(gpu(i, wall=wall) for i in range(count)),
        verdict=Verdict(None, "no risk found in 5 min"),
        risks=quiet_risks(),
        recommendations=(),
        withheld=(),
        onsets=(),
        levels=(),
        scorecard=Scorecard(
            throughput=Score(98.0, ""), ttft=Score(100.0, ""), quality=Score(None, ""), efficiency=Score(81.0, "")
        ),
        events=(),
    )


def since(**changes: Any) -> SinceMark:
    """A mark that helped, with an effect that was foretold."""
    before, after = histogram(1.2, (1.0, 2.5), (2.5, 5.0), 1.4), histogram(0.6, (0.5, 1.0), (1.0, 2.5), 0.6)
    itl, fast = histogram(0.041, (0.05, 0.075), (0.075, 0.1), 0.045), histogram(0.03, (0.025, 0.05), (0.05, 0.1), 0.031)
    found = SinceMark(
        mark="deployed v2",
        target="http://127.0.0.1:8000",
        wall=WALL - 200,
        seconds=200.0,
        before_seconds=300.0,
        before={
            "ttft_seconds": before,
            "itl_seconds": itl,
            "requests_finished": counter(3.1),
            "output_tokens_total": counter(310.0, "tokens"),
            "requests_arrived": counter(3.1),
        },
        after={
            "ttft_seconds": after,
            "itl_seconds": fast,
            "requests_finished": counter(3.4),
            "output_tokens_total": counter(340.0, "tokens"),
            "requests_arrived": counter(3.4),
        },
        alike=True,
        foretold=(estimate("itl_seconds", (0.028, 0.031, 0.034), "s", "model", Grade.B),),
    )
    return msgspec.structs.replace(found, **changes)


def marked(**changes: Any) -> Snapshot:
    """A quiet hour in which something was changed and marked, and the server restarted for it."""
    events = (
        Event(WALL - 200, "mark", "deployed v2", target="monitor"),
        Event(WALL - 41, "xid", "XID 63 on GPU 1", 63, "gpu:GPU-00000001-aaaa-bbbb-cccc-000000000000"),
    )
    return msgspec.structs.replace(healthy(), events=events, since_mark=(since(**changes),))


def connecting() -> Snapshot:
    """The first second: a server was named, nothing was heard from it yet, and there is no GPU."""
    target = overloaded_target(
        engine=None, engine_version=None, model=None, state=State.STARTING, reason="", age_seconds=None,
        uptime_seconds=None, window_seconds=None, poll_seconds=None, quantities={}, tracks={}, facts={}, estimates=(),
    )  # fmt: skip
    none = Score(None, "nothing was measured yet")
    return overloaded(
        0,
        targets=(target,),
        driver=Driver(
            State.DOWN,
            "libnvidia-ml.so.1 was not found: no NVIDIA driver is installed here; install it, or use --no-gpu",
            None, None, None, None,
        ),
        host=None,
        window_seconds=None,
        verdict=Verdict(None, "nothing measured yet", "blind"),
        risks=(),
        recommendations=(),
        withheld=(),
        onsets=(),
        levels=(),
        not_visible=(),
        events=(),
        scorecard=Scorecard(none, none, none, none),
    )  # fmt: skip


def down() -> Snapshot:
    """The server refuses connections, and has done so from the beginning."""
    first = connecting().targets[0]
    target = msgspec.structs.replace(
        first,
        state=State.DOWN,
        reason="connection refused: nothing listens on port 8000; start the server, or name the right address",
    )
    return msgspec.structs.replace(
        connecting(), targets=(target,), verdict=Verdict(Severity.CRITICAL, "server down: connection refused")
    )


def stale() -> Snapshot:
    """The server answered before and has not for 12 s; the driver is silent too."""
    target = overloaded_target(
        state=State.STALE, age_seconds=12.0, reason="no answer within 2 s for 12 s; the last numbers are shown"
    )
    return overloaded(
        targets=(target,),
        gpus=tuple(gpu(i, state=State.STALE, age_seconds=14.0, reason="driver does not answer") for i in range(2)),
        verdict=Verdict(Severity.CRITICAL, "server does not answer since 14:02:19"),
    )


def nobody() -> Snapshot:
    """No server was found on this host."""
    return msgspec.structs.replace(
        connecting(), targets=(), verdict=Verdict(None, "no inference server found", "blind")
    )


def fleet(count: int = 3) -> Snapshot:
    """Several servers, the second of them in trouble."""
    good = healthy().targets[0]
    many = tuple(
        msgspec.structs.replace(
            overloaded_target() if i == 1 else good, id=f"http://10.0.0.{i}:8000", url=f"http://10.0.0.{i}:8000"
        )
        for i in range(count)
    )
    risk = msgspec.structs.replace(overloading(), target="http://10.0.0.1:8000")
    together = overloaded()
    cards = {each.id: healthy().scorecard for each in many} | {many[1].id: together.scorecard}
    scores = msgspec.structs.replace(together.scorecard, throughput=Score(84.0, ""), ttft=Score(71.0, ""))
    return overloaded(targets=many, risks=(risk, *quiet_risks()), scorecard=scores, scorecards=cards)


def demo() -> Snapshot:
    """The overload again, from the simulator, with eight GPUs."""
    return overloaded(8, simulated=True, mode="demo")


ALL = {
    "overloaded": overloaded,
    "healthy": healthy,
    "connecting": connecting,
    "down": down,
    "stale": stale,
    "nobody": nobody,
    "fleet": fleet,
    "demo": demo,
    "marked": marked,
}
"""Every canned snapshot by its name."""
