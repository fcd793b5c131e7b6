"""Questions whose answers are known, and what became of each: the plain data that quality is measured with.

An Item is asked by `collectors.quality`, which may not conclude anything; whether the Reply is right is decided by
`insight.quality`. Both speak of it in the words below, and a Sample carries the outcome as a Graded.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Callable

JSON_KEYWORDS = frozenset(("type", "required", "properties", "items", "enum", "additionalProperties"))
"""The keywords of JSON Schema that an item may use; any other is refused, so that none is silently not checked."""
JSON_TYPES = frozenset(("object", "array", "string", "number", "integer", "boolean", "null"))

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, Meta(min_length=1, max_length=20_000)]
Answers = Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(min_length=1)]


class Exact(Struct, frozen=True, forbid_unknown_fields=True, tag="exact", tag_field="type"):
    """The answer is one of these; white space around it and a final full stop are of no account."""

    answers: Answers
    ignore_case: bool = True


class Number(Struct, frozen=True, forbid_unknown_fields=True, tag="number", tag_field="type"):
    """The answer is this number: the only one in it, or the last."""

    value: float
    tolerance: Annotated[float, Meta(ge=0)] = 0.0
    """Largest difference that is still right."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and math.isfinite(self.tolerance)):
            raise ValueError("a number and its tolerance have to be finite")


class Choice(Struct, frozen=True, forbid_unknown_fields=True, tag="choice", tag_field="type"):
    """The answer is this letter."""

    answer: Annotated[str, Meta(pattern="^[A-J]$")]
    options: Annotated[int, Meta(ge=2, le=10)] = 4
    """How many letters there are to choose from."""

    def __post_init__(self) -> None:
        if self.answer not in "ABCDEFGHIJ"[: self.options]:
            raise ValueError(f"the answer {self.answer} is none of the {self.options} options")


class Regex(Struct, frozen=True, forbid_unknown_fields=True, tag="regex", tag_field="type"):
    """The whole answer, white space around it aside, matches this pattern of Python's `re`."""

    pattern: Text

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"the pattern cannot be compiled: {error}") from None


class Json(Struct, frozen=True, forbid_unknown_fields=True, tag="json", tag_field="type"):
    """The answer is JSON that keeps to this schema, in a code fence or not."""

    schema: dict[str, Any]

    def __post_init__(self) -> None:
        _check_schema(self.schema)


class TokenF1(Struct, frozen=True, forbid_unknown_fields=True, tag="f1", tag_field="type"):
    """The answer shares its words with one of these (SQuAD F1); it is right when F1 reaches `least`."""

    answers: Answers
    least: Annotated[float, Meta(gt=0, le=1)] = 0.5


class Contains(Struct, frozen=True, forbid_unknown_fields=True, tag="contains", tag_field="type"):
    """One of these stands in the answer as a word of its own: what a needle in a haystack is asked for."""

    answers: Answers


class Stops(Struct, frozen=True, forbid_unknown_fields=True, tag="stops", tag_field="type"):
    """The answer ends by itself and does not go round in circles; what it says does not matter."""

    least_words: Annotated[int, Meta(ge=0)] = 1


Check = Exact | Number | Choice | Regex | Json | TokenF1 | Contains | Stops


class Haystack(Struct, frozen=True, forbid_unknown_fields=True):
    """A long text of no meaning, made up on the spot, with one sentence in it that matters."""

    needle: Text
    depth: Annotated[float, Meta(ge=0, le=1)]
    """Where the sentence stands: 0 at the beginning, 1 at the end."""
    words: Annotated[int, Meta(ge=20, le=100_000)] = 400
    seed: int = 1


class Item(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One question and how its answer is checked: one line of a quality file."""

    id: Name
    family: Name
    """What it tries: `arithmetic`, `extraction`, ... Scores are told by family."""
    prompt: Text
    check: Check
    max_tokens: Annotated[int, Meta(ge=1, le=4096)] = 64
    haystack: Haystack | None = None
    """Put before the prompt."""
    consistency: bool = False
    """Asked three times in a row: with a cold cache, a warm one, and a cold one again."""


class Reply(Struct, frozen=True):
    """What a server answered to an item."""

    text: str
    finish: str = ""
    """`stop`, `length`, ...: as the server says it; '' where it does not."""
    reasoning: bool = False
    """Whether it also reasoned, in a channel of its own or within <think>, which is not part of `text`."""
    prompt_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int | None = None
    """Prompt tokens that the server says it took from its cache; None where it does not say."""
    first_logprob: float | None = None
    """Natural logarithm of the probability of its first token, at most 0; None where the server does not tell it."""


class Outcome(StrEnum):
    """What became of a question."""

    RIGHT = "right"
    WRONG = "wrong"
    CUT = "cut"
    """Not right, and cut off by the limit of tokens: it counts as wrong."""
    FAILED = "failed"
    """No answer came: it says nothing about quality, and is counted apart."""


class Arm(StrEnum):
    """Which of the answers to one question this is; there is more than one where caches are compared."""

    ONLY = "only"
    COLD = "cold"
    WARM = "warm"
    AGAIN = "again"
    """With a cold cache once more: how much answers differ without any cache."""


class Graded(Struct, frozen=True, omit_defaults=True):
    """One answer to one item, and how good it was."""

    item: str
    family: str
    outcome: Outcome
    wall: float = 0.0
    """Seconds since the epoch at the end of the answer."""
    why: str = ""
    """What is wrong with it, in a few words."""
    exact: bool | None = None
    """Whether it equals one of the known answers; None where there are none to equal."""
    f1: float | None = None
    """SQuAD token F1, 0 to 1; None where there are no words to compare with."""
    expected: str = ""
    """Of a choice: the right letter."""
    said: str = ""
    """Of a choice: the letter that was chosen; '' for none."""
    arm: Arm = Arm.ONLY
    round: int = 0
    """Arms with the same item and round belong together."""
    digest: str = ""
    """Of the text: two answers are the same when their digests are."""
    cached_tokens: int | None = None
    output_tokens: int = 0
    """Tokens of the answer, thoughts among them; 0 where the server does not tell."""
    first_logprob: float | None = None
    """Natural logarithm of the probability of its first token; None where it was not asked for, or is not told."""
    relevancy: float | None = None
    """Cosine of the embeddings of question and answer, -1 to 1."""
    coherence: float | None = None
    """Mean cosine of the embeddings of neighbouring sentences of the answer."""


def _check_schema(schema: dict[str, Any]) -> None:
    """Raise ValueError, naming what is wrong, where a schema uses what is not understood here."""
    for keyword, value in schema.items():
        if keyword not in JSON_KEYWORDS:
            raise ValueError(f"the schema keyword {keyword!r} is not known: {', '.join(sorted(JSON_KEYWORDS))} are")
        if not _WELL_FORMED[keyword](value):
            raise ValueError(f"the schema keyword {keyword!r} has an unusable value")
    for inner in schema.get("properties", {}).values():
        _check_schema(inner)
    if "items" in schema:
        _check_schema(schema["items"])


def _is_types(value: object) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in JSON_TYPES for name in names)


_WELL_FORMED: dict[str, Callable[[Any], bool]] = {
    "type": _is_types,
    "required": lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
    "properties": lambda value: isinstance(value, dict) and all(isinstance(each, dict) for each in value.values()),
    "items": lambda value: isinstance(value, dict),
    "enum": lambda value: isinstance(value, list) and bool(value),
    "additionalProperties": lambda value: isinstance(value, bool),
}
