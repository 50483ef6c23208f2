"""Matrix products of a training step in the number type that is asked for.

``fp32`` multiplies in the number type of the weights. ``bf16`` rounds both factors to bf16 and the product too, as
autocast does; weights, gradients, what is summed over chunks and everything else keep theirs. ``bf16-screen`` is for
TopK: a bf16 product says which features may be among the k largest, and their pre-activations are computed anew.
"""

from __future__ import annotations

import torch
from torch import Tensor


def multiply(
    out: Tensor,
    a: Tensor,
    b: Tensor,
    precision: str,
    *,
    bias: Tensor | None = None,
    alpha: float = 1.0,
    add: bool = False,
) -> Tensor:
    """``alpha`` a b, plus a row ``bias`` or (``add``) plus what is there, into ``out``, which is returned."""
    if precision != "bf16":
        if bias is not None:
            return torch.addmm(bias, a, b, alpha=alpha, out=out)
        return torch.addmm(out, a, b, beta=int(add), alpha=alpha, out=out)
    product = a.bfloat16() @ b.bfloat16()
    if add:
        return out.add_(product, alpha=alpha)
    out.copy_(product)
    if alpha != 1:
        out *= alpha
    return out if bias is None else out.add_(bias)


def has_bf16(device: str) -> bool:
    """Whether the hardware multiplies bf16 numbers; without, such products are slower than those of fp32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return True
    known = torch.cpu.get_capabilities()
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16"))
