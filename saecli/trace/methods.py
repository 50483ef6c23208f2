"""The methods of ``saecli trace``: each makes nodes and edges of one question.

A method is a function ``(config, question, passes, pin, progress) -> Draft``; it is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Final

from saecli.attribution.clean import SiteNodes
from saecli.core.progress import Progress
from saecli.core.site import Site
from saecli.core.suite import Suite
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
    "search": "saecli.trace.searching:by_search",
    "direct": "saecli.trace.linear:by_direct_effects",
}
"""Every choice of ``--method``."""


def method(name: str | None) -> Method:
    """The function of a method; of ``gradient`` if none is named."""
    module, function = _WHERE[name or "gradient"].split(":")
    return getattr(import_module(module), function)


def with_method(config: TraceConfig, suite: Suite) -> TraceConfig:
    """The configuration with the method that fits the chosen dictionaries, if it names none.

    ``direct`` where one writes another site than it reads, a transcoder.

    Raises:
        UsageError: The other choices do not go with that method.
    """
    if config.method is not None:
        return config
    chosen = (suite.configs[site] for site in suite.resolve(config.layers, config.kind))
    direct = any(one.written != (one.reads,) for one in chosen)
    config = replace(config, method="direct" if direct else "gradient")
    config.validate()
    return config
