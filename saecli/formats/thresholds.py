"""Activation thresholds of features: one ``.safetensors`` file per dictionary (schema ``saecli.thresholds/1``).

The tensor ``thresholds`` is float32 [F]; where they come from stands in the metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors.torch import save as serialise
from torch import Tensor

from saecli.core.atomic import write_bytes
from saecli.core.cache import Cache
from saecli.core.errors import InputError
from saecli.formats.safe import load_safetensors, safetensors_metadata

SCHEMA: Final = "saecli.thresholds/1"


@dataclass(frozen=True)
class Thresholds:
    """Of one dictionary.

    Attributes:
        values_F: A feature speaks where its activation is larger.
        percentile: Which percentile of its activations they are.
        data: Over which data.
        tokens: Over how many tokens.
        cluster: ``k:n`` where only the tokens of one cluster counted, else empty.
    """

    values_F: Tensor
    percentile: float
    data: str
    tokens: int
    cluster: str = ""


def keep_thresholds(found: Mapping[str, Thresholds]) -> None:
    """Put thresholds into the user's cache, by dictionary fingerprint, in place of earlier ones."""
    for fingerprint, one in found.items():
        metadata = {
            "schema": SCHEMA,
            "dictionary": fingerprint,
            "percentile": repr(one.percentile),
            "data": one.data,
            "tokens": str(one.tokens),
            "cluster": one.cluster,
        }
        path = Cache.at().thresholds_of(fingerprint)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, serialise({"thresholds": one.values_F.float().contiguous()}, metadata))


def kept_thresholds(fingerprints: Iterable[str]) -> dict[str, Thresholds]:
    """Those that the user's cache has, by dictionary fingerprint.

    Raises:
        InputError: A file is damaged, or of a newer version.
    """
    found: dict[str, Thresholds] = {}
    for fingerprint in fingerprints:
        path = Cache.at().thresholds_of(fingerprint)
        if path.is_file():
            found[fingerprint] = _read(path)
    return found


def _read(path: Path) -> Thresholds:
    metadata = safetensors_metadata(path)
    if metadata.get("schema") != SCHEMA:
        raise InputError(f"{path} is {metadata.get('schema')!r}, and this version reads {SCHEMA!r}.")
    try:
        values_F = load_safetensors(path)["thresholds"]
        return Thresholds(
            values_F, float(metadata["percentile"]), metadata["data"], int(metadata["tokens"]), metadata["cluster"]
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}.", "Calibrate again: saecli trace --calibrate.") from error
