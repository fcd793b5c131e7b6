"""What to do, what it would bring, what changed first, what is not wrong: said whole, no finer than it is known."""

from __future__ import annotations

import math
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.written import resolution
from metrics.effect import Effect, Grade
from metrics.finding import Change, RiskState, Severity
from metrics.snapshot import Verdict
from tests.tui import canned
from tests.tui.reading import text_of
from tui import effects, words
from tui.frame import frame
from tui.panes import capacity, header, onsets, risks, steps, watched
from tui.view import QUIET, View

replace = msgspec.structs.replace


def modelled(
    lo: float, mid: float, hi: float, unit: str, quantity: str = "itl_seconds", n: float | None = 71
) -> Effect:
    return Effect(quantity, 0.033, lo, mid, hi, unit, "model", Grade.B, n=n, window_seconds=213.0)


@pytest.mark.parametrize(
    ("interval", "unit", "said"),
    [
        ((0.3738, 0.4157, 0.4575), "ratio", "42 % (37-46, B)"),
        ((0.3518, 0.6898, 1.0279), "ratio", "69 % (35-103, B)"),
        ((18.43, 18.71, 18.99), "1/s", "18.7/s (18.4-19.0, B)"),
        ((16.09, 20.11, 24.13), "1/s", "20/s (16-24, B)"),
        ((0.018, 0.02, 0.022), "s", "20.0 ms (18.0-22.0, B)"),
        ((-0.44, -0.4312, -0.42), "ratio", "-43.1 % (-44.0 to -42.0, B)"),
        ((5.0, 5.0, 5.0), "1/s", "5.00/s (5.00-5.00, B)"),
    ],
)
def test_no_more_digits_than_the_interval_tells(interval: tuple[float, float, float], unit: str, said: str) -> None:
    """A number is rounded to what its interval tells of it, and its ends to the same place."""
    assert effects.estimate(modelled(*interval, unit)) == said


@given(st.floats(1e-6, 1e9), st.floats(0.0, 1.0))
def test_rounding_keeps_the_interval(mid: float, share: float) -> None:
    """Rounding moves no end by more than a fifth of half the interval, and never writes more than three digits."""
    lo, hi = mid * (1 - share), mid * (1 + share)
    place = resolution(lo, hi)
    assert place >= math.floor(math.log10(hi)) - 2
    if place > math.floor(math.log10(hi)) - 2:
        assert 10.0**place / 2 <= (hi - lo) / 2 * 0.2


def test_what_is_only_bounded_has_no_middle() -> None:
    """Bounds stand to two digits, one of them as `at least` or `at most`, and what is not known says what it needs."""
    both = Effect("requests_finished", 11.8, 10.7, None, 14.03, "1/s", "bound", Grade.C)
    assert effects.effect(both) == "requests finished 11.8 → 11-14/s (C)"
    assert effects.estimate(replace(both, hi=None)) == "at least 11/s (C)"
    assert effects.estimate(replace(both, lo=None)) == "at most 14/s (C)"
    needs = canned.unknown("requests_finished", "1/s", "12 windows more")
    assert effects.expected(needs) == "requests finished: not known, needs 12 windows more"
    assert effects.estimate(needs) == "—"


def test_effect_says_what_it_rests_on() -> None:
    """Now, then, the interval, the basis, the grade, how many windows and over which time."""
    one = modelled(0.018, 0.02, 0.022, "s")
    assert effects.expected(one) == "ITL 33 → 20.0 ms, 18.0-22.0"
    assert effects.basis(one) == "model, grade B, n 71 over 3 min 33 s"
    advice = replace(canned.cap_the_queue(), effect=one)
    for width in (60, 100):
        text = text_of(steps.steps((advice,), canned.overloading(), width))
        assert "ITL 33 → 20.0 ms, 18.0-22.0 (model, grade B, n 71 over 3 min 33 s)" in " ".join(text.split())


def capacity_line(snapshot: object, width: int) -> str:
    return text_of(capacity.estimates(snapshot, View(), width, 1))  # type: ignore[arg-type] # canned, of any


def test_load_and_headroom_keep_their_intervals_longest() -> None:
    """Where not all fits, capacity goes before the intervals of load and headroom do."""
    healthy = canned.healthy()
    wide = capacity_line(healthy, 140)
    assert "load 42 % (37-46, B)   headroom +69 % (35-103, C)   capacity 20/s (16-24, C)" in wide
    assert "mean ITL at limit at least 22/s (C)" in wide
    assert capacity_line(healthy, 60) == " load 42 % (37-46, B)   headroom +69 % (35-103, C)"
    assert capacity_line(healthy, 44) == " load 42 % (37-46, B)   headroom +69 % (C)"
    assert capacity_line(healthy, 40) == " load 42 % (B)   headroom +69 % (C)"


def test_what_is_not_known_of_the_load_says_what_it_needs() -> None:
    """Load and headroom have their place while they are not known, with the reason; a measured capacity says so."""
    needs = "traffic in 15 more windows of 3 s"
    of_none = tuple(replace(canned.unknown(name, "1", needs), name=name) for name in ("load", "capacity", "headroom"))
    target = replace(canned.overloaded_target(), estimates=of_none)
    blind = replace(canned.overloaded(), targets=(target,))
    assert capacity_line(blind, 80) == f" load —   headroom —   needs {needs}"
    assert "measured capacity 1.20/s" in capacity_line(canned.overloaded(), 80)


def test_levels_of_load_have_their_table() -> None:
    """Normal and heavy load stand below one another on the page of numbers and on a large screen."""
    text = text_of(frame(canned.overloaded(), View(page="numbers"), 80, 60))
    assert re.search(r"normal +4\.1 +1\.2/s +— +250-500 ms", text)
    assert re.search(r"heavy +38 +1\.2/s", text)
    assert "heavy" in text_of(frame(canned.overloaded(), View(), 200, 50))
    assert "normal" not in text_of(frame(canned.healthy(), View(), 200, 50))


def why(width: int = 80, height: int = 80) -> str:
    return text_of(frame(canned.overloaded(), View(page="why", charset="ascii"), width, height))


def test_advice_is_said_whole() -> None:
    """Each advice has its flags, now and proposed, what it brings, costs, harms, what disproves it; and none twice."""
    text = " ".join(why().split())
    parts = ["ADVICE 1 of 2 Cap the queue", "--max-num-queued-reqs - > 9 (restart) what comes above it gets 503",
             "TTFT 33 > 0.70 s", "costs ", "may harm ", "wrong if ", "because ", "provided ",
             "ADVICE 2 of 2 Let more requests run at once", "--max-num-seqs 8 > 16 (restart)",
             "requests finished: not known, needs traffic in 15 more windows of 3 s",
             "check the flags", "NOT ADVISED", "Use fewer replicas: requests wait"]  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.count("each of them takes 6.7 s") == 1
    assert text.count("check the flags") == 1
    assert "Cool the GPU" not in text  # withheld, but of a GPU


def test_long_flags_and_values_are_never_cut() -> None:
    """On a narrow screen a flag, its value and what is said of it come below one another, whole."""
    long = Change("--speculative-config-of-the-engine", "a value that is long", "another value", restart=True)
    one = replace(canned.cap_the_queue(), changes=(long,), actions=(f"{long.flag} another value: what it does",))
    text = " ".join(text_of(steps.steps((one,), canned.overloading(), 40)).split())
    assert f"{long.flag} a value that is long → another value (restart) what it does" in text


def test_action_without_its_flag() -> None:
    """Of an action that sets a flag only the remark is left; one that sets another flag is no remark."""
    change = Change("--max-num-seqs", None, "lower", restart=True)
    note = "(now: not told by the server; takes a restart)"
    assert words.remark(f"--max-num-seqs lower: none is thrown out {note}", change) == "none is thrown out"
    assert words.remark(f"--max-num-seqs lower {note}", change) == ""
    assert words.remark("--max-num-seqs-other lower: other", change) is None
    assert words.remark("clients back off: later", change) is None


def test_what_changed_first_is_a_chain_of_moments() -> None:
    """GPUs with the same change are one, what may have begun earlier says `by`, and nothing known says nothing."""
    chain = text_of(onsets.onsets(canned.overloaded(), canned.overloading(), 120))
    clock = words.clock
    assert (
        f"KV ↑ {clock(canned.WALL - 61)} → GPUs 0-1 clock ↓, queue ↑ {clock(canned.WALL - 41)} → "
        f"TTFT p95 ↑ by {clock(canned.WALL - 11)}"
    ) in chain
    assert "by: may have begun up to 60 s before" in chain
    assert onsets.onsets(canned.healthy(), canned.overloading(), 80) == []


def test_changes_of_other_servers_are_left_out() -> None:
    """With several servers the chain is that of the server that the risk is about, and of its GPUs."""
    fleet = canned.fleet()
    risk = fleet.risks[0]
    mine = replace(canned.first_changes()[0], target=risk.target)
    other = replace(canned.first_changes()[3], target="http://10.0.0.2:8000")
    chain = text_of(onsets.onsets(replace(fleet, onsets=(mine, other)), risk, 80))
    assert "KV" in chain
    assert "queue" not in chain


def test_quiet_risks_are_one_line() -> None:
    """However many rules there are, those that do not hold take a line, which names what could not be seen."""
    rows = risks.risks(canned.overloaded(), View(), 100, 5)
    assert text_of(rows[-1:]) == " 9 more not observed, 2 not visible: quiet rule 9, quiet rule 10"
    assert "not observed" not in text_of(rows[:1])
    none = text_of(risks.risks(canned.healthy(), View(), 100, 3))
    assert "RISKS none found\n▸9 not observed, 2 not visible" in none
    assert watched.counted(replace(canned.healthy(), risks=()), more=False) == ""


def test_quiet_line_is_reached_where_there_was_no_room_for_it() -> None:
    """Below the last risk the list scrolls to the line of those that do not hold."""
    rows = text_of(risks.risks(canned.overloaded(), View(risk=QUIET), 100, 4))
    assert "▸9 more not observed" in rows
    assert rows.count("▸") == 1


def test_page_of_what_does_not_hold() -> None:
    """Every risk has its place: what could not be seen with its reason, what was not observed with what that says."""
    blind = replace(canned.saturation(), state=RiskState.UNKNOWN, title="Data latency", summary="needs --probe")
    never = replace(canned.saturation(), state=RiskState.NOT_OBSERVED, likelihood="at most 3 in 5 min", summary="")
    said = replace(never, title="Drift", summary="PSI 0.02 (limit 0.25)")
    text = text_of(watched.watched(replace(canned.healthy(), risks=(never, said, blind)), 80))
    assert re.search(r"NOT VISIBLE +1\n +Data latency +needs --probe", text)
    assert re.search(r"NOT OBSERVED +2\n +at most 3 in 5 min\n +Drift +PSI 0\.02 \(limit 0\.25\)\n +cache sat", text)


def test_what_most_have_in_common_is_said_once() -> None:
    """How long nothing was seen stands above the risks, and beside one what is known of it alone."""
    usual = "not observed in 5 min"
    base = replace(canned.saturation(), state=RiskState.NOT_OBSERVED, likelihood=usual, summary="")
    risky = replace(base, title="GPU lost", likelihood=f"{usual}; 0.24 % within 1 d")
    others = tuple(replace(base, title=f"rule {index}") for index in range(3))
    text = text_of(watched.watched(replace(canned.healthy(), risks=(*others, risky)), 80))
    assert text.count(usual) == 1
    assert re.search(r"GPU lost +0\.24 % within 1 d\n +rule 0 +rule 2\n +rule 1", text)


def test_joined_evidence_keeps_its_first_clauses() -> None:
    """A long verdict ends after a clause, not within a word; the page of the risk says the rest."""
    text = ("decode -41 % since 14:02:10; GPU 3 SM clock 1980 to 1155 MHz, hardware thermal; "
            "tensor-parallel group GPUs 0-7; the rest of them wait for it in every step that is made")  # fmt: skip
    snapshot = canned.overloaded(verdict=Verdict(Severity.CRITICAL, text))
    shown = text_of(header.verdict(snapshot, View(), 80, 2))
    assert " ".join(shown.split()).endswith("tensor-parallel group GPUs 0-7")
    assert "…" not in shown
