"""Facts that must hold on any model: conservation, slow twins, finite differences."""

from __future__ import annotations

import itertools
from itertools import chain
from typing import Any

import pytest
import torch

from saecli.attribution.ablation import Ablation, removals
from saecli.attribution.clean import ERROR, CleanRun, SiteNodes, clean_run
from saecli.attribution.gradient import cotangents, direct_edges
from saecli.attribution.metric import CrossEntropyMetric, FeatureMetric, Metric
from saecli.core.dictionary import NORMALISATIONS
from saecli.core.errors import UsageError
from saecli.core.site import Site
from tests.hand_models import random_dictionary, random_model
from tests.twins.ablation import ablate_one_at_a_time
from tests.twins.edges import edges_by_stopped_gradients

TOKENS = torch.tensor([3, 1, 4, 1])
SITE_SETS = {
    "everything": "0.resid_pre 0.attn_out 0.mlp_out 1.resid_pre 1.attn_out 1.mlp_out 2.resid_pre",
    "a slice": "1.resid_pre 1.attn_out 1.mlp_out 2.resid_pre",
    "residual only": "0.resid_pre 2.resid_pre",
    "no residual": "0.attn_out 0.mlp_out 1.attn_out 1.mlp_out",
    "resid_post labels": "0.attn_out 0.mlp_out 0.resid_post 1.attn_out",
    "middle": "0.resid_mid 1.attn_out 1.resid_mid",
}


def traced(
    sites: str,
    *,
    parallel: bool = False,
    metric: Metric | None = None,
    seed: int = 0,
    live_norms: bool = False,
    tokens: torch.Tensor = TOKENS,
    **options: Any,
) -> CleanRun:
    model = random_model(parallel=parallel, seed=seed)
    chosen = [Site.parse(name) for name in sites.split()]
    dictionaries = {
        s: random_dictionary(s, model.info.d_model, seed=i + 10 * seed, **options) for i, s in enumerate(chosen)
    }
    return clean_run(model, dictionaries, tokens, metric or CrossEntropyMetric(2, 2, "token 2"), live_norms=live_norms)


cases = pytest.mark.parametrize(
    ("sites", "parallel"),
    [(s, p) for (name, s), p in itertools.product(SITE_SETS.items(), (False, True)) if not (p and name == "middle")],
)


norms = pytest.mark.parametrize(
    "options",
    [{}, *({"normalize": name, "live_norms": live} for name in NORMALISATIONS for live in (False, True))],
    ids=str,
)


@cases
@norms
def test_conservation(sites: str, parallel: bool, options: dict[str, Any]) -> None:
    """The direct edges out of a node, over all children, errors and positions, sum to its effect."""
    clean = traced(sites, parallel=parallel, **options)
    sums = {id(nodes): torch.zeros(len(nodes), dtype=torch.float64) for nodes in (*clean.nodes.values(), clean.tokens)}
    for block in chain.from_iterable(direct_edges(clean, clean.nodes, tokens=clean.tokens)):
        sums[id(block.parents)] += block.weight_CP.sum(0)
    for nodes in (*clean.nodes.values(), clean.tokens):
        assert nodes.effect_N.abs().max() > 1e-3
        torch.testing.assert_close(sums[id(nodes)], nodes.effect_N, rtol=0, atol=1e-12)


@cases
@norms
def test_direct_edges_equal_stopped_gradients(sites: str, parallel: bool, options: dict[str, Any]) -> None:
    """One backward per child through the whole model, with every other chosen site stopped."""
    clean = traced(sites, parallel=parallel, **options)
    slow = edges_by_stopped_gradients(clean)
    fast = {}
    for block in chain.from_iterable(direct_edges(clean, clean.nodes, tokens=clean.tokens)):
        child = "metric" if block.children is None else block.children.site
        key = (child, "token" if block.tokens else block.parents.site)
        fast.setdefault(key, []).append(block.weight_CP)
    assert fast.keys() <= slow.keys()
    for key, weights in slow.items():
        if key in fast:
            torch.testing.assert_close(torch.cat(fast[key]), weights, rtol=0, atol=1e-12)
        else:
            assert weights.abs().max() < 1e-12


@pytest.mark.parametrize("parallel", [False, True])
def test_direct_edges_equal_inclusion_and_exclusion(parallel: bool) -> None:
    """The whole dependence of a site on an earlier one, less what goes over each site between them."""
    clean = traced(SITE_SETS["everything"], parallel=parallel)
    whole = {(c, p): whole_dependence(clean, c, p) for c in clean.sites for p in clean.sites if p < c}
    direct: dict = {}
    for child in clean.sites:
        for parent in sorted((site for site in clean.sites if site < child), reverse=True):
            between = [site for site in clean.sites if parent < site < child]
            over = [direct[child, site] @ whole[site, parent] for site in between]
            direct[child, parent] = whole[child, parent] - sum(over, torch.zeros(()))
    compared = 0
    for block in chain.from_iterable(direct_edges(clean, clean.nodes)):
        if block.children is not None:
            passed_CX = spread(block.children.position_N, cotangents(clean, block.children))
            vector_PX = spread(block.parents.position_N, block.parents.vector_ND)
            slow_CP = -passed_CX @ direct[block.children.site, block.parents.site] @ vector_PX.T
            torch.testing.assert_close(block.weight_CP, slow_CP, rtol=0, atol=1e-11)
            compared += 1
    assert compared == (10 if parallel else 12)


def whole_dependence(clean: CleanRun, child: Site, parent: Site) -> torch.Tensor:
    """Derivative [S·d, S·d] of a site with respect to an earlier one, over every path."""

    def after(x_X: torch.Tensor) -> torch.Tensor:
        value = x_X.view(1, *clean.values[parent].shape)
        return clean.model.run(TOKENS[None], read=[child], write={parent: lambda _: value}).sites[child].flatten()

    return torch.autograd.functional.jacobian(after, clean.values[parent].flatten())  # type: ignore[return-value]


def spread(position_N: torch.Tensor, vector_ND: torch.Tensor) -> torch.Tensor:
    """Vectors at positions as rows over all positions: [N, S·d]."""
    out_NSD = vector_ND.new_zeros(len(vector_ND), len(TOKENS), vector_ND.shape[1])
    out_NSD[torch.arange(len(vector_ND)), position_N] = vector_ND
    return out_NSD.flatten(1)


def test_tokens_after_the_metric_change_nothing() -> None:
    """A padded prompt has the nodes and edges of the prompt alone; what is added has no effect."""
    alone, padded = (traced(SITE_SETS["everything"], tokens=t) for t in (TOKENS[:3], torch.tensor([3, 1, 4, 7, 7])))
    assert padded.value == pytest.approx(alone.value, abs=1e-12)
    for site, nodes in alone.nodes.items():
        longer = padded.nodes[site]
        real_N = longer.position_N < 3
        assert longer.index_N[real_N].tolist() == nodes.index_N.tolist()
        torch.testing.assert_close(longer.effect_N[real_N], nodes.effect_N, rtol=0, atol=1e-12)
        assert not longer.effect_N[~real_N].any()
    real = {site: nodes.take(nodes.position_N < 3) for site, nodes in padded.nodes.items()}
    pairs = zip(direct_edges(alone, alone.nodes), direct_edges(padded, real), strict=True)
    for one, other in chain.from_iterable(zip(*blocks, strict=True) for blocks in pairs):
        torch.testing.assert_close(other.weight_CP, one.weight_CP, rtol=0, atol=1e-12)


@pytest.mark.parametrize("site", ["2.resid_pre", "1.attn_out", "1.mlp_out"])
def test_a_feature_as_the_target(site: str) -> None:
    end = Site.parse(site)
    target = random_dictionary(end, 8, seed=7)
    probe = traced("0.resid_pre 0.mlp_out 1.resid_pre")
    run = probe.model.run(TOKENS[None], read=[end])
    index = int(target.encode(run.sites[end][0, 2]).argmax())
    clean = traced("0.resid_pre 0.mlp_out 1.resid_pre", metric=FeatureMetric(2, target, index, "a feature"))
    assert clean.value > 0
    slow = edges_by_stopped_gradients(clean)
    for block in chain.from_iterable(direct_edges(clean, clean.nodes)):
        if block.children is None:
            torch.testing.assert_close(block.weight_CP, slow["metric", block.parents.site], rtol=0, atol=1e-12)
    removal = removals(clean.nodes[Site(0, "mlp_out")], "each", len(TOKENS))
    torch.testing.assert_close(
        Ablation(clean).effects(removal), ablate_one_at_a_time(clean, removal, []).effects, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_gradients_of_features_through_a_norm_or_with_the_norm_held_fixed(name: str) -> None:
    """Live: autograd of the activation. Frozen: with mean and deviation detached."""
    dictionary = random_dictionary(Site(1, "resid_pre"), 8, seed=3, normalize=name)
    x_SD = torch.randn(4, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64).requires_grad_()
    fixed = dictionary.input_norm(x_SD.detach())
    assert fixed is not None
    live_SF, frozen_SF = dictionary.encode(x_SD), dictionary.encode_with(x_SD, fixed)
    assert torch.equal(live_SF, frozen_SF)
    apart = []
    for position, index in live_SF.nonzero().tolist():
        rows = (x_SD.detach()[[position]], torch.tensor([index]))
        frozen_1D = dictionary.encoder_directions(*rows)
        live_1D = dictionary.through_norm(rows[0], frozen_1D)
        for acts_SF, found_1D in ((live_SF, live_1D), (frozen_SF, frozen_1D)):
            (expected_SD,) = torch.autograd.grad(acts_SF[position, index], x_SD, retain_graph=True)
            torch.testing.assert_close(found_1D[0], expected_SD[position], rtol=1e-12, atol=1e-12)
        apart.append(float((live_1D - frozen_1D).norm() / frozen_1D.norm()))
    assert max(apart) > 0.1


def test_a_target_whose_norm_is_held_fixed() -> None:
    """Its value is the same, and its direct effects are those of the feature as a child at frozen norms."""
    end = Site(2, "resid_pre")
    target = random_dictionary(end, 8, seed=7, normalize="layer_norm")
    probe = traced("0.resid_pre 1.resid_pre")
    x_SD = probe.model.run(TOKENS[None], read=[end]).sites[end][0]
    index = int(target.encode(x_SD[2]).argmax())
    live = FeatureMetric(2, target, index, "a feature")
    frozen = live.frozen(probe.model, TOKENS)
    runs = {m is live: traced("0.resid_pre 1.resid_pre", metric=m) for m in (live, frozen)}
    assert runs[True].value == pytest.approx(runs[False].value, rel=1e-12)
    read_1D = target.encoder_directions(x_SD[[2]], torch.tensor([index]))
    for is_live, run in runs.items():
        expected_D = (target.through_norm(x_SD[[2]], read_1D) if is_live else read_1D)[0]
        leaf = torch.zeros_like(x_SD).requires_grad_()
        again = run.model.run_from(Site(1, "resid_pre"), (run.values[Site(1, "resid_pre")] + leaf)[None], read=[end])
        (gradient_SD,) = torch.autograd.grad(again.sites[end][0, 2] @ expected_D, leaf)
        torch.testing.assert_close(run.gradients[Site(1, "resid_pre")], gradient_SD, rtol=0, atol=1e-12)


def test_edges_do_not_depend_on_which_nodes_are_asked_for() -> None:
    clean = traced(SITE_SETS["everything"])
    some = {site: nodes.take(torch.arange(0, len(nodes), 3)) for site, nodes in clean.nodes.items()}
    parts: dict = {}
    for block in chain.from_iterable(direct_edges(clean, clean.nodes)):
        parts.setdefault((block.children and block.children.site, block.parents.site), []).append(block.weight_CP)
    for block in chain.from_iterable(direct_edges(clean, some)):
        weights = torch.cat(parts[block.children and block.children.site, block.parents.site])
        rows = torch.arange(0, len(weights), 3) if block.children else torch.arange(1)
        torch.testing.assert_close(
            block.weight_CP, weights[rows][:, torch.arange(0, weights.shape[1], 3)], rtol=0, atol=1e-13
        )


def test_node_effects_are_the_slope_of_a_small_removal() -> None:
    clean = traced(SITE_SETS["everything"])
    step = 1e-6
    for site, nodes in clean.nodes.items():
        for n in range(0, len(nodes), 5):
            scaled = _rescaled(nodes, n, step)
            end = clean.metric.site(clean.model.info)
            run = clean.model.run(TOKENS[None], read=[end], write={site: lambda x, v=scaled: x - v})
            metric = clean.metric.measure(clean.model, run.sites[end][:, clean.metric.position])
            slope = (float(metric) - clean.value) / step
            assert slope == pytest.approx(float(nodes.effect_N[n]), abs=1e-4)


def _rescaled(nodes: SiteNodes, n: int, step: float) -> torch.Tensor:
    out = torch.zeros(len(TOKENS), nodes.vector_ND.shape[1], dtype=torch.float64)
    out[nodes.position_N[n]] = step * nodes.vector_ND[n]
    return out


@cases
@pytest.mark.parametrize(
    ("where", "options"), [("each", {}), ("all", {}), ("last", {}), ("each", {"normalize": "layer_norm"})], ids=str
)
def test_ablation_equals_one_full_forward_each(sites: str, parallel: bool, where, options: dict[str, Any]) -> None:
    """Batched, block-only and bounded = one at a time, whole model, dense encoding."""
    clean = traced(sites, parallel=parallel, **options)
    ablation = Ablation(clean, batch_size=7)
    for site, nodes in clean.nodes.items():
        removal = removals(nodes, where, len(TOKENS))
        slow = ablate_one_at_a_time(clean, removal, ablation.watched(site))
        torch.testing.assert_close(ablation.effects(removal), slow.effects, rtol=0, atol=1e-9)
        fast = {w: torch.zeros_like(x) for w, x in slow.changes.items()}
        for changes in ablation.changes(removal):
            fast[changes.site][changes.removal_E, changes.position_E, changes.index_E] = changes.delta_E
        for watched, dense in slow.changes.items():
            torch.testing.assert_close(fast[watched], dense, rtol=0, atol=1e-9)


def test_ablation_wakes_features_up() -> None:
    """The twin comparison would be empty if no silent feature ever woke."""
    clean = traced(SITE_SETS["everything"])
    nodes = clean.nodes[Site(0, "resid_pre")]
    silent = 0
    for changes in Ablation(clean).changes(removals(nodes, "each", len(TOKENS))):
        acts = clean.dictionaries[changes.site].encode(clean.values[changes.site])
        silent += int((acts[changes.position_E, changes.index_E] == 0).sum())
    assert silent > 5


def test_bad_requests() -> None:
    model = random_model()
    with pytest.raises(UsageError, match="no site to trace"):
        clean_run(model, {}, TOKENS, CrossEntropyMetric(2, 2, "token 2"))
    site = Site(1, "resid_pre")
    with pytest.raises(UsageError, match="outside the prompt"):
        clean_run(model, {site: random_dictionary(site, 8)}, TOKENS, CrossEntropyMetric(9, 2, "token 2"))


def test_error_nodes_carry_what_the_dictionary_does_not() -> None:
    clean = traced("1.resid_pre")
    site = Site(1, "resid_pre")
    nodes = clean.nodes[site]
    rebuilt = torch.zeros_like(clean.values[site]).index_add_(0, nodes.position_N, nodes.vector_ND)
    rebuilt += clean.dictionaries[site].b_dec_D
    torch.testing.assert_close(rebuilt, clean.values[site], rtol=0, atol=1e-12)
    assert (nodes.index_N == ERROR).sum() == len(TOKENS)


def test_a_skip_path_is_refused() -> None:
    """What passes beside the features would be in no node."""
    with pytest.raises(UsageError, match=r"skip path beside their features are not traced \(1\.resid_pre\)"):
        traced("1.resid_pre", skip=True)
