"""Which finding is the reason for which: by their kinds, and by when they began."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from insight.causes import CAUSES, as_bad_as_their_effects, explains
from metrics import units
from metrics.finding import Evidence, Risk, RiskState, Severity

START = 1_800_000_000.0
SERVER, GPU = "http://a", "gpu:0"


def found(
    name: str,
    since: float | None = 0.0,
    severity: Severity = Severity.WARNING,
    target: str = SERVER,
    state: RiskState = RiskState.FIRING,
    **seen: float,
) -> Risk:
    began = None if since is None else units.rfc3339(START + since)
    evidence = tuple(Evidence(quantity, value, "1") for quantity, value in seen.items())
    return Risk(name, name, state, severity, "", "", "", "", began, target, evidence=evidence)


def told(*risks: Risk) -> list[tuple[str, Severity]]:
    """Tell them in the order in which they come out, with what they have become."""
    return [(each.id, each.severity) for each in as_bad_as_their_effects(risks, {GPU: SERVER})]


def test_a_slow_gpu_comes_before_the_queue_and_the_limits_that_it_fills() -> None:
    """Heat, then the slots that are taken for longer, then the queue, then TTFT: all as bad as the worst of them."""
    given = (
        found("ttft_slo", 40, Severity.CRITICAL),
        found("slot_cap", 25),
        found("model_overloading", 30, Severity.CRITICAL),
        found("thermal_throttle", 10, target=GPU),
    )
    critical = Severity.CRITICAL
    order = ("thermal_throttle", "slot_cap", "model_overloading", "ttft_slo")
    assert told(*given) == [(name, critical) for name in order]


def test_what_nothing_explains_comes_before_what_something_does() -> None:
    """Errors of their own before the TTFT that a queue explains; those that are alike keep their order."""
    given = (found("ttft_slo", 5), found("error_rate", 9), found("model_overloading", 3))
    assert [name for name, _ in told(*given)] == ["error_rate", "model_overloading", "ttft_slo"]


def test_of_two_that_bring_about_each_other_the_first_is_the_reason() -> None:
    """A full cache throws prefixes out, and prompts that share nothing fill the cache."""
    full, collapsed = found("cache_saturation", 14, Severity.CRITICAL), found("prefix_cache_collapse", 7)
    assert explains(collapsed, full)
    assert not explains(full, collapsed)
    assert told(full, collapsed)[0] == ("prefix_cache_collapse", Severity.CRITICAL)
    full, collapsed = found("cache_saturation", 3, Severity.CRITICAL), found("prefix_cache_collapse", 7)
    assert told(collapsed, full)[0] == ("cache_saturation", Severity.CRITICAL)


@pytest.mark.parametrize(
    ("reason", "began", "so"),
    [
        ("xid", -5.0, True),
        ("xid", 20.0, True),  # it was seen a little later
        ("xid", 60.0, False),  # it came when requests had long been failing
        ("xid", -3600.0, False),  # what happened an hour before is no reason for what begins now
        ("gpu_lost", -5.0, True),
        ("disk_pressure", -5.0, False),
    ],
)
def test_what_broke_shortly_before_is_why_requests_fail(reason: str, began: float, so: bool) -> None:
    """XID 94 ends the process whose memory was hit; the XID stays in its row for long after that."""
    assert explains(found(reason, began, target=GPU), found("error_rate", 0.0, Severity.CRITICAL)) is so


@pytest.mark.parametrize(
    ("arrive", "usage", "first"),
    [
        (31.0, 0.72, "model_overloading"),  # 18 are served: with a full cache they would be 25
        (12.0, 0.25, "slot_cap"),
        (24.0, 0.72, "slot_cap"),
    ],
)
def test_the_limit_of_slots_is_the_reason_where_more_of_them_could_serve_what_comes(
    arrive: float, usage: float, first: str
) -> None:
    """Else it is the load that fills the slots: whichever began first."""
    for lead in (-5.0, 5.0):
        full = found("slot_cap", 20 + lead, kv_cache_usage=usage)
        queue = found("model_overloading", 20, Severity.CRITICAL, requests_finished=18.0, requests_arrived=arrive)
        assert told(full, queue)[0] == (first, Severity.CRITICAL)


@pytest.mark.parametrize(("refused", "first"), [(0.4, "admission_rejections"), (0.1, "slot_cap")])
def test_so_it_is_where_what_comes_is_refused(refused: float, first: str) -> None:
    """With 0.7 of the cache in use, more slots serve 1.4 times as much: a tenth more, and not two thirds more."""
    full = found("slot_cap", 20, kv_cache_usage=0.7)
    assert told(full, found("admission_rejections", 20, requests_rejected=refused))[0][0] == first


def test_a_slow_step_may_be_old_when_a_token_is_late() -> None:
    """ITL is missed as soon as the load is high enough: the heat may have been there for an hour."""
    assert explains(found("thermal_throttle", -3600.0), found("itl_slo", 0.0))
    assert not explains(found("thermal_throttle", -3600.0), found("model_overloading", 0.0))


def test_a_gpu_at_its_power_limit_is_no_reason_while_nobody_feels_it() -> None:
    """At full load that is normal: the clock is 4 % lower, and it is the load that fills the queue."""
    queue = found("model_overloading", 10, Severity.CRITICAL)
    assert told(queue, found("power_cap", 5, Severity.INFO, GPU)) == [
        ("model_overloading", Severity.CRITICAL),
        ("power_cap", Severity.INFO),
    ]
    assert told(queue, found("power_cap", 5, Severity.WARNING, GPU))[0] == ("power_cap", Severity.CRITICAL)


def test_a_lost_gpu_is_why_its_server_is_gone() -> None:
    """Both are critical, and the one that names what to replace is told first."""
    gone = found("server_unreachable", 2, Severity.CRITICAL)
    assert told(gone, found("gpu_lost", 0, Severity.CRITICAL, GPU))[0][0] == "gpu_lost"
    silent = replace(gone, summary="no metrics for 9 s: http://a closed the connection: is it starting?")
    lost = replace(found("gpu_lost", 1, Severity.CRITICAL, GPU), summary="GPU 0: NVML: GPU is lost")
    said = as_bad_as_their_effects([silent, lost], {GPU: SERVER})[1].summary
    assert said == "no metrics for 9 s: the GPU it ran on (GPU 0) was lost 1 s before"
    elsewhere = as_bad_as_their_effects([gone, found("gpu_lost", 0, Severity.CRITICAL, "gpu:9")], {GPU: SERVER})
    assert [each.id for each in elsewhere] == ["server_unreachable", "gpu_lost"]


def test_only_what_fires_is_a_reason() -> None:
    """What is over, or pending, raises nothing and stays where it is."""
    for state in (RiskState.PENDING, RiskState.RESOLVING, RiskState.UNKNOWN):
        heat = found("thermal_throttle", 0, target=GPU, state=state)
        assert told(found("ttft_slo", 5, Severity.CRITICAL), heat)[1] == ("thermal_throttle", Severity.WARNING)


def test_a_beginning_that_is_not_known_contradicts_nothing() -> None:
    """By their kinds it may be so."""
    assert explains(found("host_cpu_starvation", None), found("itl_slo", 5.0))


def test_no_finding_explains_itself() -> None:
    """Nor does any name stand twice."""
    for effect, reasons in CAUSES.items():
        assert effect not in reasons
        assert len(set(reasons)) == len(reasons)
