"""What a probe found stands beside what its server tells, under names of its own."""

from __future__ import annotations

from insight.report import render
from metrics.histogram import Histogram
from metrics.sample import Missing, Sample, Source, State
from tests.insight.conftest import URL, WALL, Drive

BOUNDS = (0.01, 0.02, 0.04)
FACT = "1,460 tokens so far"


def of_probe(mono: float, cold: int, warm: int, given_up: int = 0, **more: object) -> Sample:
    histograms = {
        'probe_ttft_seconds{prefix="cold"}': Histogram(BOUNDS, (0.0, 0.0, float(cold), 0.0), 0.03 * cold),
        'probe_ttft_seconds{prefix="warm"}': Histogram(BOUNDS, (0.0, float(warm), 0.0, 0.0), 0.015 * warm),
    }
    censored = Histogram(BOUNDS[1::2], (0.0, float(given_up)), 60.0 * given_up)
    histograms['probe_ttft_censored_seconds{prefix="cold"}'] = censored
    return Sample(
        f"probe:{URL}",
        Source.PROBE,
        WALL + mono,
        mono,
        counters={'probe_requests{outcome="ok"}': float(cold + warm), 'probe_tokens{kind="output"}': 16.0 * cold},
        histograms=histograms,
        facts={"probe": FACT},
        **more,  # type: ignore[arg-type] # fields of a Sample
    )


def of_server(mono: float, finished: int, state: State = State.OK) -> Sample:
    own = Histogram((0.005, 0.5), (0.0, float(finished), 0.0), 0.01 * finished)
    return Sample(URL, Source.SERVER, WALL + mono, mono, state=state, histograms={"ttft_seconds": own})


def test_probe_and_server_never_mix() -> None:
    """The server's TTFT stays its own; the probe's has another name, is labelled, and is split cold and warm."""
    driven = Drive()
    driven.poll(0.0, of_server(0.0, 0), of_probe(0.0, 0, 0))
    driven.poll(60.0, of_server(60.0, 50), of_probe(60.0, 4, 4))
    (target,) = driven.snapshot().targets
    own, probe = target.quantities["ttft_seconds"], target.quantities["probe_ttft_seconds"]
    assert (own.source, own.count) == ("server", 50)
    assert (probe.source, probe.count) == ("probe", 8)
    assert {label: (part.source, part.count, part.mean) for label, part in probe.by.items()} == {
        "prefix=cold": ("probe", 4, 0.03),
        "prefix=warm": ("probe", 4, 0.015),
    }
    assert target.quantities["probe_requests"].increase == 8
    assert target.facts["probe"] == FACT
    text = render(driven.snapshot(), "md").decode()
    assert FACT in text
    assert "TTFT, probe" in text


def test_what_was_given_up_bounds_the_quantile() -> None:
    """Requests that were given up after more than 20 ms are in the ranks: the median is that or more."""
    driven = Drive()
    driven.poll(0.0, of_server(0.0, 0), of_probe(0.0, 0, 0))
    driven.poll(60.0, of_server(60.0, 50), of_probe(60.0, 2, 0, given_up=6))
    probe = driven.snapshot().targets[0].quantities["probe_ttft_seconds"]
    assert (probe.count, probe.mean) == (8, None)
    assert probe.p50 is not None
    assert (probe.p50.lo, probe.p50.hi) == (0.02, None)


def test_a_server_that_tells_nothing_is_carried_by_its_probe() -> None:
    """Without a metrics page, what the probe found is still there."""
    driven = Drive()
    driven.poll(0.0, of_server(0.0, 0, State.DOWN), of_probe(0.0, 0, 0))
    driven.poll(60.0, of_server(60.0, 0, State.DOWN), of_probe(60.0, 4, 4))
    (target,) = driven.snapshot().targets
    assert target.state is not State.OK
    assert target.quantities["probe_ttft_seconds"].count == 8


def test_what_the_probe_could_not_see_is_of_its_server() -> None:
    """Its reasons stand with the server that it probes."""
    driven = Drive()
    held = Missing("the probe", "4 requests wait", "what a client gets is not measured meanwhile")
    driven.poll(0.0, of_server(0.0, 0), of_probe(0.0, 0, 0, missing=(held,)))
    found = [each for each in driven.snapshot().not_visible if each.what == "the probe"]
    assert [each.target for each in found] == [URL]


def test_without_a_probe_there_is_nothing_of_one() -> None:
    """No name of the probe's appears where none was asked for."""
    driven = Drive()
    driven.poll(0.0, of_server(0.0, 0))
    driven.poll(60.0, of_server(60.0, 50))
    (target,) = driven.snapshot().targets
    assert not any(name.startswith("probe") for name in (*target.quantities, *target.facts))
