"""The rules about requests: how they end, what is in them, how long they take to arrive, how they are shared out."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from metrics.finding import Severity
from metrics.histogram import Histogram
from metrics.sample import Sample, Source
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.conftest import Drive

WALL = 1_800_000_000.0
URL = "http://a"
LENGTHS = (1.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)


def server(mono: float, url: str = URL, **seen: Any) -> Sample:
    return Sample(url, Source.SERVER, WALL + mono, mono, **seen)


def http(status: str) -> str:
    return series("http_requests", status=status)


def ended(reason: str) -> str:
    return series("requests_finished", reason=reason)


def counted(drive: Drive, rule: str, before: dict[str, float], after: dict[str, float], seconds: int = 30) -> str:
    """Let counters grow by so many a second for a minute, and then by others; tell the state of the rule."""
    names = before.keys() | after.keys()
    for mono in range(60 + seconds):
        counters = {
            name: before.get(name, 0.0) * min(mono, 60) + after.get(name, 0.0) * max(0, mono - 60) for name in names
        }
        drive.poll(float(mono), server(float(mono), counters=counters))
    return drive.states()[rule]


# --- demand


@pytest.mark.parametrize(
    ("come", "served", "said"),
    [
        (17.0, 12.0, "Arrivals went from 12/s before the queue to 17/s."),
        (12.0, 7.0, "Arrivals are unchanged at 12/s."),  # the server got slower
    ],
)
def test_a_queue_says_whether_more_arrives_than_before(
    drive: Callable[[], Drive], come: float, served: float, said: str
) -> None:
    """12 requests/s come and are served for 80 s; then 5/s more come than are served, by either of the two."""
    driven = drive()
    for mono in range(111):
        late = max(0, mono - 80)
        gauges = {"requests_running": 20.0, "requests_waiting": (come - served) * late}
        done = {"requests_finished": 12.0 * min(mono, 80) + served * late}
        driven.poll(float(mono), server(float(mono), gauges=gauges, counters=done))
    assert said in driven.risk("model_overloading").description


# --- errors


@pytest.mark.parametrize(
    ("after", "state", "severity"),
    [
        ({"requests_failed": 2.0, ended("error"): 2.0, ended("stop"): 8.0}, "firing", Severity.CRITICAL),
        ({"requests_failed": 0.05, ended("error"): 0.05, ended("stop"): 9.95}, "not_observed", None),
        ({ended("stop"): 10.0}, "not_observed", None),
        ({http("5xx"): 0.4, http("2xx"): 9.6, ended("stop"): 9.6}, "firing", Severity.WARNING),
        ({http("5xx"): 1.0, http("2xx"): 9.0, ended("stop"): 9.0, "requests_rejected": 1.0}, "not_observed", None),
        ({http("4xx"): 5.0, http("2xx"): 5.0, ended("stop"): 5.0}, "not_observed", None),
    ],
)
def test_errors_are_those_of_the_server(
    drive: Callable[[], Drive], after: dict[str, float], state: str, severity: Severity | None
) -> None:
    """Requests that failed, or HTTP 5xx that are no refusals, where even the lower end of the interval is over 1 %."""
    driven = drive()
    healthy = {"requests_failed": 0.0, ended("error"): 0.0, ended("stop"): 10.0, http("2xx"): 10.0, http("5xx"): 0.0}
    assert counted(driven, "error_rate", healthy, after, 30) == state
    if severity:
        assert driven.risk("error_rate").severity is severity


def test_errors_are_found_within_15_s(drive: Callable[[], Drive]) -> None:
    """When a third of ten requests a second begins to fail."""
    before, after = {ended("stop"): 10.0, ended("error"): 0.0}, {ended("stop"): 7.0, ended("error"): 3.0}
    before["requests_failed"], after["requests_failed"] = 0.0, 3.0
    assert counted(drive(), "error_rate", before, after, 15) == "firing"


def test_few_errors_take_half_a_minute_to_be_certain(drive: Callable[[], Drive]) -> None:
    """2.4 % of twelve a second: 4 of 180 in 15 s may be 1 %, 8 of 350 in half a minute are more."""
    before = {"requests_failed": 0.0, ended("error"): 0.0, ended("stop"): 12.0}
    after = {"requests_failed": 0.29, ended("error"): 0.29, ended("stop"): 11.71}
    assert counted(drive(), "error_rate", before, after, 20) == "not_observed"
    assert counted(drive(), "error_rate", before, after, 40) == "firing"


def test_two_errors_are_a_coincidence(drive: Callable[[], Drive]) -> None:
    """2 of 20 requests are 10 %, and no finding."""
    driven = drive()
    for mono in range(40):
        counters = {"requests_failed": min(2.0, mono // 10), ended("stop"): mono * 0.5, ended("error"): 0.0}
        driven.poll(float(mono), server(float(mono), counters=counters))
        assert driven.states()["error_rate"] == "not_observed"


def test_refused_requests_are_told_as_such(drive: Callable[[], Drive]) -> None:
    """A tenth refused at admission: a warning of its own, and no error."""
    before = {"requests_rejected": 0.0, ended("stop"): 10.0}
    driven = drive()
    assert counted(driven, "admission_rejections", before, {"requests_rejected": 1.0, ended("stop"): 9.0}) == "firing"
    assert counted(drive(), "admission_rejections", before, before) == "not_observed"


# --- what is in them


@pytest.mark.parametrize(
    ("status", "share", "state"),
    [("4xx", 0.1, "firing"), ("400", 0.1, "firing"), ("429", 0.1, "not_observed"), ("4xx", 0.005, "not_observed")],
)
def test_bad_requests_are_a_matter_of_data_quality(
    drive: Callable[[], Drive], status: str, share: float, state: str
) -> None:
    """HTTP 4xx over 1 %, but who asks too often (429) sends nothing bad."""
    before = {http("2xx"): 10.0, http(status): 0.0}
    assert counted(drive(), "data_quality", before, {http("2xx"): 10 * (1 - share), http(status): 10 * share}) == state


def test_empty_prompts_are_a_matter_of_data_quality(drive: Callable[[], Drive]) -> None:
    """A tenth of the prompts with one token at most."""
    driven = drive()
    for mono in range(40):
        counts = (mono * 1.0, mono * 9.0, *[0.0] * 6)
        driven.poll(float(mono), server(float(mono), histograms={"prompt_tokens": Histogram(LENGTHS, counts, 1.0)}))
    assert driven.states()["data_quality"] == "firing"
    assert "were empty" in driven.risk("data_quality").summary


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ({ended("stop"): 10.0, ended("abort"): 0.0}, {ended("stop"): 8.0, ended("abort"): 2.0}, "firing"),
        ({ended("stop"): 9.0, ended("length"): 1.0}, {ended("stop"): 6.0, ended("length"): 4.0}, "firing"),
        ({ended("length"): 10.0}, {ended("length"): 10.0}, "not_observed"),  # as always
        ({ended("stop"): 8.0, ended("abort"): 2.0}, {ended("stop"): 8.0, ended("abort"): 2.0}, "not_observed"),
    ],
)
def test_more_broken_off_or_cut_short_than_usual(
    drive: Callable[[], Drive], before: dict[str, float], after: dict[str, float], state: str
) -> None:
    """Against what was usual before: a server whose answers are always cut by their limit does what it was told."""
    names = {**dict.fromkeys(after, 0.0), **before}
    driven = drive()
    for mono in range(240):
        counters = {n: names[n] * min(mono, 200) + after.get(n, 0.0) * max(0, mono - 200) for n in names}
        driven.poll(float(mono), server(float(mono), counters=counters))
    assert driven.states()["abort_or_truncation"] == state


def test_long_answers_left_over_when_load_falls_are_not_cut_short_more_often(drive: Callable[[], Drive]) -> None:
    """For ten seconds after the load fell nothing but cut answers ends: those that were under way."""
    driven = drive()
    for mono in range(260):
        cut = 1.0 * min(mono, 200) + 2.0 * max(0, min(mono, 210) - 200) + 0.1 * max(0, mono - 210)
        whole = 9.0 * min(mono, 200) + 0.9 * max(0, mono - 210)
        driven.poll(float(mono), server(float(mono), counters={ended("stop"): whole, ended("length"): cut}))
        assert driven.states()["abort_or_truncation"] in {"not_observed", "unknown"}


def test_a_server_that_counts_no_ends_is_not_called_well(drive: Callable[[], Drive]) -> None:
    """Without counters none of these can be told, and each says what it lacks."""
    driven = drive()
    driven.poll(0.0, server(0.0))
    for name in ("error_rate", "admission_rejections", "data_quality", "abort_or_truncation"):
        assert driven.risk(name).state.value == "unknown"
        assert driven.risk(name).summary


# --- the way there


PROBE_BOUNDS = tuple(0.01 * 1.1**power for power in range(60))


def probed(drive: Drive, client: float, tainted: float = 0.0) -> str:
    """Probe a server whose own TTFT is 40 to 60 ms every two seconds; tell the state of the rule."""
    slot = next(index for index, bound in enumerate(PROBE_BOUNDS) if bound >= client)
    for mono in range(60):
        counts = [0.0] * (len(PROBE_BOUNDS) + 1)
        counts[slot] = mono / 2
        ttft = Histogram((0.02, 0.04, 0.06, 0.1), (0.0, 0.0, mono * 5.0, 0.0, 0.0), mono * 0.25)
        probe = Sample(
            f"probe:{URL}",
            Source.PROBE,
            WALL + mono,
            float(mono),
            counters={
                series("probe_requests", outcome="ok"): mono / 2,
                series("probe_left_out", reason="tainted"): tainted * mono / 2,
            },
            histograms={series("probe_ttft_seconds", prefix="cold"): Histogram(PROBE_BOUNDS, tuple(counts), 1.0)},
        )
        drive.poll(float(mono), server(float(mono), histograms={"ttft_seconds": ttft}), probe)
    return drive.states()["data_latency"]


def test_the_way_to_the_server_needs_a_probe(drive: Callable[[], Drive]) -> None:
    """Without one the row says what it needs; with one that sees 55 ms there is nothing, with 300 ms there is."""
    alone = drive()
    alone.poll(0.0, server(0.0))
    assert "needs --probe" in alone.risk("data_latency").summary
    assert probed(drive(), 0.055) == "not_observed"
    slow = drive()
    assert probed(slow, 0.3) == "firing"
    assert slow.risk("data_latency").evidence[0].count == pytest.approx(15.0, abs=1.0)


def test_a_monitor_that_is_late_does_not_blame_the_way(drive: Callable[[], Drive]) -> None:
    """Half of the probes spoilt by the monitor itself: the way there is not judged by the others."""
    assert probed(drive(), 0.3, tainted=0.5) == "unknown"


# --- sharing out


def loaded(mono: float, url: str, running: float, waiting: float, model: str = "m") -> Sample:
    gauges = {"requests_running": running, "requests_waiting": waiting}
    return server(mono, url, gauges=gauges, facts={"model": model})


@pytest.mark.parametrize(
    ("loads", "state"),
    [
        (((30, 5), (3, 0)), "firing"),
        (((30, 0), (3, 0)), "not_observed"),  # nobody waits
        (((30, 5), (28, 4)), "not_observed"),  # all are full
        (((30, 5), (3, 0), (4, 0)), "firing"),
    ],
)
def test_replicas_share_unevenly_where_one_waits_and_others_rest(
    drive: Callable[[], Drive], loads: tuple[tuple[int, int], ...], state: str
) -> None:
    """More than 1.5 times the mean with a queue, while another has none; the finding names the one."""
    driven = drive()
    for mono in range(40):
        driven.poll(float(mono), *(loaded(float(mono), f"http://{i}", *load) for i, load in enumerate(loads)))
    risk = driven.risk("replica_imbalance")
    assert risk.state.value == state
    if state == "firing":
        assert risk.target == "http://0"


def test_nothing_of_a_view_is_kept_when_it_is_gone(drive: Callable[[], Drive]) -> None:
    """What was worked out once for all servers goes with its View, and the whole Store of the session with that."""
    driven = drive()
    driven.poll(0.0, loaded(0.0, "http://a", 30, 5), loaded(0.0, "http://b", 1, 0))
    view = driven.view
    driven.assessor.observe(view)
    gone = weakref.ref(view)
    del view
    gc.collect()
    assert gone() is None


def test_servers_of_other_models_are_no_replicas(drive: Callable[[], Drive]) -> None:
    """One full server beside an idle one of another model: that is not asked at all, as with a single server."""
    driven = drive()
    for mono in range(40):
        driven.poll(float(mono), loaded(float(mono), "http://a", 30, 5), loaded(float(mono), "http://b", 1, 0, "n"))
    assert "replica_imbalance" not in driven.states()


def test_the_engines_of_one_server_are_replicas(drive: Callable[[], Drive]) -> None:
    """Two ranks in one page, one of them with all the work."""
    driven = drive()
    for mono in range(40):
        gauges = {}
        for rank, (running, waiting) in {"0": (30.0, 6.0), "1": (2.0, 0.0)}.items():
            gauges[series("requests_running", rank=rank)] = running
            gauges[series("requests_waiting", rank=rank)] = waiting
        driven.poll(float(mono), server(float(mono), gauges=gauges))
    assert driven.risk("replica_imbalance").state.value == "firing"
    assert "on rank 0" in driven.risk("replica_imbalance").summary


@pytest.mark.parametrize("rule", ["data_quality", "error_rate"])
def test_a_finding_that_is_over_does_not_come_back_without_anything_new(drive: Callable[[], Drive], rule: str) -> None:
    """As a real vLLM was seen: bad requests for 7 s, then a load so low that only a minute holds 20 requests."""
    driven, fired = drive(), []
    bad = {"data_quality": http("400"), "error_rate": http("500")}[rule]
    for mono in range(200):
        wrong = 2.0 * min(max(0, mono - 60), 7)
        good = 4.0 * min(mono, 80) + 0.6 * max(0, mono - 80)
        driven.poll(float(mono), server(float(mono), counters={http("200"): good, bad: wrong}))
        fired.append(driven.states()[rule] == "firing")
    begins = [mono for mono in range(1, 200) if fired[mono] and not fired[mono - 1]]
    assert len(begins) == 1
    assert 60 < begins[0] < 75
