"""The words that can be heard, and their pronunciations as a tree of phones in flat arrays.

Words that begin alike share the nodes of their beginning, words that sound alike share the node of their end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from trifold.errors import DataError

__all__ = ["MOST_WORDS", "Lexicon", "Numbers", "Tree"]

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

MOST_WORDS = 50_000
"""Of a text with more different words only the most frequent are listened for."""


@dataclass(frozen=True, slots=True)
class Tree:
    """M nodes for W words; node 0 is the root, before any phone, and a node's parent has a lower number.

    phone, parent, depth: of each node, shape (M,); the root's phone is -1 and its parent itself.
    children: every node but the root, those of node i from children_from[i] to children_from[i + 1], shapes (M - 1,)
    and (M + 1,). words: likewise the words that end at each node, shapes (W,) and (M + 1,).
    """

    phone: Numbers
    parent: Numbers
    depth: Numbers
    children: Numbers
    children_from: Numbers
    words: Numbers
    words_from: Numbers

    @classmethod
    def of(cls, pronunciations: Sequence[Sequence[int]]) -> Tree:
        """pronunciations: the phones of each word, none empty."""
        nodes: dict[tuple[int, int], int] = {}
        phone, parent, depth, ends = [-1], [0], [0], []
        for phones in pronunciations:
            at = 0
            for one in phones:
                if (node := nodes.get((at, one))) is None:
                    node = nodes[at, one] = len(phone)
                    phone.append(one)
                    parent.append(at)
                    depth.append(depth[at] + 1)
                at = node
            ends.append(at)
        above, last = np.array(parent, np.int64), np.array(ends, np.int64)
        edges = np.arange(len(phone) + 1)
        children = np.argsort(above[1:], kind="stable") + 1
        words = np.argsort(last, kind="stable")
        return cls(
            np.array(phone, np.int64),
            above,
            np.array(depth, np.int64),
            children,
            np.searchsorted(above[children], edges),
            words,
            np.searchsorted(last[words], edges),
        )

    def children_of(self, nodes: Numbers) -> tuple[Numbers, Numbers]:
        """All children of some nodes: the position in `nodes` of each one's parent, and the child."""
        return _ranges(self.children, self.children_from, nodes)

    def words_of(self, nodes: Numbers) -> tuple[Numbers, Numbers]:
        """All words that end at some nodes: the position in `nodes` of each one's node, and the word."""
        return _ranges(self.words, self.words_from, nodes)

    def least(self, costs: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The lowest cost among the words at and below each node, shape (M,). costs: of the words, shape (W,)."""
        found = np.full(len(self.phone), np.inf)
        owner = np.repeat(np.arange(len(self.phone)), np.diff(self.words_from))
        np.minimum.at(found, owner, costs[self.words])
        by_depth = np.argsort(self.depth, kind="stable")
        edges = np.searchsorted(self.depth[by_depth], np.arange(self.depth.max() + 2))
        for level in range(len(edges) - 2, 0, -1):
            nodes = by_depth[edges[level] : edges[level + 1]]
            np.minimum.at(found, self.parent[nodes], found[nodes])
        return found


@dataclass(frozen=True, slots=True)
class Lexicon:
    """words: by number, the most frequent first. pronunciations: the phones of each, numbers above 0 (0 is silence).

    Raises DataError for none or too many words, one that stands twice, or one without phones or with silence.
    """

    words: tuple[str, ...]
    pronunciations: tuple[tuple[int, ...], ...]
    tree: Tree = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        count, different = len(self.words), len(set(self.words))
        if not 0 < count <= MOST_WORDS:
            raise DataError(
                f"the lexicon: expected 1 to {MOST_WORDS:,} words, found {count:,}. Keep those that stand in the text "
                "most often."
            )
        if different != count or len(self.pronunciations) != count:
            raise DataError(
                f"the lexicon: expected different words with a pronunciation each, found {count:,} words, "
                f"{different:,} of them different, and {len(self.pronunciations):,} pronunciations."
            )
        for word, phones in zip(self.words, self.pronunciations, strict=True):
            if not phones or min(phones) < 1:
                raise DataError(
                    f"the lexicon: expected phones from 1 on for each word, found {list(phones)} for {word!r}. Leave "
                    "out words that have no sound."
                )
        object.__setattr__(self, "tree", Tree.of(self.pronunciations))

    @property
    def phones(self) -> int:
        """So many phones, silence included, a recogniser must tell apart at least."""
        return 1 + max(map(max, self.pronunciations))


def _ranges(values: Numbers, edges: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
    """values[edges[r] : edges[r + 1]] for all r of rows, one after the other, and the position of each one's r."""
    first = edges[rows]
    sizes = edges[rows + 1] - first
    owner = np.repeat(np.arange(len(rows)), sizes)
    before = np.cumsum(sizes) - sizes
    return owner, values[np.arange(len(owner)) + np.repeat(first - before, sizes)]
