"""Cotangents pulled back through a block, a few rows at a time, equal autograd of the plain sums."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from saecli.attribution import block_pull
from saecli.attribution.attention_rows import AttentionRows
from saecli.attribution.block_pull import Rows, pull_back
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.model import Block
from tests.core.tiny_models import D, tiny
from tests.hand_models import random_model

LENGTH, FEATURES = 7, 9


def gpt(norm: Literal["layer", "dynamic_tanh"] = "layer") -> Block:
    generator = torch.Generator().manual_seed(1)
    config = GPTConfig(vocab_size=9, n_ctx=8, n_layer=1, n_head=2, d_model=8, norm=norm)
    module = GPT(config, initialise=False).double()
    for name, parameter in module.requires_grad_(False).named_parameters():
        gain = 1.0 if name.endswith(("ln_1.weight", "ln_2.weight")) else 0.0
        parameter.copy_(gain + 0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return thin_gpt(module, "tiny").block(0)


def case(width: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Rows, Tensor]:
    """Positions, features active at one to all positions of a sequence (one nowhere), their directions."""
    generator = torch.Generator().manual_seed(5)
    share_F = torch.linspace(0, 1, FEATURES)
    active_SF = torch.rand(LENGTH, FEATURES, generator=generator) < share_F
    rows = Rows.of(*active_SF.nonzero().unbind(1))
    x_SD = torch.randn(LENGTH, width, generator=generator, dtype=torch.float64)
    direction_FD = torch.randn(FEATURES, width, generator=generator, dtype=torch.float64)
    return x_SD.to(dtype), rows, direction_FD[rows.feature_J].to(dtype)


def plain(block: Block, x_SD: Tensor, rows: Rows, direction_JD: Tensor) -> Tensor:
    """One backward pass per feature."""
    found, at = [], 0
    for count, direction_D in zip(rows.counts_J.tolist(), direction_JD, strict=True):
        leaf_SD = x_SD.clone().requires_grad_()
        with torch.enable_grad():
            values_S = block(leaf_SD[None])[0] @ direction_D
            found.append(torch.autograd.grad(values_S[rows.position_N[at : at + count]].sum(), leaf_SD)[0])
        at += count
    return torch.stack(found)


def compare(block: Block, width: int, tolerance: float, dtype: torch.dtype = torch.float64) -> None:
    x_SD, rows, direction_JD = case(width, dtype)
    assert len(rows.counts_J.unique()) > 3
    expected_JSD = plain(block, x_SD, rows, direction_JD)
    pulled = pull_back(block, x_SD, rows, direction_JD)
    scale = float(expected_JSD.abs().max())
    torch.testing.assert_close(pulled.whole(), expected_JSD, rtol=0, atol=tolerance * scale)
    vector_SKD = torch.randn(LENGTH, 3, width, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).to(
        dtype
    )
    expected_SKJ = torch.einsum("skd,jsd->skj", vector_SKD, expected_JSD)
    torch.testing.assert_close(
        pulled.along(vector_SKD), expected_SKJ, rtol=0, atol=tolerance * float(expected_SKJ.abs().max())
    )


@pytest.mark.parametrize("norm", ["layer", "dynamic_tanh"])
def test_a_gpt_block_in_double_precision(norm: Literal["layer", "dynamic_tanh"]):
    compare(gpt(norm), 8, 1e-12)


@pytest.mark.parametrize("parallel", [False, True])
def test_a_block_whose_weights_are_not_known(parallel: bool):
    compare(random_model(parallel=parallel).block(0), 8, 1e-12)


@pytest.mark.parametrize(
    ("family", "closed"), [("gpt2", True), ("neox", False), ("neox-sequential", False), ("gemma2", False)]
)
def test_blocks_of_the_families(family: str, closed: bool):
    """Rotary positions, grouped heads, capped scores, windows and norms after attention and MLP."""
    module, make = tiny(family)
    block = make(module, "tiny").block(1)
    assert (AttentionRows.of(block, case(D, torch.float32)[0]) is not None) == closed
    compare(block, D, 1e-6, torch.float32)


def test_what_has_no_closed_form_goes_through_the_module_with_the_same_result(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(AttentionRows, "of", lambda *_: None)
    compare(gpt(), 8, 1e-12)


def test_in_small_parts(monkeypatch: pytest.MonkeyPatch):
    x_SD, rows, direction_JD = case(8)
    block = gpt()
    expected_JSD = plain(block, x_SD, rows, direction_JD)
    monkeypatch.setattr(block_pull, "_NUMBERS", 1000)
    parts = list(rows.parts(LENGTH, 8, 2))
    assert 2 < len(parts) < len(rows.feature_J)
    at = 0
    for part in parts:
        here = slice(at, at := at + len(part.feature_J))
        found_JSD = pull_back(block, x_SD, part, direction_JD[here]).whole()
        torch.testing.assert_close(found_JSD, expected_JSD[here], rtol=1e-10, atol=1e-12)
    assert at == len(rows.feature_J)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), unique=True))
def test_rows_hold_every_pair_once_the_rarest_feature_first(pairs: list[tuple[int, int]]):
    table_N2 = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    rows = Rows.of(table_N2[:, 0], table_N2[:, 1])
    assert rows.counts_J.tolist() == sorted(rows.counts_J.tolist())
    feature_N = rows.feature_J.repeat_interleave(rows.counts_J)
    assert sorted(zip(rows.position_N.tolist(), feature_N.tolist(), strict=True)) == sorted(pairs)
    parts = list(rows.parts(3, 1 << 22, 1))
    assert [n for part in parts for n in part.feature_J.tolist()] == rows.feature_J.tolist()
    assert [n for part in parts for n in part.position_N.tolist()] == rows.position_N.tolist()
