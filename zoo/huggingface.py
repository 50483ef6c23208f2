"""What every adapter of a Hugging Face causal language model shares: reading it, and sizes from its configuration.

transformers is imported when a model is read (4 seconds). Code that comes with a model is never run, and weights are
safetensors, or an old ``pytorch_model.bin`` that is read without running it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from saecli.core.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from saecli.core.model import ModelInfo

CONFIG: Final = "config.json"
OPTIONS: Final = {"use_cache": False, "return_dict": True}
"""Arguments of every call: no key-value cache, and an object with ``logits``."""


def model_info(
    config: Any,
    name: str,
    family: str,
    *,
    d_mlp: int,
    bos: int | None = None,
    parallel: bool = False,
    processing: Literal["raw", "folded"] = "raw",
    vocabulary: str = "",
) -> ModelInfo:
    """Describe a model by its Hugging Face configuration, in the names that all configurations answer to.

    Args:
        config: ``transformers`` configuration of a text model.
        name, family, d_mlp, bos, parallel, processing, vocabulary: See :class:`saecli.core.model.ModelInfo`.
    """
    from saecli.core.model import ModelInfo

    heads = config.num_attention_heads
    return ModelInfo(
        name=name,
        family=family,
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
        n_heads=heads,
        d_head=getattr(config, "head_dim", None) or config.hidden_size // heads,
        d_mlp=d_mlp,
        n_ctx=config.max_position_embeddings,
        d_vocab=config.vocab_size,
        parallel=parallel,
        processing=processing,
        vocabulary=vocabulary,
        bos=bos,
    )


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a folder.

    Raises:
        InputError: Missing or damaged.
    """
    from saecli.formats.documents import read_document

    return read_document(folder / CONFIG, "a model's configuration")


def bos_of(config: Mapping[str, Any]) -> int | None:
    """The token that starts documents, if the vocabulary has it."""
    bos, size = config.get("bos_token_id"), config.get("vocab_size")
    return bos if isinstance(bos, int) and isinstance(size, int) and 0 <= bos < size else None


def pretrained(
    class_name: str,
    folder: Path,
    dtype: torch.dtype,
    *,
    part: str = "",
    rename: Callable[[str], str | None] | None = None,
) -> nn.Module:
    """Read a model of a class of transformers.

    Args:
        class_name: The class.
        folder: ``config.json`` and weights.
        dtype: Number type of the weights in memory.
        part: Name of the part of the configuration that describes the model: ``text_config``.
        rename: The model's name of a stored tensor, None for one of other parts; needed where only a part is read.

    Raises:
        InputError: A file is missing or damaged, the configuration describes another model, or tensors are missing
            or unknown.
    """
    import transformers

    from saecli.formats.weights import open_weights

    document = read_config(folder)
    weights = open_weights(folder)
    _compare_layers(document, len(weights.shapes), folder)
    with reading(folder, class_name):
        kind = getattr(transformers, class_name)
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config = getattr(config, part) if part else config
        _compare_sizes(kind, config, weights.count, folder)
        if rename is None and weights.files:
            module, report = kind.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        else:
            names = {name: rename(name) if rename else name for name in weights.shapes}
            tensors = weights.read(name for name, new in names.items() if new is not None)
            state = {names[name]: tensor.to(dtype, copy=True) for name, tensor in tensors.items()}
            module, report = kind.from_pretrained(
                None, config=config, state_dict=state, dtype=dtype, output_loading_info=True
            )
    for what, problem in (("missing_keys", "no tensor"), ("unexpected_keys", "an unknown tensor")):
        if names := sorted(map(str, report.get(what) or ())):
            raise InputError(f"{weights.path} has {problem} {names[0]}, read as {class_name}.", _HINT)
    return module


_HINT: Final = "Is it another kind of model, or did the download stop half-way?"


def _compare_layers(document: Any, tensors: int, folder: Path) -> None:
    """Refuse a configuration with more layers than there are tensors, before transformers makes lists of them."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in _LAYERS and isinstance(value, int) and value > tensors:
                raise InputError(f"{folder} holds {tensors} tensors, its {CONFIG} has {key} {value:,}.", _HINT)
            _compare_layers(value, tensors, folder)


_LAYERS: Final = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_decoder_layers")


def _compare_sizes(kind: Any, config: Any, stored: int, folder: Path) -> None:
    """Refuse a configuration that describes more weights than there are, before they are allocated."""
    import torch

    with torch.device("meta"):
        skeleton = kind(config)
    needed = sum(parameter.numel() for parameter in {id(each): each for each in skeleton.parameters()}.values())
    if needed > stored:
        raise InputError(f"{folder} holds {stored:,} weights, its {CONFIG} describes {needed:,}.", _HINT)


@contextmanager
def reading(folder: Path, class_name: str) -> Iterator[None]:
    """Errors of transformers as one sentence, without its progress bars and warnings on standard error."""
    import transformers

    logging: Any = transformers.utils.logging
    was_on, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{folder} cannot be read as {class_name}: {reason}") from error
    finally:
        logging.set_verbosity(verbosity)
        if was_on:
            logging.enable_progress_bar()
