"""A tiny OthelloGPT with dictionaries at every site, in folders of the real formats."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.fingerprint import fingerprint_module
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.formats.hf_gpt2 import save_gpt
from saecli.formats.suite import write_suite

LAYERS, WIDTH = 2, 16


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the model and, below it, ``suite/``."""
    folder = tmp_path_factory.mktemp("tiny")
    generator = torch.Generator().manual_seed(0)
    model = GPT(GPTConfig(vocab_size=61, n_ctx=59, n_layer=LAYERS, n_head=2, d_model=WIDTH))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    save_gpt(model, folder, vocabulary="othello")
    dictionaries = []
    kinds = [(layer, kind) for layer in range(LAYERS) for kind in ("attn_out", "mlp_out")]
    for layer, kind in [*((layer, "resid_pre") for layer in range(LAYERS + 1)), *kinds]:
        site = Site(layer, kind)
        made = make_dictionary(DictionaryConfig("topk", WIDTH, 40, site, site, WIDTH, {"k": 4}))
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
        dictionaries.append(made)
    info = SuiteInfo("tiny", "tiny", model_fingerprint=fingerprint_module(model), context=59, vocabulary="othello")
    write_suite(Suite.of(info, dictionaries), folder / "suite")
    return folder
