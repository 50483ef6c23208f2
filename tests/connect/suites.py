"""Tiny models and the dictionaries of theirs that can be connected: attention outputs, and transcoders of MLPs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.fingerprint import fingerprint_module
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import ThinModel, thin_gpt
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.formats.hf_gpt2 import save_gpt
from saecli.formats.suite import write_suite

WIDTH, LATENTS, LAYERS = 8, 12, 2


def tiny_gpt(*, vocab: int = 11, layers: int = LAYERS, seed: int = 0) -> GPT:
    """A model of random weights, gains and biases."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = GPT(GPTConfig(vocab_size=vocab, n_ctx=59, n_layer=layers, n_head=2, d_model=WIDTH))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.3)
    return model


def dictionaries(
    *, layers: int = LAYERS, latents: int = LATENTS, width: int = WIDTH, k: int = 3, seed: int = 1
) -> list[Dictionary]:
    """TopK dictionaries of attn_out and transcoders from mlp_in to mlp_out, of random weights."""
    generator, made = torch.Generator().manual_seed(seed), []
    for layer in range(layers):
        for reads, writes in (("attn_out", "attn_out"), ("mlp_in", "mlp_out")):
            config = DictionaryConfig("topk", width, latents, Site(layer, reads), Site(layer, writes), width, {"k": k})
            one = make_dictionary(config).requires_grad_(False)
            for parameter in one.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            made.append(one)
    return made


def model_and_suite(*, dtype: torch.dtype = torch.float64, **sizes: Any) -> tuple[ThinModel, Suite]:
    """In memory."""
    model = thin_gpt(tiny_gpt(layers=sizes.get("layers", LAYERS)).to(dtype))
    suite = Suite.of(SuiteInfo("tiny", "gpt"), [one.to(dtype) for one in dictionaries(**sizes)])
    return model, suite


def save_model_and_suite(folder: Path, *, sites: tuple[str, ...] = ("attn_out", "mlp_in")) -> Path:
    """A folder with an OthelloGPT, below it ``suite/`` with its dictionaries at some kinds of sites."""
    model = tiny_gpt(vocab=61)
    save_gpt(model, folder, vocabulary="othello")
    info = SuiteInfo("tiny", str(folder), fingerprint_module(model), context=59, vocabulary="othello")
    chosen = [one for one in dictionaries() if one.config.reads.kind in sites]
    write_suite(Suite.of(info, chosen), folder / "suite")
    return folder
