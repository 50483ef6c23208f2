"""Do traced features agree with the rules of Othello? Which labels carry the effect on the target, over many games.

Every label names a square and a property; the rules say what that square is to the target: itself, a disc that the
target turns, another legal move, or nothing. A class of labels carries the share E_c = Σ |effect| of its features over
Σ |effect| of all features. Dealt out at random among the features that are active at the same site and position,
effects would give the share R_c = Σ_cell (n_c / n) Σ |effect|, a cell being a site and position with n features, n_c of
the class.

Shapes: N features of a site and positions of one game.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from saecli.attribution.clean import ERROR, SiteNodes
from saecli.core.site import Site
from saecli.games import othello

KINDS: Final = (
    ("target", "the target is a legal move"),
    ("at target", "other properties of the target's square"),
    ("turned", "a disc that the target turns is mine or yours"),
    ("other legal", "another move is legal, and is"),
    ("not legal", "a move is legal that is not (any more, or yet)"),
    ("other disc", "any other disc is mine or yours"),
    ("lines", "lines through other squares"),
    ("none", "no label"),
)
"""Classes of labels: name, and what the label says."""
NAMES: Final = tuple(name for name, _ in KINDS)
_LEGAL, _DISC = "legal", ("mine", "yours")


@dataclass(frozen=True)
class Rules:
    """What the rules say of a position and a move in it.

    Attributes:
        target: Square of the move.
        turned: Squares of the discs that it turns.
        legal: Squares of all legal moves.
    """

    target: int
    turned: frozenset[int]
    legal: frozenset[int]

    @classmethod
    def of(cls, moves: Sequence[int], target: int) -> Rules:
        """Of a legal move after some moves.

        Raises:
            saecli.games.othello.IllegalMove: A move is illegal.
        """
        boards = othello.replay([[*moves, target]])
        last = len(moves) - 1
        before, after = (
            othello.squares(board[0, at]) for board, at in ((boards.black, last), (boards.black, last + 1))
        )
        changed = set(np.flatnonzero(before != after).tolist()) - {target}
        return cls(
            target, frozenset(changed), frozenset(np.flatnonzero(othello.squares(boards.legal[0, last])).tolist())
        )

    def kind(self, description: str) -> str:
        """The class of a label such as ``D4 mine``; empty for no label.

        Args:
            description: Square and property.
        """
        name, _, what = description.partition(" ")
        if not what:
            return "none"
        square = othello.parse_game(name)[0]
        if what == _LEGAL:
            known = "other legal" if square in self.legal else "not legal"
            return "target" if square == self.target else known
        if square == self.target:
            return "at target"
        if what in _DISC:
            return "turned" if square in self.turned else "other disc"
        return "lines"


@dataclass
class Tally:
    """Sums over games; the classes in the order of :data:`NAMES`.

    Attributes:
        games: How many.
        effect, helps, random, features: Per class the sum of absolute effects, of those that help, what chance would
            give, and how many features there were.
        errors: Sum of absolute effects of errors.
        per_game: Per game the absolute effect of each class, for intervals.
        per_site: Site → effect, help and chance of the first class (the target is legal), and effect of all.
    """

    games: int = 0
    effect: np.ndarray = field(default_factory=lambda: np.zeros(len(NAMES)))
    helps: np.ndarray = field(default_factory=lambda: np.zeros(len(NAMES)))
    random: np.ndarray = field(default_factory=lambda: np.zeros(len(NAMES)))
    features: np.ndarray = field(default_factory=lambda: np.zeros(len(NAMES), dtype=np.int64))
    errors: float = 0.0
    per_game: list[np.ndarray] = field(default_factory=list)
    per_site: dict[Site, np.ndarray] = field(default_factory=dict)

    def add(self, sites: Iterable[tuple[SiteNodes, np.ndarray]], direction: int) -> None:
        """Add a game.

        Args:
            sites: Features and errors of each site, and of each the number of its class (any for errors).
            direction: 1 if a higher metric is better for the target, -1 if a lower one is.
        """
        before = self.effect.copy()
        for nodes, kind_N in sites:
            keep_N = (nodes.index_N != ERROR).numpy(force=True)
            effect_N = nodes.effect_N.double().numpy(force=True)
            self.errors += float(np.abs(effect_N[~keep_N]).sum())
            effect_N, kind_N = effect_N[keep_N], kind_N[keep_N]
            size_N, position_N = np.abs(effect_N), nodes.position_N.numpy(force=True)[keep_N]
            effect_C = np.bincount(kind_N, size_N, len(NAMES))
            helps_C = np.bincount(kind_N, size_N * (effect_N * direction < 0), len(NAMES))
            random_C = np.zeros(len(NAMES))
            self.features += np.bincount(kind_N, minlength=len(NAMES))
            for position in np.unique(position_N):
                cell_N = position_N == position
                counts = np.bincount(kind_N[cell_N], minlength=len(NAMES))
                random_C += counts / counts.sum() * size_N[cell_N].sum()
            self.effect, self.helps, self.random = self.effect + effect_C, self.helps + helps_C, self.random + random_C
            here = np.array([effect_C[0], helps_C[0], random_C[0], effect_C.sum()])
            self.per_site[nodes.site] = self.per_site.get(nodes.site, 0.0) + here
        self.games += 1
        self.per_game.append(self.effect - before)

    def intervals(self, seed: int, draws: int = 2000) -> np.ndarray:
        """95 % intervals of the shares of effect over games drawn with replacement: [2, classes]."""
        effect_GC = np.stack(self.per_game)
        drawn_RG = np.random.default_rng(seed).integers(0, self.games, (draws, self.games))
        sums_RC = effect_GC[drawn_RG].sum(1)
        return np.quantile(sums_RC / sums_RC.sum(1, keepdims=True), (0.025, 0.975), axis=0)


def kinds_of(nodes: SiteNodes, rules: Rules, label: dict[int, tuple[str, float]]) -> np.ndarray:
    """The number of the class of every feature; a label that does not hold at an activation is none.

    Args:
        nodes: Features and errors of a site.
        rules: What the rules say.
        label: Feature → description, and the activation above which it holds.
    """
    number = {name: place for place, name in enumerate(NAMES)}
    kind = {feature: number[rules.kind(text)] for feature, (text, _) in label.items()}
    rows = zip(nodes.index_N.tolist(), nodes.activation_N.tolist(), strict=True)
    none = number["none"]
    return np.array([kind[i] if i in label and value > label[i][1] else none for i, value in rows], dtype=np.int64)
