"""What a server is, and is set to, that is not as before."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.recommend.catalogue import ADVICE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.verification.side import Side

FLAG = "flag_"
"""Facts that stand on the command line begin with it."""
LIMITS = ("max_running_requests", "max_model_len", "kv_cache_capacity_tokens")
"""Gauges that say how a server was set up."""
_MOST_NAMED = 2
"""More settings than these are counted and not named in one sentence."""


def _told_by() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for advice in ADVICE:
        for actions in advice.actions.values():
            for action in actions:
                found[action.flag] |= dict.fromkeys(action.now.split())
    return {flag: tuple(names) for flag, names in found.items() if names}


TOLD_BY = _told_by()
"""By flag as it is typed (`-np`), the facts that tell its value in force, the best first (`flag_parallel`)."""
SETTINGS = {name for names in TOLD_BY.values() for name in names if not name.startswith(FLAG)} | {
    *("block_size", "kv_cache_memory_bytes", "num_gpu_blocks", "num_gpu_blocks_override", "sliding_window", "max_lora")
}
"""Facts that say how a server was set up; so does every `flag_*`. Others (addresses, what runs now) say who it is."""


class Setting(Struct, frozen=True):
    """Something that the server is set to, or is, that changed."""

    name: str
    before: str | None
    after: str | None

    @property
    def typed(self) -> str:
        """Its name as it is typed: `--max-num-seqs`; what is no flag keeps its own."""
        flag = self.name.startswith(FLAG)
        return f"--{self.name.removeprefix(FLAG).replace('_', '-')}" if flag else self.name

    @property
    def text(self) -> str:
        """The change: `--max-num-seqs 8 -> 2`."""
        return f"{self.typed} {self.before or 'not set'} -> {self.after or 'not set'}"


def changed_settings(before: Side, after: Side) -> tuple[Setting, ...]:
    """List what the server is, and is set to, that is not as before, each thing once.

    What one of them does not tell has not changed; but a flag that does not stand on a command line that is seen is
    one that is not set.
    """
    told = (
        {"engine": side.engine, "model": side.model, "GPUs": ", ".join(side.gpus)}
        | ({"engine_version": side.version} if before.engine == after.engine else {})
        for side in (before, after)
    )
    one, other = ({name: text for name, text in each.items() if text} for each in told)
    if before.engine == after.engine:  # what another engine is set to has nothing to do with it
        one, other = one | before.settings, other | after.settings
    names = [*one, *(name for name in other if name not in one)]
    seen = all(any(name.startswith(FLAG) for name in each) for each in (one, other))
    return _once(
        [
            Setting(name, one.get(name), other.get(name))
            for name in names
            if one.get(name) != other.get(name)
            and ((name in one and name in other) or (name.startswith(FLAG) and seen))
        ]
    )


def _once(found: Sequence[Setting]) -> tuple[Setting, ...]:
    """Leave out what another tells as well: the page beside the command line, and the limit that a flag sets."""
    names = {each.name for each in found}
    flags = {(each.before, each.after) for each in found if each.name.startswith(FLAG)}
    again = {
        name
        for told in TOLD_BY.values()
        for name in [each for each in told if each in names and each not in LIMITS][1:]
    }
    return tuple(
        each
        for each in found
        if each.name not in again and not (each.name in LIMITS and (each.before, each.after) in flags)
    )


def named(settings: Sequence[Setting]) -> str:
    """Say behind an outcome what was changed: ` after --max-num-seqs 8 -> 2`, ` after 5 settings changed`."""
    if not settings:
        return ", with nothing changed that the server tells of itself"
    if len(settings) > _MOST_NAMED:
        return f" after {len(settings)} settings changed"
    return f" after {', '.join(each.text for each in settings)}"
