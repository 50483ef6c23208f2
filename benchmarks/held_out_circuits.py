"""How many of the active features of othello-mini explain moves of games that did not choose them?

    python benchmarks/held_out_circuits.py [--fit 100] [--games 100] [--draws 3]

The 20th position of random games, target the model's first choice among the legal moves, metric its logit over the
mean of the illegal empty squares. First-order effects of all features on ``--fit`` games make a score per feature; on
``--games`` others every active feature above a threshold of the score stays, every other one, and all errors, become
nothing. Beside each circuit random ones of as many features at every site and position, as active as its own.

    effect       |sum of effects| over positions and games: how a graph without positions ranks its features
    per firing   mean absolute effect of a feature where it fires, whatever the position
    position     mean absolute effect of a feature where it fires at that position
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from saecli.asking.question import Question
from saecli.asking.sequences import ask_sequences
from saecli.attribution.circuit import Circuits, Pool, run_circuits
from saecli.attribution.circuit_random import random_like
from saecli.attribution.circuit_reference import zero_reference
from saecli.attribution.clean import ERROR, clean_run
from saecli.core.dictionary import Dictionary
from saecli.core.model import HookedModel
from saecli.core.site import Site
from zoo.load import load_model, load_suite

SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
POSITIONS = 20

Scores = Mapping[Site, Tensor]
"""Site → score of every feature at every position [S, F]."""


def effects(model: HookedModel, dictionaries: Mapping[Site, Dictionary], games: Sequence[Question]) -> dict:
    """Site → sum of effects, of absolute effects, and firings: [3, S, F]."""
    found = {site: torch.zeros(3, POSITIONS, one.n_latents) for site, one in dictionaries.items()}
    for game in games:
        for site, nodes in clean_run(model, dictionaries, game.tokens_S, game.metric).nodes.items():
            some = nodes.take(nodes.index_N != ERROR)
            place = (some.position_N, some.index_N)
            for row, value_N in enumerate((some.effect_N, some.effect_N.abs(), torch.ones_like(some.effect_N))):
                found[site][row].index_put_(place, value_N, accumulate=True)
    return found


def scores(found: Mapping[Site, Tensor]) -> dict[str, Scores]:
    """By way of choosing."""
    whole = {site: one.sum(1, keepdim=True).expand_as(one) for site, one in found.items()}
    return {
        "effect": {site: one[0].abs() for site, one in whole.items()},
        "per firing": {site: one[1] / (one[2] + 3) for site, one in whole.items()},
        "position": {site: one[1] / (one[2] + 1) for site, one in found.items()},
    }


def thresholds(score: Scores, found: Mapping[Site, Tensor]) -> list[float]:
    """The scores above which :data:`SHARES` of what fires in the games that choose remain."""
    value = torch.cat([score[site].reshape(-1) for site in found])
    fires = torch.cat([found[site][2].reshape(-1) for site in found])
    order = value.argsort(descending=True)
    upto = fires[order].cumsum(0)
    return [float(value[order][int((upto < share * upto[-1]).sum())]) for share in SHARES]


def main() -> None:
    """Print share of active features, faithfulness, and that of random circuits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", type=int, default=100)
    parser.add_argument("--games", type=int, default=100)
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, suite = load_model("othello-mini"), load_suite("othello-mini")
    dictionaries = {site: suite[site] for site in suite}
    every = ask_sequences(model, "othello-mini", "othello", suite, wanted=arguments.fit + arguments.games)
    found = effects(model, dictionaries, every[: arguments.fit])
    ways = scores(found)
    cuts = {name: thresholds(score, found) for name, score in ways.items()}
    generator = torch.Generator().manual_seed(0)
    rows: dict[str, list[Tensor]] = {name: [] for name in ways}
    for game in every[arguments.fit :]:
        clean = clean_run(model, dictionaries, game.tokens_S, game.metric)
        pool = Pool.of(clean)
        for name, score in ways.items():
            value_N = torch.full((len(pool),), -torch.inf)
            for number, site in enumerate(pool.sites):
                here_N = (pool.site_N == number) & pool.is_active_N
                value_N[here_N] = score[site][pool.position_N[here_N], pool.index_N[here_N]]
            keep = torch.stack([value_N >= cut for cut in cuts[name]])
            like = random_like(pool, keep, arguments.draws, generator)
            circuits = Circuits.of(torch.cat([keep, like, torch.zeros_like(keep[:1])]))
            values = run_circuits(clean, pool, circuits, zero_reference(list(dictionaries))).double()
            alone, random, nothing = values.split([len(keep), len(like), 1])
            share = keep.sum(-1) / pool.is_active_N.sum()
            least = torch.full_like(alone, float(nothing))
            whole = torch.full_like(alone, clean.value)
            rows[name].append(torch.stack([share, alone, random.view(len(keep), -1).mean(-1), least, whole]))
    print(f"{'':12}" + "".join(f"{share:>17.1%}" for share in SHARES))
    for name, some in rows.items():
        share, alone, random, least, whole = torch.stack(some).mean(0)
        cells = zip(share, (alone - least) / (whole - least), (random - least) / (whole - least), strict=True)
        print(f"{name:12}" + "".join(f"{s:>7.1%} {a:4.2f}/{r:4.2f}" for s, a, r in cells), flush=True)


if __name__ == "__main__":
    main()
