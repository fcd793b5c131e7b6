"""`--probe`: who is probed, with what, and that nobody is without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from chimera_top.cli import run
from chimera_top.config import Settings
from chimera_top.exit import UsageError
from chimera_top.sources import probe_plan, probed, servers
from collectors.clock import Clock
from metrics.sample import Source
from metrics.snapshot import Snapshot
from simulator.http import serve_in_thread
from simulator.scenario import load

if TYPE_CHECKING:
    from pathlib import Path


def test_nobody_is_probed_unasked() -> None:
    """Without --probe there is no collector that could generate, whatever else is set."""
    settings = Settings(targets=("http://a:1",), probe_model="m", probe_budget=1000, price=1.0)
    collectors = servers(settings, Clock())
    assert probed(settings, collectors, Clock()) == collectors


def test_each_server_has_a_probe_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --probe each target is polled as before and probed beside it, with the same token."""
    monkeypatch.setenv("KEY", "sesame")
    settings = Settings(targets=("http://a:1", "http://b:2/metrics"), probe=True, headers=("X-Key=KEY",))
    found = probed(settings, servers(settings, Clock()), Clock())
    assert [(each.name, each.kind) for each in found] == [
        ("http://a:1", Source.SERVER),
        ("probe:http://a:1", Source.PROBE),
        ("http://b:2", Source.SERVER),
        ("probe:http://b:2", Source.PROBE),
    ]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"probe_budget": 10}, "probe_budget: 10 tokens an hour do not pay for one request of 146"),
        ({"price": -1.0}, "price: -1.0 is no price"),
        ({"probe_interval": "10ms"}, "probe_interval: 10ms is out of range"),
    ],
)
def test_settings_that_cannot_be_are_named(setting: dict[str, object], message: str) -> None:
    """One line that names the setting."""
    with pytest.raises(UsageError, match=message):
        probe_plan(msgspec.convert({"probe": True, **setting}, Settings))


def test_a_report_has_what_the_probe_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`report --probe` on a running server: labelled numbers, and what they cost; without it not one request."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    server = serve_in_thread(load("healthy"), seed=1, clock=Clock())
    output = tmp_path / "report.json"
    asked = ["report", server.url, "--no-gpu", "--for", "4s", "--format", "json", "-o", str(output)]
    try:
        assert run([*asked, "--probe", "--probe-interval", "1s", "--price", "2"]) == 0
    finally:
        server.close()
    (target,) = msgspec.json.decode(output.read_bytes(), type=Snapshot).targets
    sent = target.quantities["probe_requests"]
    assert sent.source == "probe"
    assert sent.increase is not None
    assert sent.increase >= 1
    assert "$" in target.facts["probe"]
