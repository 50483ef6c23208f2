"""Any other architecture that TransformerLens' bridge knows: ``hf:org/name``, or a local Hugging Face folder.

Sites are the bridge's; importing it takes 5 seconds.

Source: https://github.com/TransformerLensOrg/TransformerLens; transcoders: https://github.com/safety-research/circuit-tracer.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zoo.family import Family, ModelEntry, ReleaseEntry

if TYPE_CHECKING:
    import torch

    from saecli.core.bridge import BridgeModel


def load(path: Path, name: str, dtype: torch.dtype) -> BridgeModel:
    """Read a folder of transformers and name its sites by TransformerLens' bridge.

    Raises:
        InputError: The folder cannot be read, or TransformerLens does not know the architecture.
    """
    from saecli.core.bridge import BridgeModel
    from saecli.core.errors import InputError
    from zoo.huggingface import pretrained, read_config

    config: dict[str, Any] = read_config(path)
    named = config.get("architectures")
    architecture = named[0] if isinstance(named, list) and named else None
    if not isinstance(architecture, str) or architecture not in known_architectures():
        what = architecture or f"no architecture, and the type {config.get('model_type')!r}"
        raise InputError(
            f"{path} names {what}, which TransformerLens' bridge does not know.",
            "Its list of models: https://transformerlensorg.github.io/TransformerLens.",
        )
    module = pretrained(architecture, path, dtype)
    try:
        return BridgeModel(module, name=name)
    except (ValueError, NotImplementedError, AttributeError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path} cannot be wrapped by TransformerLens' bridge: {reason}") from error


def known_architectures() -> frozenset[str]:
    """Names of transformers' classes that the installed bridge wraps."""
    from importlib import import_module

    import transformers

    factory = import_module("transformer_lens.factories.architecture_adapter_factory")
    return frozenset(name for name in factory.SUPPORTED_ARCHITECTURES if hasattr(transformers, name))


def _circuit_tracer(model: str, repo: str, description: str, default: tuple[str, ...] = ()) -> ReleaseEntry:
    return ReleaseEntry(model, f"hf:{repo}", description, format="circuit-tracer", default=default)


FAMILY: Final = Family(
    name="other",
    description="Any other architecture that TransformerLens knows.",
    load=load,
    models={
        "llama-3.2-1b": ModelEntry("hf:meta-llama/Llama-3.2-1B", "16 layers; its terms are accepted on the hub."),
        **{
            f"qwen3-{size}": ModelEntry(f"hf:Qwen/Qwen3-{size.upper()}", f"{layers} layers.")
            for size, layers in {"0.6b": 28, "1.7b": 28, "4b": 36, "8b": 36, "14b": 40}.items()
        },
    },
    releases={
        "transcoder-llama-3.2-1b": _circuit_tracer(
            "llama-3.2-1b",
            "mntss/transcoder-Llama-3.2-1B",
            "A transcoder for every layer, 17 GB.",
            ("config.yaml", "layer_*.safetensors"),
        ),
        "clt-llama-3.2-1b-524k": _circuit_tracer(
            "llama-3.2-1b", "mntss/clt-llama-3.2-1b-524k", "Cross-layer transcoder, 25 GB.", ("config.yaml", "W_*")
        ),
        **{
            f"transcoders-qwen3-{size}": _circuit_tracer(
                f"qwen3-{size}",
                f"mwhanna/qwen3-{size}-transcoders{suffix}",
                "A transcoder for every layer.",
                ("config.yaml", "layer_0.safetensors"),
            )
            for size, suffix in {"0.6b": "-lowl0", "1.7b": "-lowl0", "4b": "", "8b": "", "14b": "-lowl0"}.items()
        },
    },
)
