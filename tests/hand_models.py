"""Models small enough to follow by hand, behind the HookedModel interface."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.model import Aux, Block, BlockWeights, Edit, HookedModel, ModelInfo, ModelRun
from saecli.core.site import Site

NO_WEIGHTS = BlockWeights(*(torch.zeros(0),) * 6)


def zero(x: Tensor) -> Tensor:
    """A module that adds nothing."""
    return torch.zeros_like(x)


def hand_block(attention: Callable = zero, mlp: Callable = zero, *, parallel: bool = False) -> Block:
    """A block without norms."""
    return Block(lambda x: x, attention, lambda x: x, mlp, parallel, NO_WEIGHTS)


class HandModel(HookedModel):
    """Blocks given as functions; every site, no shortcut.

    Args:
        embedding_VD: Embedding matrix.
        blocks: The blocks.
        unembedding_DV: Unembedding matrix.
    """

    def __init__(self, embedding_VD: Tensor, blocks: list[Block], unembedding_DV: Tensor) -> None:
        self.embedding_VD, self.blocks, self.unembedding_DV = embedding_VD, blocks, unembedding_DV
        d_vocab, d_model = embedding_VD.shape
        self.module = nn.Module()
        self.info = ModelInfo(
            "by-hand", "toy", len(blocks), d_model, 1, d_model, d_model, 64, d_vocab, parallel=blocks[0].parallel
        )

    def run(
        self,
        tokens: Tensor,
        *,
        read: Collection[Site] = (),
        write: Mapping[Site, Edit] | None = None,
        aux: Collection[tuple[int, Aux]] = (),
        stop_after: Site | None = None,
        attention_mask: Tensor | None = None,
    ) -> ModelRun:
        return self.run_from(Site(0, "resid_pre"), self.embed(tokens), read=read, write=write, stop_after=stop_after)

    def run_from(
        self,
        site: Site,
        resid: Tensor,
        *,
        read: Collection[Site] = (),
        write: Mapping[Site, Edit] | None = None,
        stop_after: Site | None = None,
    ) -> ModelRun:
        sites: dict[Site, Tensor] = {}

        def visit(where: Site, x: Tensor) -> Tensor:
            if write and where in write:
                x = write[where](x)
            if where in read:
                sites[where] = x
            return x

        x = visit(site, resid)
        for layer in range(site.canonical.layer, len(self.blocks)):
            block = self.blocks[layer]
            entering = x
            x = visit(Site(layer, "resid_mid"), x + visit(Site(layer, "attn_out"), block.attention(block.ln1(x))))
            x = x + visit(Site(layer, "mlp_out"), block.mlp(block.ln2(entering if block.parallel else x)))
            x = visit(Site(layer + 1, "resid_pre"), x)
        return ModelRun(self.unembed(x), sites)

    def block(self, layer: int) -> Block:
        return self.blocks[layer]

    def embed(self, tokens: Tensor) -> Tensor:
        return self.embedding_VD[tokens]

    def unembed(self, resid: Tensor) -> Tensor:
        return resid @ self.unembedding_DV


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


def dictionary(site: Site, directions_FD: Tensor, *, arch: str = "standard", **options: object) -> Dictionary:
    """A dictionary without biases whose encoder and decoder rows are the given directions."""
    from saecli.dictionaries import make_dictionary

    n_latents, d_model = directions_FD.shape
    made = make_dictionary(DictionaryConfig(arch, d_model, n_latents, site, site, d_model, dict(options)))
    with torch.no_grad():
        made.W_enc_DF.copy_(directions_FD.T)
        made.W_dec_FD.copy_(directions_FD)
    return made.to(directions_FD.dtype).requires_grad_(False)


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
