"""What an engineer on call has to read right at the first look."""

from __future__ import annotations

import asyncio

import msgspec

from metrics.finding import Change, Evidence, Recommendation, Risk, RiskState, Severity
from metrics.observed import Driver, Host
from metrics.sample import State
from metrics.snapshot import Verdict
from tests.tui import canned
from tests.tui.reading import text_of
from tui import words
from tui.app import MARKED, ChimeraApp
from tui.frame import frame
from tui.panes import advice, capacity, findings, footer, gpus, graphs, header, host, load, reference, risks, why
from tui.rows import to_ascii
from tui.view import QUIET, View, chosen_risk, folded

replace = msgspec.structs.replace


def capped(index: int, **changes: object) -> Risk:
    """GPU `index` at its power limit."""
    one = Risk("power_cap", "Power limit reached", RiskState.FIRING, Severity.WARNING, "certain", "medium",
               f"GPU {index} runs at its power limit.", "", canned.overloading().since,
               f"gpu:{canned.gpu(index).uuid}", f"GPU {index}, at its power limit for 71 % of 30 s")  # fmt: skip
    return replace(one, **changes)


def test_gpus_with_findings_are_not_all_ok() -> None:
    """GPUs that are summed up are counted by what is found of each: risks, ECC errors, XID errors."""
    cards = tuple(canned.gpu(index, throttle_reasons=("sw_power_cap",)) for index in range(8))
    eight = canned.overloaded(gpus=cards, risks=tuple(capped(index) for index in range(8)))
    text = text_of(gpus.gpus(eight, View(), 80, 3))
    assert "+ 7 more  7 with findings: power cap · " in text
    assert "power cap · power cap" not in text
    assert findings.of_several(replace(eight, risks=()), cards) == "all ok"
    broken = (canned.gpu(0, ecc_uncorrected=2.0), canned.gpu(1, xids=(79,)), canned.gpu(2))
    assert findings.of_several(eight, broken) == "3 with findings: power cap, ECC (1), XID 79 (1)"


def test_a_silent_gpu_says_why() -> None:
    """Old numbers of a GPU have their reason: the driver's where the GPU has none, a shorter one without room."""
    silent = replace(canned.gpu(0), state=State.STALE, age_seconds=43.0)
    snapshot = canned.overloaded(gpus=(silent,), driver=Driver(State.STALE, "NVML does not answer", "", "", 1, 43.0))
    assert findings.note(snapshot, silent, 40) == ("43 s old: NVML does not answer", "warning")
    assert findings.note(snapshot, silent, 24) == ("43 s old, no answer", "warning")
    assert "43 s old, no answer" in text_of(frame(snapshot, View(), 80, 24))


def of_eight(**changes: object) -> tuple[Risk, ...]:
    return tuple(capped(index, **changes) for index in range(8))


def test_one_finding_about_several_gpus_has_one_row() -> None:
    """The same of eight GPUs is a row with their numbers; what it is opens the first, and its page names all."""
    eight = canned.overloaded(8, risks=(canned.overloading(), *of_eight()))
    assert len(folded(eight)) == 2
    text = text_of(risks.risks(eight, View(), 120, 6))
    assert "GPUs 0-7: at its power limit for 71 %" in text
    assert "8 firing" not in text
    assert "9 firing" in text
    view = View(risk=("power_cap", capped(5).target))
    found = chosen_risk(eight, view)
    assert found is not None
    assert found.target == capped(0).target
    page = text_of(why.why(eight, View(opened=("power_cap", capped(0).target)), 80, 40))
    assert all(page.count(f"GPU {index}, at its") == 1 for index in range(1, 8))


def test_findings_that_differ_keep_their_rows() -> None:
    """Another state is another row; numbers that differ make the first an example."""
    mixed = (*of_eight()[:2], capped(2, state=RiskState.PENDING), capped(3, summary="GPU 3, at 99 %"))
    snapshot = canned.overloaded(8, risks=mixed)
    assert [len(row) for row in folded(snapshot)] == [3, 1]
    assert "GPUs 0-1, 3: e.g. at its power" in text_of(risks.risks(snapshot, View(), 120, 4))


def test_how_many_more_is_kept_at_80_columns() -> None:
    """A verdict of two full lines and more ends in how many more fire."""
    long = "power limit reached: GPU 0, at its power limit for 71 % of the last 30 s, clock 1324 MHz of 1980 MHz"
    snapshot = canned.overloaded(verdict=Verdict(Severity.WARNING, f"{long} (+7 other risks)"))
    assert "(+7 other risks)" in text_of(header.verdict(snapshot, View(), 80, 2))
    assert "(+7 other risks)" in text_of(header.verdict(snapshot, View(), 60, 1))


def test_advice_in_a_line_can_be_done() -> None:
    """A flag without a value worked out does not stand beside the title: the first action that can be done does."""
    one = Recommendation("x", "Give the server its GPU alone",
                         ("--gpu-memory-utilization lower (now 0.9; takes a restart)", "stop what else runs on it"),
                         None, (), ("model_overloading",), None,
                         (Change("--gpu-memory-utilization", "0.9", "lower", restart=True),))  # fmt: skip
    snapshot = canned.overloaded(recommendations=(one,))
    assert advice.advice_lines(snapshot, View(), 80) == ["Give the server its GPU alone: stop what else runs on it"]
    for action, can in (("--kv-cache-dtype fp8", True), ("--max-num-seqs 49 (now 8)", True), ("-np N", False),
                        ("--async-scheduling (takes a restart)", True), ("--swap-space GB: more", False)):  # fmt: skip
        assert advice.says_how(replace(one, changes=()), action) is can


def test_only_a_limit_of_what_is_drawn_is_drawn() -> None:
    """The threshold of a ratio has no line on an axis of requests; that of the requests themselves has."""
    for value, limit, drawn in ((1.9, 1.5, False), (54.0, 8.0, True)):
        risk = replace(canned.overloading(), evidence=(Evidence("requests_waiting", value, "1", limit, 10.0),))
        rows = why.why(canned.overloaded(risks=(risk,)), View(), 80, 40)
        assert any("┈ limit" in text_of([row]) for row in rows) is drawn


def test_labels_and_values_never_touch() -> None:
    """Between a label and its value there is a blank, also in the narrowest cell; the help has room for its names."""
    for label, value in (("mean prompt", "15100 tok/s"), ("run/wait", "127/1740"), ("TTFT p95", "250-500 ms")):
        for width in (40, 80, 100):
            line = text_of(load.grid_of([(label, value, "plain"), ("x", "1", "plain")], width, 1))
            assert f" {value}" in line or f" {value.replace(' ', '')}" in line
    assert "cached  prompt tokens taken" in text_of(reference.help_rows(120))
    assert text_of([to_ascii((("48 °C", "plain"),))]) == " 48 C"


def test_latencies_of_a_stuck_server_have_their_age() -> None:
    """While a server answers and makes no progress, the title of its latencies says how old they are."""
    stuck = replace(canned.overloading(), id="stuck_server")
    assert "TTFT s, 41 s old" in text_of(graphs.ttft(canned.overloaded(risks=(stuck,)), View(), 60, 6))
    assert " old" not in text_of(graphs.ttft(canned.overloaded(), View(), 60, 6))
    rows = load.load(canned.overloaded(risks=(stuck,)), View(), 60, 6)
    prompt = next(row for row in rows if "prompt" in text_of([row]))
    assert {style for text, style in prompt if "974" in text} == {"dim"}


def test_what_fires_keeps_the_only_row() -> None:
    """With one row the choice goes to the heading, which counts what does not hold; what fires stays."""
    snapshot = canned.overloaded(risks=(canned.overloading(), *canned.quiet_risks()))
    text = text_of(risks.risks(snapshot, View(risk=QUIET), 80, 2))
    assert text.startswith("▸RISKS 1 firing, 9 not observed")
    assert " CRITICAL  model overloading" in text


def test_a_mark_goes_soon_and_its_remark_makes_room() -> None:
    """The keys come back after about 2 s; a remark in brackets that does not fit is left out."""
    line = "mark 1 set (compare needs a recording: --record FILE)"
    assert line in text_of(footer.footer(None, View(message=line), 80, ()))
    assert text_of(footer.footer(None, View(message=line), 40, ())) == " mark 1 set"
    app = ChimeraApp(lambda _: lambda: None, window_seconds=300.0, charset="braille", export=lambda _: "",
                     set_window=lambda _: None, mark=lambda: line)  # fmt: skip

    async def press() -> None:
        async with asyncio.timeout(20), app.run_test(size=(80, 24)) as pilot:
            await pilot.press("m")
            while not app.view.message:
                await pilot.pause(0.01)
            assert app._said_for <= MARKED <= 3.0

    asyncio.run(press())


def test_the_mean_at_its_limit_is_not_called_within() -> None:
    """The rate at which the mean ITL is at the limit is a bound for a p95, and says that it is of the mean."""
    assert "mean ITL at limit" in dict(capacity.named(canned.healthy().targets[0]))


def test_a_sentence_ends_with_a_period() -> None:
    """A description that ends in the words of a driver has its period, and no second one."""
    for said in ("No answer for 44 s. NVML does not answer", "No answer for 44 s. NVML does not answer."):
        risk = replace(canned.overloading(), description=said)
        text = text_of(why.why(canned.overloaded(risks=(risk,)), View(), 80, 40))
        assert "NVML does not answer." in text
        assert "answer.." not in text


def test_a_title_that_does_not_fit_has_a_shorter_one() -> None:
    """At 80 columns no word of the title of a memory error is torn."""
    name = "Uncorrectable memory errors"
    risk = capped(1, id="ecc_uncorrected", title=name, summary="GPU 1: 1 uncorrectable memory error")
    snapshot = canned.overloaded(risks=(risk, *canned.quiet_risks()))
    assert " Uncorrectable ECC errors " in text_of(risks.risks(snapshot, View(), 80, 4))
    assert name in text_of(risks.risks(snapshot, View(), 120, 4))


def test_the_gpu_of_the_headline_is_the_first_row() -> None:
    """Where not all GPUs fit, that of the worst finding is seen, and not the first one with any finding."""
    low = capped(1, id="pcie_degraded", severity=Severity.INFO)
    high = capped(6, id="nvlink_degraded", severity=Severity.CRITICAL)
    snapshot = canned.overloaded(8, risks=(high, low))
    cards = tuple(replace(each, throttled_seconds=None) for each in snapshot.gpus)
    rows = gpus.gpus(replace(snapshot, gpus=cards), View(), 80, 3)
    assert text_of(rows[1:2]).startswith(" 6 ")
    assert text_of(gpus.gpus(replace(snapshot, gpus=cards), View(), 80, 4)[2:3]).startswith(" 1 ")


def test_what_does_not_answer_has_no_numbers_of_now() -> None:
    """A lost GPU and a server that is down have `—` where their last numbers were."""
    card = replace(canned.gpu(0), state=State.DOWN, reason="GPU is lost")
    row = text_of(gpus.gpus(canned.overloaded(gpus=(card,)), View(), 80, 2)[1:])
    assert row.split() == ["0", *"—————", "DOWN:", "GPU", "is", "lost"]
    snapshot = canned.overloaded()
    down = replace(snapshot, targets=(replace(snapshot.targets[0], state=State.DOWN),))
    for pane in (load.load, load.phases, load.numbers):
        assert not any(
            each.isdigit() for each in text_of(pane(down, View(), 80, 3)).replace("p95", "").replace("E2E", "")
        ), pane


def test_no_number_is_cut() -> None:
    """A head value that needs more than its slot has it, or is left out whole."""
    found = replace(canned.overloaded().targets[0].quantities["requests_finished"], rate=0.639)
    target = canned.overloaded().targets[0]
    target = replace(target, quantities={**target.quantities, "requests_finished": found})
    for width in range(30, 90):
        head = text_of(graphs.throughput(canned.overloaded(targets=(target,)), View(), width, 6)[:1])
        assert "…" not in head
        assert ("req/s" in head) is ("0.639" in head)
    full = {**target.quantities, "requests_running": canned.gauge(1740.0), "max_running_requests": canned.gauge(2048.0)}
    assert "1740 " in text_of(load.load(canned.overloaded(targets=(replace(target, quantities=full),)), View(), 38, 3))


def test_what_the_host_suffers_from_is_marked_and_stays() -> None:
    """Pressure of memory marks the memory and the wait for it, also where not every number fits."""
    numbers = {name: canned.gauge(value, unit) for name, value, unit in (
        ("cpu_usage", 0.13, "ratio"), ("cpu_count", 128.0, "1"), ("load1", 16.6, "1"),
        ("host_memory_used_bytes", 1.92 * 2**40, "bytes"), ("host_memory_total_bytes", 2.0 * 2**40, "bytes"),
        ("swap_used_bytes", 4.8 * 2**30, "bytes"), ("pressure_io", 0.01, "ratio"), ("pressure_memory", 0.3, "ratio"),
    )}  # fmt: skip
    rests = (Evidence("host_memory_available_bytes", 1.0, "bytes"), Evidence("pressure_memory_full", 0.2, "ratio"))
    risk = replace(canned.overloading(), id="host_memory_pressure", target="host", severity=Severity.WARNING,
                   evidence=rests)  # fmt: skip
    machine = Host(None, State.OK, "", numbers)
    for width in (60, 80, 120):
        (row,) = host.host(canned.overloaded(host=machine, risks=(risk,)), View(), width, 1)
        assert ("30 %", "warning") in row
        assert ("1.92/2 TiB", "warning") in row


def test_a_threshold_says_what_it_is() -> None:
    """What was before a change is no limit, and a count of which any is bad has none worth a word."""
    change = Evidence("itl_seconds", 0.022, "s", 0.0139, text="decode -37 % since 04:50:12 UTC (ITL 13.9 to 22 ms)")
    assert risks.threshold_text(change) == "before 13.9 ms"
    assert risks.threshold_text(Evidence("itl_seconds", 0.022, "s", 0.0139, text="p95 25-50 ms")) == "limit 13.9 ms"
    assert risks.threshold_text(Evidence("ecc_uncorrected", 3.0, "1", 0.0, text="3 errors")) == ""


def test_a_page_of_what_is_over_speaks_of_then() -> None:
    """While it resolves, the description says until when it was so."""
    risk = replace(canned.overloading(), state=RiskState.RESOLVING)
    page = text_of(why.why(canned.overloaded(risks=(risk,)), View(), 80, 40))
    assert f"Until {words.clock_of(risk.since)}: " in page
