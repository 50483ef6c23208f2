"""The methods of ``saecli trace``: each makes nodes and edges of one question.

A method is a function ``(config, question, passes, pin, progress) -> Draft``; it is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final

from saecli.attribution.clean import SiteNodes
from saecli.core.progress import Progress
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from saecli.trace.select import Pin

if TYPE_CHECKING:
    from saecli.asking.question import Question
    from saecli.trace.draft import Draft
    from saecli.trace.passes import Passes

Pinning = Callable[[Mapping[Site, SiteNodes]], Sequence[Pin]]
"""What the user pinned among nodes; refuses what is not there."""

Method = Callable[[TraceConfig, "Question", "Passes", Pinning, Progress], "Draft"]

_WHERE: Final[dict[str, str]] = {
    "gradient": "saecli.trace.first_order:by_gradient",
    "ig": "saecli.trace.first_order:by_gradient",
    "ablation": "saecli.trace.removing:by_ablation",
    "exact": "saecli.trace.exact:by_exact",
}
"""Every choice of ``--method``."""


def method(name: str) -> Method:
    """The function of a method."""
    module, function = _WHERE[name].split(":")
    return getattr(import_module(module), function)
