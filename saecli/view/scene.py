"""What is put together for the pages of some features, and the files they become."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from saecli.core.address import Address, parse_address
from saecli.core.cache import Cache
from saecli.core.evidence import Evidence
from saecli.core.fingerprint import fingerprint_module
from saecli.core.graph import FeatureGraph
from saecli.core.labels import Labels
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.data.sequences import Sequences
from saecli.data.vocabulary import Vocabulary
from saecli.features.harvest import Reader, harvested
from saecli.features.known import evidence_of
from saecli.features.sample import Shown as Seen
from saecli.formats.code_cache import CodeCache
from saecli.report.feature_page import Firing, Joined, Place, Shown, feature_page, features_page
from saecli.report.write import write_graph
from saecli.view.activity import Activity, activities
from saecli.view.appears import Appearance, circuits, clusters
from saecli.view.config import NONE, ViewConfig
from saecli.view.contributions import End
from saecli.view.linked import Link, Links
from saecli.view.neighbourhood import Centre, Feature, address_of, neighbourhood
from saecli.view.result import FeatureRow, JoinedRow, ViewResult
from saecli.view.runs import manifests

INDEX: Final = "index.html"
_EFFECTS: Final = 10
_NEAR: Final = 5
_DRAWN: Final = 8
"""Connections each way in the picture of a feature."""
_MOVES, _TEXT = 8, 24
"""Tokens on either side of a context."""
_GAMES: Final = ("othello", "chess")


@dataclass(frozen=True)
class Scene:
    """A suite, what its model reads, and what is known of its features.

    Attributes:
        config: The user's choices.
        model, suite, vocabulary: They belong together.
        sequences: What the model reads.
        labels: Descriptions of features.
        links: Connections at the features; None without.
    """

    config: ViewConfig
    model: HookedModel
    suite: Suite
    vocabulary: Vocabulary
    sequences: Sequences
    labels: Labels
    links: Links | None

    def write(self, features: Sequence[Feature], data: str, run: Run, progress: Progress) -> ViewResult:
        """Write a page for every feature, one of all where there are several, and the graph of their connections.

        Args:
            features: Those that get a page.
            data: What the sequences are called.
            run: Where the pages go.
            progress: Told how far it is.
        """
        shown_links = {one: self._links(one) for one in features}
        active = self._activities(features, shown_links, run, progress)
        centres = {one: Centre(one, _firing(active, one).mean, *shown_links[one]) for one in features}
        known = self._known(
            neighbourhood(centres.values(), self.suite, self._model, score=self._score, labels={}), active
        )
        labels = {address: self._label(address, known) for address in known}
        pages = {self._name(one): _file(self._name(one)) for one in features}
        runs = manifests(self.config.runs)
        places = (
            circuits(runs, self.suite.fingerprint, features),
            clusters(runs, self.suite.fingerprints, features),
        )
        held = self.sequences.held_out
        never = "all" if held == len(self.sequences) else f"{held:,} of them"
        read = (
            f"{len(self.sequences):,} sequences of {data} ({self.sequences.tokens:,} tokens), {never} never trained on"
        )
        names, result = list(pages), []
        for number, one in enumerate(features):
            name, firing = names[number], _firing(active, one)
            graph = self._graph([replace(centres[one], **_few(centres[one]))], labels) if self.links else None
            result.append(
                Shown(
                    name=name,
                    label=labels[Address("feature", *one)],
                    about=" · ".join(dict.fromkeys((self._model, self.suite.info.name, self._where(one)))),
                    read=read,
                    firing=firing,
                    evidence=known[Address("feature", *one)],
                    pages=pages,
                    called=self._called(known[Address("feature", *one)]),
                    score=self._score if self._connected(one) else "",
                    unconnected="" if self._connected(one) else self._unconnected(),
                    upstream=[self._joined(link.up, link, labels, pages) for link in shown_links[one][0]],
                    downstream=[self._joined(link.down, link, labels, pages) for link in shown_links[one][1]],
                    in_degree=len(self.links.upstream(*one)) if self.links else 0,
                    out_degree=len(self.links.downstream(*one)) if self.links else 0,
                    graph=graph,
                    graph_page="graph.html",
                    circuits=[_place(found, run) for found in places[0][one]],
                    clusters=[_place(found, run) for found in places[1][one]],
                    before=pages[names[number - 1]] if number else "",
                    after=pages[names[number + 1]] if number + 1 < len(features) else "",
                    index=INDEX if len(features) > 1 else "",
                )
            )
        files = []
        for shown in result:
            run.write_text(pages[shown.name], feature_page(shown))
            files.append(pages[shown.name])
        graph = self._graph(list(centres.values()), labels, known)
        if graph.edges:
            files += write_graph(graph, run.write_bytes, pages)
        if len(features) > 1:
            title, listed = (
                f"{len(features)} features of {self.suite.info.name}",
                [(pages[one.name], one) for one in result],
            )
            run.write_text(INDEX, features_page(title, read, listed, "graph.html" if graph.edges else ""))
            files.append(INDEX)
        return ViewResult(
            model=self._model,
            suite=self.suite.info.name,
            data=data,
            sequences=len(self.sequences),
            tokens=self.sequences.tokens,
            score=self._score,
            features=[_row(one, pages[one.name], shown_links[key]) for one, key in zip(result, features, strict=True)],
            page=INDEX if len(features) > 1 else files[0],
            files=files,
        )

    # -- connections ---------------------------------------------------------------------------------------------------

    @property
    def _model(self) -> str:
        return self.model.info.name

    @property
    def _score(self) -> str:
        """What connections were chosen by, in a word."""
        return "" if self.links is None else self.links.connections.score or "score"

    def _connected(self, one: Feature) -> bool:
        return self.links is not None and self.links.end(*one) is not None

    def _unconnected(self) -> str:
        name = self.suite.info.name
        if self.links is not None:
            return "The connections of the suite are between its attention outputs and MLP transcoders, not here."
        if self.config.connections == NONE:
            return "They were not looked at."
        return (
            f"{name} has none beside its dictionaries. saecli connect chooses some, of suites of attention outputs and "
            "MLP transcoders, and --connections names them."
        )

    def _links(self, one: Feature) -> tuple[list[Link], list[Link]]:
        """The connections shown: into a feature, and out of it."""
        if self.links is None:
            return [], []
        return self.links.upstream(*one)[: self.config.top], self.links.downstream(*one)[: self.config.top]

    def _joined(self, end: End, link: Link, labels: Mapping[Address, str], pages: Mapping[str, str]) -> Joined:
        address = address_of(end)
        name = address.format(self.suite.info.residual)
        if end.module.what != "features":
            what = "token" if end.module.what == "tokens" else "logit of"
            return Joined(name, f"{what} {self.vocabulary.token_text(end.index)}", link.mean, link.score)
        return Joined(name, labels.get(address, ""), link.mean, link.score, pages.get(name, ""))

    def _graph(
        self, centres: Sequence[Centre], labels: Mapping[Address, str], known: Mapping[Address, Evidence] | None = None
    ) -> FeatureGraph:
        graph = neighbourhood(centres, self.suite, self._model, score=self._score, labels=labels)
        present = {node.address for node in graph.nodes}
        return replace(graph, features={key: one for key, one in (known or {}).items() if key in present})

    # -- what is known of features -------------------------------------------------------------------------------------

    def _activities(
        self,
        features: Sequence[Feature],
        links: Mapping[Feature, tuple[list[Link], list[Link]]],
        run: Run,
        progress: Progress,
    ) -> dict[Feature, tuple[Activity, int]]:
        """What features do that are shown or connected with these: their row in the activity of their site."""
        ends = [end for both in links.values() for side in both for link in side for end in (link.up, link.down)]
        near = [(end.module.reads, end.index) for end in ends if end.module.what == "features"]
        wanted: dict[object, list[int]] = {}
        for site, index in sorted(dict.fromkeys([*features, *near])):
            wanted.setdefault(site, []).append(index)
        sites = [site for site in self.suite if site in wanted]
        reader = Reader(self.model, self.suite.info.model_fingerprint or fingerprint_module(self.model.module))
        cache = CodeCache(Cache.at().codes)
        with harvested(
            reader, self.suite, sites, self.sequences, cache=cache, work=run.work, progress=progress
        ) as store:
            assert store is not None  # noqa: S101
            found = activities(
                store,
                {site: wanted[site] for site in sites},
                {site: self.suite.configs[site].n_latents for site in sites},
                left_out=self.suite.info.left_out,
                count=self.config.contexts,
                width=self._width,
            )
        return {(site, index): (one, row) for site, one in found.items() for row, index in enumerate(one.features)}

    @property
    def _width(self) -> int:
        """Tokens on either side of a context."""
        given = self.config.context_width
        return given if given is not None else _MOVES if self.vocabulary.name == "othello" else _TEXT

    def _known(self, graph: FeatureGraph, active: Mapping[Feature, tuple[Activity, int]]) -> dict[Address, Evidence]:
        """Contexts, effects on logits and similar features, of every feature of a graph."""
        every = replace(graph, sites=tuple(self.suite.label(site) for site in self.suite))
        known = evidence_of(
            every,
            self.model,
            self.suite,
            name=self.vocabulary.token_text,
            tokens=range(min(self.vocabulary.size, self.model.info.d_vocab)),
            shown={},
            effects=_EFFECTS,
            near=_NEAR,
        )
        game = self.vocabulary.name if self.vocabulary.name in _GAMES else ""
        for address, one in known.items():
            assert address.site is not None  # noqa: S101
            assert address.index is not None  # noqa: S101
            activity, row = active[address.site, address.index]
            seen = Seen(activity.table, self.sequences.tokens_BS, self.sequences.lengths_B)
            known[address] = replace(one, contexts=seen.contexts([row], self.vocabulary.token_text, game)[0])
        return known

    def _label(self, address: Address, known: Mapping[Address, Evidence]) -> str:
        return self.labels.describe(self.suite, address) or known[address].label

    def _called(self, one: Evidence) -> dict[str, str]:
        """Labels of similar features, as far as the table of labels has them."""
        residual = self.suite.info.residual
        found = {name: self.labels.describe(self.suite, parse_address(name, residual)) for name, _ in one.near}
        return {name: label for name, label in found.items() if label}

    def _name(self, one: Feature) -> str:
        return Address("feature", *one).format(self.suite.info.residual)

    def _where(self, one: Feature) -> str:
        config = self.suite.configs[one[0]]
        written = ", ".join(map(str, config.written))
        to = "" if written == str(one[0]) else f" to {written}"
        return f"{config.arch} of {one[0]}{to}, {config.n_latents:,} features"


def _file(name: str) -> str:
    return name.replace(":", "-") + ".html"


def _firing(active: Mapping[Feature, tuple[Activity, int]], one: Feature) -> Firing:
    activity, row = active[one]
    return activity.firing[row]


def _few(centre: Centre) -> dict[str, Sequence[Link]]:
    return {"upstream": centre.upstream[:_DRAWN], "downstream": centre.downstream[:_DRAWN]}


def _place(found: Appearance, run: Run) -> Place:
    path = os.path.relpath(found.page.absolute(), run.directory.absolute())
    link = quote(path.replace(os.sep, "/")) + "#" + quote(found.fragment, safe="=&:@,.")
    return Place(found.title, found.about, link)


def _row(shown: Shown, page: str, links: tuple[Sequence[Link], Sequence[Link]]) -> FeatureRow:
    firing = shown.firing
    sides = [
        [JoinedRow(joined.name, joined.mean, joined.score) for joined in side]
        for side in (shown.upstream, shown.downstream)
    ]
    return FeatureRow(
        feature=shown.name,
        label=shown.label,
        page=page,
        active=firing.active,
        frequency=firing.active / firing.tokens if firing.tokens else 0.0,
        mean=firing.mean,
        strongest=firing.strongest,
        in_degree=shown.in_degree,
        out_degree=shown.out_degree,
        upstream=sides[0],
        downstream=sides[1],
        circuits=len(shown.circuits),
        clusters=len(shown.clusters),
    )
