"""An inference server, seen through its metrics page: one GET a poll, and now and then the few that tell facts.

Nothing here has a side effect on the server: no request that generates, none of the health checks that do (SGLang's
`/health` runs a prefill), no page but the one that was asked for and the facts endpoints that its dialect names.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from collectors.answer import Failure, nothing_there, refusal
from collectors.engines import identify
from collectors.engines.dialect import Reading, read
from collectors.engines.llamacpp import LLAMACPP
from collectors.engines.ollama import OLLAMA, read_running
from collectors.engines.ollama import PAGE as LOADED
from collectors.engines.served import PAGE as SERVED
from collectors.engines.served import read_served
from collectors.engines.trtllm import TRTLLM
from collectors.engines.trtllm_json import read_steps
from collectors.exposition import Page, Parser
from collectors.facts import FACTS_SECONDS, Facts
from collectors.slots import Slots
from collectors.target import target
from collectors.trust import trust
from metrics.sample import Missing, Sample, Source, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from collectors.answer import Answer
    from collectors.clock import Clock
    from collectors.engines.dialect import Dialect
    from collectors.fetch import Fetch

_ELSEWHERE = ("/v1/metrics", "/prometheus/metrics", LOADED, SERVED)
"""Asked for where there is no metrics page: NIM, TensorRT-LLM, Ollama, any other. None of them has a side effect."""
_NO_PAGE = frozenset((404, 405, 501))
"""What a server answers that has none: 501 is llama-server without `--metrics`."""
_COMMON = ("python_", "process_", "go_", "promhttp_")
_SLOW_SECONDS = 1.0
"""Of an answer that takes longer nobody knows when its `Date` was written: overload must not look like a clock off."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class ServerCollector:
    """Polls one server.

    `url` is its base URL or its metrics page (`collectors.target`). `headers` go with every request to it and are never
    shown; an `Authorization` among them wins over user and password in the URL. `ca_file` names an authority to trust
    besides the system's. Raises ValueError, in one line, where one of them is unusable.
    """

    kind = Source.SERVER

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        deadline: float = 5.0,
        ca_file: str | None = None,
        interval: float | None = None,
    ) -> None:
        self._target = target(url)
        self.name = self._target.source
        self.interval = interval
        self._clock = clock
        self._headers = {**self._target.headers, **_checked(headers or {})}
        self._trust = trust(ca_file)
        self._deadline = deadline
        self._fetch: Fetch | None = None
        self._parser = Parser()
        self._found_at = ""
        """Where below the root it was found what is polled, if not where it was looked for first."""
        self._no_page = ""
        """Why there is no metrics page, where the list of models is polled in its place, ..."""
        self._searched_at = 0.0
        """... and when the page was looked for last."""
        self._counted: dict[str, float] = {}
        """What the steps came to that a TensorRT-LLM has told so far: each is told once."""
        self._facts = Facts(self._target.root)
        self._slots = Slots(self._target.root)

    async def collect(self) -> Sequence[Sample]:
        """Poll once: one Sample, whatever happened."""
        fetch = self._open()  # before the clock is read: the first time it imports for 0.1 s
        wall, began = self._clock.wall(), self._clock.mono()
        answer = await self._page(fetch, began)
        taken = self._clock.mono() - began
        sample = Sample(self.name, self.kind, wall + taken / 2, began + taken / 2, taken)
        found = self._understood(answer)
        if isinstance(found, Failure):
            self._facts.interrupted()
            return [replace(sample, state=found.state, reason=found.reason)]
        dialect, page = found
        live = await self._slots.live(fetch, page, began + taken) if dialect is LLAMACPP and page.counters else page
        await self._facts.learn(fetch, dialect, page, began + taken)
        filled = _filled(sample, live, self._facts.told)
        if isinstance(answer, Failure) or answer.date is None or taken > _SLOW_SECONDS:
            return [filled]
        # A `Date` is cut to the second, so the clock stood half a second further in the mean.
        offset = answer.date + 0.5 - sample.wall
        return [replace(filled, gauges={**filled.gauges, "clock_offset_seconds": offset})]

    async def close(self) -> None:
        """Close the connection."""
        if self._fetch is not None:
            await self._fetch.close()

    def _open(self) -> Fetch:
        if self._fetch is None:
            from collectors.fetch import Fetch  # noqa: PLC0415 -- aiohttp takes 0.1 s that the first paint need not wait

            self._fetch = Fetch(self._headers, trust=self._trust, deadline=self._deadline)
        return self._fetch

    async def _page(self, fetch: Fetch, now: float) -> Answer | Failure:
        """Fetch what is polled: the metrics page, or what a server has that has none there.

        That is a page elsewhere (NIM, TensorRT-LLM), of an Ollama the list of loaded models, of any other the list of
        models that it serves; then the page is looked for again once a minute, for it may have been switched on.
        """
        if self._found_at and (self._found_at != SERVED or now - self._searched_at < FACTS_SECONDS):
            answer = await fetch.get(self._target.root + self._found_at, self._found_at)
            if isinstance(answer, Failure):
                self._found_at = ""  # what comes back may have a page
                return answer
            if answer.status == 200:
                return answer
        self._found_at, self._searched_at = "", now
        answer = await fetch.get(self._target.page, self._target.shown)
        if isinstance(answer, Failure) or answer.status not in _NO_PAGE:
            return answer
        for path in _ELSEWHERE:
            other = await fetch.get(self._target.root + path, path)
            if isinstance(other, Failure):
                continue
            if other.status == 200:
                refused = refusal(answer, self._target.shown)
                self._found_at, self._no_page = path, refused.reason if refused else ""
                return other
            if path == SERVED and other.status == 401:  # it serves, and only a token would tell what
                return refusal(other, SERVED) or other
        return answer

    def _understood(self, answer: Answer | Failure) -> tuple[Dialect, Reading] | Failure:
        """Read an answer in the words of the server that it comes from."""
        if isinstance(answer, Failure):
            return answer
        shown = self._target.shown
        if failure := refusal(answer, shown):
            return failure
        page = self._parser.parse(answer.body)
        if not page.samples:
            return self._read_json(answer.body) or nothing_there(answer.body, self._found_at or shown)
        dialect = identify(page)
        if dialect is None:
            return Failure(State.DOWN, f"{shown}: a metrics page of an unknown kind (first names: {_names(page)})")
        reading = read(dialect, page)
        reading = replace(reading, missing=(*reading.missing, *_unread(page)))
        return dialect, reading

    def _read_json(self, body: bytes) -> tuple[Dialect, Reading] | None:
        """Read the servers that answer with JSON; None where it is no answer of theirs."""
        if running := read_running(body):
            return OLLAMA, running
        if self._found_at == SERVED:
            return read_served(body, self._no_page)
        steps = read_steps(body, self._counted)
        if steps is None:
            return None
        self._counted = steps.counters
        return TRTLLM, steps


def _filled(sample: Sample, reading: Reading, told: Iterable[Reading]) -> Sample:
    """Fill a Sample with what the page and the facts endpoints say; where both speak, the page is the newer."""
    gauges, facts = {}, {}
    missing = list(reading.missing)
    for each in told:
        gauges.update(each.gauges)
        facts.update(each.facts)
        missing += each.missing
    gauges.update(reading.gauges)
    facts.update(reading.facts)
    return replace(
        sample,
        counters=reading.counters,
        gauges=gauges,
        histograms=reading.histograms,
        facts=facts,
        missing=tuple(missing),
    )


def _unread(page: Page) -> Iterator[Missing]:
    """Say what of a page was not read."""
    if page.bad_lines:
        why = f"{page.bad_lines:,} could not be read, the first: {page.first_bad}"
        yield Missing("some lines of the metrics page", why, "what they count is not seen")
    if page.unread:
        why = f"it was not read: the page has {page.unread}"
        yield Missing("the rest of the metrics page", why, "what it counts is not seen")
    if page.duplicates:
        stand = "1 stands twice on it" if page.duplicates == 1 else f"{page.duplicates:,} stand twice on it"
        yield Missing("some series of the metrics page", f"{stand}: the first value is taken", "the other is not seen")


def _names(page: Page) -> str:
    """Name the first families, those that every process has left out where there are others."""
    names = dict.fromkeys(series.name for series in page.samples)
    telling = [name for name in names if not name.startswith(_COMMON)]
    return ", ".join(islice(telling or names, 3))


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    """Check headers, and write their names in one way, so that one replaces another."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("unusable header: write it as NAME: VALUE, its name of letters, digits and dashes")
        if not value.isprintable() or not value.isascii():
            raise ValueError(f"unusable header {name}: its value holds a line break or a character that is not ASCII")
    return {name.title(): value for name, value in headers.items()}
