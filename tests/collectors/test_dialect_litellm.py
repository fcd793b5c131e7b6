"""LiteLLM's dialect on a page written after its sources: two models, two users."""

from __future__ import annotations

from collectors.engines.litellm import LITELLM
from tests.pages import counts, missing, reading


def test_numbers_are_those_of_the_page_by_model() -> None:
    """Users, keys and teams are added up; models stay apart."""
    result = reading("litellm", LITELLM)
    assert result.counters == {
        'requests_finished{model="a"}': 30.0,
        'requests_finished{model="b"}': 7.0,
        'requests_failed{model="b"}': 2.0,
        'http_requests{status="2xx"}': 35.0,
        'http_requests{status="4xx"}': 2.0,
        'prompt_tokens_total{model="a"}': 3000.0,
        'prompt_tokens_total{model="b"}': 700.0,
        'output_tokens_total{model="a"}': 800.0,
        'output_tokens_total{model="b"}': 90.0,
    }
    assert counts(result)['ttft_seconds{model="a"}'] == (30.0, 12.0)
    assert counts(result)['e2e_seconds{model="b"}'] == (5.0, 2.0)
    assert missing(result, LITELLM) == {}


def test_no_user_and_no_key_is_read() -> None:
    """Names of users, keys and teams are in no series and no fact."""
    said = repr(reading("litellm", LITELLM))
    assert not any(secret in said for secret in ("alice", "bob", "team"))
