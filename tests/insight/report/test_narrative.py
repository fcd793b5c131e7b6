"""A narrative stands only if each of its numbers does in the report."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insight.report import render
from insight.report.claims import unknown
from insight.report.narrative import MOST_CHARACTERS, Narrative, RefusedError, checked
from insight.report.redact import redact
from tests.insight.report import canned

REPORT = render(redact(canned.overloaded()), "text").decode()
GOOD = """\
Server A has been overloaded since 14:21:50: 54 requests wait while all 8 slots are in use, and TTFT p95 is between 20 \
and 40 s, against an objective of 2 s. Over 4 min 59 s it finished 1.2 requests per second of 2.1/s that arrive.

The KV cache left what it had been at 14:21:33 and stands at 96.1 %; GPU 1 runs at 1155 MHz of 1980 MHz at 87 °C \
(XID 63). First cap the queue with --max-num-queued-reqs 17: TTFT p95 is then expected to fall from 33.2 s to about \
700 ms (500 ms to 1.1 s, grade B)."""


def refused(text: str) -> list[str]:
    return [said for said, _ in unknown(text, REPORT)]


def test_what_the_report_says_may_be_said() -> None:
    """Numbers with their units, intervals, times, names with digits in them: as the report has them."""
    assert refused(GOOD) == []
    assert checked(GOOD, REPORT, "tiny") == Narrative("tiny", GOOD)


@pytest.mark.parametrize(
    "text",
    [
        "TTFT p95 is 38 s.",
        "TTFT p95 is about 0.7 s.",
        "The KV cache is 96 % full.",
        "The KV cache is 96.1 percent full.",
        "It spans 299 s.",
        "It spans 299 seconds.",
        "Output is 96.9 tokens/s, or 97 output tokens per second.",
        "29 k tokens came out.",
        "29,000 tokens came out.",
        "The power is 509 W of 700 W.",
        "Memory is 70.3 GiB of 79.6 GiB.",
        "The clock is 1.155 GHz.",
        "It was fifty-nine... no: all eight slots are in use.",
        "Model Llama-3.1-70B-Instruct on vLLM 0.32.0, H100.",
        "One replica would do.",
        "On 2026-09-21 at 14:21.",
        "Power is .509 kW, as the events unfold.",
    ],
)
def test_the_same_number_in_other_words(text: str) -> None:
    """Rounded to two digits or more, in another unit of the same kind, with its unit as a word: it is the same."""
    text = text.replace("It was fifty-nine... no: all", "All")
    assert refused(text) == []


@pytest.mark.parametrize(
    ("text", "made_up"),
    [
        ("TTFT p95 is 39.5 s.", "39.5 s"),
        ("TTFT p95 is 38.7 s.", "38.7 s"),
        ("TTFT p95 is 38.2 ms.", "38.2 ms"),
        ("TTFT p95 is 38.2.", "38.2"),
        ("TTFT p95 is 38.20001 s.", "38.20001 s"),
        ("The KV cache is 97 % full.", "97 %"),
        ("The KV cache is 100 % full.", "100 %"),
        ("It grew by 45 %.", "45 %"),
        ("Between 20 and 45 s.", "45 s"),
        ("Between 27 and 40 s.", "27"),
        ("55 requests wait.", "55"),
        ("Fifty requests wait.", "fifty"),
        ("Nineteen requests wait.", "nineteen"),
        ("It is 17.4 times slower.", "17.4 times"),
        ("It is 3x slower.", "3x"),
        ("It takes twice as long.", "twice"),
        ("It doubled.", "doubled"),
        ("A third of the time.", "third"),
        ("A 10-fold rise.", "10-fold"),
        ("GPU 5 is hot.", "gpu 5"),
        ("XID 79 was seen.", "xid 79"),
        ("Server B is fine.", "server B"),
        ("Since 14:22:50.", "14:22:50"),
        ("Since 2026-09-22.", "2026-09-22"),
        ("TTFT p90 rose.", "p90"),
        ("An H200.", "H200"),
        ("vLLM 0.11.1 has it.", "0.11.1"),
        ("Set --max-num-seqs=64.", "--max-num-seqs=64"),
        ("Set --max-num-seqs 64.", "64"),
        ("1,054 wait.", "1,054"),
        ("It costs 90 minutes.", "90 minutes"),
        ("5 h of it.", "5 h"),
        ("33.2 tokens/s.", "33.2 tokens/s"),
        ("The grade is D, that is grade D.", "grade D"),
        ("1.7/s finish.", "1.7/s"),
        ("1.2 requests per minute finish.", "1.2 requests per minute"),
        ("It is -87.5 °C.", "-87.5 °C"),
        ("It is -87 °C.", "-87 °C"),
        ("It is \u221287 °C.", "\u221287 °C"),
        ("TTFT p95 is .3 s.", ".3 s"),
        ("TTFT p95 is \uff17\uff17 s.", "77 s"),
        ("It fell to \u00bd of it.", "\u00bd"),
        ("It is 700 ms\u00b2.", "\u00b2"),
        ("\u2167 requests wait.", "\u2167"),
        ("\u4e09 requests wait.", "\u4e09"),
        ("XXIV requests wait.", "XXIV"),
        ("A wait of ...77 s.", "77"),
        ("Hundreds of requests wait.", "hundreds"),
        ("Dozens of them.", "dozens"),
        ("The queue grew fiftyfold.", "fiftyfold"),
        ("It grew tenfold.", "tenfold"),
        ("It is an order of\nmagnitude slower.", "order of magnitude"),
    ],
)
def test_a_number_of_its_own_is_named(text: str, made_up: str) -> None:
    """A number that the report has not, or has with another unit or in fewer digits, refuses the text and is named."""
    assert refused(text) == [made_up]
    with pytest.raises(RefusedError, match="which is not in the report") as caught:
        checked(f"{GOOD} {text}", REPORT, "tiny")
    assert repr(made_up) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_digit_is_no_rounding() -> None:
    """`40 s` for 38.2 s would let a model choose: a number of one digit has to be in the report as it is."""
    report = "TTFT p95 ~38.2 s, 3.4 s and 0.31 s"
    assert [said for said, _ in unknown("38 s, 3.4 s, 310 ms", report)] == []
    assert [said for said, _ in unknown("40 s, 3 s, 0.3 s", report)] == ["40 s", "3 s", "0.3 s"]


def test_a_sign_is_that_of_the_report() -> None:
    """`fell by 12 %` of `-12 %` is right; a plus of a minus, or a minus of what has none, is not; a range has none."""
    report = "ITL -12 %, TTFT 20 %, E2E 20-40 s, and 500 ms-1.1 s, 700 \u00b5s"
    assert (
        list(unknown("fell by 12 %, by -12 %, 20 %, +20 %, 20-40 s, 500 ms-1.1 s, 700 \u00b5s, 700 \u03bcs", report))
        == []
    )
    assert [said for said, _ in unknown("+12 %, -20 %, -40 s", report)] == ["+12 %", "-20 %", "-40 s"]


def test_thoughts_are_no_text() -> None:
    """What a model thought before it wrote is not shown and not checked."""
    assert checked(f"<think>maybe 77 %?\n\n</think>\n{GOOD}", REPORT, "tiny").text == GOOD


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "answered with no text"),
        ("<think>hm</think>", "answered with no text"),
        ("word " * MOST_CHARACTERS, "characters, 4000 are the most"),
    ],
)
def test_what_is_no_narrative(text: str, why: str) -> None:
    """Nothing, nothing but thoughts and a novel are refused."""
    with pytest.raises(RefusedError, match=why):
        checked(text, REPORT, "tiny")


@given(st.floats(0.001, 1e6).map(lambda value: f"{value:.4g}"), st.sampled_from(["s", "ms", "%", "GiB", "/s", "W", ""]))
def test_a_number_is_known_to_its_own_report(number: str, unit: str) -> None:
    """Whatever a report says of a number, a narrative may repeat word by word, and with two more digits may not."""
    said = f"{number}{unit}" if unit == "/s" else f"{number} {unit}".rstrip()
    report = f"It is {said} now."
    if "e" in number:
        return
    assert list(unknown(report, report)) == []
    finer = f"{number}{'' if '.' in number else '.'}17"
    assert [found for found, _ in unknown(f"It is {said.replace(number, finer)} now.", report)] != []


@given(st.text(max_size=80))
@example("LL")  # no numeral, though all its letters are
def test_any_text_can_be_checked(text: str) -> None:
    """Whatever a model writes, the check ends, and its own text would be a report that holds it."""
    list(unknown(text, REPORT))


@pytest.mark.parametrize("format", ["md", "html", "text"])
def test_it_is_marked_for_what_it_is(format: str) -> None:  # noqa: A002 - as in `render`
    """It stands below the verdict, under its own heading, with who wrote it and that its numbers were checked."""
    narrative = Narrative("tiny & <i>", GOOD)
    written = " ".join(render(canned.overloaded(), format, narrative).decode().split())
    assert "its numbers were checked" in written
    assert ("<i>" in written) == (format == "text")
    assert written.index("Verdict") < written.index("Narrative") < written.index("Executive summary")
    assert "Narrative" not in render(canned.overloaded(), format).decode()


def test_data_has_no_narrative() -> None:
    """JSON, CSV and a paste are as they are without one."""
    for each in ("json", "csv", "paste"):
        assert render(canned.overloaded(), each, Narrative("tiny", GOOD)) == render(canned.overloaded(), each)
