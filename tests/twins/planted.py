"""The true graph of a planted circuit, found by removing every set of nodes from the model itself."""

from __future__ import annotations

from itertools import product

import torch

from saecli.attribution.paths import DirectPaths
from saecli.core.address import Address
from saecli.core.site import Site
from saecli.trace.planted.case import Case, target_at
from saecli.trace.planted.score import candidates


def true_edges(case: Case) -> set[tuple[Address, Address]]:
    """Edges of which two sets of removals leave every parent but one alike, and the child different.

    Everything active at the chosen sites but the last, and what wakes up there, is removed in all combinations. The
    value of a node that is removed is 0 for its children.
    """
    clean = case.clean()
    sites = list(case.dictionaries)
    alive = sorted(candidates(clean) | case.truth.nodes, key=lambda node: node.order)
    choices = [node for node in alive if node.site != sites[-1]]
    gone_RC = torch.tensor(list(product([False, True], repeat=len(choices))))
    gone = {node: gone_RC[:, number] for number, node in enumerate(choices)}
    before: dict[Address, torch.Tensor] = {}
    after: dict[Address, torch.Tensor] = {}

    def edit(site: Site):
        def change(x_RSD: torch.Tensor) -> torch.Tensor:
            dictionary = case.dictionaries[site]
            acts_RSF = dictionary.encode(x_RSD)
            error_RSD = x_RSD - dictionary.decode(acts_RSF)
            for node in alive:
                if node.site == site:
                    assert node.position is not None
                    here = (acts_RSF if node.kind == "feature" else error_RSD)[:, node.position]
                    which = here[:, node.index] if node.kind == "feature" else here.sum(-1)
                    before[node] = which.clone()
                    kept = torch.where(gone[node], 0.0, 1.0).to(x_RSD) if node in gone else torch.ones(len(x_RSD))
                    after[node] = before[node] * kept
                    if node.kind == "feature":
                        here[:, node.index] *= kept
                    else:
                        here *= kept[:, None]
            return dictionary.decode(acts_RSF) + error_RSD

        return change

    run = case.model.run(case.tokens_S.expand(len(gone_RC), -1), write={site: edit(site) for site in sites})
    assert run.logits is not None
    target = target_at(case.metric.position)
    before[target] = run.logits[:, case.metric.position, 0]
    paths, found = DirectPaths(clean), set()
    for child in [*alive, target]:
        above = paths.route(child.site).parents
        parents = [n for n in alive if n.site in above and n.site != child.site]
        values = [tuple(round(float(after[parent][row]), 9) for parent in parents) for row in range(len(gone_RC))]
        for number, parent in enumerate(parents):
            seen: dict[tuple[float, ...], tuple[float, float]] = {}
            for row, value in enumerate(values):
                out = float(before[child][row])
                low, high = seen.get((*value[:number], *value[number + 1 :]), (out, out))
                seen[*value[:number], *value[number + 1 :]] = min(low, out), max(high, out)
            if any(high - low > 1e-9 for low, high in seen.values()):
                found.add((parent, child))
    return found
