"""Answers of the simulated server to questions whose answers are known: shaped as the collector that asks them.

One question after another is asked, pass after pass, in virtual time and far more often than anybody would in earnest:
a pass takes a minute here and is an hour apart there. A finding that takes three passes takes three minutes here.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct

from metrics.quality import Arm, Graded, Outcome
from metrics.sample import Sample, Source
from metrics.series import series
from simulator.faults import WrongAnswers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simulator.simulation import Simulation

ANSWER_SECONDS = 0.5
PASS_SECONDS = 60.0
ITEMS, CONSISTENCY_ITEMS = 84, 12
"""84 questions, 12 of them in three arms: 108 answers, 54 s of each pass."""
FAMILIES = ("arithmetic", "choice", "extraction", "qa", "json", "needle")
KNOWN = 0.9
"""Share of the questions that the model can answer."""
UNSTEADY = 0.02
"""Share of the answers that turn out otherwise than the question usually does: batches are never twice the same."""
DIFFERENT = 0.08
"""Share of the answers that are worded otherwise than the last one, with a cold cache."""
PROMPT_TOKENS, ANSWER_TOKENS = 80, 12
NOT_JSON = "it is not JSON"


class Question(Struct, frozen=True):
    """One question."""

    id: str
    family: str
    arms: tuple[Arm, ...]
    known: bool
    """The model can answer it."""
    luck: float
    """From 0 to 1: below the share of a fault, this is one of the questions that it falls on."""


class AnswersCollector:
    """Tells what a canary would have found of the server `server` since the last poll."""

    kind = Source.QUALITY
    interval: float | None = None

    def __init__(self, simulation: Simulation, server: str, seed: int, wall: float, mono: float) -> None:
        self.name = f"quality:{server}"
        self._server = server
        self._simulation = simulation
        self._faults = [f for f in simulation.scenario.faults if isinstance(f, WrongAnswers)]
        self._wall = wall
        """Of second 0 of the simulation, as is `_mono`."""
        self._mono = mono
        self._random = Random(f"answers {seed}")
        self._questions = tuple(_questions(Random(f"questions {seed}")))
        self._counters: Counter[str] = Counter()
        self._passes = 0
        self._plan = self._pass()
        self._next = next(self._plan)

    async def collect(self) -> Sequence[Sample]:
        """Ask what is due, and make one Sample of what was answered."""
        now = self._simulation.now
        graded: list[Graded] = []
        while self._next[0] <= now:
            graded.append(self._ask(*self._next))
            self._next = next(self._plan)
        return [
            Sample(
                source=self.name,
                kind=self.kind,
                wall=self._wall + now,
                mono=self._mono + now,
                counters={name: float(value) for name, value in self._counters.items()},
                facts={
                    "url": self._server,
                    "items": str(len(self._questions)),
                    "passes": str(self._passes),
                    "quality": "simulated",
                },
                graded=tuple(graded),
            )
        ]

    async def close(self) -> None:
        """Nothing is held open."""

    def _pass(self) -> Iterator[tuple[float, Question, Arm, int]]:
        """Plan pass after pass: when each answer is there, to which question, in which arm, of which pass."""
        while True:
            at = self._passes * PASS_SECONDS
            for question in self._questions:
                for arm in question.arms:
                    at += ANSWER_SECONDS
                    yield at, question, arm, self._passes
            self._passes += 1

    def _ask(self, at: float, question: Question, arm: Arm, number: int) -> Graded:
        random = self._random
        steady, worded = random.random() >= UNSTEADY, random.random()
        wrong, spoilt = self._share(at, warm=False), self._share(at, warm=True) if arm is Arm.WARM else 0.0
        broken = question.luck < wrong or random.random() < spoilt
        right = question.known is steady and not broken
        outcome = (Outcome.RIGHT if right else Outcome.WRONG) if self._simulation.up else Outcome.FAILED
        self._counters[series("quality_items", family=question.family, outcome=outcome.value)] += 1
        if outcome is Outcome.FAILED:
            return Graded(question.id, question.family, outcome, self._wall + at, "no answer", arm=arm, round=number)
        self._counters["quality_prompt_tokens"] += PROMPT_TOKENS
        self._counters["quality_output_tokens"] += ANSWER_TOKENS
        return Graded(
            question.id,
            question.family,
            outcome,
            self._wall + at,
            why="" if right else NOT_JSON if broken and question.family == "json" else "another answer",
            exact=right,
            arm=arm,
            round=number,
            digest=f"{question.id} {right} {worded if worded < DIFFERENT else ''}",
            cached_tokens=None if arm is Arm.ONLY else PROMPT_TOKENS // 16 * 16 if arm is Arm.WARM else 0,
        )

    def _share(self, at: float, *, warm: bool) -> float:
        return sum(f.share for f in self._faults if f.there(at) and f.warm_only is warm)


def _questions(random: Random) -> Iterator[Question]:
    for number in range(ITEMS):
        family = FAMILIES[number % len(FAMILIES)]
        three = number % (ITEMS // CONSISTENCY_ITEMS) == 0
        arms = (Arm.COLD, Arm.WARM, Arm.AGAIN) if three else (Arm.ONLY,)
        yield Question(f"{family}-{number}", family, arms, random.random() < KNOWN, random.random())
