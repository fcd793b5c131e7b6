"""The risk table as a whole: which rules there are, what they say of themselves, and what explains what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.causes import CAUSES, MASKS
from insight.lifecycle import MAX_EPISODES, Life, step
from insight.risks import risks
from insight.rules import RULES
from insight.rules.rule import HOLDS_NOT, Condition, Timing
from insight.settings import Settings
from insight.standing import RISK_IDS
from metrics.finding import Severity
from metrics.histogram import Histogram
from metrics.sample import Process, Sample, Source, State
from metrics.series import series
from metrics.snapshot import Objective
from metrics.store import Store
from metrics.view import View

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics.finding import Risk
    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
FIXED = {
    *RISK_IDS,
    *("ttft_slo", "itl_slo", "stuck_server", "server_unreachable", "server_restart", "error_rate", "preemption"),
    *("slot_cap", "prefix_cache_collapse", "cold_start", "replica_imbalance", "gpu_straggler", "thermal_throttle"),
    *("power_cap", "hw_slowdown", "ecc_uncorrected", "row_remap", "xid", "gpu_lost", "driver_unresponsive"),
    *("pcie_degraded", "nvlink_degraded", "host_cpu_starvation", "host_memory_pressure", "disk_pressure"),
    *("spec_decode_inefficient", "admission_rejections", "monitor_degraded"),
}
IDS = [rule.id for rule in RULES]


def queued(mono: float) -> Sample:
    gauges = {"requests_waiting": 60.0, "requests_running": 8.0}
    return Sample("http://a", Source.SERVER, WALL + mono, mono, gauges=gauges)


def quiet(mono: float) -> Sample:
    gauges = {"requests_waiting": 0.0, "requests_running": 8.0}
    return Sample("http://a", Source.SERVER, WALL + mono, mono, gauges=gauges)


def test_every_risk_that_reports_are_read_for_has_its_rule() -> None:
    """Their ids are fixed, and none is there twice."""
    assert set(IDS) >= FIXED
    assert len(IDS) == len(set(IDS))


def test_every_rule_says_where_its_limits_come_from_and_what_to_do() -> None:
    """Source, impact as a word and what is exposed, and a mitigation that is a sentence."""
    for rule in RULES:
        assert rule.source
        assert rule.impact.partition(":")[0] in {"high", "medium", "low"}
        assert rule.mitigation.endswith(".")


def test_who_watches_hears_sooner_than_who_is_woken_up() -> None:
    """No rule takes longer live than for paging, and live none takes longer than half a minute but those of minutes."""
    slow = {"prefix_cache_opportunity", "efficiency_regression", "cost_anomaly"}
    windowed = {"hw_slowdown", "ttft_slo", "itl_slo", "tpot_slo", "e2e_slo"}
    for rule in RULES:
        assert rule.live.enter <= rule.page.enter or rule.id in windowed
        assert rule.live.enter + rule.every <= 35 or rule.id in {*slow, "resource_overprovisioning"}


def test_causes_and_masks_speak_of_rules_that_exist() -> None:
    """A name that no rule has would silently explain nothing."""
    named = {*CAUSES, *(each for causes in CAUSES.values() for each in causes)}
    named |= {*MASKS, *(each for masked in MASKS.values() for each in masked)}
    assert named <= set(IDS)


def test_longer_prompts_come_before_what_they_do_to_the_cache() -> None:
    """Of findings that are as bad, traffic that changed is told before the cache that it fills or collapses."""
    for effect in ("cache_saturation", "prefix_cache_collapse", "preemption"):
        assert CAUSES[effect][0] == "model_drift"
        assert IDS.index("model_drift") < IDS.index(effect)


def test_goodput_has_the_causes_of_the_objectives_that_it_joins() -> None:
    """What explains a TTFT, a TPOT or a request that takes too long explains the goodput."""
    joined = {each for name in ("ttft_slo", "tpot_slo", "e2e_slo") for each in CAUSES[name]}
    assert set(CAUSES["goodput_slo"]) == joined


def test_what_masks_is_asked_before_what_it_masks() -> None:
    """Rules are asked in the order of the table, so a mask has to come first."""
    for mask, masked in MASKS.items():
        assert all(IDS.index(mask) < IDS.index(each) for each in masked)


def test_paging_waits_longer(drive: Callable[[Settings], Drive]) -> None:
    """A queue of 60 fires after 10 s for who watches and after two minutes for who is woken up."""
    found = {}
    for timing in ("live", "page"):
        driven = drive(Settings(timing=timing))
        for mono in range(200):
            driven.poll(float(mono), queued(float(mono)))
            if driven.states()["model_overloading"] == "firing":
                found[timing] = mono
                break
    assert found == {"live": 10, "page": 120}


def test_a_pending_row_counts_down_by_the_timing_in_force(drive: Callable[[Settings], Drive]) -> None:
    """Ten seconds of a queue are 110 s before paging."""
    driven = drive(Settings(timing="page"))
    for mono in range(11):
        driven.poll(float(mono), queued(float(mono)))
    assert driven.risk("model_overloading").fires_in_seconds == 110.0


def test_a_slow_gpu_is_as_bad_as_what_its_server_suffers(drive: Callable[[], Drive]) -> None:
    """Heat alone is a warning; where its server misses its objective badly, it is the reason, and comes first."""
    driven = drive()
    for mono in range(30):
        hot = {series("throttle", reason="hw_thermal"): 1.0, "sm_clock_hertz": 1.9e9, "sm_clock_max_hertz": 1.98e9}
        gaps = Histogram((0.05, 0.1), (0.0, 0.0, 100.0 * mono), 20.0 * mono)
        server = Sample("http://a", Source.SERVER, WALL, float(mono), histograms={"itl_seconds": gaps})
        gpu = Sample("gpu:0", Source.GPU, WALL, float(mono), gauges=hot, processes=(Process(1, "VLLM::Worker"),))
        driven.poll(float(mono), server, gpu)
    assert driven.risk("itl_slo").severity is Severity.CRITICAL
    assert driven.risk("thermal_throttle").severity is Severity.CRITICAL
    assert driven.snapshot().risks[0].id == "thermal_throttle"


def test_a_short_cpu_is_as_bad_as_what_the_server_on_it_suffers(drive: Callable[[], Drive]) -> None:
    """A server whose processes run on this host, and that misses its objective badly, is what the host does to it."""
    for processes, severity in (((Process(1, "vllm"),), Severity.CRITICAL), ((), Severity.WARNING)):
        driven = drive()
        for mono in range(30):
            gaps = Histogram((0.05, 0.1), (0.0, 0.0, 100.0 * mono), 20.0 * mono)
            seen = {"itl_seconds": gaps}
            server = Sample("http://a", Source.SERVER, WALL, float(mono), histograms=seen, processes=processes)
            host = Sample("host", Source.HOST, WALL, float(mono), gauges={"pressure_cpu": 0.5, "cpu_usage": 1.0})
            driven.poll(float(mono), server, host)
        assert driven.risk("host_cpu_starvation").severity is severity


def test_rules_that_are_asked_seldom_keep_what_they_said(drive: Callable[[], Drive]) -> None:
    """Between two askings the row stands, and when the server goes it is not left standing."""
    driven = drive()
    server = Sample("http://a", Source.SERVER, WALL, 0.0)
    driven.poll(0.0, server)
    first = driven.risk("resource_overprovisioning").summary
    for mono in range(1, 6):
        driven.poll(float(mono), Sample("http://a", Source.SERVER, WALL, float(mono)))
    assert driven.risk("resource_overprovisioning").summary == first
    driven.poll(30.0)
    assert driven.risk("resource_overprovisioning").summary == "no metrics for 25 s"


def restarting(driven: Drive, seconds: int, *restarts: int) -> None:
    """Poll a server that counts no faster than a second, and begins anew at some of them."""
    for mono in range(seconds):
        counted = float(mono - max((each for each in restarts if each <= mono), default=-100))
        counters = {"output_tokens_total": counted}
        driven.poll(float(mono), Sample("http://a", Source.SERVER, WALL + mono, float(mono), counters=counters))


def test_what_came_before_is_likely_to_come_again(drive: Callable[[], Drive]) -> None:
    """A queue for two minutes of ten: a share of the time to come, with its interval, horizon and count."""
    driven = drive()
    for mono in range(601):
        driven.poll(float(mono), queued(float(mono)) if 100 <= mono < 220 else quiet(float(mono)))
    risk = driven.risk("model_overloading")
    assert risk.state.value == "not_observed"
    assert risk.likelihood == "medium: 20 % of the next 10 min (6.1-79 %; once in 10 min)"


def again_and_again(rule: str, seconds: float, every: float, held: float) -> Risk:
    """Let a condition hold for so long, so often, and tell the row of its rule at the end."""
    life: Life | None = None
    for begin in range(0, int(seconds), int(every)):
        holds = Condition(holds=True, since=float(begin))
        life = step(life, Timing(0.0, 0.0), holds, float(begin))
        life = step(life, Timing(0.0, 0.0), HOLDS_NOT, begin + held)
    store = Store()
    for mono in (0.0, seconds):
        store.add(quiet(mono))
    assert life is not None
    rows = risks({(rule, "http://a"): life}, View(store, seconds, WALL + seconds))
    return next(row for row in rows if row.id == rule)


def test_what_came_more_often_than_is_kept_is_no_less_likely() -> None:
    """A queue for 200 s of every 10 min of two days is one a third of the time, though 50 episodes of 288 are kept."""
    risk = again_and_again("model_overloading", 172_800.0, 600.0, 200.0)
    assert len(risk.episodes) == MAX_EPISODES
    assert risk.likelihood.startswith("medium: 33 % of the next ")
    assert risk.likelihood.endswith("; 49 times in 8 h 16 min)")
    assert risk.description == "Not now; 49 times in the last 8 h 16 min."


def test_events_that_came_more_often_than_are_kept_are_no_rarer() -> None:
    """A restart every half an hour for two days: 49 in the last day, not 50 in two."""
    risk = again_and_again("server_restart", 172_800.0, 1800.0, 1.0)
    assert "(49 times in 1 d)" in risk.likelihood


def test_what_was_kept_whole_goes_by_the_whole_time() -> None:
    """Ten queues of 200 s in two days are all known: 1.2 % of the time, ten times in two days."""
    risk = again_and_again("model_overloading", 172_800.0, 17_280.0, 200.0)
    assert risk.likelihood.startswith("low: 1.2 % of the next 1 d")
    assert risk.likelihood.endswith("; 10 times in 2 d)")


def test_events_that_flap_are_counted_once(drive: Callable[[], Drive]) -> None:
    """A restart soon after another is of the same trouble; a third, a quarter of an hour later, is a second one."""
    driven = drive()
    restarting(driven, 3601, 600, 1000, 2000)
    risk = driven.risk("server_restart")
    assert len(risk.episodes) == 3
    assert "2 times in 1 h" in risk.likelihood
    assert risk.likelihood.startswith("high: 82 % within 1 h")


def test_an_impact_that_was_measured_comes_with_its_numbers(drive: Callable[[Settings], Drive]) -> None:
    """All requests over the objective of 99 %: burn 100, high, for as long as nobody knows better."""
    driven = drive(Settings(objectives=(Objective("ttft_seconds", 0.99, 1.0, default=False),)))
    for mono in range(60):
        late = {"ttft_seconds": Histogram((1.0, 2.0), (0.0, 5.0 * mono, 0.0), 7.5 * mono)}
        driven.poll(float(mono), Sample("http://a", Source.SERVER, WALL + mono, float(mono), histograms=late))
    risk = driven.risk("ttft_slo")
    assert risk.impact == (
        "high: users wait longer than agreed for the first token; 100 % of requests for 30 min "
        "(assumed: no episode has ended yet), 6.9 % of the budget of 30 d at 0.99"
    )


def test_a_lost_replica_hits_its_share(drive: Callable[[], Drive]) -> None:
    """One of two servers of a model takes half of the requests with it; its impact is high nevertheless."""
    driven = drive()
    for mono in range(30):
        samples = [
            Sample(name, Source.SERVER, WALL + mono, float(mono), facts={"model": "m"}, state=state)
            for name, state in (("http://a", State.OK), ("http://b", State.OK if mono < 5 else State.DOWN))
        ]
        driven.poll(float(mono), *samples)
    risk = driven.risk("server_unreachable")
    assert risk.impact.startswith("high: ")
    assert "; 50 % of requests for 30 min" in risk.impact


def test_hardware_that_never_failed_here_fails_elsewhere(drive: Callable[[], Drive]) -> None:
    """Not observed, with the bound, and what others saw with as many GPUs."""
    driven = drive()
    for mono in range(60):
        gpus = (Sample(f"gpu:{n}", Source.GPU, WALL, float(mono), counters={"ecc_uncorrected": 0.0}) for n in range(8))
        driven.poll(float(mono), *gpus)
    likelihood = driven.risk("ecc_uncorrected").likelihood
    assert likelihood.startswith("not observed in ")
    assert "0.24 % within 1 d for 8 GPUs, elsewhere" in likelihood
