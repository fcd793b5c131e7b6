"""The paged KV cache: how many blocks are free, and which shared prefixes are still in it."""

from __future__ import annotations


class _Prefix:
    """The blocks of one shared prefix: in use, or free and still readable until they are taken for something else."""

    __slots__ = ("evicted_at", "users")

    def __init__(self) -> None:
        self.users = 0
        self.evicted_at = -1


class KvCache:
    """Blocks, handed out and taken back by count.

    Free blocks are taken in the order in which they became free (least recently used first), so a prefix that nobody
    uses is lost once as many blocks were taken as were free when it was let go.
    """

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        """One of them is set aside by the engine and holds nothing, as in vLLM."""
        self.free = blocks - 1
        self._taken = 0
        self._prefixes: dict[int, _Prefix] = {}

    @property
    def usage(self) -> float:
        """Share of the blocks in use."""
        return 1.0 - self.free / (self.blocks - 1)

    def take(self, blocks: int) -> None:
        """Take free blocks; there must be so many."""
        self.free -= blocks
        self._taken += blocks

    def give(self, blocks: int) -> None:
        """Take blocks back."""
        self.free += blocks

    def admit(self, blocks: int, prefix: int | None, prefix_blocks: int) -> int | None:
        """Take `blocks` for one sequence and join the users of its prefix.

        Return how many blocks of the prefix need no computing (all or none), or None, and change nothing, where the
        free blocks do not suffice.
        """
        if prefix is None:
            if blocks > self.free:
                return None
            self.take(blocks)
            return 0
        entry = self._prefixes.setdefault(prefix, _Prefix())
        known = entry.users > 0 or self._taken < entry.evicted_at
        needed = blocks + (0 if entry.users else prefix_blocks)
        if needed > self.free:
            return None
        self.take(needed)
        entry.users += 1
        return prefix_blocks if known else 0

    def leave(self, blocks: int, prefix: int | None, prefix_blocks: int) -> None:
        """Give a sequence's own blocks back, and its prefix's when it was the last to use it."""
        self.give(blocks)
        if prefix is None:
            return
        entry = self._prefixes[prefix]
        entry.users -= 1
        if entry.users == 0:
            self.give(prefix_blocks)
            entry.evicted_at = self._taken + self.free
