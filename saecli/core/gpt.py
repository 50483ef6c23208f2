"""A GPT in GPT-2's arithmetic, with Hugging Face's names and weight layouts.

One small module serves every model whose blocks are GPT-2's: the embedded models, OthelloGPT, ChessGPT and toy GPTs.
A state dict of ``transformers.GPT2LMHeadModel`` loads here unchanged and the other way round, and no import of
transformers (4 seconds) is needed. Every part is called as a module, so forward hooks see what they should:

    x = wte(tokens) + wpe(positions)
    x = x + attn(ln_1(x));  x = x + mlp(ln_2(x))        for every block
    logits = lm_head(ln_f(x))

Two things that GPT-2 has not are known too: a bias of the unembedding, and DynamicTanh in the place of ``ln_2``.

Shapes: B batch, S positions, D d_model, H heads, V vocabulary.
Source: GPT-2 (Radford et al. 2019), https://github.com/openai/gpt-2; names as in Hugging Face transformers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

Activation = Literal["gelu_new", "gelu"]


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT.

    Attributes:
        vocab_size: number of tokens V.
        n_ctx: most positions S the model can read.
        n_layer: number of blocks.
        n_head: attention heads H; must divide ``d_model``.
        d_model: width D of the residual stream.
        d_mlp: width of the MLP; 0 means 4 * d_model.
        activation: ``gelu_new`` (GPT-2's tanh form) or ``gelu`` (the exact one).
        norm: ``layer`` is LayerNorm with weight and bias; ``dynamic_tanh`` has :class:`DynamicTanh` before the MLPs.
        norm_eps: added to the variance in the norms.
        tied: the unembedding is the token embedding.
        head_bias: the unembedding has a bias.
    """

    vocab_size: int
    n_ctx: int
    n_layer: int
    n_head: int
    d_model: int
    d_mlp: int = 0
    activation: Activation = "gelu_new"
    norm: Literal["layer", "dynamic_tanh"] = "layer"
    norm_eps: float = 1e-5
    tied: bool = True
    head_bias: bool = False

    def __post_init__(self) -> None:
        sizes = (self.vocab_size, self.n_ctx, self.n_layer, self.n_head, self.d_model)
        if min(sizes) < 1 or self.d_mlp < 0:
            raise ValueError(f"a GPT needs positive sizes, got {self}")
        if self.d_model % self.n_head:
            raise ValueError(f"d_model {self.d_model} is not a multiple of n_head {self.n_head}")
        if self.activation not in ("gelu_new", "gelu"):
            raise ValueError(f"activation {self.activation!r} is unknown: use 'gelu_new' or 'gelu'")
        if self.norm not in ("layer", "dynamic_tanh"):
            raise ValueError(f"norm {self.norm!r} is unknown: use 'layer' or 'dynamic_tanh'")

    @property
    def mlp_width(self) -> int:
        """Width of the MLP's hidden layer."""
        return self.d_mlp or 4 * self.d_model

    @property
    def n_parameters(self) -> int:
        """Number of weights; a tied unembedding counts once."""
        d, m = self.d_model, self.mlp_width
        block = 4 * d + (self.norm == "dynamic_tanh") + (d + 1) * 3 * d + (d + 1) * d + (d + 1) * m + (m + 1) * d
        embeddings = (self.vocab_size * (1 if self.tied else 2) + self.n_ctx) * d
        return embeddings + self.n_layer * block + 2 * d + self.vocab_size * self.head_bias


class Conv1D(nn.Module):
    """A linear layer whose weight is stored [in, out], as GPT-2 stores it: x @ weight + bias."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out]."""
        flat = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight)
        return flat.view(*x.shape[:-1], flat.shape[-1])


class Attention(nn.Module):
    """Causal multi-head self-attention.

    Attributes:
        eager: compute the attention pattern explicitly and keep it, instead of torch's fused kernel.
        fp32: under bf16 autocast, do the attention itself (not its projections) in fp32: faster on CPUs.
        pattern: [B, H, S, S], queries by keys, of the last eager call; None otherwise.
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = Conv1D(config.d_model, 3 * config.d_model)
        self.c_proj = Conv1D(config.d_model, config.d_model)
        self.eager = False
        self.fp32 = False
        self.pattern: torch.Tensor | None = None

    def forward(self, x_BSD: torch.Tensor) -> torch.Tensor:
        """The block's normed residual [B, S, D] to the attention's output [B, S, D]."""
        self.pattern = None
        heads = (part.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for part in self.c_attn(x_BSD).chunk(3, dim=-1))
        q_BHSd, k_BHSd, v_BHSd = heads
        if self.fp32:
            with torch.autocast(x_BSD.device.type, enabled=False):
                z_BHSd = self._mix(q_BHSd.float(), k_BHSd.float(), v_BHSd.float())
        else:
            z_BHSd = self._mix(q_BHSd, k_BHSd, v_BHSd)
        return self.c_proj(z_BHSd.transpose(1, 2).flatten(2))

    def _mix(self, q_BHSd: torch.Tensor, k_BHSd: torch.Tensor, v_BHSd: torch.Tensor) -> torch.Tensor:
        if not self.eager:
            return F.scaled_dot_product_attention(q_BHSd, k_BHSd, v_BHSd, is_causal=True)
        scores_BHSS = q_BHSd @ k_BHSd.transpose(-1, -2) / math.sqrt(q_BHSd.shape[-1])
        future_SS = torch.ones(scores_BHSS.shape[-2:], dtype=torch.bool, device=scores_BHSS.device).triu(1)
        self.pattern = scores_BHSS.masked_fill(future_SS, -math.inf).softmax(dim=-1)
        return self.pattern.to(v_BHSd.dtype) @ v_BHSd


class GeluNew(nn.Module):
    """GPT-2's GELU: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))).

    torch's fused kernel calls a scalar tanh on CPUs. Where nothing is recorded for a gradient, the same in vectorised
    steps takes a third of the time.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Element by element, any shape."""
        if torch.is_grad_enabled() or x.device.type != "cpu" or x.dtype != torch.float32:
            return F.gelu(x, approximate="tanh")
        scale = math.sqrt(2 / math.pi)
        inner = x * x
        inner.mul_(0.044715 * scale).add_(scale).mul_(x).tanh_()
        return inner.add_(1).mul_(0.5).mul_(x)


class MLP(nn.Module):
    """The two-layer perceptron of a block; ``act`` is a module, so its output can be hooked."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.c_fc = Conv1D(config.d_model, config.mlp_width)
        self.act = GeluNew() if config.activation == "gelu_new" else nn.GELU()
        self.c_proj = Conv1D(config.mlp_width, config.d_model)

    def forward(self, x_BSD: torch.Tensor) -> torch.Tensor:
        """The block's normed residual [B, S, D] to the MLP's output [B, S, D]."""
        return self.c_proj(self.act(self.c_fc(x_BSD)))


class DynamicTanh(nn.Module):
    """weight ⊙ tanh(alpha · x) + bias, with one number alpha: a norm that is no norm.

    Source: Zhu et al. 2025, arXiv:2503.10622; here before MLPs only, as in the toy models of gpt-circuits.
    """

    def __init__(self, d_model: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), 0.5))
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., D] to [..., D]."""
        return self.weight * torch.tanh(self.alpha * x) + self.bias


class Unembedding(nn.Linear):
    """The final linear layer; ``GPT`` sets its weight [V, D]."""

    def __init__(self, config: GPTConfig):
        super().__init__(config.d_model, config.vocab_size, bias=config.head_bias)
        if config.head_bias:
            nn.init.zeros_(self.bias)

    def reset_parameters(self) -> None:
        """Draws nothing."""


class Block(nn.Module):
    """One transformer block: attention, then the MLP, each on the normed residual and added to it."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.attn = Attention(config)
        dynamic = config.norm == "dynamic_tanh"
        self.ln_2 = DynamicTanh(config.d_model) if dynamic else nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.mlp = MLP(config)

    def forward(self, x_BSD: torch.Tensor) -> torch.Tensor:
        """Residual stream before the block to the residual stream after it, [B, S, D]."""
        x_BSD = x_BSD + self.attn(self.ln_1(x_BSD))
        return x_BSD + self.mlp(self.ln_2(x_BSD))


class Transformer(nn.Module):
    """Embeddings, blocks and the final norm: everything but the unembedding."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        # Weights are given as empty, since nn.Embedding would draw random ones.
        self.wte = nn.Embedding(*(size := (config.vocab_size, config.d_model)), _weight=torch.empty(size))
        self.wpe = nn.Embedding(*(size := (config.n_ctx, config.d_model)), _weight=torch.empty(size))
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.d_model, eps=config.norm_eps)

    def forward(self, tokens_BS: torch.Tensor) -> torch.Tensor:
        """Tokens [B, S] to the normed final residual [B, S, D]."""
        positions_S = torch.arange(tokens_BS.shape[1], device=tokens_BS.device)
        x_BSD = self.wte(tokens_BS) + self.wpe(positions_S)
        for block in self.h:
            x_BSD = block(x_BSD)
        return self.ln_f(x_BSD)


class GPT(nn.Module):
    """A GPT-2-like language model, initialised as GPT-2 is.

    Weights are normal(0, 0.02), those that write into the residual stream divided by sqrt(2 * n_layer); biases are 0.
    Draw them from a fixed seed with ``torch.manual_seed``.

    Args:
        config: the shape.
        initialise: False leaves arbitrary numbers, for a reader that is about to replace them.
    """

    def __init__(self, config: GPTConfig, initialise: bool = True):
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = Unembedding(config)
        if config.tied:
            self.lm_head.weight = self.transformer.wte.weight
        if initialise:
            self._initialise()

    def forward(self, tokens_BS: torch.Tensor) -> torch.Tensor:
        """Tokens [B, S] (int64) to logits [B, S, V]; position s predicts token s + 1.

        Raises:
            ValueError: the sequence is longer than the model's context.
        """
        if tokens_BS.shape[-1] > self.config.n_ctx:
            raise ValueError(f"the model reads at most {self.config.n_ctx} tokens, got {tokens_BS.shape[-1]}")
        return self.lm_head(self.transformer(tokens_BS))

    def attentions(self) -> Iterator[Attention]:
        """The attention modules, first block first."""
        for module in self.modules():
            if isinstance(module, Attention):
                yield module

    def set_attention_fp32(self, on: bool) -> None:
        """Sets ``Attention.fp32`` in every block."""
        for attention in self.attentions():
            attention.fp32 = on

    @torch.no_grad()
    def _initialise(self) -> None:
        residual_std = 0.02 / math.sqrt(2 * self.config.n_layer)
        for name, parameter in self.named_parameters():
            if name.endswith("c_proj.weight"):
                parameter.normal_(std=residual_std)
            elif parameter.dim() == 2:
                parameter.normal_(std=0.02)
