"""GPT-2: the project's own GPT, and ``transformers.GPT2LMHeadModel``, whose names and arithmetic it shares.

Source: Radford et al. 2019, https://github.com/openai/gpt-2.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from zoo.family import DataEntry, Family, ModelEntry, ReleaseEntry

if TYPE_CHECKING:
    import torch
    from torch import nn

    from saecli.core.hooks import ThinModel

_FAMILIES: Final = {"othello": "othellogpt", "chess": "chessgpt", "ascii": "toy"}
"""Vocabulary of a GPT → family, for files that no name of the zoo stands for."""

VOCABULARIES: Final = {50257: "gpt2", 61: "othello", 32: "chess", 128: "ascii"}
"""Number of tokens → vocabulary, where nothing else tells."""


def make(
    module: nn.Module,
    name: str,
    *,
    family: str = "gpt2",
    vocabulary: str = "gpt2",
    bos: int | None = None,
    processing: Literal["raw", "folded"] = "raw",
) -> ThinModel:
    """Name the sites of a GPT-2.

    Args:
        module: :class:`saecli.core.gpt.GPT` or ``GPT2LMHeadModel``; frozen, not copied.
        name: The model's name for people.
        family: Zoo family, for models that are GPT-2 in all but purpose.
        vocabulary: Its token vocabulary.
        bos: Token that starts a document.
        processing: What was done to the weights.
    """
    from saecli.core.gpt import GPT
    from saecli.core.hooks import ThinModel, thin_gpt
    from saecli.core.paths import GPT2
    from zoo.huggingface import OPTIONS, model_info

    if isinstance(module, GPT):
        return thin_gpt(module, name, family=family, vocabulary=vocabulary, bos=bos, processing=processing)
    config: Any = module.config
    info = model_info(
        config,
        name,
        family,
        d_mlp=config.n_inner or 4 * config.hidden_size,
        bos=bos,
        processing=processing,
        vocabulary=vocabulary,
    )
    return ThinModel(module, info, replace(GPT2, options=OPTIONS))


def load(path: Path, name: str, dtype: torch.dtype, *, family: str = "", vocabulary: str = "") -> ThinModel:
    """Read a GPT in Hugging Face's layout, or in one of :mod:`saecli.formats.gpt_layouts`; without transformers.

    Args:
        path: Folder or checkpoint.
        name: The model's name for people.
        dtype: Number type of the weights in memory.
        family, vocabulary: What is known of it beside its files; found out by its vocabulary if not given.

    Raises:
        InputError: Damaged, or not GPT-2's arithmetic.
    """
    from saecli.formats.gpt_layouts import read_checkpoint
    from saecli.formats.hf_gpt2 import MODEL_TYPES, load_gpt, read_extras
    from zoo.huggingface import CONFIG, bos_of, read_config

    config = read_config(path) if (path / CONFIG).is_file() else {}
    extras: dict[str, Any] = {}
    if config.get("model_type") in MODEL_TYPES:
        module, extras = load_gpt(path, dtype), read_extras(path)
        processing = extras.get("processing", "raw")
    else:
        module, _, processing = read_checkpoint(path, dtype)
        config = {}
    vocabulary = vocabulary or str(extras.get("vocabulary") or VOCABULARIES.get(module.config.vocab_size, ""))
    return make(
        module,
        name,
        family=family or _FAMILIES.get(vocabulary, "gpt2"),
        vocabulary=vocabulary,
        bos=bos_of(config),
        processing="folded" if processing == "folded" else "raw",
    )


def recognises(path: Path) -> bool:
    """Whether a path without a Hugging Face configuration may hold a GPT, by names alone."""
    from saecli.formats.gpt_layouts import is_checkpoint

    return is_checkpoint(path)


_MODELS: Final = {
    "gpt2": ModelEntry(
        "hf:openai-community/gpt2",
        "GPT-2 small: 12 layers, 124M parameters.",
        data="openwebtext",
        suite="gpt2-small-resid-post-v5-32k",
    ),
    "gpt2-medium": ModelEntry("hf:openai-community/gpt2-medium", "24 layers, 355M parameters.", data="openwebtext"),
    "gpt2-large": ModelEntry("hf:openai-community/gpt2-large", "36 layers, 774M parameters.", data="openwebtext"),
    "gpt2-xl": ModelEntry("hf:openai-community/gpt2-xl", "48 layers, 1.6B parameters.", data="openwebtext"),
    "distilgpt2": ModelEntry("hf:distilbert/distilgpt2", "GPT-2 distilled: 6 layers, 82M.", data="openwebtext"),
}

_V5: Final = {
    # short name, site, name in Neuronpedia's sources; OpenAI's dictionaries read layer-normed activations, TopK k = 32
    "resid-post": ("resid_post", "res_post"),
    "resid-mid": ("resid_mid", "res_mid"),
    "attn-out": ("attn_out", "att"),
    "mlp-out": ("mlp_out", "mlp"),
}


def _v5(short: str, width: str) -> ReleaseEntry:
    """One of the eight suites trained by OpenAI on GPT-2 small (https://github.com/openai/sparse_autoencoder)."""
    site, source = _V5[short]
    suffix = ".pt" if (short, width) == ("resid-post", "32k") else ""  # folders, in spite of the name
    return ReleaseEntry(
        "gpt2",
        f"hf:jbloom/GPT2-Small-OAI-v5-{width}-{short}-SAEs",
        f"OpenAI's TopK dictionaries of GPT-2 small, {width} latents, {site} of every layer.",
        format="saelens",
        pattern=f"v5_{width}_layer_{{layer}}{suffix}",
        site=site,
        layers=12,
        labels=f"gpt2-small/{{layer}}-{source}_{width}-oai",
    )


_MLP_TM_SCALES: Final = (
    *(
        1.049317316132615,
        2.3693984005104283,
        1.6411934982190302,
        1.8958522157897557,
        1.81673478700627,
        1.550234472245924,
    ),
    *(
        1.3237742807210804,
        1.1042905114723296,
        0.9123762783479742,
        0.6955335635232373,
        0.3619728926727644,
        0.2851548652550073,
    ),
)
"""sqrt(d) over the mean norm of the inputs, by layer, as sae-lens records it."""

FAMILY: Final = Family(
    name="gpt2",
    description="GPT-2 and models in its layout.",
    model_types=("gpt2", "saecli-gpt"),
    recognises=recognises,
    load=load,
    vocabulary="gpt2",
    models=_MODELS,
    releases={
        "gpt2-small-res-jb": ReleaseEntry(
            "gpt2",
            "hf:jbloom/GPT2-Small-SAEs-Reformatted",
            "ReLU dictionaries of GPT-2 small, 24,576 latents, residual stream before every layer.",
            format="saelens",
            pattern="blocks.{layer}.hook_resid_pre",
            site="resid_pre",
            layers=12,
            processing="folded",
            labels="gpt2-small/{layer}-res-jb",
        ),
        **{f"gpt2-small-{short}-v5-{width}": _v5(short, width) for short in _V5 for width in ("32k", "128k")},
        "gpt2-small-hook-z-kk": ReleaseEntry(
            "gpt2",
            "hf:ckkissane/attn-saes-gpt2-small-all-layers",
            "ReLU dictionaries of GPT-2 small on the attention heads' mixed values of every layer.",
            site="attn_z",
            layers=12,
            processing="folded",
            labels="gpt2-small/{layer}-att-kk",
        ),
        "gpt2-small-mlp-tm": ReleaseEntry(
            "gpt2",
            "hf:tommmcgrath/gpt2-small-mlp-out-saes",
            "ReLU dictionaries of GPT-2 small, 24,576 latents, MLP output of every layer; inputs are scaled.",
            format="saelens",
            site="mlp_out",
            layers=12,
            processing="folded",
            norm_scales=_MLP_TM_SCALES,
        ),
        "gpt2-small-res-jb-feature-splitting": ReleaseEntry(
            "gpt2",
            "hf:jbloom/GPT2-Small-Feature-Splitting-Experiment-Layer-8",
            "ReLU dictionaries of one site in eight widths, 768 to 98,304 latents: resid_pre of layer 8.",
            format="saelens",
            site="resid_pre",
            layers=1,
            processing="folded",
            labels="gpt2-small/{layer}-res_fs*-jb",
            default=("blocks.8.hook_resid_pre_768/*", "blocks.8.hook_resid_pre_24576/*"),
        ),
        "gpt2-scae-suite": ReleaseEntry(
            "gpt2",
            "hf:jacobcd52/gpt2_suite_folded_ln",
            "TopK dictionaries of attention outputs and MLP transcoders, the start of sparse connections.",
            format="scae",
            site="mlp_in>mlp_out",
            layers=12,
            processing="folded",
        ),
        "gpt2-scae": ReleaseEntry(
            "gpt2",
            "hf:jacobcd52/gpt2_scae",
            "The same finetuned for sparse connections between dictionaries.",
            format="scae",
            site="mlp_in>mlp_out",
            layers=12,
            processing="folded",
        ),
    },
    data={
        "openwebtext": DataEntry(
            "hf:datasets/Skylion007/openwebtext",
            "Web pages of the kind GPT-2 was trained on; the first of 80 files.",
            "gpt2",
            separator="eos",
            include=("*train-00000-of-*.parquet",),
        ),
    },
)
