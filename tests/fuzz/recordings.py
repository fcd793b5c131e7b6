"""Recordings that were damaged on a disk, or made by somebody who means no good."""

from __future__ import annotations

import io
import math
import tempfile
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from chimera_top.passage import Passage
from collectors.replay import Recording
from insight.assess import Assessor
from insight.settings import Settings
from metrics.recording import HEADER, NotARecordingError, Packer, Reader
from metrics.sample import Sample
from metrics.store import Store
from tests.fuzz.case import drawn_from
from tests.fuzz.invariants import is_harmless, sound_outputs, sound_sample, sound_snapshot
from tests.fuzz.mutation import NUMBERS, TEXTS, mangled

if TYPE_CHECKING:
    from random import Random

FOLDER = Path(__file__).parents[2] / "screenshots"
NAMES = ("healthy", "overload", "thermal_throttle")
_TICKS = 60
"""Samples of a recording that are used: those of half a dozen seconds."""


@cache
def good(name: str) -> tuple[Sample, ...]:
    with (FOLDER / f"{name}.rec").open("rb") as stream:
        return tuple(islice(Reader(stream), 12 * _TICKS))


def make(random: Random) -> list[bytes]:
    """Make a file; where its bytes were damaged, with the Samples behind it that it was made of."""
    samples = good(random.choice(NAMES))
    at = random.randrange(len(samples) - _TICKS)
    chosen = list(samples[at : at + random.choice((1, 20, _TICKS))])
    if random.random() < 0.5:
        runs = [chosen, chosen[::2]] if random.random() < 0.3 else [chosen]
        data = b"".join(_packed(each) for each in runs)
        if random.random() < 0.5:
            return [data[: random.randint(0, len(data))], msgspec.msgpack.encode(runs[0])]
        return [mangled(data, random), msgspec.msgpack.encode(runs[0])]
    spoiled = [_spoiled(each, random) if random.random() < 0.3 else each for each in chosen]
    data = _packed([each for each in spoiled if each is not None])
    return [mangled(data, random) if random.random() < 0.1 else data]


def run(pieces: list[bytes]) -> None:
    """Read, keep what can be read, and make everything of it."""
    data, *listed = pieces
    if listed:
        _read_plainly(data, msgspec.msgpack.decode(listed[0], type=list[Sample]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fuzz.rec")
        path.write_bytes(data)
        recording = Recording(path)
        samples, said = [], ""
        try:
            samples = list(recording)
        except NotARecordingError as error:
            said = str(error)
        assert is_harmless(said), said
        assert all(map(is_harmless, recording.damage)), recording.damage
        if samples:
            assert recording.seconds_from(samples[0]) is not None or recording.damage
    for sample in samples:
        sound_sample(sample)
    if samples:
        _live(samples, drawn_from(pieces))


def _read_plainly(data: bytes, written: list[Sample]) -> None:
    """Read what was damaged: every record before the damage comes back as it was, and none that nobody wrote."""
    try:
        read = list(Reader(io.BytesIO(data)))
    except NotARecordingError:
        return
    packer, well = Packer(), b""
    whole = 0
    for sample in written:
        well += packer.pack(sample)
        if not data.startswith(well):
            break
        whole += 1
    assert read[:whole] == written[:whole], f"of {whole} whole records {len(read)} were read"
    assert all(each in written for each in read), "a record was read that nobody wrote"


def _live(samples: list[Sample], random: Random) -> None:
    store, assessor = Store(), Assessor(Settings(window=60.0, mode="replay"))
    passage = Passage(store, assessor, samples[0])
    for sample in samples[1:]:
        passage.take(sample)
    snapshot = assessor.snapshot(passage.view)
    sound_snapshot(snapshot, store)
    sound_outputs(snapshot, random)


def _packed(samples: list[Sample]) -> bytes:
    packer = Packer()
    return b"".join(map(packer.pack, samples)) or HEADER


def _spoiled(sample: Sample, random: Random) -> Sample | None:
    """Put something else in one to five places of a Sample; None where it is no Sample any more."""
    document: Any = msgspec.to_builtins(sample)
    facts = document.get("facts", {})
    for name in random.sample(sorted(facts), min(len(facts), random.choice((0, 1, 3)))):
        facts[name] = _other("", random)
    for _ in range(random.choice((1, 2, 5))):
        _spoil(document, random)
    try:
        return msgspec.convert(document, Sample)
    except (msgspec.ValidationError, OverflowError):
        return None


def _spoil(node: Any, random: Random) -> None:
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = random.choice(keys)
        value = node[key]
        if isinstance(value, dict | list) and value:
            node = value
            continue
        node[key] = _other(value, random)
        if isinstance(node, dict) and random.random() < 0.3:
            node[random.choice(TEXTS).decode(errors="replace")] = value
        return


def _other(value: Any, random: Random) -> Any:
    if isinstance(value, str):
        return random.choice((*TEXTS, *NUMBERS)).decode(errors="replace")
    numbers = (math.nan, math.inf, -math.inf, -1.0, 0.0, 1e308, -1e308, 1e18, 5e-324, 2.0**53, 1e12, -0.0)
    return random.choice(numbers) if isinstance(value, float) else random.choice((0, -1, 2**63 - 1, 10**6))
