"""Random models and dictionaries in double precision, behind the HookedModel interface."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.model import Block
from saecli.core.site import Site
from saecli.trace.planted.model import NO_WEIGHTS, HandModel


def random_model(
    *, n_layers: int = 2, d_model: int = 8, d_vocab: int = 9, parallel: bool = False, seed: int = 0
) -> HandModel:
    """A random double-precision transformer with layer norms, softmax attention and GELU MLPs."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * scale

    def norm() -> Callable[[Tensor], Tensor]:
        gain, bias = 1 + rand(d_model, scale=0.3), rand(d_model, scale=0.3)
        return lambda x: nn.functional.layer_norm(x, (d_model,), gain, bias)

    def attention() -> Callable[[Tensor], Tensor]:
        q, k, v, o = (rand(d_model, d_model, scale=d_model**-0.5) for _ in range(4))

        def attend(x: Tensor) -> Tensor:
            scores = (x @ q) @ (x @ k).transpose(-1, -2) / d_model**0.5
            future = torch.ones(x.shape[-2], x.shape[-2], dtype=torch.bool).triu(1)
            return scores.masked_fill(future, -torch.inf).softmax(-1) @ (x @ v) @ o

        return attend

    def mlp() -> Callable[[Tensor], Tensor]:
        w_in, w_out, bias = rand(d_model, 16, scale=0.5), rand(16, d_model, scale=0.5), rand(16, scale=0.2)
        return lambda x: nn.functional.gelu(x @ w_in + bias) @ w_out

    blocks = [Block(norm(), attention(), norm(), mlp(), parallel, NO_WEIGHTS) for _ in range(n_layers)]
    return HandModel(rand(d_vocab, d_model), blocks, rand(d_model, d_vocab, scale=0.5))


def random_dictionary(
    site: Site, d_model: int, *, n_latents: int = 20, k: int = 3, seed: int = 0, **options: object
) -> Dictionary:
    """A random double-precision TopK dictionary with biases."""
    from saecli.dictionaries import make_dictionary

    generator = torch.Generator().manual_seed(seed)
    config = DictionaryConfig("topk", d_model, n_latents, site, site, d_model, {"k": k, **options})
    made = make_dictionary(config).to(torch.float64)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3)
    return made.requires_grad_(False)
