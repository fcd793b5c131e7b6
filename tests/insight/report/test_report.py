"""The whole report: what it says, in what order, and that no number in it came from anywhere but the Snapshot."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from insight.report import FORMATS, render
from insight.written import written as effect_numbers
from metrics import units
from metrics.effect import Effect, Grade
from metrics.finding import Evidence
from metrics.histogram import Quantile
from metrics.snapshot import Snapshot
from tests.insight.report import canned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.observed import Measure

GOLDENS = Path(__file__).parent / "goldens"
ENDINGS = {"text": "txt", "paste": "paste.txt"}
BASE_UNITS = ("s", "ratio", "bytes", "bytes/s", "Hz", "celsius", "W", "J", "1", "1/s", "tokens")
UNIT = r"(?:[µm]?s|min|[hd]|%|[KMGT]iB(?:/s)?|[kMG]|k?J|[BW]|MHz|°C|tokens(?:/s)?|/s)(?![\w/])"
NUMBER = re.compile(rf"\d[\d.]*(?: ?{UNIT}|(?:-\d[\d.]*)? {UNIT})")
SECTIONS = (
    "Verdict",
    "Executive summary of model performance",
    "Optimisation recommendations",
    "Risk table",
    "Evidence",
    "What was not visible",
    "Environment",
    "Method",
)


@pytest.mark.parametrize("format", ["md", "text", "html", "paste"])
@pytest.mark.parametrize("name", canned.SNAPSHOTS)
def test_goldens(name: str, format: str) -> None:  # noqa: A002 - as in `render`
    """A report is, to the letter, the one that was read and found good; UPDATE_GOLDENS=1 writes it anew."""
    written = render(canned.SNAPSHOTS[name](), format)
    golden = GOLDENS / f"{name}.{ENDINGS.get(format, format)}"
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_bytes(written)
    assert written.decode() == golden.read_text(encoding="utf-8")


def test_formats() -> None:
    """The formats are named in one place, and any other is refused in one line that names them."""
    assert FORMATS == ("md", "html", "text", "json", "csv", "paste")
    with pytest.raises(ValueError, match="no report format 'pdf': choose one of md, html, text, json, csv, paste"):
        render(canned.healthy(), "pdf")


@pytest.mark.parametrize("name", canned.SNAPSHOTS)
def test_sections(name: str) -> None:
    """Every section is there, in the order in which it is needed, also where there is nothing to say."""
    written = render(canned.SNAPSHOTS[name](), "md").decode()
    assert tuple(re.findall(r"^## (.*)$", written, re.MULTILINE)) == SECTIONS
    plain = render(canned.SNAPSHOTS[name](), "text").decode()
    assert tuple(re.findall(r"^(.*)\n-+$", plain, re.MULTILINE))[:1] == SECTIONS[:1]


def test_first_lines() -> None:
    """The first lines of the plain text are the verdict, the most important numbers and what to do."""
    begin = " ".join(render(canned.overloaded(), "text").decode().splitlines()[:14])
    for needed in ("CRITICAL: model overloading", "TTFT p95 ~38.2 s", "requests waiting 54", "What to do first: Cap"):
        assert needed in begin


def test_made_up_is_said_loudly() -> None:
    """What is simulated or replayed says so above everything else."""
    lines = render(canned.nothing_yet(), "text").decode().splitlines()
    assert lines[3].startswith("!! SIMULATED")
    assert lines[5].startswith("!! REPLAY")
    assert "SIMULATED" not in render(canned.healthy(), "text").decode()
    assert "REPLAY" not in render(canned.healthy(), "text").decode()


def cells(snapshot: Snapshot, first: str) -> list[list[str]]:
    """The rows of the table whose first column is called `first`, as a Markdown parser sees them."""
    rows: list[list[str]] = []
    for token in MarkdownIt("gfm-like").parse(render(snapshot, "md").decode()):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append("".join(each.content for each in token.children or []))
    begin = next(i for i, row in enumerate(rows) if row[0] == first)
    return [row[: len(rows[begin])] for row in rows[begin + 1 :]]


def test_every_risk_has_its_row() -> None:
    """The risk table has a row for each risk, in the order of the Snapshot, with every column filled."""
    snapshot = canned.overloaded()
    rows = cells(snapshot, "risk")[: len(snapshot.risks)]
    for row, risk in zip(rows, snapshot.risks, strict=True):
        assert row[0].startswith(risk.title)
        assert row[2:] == [risk.description, risk.mitigation, risk.likelihood, risk.impact]
    assert [row[1] for row in rows] == [
        *("firing, critical", "firing, warning", "pending, warning", "unknown", "not observed")
    ]


def test_unknown_is_no_zero() -> None:
    """What a server does not tell has its row with dashes, and the reason stands below it."""
    snapshot = canned.healthy()
    one = snapshot.targets[0]
    quantities = {name: each for name, each in one.quantities.items() if name not in {"ttft_seconds", "kv_cache_usage"}}
    snapshot = replace(
        canned.healthy(),
        targets=(replace(one, quantities=quantities),),
        not_visible=(replace(snapshot.not_visible[0], what="TTFT", why="not in this version", target=one.id),),
    )
    assert cells(snapshot, "observed")[0] == ["TTFT", *"——————"]
    assert cells(snapshot, "level")[2] == ["KV cache in use", *"————"]
    assert "Not seen here: TTFT (not in this version)." in render(snapshot, "text").decode()


def test_what_a_server_can_take() -> None:
    """Each estimate has its value with its interval, basis, grade, n and window, or what is missing instead."""
    snapshot = canned.overloaded()
    assert [row[1:] for row in cells(snapshot, "what it can take")[:4]] == [
        [">82 %", "bound", "C", "71", "3 min 33 s"],
        ["1.2/s [1.14-1.26/s]", "measured", "A", "84", "1 min 9 s"],
        ["—", "needs steps of more sizes", "—", "—", "—"],
        ["-42.9 % [-45.7 % to -40 %]", "measured", "A", "84", "1 min 9 s"],
    ]
    named = [row[0] for row in cells(snapshot, "what it can take")[:4]]
    assert named == ["load", "capacity", "rate with mean ITL at limit", "headroom"]
    exact = Effect("cost_per_million_tokens", 2.5, 2.5, 2.5, 2.5, "$", "measured", Grade.A, n=9.0, name="price")
    priced = replace(snapshot, targets=(replace(snapshot.targets[0], estimates=(exact,)),))
    assert cells(priced, "what it can take")[0] == ["price", "2.5 $", "measured", "A", "9", "—"]
    written = " ".join(render(snapshot, "text").decode().split())
    assert "Holds only if: prompts and outputs stay as they are. Grade A: measured" in written
    assert "what it can take" not in render(canned.healthy(), "md").decode()


def test_worst_server_first() -> None:
    """Of many servers those with a firing risk come first, and only a few have a line under the verdict."""
    snapshot = canned.overloaded()
    fine = [replace(snapshot.targets[0], id=f"http://10.0.0.{i}", url=f"http://10.0.0.{i}") for i in range(9)]
    written = render(replace(snapshot, targets=(*fine, snapshot.targets[0])), "text").decode()
    glances = re.findall(r"^\* (.*)", written.split("Executive summary")[0], re.MULTILINE)
    assert glances[0].startswith(canned.URL)
    assert len(glances) == 8
    assert "4 more servers stand in the summary." in glances
    assert len(re.findall(r"^-- http://\S*$", written, re.MULTILINE)) == 10


def test_parts_are_shown_and_not_too_many() -> None:
    """A counter is shown with its parts where they are few; what is not put together over engines says so."""
    one = canned.healthy().targets[0]
    engines = {f"engine={i}": canned.gauge(1, 1, 2) for i in range(2)}
    many = {f"reason=r{i}": canned.counter(1) for i in range(7)}
    quantities = {
        **one.quantities,
        "requests_running": replace(canned.gauge(2, 0, 0), mean=None, max=None, by=engines),
        "requests_finished": replace(one.quantities["requests_finished"], by=many),
    }
    written = render(replace(canned.healthy(), targets=(replace(one, quantities=quantities),)), "text").decode()
    assert "- engine=1" in written
    assert "Mean and max are not put together over several engines." in written
    assert "reason=r" not in written


def test_probe_is_told_from_server() -> None:
    """What a client of ours measured says so on its row."""
    one = canned.healthy().targets[0]
    quantities = {**one.quantities, "ttft_seconds": replace(one.quantities["ttft_seconds"], source="probe")}
    snapshot = replace(canned.healthy(), targets=(replace(one, quantities=quantities),))
    assert cells(snapshot, "observed")[0][-1] == "4 min 59 s (probe)"


def floats(node: Any) -> Iterator[Any]:
    """Every number in a Snapshot, and every quantile and interval as a whole."""
    if isinstance(node, msgspec.Struct):
        if isinstance(node, Quantile | Effect):
            yield node
        if isinstance(node, Evidence | Effect):
            yield Quantile(None, node.lo or 0.0, node.hi)
        yield from floats(list(msgspec.structs.asdict(node).values()))
    elif isinstance(node, dict):
        yield from floats(list(node.values()))
    elif isinstance(node, list | tuple):
        for each in node:
            yield from floats(each)
    elif isinstance(node, int | float | str):
        yield node


def produced(snapshot: Snapshot) -> set[str]:
    """Every number with a unit that the formatters can make of what the Snapshot holds, or that its texts hold."""
    written = []
    for each in floats(snapshot):
        if isinstance(each, str):
            written.append(each)
        elif isinstance(each, Effect):
            _, then, interval, unit = effect_numbers(each)
            written += [f"{then}{unit}", f"{interval}{unit}"]
        elif isinstance(each, Quantile):
            written += [f(each, unit) for f in (units.estimate, units.bounds) for unit in BASE_UNITS]
        else:
            written += [units.value(each, unit) for unit in BASE_UNITS]
            written += [units.rate(each, unit) for unit in ("1", "tokens", "bytes", "requests", "output tokens")]
            written += [units.duration(each), units.score(each)]
    return numbers("\n".join(written))


def numbers(text: str) -> set[str]:
    """The numbers with units in a text, without the zeros that only make columns even."""
    return {re.sub(r"(\.\d*?)0+(?= )", r"\1", each).replace(". ", " ") for each in NUMBER.findall(text)}


@pytest.mark.parametrize("format", ["md", "text", "paste"])
@pytest.mark.parametrize("name", canned.SNAPSHOTS)
def test_no_number_from_nowhere(name: str, format: str) -> None:  # noqa: A002 - as in `render`
    """Every number with a unit in a report is one that the formatters made of a field of the Snapshot."""
    snapshot = canned.SNAPSHOTS[name]()
    found = numbers(render(snapshot, format).decode())
    assert found <= produced(snapshot)
    assert len(found) >= (0 if not snapshot.gpus else 40 if format in {"md", "text"} else 10)


def infected(snapshot: Snapshot, text: str) -> Snapshot:
    """Put a text wherever a server, a driver, a host or a file can put one."""
    free = {
        *("url", "model", "engine", "engine_version", "reason", "title", "likelihood", "impact", "description"),
        *("mitigation", "summary", "text", "what", "why", "consequence", "name", "version", "cuda_version", "kind"),
        *("basis", "objective", "cost", "harm", "disproved_by", "needs", "flag", "now", "proposed"),
    }

    def walk(node: Any, key: str = "") -> Any:
        if isinstance(node, dict):
            named = key in {"facts", "by"}
            return {(f"{name} {text}" if named else name): walk(each, name) for name, each in node.items()}
        if isinstance(node, list | tuple):
            return [
                walk(each, "title" if key in {"actions", "because", "assumptions", "valid_if"} else key)
                for each in node
            ]
        return text if isinstance(node, str) and key in free else node

    return msgspec.convert(walk(msgspec.to_builtins(snapshot)), Snapshot)


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "a|b", "[x](http://evil.example)", "![x](http://evil.example)", "a\nb\n\n# c", "`c`"],
)
def test_hostile_text(text: str) -> None:
    """Wherever a text comes from outside, it stays text, and the report keeps its shape."""
    tokens = MarkdownIt("gfm-like").parse(render(infected(canned.overloaded(), text), "md").decode())
    types = {child.type for token in tokens for child in (token.children or [token])}
    assert not types & {"html_inline", "html_block", "link_open", "image", "fence", "code_block", "hr"}
    calm = MarkdownIt("gfm-like").parse(render(infected(canned.overloaded(), "calm"), "md").decode())
    assert [token.type for token in tokens] == [token.type for token in calm]


def test_text_and_markdown_say_the_same() -> None:
    """Both are written from the same blocks, so the numbers in one are the numbers in the other."""
    for make in canned.SNAPSHOTS.values():
        plain, source = (render(make(), each).decode() for each in ("text", "md"))
        assert set(NUMBER.findall(plain)) == set(NUMBER.findall(source))
        assert render(make(), "html") == render(make(), "html")


def test_a_counter_that_moves_in_lumps_says_so() -> None:
    """What has to be known to read a rate stands below the table of rates."""
    one = canned.healthy().targets[0]
    why = "the server counts this when a request ends"
    quantities = {**one.quantities, "output_tokens_total": replace(one.quantities["output_tokens_total"], note=why)}
    snapshot = replace(canned.healthy(), targets=(replace(one, quantities=quantities),))
    assert f"Output tokens: {why}." in " ".join(render(snapshot, "text").decode().split())
    assert why not in render(canned.healthy(), "text").decode()


def of(snapshot: Snapshot, **quantities: Measure) -> Snapshot:
    """The Snapshot with one server, which has these quantities alone."""
    return replace(snapshot, targets=(replace(snapshot.targets[0], quantities=quantities),))


def test_what_a_server_has_over_a_time_of_its_own_is_only_its_newest() -> None:
    """Rates of hits and drafts that the server worked out itself have a row without mean, maximum and window."""
    snapshot = of(
        canned.healthy(),
        prefix_cache_hit_rate=canned.gauge(0.42, 0.4, 0.5, "ratio"),
        spec_acceptance_length=canned.gauge(2.4, 2.1, 3.0, "tokens"),
    )
    rows = cells(snapshot, "level")
    assert rows[3] == ["prefix cache hit rate", "42 %", "", "", "as the server has it"]
    assert rows[4] == ["spec acceptance length", "2.4 tokens", "", "", "as the server has it"]


def test_tokens_of_the_probe_are_told_from_those_of_others() -> None:
    """Where a probe asks, what was generated for others than it has its own row."""
    snapshot = of(canned.healthy(), output_tokens_without_probe=canned.counter(40_000, "tokens"))
    assert [row[0] for row in cells(snapshot, "rate")][:3] == [
        *("requests finished", "output tokens", "output tokens without probe")
    ]


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("openai", "no metrics page: only --probe shows what a client gets"),
        ("ollama", "no metrics page: only --probe shows what a client gets"),
        ("vllm", "nothing was measured over a window yet"),
    ],
)
def test_a_server_without_a_metrics_page_says_so(engine: str, said: str) -> None:
    """Under the verdict stands why there is no number: nothing yet, or nothing ever without a probe."""
    one = replace(canned.healthy().targets[0], engine=engine, quantities={}, tracks={})
    snapshot = replace(canned.healthy(), targets=(one,))
    assert said in " ".join(render(snapshot, "text").decode().split())
    probed = replace(one, quantities={"probe_ttft_seconds": canned.observed((0.1, 0.2), (3, 40, 1), 0.12)})
    assert "TTFT, probe p95 ~" in " ".join(render(replace(snapshot, targets=(probed,)), "text").decode().split())


def test_what_changed_first_is_one_line_and_a_table() -> None:
    """The order of the changes is a sentence; where and by how much stands below, with how exact the moment is."""
    snapshot = canned.overloaded()
    written = " ".join(render(snapshot, "text").decode().split())
    assert (
        "KV cache in use 14:21:33, requests waiting 14:21:39, SM clock of GPU 1 14:21:51, TTFT p95 14:21:55." in written
    )
    assert cells(snapshot, "when (UTC)")[3] == ["14:21:55", "TTFT p95", canned.URL, "220 ms", "15.3 s", "30 s"]
    assert "What changed first" not in render(canned.healthy(), "text").decode()


def test_several_servers_are_named_where_they_changed() -> None:
    """With two servers each change, each graph and each level of load says whose it is."""
    snapshot = canned.overloaded()
    other = replace(snapshot.targets[0], id="http://b:1", url="http://b:1")
    written = render(replace(snapshot, targets=(*snapshot.targets, other)), "text").decode()
    joined = " ".join(written.split())
    assert f"KV cache in use of {canned.URL} 14:21:33" in joined
    assert "TTFT (http://b:1) p95:" in joined
    assert f"Normal and heavy load of {canned.URL}" in joined


def test_levels_of_load_stand_side_by_side() -> None:
    """Normal and heavy load have a row each with what the server did, and below stands what tells them apart."""
    snapshot = canned.overloaded()
    normal, heavy = cells(snapshot, "load")[:2]
    assert normal[:5] == ["normal", "4 min", "3", "1.37/s", "135 tokens/s"]
    assert heavy[5].startswith("~38.2 s")
    assert canned.LEVELS_WHY[3:40] in " ".join(render(snapshot, "text").decode().split())
    even = replace(snapshot, levels=(replace(snapshot.levels[0], name="even", why="the load was one level"),))
    assert "-- Load\n" in render(even, "text").decode()


def test_settings_to_change_are_a_table() -> None:
    """Flag, what it is, what it is to be and whether that takes a restart; the rest of the advice as sentences."""
    snapshot = canned.overloaded()
    assert cells(snapshot, "flag")[:2] == [
        ["--max-num-queued-reqs", "not told by the server", "17", "yes"],
        ["--max-num-seqs", "8", "12", "yes"],
    ]
    written = " ".join(render(snapshot, "text").decode().split())
    for each in ("Costs: a restart", "May get worse: what comes", "Disproved by: TTFT p95", "Holds only if: prompts"):
        assert each in written
    assert "n 118, seen over 4 min 50 s" in written


def test_what_would_have_to_be_measured_is_said() -> None:
    """An effect that cannot be told says what would have to be measured first."""
    snapshot = canned.overloaded()
    unknown = Effect("ttft_p95", 33.2, None, None, None, "s", "unknown", Grade.D, needs="a run at two loads")
    advice = replace(snapshot.recommendations[0], effect=unknown)
    assert (
        "To be measured first: a run at two loads."
        in render(replace(snapshot, recommendations=(advice,)), "text").decode()
    )


def test_withheld_advice_has_its_reason() -> None:
    """Also where nothing is recommended, what would usually be said and is not has its row."""
    snapshot = replace(canned.overloaded(), recommendations=())
    assert cells(snapshot, "advice")[0][1].startswith("it is on: 57.6 %")
    assert "Advice withheld" not in render(canned.healthy(), "text").decode()


def test_many_servers_do_not_drown_the_report() -> None:
    """The graphs of the worst four are shown, and how many more there are is said."""
    snapshot = canned.overloaded()
    targets = tuple(replace(snapshot.targets[0], id=f"http://h:{i}", url=f"http://h:{i}") for i in range(7))
    written = render(replace(snapshot, targets=targets), "text").decode()
    assert "3 more servers have no graphs here." in written
    assert "TTFT (http://h:3) p95" in " ".join(written.split())
    assert "TTFT (http://h:4) p95" not in " ".join(written.split())
