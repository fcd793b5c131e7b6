"""What a number on the screen claims: of now or of the window, of this machine, over, or not known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from metrics.effect import Effect, Grade
from metrics.finding import Recommendation, Risk, RiskState, Severity
from metrics.histogram import Quantile
from metrics.sample import State
from metrics.snapshot import Verdict
from tests.tui import canned
from tests.tui.reading import text_of
from tui import effects, words
from tui.frame import frame
from tui.panes import advice, graphs, header, host, load, risks, score
from tui.rows import crop_words
from tui.view import View

if TYPE_CHECKING:
    from metrics.observed import Target
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName
    from tui.rows import Row

replace = msgspec.structs.replace


def with_target(snapshot: Snapshot, **changes: object) -> Snapshot:
    return replace(snapshot, targets=(replace(snapshot.targets[0], **changes),))


def with_last_output(value: float | None, **changes: object) -> Snapshot:
    target = canned.overloaded_target()
    track = target.tracks["output_tokens_rate"]
    newest = replace(track, values=(*track.values[:-1], value))
    return with_target(canned.overloaded(), tracks={**target.tracks, "output_tokens_rate": newest}, **changes)


def stuck() -> Snapshot:
    risk = Risk("stuck_server", "Stuck server", RiskState.FIRING, Severity.CRITICAL, "certain", "high", "", "", None,
                "http://127.0.0.1:8000")  # fmt: skip
    return canned.overloaded(risks=(risk,))


def styles(rows: list[Row], text: str) -> set[StyleName]:
    return {style for row in rows for said, style in row if text in said}


def test_output_now_and_over_the_window() -> None:
    """A server that stopped shows 0 now beside the mean of the window; one that is stale shows no value of now."""
    stopped = text_of(graphs.throughput(with_last_output(0.0), View(), 60, 6))
    assert re.search(r" 0 now +97 avg +1\.2 req/s", stopped)
    stale = text_of(graphs.throughput(with_last_output(0.0, state=State.STALE), View(), 60, 6))
    assert re.search(r" — now +97 avg", stale)


def test_long_steps_are_not_called_now() -> None:
    """Over a window of a day a point of the graph is 10 min long, and says so."""
    target = canned.overloaded_target()
    tracks = {**target.tracks, "output_tokens_rate": replace(target.tracks["output_tokens_rate"], step=600.0)}
    assert "last 10 min" in text_of(graphs.throughput(with_target(canned.overloaded(), tracks=tracks), View(), 60, 6))


@pytest.mark.parametrize("snapshot", [stuck(), with_target(canned.healthy(), state=State.DOWN)])
def test_latencies_and_scores_of_a_server_that_serves_nobody_are_dim(snapshot: Snapshot) -> None:
    """While the server is down or stuck, what its latencies and scores were does not look like what they are."""
    heads = graphs.ttft(snapshot, View(), 60, 6)[:1]
    assert {style for text, style in heads[0] if re.search(r"\d", text)} == {"dim"}
    assert {style for text, style in score.score(snapshot, View(), 80, 1)[0] if "%" in text} == {"dim"}
    down = snapshot.targets[0].state is State.DOWN
    assert "dim" in styles(load.phases(snapshot, View(), 40, 1), "—" if down else "25-50 ms")


@pytest.mark.parametrize(
    ("real", "said"),
    [(9.2, "9 s/5 min"), (67.0, "67 s/5 min"), (130.0, "2 min/5 min"), (299.0, "5 min"), (None, "—/5 min")],
)
def test_window_stands_at_the_right_of_the_scores(real: float | None, said: str) -> None:
    """However much is known of the scores, the window that they speak of is named in full."""
    base = canned.overloaded(window_seconds=real)
    ranged = replace(base.scorecard.ttft, score=34.0, best=42.0)
    for card in (base.scorecard, replace(base.scorecard, ttft=ranged, quality=replace(ranged, best=None))):
        for width in (60, 80, 120):
            row = text_of(score.score(replace(base, scorecard=card), View(), width, 1))
            assert row.endswith(f" {said}")
    assert "34-42 %" in text_of(score.score(replace(base, scorecard=card), View(), 80, 1))


def test_unknown_scores_make_room() -> None:
    """Where not all scores fit, the unknown ones go, and the known ones stay whole."""
    row = text_of(score.score(canned.overloaded(), View(), 60, 1))
    assert "—" not in row
    assert "51 %" in row
    assert "74 %" in row


def test_since_when() -> None:
    """The verdict says since when, at its right end; without anything firing there is no such time."""
    rows = header.verdict(canned.overloaded(), View(), 80, 2)
    assert text_of(rows[:1]).endswith("since 14:01:50") or text_of(rows[:1]).endswith(
        words.clock_of(canned.overloading().since)
    )
    assert "since" not in text_of(header.verdict(canned.healthy(), View(), 80, 1))


def test_count_of_others_is_never_lost() -> None:
    """How many more fire stands behind the verdict, in a line of its own where the sentence fills the first."""
    text = "model overloading: 54 waiting for 41 s, TTFT p95"
    verdict = Verdict(Severity.CRITICAL, f"{text} (+1 other risk)")
    assert header.verdict_lines(canned.overloaded(verdict=verdict), 80) == [text, "(+1 other risk)"]
    assert header.verdict_lines(canned.overloaded(verdict=verdict), 120) == [f"{text} (+1 other risk)"]


def advised(*actions: str, effect: Effect | None = None) -> Snapshot:
    one = Recommendation("x", "Cap the queue, so that what is accepted is answered in time", actions, effect,
                         ("602 waiting",), ("model_overloading",), None)  # fmt: skip
    return canned.overloaded(recommendations=(one,))


def test_advice_is_what_to_do() -> None:
    """The advice names the flag and the restart, never the evidence again, and is cut at a word."""
    flag = "--max-num-queued-reqs 9: what comes above it gets 503 (now: not told by the server; takes a restart)"
    line = advice.advice_lines(advised(flag), View(), 80)[0]
    assert line == "Cap the queue: --max-num-queued-reqs 9 (restart)"
    effect = Effect("queue_seconds", 32.5, 0.0, None, 2.0, "s", "bound", Grade.C)
    assert advice.advice_lines(advised(effect=effect), View(), 80)[0] == "Cap the queue: queue 32.5 → 0-2 s (C)"
    assert "602" not in text_of(advice.advice(advised(flag, "restart it"), View(), 120, 3))
    assert words.action("-np lower (now 8; takes a restart)") == "-np lower (now 8, restart)"


def test_cut_at_a_word() -> None:
    """A line that is too long ends after a whole word; a single long word is cut all the same."""
    assert crop_words("airflow, inlet air, fans", 16) == "airflow, inlet…"
    assert crop_words("airflow, inlet air", 10) == "airflow…"
    assert crop_words("overloading", 6) == "overl…"
    assert crop_words("fits", 4) == "fits"


def test_real_host_beside_simulated_servers_is_named() -> None:
    """In a demo the host is the real machine, and says so; a host that is simulated does not."""
    demo = canned.demo()
    assert "HOST this machine" in text_of(host.host(demo, View(), 80, 1))
    assert "this machine" not in text_of(host.host(canned.overloaded(), View(), 80, 1))
    simulated = replace(demo, host=replace(canned.host(), facts={"simulated": "true"}))
    assert "this machine" not in text_of(host.host(simulated, View(), 80, 1))


def test_parts_have_the_unit_of_the_whole() -> None:
    """Used and total memory stand in one unit, clocks keep all their digits."""
    assert words.part(1.06 * 2**30, 23.5 * 2**30, "bytes") == "1.06/23.5 GiB"
    assert words.part(666 * 2.0**20, 23.5 * 2**30, "bytes") == "0.65/23.5 GiB"
    assert words.part(70.1 * 2**30, None, "bytes") == "70.1 GiB"
    gain = Effect("sm_clock_hertz", 1.155e9, 1.155e9, None, 1.98e9, "Hz", "bound", Grade.C)
    assert effects.effect(gain) == "sm clock 1155 → 1155-1980 MHz (C)"


@pytest.mark.parametrize("width", [34, 39, 60, 80])
def test_what_is_drawn_is_named(width: int) -> None:
    """A latency graph draws the quantiles that its heading names, and no other."""
    rows = graphs.ttft(canned.overloaded(), View(charset="ascii"), width, 8)
    heading, body = text_of(rows[:1]), text_of(rows[1:-1])
    for name, mark in (("p50", "."), ("p95", "*"), ("p99", "'")):
        drawn = any(mark in line[6:] for line in body.replace("0.8 s", "").splitlines())
        assert drawn == (name in heading)


def quick(milliseconds: float) -> Target:
    target = canned.healthy().targets[0]
    p95 = canned.track("s", [milliseconds / 1e3] * canned.STEPS)
    return replace(target, tracks={"ttft_p95": p95})


def test_unit_of_an_axis_does_not_flip() -> None:
    """Around one second, and with an objective of 2 s, TTFT stands in seconds on either side of it."""
    objective = replace(canned.overloaded().objectives[0], limit=2.0)
    for milliseconds in (40.0, 900.0, 1100.0):
        snapshot = replace(canned.healthy(), targets=(quick(milliseconds),), objectives=(objective,))
        assert text_of(graphs.ttft(snapshot, View(), 60, 6)).startswith(" TTFT s ")


def test_latencies_in_seconds_fit_their_slots() -> None:
    """A short latency that is written in seconds is not finer than a millisecond."""
    target = canned.healthy().targets[0]
    short = replace(target.quantities["ttft_seconds"], p50=Quantile(0.0672, 0.05, 0.1), p95=Quantile(0.17, 0.1, 0.25))
    objective = replace(canned.overloaded().objectives[0], limit=2.0)
    snapshot = replace(
        canned.healthy(),
        targets=(replace(target, quantities={**target.quantities, "ttft_seconds": short}),),
        objectives=(objective,),
    )
    assert re.search(r"p50 +~0\.067  p95 +0\.1-0\.25", text_of(graphs.ttft(snapshot, View(), 39, 6)[:1]))


def test_both_graphs_have_the_same_time_ticks() -> None:
    """Two graphs beside one another have their times in the same places, whatever the width."""
    for width in range(76, 140):
        axis = next(line for line in text_of(frame(canned.overloaded(), View(), width, 24)).splitlines() if "└" in line)
        left, right = axis.split("│")
        assert left.rstrip() == right.rstrip()


def test_labels_do_not_follow_their_numbers() -> None:
    """A label is the same whether its number is short or long."""
    for size in (18, 20, 24, 40):
        labels = {
            text_of(load.grid_of([("prefill avg", value, "plain")], size + 1, 1)).split(value)[0].strip()
            for value in ("1 s", "61.1 ms", "—")
        }
        assert len(labels) == 1


def test_certain_is_not_worth_a_column() -> None:
    """At 80 columns the likelihood stands only where it says something; its room goes to the summary."""
    sure = canned.overloaded(risks=(canned.overloading(), *canned.quiet_risks()))
    assert "likelihood" not in text_of(risks.risks(sure, View(), 80, 4))
    assert "likelihood" in text_of(risks.risks(sure, View(), 120, 4))
    assert "likelihood" in text_of(risks.risks(canned.overloaded(), View(), 80, 4))
    assert "1 firing, 9 not observed, 2 not visible" in text_of(risks.risks(sure, View(), 80, 2))


def test_name_of_a_simulated_gpu() -> None:
    """That a GPU is simulated stands in the header, not in its name."""
    named = canned.overloaded(gpus=(canned.gpu(0, name="NVIDIA H100 80GB HBM3 (simulated)"),))
    assert "(simulated)" not in text_of(frame(named, View(), 120, 40))
    assert "(simulated)" not in text_of(frame(named, View(page="gpu"), 120, 40))


def test_gpu_page_begins_with_its_condition() -> None:
    """What holds the clocks down stands at the top, and series are named in words."""
    hot = canned.gpu(1, throttled=41.0, gauges={'throttle{reason="hw_thermal"}': 1.0})
    text = text_of(frame(canned.overloaded(gpus=(hot,)), View(page="gpu"), 80, 60))
    assert re.search(r"^ +clocks held down by THERMAL since [\d:]+: clock 1155/1980 MHz, 87 °C$", text, re.MULTILINE)
    assert "throttled by hw thermal" in text
    assert "{" not in text
    lost = canned.gpu(1, state=State.DOWN, reason="lost: reset it")
    assert "DOWN, last heard of 0.6 s ago: lost: reset it" in text_of(
        frame(canned.overloaded(gpus=(lost,)), View(page="gpu"), 80, 24)
    )


def test_steps_stand_before_the_mitigation() -> None:
    """Advice comes first; the mitigation follows where it says something else, and alone where there is no advice."""
    more = replace(canned.overloading(), mitigation="Cap the queue, or shorten the prompts.")
    text = text_of(frame(canned.overloaded(risks=(more,)), View(page="why"), 80, 60))
    assert text.index("ADVICE") < text.index("MITIGATION")
    same = replace(canned.overloading(), mitigation="Cap the queue; or start one more replica.")
    assert "MITIGATION" not in text_of(frame(canned.overloaded(risks=(same,)), View(page="why"), 80, 60))
    alone = canned.overloaded(risks=(same,), recommendations=())
    assert "MITIGATION" in text_of(frame(alone, View(page="why"), 80, 60))


def test_risk_without_evidence_says_what_is_known() -> None:
    """Without evidence there is no empty block, but since when it is so, and the impact is not cut."""
    impact = "low: requests under way were lost, caches are cold, and whoever waited has to ask again"
    bare = replace(canned.overloading(), evidence=(), impact=impact)
    text = text_of(frame(canned.overloaded(risks=(bare,)), View(page="why"), 80, 60))
    assert "EVIDENCE" not in text
    assert "none given" not in text
    assert "EPISODES" in text
    assert impact in " ".join(text.split())


def test_flags_are_seen_without_scrolling() -> None:
    """The flags of the primary advice and what they bring stand on the first page of 80x24; what all say comes once."""
    note = "(now: not told by the server; takes a restart)"
    check = "check the flags against --help of this version"
    capped = advised(f"--max-num-queued-reqs N: what comes above it gets 503 (0.32 and newer) {note}", check)
    more = Recommendation("y", "Add capacity: a replica, or more requests at once",
                          (f"--data-parallel-size N, where GPUs are free {note}",
                           f"--max-num-seqs higher, as long as the KV cache has room {note}", check),
                          None, ("measured",), ("model_overloading",), None)  # fmt: skip
    snapshot = replace(capped, recommendations=(*capped.recommendations, more))
    text = text_of(frame(snapshot, View(page="why"), 80, 24))
    for flag in ("--max-num-queued-reqs", "--data-parallel-size", "--max-num-seqs"):
        assert flag in text
    assert "not told" not in text
    assert text_of(frame(snapshot, View(page="why"), 80, 60)).count(check) == 1


@pytest.mark.parametrize(
    ("state", "badge"), [("quiet", " OK "), ("young", " WATCHING "), ("pending", " PENDING "), ("blind", " ? ")]
)
def test_only_what_was_watched_long_enough_is_ok(state: str, badge: str) -> None:
    """Green says that something was looked for and not found; about to fire, too young and blind say so."""
    snapshot = replace(canned.healthy(), verdict=Verdict(None, "pending: model overloading: 60 waiting", state))
    first = text_of(header.verdict(snapshot, View(), 80, 2)).splitlines()[0]
    assert first.startswith(f" {badge}")
    assert "pending:" not in first


@pytest.mark.parametrize(
    ("monitor", "badge"),
    [
        ({}, "REPLAY "),
        ({"replay_position": 41.2, "replay_seconds": 120.0}, "REPLAY 41 s/2 min"),
        ({"replay_position": 120.0, "replay_seconds": 120.0, "replay_ended": 1.0}, "END OF RECORDING"),
    ],
)
def test_a_replay_says_where_it_is_and_when_it_is_over(monitor: dict[str, float], badge: str) -> None:
    """The last frame of a recording is not taken for a server that went silent."""
    snapshot = replace(canned.healthy(), mode="replay", monitor=monitor)
    assert badge in text_of(header.header(snapshot, View(), 100, 1))
