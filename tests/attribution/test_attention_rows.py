"""Edges over attention in closed form equal those pulled back through the module, and stopped gradients."""

from __future__ import annotations

from itertools import chain
from typing import Literal

import pytest
import torch

from saecli.attribution import attention_rows, paths
from saecli.attribution.attention_rows import AttentionRows
from saecli.attribution.clean import CleanRun, clean_run
from saecli.attribution.gradient import direct_edges
from saecli.attribution.metric import CrossEntropyMetric
from saecli.attribution.paths import DirectPaths
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from tests.core.tiny_models import VOCAB, tiny
from tests.hand_models import random_dictionary, random_model
from tests.twins.edges import edges_by_stopped_gradients

TOKENS = torch.tensor([3, 1, 4, 1, 5, 2])
SITES = {
    "everything": "0.resid_pre 0.attn_out 0.mlp_out 1.resid_pre 1.attn_out 1.mlp_out 2.resid_pre",
    "residual only": "0.resid_pre 1.resid_pre 2.resid_pre",
    "middle": "0.resid_mid 1.attn_out 1.resid_mid",
    "attention only": "0.attn_out 1.attn_out",
    "MLP only": "0.mlp_out 1.mlp_out",
}


def gpt(sites: str, norm: Literal["layer", "dynamic_tanh"] = "layer") -> CleanRun:
    generator = torch.Generator().manual_seed(1)
    config = GPTConfig(vocab_size=9, n_ctx=8, n_layer=2, n_head=2, d_model=8, norm=norm)
    module = GPT(config, initialise=False).double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            gain = 1.0 if name.endswith(("ln_1.weight", "ln_2.weight", "ln_f.weight")) else 0.0
            parameter.copy_(gain + 0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    chosen = [Site.parse(name) for name in sites.split()]
    made = {site: random_dictionary(site, 8, seed=n) for n, site in enumerate(chosen)}
    return clean_run(thin_gpt(module, "tiny"), made, TOKENS, CrossEntropyMetric(4, 2, "token 2"))


def edges(clean: CleanRun) -> dict:
    found: dict = {}
    for block in chain.from_iterable(direct_edges(clean, clean.nodes, tokens=clean.tokens)):
        key = ("metric" if block.children is None else block.children.site, block.tokens or block.parents.site)
        found.setdefault(key, []).append(block.weight_CP)
    return {key: torch.cat(weights) for key, weights in found.items()}


@pytest.fixture
def pulled(monkeypatch: pytest.MonkeyPatch):
    """Edges as they are pulled back through modules that have no closed form."""

    def pull(clean: CleanRun) -> dict:
        with monkeypatch.context() as patch:
            patch.setattr(AttentionRows, "of", lambda *_: None)
            return edges(clean)

    return pull


@pytest.mark.parametrize("norm", ["layer", "dynamic_tanh"])
@pytest.mark.parametrize("sites", SITES.values(), ids=SITES)
def test_it_equals_what_is_pulled_back_through_the_module(
    sites: str, norm: Literal["layer", "dynamic_tanh"], pulled
) -> None:
    clean = gpt(sites, norm)
    fast, slow = edges(clean), pulled(clean)
    assert fast.keys() == slow.keys()
    for key, weight_CP in slow.items():
        torch.testing.assert_close(fast[key], weight_CP, rtol=0, atol=1e-13)
    assert any(DirectPaths(clean).over_attention(site) is not None for site in clean.sites)


@pytest.mark.parametrize("sites", SITES.values(), ids=SITES)
def test_it_equals_stopped_gradients(sites: str) -> None:
    clean = gpt(sites)
    slow = edges_by_stopped_gradients(clean)
    for (child, parent), weight_CP in edges(clean).items():
        key = (child, "token" if parent is True else parent)
        torch.testing.assert_close(weight_CP, slow[key], rtol=0, atol=1e-12)


def test_small_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = gpt(SITES["everything"])
    whole = edges(clean)
    monkeypatch.setattr(attention_rows, "_NUMBERS", 30)
    monkeypatch.setattr(paths, "ROWS_PER_BACKWARD", 7)
    for key, weight_CP in edges(clean).items():
        torch.testing.assert_close(weight_CP, whole[key], rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("family", "has_one"), [("gpt2", True), ("neox", False), ("neox-sequential", False), ("gemma2", False)]
)
def test_only_attention_that_the_weights_describe_has_a_closed_form(family: str, has_one: bool) -> None:
    """Rotary positions, capped scores, windows and norms after the attention are seen in its output."""
    module, make = tiny(family)
    model = make(module, "tiny")
    tokens = torch.randint(0, VOCAB, (1, 7), generator=torch.Generator().manual_seed(0))
    site = Site(1, "resid_pre")
    x_SD = model.run(tokens, read=[site]).sites[site][0]
    assert (AttentionRows.of(model.block(1), x_SD) is not None) == has_one


def test_a_block_without_weights_has_no_closed_form() -> None:
    assert AttentionRows.of(random_model().block(0), torch.ones(3, 8, dtype=torch.float64)) is None


@pytest.mark.parametrize("sites", [*SITES.values(), "1.attn_out 1.mlp_out 2.resid_pre"])
def test_edges_among_features_are_the_same_where_nobody_asks_for_those_from_tokens(sites: str):
    clean = gpt(sites)
    with_tokens, without = edges(clean), {}
    for block in chain.from_iterable(direct_edges(clean, clean.nodes)):
        assert not block.tokens
        key = ("metric" if block.children is None else block.children.site, block.parents.site)
        without.setdefault(key, []).append(block.weight_CP)
    assert without.keys() == {key for key in with_tokens if key[1] is not True}
    for key, weights in without.items():
        assert torch.allclose(torch.cat(weights), with_tokens[key], rtol=1e-12, atol=1e-14)
