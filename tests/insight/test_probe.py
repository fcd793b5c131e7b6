"""What a probe found stands beside what its server tells, under names of its own."""

from __future__ import annotations

import pytest

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


def counts(mono: float, tokens: float, **facts: str) -> Sample:
    counters = {"output_tokens_total": tokens, "prompt_tokens_total": 10 * tokens}
    return Sample(URL, Source.SERVER, WALL + mono, mono, counters=counters, facts=facts)


def cost(mono: float, output: float, prompt: float, uncounted: float | None = 0.0) -> Sample:
    counters = {'probe_tokens{kind="output"}': output, 'probe_tokens{kind="prompt"}': prompt}
    if uncounted is not None:
        counters["probe_uncounted"] = uncounted
    return Sample(f"probe:{URL}", Source.PROBE, WALL + mono, mono, counters=counters)


def test_what_the_probe_cost_is_told_apart() -> None:
    """600 tokens in a minute, 90 of them the probe's: the server's count stays, with a note, and 510 are of others."""
    driven = Drive()
    driven.poll(0.0, counts(0.0, 1000.0), cost(0.0, 16.0, 100.0))
    driven.poll(60.0, counts(60.0, 1600.0), cost(60.0, 106.0, 700.0))
    found = driven.snapshot().targets[0].quantities
    output, others = found["output_tokens_total"], found["output_tokens_without_probe"]
    assert (output.increase, output.rate, output.source) == (600.0, 10.0, "server")
    assert output.note == "1.5 tokens/s of it for the probe"
    assert (others.increase, others.rate, others.unit) == (510.0, 8.5, "tokens")
    assert found["prompt_tokens_without_probe"].increase == 5400.0


def test_nothing_is_left_where_only_the_probe_asks() -> None:
    """A server that serves nobody else has a throughput of 0 without the probe, and never one below."""
    driven = Drive()
    driven.poll(0.0, counts(0.0, 0.0), cost(0.0, 0.0, 0.0))
    driven.poll(60.0, counts(60.0, 80.0), cost(60.0, 96.0, 800.0))
    assert driven.snapshot().targets[0].quantities["output_tokens_without_probe"].rate == 0.0


@pytest.mark.parametrize("uncounted", [1.0, None])
def test_what_is_not_known_is_not_subtracted(uncounted: float | None) -> None:
    """A request of the probe whose tokens nobody told: its part is a least, and there is no number without it."""
    driven = Drive()
    driven.poll(0.0, counts(0.0, 0.0), cost(0.0, 0.0, 0.0, None if uncounted is None else 0.0))
    driven.poll(60.0, counts(60.0, 600.0), cost(60.0, 60.0, 600.0, uncounted))
    found = driven.snapshot().targets[0].quantities
    assert found["output_tokens_total"].note == "at least 1 tokens/s of it for the probe"
    assert "output_tokens_without_probe" not in found


def test_a_note_of_the_server_stays_beside_that_of_the_probe() -> None:
    """A counter that moves when a request ends says so, with or without a probe."""
    driven = Drive()
    lumpy = "output_tokens_total"
    driven.poll(0.0, counts(0.0, 0.0, lumpy_counters=lumpy), cost(0.0, 0.0, 0.0))
    driven.poll(60.0, counts(60.0, 600.0, lumpy_counters=lumpy), cost(60.0, 60.0, 600.0))
    note = driven.snapshot().targets[0].quantities["output_tokens_total"].note
    assert note == "the server counts this when a request ends; 1 tokens/s of it for the probe"


def test_a_probe_that_rests_changes_nothing() -> None:
    """Where the probe asked nothing in the window, the server's count is that of others as it stands."""
    driven = Drive()
    driven.poll(0.0, counts(0.0, 0.0), cost(0.0, 60.0, 600.0))
    driven.poll(60.0, counts(60.0, 600.0), cost(60.0, 60.0, 600.0))
    found = driven.snapshot().targets[0].quantities
    assert found["output_tokens_total"].note == ""
    assert "output_tokens_without_probe" not in found


def test_without_a_probe_there_is_nothing_of_one() -> None:
    """No name of the probe's appears where none was asked for."""
    driven = Drive()
    driven.poll(0.0, of_server(0.0, 0))
    driven.poll(60.0, of_server(60.0, 50))
    (target,) = driven.snapshot().targets
    assert not any(name.startswith("probe") for name in (*target.quantities, *target.facts))


def test_the_scorecard_tells_what_others_got() -> None:
    """Throughput is what is served, and our own probe is not served: where it can be told apart, it is left out."""
    driven = Drive()
    driven.poll(0.0, counts(0.0, 1000.0), cost(0.0, 16.0, 100.0))
    driven.poll(60.0, counts(60.0, 1600.0), cost(60.0, 106.0, 700.0))
    assert driven.snapshot().scorecard.throughput.text.startswith("8.5 tokens/s output besides the probe")
    alone = Drive()
    alone.poll(0.0, counts(0.0, 1000.0))
    alone.poll(60.0, counts(60.0, 1600.0))
    assert alone.snapshot().scorecard.throughput.text.startswith("10 tokens/s output;")


def test_what_the_questions_cost_stands_with_the_server() -> None:
    """In words, beside what the probe cost; a server that is asked nothing has no such words."""
    asked = Sample(
        f"quality:{URL}", Source.QUALITY, WALL, 0.0, facts={"quality": "800 tokens so far", "items": "94", "url": URL}
    )
    driven = Drive()
    driven.poll(0.0, of_server(0.0, 0), of_probe(0.0, 0, 0), asked)
    facts = driven.snapshot().targets[0].facts
    assert (facts["probe"], facts["quality"]) == (FACT, "800 tokens so far")
    assert "items" not in facts
    assert "800 tokens so far" in render(driven.snapshot(), "md").decode()
