from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from collectors.clock import Clock
from collectors.exposition import MAX_LABEL_CHARACTERS
from collectors.harmless import harmless
from collectors.replay import Playback, Recording
from metrics.histogram import Histogram
from metrics.recording import HEADER, NotARecordingError, Packer
from metrics.sample import Event, Process, Sample, Source, State
from metrics.series import series, split_series
from tests.captures import load

if TYPE_CHECKING:
    from pathlib import Path

LOAD = load("vllm").phase("load").samples
WALL = 1_700_000_000.0


def seen(mono: float, wall: float | None = None) -> Sample:
    return Sample("a", Source.SERVER, WALL + mono if wall is None else wall, mono)


def recorded(path: Path, *runs: list[Sample]) -> Recording:
    path.write_bytes(b"".join(b"".join(map(Packer().pack, run)) for run in runs))
    return Recording(path)


@pytest.mark.parametrize("offset", [-1e9, -300.0, 300.0, 1e9])
def test_runs_of_two_boots_follow_on_by_the_clock_on_the_wall(tmp_path: Path, offset: float) -> None:
    """Whether the second boot's monotonic clock is behind or ahead, the distance is what passed on the wall."""
    first = [seen(float(t)) for t in range(1000, 1010)]
    second = [seen(t + offset, WALL + t) for t in range(1100, 1110)]
    monos = [sample.mono for sample in recorded(tmp_path / "x.rec", first, second)]
    assert monos == [float(t) for t in (*range(1000, 1010), *range(1100, 1110))]


def test_runs_of_one_boot_keep_their_clock(tmp_path: Path) -> None:
    """A run that follows within one boot, after ten minutes or a restart of this program, is left as it is."""
    first = [seen(float(t)) for t in range(10)]
    second = [seen(t + 0.5, WALL + t) for t in range(10, 20)]
    assert list(recorded(tmp_path / "x.rec", first, second)) == first + second


def test_what_arrived_late_stays_where_it_was(tmp_path: Path) -> None:
    """A poll that took half a minute is stamped at its middle, behind others: it is no run of another boot."""
    samples = [seen(30.0), seen(15.0), seen(31.0)]
    assert list(recorded(tmp_path / "x.rec", samples)) == samples


def test_runs_whose_wall_clock_went_back_still_go_forward(tmp_path: Path) -> None:
    """Where the wall says that no time passed between two boots, a second did."""
    monos = [sample.mono for sample in recorded(tmp_path / "x.rec", [seen(100.0)], [seen(5.0, WALL - 50.0)])]
    assert monos == [100.0, 101.0]


@pytest.mark.parametrize("field", ["mono", "wall", "duration"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -1e18])
def test_a_sample_at_an_impossible_moment_is_left_out(tmp_path: Path, field: str, value: float) -> None:
    """Times that are no moments never reach the core: the Sample is left out and counted."""
    samples = [seen(1.0), replace(seen(2.0), **{field: value}), seen(3.0)]
    recording = recorded(tmp_path / "x.rec", samples)
    assert list(recording) == [samples[0], samples[2]]
    assert recording.damage == ["values and times that cannot be true were left out: 1"]


def test_a_monotonic_time_that_cannot_be_is_replaced_by_the_wall(tmp_path: Path) -> None:
    """One Sample days ahead must not make everything after it look old."""
    samples = [seen(1.0), seen(500_000.0, WALL + 2.0), seen(3.0), seen(4.0)]
    recording = recorded(tmp_path / "x.rec", samples)
    assert [sample.mono for sample in recording] == [1.0, 2.0, 3.0, 4.0]


def test_a_wall_clock_that_is_set_moves_nothing(tmp_path: Path) -> None:
    """Within a run the monotonic clock is right: a host that learns the date while it is watched loses no time."""
    samples = [seen(1.0, 100.0), seen(2.0), seen(3.0, WALL - 3600.0)]
    assert list(recorded(tmp_path / "x.rec", samples)) == samples


@pytest.mark.parametrize(
    "histogram",
    [
        Histogram((1.0, 2.0), (1.0,), 1.0),
        Histogram((1.0,), (1.0, 2.0, 3.0, 4.0), 1.0),
        Histogram((1.0, math.nan), (1.0, 1.0, 1.0), 1.0),
        Histogram((1.0,), (1.0, math.inf), 1.0),
        Histogram((1.0,), (1.0, 2.0), math.nan),
        Histogram((2.0, 1.0), (1.0, 2.0, 3.0), 1.0),
        Histogram((1.0,), (1.0, -2.0), 1.0),
    ],
)
def test_a_histogram_of_an_impossible_shape_is_left_out(histogram: Histogram) -> None:
    """Buckets and counts that do not match, or are no numbers, are left out, and what is well stays."""
    well = Histogram((1.0,), (1.0, 2.0), 4.0)
    sample = replace(seen(1.0), histograms={"ttft_seconds": histogram, "itl_seconds": well})
    made, left_out = harmless(sample)
    assert made is not None
    assert made.histograms == {"itl_seconds": well}
    assert left_out == 1


def test_numbers_and_events_that_cannot_be_are_left_out() -> None:
    """What no quantity can be, and an event at no moment, is left out and counted; the rest of the Sample stays."""
    sample = replace(
        seen(1.0),
        counters={"output_tokens_total": math.inf, "preemptions": 2.0},
        gauges={"requests_running": math.nan, "requests_waiting": 1.0, "kv_cache_usage": -0.5, "load1": 1e300},
        events=(Event(math.nan, "mark", "a"), Event(1e300, "mark", "b"), Event(WALL, "mark", "c")),
        processes=(Process(7, "python", "me", math.nan, 1.0),),
    )
    made, left_out = harmless(sample)
    assert made is not None
    assert left_out == 6
    assert made.counters == {"preemptions": 2.0}
    assert made.gauges == {"requests_waiting": 1.0}
    assert [event.text for event in made.events] == ["c"]
    assert made.processes == (Process(7, "python", "me", None, 1.0),)


def test_a_series_of_another_kind_is_left_out() -> None:
    """A gauge by the name of a counter would be taken for it: only series of the kind that is known are kept."""
    sample = replace(seen(1.0), gauges={"output_tokens_total": 5.0}, counters={"requests_running": 1.0, "no_such": 2.0})
    made, left_out = harmless(sample)
    assert made is not None
    assert (made.gauges, made.counters, left_out) == ({}, {}, 0)


def test_series_that_differ_late_in_a_label_stay_apart() -> None:
    """A label may be as long as on a live page; the name around it is not cut, so that two series stay two."""
    names = [series("output_tokens_total", model="p/" * 120 + last) for last in "ab"]
    made, _ = harmless(replace(seen(1.0), counters={names[0]: 1.0, names[1]: 2.0}))
    assert made is not None
    assert made.counters == {names[0]: 1.0, names[1]: 2.0}


@given(st.text(), st.sampled_from(["model", "quantity", "engine"]))
def test_the_values_of_labels_are_made_harmless(value: str, label: str) -> None:
    """Whatever a label holds, what comes in is one printable line of bounded length."""
    name = 'output_tokens_total{%s="%s"}' % (label, value.replace("\\", "\\\\").replace('"', '\\"'))  # noqa: UP031 braces
    made, _ = harmless(replace(seen(1.0), counters={name: 1.0}))
    assert made is not None
    for kept in made.counters:
        assert all(each.isprintable() and len(each) <= MAX_LABEL_CHARACTERS for _, each in split_series(kept)[1])


def test_hostile_text_in_a_recording_is_made_harmless(tmp_path: Path) -> None:
    """A recording from somebody else may hold anything; no escape sequence passes the door."""
    evil = "\x1b]0;owned\x07\x1b[2Jmodel\u202e"
    sample = Sample(
        evil, Source.SERVER, 1.0, 1.0, state=State.DOWN, reason=evil, facts={"model": evil}, gauges={evil: 1.0}
    )
    (made,) = recorded(tmp_path / "x.rec", [sample])
    for text in (made.source, made.reason, *made.facts.values()):
        assert text.isprintable()
    assert made.gauges == {}


def test_what_was_recorded_live_is_left_as_it_is(tmp_path: Path) -> None:
    """Nothing of a page of a real server is taken for damage."""
    recording = recorded(tmp_path / "x.rec", LOAD)
    assert list(recording) == LOAD
    assert recording.damage == []


def test_how_long_a_recording_is_can_be_told_beforehand(tmp_path: Path) -> None:
    """Its length is known before it was read; of one that cannot be opened, it is not."""
    recording = recorded(tmp_path / "x.rec", [seen(float(t)) for t in range(2000)], [seen(5.0, WALL + 2100.0)])
    assert recording.seconds_from(seen(0.0)) == 2100.0
    assert Recording(tmp_path / "none.rec").seconds_from(seen(0.0)) is None
    (tmp_path / "empty.rec").write_bytes(HEADER)
    assert Recording(tmp_path / "empty.rec").seconds_from(seen(0.0)) is None


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    """What is no recording is refused with its name."""
    (tmp_path / "notes.txt").write_text("dear diary, it was a long day\n")
    with pytest.raises(NotARecordingError, match=r"notes\.txt is not a recording"):
        next(iter(Recording(tmp_path / "notes.txt")))


def test_samples_come_when_their_time_has_come() -> None:
    """At ten times the speed, ten seconds of a recording come in one; at its end, it says so."""
    now = [50.0]
    samples = [seen(float(t)) for t in range(100)]
    rest = iter(samples)
    playback = Playback(next(rest), rest, Clock(mono=lambda: now[0]), 10.0)
    assert list(playback.due()) == []
    now[0] += 1.0
    assert list(playback.due()) == samples[1:11]
    assert not playback.ended
    now[0] += 1000.0
    assert list(playback.due()) == samples[11:]
    assert playback.ended


def test_a_replay_that_cannot_keep_up_gives_others_their_turn() -> None:
    """Where taking a Sample in lasts 0.2 s, a call gives a few, and the next goes on without a gap."""
    now = [0.0]
    samples = [seen(float(t)) for t in range(100)]
    rest = iter(samples)
    playback = Playback(next(rest), rest, Clock(mono=lambda: now[0]), 1000.0)
    given: list[Sample] = []
    calls = 0
    now[0] = 1.0
    while not playback.ended:
        calls += 1
        for sample in playback.due():
            given.append(sample)
            now[0] += 0.2
    assert given == samples[1:]
    assert calls == 33
