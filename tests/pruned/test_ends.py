"""Tokens as upstream features and logits as a downstream module."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from saecli.core.connections import Connections, Module, Rows, indptr_of
from saecli.core.errors import InputError
from saecli.pruned.ends import logit_directions, token_directions
from saecli.pruned.modules import modules_of
from saecli.pruned.suite import PrunedSuite
from tests.pruned.test_pruned import assert_close, patterns
from tests.pruned.tiny import LAYERS, VOCAB, lossless, model, random_suite, tokens
from tests.twins import pruned as twin

EMBED, LOGITS = Module.embed(VOCAB), Module.logits(LAYERS, VOCAB)


def random_connections(of, suite, ends, *, share=0.3):
    """Random connections of the suite's modules and these ends, and the same as masks."""
    modules = [*modules_of(suite, LAYERS), *ends]
    generator = torch.Generator().manual_seed(7)
    masks = {
        (down.reads, up.reads): torch.rand(down.n_latents, up.n_latents, generator=generator) < share
        for down in modules
        for up in modules
        if up.is_upstream_of(down, parallel=of.info.parallel)
    }
    rows = {pair: Rows(indptr_of(mask.sum(1)), mask.nonzero()[:, 1].int()) for pair, mask in masks.items()}
    return Connections(tuple(modules), "overall", None, rows, of.info.parallel), masks


def test_tokens_write_their_embedding_and_logits_read_behind_the_last_norm():
    of = model()
    weights = dict(of.module.named_parameters())
    assert_close(token_directions(of), weights["transformer.wte.weight"], 1e-12)
    unembedding_VD = weights["transformer.wte.weight"] * weights["transformer.ln_f.weight"]
    expected_VD = unembedding_VD - unembedding_VD.mean(1, keepdim=True)
    assert_close(logit_directions(of), expected_VD - expected_VD.mean(0), 1e-6)


@pytest.mark.parametrize("kind", ["sequential", "folded", "parallel"])
@pytest.mark.parametrize("listed", [False, True])
def test_a_lossless_suite_with_both_ends_predicts_as_the_model(kind, listed):
    of = model(kind)
    suite = lossless(of)
    kept, _ = random_connections(of, suite, [EMBED, LOGITS], share=2)
    if not listed:
        kept = replace(kept, rule="all", rows={})
    pruned = PrunedSuite(of, suite, kept)
    frozen = pruned.freeze(tokens())
    found = pruned.logits(frozen, pruned.run(frozen)).log_softmax(-1)
    assert_close(found, of.run(tokens()).logits.log_softmax(-1), 1e-6)


@pytest.mark.parametrize("ends", [[EMBED], [LOGITS], [EMBED, LOGITS]], ids=["tokens", "logits", "both"])
def test_ends_are_the_definition_forward_and_backward(ends):
    of = model()
    suite = random_suite(of)
    kept, masks = random_connections(of, suite, ends)
    pruned = PrunedSuite(of, suite, kept)
    frozen = pruned.freeze(tokens())
    parts = dict(of.module.named_parameters())
    tables = (EMBED.reads, parts["transformer.wte.weight"]) if EMBED in ends else None
    _, acts, written = twin.pruned_pass(of, suite, masks, frozen, patterns(of, tokens()), tokens=tables)
    run = pruned.run(frozen)
    for site, value in written.items():
        assert_close(run.written[site], value, 1e-12)
    found = pruned.logits(frozen, run)
    if LOGITS in ends:
        norm = of.module.get_submodule("transformer.ln_f")
        table_VD = parts["transformer.wte.weight"]
        expected = twin.pruned_logits(suite, masks, frozen, acts, LOGITS.reads, tables, norm, table_VD)
    else:
        expected = of.unembed(frozen.embedded_BSD + sum(written.values()))
    assert_close(found, expected, 1e-6)
    parameters = list(pruned.parameters())
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(8), dtype=found.dtype)
    gradients = [torch.autograd.grad((value * weights).sum(), parameters) for value in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, 1e-5)


def test_a_token_is_a_feature_where_it_stands():
    of = model()
    suite = random_suite(of)
    kept, _ = random_connections(of, suite, [EMBED])
    pruned = PrunedSuite(of, suite, kept)
    run = pruned.run(pruned.freeze(tokens()))
    expected = torch.nn.functional.one_hot(tokens().flatten(), VOCAB).double()
    assert torch.equal(pruned.dense_features(EMBED.reads, run), expected)


def test_ends_of_another_model():
    of = model()
    suite = random_suite(of)
    kept = Connections((*modules_of(suite, LAYERS), Module.logits(LAYERS, 51)), "all")
    with pytest.raises(InputError, match=r"51 logits at 2.resid_pre, and tiny has 50 tokens and 2 layers"):
        PrunedSuite(of, suite, kept)
