"""Number types of the matrix products."""

from pathlib import Path

import numpy as np
import pytest
import torch

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.dictionaries import make_dictionary
from saecli.train.products import has_bf16, multiply
from saecli.train.recipes import RECIPES, TRAINED, step_function
from saecli.train.settings import Settings
from saecli.train.sparse_step import rescored
from saecli.train.step import StepInput
from tests.train.test_sae import NONE, SITE, features

D, F, K, ROWS = 64, 512, 8, 500


def made(recipe: str, bias: float = 0.0) -> Dictionary:
    arch = RECIPES[recipe].arch
    options = {"topk": {"k": K}, "matryoshka": {"k": K, "group_sizes": [128, 384]}}.get(recipe, {})
    torch.manual_seed(5)
    one = make_dictionary(DictionaryConfig(arch, D, F, SITE, SITE, D, options))
    for parameter in one.parameters():
        torch.nn.init.normal_(parameter, std=D**-0.5)
    one.b_enc_F.data += bias
    return one


def gradients(one: Dictionary, recipe: str, precision: str) -> tuple[float, dict[str, torch.Tensor]]:
    torch.manual_seed(6)
    x = torch.randn(ROWS, D)
    settings = Settings(k=K, target_l0=K, bandwidth=0.02, precision=precision)
    out = step_function(recipe)(one, StepInput(x, x, NONE, settings))
    return out.loss, {name: p.grad.clone() for name, p in one.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("bias", [0.0, -3.0])  # dense products, or lists of the few that are active
@pytest.mark.parametrize("recipe", sorted(TRAINED))
def test_bf16_products_give_nearly_the_gradients_of_fp32(recipe, bias):
    if recipe in ("topk", "batchtopk", "matryoshka") and bias:
        bias = 0.0
    one = made(recipe, bias)
    loss, exact = gradients(one, recipe, "fp32")
    other, rounded = gradients(made(recipe, bias), recipe, "bf16")
    assert other != loss
    assert other == pytest.approx(loss, rel=0.02)
    for name in ("W_enc_DF", "W_dec_FD", "b_dec_D"):
        assert rounded[name].dtype == torch.float32
        assert torch.cosine_similarity(rounded[name].flatten(), exact[name].flatten(), dim=0) > 0.99, name


def test_a_bf16_screen_ends_in_the_gradients_of_fp32():
    _, exact = gradients(made("topk"), "topk", "fp32")
    _, screened = gradients(made("topk"), "topk", "bf16-screen")
    for name, gradient in exact.items():
        torch.testing.assert_close(screened[name], gradient, rtol=1e-4, atol=1e-7)


def test_a_bf16_screen_errs_among_near_ties_alone():
    """With more near ties than it has room for, every value kept is within bf16's rounding of one that should be."""
    torch.manual_seed(7)
    direction = torch.randn(D, 1)
    W_enc_DF = direction + 1e-4 * torch.randn(D, F)  # all features nearly equal
    x = torch.randn(ROWS, D)
    exact = x @ W_enc_DF
    screen = multiply(torch.empty(ROWS, F), x, W_enc_DF, "bf16")
    values, indices = rescored(x, W_enc_DF, torch.zeros(F), screen.topk(K + 8).indices, K)
    torch.testing.assert_close(values, exact.gather(1, indices), rtol=1e-4, atol=1e-4)
    best = exact.topk(K).values
    disagree = (values.sort(1).values - best.sort(1).values).abs().max(1).values > 1e-5
    assert disagree.float().mean() > 0.5
    rounding = 2**-7 * (x.abs() @ W_enc_DF.abs()).max(1).values  # of factors and product, 2^-9 each, on both sides
    assert ((best.min(1).values - values.min(1).values) < rounding).all()


def test_products_add_scale_and_shift():
    a, b, bias, before = torch.randn(5, 4), torch.randn(4, 3), torch.randn(3), torch.randn(5, 3)
    for precision, tolerance in (("fp32", 1e-6), ("bf16", 0.05)):
        plain = multiply(torch.full((5, 3), torch.nan), a, b, precision, alpha=0.5)
        torch.testing.assert_close(plain, 0.5 * a @ b, rtol=tolerance, atol=tolerance)
        shifted = multiply(torch.full((5, 3), torch.nan), a, b, precision, alpha=0.5, bias=bias)
        torch.testing.assert_close(shifted, 0.5 * a @ b + bias, rtol=tolerance, atol=tolerance)
        added = multiply(before.clone(), a, b, precision, alpha=0.5, add=True)
        torch.testing.assert_close(added, 0.5 * a @ b + before, rtol=tolerance, atol=tolerance)


def test_the_flag_trains_and_says_where_it_does_not_pay(tmp_path: Path, saecli):
    np.save(tmp_path / "a.npy", features(3000).numpy())
    ask = (
        "train",
        "sae",
        "--activations",
        "a.npy",
        "--latents",
        "32",
        "--k",
        "4",
        "--tokens",
        "2000",
        "--batch",
        "200",
    )
    for precision in ("bf16", "bf16-screen"):
        done = saecli(*ask, "--precision", precision)
        assert done.code == 0, done.err
        assert ("has no bf16 units" in done.err) != has_bf16("cpu"), done.err
    done = saecli(*ask, "--precision", "fp32", "--latents", "16")
    assert (done.code, "bf16" in done.err) == (0, False), done.err
    done = saecli(*ask, "--arch", "gated", "--precision", "bf16-screen")
    assert (done.code, "--precision bf16-screen is for --arch topk, not gated" in done.err) == (2, True), done.err
