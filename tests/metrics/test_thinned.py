"""Reading a recording in part: what must not be lost by it."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest

from metrics.recording import Packer, Reader, last_sample
from metrics.sample import Event, Sample, Source, State


def recorded(samples: list[Sample]) -> io.BytesIO:
    packer = Packer()
    return io.BytesIO(b"".join(map(packer.pack, samples)))


def poll(
    second: float,
    source: str = "http://a",
    state: State = State.OK,
    *events: Event,
    kind: Source = Source.SERVER,
) -> Sample:
    return Sample(
        source,
        kind,
        1.8e9 + second,
        second,
        state=state,
        counters={"requests_finished": second},
        events=events,
    )


def moments(samples: list[Sample], source: str = "http://a") -> list[float]:
    return [sample.mono for sample in samples if sample.source == source]


def test_one_poll_in_so_many_seconds_is_taken_and_the_last() -> None:
    """Of polls a second, those 4 s apart and the newest are given, of each source."""
    stream = recorded([poll(second, source) for second in range(11) for source in ("http://a", "http://b")])
    taken = list(Reader(stream, every=4.0))
    assert moments(taken) == moments(taken, "http://b") == [0, 4, 8, 10]


def test_of_a_gpu_half_as_many_are_taken() -> None:
    """What is fitted on windows of 2-5 s is a server's; of a GPU one poll in twice as many seconds says as much."""
    samples = [poll(second, "gpu:0", kind=Source.GPU) for second in range(22)]
    assert moments(list(Reader(recorded(samples), every=4.0)), "gpu:0") == [0, 8, 16, 21]


@pytest.mark.parametrize(("spacing", "longest"), [(0.1, 4.5), (1.0, 4.0), (1.9, 3.8), (3.2, 3.2), (15.0, 15.0)])
def test_no_two_lie_further_apart_than_asked_for(spacing: float, longest: float) -> None:
    """A poll is taken where the next would come too late; polls that are further apart anyway are all taken."""
    samples = [poll(spacing * number) for number in range(round(60 / spacing))]
    taken = moments(list(Reader(recorded(samples), every=4.0)))
    assert max(after - before for before, after in pairwise(taken)) == pytest.approx(longest)


def test_another_state_and_an_event_are_always_taken() -> None:
    """A poll that failed, the one after it, and one that carries an event are given wherever they lie."""
    samples = [poll(second) for second in range(12)]
    samples[5] = poll(5, "http://a", State.DOWN)
    samples[10] = poll(10, "http://a", State.OK, Event(1.8e9, "xid", "XID 79", 79))
    assert moments(list(Reader(recorded(samples), every=8.0))) == [0, 5, 6, 10, 11]


def test_all_are_taken_without_it() -> None:
    """No poll is passed over unless that is asked for."""
    assert len(list(Reader(recorded([poll(second) for second in range(20)])))) == 20


def test_a_clock_that_goes_back_begins_anew() -> None:
    """A second run of another boot is read from its first poll on."""
    samples = [poll(second) for second in (100.0, 101.0, 102.0)] + [poll(second) for second in (3.0, 4.0, 8.0)]
    assert moments(list(Reader(recorded(samples), every=4.0))) == [100.0, 3.0, 8.0]


@pytest.mark.parametrize("count", [1, 2, 50])
def test_the_last_sample_is_found_without_reading_all(count: int) -> None:
    """It is that of the newest moment."""
    found = last_sample(recorded([poll(second) for second in range(count)]))
    assert found is not None
    assert found.mono == count - 1
