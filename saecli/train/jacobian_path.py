"""What is between the two dictionaries of a Jacobian-sparse pair: the MLP, its norm, and their slopes at some tokens.

Slopes are of the activation function and of the norm, as :mod:`saecli.train.jacobian` has them in its formulas.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from saecli.core.errors import UsageError
from saecli.core.gpt import DynamicTanh, GeluNew
from saecli.core.hooks import norm_scale
from saecli.core.model import HookedModel
from saecli.train.step import Workspace

_TOLERANCE: Final = 1e-3
_CACHED_ELEMENTS: Final = 1 << 17


@dataclass(frozen=True)
class Path:
    """What is between the two dictionaries of a pair, in the units of the model.

    Attributes:
        W_in_DM, b_in_M, W_out_MD: Of the MLP.
        act: Its activation function.
        norm: What stands before the MLP, and that the stream goes on beside it; None where the pair is the MLP's own.
        gain_D: The norm's γ; None for 1.
    """

    W_in_DM: Tensor
    b_in_M: Tensor
    W_out_MD: Tensor
    act: Callable[[Tensor], Tensor]
    norm: nn.Module | None = None
    gain_D: Tensor | None = None

    def to(self, like: Tensor) -> Path:
        """A copy in a number type and on a device; of the norm too, as hooks of the model's own are for its passes."""
        gain_D = None if self.gain_D is None else self.gain_D.to(like)
        norm = None if self.norm is None else copy.deepcopy(self.norm).to(like)
        tensors = self.W_in_DM.to(like), self.b_in_M.to(like), self.W_out_MD.to(like)
        return Path(*tensors, self.act, norm, gain_D)

    @property
    def centred(self) -> bool:
        """Whether the norm takes the mean away."""
        return isinstance(self.norm, nn.LayerNorm)


class Slopes(NamedTuple):
    """What is constant at every token.

    Attributes:
        hidden_BM: Slopes of the activation function; over s where the norm divides by s.
        normed_BD: x̂, where the norm divides.
        along_BM: (γ ∘ x̂) W_in times ``hidden_BM``, where the norm divides.
        norm_BD: Slopes of DynamicTanh.
    """

    hidden_BM: Tensor
    normed_BD: Tensor | None = None
    along_BM: Tensor | None = None
    norm_BD: Tensor | None = None


@torch.no_grad()
def mlp_path(model: HookedModel, layer: int, *, block: bool) -> Path:
    """What is between mlp_in and mlp_out of a layer, or (``block``) between resid_mid and resid_post.

    Raises:
        UsageError: There is no MLP, or it has gates, or is not W_out(act(W_in x)).
    """
    name, hint = model.info.name, "Pairs are for models whose MLPs have one hidden layer without gates."
    if not model.info.d_mlp:
        raise UsageError(f"--arch jacobian: {name} has no MLPs.", hint)
    part = model.block(layer)
    weights = part.weights
    if weights.W_gate is not None:
        raise UsageError(f"--arch jacobian: the MLP of block {layer} of {name} has gates.", hint)
    if part.act is None:
        raise UsageError(f"--arch jacobian: the activation function of block {layer} of {name} is not known.", hint)
    W_in, W_out = weights.W_in.detach(), weights.W_out.detach()
    b_in = torch.zeros_like(W_in[0]) if weights.b_in is None else weights.b_in.detach()
    x_1SD = torch.randn(1, 8, len(W_in), generator=torch.Generator().manual_seed(0)).to(W_in)
    expected = part.act(x_1SD @ W_in + b_in) @ W_out
    if weights.b_out is not None:
        expected = expected + weights.b_out
    if float((part.mlp(x_1SD) - expected).norm()) > _TOLERANCE * float(expected.norm()):
        raise UsageError(f"--arch jacobian: the MLP of block {layer} of {name} does more than its two layers.", hint)
    if not block:
        return Path(W_in, b_in, W_out, part.act)
    norm: Any = part.ln2
    gain = None if weights.ln2_w is None else weights.ln2_w.detach()
    return Path(W_in, b_in, W_out, part.act, norm, gain)


def slopes(path: Path, x_BD: Tensor, space: Workspace) -> Slopes:
    """The constants at some tokens, in buffers that the next call overwrites.

    Args:
        path: In the number type of ``x_BD``.
        x_BD: What the MLP is given, or its norm, in the units of the model.
        space: The buffers.
    """
    read_BD = x_BD if path.norm is None else path.norm(x_BD)
    shape = len(x_BD), len(path.b_in_M)
    before_BM = space.take("slopes before", *shape, like=x_BD)
    hidden_BM = slope(path.act, torch.addmm(path.b_in_M, read_BD, path.W_in_DM, out=before_BM), space)
    if path.norm is None:
        return Slopes(hidden_BM)
    if isinstance(path.norm, DynamicTanh):
        alpha, gain_D = path.norm.alpha.detach(), path.norm.weight.detach()
        return Slopes(hidden_BM, norm_BD=(1 - (alpha * x_BD).tanh().square()) * (gain_D * alpha))
    if isinstance(path.norm, nn.LayerNorm):  # var is slow
        normed_BD, _, inverse_B1 = torch.native_layer_norm(x_BD, path.norm.normalized_shape, None, None, path.norm.eps)
    else:
        inverse_B1 = 1 / norm_scale(path.norm, x_BD)
        normed_BD = x_BD * inverse_B1
    along_BM = space.take("slopes along", *shape, like=x_BD)
    torch.mm(normed_BD if path.gain_D is None else normed_BD * path.gain_D, path.W_in_DM, out=along_BM)
    hidden_BM *= inverse_B1
    return Slopes(hidden_BM, normed_BD, along_BM.mul_(hidden_BM))


def slope(act: Callable[[Tensor], Tensor], a: Tensor, space: Workspace) -> Tensor:
    """Derivative of an activation function, element by element; ``a`` may be overwritten."""
    if isinstance(act, GeluNew):
        return _gelu_new_slope(a, space)
    with torch.enable_grad():
        a = a.detach().requires_grad_()
        return torch.autograd.grad(act(a).sum(), a)[0]


def _gelu_new_slope(a: Tensor, space: Workspace) -> Tensor:
    """½ (1 + t) + ½ a (1 − t²) u' with t = tanh u and u = √(2/π) (a + 0.044715 a³)."""
    scale = math.sqrt(2 / math.pi)
    for part in a.split(max(1, _CACHED_ELEMENTS // a.shape[-1])):
        square, t = (space.take(f"slopes {name}", *part.shape, like=a) for name in ("square", "tanh"))
        torch.mul(part, part, out=square)
        torch.mul(square, 0.044715 * scale, out=t).add_(scale).mul_(part).tanh_()
        inner = square.mul_(3 * 0.044715 * scale).add_(scale).mul_(part)
        # ½ (1 + t) (1 + a (1 − t) u')
        torch.addcmul(inner, inner, t, value=-1, out=part).add_(1).mul_(t.add_(1)).mul_(0.5)
    return a
