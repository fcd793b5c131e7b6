"""What an event of a completion stream says, in the words of every server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.probe.chunk import Chunk, Usage, read_chunk

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "content", "usage", "error", "tool_calls", "function", "text"]), inner
        )
    ),
    max_leaves=12,
)


def read(**payload: Any) -> Chunk:
    return read_chunk(json.dumps(payload))


def of_delta(**channels: Any) -> Chunk:
    return read(choices=[{"index": 0, "delta": channels}])


@pytest.mark.parametrize(
    "channels",
    [
        {"role": "assistant"},
        {"role": "assistant", "content": ""},
        {"content": None, "tool_calls": []},
        {"reasoning_content": ""},
        {"tool_calls": [{"index": 0, "function": {"name": "", "arguments": ""}}]},
    ],
)
def test_an_empty_delta_is_no_token(channels: dict[str, Any]) -> None:
    """A chunk that only says who speaks carries no token."""
    assert of_delta(**channels) == Chunk()


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_is_a_token_but_no_answer(name: str) -> None:
    """Both names of the reasoning channel count for TTFT and not for TTFO."""
    assert of_delta(**{name: "Hm"}) == Chunk(token=True, answer=False)


@pytest.mark.parametrize(
    "channels",
    [
        {"content": " "},
        {"content": [{"type": "text", "text": "a"}]},
        {"refusal": "No"},
        {"tool_calls": [{"index": 0, "function": {"name": "f"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
        {"function_call": {"arguments": "{"}},
    ],
)
def test_an_answer_is_a_token(channels: dict[str, Any]) -> None:
    """Text, a refusal and a tool call are tokens of the answer."""
    assert of_delta(**channels) == Chunk(token=True, answer=True)


def test_a_completion_has_text() -> None:
    """The older route has its text in the choice itself."""
    assert read(choices=[{"index": 0, "text": "a"}]) == Chunk(token=True, answer=True)
    assert read(choices=[{"index": 0, "text": ""}]) == Chunk()


def test_usage_is_read_beside_a_choice_and_without_one() -> None:
    """The usage counts wherever it stands; what it lacks is not known, and never 0."""
    usage = {"prompt_tokens": 5, "completion_tokens": 3}
    assert read(choices=[], usage=usage).usage == Usage(5, 3)
    beside = read(choices=[{"delta": {"content": "a"}, "finish_reason": "length"}], usage=usage)
    assert (beside.token, beside.usage) == (True, Usage(5, 3))
    assert read(choices=[], usage=usage | {"prompt_tokens_details": {"cached_tokens": 0}}).usage == Usage(5, 3, 0)
    assert read(choices=[], usage={"completion_tokens": 3}).usage == Usage(None, 3)
    assert read(choices=[], usage=None).usage is None
    assert read(choices=[], usage={"completion_tokens": -1, "prompt_tokens": True}).usage is None


@pytest.mark.parametrize(
    ("data", "name", "error"),
    [
        ('{"error": {"message": "out of memory", "code": 500}}', "message", "out of memory"),
        ('{"error": "boom"}', "message", "boom"),
        ('{"object": "error", "message": "too long"}', "message", "too long"),
        ('{"detail": "gone"}', "error", "gone"),
        ("not json", "error", "not json"),
        ('{"error": null, "choices": []}', "message", ""),
    ],
)
def test_errors_inside_a_stream(data: str, name: str, error: str) -> None:
    """An error is found in each of the shapes that servers give it."""
    assert read_chunk(data, name).error == error


def test_done() -> None:
    """The end that OpenAI's protocol writes."""
    assert read_chunk("[DONE]") == Chunk(done=True)


@given(JSON)
def test_any_json_is_read(payload: Any) -> None:
    """Whatever a server sends in whatever place, nothing is raised."""
    read_chunk(json.dumps(payload))


@given(st.text(max_size=30))
def test_any_text_is_read(data: str) -> None:
    """Nor by what is no JSON."""
    read_chunk(data)
