"""Toy GPTs: the embedded python-mini, those of gpt-circuits (characters of Shakespeare, or stories), and TinyStories.

A folder of gpt-circuits holds ``model.json`` and ``model.safetensors``, and often dictionaries (``sae.json``,
``sae.0.safetensors``, …) beside them. TinyStories' models are GPT-Neos.

Sources: https://github.com/peterlai/gpt-circuits; Eldan and Li 2023, arXiv:2305.07759; sparsely connected dictionaries:
https://github.com/jacobcd52/dictionary_learning.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from zoo import gpt2
from zoo.family import HUGGING_FACE_FILES, DataEntry, Family, ModelEntry, ReleaseEntry
from zoo.huggingface import CONFIG, read_config

if TYPE_CHECKING:
    import torch

    from saecli.core.model import HookedModel

_CIRCUITS: Final = ("model.json", "model.safetensors")
_NEO: Final = (*HUGGING_FACE_FILES, "pytorch_model.bin")


def load(path: Path, name: str, dtype: torch.dtype) -> HookedModel:
    """Read a folder of gpt-circuits, one in GPT-2's layout, or another of transformers (by TransformerLens' bridge).

    Raises:
        InputError: Damaged, or neither.
    """
    from saecli.formats.hf_gpt2 import MODEL_TYPES

    if recognises(path) or ((path / CONFIG).is_file() and read_config(path).get("model_type") in MODEL_TYPES):
        return gpt2.load(path, name, dtype, family="toy")
    from zoo import other

    return other.load(path, name, dtype)


def recognises(path: Path) -> bool:
    """Whether a folder is of gpt-circuits."""
    return all((path / file).is_file() for file in _CIRCUITS)


def _neo(name: str, description: str, suite: str = "") -> ModelEntry:
    return ModelEntry(f"hf:roneneldan/{name}", description, _NEO, data="tinystories", suite=suite, vocabulary="gpt-neo")


def _scae(repo: str, description: str) -> ReleaseEntry:
    return ReleaseEntry(
        "tinystories-33m",
        f"hf:jacobcd52/{repo}",
        f"TopK dictionaries of attention outputs and MLP transcoders, {description}.",
        format="scae",
        site="mlp_in>mlp_out",
        layers=4,
        processing="folded",
    )


FAMILY: Final = Family(
    name="toy",
    description="Toy GPTs: python-mini, gpt-circuits' and TinyStories.",
    recognises=recognises,
    load=load,
    models={
        "python-mini": ModelEntry(
            "asset:python-mini",
            "Embedded 4-layer GPT over characters of Python source, with its 13 dictionaries.",
            data="python",
            suite="python-mini",
            vocabulary="ascii",
        ),
        "shakespeare-64x4-staircase": ModelEntry(
            "hf:davidquarel/topk-staircase-share.shakespeare_64x4",
            "gpt-circuits: 4 layers over characters of Shakespeare, 216k parameters, with its dictionaries.",
            _CIRCUITS,
            data="shakespeare",
            suite="shakespeare-64x4-staircase",
            vocabulary="ascii",
        ),
        "tinystories-1m": _neo("TinyStories-1M", "GPT-Neo of 8 layers, trained on simple stories."),
        "tinystories-33m": _neo(
            "TinyStories-33M", "GPT-Neo of 4 layers, trained on simple stories.", "tinystories-33m-suite"
        ),
    },
    releases={
        "python-mini": ReleaseEntry(
            "python-mini",
            "asset:python-mini",
            "TopK dictionaries at every residual, attention and MLP output of python-mini.",
            format="saecli",
            layers=4,
        ),
        "python-mini-connected": ReleaseEntry(
            "python-mini",
            "asset:python-mini-connected",
            "TopK dictionaries of attention outputs and MLP transcoders of python-mini, 30 connections a feature.",
            format="saecli",
            layers=4,
        ),
        "shakespeare-64x4-staircase": ReleaseEntry(
            "shakespeare-64x4-staircase",
            "hf:davidquarel/topk-staircase-share.shakespeare_64x4",
            "gpt-circuits: TopK dictionaries that share their latents from layer to layer.",
            format="gpt-circuits",
            layers=4,
        ),
        "tinystories-33m-suite": _scae("TinyStories-33M_suite_4", "k 128, four times as many latents as the width"),
        "tinystories-33m-scae-all-mse": _scae("TinyStories-33M_scae_all__mse", "all connections kept"),
        **{
            f"tinystories-33m-scae-{count}-{loss}": _scae(
                f"TinyStories-33M_scae_{count}_{loss}", f"{count} connections a feature, trained on {loss}"
            )
            for count in (10, 30, 100, 300)
            for loss in ("mse", "ce")
        },
    },
    data={
        "python": DataEntry("generate:python", "The source of this Python's standard library, 7 MB.", "ascii"),
        "shakespeare": DataEntry(
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            "Plays of Shakespeare in one text of 1.1 MB.",
            "ascii",
        ),
        "tinystories": DataEntry(
            "hf:datasets/roneneldan/TinyStories",
            "Stories in the words of small children (second version).",
            "gpt2",
            documents="<|endoftext|>",
            separator="newline",
            include=("TinyStoriesV2-GPT4-train.txt", "TinyStoriesV2-GPT4-valid.txt"),
        ),
        "simplestories": DataEntry(
            "hf:datasets/lennart-finke/SimpleStories",
            "Simple stories, more varied than TinyStories.",
            "gpt2",
            column="story",
            separator="eos",
            include=("data/*.parquet",),
        ),
    },
)
