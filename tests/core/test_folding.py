"""Folded weights predict what raw weights predict, and are TransformerLens' folded weights site by site."""

import copy

import pytest
import torch

from saecli.core.errors import InputError
from saecli.core.folding import folded
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import KINDS, Site
from tests.core.tiny_models import HEADS, LAYERS, VOCAB, D, tiny

FAMILIES = ("gpt2", "neox", "neox-sequential", "gemma2", "gemma3")


def close(a, b, atol):
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def sites_of(model):
    kinds = [kind for kind in KINDS if not (model.info.parallel and kind == "resid_mid")]
    return [Site(layer, kind) for layer in range(model.info.n_layers) for kind in kinds]


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(1, VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=FAMILIES)
def case(request):
    """Raw and folded model, and TransformerLens' compatibility mode on a copy of the same module."""
    from saecli.core.bridge import BridgeModel

    module, make = tiny(request.param)
    oracle = BridgeModel(copy.deepcopy(module), name="oracle", processing="folded")
    raw = make(module, "tiny")
    return raw, folded(raw), oracle


def test_log_probabilities_are_unchanged(case, tokens):
    raw, new, _ = case
    before, after = raw.run(tokens).logits, new.run(tokens).logits
    close(after.log_softmax(-1), before.log_softmax(-1), atol=3e-6)
    assert new.info.processing == "folded"
    assert folded(new) is new
    assert raw.info.processing == "raw"


def test_every_site_is_the_oracles(case, tokens):
    _, new, oracle = case
    ours, theirs = new.run(tokens, read=sites_of(new)), oracle.run(tokens, read=sites_of(new))
    close(ours.logits, theirs.logits, atol=1e-5)
    for site in sites_of(new):
        close(ours.sites[site], theirs.sites[site], atol=1e-5)


def test_block_weights_are_the_oracles(case):
    _, new, oracle = case
    for layer in range(new.info.n_layers):
        ours, theirs = new.block(layer).weights, oracle.block(layer).weights
        for name, value in vars(ours).items():
            other = getattr(theirs, name)
            if value is None or other is None:
                assert value is None or name.startswith("ln") or not value.any(), name
            else:
                close(value, other, atol=2e-6)


def test_a_layernorm_models_stream_is_centred_and_norms_are_neutral(case, tokens):
    _, new, _ = case
    final = Site(new.info.n_layers, "resid_pre")
    resid = new.run(tokens, read=[final]).sites[final]
    if new.info.family != "gemma":
        assert resid.mean(-1).abs().max() < 1e-5
    for layer in range(new.info.n_layers):
        weights = new.block(layer).weights
        assert bool((weights.ln1_w == 1).all() and (weights.ln2_w == 1).all())


def test_the_own_gpt_folds_in_float64_without_loss_and_stays_untouched(tokens):
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(VOCAB, 16, LAYERS, HEADS, D)).double()
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    before = copy.deepcopy(gpt.state_dict())
    raw = thin_gpt(gpt)
    new = folded(raw)
    close(new.run(tokens).logits.log_softmax(-1), raw.run(tokens).logits.log_softmax(-1), atol=1e-12)
    assert all(torch.equal(value, before[name]) for name, value in gpt.state_dict().items())
    assert gpt.config.tied
    assert not new.module.config.tied
    assert not any(parameter.requires_grad for parameter in new.module.parameters())
    moved = new.run(tokens, read=[Site(1, "resid_pre")]).sites[Site(1, "resid_pre")]
    assert (moved - raw.run(tokens, read=[Site(1, "resid_pre")]).sites[Site(1, "resid_pre")]).abs().max() > 0.01


def test_layers_without_a_bias_cannot_take_over_a_norms_bias():
    import transformers as hf

    from zoo import pythia

    config = hf.GPTNeoXConfig(
        vocab_size=VOCAB,
        hidden_size=D,
        num_hidden_layers=1,
        num_attention_heads=HEADS,
        intermediate_size=64,
        max_position_embeddings=16,
        attention_bias=False,
    )
    module = hf.GPTNeoXForCausalLM(config)
    with torch.no_grad():
        module.gpt_neox.layers[0].input_layernorm.bias.add_(0.1)
    with pytest.raises(InputError, match="no place for b_Q"):
        folded(pythia.make(module, "tiny"))
