"""Rectangles at every size: inside, apart, not empty; and the frame keeps to them whatever it is given."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.effect import Effect, Grade
from metrics.finding import Change, RiskState
from metrics.histogram import Quantile
from metrics.observed import Measure
from metrics.sample import State
from metrics.snapshot import Verdict
from tests.tui import canned
from tui.frame import frame
from tui.layout import Counts, layout
from tui.rows import row_width
from tui.view import View

COUNTS = st.builds(
    Counts,
    verdict=st.integers(1, 12),
    targets=st.integers(0, 20),
    gpus=st.integers(0, 16),
    risks=st.integers(0, 30),
    quiet=st.integers(0, 1),
    estimates=st.integers(0, 5),
    advice=st.integers(0, 9),
    unseen=st.integers(0, 9),
    host=st.integers(0, 1),
    evidence=st.integers(0, 12),
    events=st.integers(0, 40),
    measured=st.booleans(),
)
HOSTILE = st.one_of(
    st.sampled_from(
        ["", "日本語のとても長いモデル名" * 20, "[bold red]x[/]", "[/]", "x" * 300, "\\[", "👩‍👩‍👧‍👦 ❤️ é", "a b " * 90]
    ),
    st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=300),
)
NUMBER = st.one_of(
    st.none(), st.just(0.0), st.floats(allow_nan=False, allow_infinity=False, min_value=-1e18, max_value=1e18)
)


@given(st.integers(1, 250), st.integers(1, 80), COUNTS)
@settings(max_examples=400, deadline=None)
def test_panes_are_inside_apart_and_not_empty(width: int, height: int, counts: Counts) -> None:
    """At any size no pane is empty, none leaves the screen, none overlaps another, none comes twice."""
    places = layout(width, height, counts)
    taken: set[tuple[int, int]] = set()
    for place in places:
        assert place.width > 0
        assert place.height > 0
        cells = {(x, y) for x in range(place.x, place.x + place.width) for y in range(place.y, place.y + place.height)}
        assert not taken & cells
        taken |= cells
        assert place.x >= 0
        assert place.x + place.width <= width
        assert place.y >= 0
        assert place.y + place.height <= height
    assert len({place.pane for place in places}) == len(places)
    assert "verdict" in {place.pane for place in places}


@given(st.integers(1, 250), st.integers(1, 80), COUNTS)
@settings(max_examples=100, deadline=None)
def test_order_is_the_same_at_every_size(width: int, height: int, counts: Counts) -> None:
    """Panes stand in one order from top to bottom, whatever the size."""
    order = ["header", "verdict", "targets", "score", "numbers", "ttft", "throughput", "itl", "requests", "load",
             "phases", "estimates", "since", "gpus", "host", "risks", "evidence", "advice", "unseen", "events",
             "footer"]  # fmt: skip
    places = sorted(layout(width, height, counts), key=lambda place: (place.y, place.x))
    assert all(order.index(a.pane) < order.index(b.pane) for a, b in pairwise(places))


@st.composite
def hostile_snapshots(draw: st.DrawFn) -> Any:
    def text() -> str:
        return draw(HOSTILE)

    def number() -> float | None:
        return draw(NUMBER)

    base = canned.ALL[draw(st.sampled_from(sorted(canned.ALL)))]()
    quantile = Quantile(number(), number() or 0.0, number())
    odd = Measure("s", rate=number(), increase=number(), value=number(), mean=number(), max=number(), count=number(),
                  p50=quantile, p95=quantile, p99=draw(st.sampled_from([None, quantile])))  # fmt: skip
    replace = msgspec.structs.replace
    effects = tuple(
        Effect(draw(st.sampled_from(["load", "headroom", "requests_finished"])), number(), number(), number(), number(),
               draw(st.sampled_from(["s", "1/s", "ratio", "Hz", "bytes", "1", text()])),
               draw(st.sampled_from(["unknown", "model", "bound"])), Grade.C, (text(),), number(), number(), text())
        for _ in range(draw(st.integers(0, 4)))
    )  # fmt: skip
    advice = tuple(
        replace(
            one, title=text(), actions=(text(), text()), effect=effects[0] if effects else None, because=(text(),),
            changes=(Change(text(), draw(st.sampled_from([None, text()])), text(), restart=draw(st.booleans())),),
            cost=text(), harm=text(), disproved_by=text(),
        )
        for one in base.recommendations
    )  # fmt: skip
    onsets = tuple(replace(one, quantity=text(), target=text()) for one in base.onsets)
    targets = tuple(
        replace(
            target, url=text(), engine=text(), engine_version=text(), model=text(), reason=text(),
            state=draw(st.sampled_from(list(State))), age_seconds=number(), uptime_seconds=number(),
            quantities=dict.fromkeys(target.quantities, odd) if draw(st.booleans()) else target.quantities,
            facts={text(): text()}, estimates=effects,
        )
        for target in base.targets
    )  # fmt: skip
    gpus = tuple(
        replace(
            gpu, name=text(), reason=text(), state=draw(st.sampled_from(list(State))), utilisation=number(),
            memory_used_bytes=number(), memory_total_bytes=number(), power_watts=number(), throttle_reasons=(text(),),
            throttled_seconds=draw(st.sampled_from([None, 5.0])), index=draw(st.sampled_from([None, 3, 12345])),
            sm_clock_hertz=number(), temperature_celsius=number(),
        )
        for gpu in base.gpus
    )  # fmt: skip
    risks = tuple(
        replace(
            risk, title=text(), summary=text(), likelihood=text(), impact=text(), description=text(),
            mitigation=text(), since=text(), state=draw(st.sampled_from(list(RiskState))),
        )
        for risk in base.risks[:5]
    )  # fmt: skip
    return replace(base, verdict=Verdict(base.verdict.severity, text()), targets=targets, gpus=gpus, risks=risks,
                   recommendations=advice, onsets=onsets)  # fmt: skip


@given(
    hostile_snapshots(),
    st.integers(1, 250),
    st.integers(1, 80),
    st.sampled_from(["overview", "why", "watched", "gpu", "numbers", "help"]),
    st.sampled_from(["braille", "block", "ascii"]),
)
@settings(max_examples=150, deadline=None)
def test_frame_fills_the_screen_exactly(snapshot: Any, width: int, height: int, page: Any, charset: Any) -> None:
    """Whatever a snapshot holds, every row is exactly as wide as the screen, and there are as many as it is high."""
    rows = frame(snapshot, View(page=page, charset=charset), width, height)
    assert len(rows) == height
    assert {row_width(row) for row in rows} == {width}
