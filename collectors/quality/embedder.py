"""The ruler for relevancy and coherence: the embeddings of a server that is not the one under test.

A server's own embeddings would change with what they measure. One endpoint and one model are kept for the whole run,
because cosines of different models cannot be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from collectors.answer import Failure
from collectors.quality.embeddings import coherence, cosine, sentences
from collectors.quality.served import refused, served
from metrics.sample import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collectors.fetch import Fetch

TOKEN_FLAG = "--embeddings-token-env"  # noqa: S105 -- the name of a flag
MAX_CHARS = 1500
"""Characters of a text that are embedded: some 400 tokens, for the common models take 512 and refuse what is longer."""
LEAST_WORDS = 8
"""Of an answer. The cosine of a question and the one word or number that answers it tells of the length alone."""


class Endpoint(Struct, frozen=True):
    """A server that makes embeddings."""

    root: str
    """What `/v1/embeddings` is appended to."""
    shown: str
    """The same, as it may be shown."""
    headers: dict[str, str] = field(default_factory=dict)
    """Go with every request to it and to nobody else."""
    ca_file: str | None = None
    """An authority to trust there beside the system's."""
    model: str | None = None
    """The model to ask; the first that it names where none is given."""


class Closeness(Struct, frozen=True):
    """What embeddings tell of one answer; None where it is too short to tell."""

    relevancy: float | None = None
    """Cosine of question and answer."""
    coherence: float | None = None
    """Mean cosine of neighbouring sentences of the answer."""


class _Row(Struct):
    embedding: list[float]
    index: int = 0


class _Usage(Struct):
    total_tokens: int | None = None
    prompt_tokens: int | None = None


class _Rows(Struct):
    data: list[_Row]
    usage: _Usage | None = None


class Embedder:
    """One such server."""

    def __init__(self, endpoint: Endpoint, fetch: Fetch) -> None:
        self._endpoint = endpoint
        self._fetch = fetch
        self.model = endpoint.model
        """The model that embeds, the same for the whole run; None until it is known."""
        self.tokens = 0
        """Tokens embedded, as the server counts them."""

    async def closeness(self, question: str, answer: str) -> Closeness | Failure:
        """Measure one answer. One of fewer than `LEAST_WORDS` words is not sent."""
        if len(answer.split(maxsplit=LEAST_WORDS)) < LEAST_WORDS:
            return Closeness()
        text = answer[:MAX_CHARS]
        vectors = await self.embed([question[:MAX_CHARS], text, *sentences(text)])
        if isinstance(vectors, Failure):
            return vectors
        return Closeness(cosine(vectors[0], vectors[1]), coherence(vectors[2:]))

    async def embed(self, texts: Sequence[str]) -> list[list[float]] | Failure:
        """Embed texts: a vector for each, all of one length."""
        where = self._endpoint
        if self.model is None:
            found = await served(self._fetch, where.root, where.shown, TOKEN_FLAG)
            if isinstance(found, Failure):
                return found
            self.model = found.id
        path, named = "/v1/embeddings", {"model": self.model} if self.model else {}
        body: dict[str, Any] = {**named, "input": list(texts)}
        answer = await self._fetch.post(where.root + path, where.shown + path, msgspec.json.encode(body))
        if isinstance(answer, Failure):
            return answer
        if answer.status != 200:
            return refused(answer, where.shown + path, TOKEN_FLAG)
        try:
            rows = msgspec.json.decode(answer.body, type=_Rows)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            rows = _Rows([])
        vectors = [row.embedding for row in sorted(rows.data, key=lambda each: each.index)]
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
            return Failure(State.DOWN, f"{where.shown}{path} did not answer one vector for each text")
        usage = rows.usage or _Usage()
        self.tokens += max(0, usage.total_tokens or usage.prompt_tokens or 0)
        return vectors
