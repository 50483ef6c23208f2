"""Direct edges the slow way: one backward through the whole model per child, other chosen sites stopped."""

from __future__ import annotations

import torch
from torch import Tensor

from saecli.attribution.clean import ERROR, CleanRun
from saecli.core.site import Site


def edges_by_stopped_gradients(clean: CleanRun) -> dict[tuple[Site | str, Site | str], Tensor]:
    """Every pair (child site or 'metric', parent site or 'token') → weights [C, P]."""
    out: dict[tuple[Site | str, Site | str], Tensor] = {}
    embedding = Site(0, "resid_pre")
    parents = {"token": clean.tokens, **clean.nodes}
    for child_site in [*clean.sites, "metric"]:
        for parent_key, parent in parents.items():
            parent_site = embedding if parent_key == "token" else parent_key
            if parent_key == "token" and embedding in clean.nodes:
                if child_site != embedding:
                    continue
            elif child_site != "metric" and not parent_site < child_site:
                continue
            stopped = {s for s in clean.sites if s != parent_site and (child_site == "metric" or s < child_site)}
            leaf = torch.zeros_like(clean.values[parent_site], requires_grad=True)
            edits = {s: (lambda x: x.detach()) for s in stopped}
            edits[parent_site] = lambda x, leaf=leaf: x.detach() + leaf
            read = [clean.metric.site(clean.model.info) if child_site == "metric" else child_site]
            with torch.enable_grad():
                run = clean.model.run(clean.tokens_S[None], read=read, write=edits)
                if child_site == "metric":
                    targets = [clean.metric.measure(clean.model, run.sites[read[0]][:, clean.metric.position])[0]]
                else:
                    targets = _children(clean, child_site, run.sites[child_site][0])
                rows = []
                for target in targets:
                    grad = (
                        torch.autograd.grad(target, leaf, retain_graph=True, allow_unused=True)[0]
                        if target.requires_grad
                        else None
                    )
                    grad = torch.zeros_like(leaf) if grad is None else grad
                    rows.append(-(grad[parent.position_N] * parent.vector_ND).sum(-1))
            out[child_site, parent_key] = torch.stack(rows).detach()
    return out


def _children(clean: CleanRun, site: Site, x_SD: Tensor) -> list[Tensor]:
    """(∂m/∂node) · node for each child, differentiable in the site's value; the reconstruction's graph is live."""
    dictionary, gradient_SD = clean.dictionaries[site], clean.gradients[site]
    norm = dictionary.input_norm(x_SD.detach())  # held fixed
    ones_S1 = torch.ones(len(x_SD), 1, dtype=x_SD.dtype)
    center, divisor_S1, factor_S1 = norm or (0.0, ones_S1, ones_S1)
    center = 0.0 if center is None else center
    normed_SD = (x_SD - center) / divisor_S1 - dictionary.b_dec_D
    acts_SF = dictionary.activate(normed_SD @ dictionary.W_enc_DF + dictionary.b_enc_F)
    if clean.live_norms:
        acts_SF = dictionary.encode(x_SD)
    error_SD = x_SD - dictionary.decode(acts_SF) * factor_S1 - center
    out = []
    nodes = clean.nodes[site]
    for position, index in zip(nodes.position_N.tolist(), nodes.index_N.tolist(), strict=True):
        if index == ERROR:
            out.append(gradient_SD[position] @ error_SD[position])
        else:
            out.append(
                gradient_SD[position] @ dictionary.W_dec_FD[index] * factor_S1[position] * acts_SF[position, index]
            )
    return out
