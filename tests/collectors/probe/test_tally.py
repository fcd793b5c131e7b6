"""What a result adds: nothing is dropped, nothing is guessed, and time counts from the plan."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from collectors.probe.chunk import Usage
from collectors.probe.prompt import Prefix
from collectors.probe.reply import Outcome, Reply
from collectors.probe.tally import BOUNDS, TOKEN_BOUNDS, LeftOut, Tally, left_out

GOOD = Reply(
    Outcome.OK,
    sent=10.5,
    ended=12.5,
    first_byte=10.6,
    first_token=11.0,
    first_answer=11.0,
    last_token=12.0,
    gaps=(0.4, 0.6),
    chunks=3,
    usage=Usage(100, 3),
    reused=True,
)
COLD = '{prefix="cold"}'


def observed(tally: Tally) -> dict[str, Any]:
    """Count and sum of every histogram in which there is something."""
    return {name: (each.count, pytest.approx(each.sum)) for name, each in tally.histograms.items() if each.count}


def counted(tally: Tally) -> dict[str, float]:
    """Every counter that is not 0."""
    return {name: value for name, value in tally.counters.items() if value}


def test_times_count_from_the_plan() -> None:
    """A request that was planned for 10.0 and sent at 10.5 has waited half a second longer than its stream says."""
    tally = Tally().answered(Prefix.COLD, 10.0, GOOD, None)
    assert observed(tally) == {
        "probe_first_byte_seconds": (1, 0.6),
        f"probe_ttft_seconds{COLD}": (1, 1.0),
        "probe_e2e_seconds": (1, 2.0),
        "probe_tpot_seconds": (1, 0.5),
        "probe_itl_seconds": (2, 1.0),
    }
    assert counted(tally) == {
        'probe_requests{outcome="ok"}': 1,
        'probe_tokens{kind="prompt"}': 100,
        'probe_tokens{kind="output"}': 3,
    }


def test_a_timeout_is_kept_as_at_least_so_long() -> None:
    """A request that never ended is censored at the time when it was given up."""
    reply = Reply(Outcome.TIMEOUT, sent=10.0, ended=70.0, reason="no token in 60 s")
    tally = Tally().answered(Prefix.WARM, 10.0, reply, None)
    assert observed(tally) == {
        'probe_ttft_censored_seconds{prefix="warm"}': (1, 60.0),
        "probe_e2e_censored_seconds": (1, 60.0),
    }


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.CUT, Outcome.FAILED])
def test_a_stream_without_an_end_has_its_ttft(outcome: Outcome) -> None:
    """What came before the stall counts; the rest is censored; its gaps are of a stream that was not seen whole."""
    tally = Tally().answered(Prefix.COLD, 10.0, replace(GOOD, outcome=outcome), None)
    assert observed(tally) == {
        "probe_first_byte_seconds": (1, 0.6),
        f"probe_ttft_seconds{COLD}": (1, 1.0),
        "probe_e2e_censored_seconds": (1, 2.5),
    }


def test_one_that_could_not_be_sent_is_censored() -> None:
    """A planned request that another one blocked counts with the time that it certainly waited."""
    tally = Tally().overrun(Prefix.COLD, 7.0)
    assert counted(tally) == {'probe_skipped{reason="overrun"}': 1}
    assert observed(tally) == {
        f"probe_ttft_censored_seconds{COLD}": (1, 7.0),
        "probe_e2e_censored_seconds": (1, 7.0),
    }


def test_a_refusal_says_nothing_of_speed() -> None:
    """A request that the server does not take as it is asked is counted, and no latency."""
    tally = Tally().answered(Prefix.COLD, 10.0, Reply(Outcome.REFUSED, 10.0, 10.1, "404"), None)
    assert (counted(tally), observed(tally)) == ({'probe_requests{outcome="refused"}': 1}, {})


def test_chunks_are_no_tokens() -> None:
    """Where chunks and tokens differ, the gaps between chunks are no ITL; without usage there is no TPOT either."""
    several = Tally().answered(Prefix.COLD, 10.0, replace(GOOD, usage=Usage(100, 9)), None)
    assert "probe_itl_seconds" not in observed(several)
    assert several.histograms["probe_tpot_seconds"].sum == pytest.approx(1.0 / 8)
    unknown = Tally().answered(Prefix.COLD, 10.0, replace(GOOD, usage=None), None)
    assert not {"probe_itl_seconds", "probe_tpot_seconds"} & observed(unknown).keys()
    assert counted(unknown) == {'probe_requests{outcome="ok"}': 1, "probe_uncounted": 1}


def test_ttfo_is_told_where_it_differs() -> None:
    """An answer that began with reasoning has a time to its first other token."""
    tally = Tally().answered(Prefix.COLD, 10.0, replace(GOOD, first_answer=11.5), None)
    assert observed(tally)["probe_ttfo_seconds"] == (1, 1.5)


def test_what_is_left_out_is_counted() -> None:
    """A new connection leaves out the times that hold it, a warm-up and a taint leave out all."""
    new = Tally().answered(Prefix.COLD, 10.0, GOOD, LeftOut.NEW_CONNECTION)
    assert set(observed(new)) == {"probe_tpot_seconds", "probe_itl_seconds"}
    for reason in (LeftOut.WARM_UP, LeftOut.TAINTED):
        tally = Tally().answered(Prefix.COLD, 10.0, GOOD, reason)
        assert observed(tally) == {}
        assert tally.counters[f'probe_left_out{{reason="{reason}"}}'] == 1
        assert tally.counters['probe_tokens{kind="output"}'] == 3


def test_why_a_reply_is_left_out() -> None:
    """The first of a start, the tainted, and those whose TTFT holds a connection; never a failure, which is slow."""
    new = replace(GOOD, reused=False, connecting=0.1)
    assert left_out(GOOD, warming_up=False, tainted=False) is None
    assert left_out(GOOD, warming_up=True, tainted=True) is LeftOut.WARM_UP
    assert left_out(GOOD, warming_up=False, tainted=True) is LeftOut.TAINTED
    assert left_out(new, warming_up=False, tainted=False) is LeftOut.NEW_CONNECTION
    assert left_out(replace(new, connecting=0.001), warming_up=False, tainted=False) is None
    assert left_out(replace(new, outcome=Outcome.TIMEOUT), warming_up=False, tainted=True) is None


def test_a_tally_only_grows() -> None:
    """Each result makes a new Tally; the one before stays as it was, for another thread may be reading it."""
    first = Tally().answered(Prefix.COLD, 10.0, GOOD, None)
    second = first.answered(Prefix.COLD, 10.0, GOOD, None)
    assert first.counters['probe_requests{outcome="ok"}'] == 1
    assert second.counters['probe_requests{outcome="ok"}'] == 2
    assert second.histograms[f"probe_ttft_seconds{COLD}"].count == 2
    assert first.histograms[f"probe_ttft_seconds{COLD}"].count == 1


@pytest.mark.parametrize("bounds", [BOUNDS, TOKEN_BOUNDS])
def test_buckets_are_a_tenth_wide(bounds: tuple[float, ...]) -> None:
    """A quantile is known to a tenth of itself, from the fastest to the longest time that is waited for."""
    assert all(1.09 < high / low < 1.11 for low, high in pairwise(bounds))
    assert bounds[0] <= 0.001
    assert bounds[-1] >= 5.0


@pytest.mark.parametrize(
    ("usage", "outcome", "uncounted"),
    [
        (Usage(100, 3), Outcome.OK, 0),
        (None, Outcome.OK, 1),
        (Usage(None, 3), Outcome.OK, 1),
        (None, Outcome.TIMEOUT, 1),
        (None, Outcome.REFUSED, 0),
    ],
)
def test_a_request_whose_tokens_nobody_told_is_counted_as_such(
    usage: Usage | None, outcome: Outcome, uncounted: int
) -> None:
    """What it cost the server is among its tokens and not among the probe's; one that was refused cost none."""
    found = Tally().answered(Prefix.COLD, 10.0, replace(GOOD, usage=usage, outcome=outcome), None)
    assert found.counters["probe_uncounted"] == uncounted
