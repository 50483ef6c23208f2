"""Jacobian-sparse pairs as gpt-circuits stores them, beside their GPT: measured and connected from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from saecli.connect import files
from saecli.formats.connections import read_connections
from tests.formats.test_gpt_circuits import D, write
from tests.zoo.canonical import gpt2_names, numbers
from tests.zoo.test_layouts import SIZES

FEW = ("--data", "text.txt", "--sequences", "4", "--device", "cpu", "--threads", "1", "--json")
PAIRS = {
    "jsae": "1.mlp_in:1.mlp_out",
    "jsae_block": "1.resid_mid:1.resid_post",
}
SITES = {
    "jsae": ["0.mlp_in", "0.mlp_out", "1.mlp_in", "1.mlp_out"],
    "jsae_block": ["0.resid_mid", "0", "1.resid_mid", "1"],
}
"""As results name them: residual dictionaries by their label alone."""


def folder_of(path: Path, variant: str) -> Path:
    """Four dictionaries of 12 features, and a GPT of characters."""
    write(path, variant, (12,) * 4, d=D, model_layers=0, top_k=[3] * 4)
    state = gpt2_names(numbers(), circuits=True)
    generator = torch.Generator().manual_seed(0)
    for name in ("transformer.wpe.weight", "lm_head.weight"):
        state[name] = torch.randn(16 if "wpe" in name else 128, D, generator=generator)
    del state["transformer.wte.weight"]
    save_file(state, path / "model.safetensors", metadata={"transformer.wte.weight": "lm_head.weight"})
    sizes = SIZES | {"vocab_size": 128, "block_size": 16, "norm_strategy": "LayerNorm"}
    (path / "model.json").write_text(json.dumps(sizes))
    return path


@pytest.mark.parametrize(
    "variant", [pytest.param(one, marks=pytest.mark.slow if one == "jsae" else ()) for one in PAIRS]
)
def test_a_folder_is_measured_and_its_pairs_are_connected(saecli, tmp_path, monkeypatch, variant):
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "connect_figures", lambda *_: {})
    folder_of(tmp_path / variant, variant)
    (tmp_path / "text.txt").write_text("whether 'tis nobler in the mind to suffer\n" * 60)
    done = saecli("validate", variant, *FEW, "--firing", "4")
    assert done.code == 0, done.err
    assert [row["site"] for row in json.loads(done.out)["sites"]] == SITES[variant]
    done = saecli("connect", variant, "--suite", variant, "--pair", PAIRS[variant], "--keep", "20", *FEW)
    assert done.code == 0, done.err
    (chosen,) = json.loads(done.out)["chosen"]
    assert chosen["connections"] == 20
    found = read_connections(tmp_path / "saecli-runs/latest-connect" / chosen["file"])
    assert sorted(one.n_latents for one in found.modules) == [12, 12]
