"""GPT-2: the project's own GPT, and ``transformers.GPT2LMHeadModel``, whose names and arithmetic it shares.

Source: Radford et al. 2019, https://github.com/openai/gpt-2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from zoo.family import Family, ModelEntry

if TYPE_CHECKING:
    from torch import nn

    from saecli.core.hooks import ThinModel


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


FAMILY: Final = Family(
    name="gpt2",
    description="GPT-2 and models in its layout.",
    model_types=("gpt2",),
    vocabulary="gpt2",
    models={
        "gpt2": ModelEntry("hf:openai-community/gpt2", "GPT-2 small: 12 layers, 124M parameters.", data="openwebtext"),
    },
)
