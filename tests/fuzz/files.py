"""Files that a user names: questions, results of other programs, the configuration."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chimera_top.config import Settings, load
from chimera_top.exit import UsageError
from chimera_top.quality import imported_quality
from collectors.quality import items
from insight.quality.grading import grade
from metrics.quality import Reply
from tests.fuzz.invariants import is_harmless
from tests.fuzz.mutation import TEXTS, mangled, mutated_json

if TYPE_CHECKING:
    from random import Random

ITEMS = tuple(Path(items.__file__).with_name("items.jsonl").read_bytes().splitlines())
_RESULTS = (
    (
        b'{"results": {"gsm8k": {"alias": "gsm8k", "exact_match,strict-match": 0.5, "acc,none": 0.75,'
        b' "exact_match_stderr,strict-match": 0.01}}, "n-samples": {"gsm8k": {"original": 1319, "effective": 200}}}'
    ),
    (
        b'{"version": 2, "status": "success", "eval": {"task": "a/gsm8k", "model": "m"},'
        b' "results": {"completed_samples": 20, "scores": [{"name": "match", "scored_samples": 20, "metrics": {'
        b' "accuracy": {"name": "accuracy", "value": 0.5}, "stderr": {"name": "stderr", "value": 0.1}}}]}}'
    ),
)
_CONFIG = b"""
targets = ["http://127.0.0.1:8000", "http://10.0.0.1:30000"]
interval = "1s"
window = "5min"
slo = "ttft_p95=0.8s,itl_p95=50ms"
token_env = "TOKEN"
headers = ["X-Key=NAME"]
probe = true
probe_budget = 60000
price = 0.6
ascii = false

[[target]]
url = "http://127.0.0.1:8000"
token_env = "TOKEN"
headers = ["X-Key=NAME"]

[[target]]
url = "https://u@[::1]:8001/v1"
ca_cert = "ca.pem"
"""
_KINDS = (b"questions", b"results", b"config")


def make(random: Random) -> list[bytes]:
    """Make which file it is, and the file."""
    kind = random.choice(_KINDS)
    if kind == b"questions":
        lines = [random.choice(ITEMS) for _ in range(random.choice((1, 5, 30)))]
        lines = [
            mutated_json(each, random) if each.startswith(b"{") and random.random() < 0.5 else each for each in lines
        ]
        file = b"\n".join(lines)
    elif kind == b"results":
        file = mutated_json(random.choice(_RESULTS), random)
    else:
        file = _CONFIG
        for _ in range(random.choice((1, 2, 4))):
            old = random.choice((b"1s", b"5min", b"true", b"60000", b"0.6", b"http://127.0.0.1:8000", b"slo", b"TOKEN"))
            new = random.choice(
                (*TEXTS, b"[[", b"1e400", b"9" * 40, b"nan", b"-1", b"targets", b"{}", b'"', b"[a]\n", b"inf")
            )
            file = file.replace(old, new, 1)
    return [kind, mangled(file, random) if random.random() < 0.3 else file]


def run(pieces: list[bytes]) -> None:
    """Read it: what is of use is used, and the rest is named in one line."""
    kind, data = pieces
    if kind == b"questions":
        _questions(data)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fuzz.toml" if kind == b"config" else "fuzz.json")
        path.write_bytes(data)
        said = ""
        try:
            if kind == b"config":
                _configured(path)
            else:
                _imported(path)
        except UsageError as error:
            said = str(error)
        assert is_harmless(said), said


def _questions(data: bytes) -> None:
    found = items.parse(data)
    for bad in found.bad:
        assert 1 <= bad.number <= data.count(b"\n") + 1
        assert bad.reason
        assert is_harmless(bad.reason)
    assert len({each.id for each in found.items}) == len(found.items)
    for item in items.interleaved(found.items):
        assert item.haystack is None or item.haystack.words > 5000 or items.prompt(item)
        graded = grade(item, Reply('It is 42, or {"a": 1}.\n\u2028B', "stop"))
        assert is_harmless(graded.why), graded
        assert graded.f1 is None or 0 <= graded.f1 <= 1


def _configured(path: Path) -> None:
    settings = load({"config": str(path), "targets": []}, {"TOKEN": "a", "NAME": "b"})
    for name in ("interval_seconds", "window_seconds", "probe_interval_seconds"):
        try:
            seconds = getattr(settings, name)
        except UsageError as error:
            said = str(error)
        else:
            said = ""
            assert 0 < seconds < math.inf
        assert is_harmless(said), said


def _imported(path: Path) -> None:
    for name, measure in imported_quality(Settings(quality=(str(path),))).items():
        assert is_harmless(name), name
        numbers = (measure.value, measure.count, measure.lo, measure.hi)
        assert all(each is None or math.isfinite(each) for each in numbers), (name, measure)
        assert msgspec.json.encode(measure)
