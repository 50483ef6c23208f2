"""Gemma 2 and the text models of Gemma 3: ``transformers.Gemma2ForCausalLM`` and ``Gemma3ForCausalLM``.

What attention and MLP add is normed once more, norms multiply by ``1 + weight``, and keys and values may be shared
between heads.

Source: Gemma Team 2024, arXiv:2408.00118; 2025, arXiv:2503.19786.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from zoo.family import Family, ModelEntry, ReleaseEntry
from zoo.huggingface import OPTIONS, bos_of, model_info, pretrained, read_config

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from saecli.core.hooks import ThinModel
    from saecli.core.model import BlockWeights, ModelInfo
    from saecli.core.paths import ModulePaths


def weights(block: nn.Module, info: ModelInfo) -> BlockWeights:
    """Weights of a Gemma block: views, but for the norm gains ``1 + weight``. Query and key norms are left out."""
    from saecli.core.model import BlockWeights

    def matrix(path: str) -> Tensor:
        return attrgetter(f"{path}.weight")(block)

    def heads(name: str) -> Tensor:
        return matrix(f"self_attn.{name}").unflatten(0, (-1, info.d_head)).transpose(1, 2)

    def bias(name: str) -> Tensor | None:
        found = attrgetter(f"self_attn.{name}.bias")(block)
        return found if found is None or name == "o_proj" else found.view(-1, info.d_head)

    return BlockWeights(
        W_Q=heads("q_proj"),
        W_K=heads("k_proj"),
        W_V=heads("v_proj"),
        W_O=matrix("self_attn.o_proj").t().unflatten(0, (info.n_heads, info.d_head)),
        W_in=matrix("mlp.up_proj").t(),
        W_gate=matrix("mlp.gate_proj").t(),
        W_out=matrix("mlp.down_proj").t(),
        b_Q=bias("q_proj"),
        b_K=bias("k_proj"),
        b_V=bias("v_proj"),
        b_O=bias("o_proj"),
        ln1_w=1 + matrix("input_layernorm"),
        ln2_w=1 + matrix("pre_feedforward_layernorm"),
    )


@cache
def paths() -> ModulePaths:
    """Where a Gemma keeps its parts."""
    from saecli.core.paths import ModulePaths

    return ModulePaths(
        blocks="model.layers",
        final_norm="model.norm",
        unembed="lm_head",
        ln1="input_layernorm",
        ln2="pre_feedforward_layernorm",
        attention="self_attn",
        attention_out="self_attn.o_proj",
        attention_post="post_attention_layernorm",
        mlp="mlp",
        mlp_down="mlp.down_proj",
        mlp_post_norm="post_feedforward_layernorm",
        norm_offset=1.0,
        embeddings=("model.embed_tokens",),
        weights=weights,
        options=OPTIONS,
    )


def make(
    module: nn.Module,
    name: str,
    *,
    bos: int | None = None,
    processing: Literal["raw", "folded"] = "raw",
) -> ThinModel:
    """Name the sites of a Gemma.

    Args:
        module: ``Gemma2ForCausalLM`` or ``Gemma3ForCausalLM``; frozen, not copied.
        name: The model's name for people.
        bos: Token that starts a document.
        processing: What was done to the weights.
    """
    from saecli.core.hooks import ThinModel

    config: Any = module.config
    info = model_info(
        config,
        name,
        "gemma",
        d_mlp=config.intermediate_size,
        bos=bos,
        processing=processing,
        vocabulary="gemma",
    )
    return ThinModel(module, info, replace(paths(), softcap=config.final_logit_softcapping))


def load(path: Path, name: str, dtype: torch.dtype) -> ThinModel:
    """Read a folder of transformers; of Gemma 3 models that also see pictures, the text model.

    See :func:`zoo.huggingface.pretrained`.
    """
    config = read_config(path)
    if config.get("model_type") == "gemma3":
        module = pretrained("Gemma3ForCausalLM", path, dtype, part="text_config", rename=_text_name)
        config = config.get("text_config") or {}
        config = config if isinstance(config, dict) else {}
        config = {"bos_token_id": 2, "vocab_size": 262208} | config  # what such files leave out
    else:
        names = {"gemma2": "Gemma2ForCausalLM", "gemma3_text": "Gemma3ForCausalLM"}
        module = pretrained(names[config["model_type"]], path, dtype)
    return make(module, name, bos=bos_of(config))


def _text_name(name: str) -> str | None:
    """The text model's name of a tensor of ``Gemma3ForConditionalGeneration``, in its older and its newer layout."""
    for prefix, new in _TEXT_PREFIXES.items():
        if name.startswith(prefix):
            return new + name.removeprefix(prefix)
    return None


_TEXT_PREFIXES: Final = {
    "language_model.model.": "model.",
    "language_model.lm_head.": "lm_head.",
    "model.language_model.": "model.",
    "lm_head.": "lm_head.",
}


_MODELS: Final = {
    # repository on the hub: layers, default suite
    "gemma-2-2b": (26, "gemma-scope-2b-pt-res"),
    "gemma-2-2b-it": (26, ""),
    "gemma-2-9b": (42, "gemma-scope-9b-pt-res"),
    "gemma-2-9b-it": (42, "gemma-scope-9b-it-res"),
    "gemma-2-27b": (46, "gemma-scope-27b-pt-res"),
    "gemma-2-27b-it": (46, ""),
    "gemma-3-270m": (18, "gemma-scope-2-270m-pt"),
    "gemma-3-270m-it": (18, "gemma-scope-2-270m-it"),
    "gemma-3-1b-pt": (26, "gemma-scope-2-1b-pt"),
    "gemma-3-1b-it": (26, "gemma-scope-2-1b-it"),
    "gemma-3-4b-pt": (34, "gemma-scope-2-4b-pt"),
    "gemma-3-4b-it": (34, "gemma-scope-2-4b-it"),
    "gemma-3-12b-pt": (48, "gemma-scope-2-12b-pt"),
    "gemma-3-12b-it": (48, "gemma-scope-2-12b-it"),
    "gemma-3-27b-pt": (62, "gemma-scope-2-27b-pt"),
    "gemma-3-27b-it": (62, "gemma-scope-2-27b-it"),
}

_SCOPE: Final = {
    # Gemma Scope (arXiv:2408.05147). What is published of each model: suites, and the width fetched by default.
    "2b-pt": (("res", "att", "mlp", "transcoders"), "16k"),
    "9b-pt": (("res", "att", "mlp"), "16k"),
    "9b-it": (("res",), "16k"),
    "27b-pt": (("res",), "131k"),
}
_SCOPE_SITES: Final = {
    "res": "resid_post",
    "att": "attn_z",
    "mlp": "mlp_out",
    "transcoders": "mlp_in>mlp_out",
}
_SCOPE_LAYER: Final = {"2b-pt": 12, "9b-pt": 20, "9b-it": 20, "27b-pt": 22}
"""The layer fetched by default: the one published in most widths."""


def _models() -> dict[str, ModelEntry]:
    return {
        name: ModelEntry(
            f"hf:google/{name}",
            f"{layers} layers, {'instruction-tuned' if name.endswith('-it') else 'pretrained'}; its terms are accepted"
            " on the hub.",
            data="pile-10k",
            suite=suite,
        )
        for name, (layers, suite) in _MODELS.items()
    }


def _scope(size: str, short: str) -> ReleaseEntry:
    model = f"gemma-2-{size.removesuffix('-pt')}"
    width, layer = _SCOPE[size][1], _SCOPE_LAYER[size]
    return ReleaseEntry(
        model,
        f"hf:google/gemma-scope-{size}-{short}",
        f"Gemma Scope: JumpReLU at {_SCOPE_SITES[short]} of {model}, several widths and sparsities a layer.",
        format="gemma-scope",
        site=_SCOPE_SITES[short],
        layers=_MODELS[model][0],
        labels="" if short == "transcoders" else f"{model}/{{layer}}-gemmascope-{short}-{width}",
        default=(f"layer_{layer}/width_{width}/*",),
    )


def _scope_2(size: str) -> ReleaseEntry:
    """Gemma Scope 2; its folders name the site, and whether every layer or a few in more widths are there."""
    model = "gemma-3-270m" if size == "270m-pt" else f"gemma-3-{size}"
    return ReleaseEntry(
        model,
        f"hf:google/gemma-scope-2-{size}",
        f"Gemma Scope 2: JumpReLU dictionaries and transcoders of {model}, many sites, widths and sparsities.",
        format="gemma-scope-2",
        layers=_MODELS[model][0],
        default=("resid_post/*_width_16k_l0_medium/*",),
    )


def _circuit_tracer(model: str, repo: str, what: str, default: tuple[str, ...] = ()) -> ReleaseEntry:
    """Sets for https://github.com/safety-research/circuit-tracer."""
    return ReleaseEntry(model, f"hf:{repo}", what, format="circuit-tracer", layers=_MODELS[model][0], default=default)


FAMILY: Final = Family(
    name="gemma",
    description="Gemma 2, and the text models of Gemma 3.",
    model_types=("gemma2", "gemma3_text", "gemma3"),
    load=load,
    vocabulary="gemma",
    models=_models(),
    releases={
        **{
            f"gemma-scope-{size}-{short}": _scope(size, short)
            for size, (suites, _) in _SCOPE.items()
            for short in suites
        },
        **{
            f"gemma-scope-2-{size}-{kind}": _scope_2(f"{size}-{kind}")
            for size in ("270m", "1b", "4b", "12b", "27b")
            for kind in ("pt", "it")
        },
        "gemma-scope-transcoders": _circuit_tracer(
            "gemma-2-2b",
            "mntss/gemma-scope-transcoders",
            "Gemma Scope's transcoders of gemma-2-2b as one set, the sparsest of every layer; links to their files.",
        ),
        "clt-gemma-2-2b-426k": _circuit_tracer(
            "gemma-2-2b",
            "mntss/clt-gemma-2-2b-426k",
            "Cross-layer transcoder of gemma-2-2b, 16,384 features a layer.",
            ("config.yaml", "W_enc_*.safetensors"),
        ),
        "clt-gemma-2-2b-2.5M": _circuit_tracer(
            "gemma-2-2b",
            "mntss/clt-gemma-2-2b-2.5M",
            "Cross-layer transcoder of gemma-2-2b, 98,304 features a layer, 160 GB.",
            ("config.yaml",),
        ),
        "transcoders-gemma-3-270m": _circuit_tracer(
            "gemma-3-270m",
            "mwhanna/gemma-scope-2-270m-pt",
            "Gemma Scope 2's transcoders of gemma-3-270m as sets.",
            ("transcoder_all/width_16k_l0_small/*",),
        ),
    },
)
