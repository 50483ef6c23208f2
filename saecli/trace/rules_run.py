"""``saecli trace --rules``: many games, the effects of all active features, and what their labels say of the target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from saecli.asking.question import ask
from saecli.core.errors import InputError
from saecli.core.labels import Labels
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.data.games import HELD_OUT_SEED
from saecli.formats.tables import as_csv
from saecli.games import othello
from saecli.report.rules_page import Bar, rules_page
from saecli.trace.config import TraceConfig
from saecli.trace.passes import Passes
from saecli.trace.rules import KINDS, Rules, Tally, kinds_of
from saecli.trace.rules_result import LabelClass, RulesResult

FIRST_MOVE: Final = 5
"""Games are asked about after this many moves at least."""


def run_rules(
    config: TraceConfig, model: HookedModel, suite: Suite, labels: Labels, run: Run, progress: Progress
) -> RulesResult:
    """Trace held-out games, each after a random number of moves, and write table and page.

    Raises:
        InputError: Not a model of Othello, or no feature of the suite has a label.
    """
    tally = tallied(config, model, suite, labels, progress)
    classes = _classes(tally, config.seed)
    whole = float(tally.effect.sum())
    result = RulesResult(
        model=Path(model.info.name).name,
        suite=Path(suite.info.name).name,
        sites=[suite.label(site) for site in suite.resolve(config.layers, config.kind)],
        method=str(config.method),
        games=tally.games,
        active=int(tally.features.sum()),
        error_share=tally.errors / (tally.errors + whole),
        classes=classes,
        files=["rules.csv", "rules.html"],
    )
    rows = [{name: getattr(one, name) for name in LabelClass.__dataclass_fields__} for one in classes]
    run.write_bytes("rules.csv", as_csv(rows, list(LabelClass.__dataclass_fields__)).encode())
    bars = [Bar(one.says, one.share, one.random, one.helps, one.low, one.high) for one in classes]
    sites = [
        Bar(suite.label(site), effect / whole_, chance / whole_, helps / effect if effect else None)
        for site, (effect, helps, chance, whole_) in sorted(tally.per_site.items())
        if whole_
    ]
    title = f"{result.model} · do the features that carry a move know its rules?"
    about = (
        f"{result.games} held-out games, each after a random number of moves; {result.active:,} active features of "
        f"{len(result.sites)} dictionaries, effects by {result.method} on the model's choice of move. "
        f"{result.error_share:.0%} of all effect lies in what no dictionary explains and is left out."
    )
    run.write_bytes("rules.html", rules_page(title, about, bars, sites).encode())
    return result


def tallied(
    config: TraceConfig, model: HookedModel, suite: Suite, labels: Labels, progress: Progress = silent
) -> Tally:
    """Sums over ``config.rules`` held-out games.

    Raises:
        InputError: Not a model of Othello, or no feature of the suite has a label.
    """
    if model.info.vocabulary != "othello":
        raise InputError(f"--rules is about Othello, and {model.info.name} reads {model.info.vocabulary or 'text'}.")
    sites = suite.resolve(config.layers, config.kind)
    known = {
        site: {one.feature: (one.description, one.threshold) for one in reversed(labels.tables.get(prints, ()))}
        for site in sites
        if (prints := suite.fingerprints[site])
    }
    if not any(known.values()):
        raise InputError(f"No feature of {suite.info.name} has a label.", "Run saecli f1, or give --labels FILE.")
    passes = Passes(config, model, suite, sites, silent)
    wanted = config.rules or 0
    games, tally = othello.random_games(wanted, HELD_OUT_SEED), Tally()
    generator = np.random.default_rng(config.seed)
    for number in range(wanted):
        progress("tracing games", number, wanted)
        moves = games.moves[number, : games.lengths[number]].tolist()
        moves = asked_about(moves, int(generator.integers(FIRST_MOVE, min(len(moves), model.info.n_ctx))))
        text = "".join(map(othello.square_name, moves))
        question = ask(model, replace(config, rules=None, game=text), suite, suite.info.residual)
        clean = passes.run(question)
        target = othello.parse_game(question.metric.target[:2])[0]
        rules = Rules.of(moves, target)
        found = [(nodes, kinds_of(nodes, rules, known[site])) for site, nodes in clean.nodes.items()]
        tally.add(found, question.metric.direction)
    return tally


def asked_about(moves: list[int], length: int) -> list[int]:
    """The first moves of a game, so many or fewer, after which some empty squares are legal and some are not."""
    boards = othello.replay([moves])
    legal, empty = (othello.squares(one[0]).sum(1) for one in (boards.legal, boards.empty))
    able = np.flatnonzero((legal > 0) & (legal < empty))
    return moves[: able[able < length].max() + 1]


def _classes(tally: Tally, seed: int) -> list[LabelClass]:
    low, high = tally.intervals(seed)
    whole, active = tally.effect.sum(), tally.features.sum()
    return [
        LabelClass(
            name=name,
            says=says,
            share=float(tally.effect[at] / whole),
            low=float(low[at]),
            high=float(high[at]),
            random=float(tally.random[at] / whole),
            features=float(tally.features[at] / active),
            helps=float(tally.helps[at] / tally.effect[at]) if tally.effect[at] else None,
        )
        for at, (name, says) in enumerate(KINDS)
    ]
