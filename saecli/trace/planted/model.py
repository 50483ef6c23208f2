"""Models small enough to follow by hand, behind the HookedModel interface: no norms, weights set by hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.model import Aux, Block, BlockWeights, Edit, HookedModel, ModelInfo, ModelRun
from saecli.core.site import Site

NO_WEIGHTS = BlockWeights(*(torch.zeros(0),) * 6)


def zero(x: Tensor) -> Tensor:
    """A module that adds nothing."""
    return torch.zeros_like(x)


def hand_block(
    attention: Callable[[Tensor], Tensor] = zero, mlp: Callable[[Tensor], Tensor] = zero, *, parallel: bool = False
) -> Block:
    """A block without norms."""
    return Block(lambda x: x, attention, lambda x: x, mlp, parallel, NO_WEIGHTS)


@dataclass(frozen=True)
class Head:
    """An attention head that reads one direction and writes another.

    The score of position k seen from q is (query · x_q + 1)(key · x_k) + bias_{q − k}, or without the 1 where there is
    a query.

    Attributes:
        key_D: What a position is looked for by.
        read_D, write_D: It adds Σ_k pattern_qk (read · x_k) write to q.
        query_D: What asks; None for a query of 1 everywhere.
        distance: Bias of every distance but this one is −1000; None for no bias.
    """

    key_D: Tensor
    read_D: Tensor
    write_D: Tensor
    query_D: Tensor | None = None
    distance: int | None = None

    def __call__(self, x_BSD: Tensor) -> Tensor:
        """attn_in [B, S, d] → what the head adds."""
        length = x_BSD.shape[-2]
        query_BS = torch.ones_like(x_BSD[..., 0]) if self.query_D is None else x_BSD @ self.query_D
        score_BSS = query_BS[..., None] * (x_BSD @ self.key_D)[..., None, :]
        place_S = torch.arange(length, device=x_BSD.device)
        apart_SS = place_S[:, None] - place_S
        if self.distance is not None:
            score_BSS = score_BSS - 1000.0 * (apart_SS != self.distance)
        pattern_BSS = score_BSS.masked_fill(apart_SS < 0, -torch.inf).softmax(-1)
        return (pattern_BSS @ (x_BSD @ self.read_D)[..., None]) * self.write_D


def attention(heads: Sequence[Head]) -> Callable[[Tensor], Tensor]:
    """The sum of heads."""

    def attend(x_BSD: Tensor) -> Tensor:
        return torch.stack([head(x_BSD) for head in heads]).sum(0) if heads else zero(x_BSD)

    return attend


def relu_mlp(in_MD: Tensor, bias_M: Tensor, out_MD: Tensor) -> Callable[[Tensor], Tensor]:
    """One hidden layer of M neurons: relu(x in + bias) out."""
    return lambda x: (x @ in_MD.T + bias_M).relu() @ out_MD


class HandModel(HookedModel):
    """Blocks given as functions; every site, no shortcut.

    Args:
        embedding_VD: Embedding matrix.
        blocks: The blocks.
        unembedding_DV: Unembedding matrix.
        name: What it is called.
    """

    def __init__(
        self, embedding_VD: Tensor, blocks: list[Block], unembedding_DV: Tensor, name: str = "by-hand"
    ) -> None:
        self.embedding_VD, self.blocks, self.unembedding_DV = embedding_VD, blocks, unembedding_DV
        d_vocab, d_model = embedding_VD.shape
        self.module = nn.Module()
        self.info = ModelInfo(
            name, "toy", len(blocks), d_model, 1, d_model, d_model, 64, d_vocab, parallel=blocks[0].parallel
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


def dictionary(site: Site, directions_FD: Tensor, *, threshold: float | None = None) -> Dictionary:
    """A dictionary without biases whose encoder and decoder rows are the given directions.

    Args:
        site: Where.
        directions_FD: The features.
        threshold: Activations up to here are none; if not given every positive one counts.
    """
    from saecli.dictionaries import make_dictionary
    from saecli.dictionaries.jumprelu import JumpReLU

    n_latents, d_model = directions_FD.shape
    arch = "standard" if threshold is None else "jumprelu"
    made = make_dictionary(DictionaryConfig(arch, d_model, n_latents, site, site, d_model)).to(directions_FD.dtype)
    with torch.no_grad():
        made.W_enc_DF.copy_(directions_FD.T)
        made.W_dec_FD.copy_(directions_FD)
        if isinstance(made, JumpReLU) and threshold is not None:
            made.threshold_F.fill_(threshold)
    return made.requires_grad_(False)
