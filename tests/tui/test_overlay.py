"""What is drawn over graphs: limits, events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from metrics.sample import Event
from tests.tui import canned
from tests.tui.reading import text_of
from tui.frame import frame
from tui.overlay import LINE, Moment, with_moments
from tui.panes.moments import MOST, moments
from tui.plot import Grid, Series, plot
from tui.rows import row_width
from tui.view import View

if TYPE_CHECKING:
    from tui.rows import Charset, Row, Span

GPU_0, GPU_1 = (canned.gpu(index) for index in range(2))
SERVER = "http://127.0.0.1:8000"


def joined(row: Row) -> str:
    return "".join(text for text, _ in row)


def happened(kind: str, target: str | None, code: int | None = None, at: float = -60.0) -> Event:
    return Event(canned.WALL + at, kind, kind, code, target)


def labels(about: str, *events: Event, gpus: tuple[int, ...] | None = None) -> list[str]:
    base = canned.fleet()
    targets = tuple(replace(each, gpus=gpus) if each.id == about else each for each in base.targets)
    return [each.label for each in moments(replace(base, events=events, targets=targets), about)]


def test_a_graph_has_the_events_of_its_own_server() -> None:
    """A mark is of all; the restart of one server is not in the graphs of another."""
    first, second = "http://10.0.0.1:8000", "http://10.0.0.2:8000"
    events = happened("mark", "monitor"), happened("restart", first), happened("replaced", second)
    assert labels(first, *events) == ["mark", "restart"]


def test_an_xid_is_in_the_graphs_of_the_servers_on_that_gpu() -> None:
    """Where it is not known which GPUs a server runs on, it may have been any."""
    xid = happened("xid", f"gpu:{GPU_1.uuid}", 79)
    assert labels("http://10.0.0.1:8000", xid) == ["XID 79"]
    assert labels("http://10.0.0.1:8000", xid, gpus=(1,)) == ["XID 79"]
    assert labels("http://10.0.0.1:8000", xid, gpus=(0,)) == []
    assert [each.label for each in moments(replace(canned.healthy(), events=(xid,)), f"gpu:{GPU_1.uuid}")] == ["XID 79"]
    assert moments(replace(canned.healthy(), events=(xid,)), f"gpu:{GPU_0.uuid}") == []


def test_only_the_newest_events_are_drawn() -> None:
    """A server that restarts all the time does not hatch its graphs."""
    many = tuple(happened("restart", SERVER, at=-60.0 * (40 - each)) for each in range(40))
    drawn = moments(replace(canned.healthy(), events=many), SERVER)
    assert len(drawn) == MOST
    assert drawn[-1].wall == many[-1].wall


def test_a_burst_of_events_does_not_push_the_mark_out() -> None:
    """Of what happens again within seconds the first is drawn, and marks are drawn whatever else happened."""
    burst = tuple(happened("xid", None, 31, at=-10.0 + each / 10) for each in range(20))
    assert labels(SERVER, happened("mark", "monitor"), *burst) == ["mark", "XID 31"]
    apart = tuple(happened("restart", None, at=-50.0 * each) for each in range(40, 0, -1))
    assert labels(SERVER, happened("mark", "monitor", at=-3000.0), *apart) == ["mark", *["restart"] * MOST]


def test_a_label_in_wide_characters_leaves_the_data_in_its_place() -> None:
    """A character of two cells takes the room of two, and one of none takes none."""
    row: list[Span] = [("          ", "plain"), ("aaaa", "series1")]
    assert joined(tuple(with_moments([row], [(1, "変更")])[0])) == f" {LINE}変更    aaaa"
    assert joined(tuple(with_moments([row], [(1, "e\u0301e")])[0])) == f" {LINE}ee      aaaa"
    assert joined(tuple(with_moments([row], [(1, "変更しました")])[0])) == f" {LINE}        aaaa"


def test_data_wins_over_a_line() -> None:
    """A line is drawn through blank cells alone; its label stands beside it where there is room."""
    body = with_moments([[("          ", "plain")], [("aaaaaaaaaa", "series1")]], [(3, "up")])
    assert body == [[("   ", "plain"), (f"{LINE}up", "dim"), ("    ", "plain")], [("aaaaaaaaaa", "series1")]]


def test_a_label_without_room_is_left_out() -> None:
    """At the right edge the label goes before its line; between data it is not written at all."""
    edge = with_moments([[(" " * 10, "plain")]], [(9, "mark")])
    assert joined(tuple(edge[0])) == f"     mark{LINE}"
    narrow = with_moments([[("aaaa aaaa", "plain")]], [(4, "mark")])
    assert joined(tuple(narrow[0])) == f"aaaa{LINE}aaaa"


@given(
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.text("abc ", max_size=30)), max_size=8),
    st.integers(1, 90),
    st.integers(1, 12),
    st.sampled_from(("braille", "block", "ascii")),
)
def test_any_events_leave_the_size_of_a_graph(
    found: list[tuple[float, str]], width: int, height: int, charset: Charset
) -> None:
    """Whatever happened whenever, a graph stays within its place, and its data stay."""
    values = [1.0, None, 3.0] * 20
    grid = Grid(1000.0, 5.0)
    series = [Series(values, "series1")]
    events = [Moment(1000.0 + at, label) for at, label in found]
    bare = plot(series, grid, width, height, charset)
    drawn = plot(series, grid, width, height, charset, None, events)
    assert [row_width(row) for row in drawn] == [width] * len(bare)
    for before, after in zip(map(joined, bare), map(joined, drawn), strict=True):
        assert all(one == other for one, other in zip(before, after, strict=True) if one != " ")


def test_events_are_legible_in_ascii_and_on_every_page() -> None:
    """In ASCII a line is of colons, and the pages of a risk and of a GPU have it too."""
    drawn = text_of(frame(canned.marked(), View(charset="ascii"), 120, 40))
    assert ":deployed v2" in drawn
    assert drawn.isascii()
    assert "XID 63" in text_of(frame(canned.marked(), View(page="gpu", gpu=GPU_1.uuid), 120, 40))
