"""Ablation and gradient edges against the reference's way and against an honest twin, on equal results.

    python benchmarks/attribution.py [--pairs 7] [--threads 1]

A GPT-2-small-shaped model with random weights, TopK dictionaries (k 32) of 24,576 latents at the residual stream before
and after block 6 and at its attention and MLP outputs, 16 tokens. Figures are CPU time per removed feature or child,
taken in interleaved pairs; medians and the median of the ratios are printed. The references watch the residual stream.

reference   ablation: a whole forward per feature, in which the feature's site is encoded and decoded twice and the
            watched sites are encoded densely. Gradient: a whole backward per node with parameter gradients.
twin        ablation: a whole forward per feature with frozen parameters, no_grad and an additive edit, dense encoding
            of the watched sites. Gradient: a whole backward per node, parameters frozen.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import chain

import torch
from torch import Tensor

from saecli.attribution.ablation import Ablation, removals
from saecli.attribution.clean import CleanRun, SiteNodes, clean_run
from saecli.attribution.gradient import EdgeBlock, cotangents, edges_into
from saecli.attribution.metric import CrossEntropyMetric
from saecli.attribution.paths import DirectPaths
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from zoo.gpt2 import make

LATENTS, K, WIDTH, TOKENS = 24_576, 32, 768, 16
SITES = [Site(6, "resid_pre"), Site(6, "attn_out"), Site(6, "mlp_out"), Site(7, "resid_pre")]


def gpt2_shaped() -> CleanRun:
    """The model, the dictionaries and the unmodified pass."""
    torch.manual_seed(0)
    module = GPT(GPTConfig(vocab_size=50257, n_ctx=1024, n_layer=12, n_head=12, d_model=WIDTH))
    model = make(module, "gpt2-shaped")
    tokens_S = torch.randint(0, 50257, (TOKENS,))
    found = model.run(tokens_S[None], read=SITES).sites
    dictionaries = {site: dictionary(site, found[site][0]) for site in SITES}
    return clean_run(model, dictionaries, tokens_S, CrossEntropyMetric(TOKENS - 1, 11, "token 11"))


@torch.no_grad()
def dictionary(site: Site, x_SD: Tensor) -> Dictionary:
    """Random unit directions, centred on the site."""
    made = make_dictionary(DictionaryConfig("topk", WIDTH, LATENTS, site, site, WIDTH, {"k": K}))
    directions_FD = torch.nn.functional.normalize(torch.randn(LATENTS, WIDTH), dim=-1)
    made.W_dec_FD.copy_(directions_FD)
    made.W_enc_DF.copy_(directions_FD.T)
    made.b_dec_D.copy_(x_SD.mean(0))
    return made.requires_grad_(False)


# --- ablation: the slow ways ---


def ablate_as_reference(clean: CleanRun, nodes: SiteNodes, watched: list[Site]) -> Tensor:
    """Encode the site, decode with and without the feature, run the whole model, encode the watched sites."""
    site = nodes.site
    code = clean.dictionaries[site]
    rows = []
    for n in range(len(nodes)):

        def edit(x: Tensor, n: int = n) -> Tensor:
            acts = code.encode(x)
            less = acts.clone()
            less[0, nodes.position_N[n], nodes.index_N[n]] = 0
            return x + code.decode(less) - code.decode(acts)

        run = clean.model.run(clean.tokens_S[None], read=watched, write={site: edit})
        rows.append(torch.cat([clean.dictionaries[s].encode(run.sites[s][0]) for s in watched], -1).detach())
    return torch.stack(rows)


@torch.no_grad()
def ablate_one_by_one(clean: CleanRun, nodes: SiteNodes, watched: list[Site]) -> Tensor:
    """Subtract the feature's vector, run the whole model, encode the watched sites."""
    rows = []
    for n in range(len(nodes)):

        def edit(x: Tensor, n: int = n) -> Tensor:
            x = x.clone()
            x[0, nodes.position_N[n]] -= nodes.vector_ND[n]
            return x

        run = clean.model.run(clean.tokens_S[None], read=watched, write={nodes.site: edit})
        rows.append(torch.cat([clean.dictionaries[s].encode(run.sites[s][0]) for s in watched], -1))
    return torch.stack(rows)


def ablate(clean: CleanRun, nodes: SiteNodes) -> list:
    """Ours: every change at every watched site."""
    return list(Ablation(clean).changes(removals(nodes, "each", TOKENS)))


def check_ablation(clean: CleanRun, slow_NSF: Tensor, fast: list, watched: list[Site]) -> float:
    """Largest difference between our changes and the twin's."""
    acts = torch.cat([clean.dictionaries[s].encode(clean.values[s]) for s in watched], -1)
    expected = slow_NSF - acts
    got = torch.zeros_like(expected)
    offset = {site: LATENTS * i for i, site in enumerate(watched)}
    for changes in fast:
        got[changes.removal_E, changes.position_E, changes.index_E + offset[changes.site]] = changes.delta_E
    return float((got - expected).abs().max() / acts.max())


# --- gradient: the slow ways ---


def edges_by_whole_backwards(clean: CleanRun, children: SiteNodes, *, parameter_gradients: bool) -> list[Tensor]:
    """One forward, and one backward per child down to the embedding; other chosen sites below the child are stopped."""
    model, site = clean.model, children.site
    parents = [s for s in clean.sites if s < site]
    first = Site(0, "resid_pre")
    leaves = {s: torch.zeros_like(clean.values[s])[None].requires_grad_() for s in (first, *parents)}
    weights: list[list[Tensor]] = [[] for _ in parents]
    cotangent_CD = cotangents(clean, children)

    def edit(s: Site) -> Callable[[Tensor], Tensor]:
        return lambda x: (x if s.is_residual else x.detach()) + leaves[s]

    model.module.requires_grad_(parameter_gradients)
    run = model.run(clean.tokens_S[None], read=[site], write={s: edit(s) for s in leaves})
    for c in range(len(children)):
        child = run.sites[site][0, children.position_N[c]] @ cotangent_CD[c]
        child.backward(retain_graph=True)
        for row, parent in zip(weights, parents, strict=True):
            nodes, gradient = clean.nodes[parent], leaves[parent].grad
            assert gradient is not None
            row.append(-(gradient[0, nodes.position_N] * nodes.vector_ND).sum(-1))
        model.module.zero_grad(set_to_none=True)
        for leaf in leaves.values():
            leaf.grad = None
    model.module.requires_grad_(False)
    return [torch.stack(row) for row in weights]


def edges(clean: CleanRun, children: SiteNodes) -> list[EdgeBlock]:
    """Ours: all edges into the children from every active feature and error before them."""
    return list(chain.from_iterable(edges_into(DirectPaths(clean), children, clean.nodes)))


# --- pairs ---


def timed(work: Callable[[], object], units: int) -> float:
    """CPU seconds of one core per unit of work."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / units


def compare(name: str, pairs: int, fast: tuple[Callable, int], slow: dict[str, tuple[Callable, int]]) -> None:
    """Run ours and each slow way in turn and print medians and ratios."""
    for way, (work, units) in slow.items():
        fast[0]()
        both = [(timed(*fast), timed(work, units)) for _ in range(pairs)]
        ratios = sorted(b / a for a, b in both)
        print(
            f"{name:30} ours {statistics.median(a for a, _ in both) * 1e3:8.2f} ms   {way} "
            f"{statistics.median(b for _, b in both) * 1e3:8.1f} ms   ratio {statistics.median(ratios):6.1f} "
            f"({ratios[0]:.1f} to {ratios[-1]:.1f})",
            flush=True,
        )


def compare_ablation(name: str, pairs: int, clean: CleanRun) -> None:
    """Remove every active feature of the first site."""
    every = clean.nodes[SITES[0]].features
    few = every.take(torch.arange(5, len(every), len(every) // 3))
    watched = Ablation(clean).watched(SITES[0])
    slow = ablate_one_by_one(clean, few, watched)
    print(f"{name}: largest difference {check_ablation(clean, slow, ablate(clean, few), watched):.1e} of the largest")
    compare(
        name,
        pairs,
        (lambda: ablate(clean, every), len(every)),
        {
            "twin": (lambda: ablate_one_by_one(clean, few, watched), len(few)),
            "reference": (lambda: ablate_as_reference(clean, few, watched), len(few)),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clean = gpt2_shaped()
    torch.manual_seed(1)
    residual = [site for site in SITES if site.is_residual]
    for name, sites in (("watching resid", residual), ("watching every site", SITES)):
        part = clean_run(clean.model, {s: clean.dictionaries[s] for s in sites}, clean.tokens_S, clean.metric)
        compare_ablation(f"ablation, {name}", options.pairs, part)
    for site in SITES[1:]:
        every = clean.nodes[site]
        sample = every.take(torch.randperm(len(every))[:128])
        few = sample.take(torch.arange(3))
        slow_blocks = edges_by_whole_backwards(clean, few, parameter_gradients=False)
        fast_blocks = {block.parents.site: block.weight_CP for block in edges(clean, few)}
        parents = [s for s in clean.sites if s < site]
        worst = max(
            float((fast_blocks[p] - w).abs().max() / w.abs().max()) for p, w in zip(parents, slow_blocks, strict=True)
        )
        print(f"edges into {site}: largest difference {worst:.1e} of the largest")
        compare(
            f"edges into {site}",
            options.pairs,
            (lambda n=sample: edges(clean, n), len(sample)),
            {
                "twin": (
                    lambda n=few: edges_by_whole_backwards(clean, n, parameter_gradients=False),
                    len(few),
                ),
                "reference": (
                    lambda n=few: edges_by_whole_backwards(clean, n, parameter_gradients=True),
                    len(few),
                ),
            },
        )


if __name__ == "__main__":
    main()
