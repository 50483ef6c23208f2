"""OthelloGPT: a GPT-2 over the 61 tokens of Othello games (pass, and the 60 squares that are played).

Source: Li et al. 2023, https://github.com/likenneth/othello_world; the vocabulary is theirs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from zoo import gpt2
from zoo.family import DataEntry, Family, ModelEntry, ReleaseEntry

if TYPE_CHECKING:
    from torch import nn

    from saecli.core.hooks import ThinModel

VOCABULARY: Final = "othello"


def make(module: nn.Module, name: str, *, processing: Literal["raw", "folded"] = "raw") -> ThinModel:
    """Name the sites of an OthelloGPT. Games start without a token of their own.

    Args:
        module: :class:`saecli.core.gpt.GPT` or ``GPT2LMHeadModel``; frozen, not copied.
        name: The model's name for people.
        processing: What was done to the weights.
    """
    return gpt2.make(module, name, family="othellogpt", vocabulary=VOCABULARY, processing=processing)


def _sweep(file: str, description: str, site: str = "resid_post", layers: int = 1, model: str = "") -> ReleaseEntry:
    """One archive of dictionaries; of it, single members are fetched."""
    return ReleaseEntry(
        model or "othellogpt",
        f"hf:adamkarvonen/othello_saes/{file}.zip",
        description,
        format="dictionary_learning",
        site=site,
        layers=layers,
        processing="raw" if model else "folded",
        default=("*trainer0/ae.pt", "*trainer0/config.json") if layers > 1 else _SWEEP,
    )


_SWEEP: Final = ("*p_anneal/trainer5/ae.pt", "*p_anneal/trainer5/config.json")
"""One dictionary of a sweep of about eighty."""


FAMILY: Final = Family(
    name="othellogpt",
    description="GPTs that read Othello games, one token per move.",
    vocabulary=VOCABULARY,
    load=partial(gpt2.load, family="othellogpt", vocabulary=VOCABULARY),
    models={
        "othello-mini": ModelEntry(
            "asset:othello-mini",
            "Embedded 8-layer OthelloGPT with its 25 dictionaries.",
            data="othello",
            suite="othello-mini",
        ),
        "othellogpt": ModelEntry(
            "hf:Baidicoot/Othello-GPT-Transformer-Lens",
            "8 layers, 25M parameters, trained on random games; in minGPT's layout.",
            include=("config.json", "*final.pth"),
            processing="folded",
            data="othello",
            suite="othello-saes-layer-5",
        ),
        "othellogpt-random": ModelEntry(
            "hf:adamkarvonen/RandomWeights8LayerOthelloGPT2",
            "The same shape with random weights, the baseline of the board-game dictionaries.",
            data="othello",
        ),
    },
    releases={
        "othello-mini": ReleaseEntry(
            "othello-mini",
            "asset:othello-mini",
            "TopK dictionaries at every residual, attention and MLP output of othello-mini.",
            format="saecli",
            layers=8,
        ),
        "othello-mini-transcoders": ReleaseEntry(
            "othello-mini",
            "asset:othello-mini-transcoders",
            "TopK transcoders of every MLP of othello-mini, with its attention dictionaries: a suite to connect.",
            format="saecli",
            layers=8,
            joins=("othello-mini", "attn_out"),
        ),
        "othello-mini-random": ReleaseEntry(
            "random:othello-mini",
            "asset:othello-mini-random",
            "The control of othello-mini's dictionaries: the same recipe at one site of the model with random weights.",
            format="saecli",
            layers=1,
        ),
        "othello-saes-layer-5": _sweep(
            "othello-trained_model-layer_5-2024-05-23", "A sweep of four architectures at layer 5, 9.3 GB."
        ),
        "othello-saes-layer-0": _sweep(
            "othello-trained_model-layer_0-2024-05-23", "A sweep of four architectures at layer 0, 5.3 GB."
        ),
        "othello-saes-random-layer-5": _sweep(
            "othello-random_model-layer_5-2024-05-23",
            "Dictionaries of the random-weight baseline.",
            model="othellogpt-random",
        ),
        "othello-saes-all-layers": _sweep(
            "all_layers_othello_p_anneal_0530", "Dictionaries of the residual stream of every layer, 239 MB.", layers=8
        ),
        "othello-saes-all-mlps": _sweep(
            "othello_all_mlps_p_anneal_0531", "Dictionaries of the MLP neurons of every layer, 2 GB.", "mlp_post", 8
        ),
        "othello-arena-mlp-5": ReleaseEntry(
            "othellogpt",
            "hf:callummcdougall/arena-demos-othellogpt",
            "Dictionaries of the MLP neurons of layer 5.",
            format="saelens",
            pattern="blocks.{layer}.mlp.hook_post-v1",
            site="mlp_post",
            layers=1,
            processing="folded",
        ),
    },
    data={
        "othello": DataEntry("generate:othello", "Random legal Othello games, as many as asked for.", VOCABULARY),
        "othello-synthetic": DataEntry(
            "hf:datasets/adamkarvonen/othello_45MB_games",
            "Random games as tokens, the evaluation set of the board-game dictionaries.",
            VOCABULARY,
            column="tokens",
            include=("data/*.parquet",),
        ),
    },
)
