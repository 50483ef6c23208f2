"""Dictionary architectures, one file each, and the table of their names.

The table is static and names classes by where they are, so that completion and help read it without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from saecli.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from saecli.core.dictionary import Dictionary, DictionaryConfig

ARCHITECTURES: Final[dict[str, str]] = {
    "standard": "saecli.dictionaries.standard:Standard",
    "topk": "saecli.dictionaries.topk:TopK",
    "jumprelu": "saecli.dictionaries.jumprelu:JumpReLU",
    "gated": "saecli.dictionaries.gated:Gated",
    "abstopk": "saecli.dictionaries.abstopk:AbsTopK",
    "matching_pursuit": "saecli.dictionaries.matching_pursuit:MatchingPursuit",
    "temporal": "saecli.dictionaries.temporal:Temporal",
    "identity": "saecli.dictionaries.identity:Identity",
    "groupmax": "saecli.dictionaries.groupmax:GroupMax",
    "cross_layer": "saecli.dictionaries.cross_layer:CrossLayer",
}
"""Architecture → ``module:class``."""


def dictionary_class(arch: str) -> type[Dictionary]:
    """The class of an architecture.

    Raises:
        UsageError: No such architecture.
    """
    if arch not in ARCHITECTURES:
        hint = did_you_mean(arch, ARCHITECTURES) or f"Known: {', '.join(ARCHITECTURES)}."
        raise UsageError(f"There is no dictionary architecture {arch!r}.", hint)
    module, name = ARCHITECTURES[arch].split(":")
    return getattr(import_module(module), name)


def make_dictionary(config: DictionaryConfig) -> Dictionary:
    """An architecture's dictionary with weights yet to be filled.

    Raises:
        UsageError: No such architecture, or options that it does not allow.
    """
    return dictionary_class(config.arch)(config)
