from __future__ import annotations

import pytest

from insight.quality.fault import Fault
from insight.quality.holdout import held_out
from insight.quality.summary import WINDOW_SECONDS, cut_off, newest, summarise
from metrics.quality import Arm, Graded, Outcome

NOW = 1_800_000_000.0
RIGHT, WRONG, CUT, FAILED = Outcome.RIGHT, Outcome.WRONG, Outcome.CUT, Outcome.FAILED


def row(item: str, outcome: Outcome, family: str = "f", age: float = 0.0, **more: object) -> Graded:
    return Graded(item, family, outcome, wall=NOW - age, **more)  # type: ignore[arg-type] # fields by name


def rows(right: int, wrong: int, prefix: str = "i", family: str = "f") -> list[Graded]:
    return [row(f"{prefix}{n}", RIGHT if n < right else WRONG, family) for n in range(right + wrong)]


def test_accuracy() -> None:
    """Right among those answered, with Wilson's interval and the number of items; failures are counted apart."""
    found = summarise({"s": [*rows(8, 1), row("cut", CUT), row("gone", FAILED)]}, NOW)
    accuracy = found["accuracy"]
    assert (accuracy.value, accuracy.count, accuracy.unit, accuracy.source) == (0.8, 10.0, "ratio", "probe")
    assert (round(accuracy.lo or 0, 3), round(accuracy.hi or 0, 3)) == (0.490, 0.943)
    assert found["answered"].value == pytest.approx(10 / 11)
    assert found["answered"].count == 11.0
    assert cut_off({"s": [row("cut", CUT), row("other", WRONG)]}, NOW) == 1


def test_an_item_counts_once() -> None:
    """Asked ten times, it is one observation: the newest answer, also where the last asking failed."""
    asked = [*(row("a", WRONG) for _ in range(9)), row("a", RIGHT), row("a", FAILED), row("b", RIGHT)]
    found = summarise({"s": asked}, NOW)
    assert (found["accuracy"].value, found["accuracy"].count) == (1.0, 2.0)
    assert found["answered"].value == 0.5


def test_old_answers_say_nothing() -> None:
    """What is older than a day is left out; with nothing left there is nothing."""
    assert summarise({"s": [row("a", RIGHT, age=WINDOW_SECONDS + 1)]}, NOW) == {}
    assert summarise({"s": []}, NOW) == summarise({}, NOW) == {}


def test_nothing_answered() -> None:
    """Where every question failed, that is all there is to tell: no accuracy of 0."""
    assert list(summarise({"s": [row("a", FAILED)]}, NOW)) == ["answered"]


def test_families_and_servers() -> None:
    """Accuracy is split by family, and by server where there are two; an item of each server is an observation."""
    one, two = [*rows(2, 0), *rows(0, 1, "j", "g")], rows(0, 2)
    found = summarise({"one": one, "two": two}, NOW)["accuracy"]
    assert found.count == 5.0
    parts = {name: (part.value, part.count) for name, part in found.by.items() if not name.startswith("half=")}
    assert parts == {
        "family=f": (0.5, 4.0),
        "family=g": (0.0, 1.0),
        "target=one": (pytest.approx(2 / 3), 3.0),
        "target=two": (0.0, 2.0),
    }
    assert "target=one" not in summarise({"one": one}, NOW)["accuracy"].by


def test_the_half_that_is_held_out_is_told_apart() -> None:
    """A server that was made to answer the open half is wrong on the other; where one half was asked there is none."""
    asked = [row(f"i{n}", WRONG if held_out(f"i{n}", NOW) else RIGHT) for n in range(40)]
    by = summarise({"s": asked}, NOW)["accuracy"].by
    assert (by["half=open"].value, by["half=held out"].value) == (1.0, 0.0)
    assert (by["half=open"].count or 0) + (by["half=held out"].count or 0) == 40
    only = [each for each in asked if each.outcome is RIGHT]
    assert "half=open" not in summarise({"s": only}, NOW)["accuracy"].by


def test_means() -> None:
    """F1, relevancy and coherence are means with bootstrap intervals, of the answers that have them."""
    graded = [
        row("a", RIGHT, f1=1.0, exact=True, relevancy=0.9),
        row("b", RIGHT, f1=0.5, exact=False, relevancy=0.7, coherence=0.6),
        row("c", WRONG),
    ]
    found = summarise({"s": graded}, NOW)
    assert (found["f1"].value, found["f1"].lo, found["f1"].hi, found["f1"].count) == (0.75, 0.5, 1.0, 2.0)
    assert (found["exact_match"].value, found["exact_match"].count) == (0.5, 2.0)
    assert found["relevancy"].value == pytest.approx(0.8)
    assert found["coherence"].count == 1.0
    assert "macro_f1" not in found


def test_macro_f1() -> None:
    """Of choices alone."""
    graded = [row("a", RIGHT, expected="A", said="A"), row("b", WRONG, expected="B", said="A"), row("c", RIGHT)]
    found = summarise({"s": graded}, NOW)["macro_f1"]
    assert found.value == pytest.approx(1 / 3)
    assert found.count == 2.0


def test_arms_are_one_item() -> None:
    """Of an item in three arms, the first stands for it; the others only tell of the cache."""
    graded = [row("a", RIGHT, arm=Arm.COLD, digest="x"), row("a", WRONG, arm=Arm.WARM, digest="y")]
    graded.append(row("a", RIGHT, arm=Arm.AGAIN, digest="x"))
    found = summarise({"s": graded}, NOW)
    assert (found["accuracy"].value, found["accuracy"].count) == (1.0, 1.0)
    assert {name: found[name].value for name in ("determinism", "cache_consistency", "graded_consistency")} == {
        "determinism": 1.0,
        "cache_consistency": 0.0,
        "graded_consistency": 0.0,
    }
    assert newest(graded)["a"].arm is Arm.COLD


def test_faults() -> None:
    """How many answers are spoilt, and by what; a right one is not, whatever it is said to be."""
    graded = [row("a", WRONG, why=Fault.REFUSAL.value), row("b", CUT, why="another number"), row("c", RIGHT)]
    found = summarise({"s": [*graded, row("d", WRONG, why="another number")]}, NOW)["faults"]
    assert (found.value, found.count) == (0.5, 4.0)
    assert {name: part.value for name, part in found.by.items()} == {
        "fault=empty": 0.0,
        "fault=refusal": 0.25,
        "fault=loop": 0.0,
        "fault=script": 0.0,
        "fault=cut": 0.25,
    }
