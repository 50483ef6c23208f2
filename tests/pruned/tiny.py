"""Tiny models with ReLU MLPs, suites of them that lose nothing or are random, and random connections."""

from __future__ import annotations

import torch
from torch import nn

from saecli.core.connections import Connections, Rows, indptr_of
from saecli.core.dictionary import DictionaryConfig
from saecli.core.folding import folded
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.pruned.modules import modules_of

LAYERS, WIDTH, HEADS, VOCAB, LENGTH = 2, 16, 2, 50, 10


def model(kind="sequential", *, layers=LAYERS, dtype=torch.float64):
    """A random model with norm gains and all biases: ``sequential``, its ``folded`` weights, or ``parallel``."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "parallel":
            import transformers as hf

            from zoo import pythia

            config = hf.GPTNeoXConfig(
                vocab_size=VOCAB,
                hidden_size=WIDTH,
                num_hidden_layers=layers,
                num_attention_heads=HEADS,
                intermediate_size=2 * WIDTH,
                max_position_embeddings=LENGTH,
                hidden_act="relu",
            )
            return pythia.make(_randomised(hf.GPTNeoXForCausalLM(config)).to(dtype), "tiny-neox")
        module = GPT(GPTConfig(VOCAB, LENGTH, layers, HEADS, WIDTH, 2 * WIDTH))
        for block in module.transformer.h:
            block.mlp.act = nn.ReLU()  # pyright: ignore[reportAttributeAccessIssue]
        made = thin_gpt(_randomised(module).to(dtype), "tiny")
        return folded(made) if kind == "folded" else made


def tokens(sequences=3):
    """Random token ids."""
    return torch.randint(0, VOCAB, (sequences, LENGTH), generator=torch.Generator().manual_seed(1))


def lossless(of, *, bias=0.5):
    """A suite whose dictionaries reproduce every module, with arbitrary b_dec of its attention dictionaries."""
    generator = torch.Generator().manual_seed(2)
    made = []
    for layer in range(of.info.n_layers):
        weights = of.block(layer).weights
        attended = Site(layer, "attn_out")
        one = make_dictionary(DictionaryConfig("topk", WIDTH, 2 * WIDTH, attended, attended, WIDTH, {"k": 2 * WIDTH}))
        eye = torch.eye(WIDTH)
        _fill(one, torch.cat([eye, -eye], 1), torch.cat([eye, -eye]))
        one.b_dec_D.data = torch.randn(WIDTH, generator=generator) * bias
        made.append(one)
        reads, writes = Site(layer, "mlp_in"), Site(layer, "mlp_out")
        one = make_dictionary(DictionaryConfig("topk", WIDTH, 2 * WIDTH, reads, writes, WIDTH, {"k": 2 * WIDTH}))
        _fill(one, weights.W_in, weights.W_out)
        one.b_enc_F.data, one.b_dec_D.data = weights.b_in.clone(), weights.b_out.clone()
        made.append(one)
    return suite_of(of, made)


def random_suite(of, *, widths=(24, 20), k=4, arch="topk", scale=0.4, shared=False):
    """Random dictionaries; ``shared``: the transcoders subtract their b_dec from their input."""
    generator = torch.Generator().manual_seed(3)
    made = []
    for layer in range(of.info.n_layers):
        for kind, writes, width in (("attn_out", "attn_out", widths[0]), ("mlp_in", "mlp_out", widths[1])):
            options = {"k": k} if "top" in arch or arch == "groupmax" else {}
            if shared:
                options["apply_b_dec_to_input"] = True
            config = DictionaryConfig(arch, WIDTH, width, Site(layer, kind), Site(layer, writes), WIDTH, options)
            one = make_dictionary(config)
            for parameter in one.parameters():
                parameter.data = torch.randn(parameter.shape, generator=generator) * scale
            made.append(one)
    return suite_of(of, made)


def suite_of(of, dictionaries, **settings):
    """A suite in the number type of the model."""
    dtype = next(of.module.parameters()).dtype
    info = SuiteInfo("tiny-suite", of.info.name, processing=of.info.processing, **settings)
    return Suite.of(info, [one.to(dtype).requires_grad_(True) for one in dictionaries])


def pairs(of, suite):
    """Pairs of modules (down, up) between which anything passes."""
    modules = modules_of(suite, of.info.n_layers)
    return [(down, up) for down in modules for up in modules if up.is_upstream_of(down, parallel=of.info.parallel)]


def connections(of, suite, masks=None, **settings):
    """Connections of masks (down, up) → bool [F_down, F_up]; all without."""
    modules = modules_of(suite, of.info.n_layers)
    if masks is None:
        return Connections(modules, "all", parallel=of.info.parallel, **settings)
    rows = {pair: Rows(indptr_of(mask.sum(1)), mask.nonzero()[:, 1].int()) for pair, mask in masks.items()}
    return Connections(modules, "overall", None, rows, of.info.parallel, **settings)


def random_masks(of, suite, *, share=0.3, seed=4):
    """Masks of all pairs, a share of them true; one row and one column of each pair empty."""
    generator = torch.Generator().manual_seed(seed)
    masks = {}
    for down, up in pairs(of, suite):
        mask = torch.rand(down.n_latents, up.n_latents, generator=generator) < share
        mask[1] = False
        mask[:, 2] = False
        masks[down.reads, up.reads] = mask
    return masks


def full_masks(of, suite, value=True):
    """Masks that are true, or false, everywhere."""
    return {(down.reads, up.reads): torch.full((down.n_latents, up.n_latents), value) for down, up in pairs(of, suite)}


def _fill(dictionary, encoder_DF, decoder_FD):
    dictionary.W_enc_DF.data, dictionary.W_dec_FD.data = encoder_DF.clone(), decoder_FD.clone()


def _randomised(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(5)
    for parameter in module.parameters():
        parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.15)
    return module.eval()
