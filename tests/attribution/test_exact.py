"""Exact effects and edges against paper and against two whole forwards per edge."""

from __future__ import annotations

import pytest
import torch

from saecli.attribution.ablation import Ablation
from saecli.attribution.clean import ERROR, SiteNodes
from saecli.attribution.exact import DirectEffects, exact_nodes
from saecli.core.site import Site
from tests.attribution.test_attribution import SITE_SETS, cases, traced
from tests.attribution.test_known_answers import ladder  # noqa: F401 (a fixture)
from tests.twins.exact import edge_one_at_a_time


def with_every_feature(nodes: SiteNodes, n_latents: int) -> SiteNodes:
    """The nodes, and every silent feature as a child."""
    there = set(zip(nodes.position_N.tolist(), nodes.index_N.tolist(), strict=True))
    more = [(p, i) for p in nodes.position_N.unique().tolist() for i in range(n_latents) if (p, i) not in there]
    position, index = torch.tensor(more).T
    zeros = nodes.effect_N.new_zeros(len(more))
    return SiteNodes(
        nodes.site,
        torch.cat([nodes.position_N, position]),
        torch.cat([nodes.index_N, index]),
        torch.cat([nodes.activation_N, zeros]),
        torch.cat([nodes.vector_ND, nodes.vector_ND.new_zeros(len(more), nodes.vector_ND.shape[1])]),
        torch.cat([nodes.effect_N, zeros]),
    )


def found_edges(ablation, parents, nodes, *, embedding=False) -> dict:
    """(parent row, child site or None, position, index) → weight."""
    out = {}
    for edges in DirectEffects(ablation, parents, embedding=embedding).edges(nodes):
        rows = zip(edges.parent_E.tolist(), edges.child_E.tolist(), edges.weight_E.tolist(), strict=True)
        for parent, child, weight in rows:
            source = (int(edges.parents.position_N[parent]), int(edges.parents.index_N[parent]))
            kids = edges.children
            target = None if kids is None else (kids.site, int(kids.position_N[child]), int(kids.index_N[child]))
            assert (source, target) not in out
            out[source, target] = weight
    return out


def test_ladder_exact_effects_and_edges(ladder) -> None:  # noqa: F811
    """Removing a wakes q, so that the metric rises; the downstream is linear, so edges sum to effects."""
    ablation = Ablation(ladder)
    site, mlp, last = Site(0, "resid_pre"), Site(0, "mlp_out"), Site(1, "resid_pre")
    nodes = exact_nodes(ablation, ladder.nodes[site])
    effects = dict(zip(nodes.index_N.tolist(), nodes.effect_N.tolist(), strict=True))
    assert effects == {0: 12, 1: 2, ERROR: -3}
    wanted = {s: with_every_feature(ladder.nodes[s], ladder.dictionaries[s].n_latents) for s in (mlp, last)}
    found = found_edges(ablation, ladder.nodes[site], wanted)
    assert found == {
        ((0, 0), (mlp, 0, 2)): -2,
        ((0, 0), (mlp, 0, 3)): 15,
        ((0, 0), (last, 0, 0)): -1,
        ((0, 1), (mlp, 0, 2)): 2,
        ((0, 1), (last, 0, 1)): 0,
        ((0, ERROR), (last, 0, ERROR)): -3,
    }
    assert DirectEffects(ablation, ladder.nodes[site]).woken()[mlp] == {(0, 3): 5}


@cases
@pytest.mark.parametrize("options", [{}, {"normalize": "layer_norm"}], ids=str)
def test_exact_equals_whole_forwards(sites: str, parallel: bool, options: dict[str, str]) -> None:
    """Every node, and edges into every feature (silent ones too), error and the metric."""
    clean = traced(sites, parallel=parallel, **options)
    ablation = Ablation(clean, batch_size=5)
    end = clean.metric.site(clean.model.info)
    wanted = {site: with_every_feature(nodes, 20) for site, nodes in clean.nodes.items()}
    checked = 0
    for nodes, embedding in [*((n, False) for n in clean.nodes.values()), (clean.tokens, True)]:
        exact = exact_nodes(ablation, nodes)
        for n in range(0, len(exact), 4):

            def remove(x, n=n, exact=exact):
                x = x.clone()
                x[0, exact.position_N[n]] -= exact.vector_ND[n]
                return x

            run = clean.model.run(clean.tokens_S[None], read=[end], write={nodes.site: remove})
            after = float(clean.metric.measure(clean.model, run.sites[end][:, clean.metric.position]))
            assert float(exact.effect_N[n]) == pytest.approx(after - clean.value, abs=1e-10)
        direct = DirectEffects(ablation, nodes, embedding=embedding)
        found = found_edges(ablation, nodes, wanted, embedding=embedding)
        keys = [None] if direct.reaches_metric else []
        for site in direct.children:
            kids = wanted[site]
            keys += [(site, p, i) for p, i in zip(kids.position_N.tolist(), kids.index_N.tolist(), strict=True)]
        for n in range(0, len(nodes), 5):
            source = (int(nodes.position_N[n]), int(nodes.index_N[n]))
            there = [key for key in keys if found.get((source, key))]
            absent = [key for key in keys if (source, key) not in found]
            for key in [*there[n % 2 :: 1 + len(there) // 5], *absent[n % 7 :: 1 + len(absent) // 2]]:
                slow = edge_one_at_a_time(clean, nodes, n, key, embedding=embedding)
                assert found.get((source, key), 0.0) == pytest.approx(slow, abs=1e-10)
                checked += abs(slow) > 1e-6
    assert checked > 4


def test_errors_are_left_out_unless_asked_for() -> None:
    from saecli.attribution.ablation import removals

    nodes = traced(SITE_SETS["residual only"]).nodes[Site(0, "resid_pre")]
    assert (removals(nodes, "each", 4).index_N != ERROR).all()
    assert (removals(nodes, "each", 4, errors=True).index_N == ERROR).sum() == 4
