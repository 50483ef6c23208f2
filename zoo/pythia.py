"""Pythia and other GPT-NeoX models: ``transformers.GPTNeoXForCausalLM``, its blocks parallel or not.

Source: Biderman et al. 2023, https://github.com/EleutherAI/pythia.
"""

from __future__ import annotations

from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from zoo.family import DataEntry, Family, ModelEntry, ReleaseEntry
from zoo.huggingface import OPTIONS, model_info, pretrained

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from saecli.core.hooks import ThinModel
    from saecli.core.model import BlockWeights, ModelInfo
    from saecli.core.paths import ModulePaths


def weights(block: nn.Module, info: ModelInfo) -> BlockWeights:
    """Weights of a GPT-NeoX block, all as views. Its joint matrix interleaves query, key and value head by head."""
    from saecli.core.model import BlockWeights

    heads, d_head = info.n_heads, info.d_head

    def get(path: str) -> Tensor:
        return attrgetter(path)(block)

    qkv = get("attention.query_key_value.weight").view(heads, 3, d_head, info.d_model).transpose(2, 3).unbind(1)
    bias = attrgetter("attention.query_key_value.bias")(block)
    b_qkv = (None, None, None) if bias is None else bias.view(heads, 3, d_head).unbind(1)
    return BlockWeights(
        W_Q=qkv[0],
        W_K=qkv[1],
        W_V=qkv[2],
        W_O=get("attention.dense.weight").t().unflatten(0, (heads, d_head)),
        W_in=get("mlp.dense_h_to_4h.weight").t(),
        W_out=get("mlp.dense_4h_to_h.weight").t(),
        b_Q=b_qkv[0],
        b_K=b_qkv[1],
        b_V=b_qkv[2],
        b_O=get("attention.dense.bias"),
        b_in=get("mlp.dense_h_to_4h.bias"),
        b_out=get("mlp.dense_4h_to_h.bias"),
        ln1_w=get("input_layernorm.weight"),
        ln1_b=get("input_layernorm.bias"),
        ln2_w=get("post_attention_layernorm.weight"),
        ln2_b=get("post_attention_layernorm.bias"),
    )


@cache
def paths() -> ModulePaths:
    """Where a GPT-NeoX keeps its parts."""
    from saecli.core.paths import ModulePaths

    return ModulePaths(
        blocks="gpt_neox.layers",
        final_norm="gpt_neox.final_layer_norm",
        unembed="lm_head",
        ln1="input_layernorm",
        ln2="post_attention_layernorm",
        attention="attention",
        attention_out="attention.dense",
        mlp="mlp",
        mlp_down="mlp.dense_4h_to_h",
        embeddings=("gpt_neox.embed_in",),
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
    """Name the sites of a GPT-NeoX model.

    Args:
        module: ``GPTNeoXForCausalLM``; frozen, not copied.
        name: The model's name for people.
        bos: Token that starts a document; Pythia's tokenizer adds none.
        processing: What was done to the weights.
    """
    from saecli.core.hooks import ThinModel

    config: Any = module.config
    info = model_info(
        config,
        name,
        "pythia",
        d_mlp=config.intermediate_size,
        bos=bos,
        parallel=config.use_parallel_residual,
        processing=processing,
        vocabulary="pythia",
    )
    return ThinModel(module, info, paths())


def load(path: Path, name: str, dtype: torch.dtype) -> ThinModel:
    """Read a folder of transformers; see :func:`zoo.huggingface.pretrained`."""
    return make(pretrained("GPTNeoXForCausalLM", path, dtype), name)


_SIZES: Final = {
    "14m": "6 layers",
    "31m": "6 layers",
    "70m": "6 layers",
    "160m": "12 layers",
    "410m": "24 layers",
    "1b": "16 layers",
    "1.4b": "24 layers",
    "2.8b": "32 layers",
    "6.9b": "32 layers",
    "12b": "36 layers",
}
_DEDUPED: Final = tuple(_SIZES)[2:]
_SUITES: Final = {"70m": "sae-pythia-70m-32k", "160m": "sae-pythia-160m-32k", "70m-deduped": "pythia-70m-deduped-saes"}


def _model(size: str) -> ModelEntry:
    layers = _SIZES[size.removesuffix("-deduped")]
    pile = "the deduplicated Pile" if size.endswith("-deduped") else "the Pile"
    return ModelEntry(
        f"hf:EleutherAI/pythia-{size}",
        f"{layers}, trained on {pile}.",
        data="pile-10k",
        suite=_SUITES.get(size, ""),
    )


def _sparsify(size: str, layers: int, place: str, site: str) -> ReleaseEntry:
    """One of EleutherAI's suites (https://github.com/EleutherAI/sparsify)."""
    return ReleaseEntry(
        f"pythia-{size}",
        f"hf:EleutherAI/sae-pythia-{size}-32k",
        f"TopK dictionaries of Pythia {size}, 32,768 latents, {site} of every layer.",
        format="sparsify",
        pattern=place,
        site=site,
        layers=layers,
    )


def _saebench(power: int) -> ReleaseEntry:
    """One width of SAEBench's suite; whole, it is seven architectures at six sparsities each."""
    return ReleaseEntry(
        "pythia-160m-deduped",
        f"hf:adamkarvonen/saebench_pythia-160m-deduped_width-2pow{power}_date-0108",
        f"SAEBench: seven architectures at six sparsities, {2**power:,} latents, resid_post of layer 8.",
        format="dictionary_learning",
        site="resid_post",
        layers=1,
        default=("TopK_pythia-160m-deduped__0108/resid_post_layer_8/trainer_[0-5]/*",),
    )


def _tigges(short: str, site: str, prefix: str) -> ReleaseEntry:
    """Marks' dictionaries of Pythia 70m deduped in SAELens' layout."""
    return ReleaseEntry(
        "pythia-70m-deduped",
        f"hf:ctigges/pythia-70m-deduped__{short}-sm_processed",
        f"ReLU dictionaries of Pythia 70m deduped, 32,768 latents, {site} of every layer.",
        format="saelens",
        pattern=f"{{layer}}-{short}-sm",
        site=site,
        layers=6,
        labels=f"pythia-70m-deduped/{{layer}}-{prefix}-sm",
    )


def _scae(model: str, name: str, what: str) -> ReleaseEntry:
    """Sparsely connected dictionaries of https://github.com/jacobcd52/dictionary_learning."""
    return ReleaseEntry(
        model,
        f"hf:jacobcd52/{name}",
        f"TopK dictionaries of attention outputs and MLP transcoders, {what}.",
        format="scae",
        site="mlp_in>mlp_out",
        layers=6,
        processing="folded",
    )


FAMILY: Final = Family(
    name="pythia",
    description="Pythia and other GPT-NeoX models.",
    model_types=("gpt_neox",),
    load=load,
    vocabulary="pythia",
    models={f"pythia-{size}": _model(size) for size in (*_SIZES, *(f"{size}-deduped" for size in _DEDUPED))},
    releases={
        "sae-pythia-70m-32k": _sparsify("70m", 6, "layers.{layer}", "resid_post"),
        "sae-pythia-160m-32k": _sparsify("160m", 12, "layers.{layer}.mlp", "mlp_out"),
        **{
            f"saebench-pythia-160m-deduped-{width}": _saebench(n) for width, n in (("4k", 12), ("16k", 14), ("65k", 16))
        },
        "pythia-70m-deduped-res-sm": _tigges("res", "resid_post", "res"),
        "pythia-70m-deduped-att-sm": _tigges("att", "attn_out", "att"),
        "pythia-70m-deduped-mlp-sm": _tigges("mlp", "mlp_out", "mlp"),
        "pythia-70m-deduped-saes": ReleaseEntry(
            "pythia-70m-deduped",
            "hf:saprmarks/pythia-70m-deduped-saes/dictionaries_pythia-70m-deduped_10.zip",
            "ReLU dictionaries of Pythia 70m deduped, 32,768 latents: embeddings, attention, MLP and residual outputs.",
            format="dictionary_learning",
            layers=6,
        ),
        "pythia-70m-scae-all-mse": _scae("pythia-70m", "pythia-70m_scae_all__mse", "all connections kept"),
        **{
            f"pythia-70m-scae-100-{loss}": _scae(
                "pythia-70m", f"pythia-70m_scae_100__{loss}", f"100 connections a feature, trained on {loss}"
            )
            for loss in ("mse", "ce")
        },
    },
    data={
        "pile-10k": DataEntry(
            "hf:datasets/NeelNanda/pile-10k", "The first 10,000 documents of the Pile.", "pythia", separator="eos"
        ),
    },
)
