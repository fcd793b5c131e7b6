"""Ollama's answers, written after its documentation."""

from __future__ import annotations

import pytest

from collectors.engines.ollama import ABSENT, OLLAMA, read_running
from metrics.quantity import QUANTITIES

LOADED = b"""{"models": [
    {"name": "a:latest", "model": "a:latest", "size": 6000, "size_vram": 6000, "context_length": 8192,
     "expires_at": "2026-01-01T00:05:00Z", "digest": "d", "details": {"family": "llama"}},
    {"name": "b:7b", "size": 2000, "size_vram": 1000, "context_length": 4096}
]}"""


def test_loaded_models_are_facts() -> None:
    """Names, how much of them lies on the GPU, when they are unloaded; the shortest context is the limit."""
    result = read_running(LOADED)
    assert result is not None
    assert result.facts == {
        "engine": "ollama",
        "model": "a:latest, b:7b",
        "unloads": "a:latest at 2026-01-01T00:05:00Z",
        "offloaded_to_gpu": "88%",
    }
    assert result.gauges == {"max_model_len": 4096.0}
    assert result.missing == ABSENT


def test_no_model_loaded_is_known() -> None:
    """An idle Ollama has unloaded everything: that is an answer."""
    result = read_running(b'{"models":[]}')
    assert result is not None
    assert result.facts == {"engine": "ollama"}


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"models":[{"id":"m"}]}', b'{"models":1}', b"\xff", b"<html>"])
def test_another_answer_is_none_of_ollama(body: bytes) -> None:
    """Nothing is raised, and nothing is taken for Ollama that is not."""
    assert read_running(body) is None


def test_what_it_does_not_tell_is_named() -> None:
    """Each is a quantity, with the reason and what follows."""
    assert {each.what for each in ABSENT} <= set(QUANTITIES)
    assert all(each.why and each.consequence for each in ABSENT)
    version, tags = OLLAMA.endpoints
    assert version.read(b'{"version":"0.33.0"}').facts == {"engine_version": "0.33.0"}
    assert tags.read(b'{"models":[{"name":"a"},{"name":"b"}]}').facts == {"models": "a, b"}
