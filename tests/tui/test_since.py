"""What a mark has come to, on the screen."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.tui import canned
from tests.tui.reading import text_of
from tui.frame import frame
from tui.panes import since
from tui.view import View


def line(width: int, **changes: object) -> str:
    return text_of(since.since(canned.marked(**changes), View(), width, 1)).strip()


def test_a_mark_says_what_came_of_it() -> None:
    """Means, bounds and rates of before and since stand in one line, with what was foretold."""
    assert line(160) == (
        "since     deployed v2 (3 min): ITL 45 → 31 ms, TTFT p95 1-2.5 → 0.5-1 s, 3.1 → 3.4 req/s, "
        "310 → 340 tok/s, predicted ITL 28.0-34.0 ms"
    )


@pytest.mark.parametrize("width", range(40, 160, 7))
def test_what_does_not_fit_is_left_out_whole(width: int) -> None:
    """No part of the line is cut: the least important ones go first, and ITL stays."""
    said = line(width)
    assert len(said) < width
    assert width < 60 or ("ITL 45 → 31 ms" in said and "…" not in said)


def test_another_load_is_said_before_all_else() -> None:
    """Numbers of another load are no comparison: that has its place in the shortest line."""
    before = canned.since().before
    more = {**canned.since().after, "requests_arrived": canned.counter(5.0)}
    assert line(80, before=before, after=more, alike=False).endswith("load 3.1 → 5/s: not alike")


def test_too_little_is_not_compared() -> None:
    """Until enough was seen the line says when there will be a result, and nothing that reads as an age."""
    assert line(80, why="told in 20 s", seconds=40.0) == "since     deployed v2: result in 20 s"


def test_an_engine_without_latencies_tells_its_tokens() -> None:
    """What is not measured is left out: no ITL, no TTFT."""
    only = {"output_tokens_total": canned.counter(310.0, "tokens")}
    assert line(80, before=only, after=only, foretold=()) == "since     deployed v2 (3 min): 310 → 310 tok/s"


def test_a_quantile_of_too_few_requests_is_not_known() -> None:
    """A p95 that one side does not tell stands as unknown beside the other's."""
    few = replace(canned.since().after["ttft_seconds"], p95=None)
    assert "TTFT p95 1-2.5 → — s" in line(160, after={**canned.since().after, "ttft_seconds": few})


def test_the_page_of_numbers_tells_on_what_it_rests() -> None:
    """The times, both sides of every number, the load and the prediction stand on the page of numbers."""
    page = text_of(frame(canned.marked(), View(page="numbers"), 100, 60))
    for said in (
        "SINCE deployed v2",
        "5 min before",
        "3 min 20 s since",
        "45 ms",
        "Predicted: ITL 31 → 31.0 ms, 28.0-34.0",
    ):
        assert said in page
    assert "not alike" not in page
    assert "The load is not alike" in text_of(frame(canned.marked(alike=False), View(page="numbers"), 100, 60))
    assert "result in 9 s" in text_of(frame(canned.marked(why="told in 9 s"), View(page="numbers"), 100, 60))


def test_without_a_mark_there_is_no_line() -> None:
    """Who marked nothing loses no row to it."""
    assert since.since(canned.healthy(), View(), 80, 1) == []
    assert "since " not in text_of(frame(canned.healthy(), View(), 80, 24))
