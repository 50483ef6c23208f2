"""``saecli view``: everything that is known of some features, a page for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from saecli.asking.connected import Connected, open_connected
from saecli.core.address import parse_addresses
from saecli.core.errors import InputError, UsageError
from saecli.core.machine import torch_device
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.formats.connections import NAME
from saecli.formats.labels import find_labels
from saecli.view.config import AUTO, NONE, ViewConfig
from saecli.view.linked import Links
from saecli.view.neighbourhood import Feature
from saecli.view.result import ViewResult
from saecli.view.scene import Scene

_TOKENS: Final = 1 << 15
"""That are read, nearly, if nobody says otherwise."""


def plan(config: ViewConfig) -> list[str]:
    """What ``--plan`` prints."""
    subject = config.subject
    if subject.page is not None:
        return [f"Tells where the page of {subject.page} is"]
    many = f"{config.sequences:,} sequences" if config.sequences else f"about {_TOKENS:,} tokens"
    return [f"Makes pages of {', '.join(subject.features)} of {subject.suite}, from {many}"]


def run(config: ViewConfig, run: Run, progress: Progress) -> ViewResult:
    """Make the pages of features.

    Raises:
        UsageError, InputError: No such suite, feature or model, or no data for them.
    """
    from zoo.load import attach, load_model, load_suite, load_vocabulary, locate_suite
    from zoo.reading import read_sequences

    device = torch_device(config.device)
    name = config.subject.suite
    suite = load_suite(name, device)
    asked = features_in(suite, config.subject.features)
    called = config.model or suite.info.model
    model = load_model(called, suite.info.processing, device)
    attach(suite, model)
    connected = _connected(config, name, device)
    labels = find_labels(config.labels, locate_suite(name), (suite.fingerprints[site] for site in suite))
    vocabulary = load_vocabulary(called, model.info.vocabulary)
    data, sequences = read_sequences(
        called,
        [suite],
        model.info,
        vocabulary,
        data=config.data,
        sequences=config.sequences,
        usual_tokens=_TOKENS,
        n_ctx=0,
        pack=None,
        progress=progress,
    )
    shown, links = list(asked), None
    if connected is not None:
        links = Links(connected.model, connected.suite, connected.connections[""], sequences, progress)
        links.measure(asked)
        shown += [one for one in _strongest(links, asked, config.neighbours) if one not in shown]
        links.measure(shown)
    scene = Scene(config, model, suite, vocabulary, sequences, labels, links)
    return scene.write(shown, data, run, progress)


def features_in(suite: Suite, texts: Sequence[str]) -> list[Feature]:
    """The features that addresses name, each once, in their order.

    Raises:
        UsageError: No addresses of features.
        InputError: The suite has no such dictionary or feature.
    """
    found: list[Feature] = []
    for text in texts:
        for address in parse_addresses(text, suite.info.residual):
            site, index = address.site, address.index
            own = next((one for one in suite if site is not None and one.canonical == site.canonical), None)
            if own is None or index is None:
                known = ", ".join(suite.label(one) for one in suite)
                raise InputError(
                    f"{suite.info.name} has no dictionary at {text.partition(':')[0]}.", f"It has {known}."
                )
            latents = suite.configs[own].n_latents
            if index >= latents:
                raise InputError(
                    f"{suite.info.name} has no feature {suite.label(own)}:{index}: its features there are 0 to "
                    f"{latents - 1}.",
                    f"Look at one of them: saecli view {suite.info.name} {suite.label(own)}:{latents - 1}",
                )
            found.append((own, index))
    return list(dict.fromkeys(found))


def _connected(config: ViewConfig, suite: str, device: torch.device) -> Connected | None:
    """The suite with its connections; None if there are none to look at.

    Raises:
        UsageError, InputError: Connections that are asked for are not there, or do not belong to the suite.
    """
    from zoo.load import locate_suite

    file = None if config.connections == AUTO else config.connections
    if file == NONE or (file is None and not (locate_suite(suite) / NAME).is_file()):
        if config.neighbours:
            raise UsageError(
                f"--neighbours are found by connections, and {suite} has none.",
                f"Choose some (saecli connect --suite {suite}), and name them with --connections.",
            )
        return None
    return open_connected(suite, file, model=config.model or "", device=device)


def _strongest(links: Links, features: Sequence[Feature], count: int) -> list[Feature]:
    """The features most strongly connected with some, so many each way of each."""
    found: list[Feature] = []
    for one in features:
        ends = [link.up for link in links.upstream(*one) if link.up.module.what == "features"][:count]
        ends += [link.down for link in links.downstream(*one) if link.down.module.what == "features"][:count]
        found += [(end.module.reads, end.index) for end in ends]
    return list(dict.fromkeys(found))
