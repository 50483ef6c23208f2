"""A random GPT as plain numbers, a slow forward pass over them, and the layouts other programs store them in.

Nothing here uses the readers under test, nor the module they fill.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

V, T, L, H, D, M = 13, 9, 2, 2, 8, 32
E = D // H


def numbers(
    *, dynamic: bool = False, bias: bool = True, plain_norms: bool = False, tied: bool = True
) -> dict[str, Any]:
    """Every number of a random GPT; norms and biases are random too unless the layout has none."""
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int, about: float = 0.0, scale: float = 0.3) -> Tensor:
        return about + torch.randn(shape, generator=generator) * scale

    def shift(*shape: int) -> Tensor:
        return draw(*shape) if bias else torch.zeros(shape)

    def norm() -> tuple[Tensor, Tensor]:
        return (torch.ones(D), torch.zeros(D)) if plain_norms else (draw(D, about=1.0), shift(D))

    embedding = draw(V, D)
    return {
        "E": embedding,
        "P": draw(T, D),
        "blocks": [
            {
                "norm1": norm(),
                "norm2": norm(),
                "alpha": draw(1, about=0.7) if dynamic else None,
                **{f"W_{x}": draw(H, D, E) for x in "QKV"},
                **{f"b_{x}": shift(H, E) for x in "QKV"},
                "W_O": draw(H, E, D),
                "b_O": shift(D),
                "W_in": draw(D, M),
                "b_in": shift(M),
                "W_out": draw(M, D),
                "b_out": shift(D),
            }
            for _ in range(L)
        ],
        "norm": norm(),
        "U": embedding.T.clone() if tied else draw(D, V),
        "b_U": None,
    }


def gelu(x: Tensor, tanh: bool) -> Tensor:
    if tanh:
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def forward(gpt: dict[str, Any], tokens: list[int], *, tanh: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits [S, V] and sites [S, width] of one sequence, head by head and position by position, in float64."""

    def wide(value: Any) -> Any:
        return value.double() if isinstance(value, Tensor) else tuple(map(wide, value)) if value is not None else None

    def layer_norm(x: Tensor, gain_and_bias: tuple[Tensor, Tensor]) -> Tensor:
        gain, bias = wide(gain_and_bias)
        centred = x - x.mean()
        return centred / torch.sqrt((centred**2).mean() + 1e-5) * gain + bias

    sites: dict[str, Tensor] = {}
    x = torch.stack([wide(gpt["E"])[token] + wide(gpt["P"])[place] for place, token in enumerate(tokens)])
    for number, stored in enumerate(gpt["blocks"]):
        block = {name: wide(value) for name, value in stored.items()}
        sites[f"{number}.resid_pre"] = x
        attn_in = torch.stack([layer_norm(row, block["norm1"]) for row in x])
        added = torch.zeros_like(x)
        mixed = torch.zeros(len(tokens), H, E, dtype=torch.float64)
        for head in range(H):
            q, k, v = (attn_in @ block[f"W_{x}"][head] + block[f"b_{x}"][head] for x in "QKV")
            for at in range(len(tokens)):
                share = torch.softmax(k[: at + 1] @ q[at] / math.sqrt(E), dim=0)
                mixed[at, head] = share @ v[: at + 1]
            added += mixed[:, head] @ block["W_O"][head]
        added = added + block["b_O"]
        sites |= {f"{number}.attn_in": attn_in, f"{number}.attn_z": mixed.flatten(1), f"{number}.attn_out": added}
        x = x + added
        if block["alpha"] is None:
            mlp_in = torch.stack([layer_norm(row, block["norm2"]) for row in x])
        else:
            mlp_in = torch.tanh(block["alpha"] * x) * block["norm2"][0] + block["norm2"][1]
        hidden = gelu(mlp_in @ block["W_in"] + block["b_in"], tanh)
        out = hidden @ block["W_out"] + block["b_out"]
        sites |= {f"{number}.resid_mid": x, f"{number}.mlp_in": mlp_in, f"{number}.mlp_post": hidden}
        sites[f"{number}.mlp_out"] = out
        x = x + out
    sites[f"{L}.resid_pre"] = x
    logits = torch.stack([layer_norm(row, gpt["norm"]) for row in x]) @ wide(gpt["U"])
    return logits if gpt["b_U"] is None else logits + wide(gpt["b_U"]), sites


def _joint(block: dict[str, Tensor], kind: str, letter: str) -> Tensor:
    """Rows of one of q, k, v over heads: [D, D] as [out, in], or [D]."""
    value = block[f"{kind}_{letter}"]
    return torch.cat([head.T for head in value]) if kind == "W" else torch.cat(list(value))


def gpt2_names(gpt: dict[str, Any], *, bias: bool = True, circuits: bool = False) -> dict[str, Tensor]:
    """nanoGPT's and gpt-circuits' state dict: GPT-2's names, linear layers [out, in]."""
    state = {"transformer.wte.weight": gpt["E"], "transformer.wpe.weight": gpt["P"]}
    for number, block in enumerate(gpt["blocks"]):
        at = f"transformer.h.{number}."
        state[f"{at}ln_1.weight"], state[f"{at}ln_1.bias"] = block["norm1"]
        if circuits and block["alpha"] is not None:
            state[f"{at}ln_2.alpha"] = block["alpha"]
            state[f"{at}ln_2.gamma"], state[f"{at}ln_2.beta"] = block["norm2"]
        else:
            state[f"{at}ln_2.weight"], state[f"{at}ln_2.bias"] = block["norm2"]
        state[f"{at}attn.c_attn.weight"] = torch.cat([_joint(block, "W", x) for x in "QKV"])
        state[f"{at}attn.c_attn.bias"] = torch.cat([_joint(block, "b", x) for x in "QKV"])
        state[f"{at}attn.c_proj.weight"] = torch.cat(list(block["W_O"])).T
        state[f"{at}attn.c_proj.bias"] = block["b_O"]
        state[f"{at}mlp.c_fc.weight"], state[f"{at}mlp.c_fc.bias"] = block["W_in"].T, block["b_in"]
        state[f"{at}mlp.c_proj.weight"], state[f"{at}mlp.c_proj.bias"] = block["W_out"].T, block["b_out"]
    state["transformer.ln_f.weight"], state["transformer.ln_f.bias"] = gpt["norm"]
    state["lm_head.weight"] = gpt["U"].T
    return {name: value.contiguous() for name, value in state.items() if bias or not name.endswith(".bias")}


def mingpt_names(gpt: dict[str, Any]) -> dict[str, Tensor]:
    """minGPT's state dict, with its mask buffers."""
    state = {"pos_emb": gpt["P"][None], "tok_emb.weight": gpt["E"]}
    for number, block in enumerate(gpt["blocks"]):
        at = f"blocks.{number}."
        state[f"{at}ln1.weight"], state[f"{at}ln1.bias"] = block["norm1"]
        state[f"{at}ln2.weight"], state[f"{at}ln2.bias"] = block["norm2"]
        for name, letter in {"query": "Q", "key": "K", "value": "V"}.items():
            state[f"{at}attn.{name}.weight"] = _joint(block, "W", letter)
            state[f"{at}attn.{name}.bias"] = _joint(block, "b", letter)
        state[f"{at}attn.mask"] = torch.ones(T, T).tril()[None, None]
        state[f"{at}attn.proj.weight"] = torch.cat(list(block["W_O"])).T
        state[f"{at}attn.proj.bias"] = block["b_O"]
        state[f"{at}mlp.0.weight"], state[f"{at}mlp.0.bias"] = block["W_in"].T, block["b_in"]
        state[f"{at}mlp.2.weight"], state[f"{at}mlp.2.bias"] = block["W_out"].T, block["b_out"]
    state["ln_f.weight"], state["ln_f.bias"] = gpt["norm"]
    state["head.weight"] = gpt["U"].T
    return {name: value.contiguous() for name, value in state.items()}


def hooked_names(gpt: dict[str, Any], *, norms: bool) -> dict[str, Tensor]:
    """HookedTransformer's state dict, with its buffers; without gains it is one of folded weights."""
    state = {"embed.W_E": gpt["E"], "pos_embed.W_pos": gpt["P"], "unembed.W_U": gpt["U"], "unembed.b_U": gpt["b_U"]}
    for number, block in enumerate(gpt["blocks"]):
        at = f"blocks.{number}."
        state |= {f"{at}attn.{name}": block[name] for name in ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "b_O")}
        state |= {f"{at}mlp.{name}": block[name] for name in ("W_in", "b_in", "W_out", "b_out")}
        state[f"{at}attn.mask"] = torch.ones(T, T, dtype=torch.bool).tril()
        state[f"{at}attn.IGNORE"] = torch.tensor(-1e5)
        for n in (1, 2) if norms else ():
            state[f"{at}ln{n}.w"], state[f"{at}ln{n}.b"] = block[f"norm{n}"]
    if norms:
        state["ln_final.w"], state["ln_final.b"] = gpt["norm"]
    return state
