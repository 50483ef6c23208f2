"""The pruned pass against the model, against its definition, and by hand."""

from __future__ import annotations

import pytest
import torch

from saecli.pruned.measure import cross_entropy
from saecli.pruned.suite import PrunedSuite
from tests.pruned.tiny import (
    connections,
    full_masks,
    lossless,
    model,
    random_masks,
    random_suite,
    tokens,
)
from tests.twins import pruned as twin

KINDS = ("sequential", "folded", "parallel")
TOLERANCE = {"sequential": 1e-12, "folded": 1e-12, "parallel": 1e-6}
"""GPT-NeoX's softmax is fp32."""


def patterns(of, batch):
    return {
        layer: of.run(batch, aux=[(layer, "attn_pattern")]).aux[layer, "attn_pattern"]
        for layer in range(of.info.n_layers)
    }


def assert_close(found, expected, tolerance):
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["all", "every one listed"])
def test_a_lossless_suite_with_all_connections_is_the_model(kind, how):
    of = model(kind)
    suite = lossless(of)
    pruned = PrunedSuite(of, suite, connections(of, suite, None if how == "all" else full_masks(of, suite)))
    frozen = pruned.freeze(tokens())
    run = pruned.run(frozen)
    for site, written in run.written.items():
        assert_close(written, frozen.targets[site], TOLERANCE[kind])
    logits = of.run(tokens()).logits
    assert_close(pruned.logits(frozen, run), logits, TOLERANCE[kind])
    assert_close(pruned.ce(frozen, run), cross_entropy(logits, tokens()), TOLERANCE[kind])
    assert max(value.item() for value in pruned.fvu(frozen, run).values()) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [False, True])
def test_sparse_is_the_definition_forward_and_backward(kind, shared):
    of = model(kind)
    suite = random_suite(of, shared=shared)
    masks = random_masks(of, suite)
    pruned = PrunedSuite(of, suite, connections(of, suite, masks))
    frozen = pruned.freeze(tokens())
    parameters = list(pruned.parameters())

    pres, acts, written = twin.pruned_pass(of, suite, masks, frozen, patterns(of, tokens()))
    weights = {
        site: torch.randn(value.shape, generator=torch.Generator().manual_seed(6), dtype=value.dtype)
        for site, value in written.items()
    }
    expected = torch.autograd.grad(sum((written[site] * weights[site]).sum() for site in written), parameters)

    run = pruned.run(frozen, keep_preactivations=True)
    found = torch.autograd.grad(sum((run.written[site] * weights[site]).sum() for site in written), parameters)
    for site in written:
        assert_close(run.preactivations[site], pres[site], TOLERANCE[kind])
        assert_close(pruned.dense_features(site, run).view_as(acts[site]), acts[site], TOLERANCE[kind])
        assert_close(run.written[site], written[site], TOLERANCE[kind])
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 10 * TOLERANCE[kind])
    assert all(one.abs().max() > 0 for one in expected)
