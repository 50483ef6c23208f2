"""Scores of all pairs of features with a transformer block between them.

    python benchmarks/block_scores.py [--pairs 3] [--width 64] [--features 512] [--k 10] [--sequences 8] [--steps 4]

A block of random weights with 4 heads between TopK dictionaries of random directions, sequences of 128 random vectors,
one thread. CPU seconds in interleaved pairs; medians, and the median and range of the ratios.

The plain way shares one forward pass of all sequences per step among the targets and has one backward pass per target
that is active anywhere; only active sources are scored. The reference's rule scores all sources, by squares of sums
over steps. Equal results are demanded. ``--some`` measures that many targets and multiplies up.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from saecli.attribution.pair import FeaturePair
from saecli.attribution.pair_scores import PairScore, add_scores
from saecli.core.dictionary import Dictionary, DictionaryConfig, SparseActs
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary

LENGTH = 128


def dictionary(site: str, width: int, features: int, k: int) -> Dictionary:
    """Random directions of length 1."""
    where = Site.parse(site)
    made = make_dictionary(DictionaryConfig("topk", width, features, where, where, width, {"k": k}))
    made.requires_grad_(False).W_dec_FD.copy_(nn.functional.normalize(torch.randn(features, width), dim=1))
    made.W_enc_DF.copy_(made.W_dec_FD.T)
    return made


def feature_pair(width: int, features: int, k: int) -> FeaturePair:
    """A block whose weights are large enough that its attention chooses."""
    module = GPT(GPTConfig(vocab_size=2, n_ctx=LENGTH, n_layer=1, n_head=4, d_model=width))
    for parameter in module.requires_grad_(False).parameters():
        if parameter.ndim == 2:
            parameter.copy_(torch.randn(parameter.shape) * parameter.shape[0] ** -0.5)
    block = thin_gpt(module, "random").block(0)
    source, target = (dictionary(site, width, features, k) for site in ("0.resid_pre", "1.resid_pre"))
    return FeaturePair(source, target, block, False, 4 * width)


def slow(pair: FeaturePair, score: PairScore, acts: SparseActs, steps: int, some: int) -> Tensor:
    """Sums of the first ``some`` targets."""
    x_BSD = pair.decode(acts).unflatten(0, (-1, LENGTH))
    bias_D, W_UD = pair.up.b_dec_D, pair.up.W_dec_FD
    indices_BSK, values_BSK = (one.unflatten(0, (-1, LENGTH)) for one in acts)
    ends = torch.linspace(0, 1, steps) if score == "reference" else (torch.arange(steps) + 0.5) / steps
    active_BSF = pair.down.encode(pair.component(x_BSD)) != 0
    slopes: dict[int, Tensor] = {}
    for alpha in ends.tolist():
        leaf_BSD = (bias_D + alpha * (x_BSD - bias_D)).requires_grad_()
        out_BSD = pair.component(leaf_BSD)
        if score == "reference":
            active_BSF = pair.down.encode(out_BSD.detach()) != 0
        for j in active_BSF[..., :some].flatten(0, 1).any(0).nonzero()[:, 0].tolist():
            along_BSD = active_BSF[..., j, None] * pair.down.W_enc_DF[:, j]
            (slope_BSD,) = torch.autograd.grad(out_BSD, leaf_BSD, along_BSD, retain_graph=True)
            slopes[j] = slopes.get(j, 0) + slope_BSD / steps
    total_UF = torch.zeros(pair.up.n_latents, some)
    for j, slope_BSD in slopes.items():
        if score == "reference":
            length_BS1 = values_BSK.norm(dim=-1, keepdim=True)
            total_UF[:, j] = ((slope_BSD * length_BS1) @ W_UD.T).square().sum((0, 1))
        else:
            terms_BSK = (W_UD[indices_BSK] @ slope_BSD[..., None])[..., 0] * values_BSK
            total_UF[:, j].index_add_(0, indices_BSK.flatten(), terms_BSK.abs().flatten())
    return total_UF


def fast(pair: FeaturePair, score: PairScore, acts: SparseActs, steps: int) -> Tensor:
    """Sums of every target."""
    total_UF = torch.zeros(pair.up.n_latents, pair.down.n_latents, dtype=torch.float64)
    parts = [one.split(LENGTH) for one in acts]
    for indices_SK, values_SK in zip(*parts, strict=True):
        clean_SD = torch.zeros(LENGTH, pair.up.config.d_in)
        some = SparseActs(indices_SK, values_SK)
        add_scores(total_UF, pair, score, some, clean_SD, torch.ones(LENGTH, dtype=torch.bool), steps)
    return total_UF


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def main() -> None:
    """Print a line per score."""
    parser = argparse.ArgumentParser()
    numbers = {"pairs": 3, "width": 64, "features": 512, "k": 10, "sequences": 8, "steps": 4, "some": 0}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    some = args.some or args.features
    torch.manual_seed(0)
    torch.set_num_threads(1)
    pair = feature_pair(args.width, args.features, args.k)
    acts = pair.up.encode_sparse(torch.randn(args.sequences * LENGTH, args.width))
    for score in ("ig", "reference"):
        times: list[tuple[float, float]] = []
        worst = 0.0
        for _ in range(args.pairs):
            ours, found_UF = timed(lambda score=score: fast(pair, score, acts, args.steps))
            plain, expected_UF = timed(lambda score=score: slow(pair, score, acts, args.steps, some))
            times.append((ours, plain * args.features / some))
            worst = float((found_UF[:, :some] - expected_UF).abs().max() / expected_UF.abs().max())
            if not worst < 1e-4:
                raise SystemExit(f"{score}: results differ by {worst}")
        ratios = [plain / ours for ours, plain in times]
        middle = [statistics.median(values) for values in (*zip(*times, strict=True), ratios)]
        print(
            f"{score:12} {middle[0]:8.2f} s   plain {middle[1]:8.2f} s   {middle[2]:5.1f} times "
            f"({min(ratios):.1f} to {max(ratios):.1f}), largest difference {worst:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
