"""Features of two sites with an MLP between them: scores of all pairs, and target features from few edges.

    python benchmarks/edges.py [--pairs 3] [--features 512] [--k 10] [--sequences 24] [--steps 4] [--some 4]

An MLP of 64 and 256 neurons between TopK dictionaries of random directions, 128 tokens per sequence, one thread. CPU
seconds in interleaved pairs; medians, and the median and range of the ratios.

scores   against a forward and a backward through dense activations for every target feature, step and batch, as the
         reference does. That is measured on ``--some`` of the targets and multiplied up: its time per target is the
         same for all. Equal results are demanded of those targets.
sweep    target features of one sequence at 34 numbers of edges, against every number by itself: targets with the same
         sources together, each group through the MLP and one column of the encoder, as the reference does; what it
         needs besides (a process per number, sorting edges in Python) is not counted. Equal results at every number.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from saecli.attribution.kept_edges import kept_targets
from saecli.attribution.pair import FeaturePair
from saecli.attribution.pair_scores import PairScore, add_scores
from saecli.core.dictionary import Dictionary, DictionaryConfig, SparseActs
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary

WIDTH, HIDDEN, LENGTH = 64, 256, 128


def dictionary(site: str, features: int, k: int) -> Dictionary:
    """Random directions of length 1."""
    where = Site.parse(site)
    made = make_dictionary(DictionaryConfig("topk", WIDTH, features, where, where, WIDTH, {"k": k}))
    made.requires_grad_(False).W_dec_FD.copy_(nn.functional.normalize(torch.randn(features, WIDTH), dim=1))
    made.W_enc_DF.copy_(made.W_dec_FD.T)
    return made


def slow(pair: FeaturePair, score: PairScore, acts_BSU: Tensor, targets: int, steps: int) -> Tensor:
    """Sums of some targets: [F_up, targets]."""
    ends = torch.linspace(0, 1, steps) if score == "reference" else (torch.arange(steps) + 0.5) / steps
    weights_BSF = (pair.down.encode(pair.component(acts_BSU @ pair.up.W_dec_FD + pair.up.b_dec_D)) != 0).float()
    total_UF = torch.zeros(acts_BSU.shape[-1], targets)
    for j in range(targets):
        slope_BSU = torch.zeros_like(acts_BSU)
        for alpha in ends.tolist():
            leaf_BSU = (alpha * acts_BSU).requires_grad_()
            x_BSD = pair.component(leaf_BSU @ pair.up.W_dec_FD + pair.up.b_dec_D)
            if score == "reference":
                value = pair.down.encode(x_BSD)[..., j].sum()
            else:
                value = (pair.down.preactivations(x_BSD)[..., j] * weights_BSF[..., j]).sum()
            slope_BSU += torch.autograd.grad(value, leaf_BSU)[0] / steps
        if score == "reference":
            total_UF[:, j] = (slope_BSU * acts_BSU.norm(dim=-1, keepdim=True)).square().sum((0, 1))
        else:
            total_UF[:, j] = (slope_BSU * acts_BSU).abs().sum((0, 1))
    return total_UF


def grouped(pair: FeaturePair, kept_UF: Tensor, acts_TU: Tensor) -> Tensor:
    """Target features with some edges kept: one pass of the MLP per set of sources that any target has."""
    groups: dict[bytes, list[int]] = {}
    for j in range(kept_UF.shape[1]):
        if kept_UF[:, j].any():
            groups.setdefault(kept_UF[:, j].numpy().tobytes(), []).append(j)
    pre_TF = acts_TU.new_zeros(len(acts_TU), kept_UF.shape[1])
    for targets in groups.values():
        x_TD = (acts_TU * kept_UF[:, targets[0]]) @ pair.up.W_dec_FD + pair.up.b_dec_D
        into_TD = pair.down.prepare(pair.component(x_TD))[0]
        pre_TF[:, targets] = into_TD @ pair.down.W_enc_DF[:, targets] + pair.down.b_enc_F[targets]
    return pair.down.activate(pre_TF) * kept_UF.any(0)


def seconds(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """CPU time."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def main() -> None:
    """Print a line per score."""
    parser = argparse.ArgumentParser()
    for name, default in (("pairs", 3), ("features", 512), ("k", 10), ("sequences", 24), ("steps", 4), ("some", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    mlp = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU("tanh"), nn.Linear(HIDDEN, WIDTH)).requires_grad_(False)
    source, target = (dictionary(site, args.features, args.k) for site in ("0.mlp_in", "0.mlp_out"))
    pair = FeaturePair(source, target, mlp, True, HIDDEN)
    acts_TU = source.encode(torch.randn(args.sequences * LENGTH, WIDTH))
    indices_TK = acts_TU.topk(args.k, dim=1).indices
    acts = SparseActs(indices_TK, acts_TU.gather(1, indices_TK))
    clean_TD, counted_T = torch.zeros(len(acts_TU), WIDTH), torch.ones(len(acts_TU), dtype=torch.bool)

    def fast(score: PairScore) -> Tensor:
        total_UF = torch.zeros(args.features, args.features, dtype=torch.float64)
        add_scores(total_UF, pair, score, acts, clean_TD, counted_T, args.steps)
        return total_UF

    for score in ("reference", "ig"):

        def ours(score: PairScore = score) -> Tensor:
            return fast(score)

        def theirs(score: PairScore = score) -> Tensor:
            return slow(pair, score, acts_TU.unflatten(0, (-1, LENGTH)), args.some, args.steps)

        compare(score, ours, theirs, args.pairs, args.features / args.some)
    ranks_UF = torch.empty(args.features**2, dtype=torch.int64)
    order_N = fast("ig").flatten().argsort(descending=True)
    ranks_UF = ranks_UF.scatter_(0, order_N, torch.arange(len(order_N))).view(args.features, args.features)
    counts = sorted({round(args.features ** (2 * step / 34)) for step in range(35)})
    here = slice(0, LENGTH)
    one = SparseActs(acts.indices_TK[here], acts.values_TK[here])

    def sweep() -> Tensor:
        found_CTF = torch.empty(len(counts), LENGTH, args.features)
        for kept in kept_targets(pair, ranks_UF, counts, one, clean_TD[here], counted_T[here]):
            found_CTF[kept.counts, kept.positions_T] = kept.targets_CTF
        return found_CTF

    compare(
        f"sweep, {len(counts)} numbers",
        sweep,
        lambda: torch.stack([grouped(pair, ranks_UF < count, acts_TU[here]) for count in counts]),
        args.pairs,
        1.0,
    )


def compare(name: str, fast: Callable[[], Tensor], slow: Callable[[], Tensor], pairs: int, times: float) -> None:
    """Print a line; the slow way gives the first columns, and its time is multiplied."""
    ours, theirs, worst = [], [], 0.0
    for _ in range(pairs):
        taken, found = seconds(fast)
        ours.append(taken)
        taken, expected = seconds(slow)
        theirs.append(taken * times)
        worst = float((found[..., : expected.shape[-1]] - expected).abs().max() / expected.abs().max())
        if not worst < 1e-4:
            raise SystemExit(f"{name}: results differ by {worst}")
    ratios = [slow / fast for fast, slow in zip(ours, theirs, strict=True)]
    middle = [statistics.median(values) for values in (ours, theirs, ratios)]
    print(
        f"{name:20} {middle[0]:8.3f} s   plain {middle[1]:8.1f} s   {middle[2]:6.0f} times "
        f"({min(ratios):.0f} to {max(ratios):.0f}), largest difference {worst:.1e}",
        flush=True,
    )


if __name__ == "__main__":
    main()
