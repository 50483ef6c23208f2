"""Jacobians between the features at the two ends of an MLP: known numbers, and gradients equal to autograd's."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from saecli.core.errors import UsageError
from saecli.core.gpt import GPT, DynamicTanh, GeluNew, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.train.jacobian import Chosen, absolute_jacobian
from saecli.train.jacobian_beside import OfAll, OfRows, beside
from saecli.train.jacobian_path import Path, mlp_path, slope
from saecli.train.step import Workspace
from tests.twins.jacobian import absolute_jacobian as plain
from tests.twins.jacobian import token_jacobian


def model(norm: str = "layer", activation: str = "gelu_new", d: int = 8):
    torch.manual_seed(2)
    made = thin_gpt(GPT(GPTConfig(11, 7, 1, 2, d, norm=norm, activation=activation)), "tiny")  # type: ignore[arg-type]
    for parameter in made.module.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    made.module.double()
    return made


def through(made, block: bool):
    part = made.block(0)
    return (lambda x_D: x_D + part.mlp(part.ln2(x_D[None]))[0]) if block else (lambda x_D: part.mlp(x_D[None])[0])


class RMSNorm(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.eps, self.weight = 1e-5, nn.Parameter(torch.randn(d, dtype=torch.float64))

    def forward(self, x):
        return self.weight * x / (x.square().mean(-1, keepdim=True) + self.eps).sqrt()


CASES = ["layer", "layer-gelu", "layernorm", "dynamic-tanh", "rmsnorm", "no-gain"]


def case(name: str, d: int = 8):
    """A path and the function that it is."""
    made = model(
        "dynamic_tanh" if name == "dynamic-tanh" else "layer", "gelu" if name == "layer-gelu" else "gelu_new", d
    )
    block = not name.startswith("layer-") and name != "layer"
    path = mlp_path(made, 0, block=block)
    run = through(made, block)
    if name in ("rmsnorm", "no-gain"):
        norm = RMSNorm(d) if name == "rmsnorm" else nn.LayerNorm(d, elementwise_affine=False)
        path = Path(path.W_in_DM, path.b_in_M, path.W_out_MD, path.act, norm, getattr(norm, "weight", None))
        mlp = made.block(0).mlp
        run = lambda x_D: x_D + mlp(norm(x_D[None]))[0]  # noqa: E731
    return path, run


def weights(d: int = 8, features: int = 24):
    W_dec_FD = torch.randn(features, d, dtype=torch.float64, requires_grad=True)
    return W_dec_FD, torch.randn(d, features, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("some_inactive", [False, True])
def test_the_sum_and_its_gradients_are_those_of_autograd(name, some_inactive):
    path, run = case(name)
    W_dec_FD, W_enc_DF = weights()
    x_BD = torch.randn(60, 8, dtype=torch.float64)
    reads_BK, writes_BK = (torch.stack([torch.randperm(24)[:5] for _ in x_BD]) for _ in range(2))
    every = torch.ones(60, 5, dtype=torch.bool)
    on = [torch.rand(60, 5) < 0.7 if some_inactive else None for _ in range(2)]
    lists = [
        [row[here].tolist() for row, here in zip(one, every if mask is None else mask, strict=True)]
        for one, mask in zip((reads_BK, writes_BK), on, strict=True)
    ]
    expected = plain(run, x_BD, W_dec_FD, W_enc_DF, *lists)
    g_dec_FD, g_enc_DF = torch.autograd.grad(expected, [W_dec_FD, W_enc_DF])
    with torch.no_grad():
        given = W_dec_FD, W_enc_DF.T, Chosen(reads_BK, on[0]), Chosen(writes_BK.int(), on[1]), Workspace()
        found = absolute_jacobian(path, x_BD, *given)
        alone = absolute_jacobian(path, x_BD, *given, gradients=False)
    assert found.total == pytest.approx(float(expected.detach()), rel=1e-12)
    assert (alone.total, alone.g_dec_FD) == (found.total, None)
    assert found.g_dec_FD is not None
    assert found.g_enc_FD is not None
    assert torch.linalg.norm(found.g_dec_FD - g_dec_FD) < 1e-10 * g_dec_FD.norm()
    assert torch.linalg.norm(found.g_enc_FD.T - g_enc_DF) < 1e-10 * g_enc_DF.norm()


@pytest.mark.parametrize("of_rows", [False, True])
@pytest.mark.parametrize("name", ["layer", "layernorm", "dynamic-tanh"])
def test_many_chunks_are_one_and_both_ways_of_the_stream_beside(name, of_rows, monkeypatch):
    """Of 200 tokens 12 at a time, which leaves 8."""
    path, _ = case(name)
    W_dec_FD, W_enc_DF = (one.detach() for one in weights())
    x_BD = torch.randn(200, 8, dtype=torch.float64)
    active_BK = torch.rand(200, 5) < 0.7
    first, second = (Chosen(torch.stack([torch.randperm(24)[:5] for _ in x_BD]), active_BK) for _ in range(2))
    found = [absolute_jacobian(path, x_BD, W_dec_FD, W_enc_DF.T, first, second, Workspace())]
    monkeypatch.setattr("saecli.train.jacobian._CHUNK_ELEMENTS", 2000)
    monkeypatch.setattr("saecli.train.jacobian_beside._CHEAPER", 0 if of_rows else 4)
    found.append(absolute_jacobian(path, x_BD, W_dec_FD, W_enc_DF.T, first, second, Workspace()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(torch.as_tensor(one), torch.as_tensor(other))
    nothing = Chosen(torch.empty(0, 5, dtype=torch.int64))
    assert absolute_jacobian(path, x_BD[:0], W_dec_FD, W_enc_DF.T, nothing, nothing, Workspace()).total == 0


def test_both_ways_of_the_stream_beside_are_taken():
    """24 by 24 products of features against 25 of every token, four of the former to one of the latter."""
    made = [beside(torch.randn(24, 8), torch.randn(24, 8), 25 * tokens, Workspace()) for tokens in (5, 6)]
    assert list(map(type, made)) == [OfRows, OfAll]


@pytest.mark.parametrize("act", [GeluNew(), nn.GELU(), nn.ReLU(), torch.tanh])
def test_the_slope_of_an_activation_function(act):
    a = torch.linspace(-6, 6, 101, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(act(a).sum(), a)
    torch.testing.assert_close(slope(act, a.detach().clone(), Workspace()), expected, rtol=1e-12, atol=1e-14)


# --- known numbers ------------------------------------------------------------------------------------------------


def jacobian_of(path: Path, at_D, w_dec_KD, w_enc_DK):
    """The Jacobian itself, feature by feature, from the sums of one pair with the sign from its gradient."""
    J = torch.zeros(w_enc_DK.shape[1], len(w_dec_KD), dtype=at_D.dtype)
    for o in range(J.shape[0]):
        for i in range(J.shape[1]):
            pair = Chosen(torch.tensor([[i]])), Chosen(torch.tensor([[o]]))
            found = absolute_jacobian(path, at_D[None], w_dec_KD, w_enc_DK.T, *pair, Workspace())
            assert found.g_dec_FD is not None
            # J is linear in its decoder row, so |J| = row · gradient, and the gradient has J's sign.
            forwards = found.g_dec_FD[i] @ w_dec_KD[i]
            assert float(forwards) == pytest.approx(found.total, abs=1e-12)
            J[o, i] = found.total
    return J


@torch.no_grad()
def test_closed_form_at_the_reconstruction_is_the_jacobian_of_the_codes():
    """KAT: to 1e-14 of autograd through decoder, MLP and encoder at the active features of a token."""
    path, run = case("layer")
    W_dec_FD, W_enc_DF = (one.detach() / 8 for one in weights())
    f_K, b_D = torch.rand(4, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    at_D = b_D + f_K @ W_dec_FD[:4]
    with torch.enable_grad():
        exact = token_jacobian(run, at_D, W_dec_FD[:4], W_enc_DF[:, 5:9])
    assert (jacobian_of(path, at_D, W_dec_FD[:4], W_enc_DF[:, 5:9]) - exact.abs()).abs().max() < 1e-14 * max(
        1, exact.abs().max()
    )


@torch.no_grad()
def test_with_no_preactivation_the_slope_of_gelu_is_a_half():
    path, _ = case("layer")
    x_D = torch.randn(8, dtype=torch.float64)
    path = Path(path.W_in_DM, -x_D @ path.W_in_DM, path.W_out_MD, path.act)
    W_dec_FD, W_enc_DF = (one.detach() for one in weights())
    expected = (W_enc_DF.T @ path.W_out_MD.T @ path.W_in_DM.T @ W_dec_FD.T / 2)[3:6, 7:9].abs()
    torch.testing.assert_close(jacobian_of(path, x_D, W_dec_FD[7:9], W_enc_DF[:, 3:6]), expected, rtol=1e-12, atol=0)


def by_hand(norm: nn.Module, x_D, hidden_D):
    """W_in = 1, W_out = 2, a preactivation of 0 everywhere: the MLP's slope is 1."""
    eye = torch.eye(len(x_D), dtype=torch.float64)
    gain = getattr(norm, "weight", None)
    return Path(
        eye, -hidden_D, 2 * eye, GeluNew(), norm.double(), None if gain is None else gain.detach().double()
    ), eye


@torch.no_grad()
def test_the_block_with_layer_norm_by_hand():
    """KAT: r = √1.5 (1, 0, −1), N = v vᵀ / 6 with v = (1, −2, 1), J = 1 + v vᵀ / 6."""
    r = 1.5**0.5 * torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
    path, eye = by_hand(nn.LayerNorm(3, eps=0.0), r, r)
    expected = torch.tensor([[7, -2, 1], [-2, 10, -2], [1, -2, 7]], dtype=torch.float64).abs() / 6
    torch.testing.assert_close(jacobian_of(path, r, eye, eye), expected, rtol=1e-9, atol=0)
    every, at = Chosen(torch.arange(3)[None]), r[None]
    assert absolute_jacobian(path, at, eye, eye, every, every, Workspace()).total / 9 == pytest.approx(
        17 / 27, abs=1e-9
    )
    one = Chosen(torch.tensor([[0]])), Chosen(torch.tensor([[1]]))
    assert absolute_jacobian(path, at, eye, eye, *one, Workspace()).total == pytest.approx(1 / 3, abs=1e-9)


@torch.no_grad()
def test_the_block_with_dynamic_tanh_by_hand():
    norm = DynamicTanh(3)
    norm.alpha.fill_(1.0)
    nothing = torch.zeros(3, dtype=torch.float64)
    path, eye = by_hand(norm, nothing, nothing)
    every = Chosen(torch.arange(3)[None])
    found = absolute_jacobian(path, nothing[None], eye, eye, every, every, Workspace())
    assert found.total / 9 == pytest.approx(2 / 3, abs=1e-12)  # J = 2
    torch.testing.assert_close(jacobian_of(path, nothing, eye, eye), 2 * eye)


@torch.no_grad()
def test_of_two_dimensions_a_layer_norm_leaves_the_stream_beside_it_alone():
    r = torch.tensor([3.0, -2.0], dtype=torch.float64)
    path, eye = by_hand(nn.LayerNorm(2, eps=0.0), r, torch.tensor([1.0, -1.0], dtype=torch.float64))
    torch.testing.assert_close(jacobian_of(path, r, eye, eye), eye, rtol=0, atol=1e-9)


# --- models that have no such path ---------------------------------------------------------------------------------


def test_a_model_without_the_mlp_that_a_pair_needs_is_named():
    made = model()
    part = made.block(0)
    broken = {
        "has gates": {"weights": {"W_gate": part.weights.W_in}},
        "is not known": {"act": None},
        "does more than its two layers": {"mlp": lambda x: 2 * part.mlp(x)},
    }
    for message, change in broken.items():
        if "weights" in change:
            change = {"weights": replace(part.weights, **change["weights"])}
        made.block = lambda layer, change=change: replace(part, **change)  # type: ignore[method-assign]
        with pytest.raises(UsageError, match=message):
            mlp_path(made, 0, block=False)
    made.info = replace(made.info, d_mlp=0)
    with pytest.raises(UsageError, match="has no MLPs"):
        mlp_path(made, 0, block=False)
