"""Suites: the dictionaries of one model, by site.

A suite knows which model it was made for and refuses another one: by fingerprint of the weights, weight processing,
vocabulary and widths. Its dictionaries are read when first asked for, so a command that works on three sites reads
three files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor

from saecli.core.address import EmptySelection, parse_layers, site_label
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.fingerprint import fingerprint_module, fingerprint_parts, fingerprint_tensors
from saecli.core.model import HookedModel
from saecli.core.site import KINDS, Site
from saecli.core.streamed import Streamed, fit_together

_USUAL = 5 / 8


@dataclass(frozen=True)
class SuiteInfo:
    """What a suite is, apart from its dictionaries.

    Attributes:
        name: Zoo name or path.
        model: Zoo name of the model it was made for.
        model_fingerprint: Of that model's parameters; empty if unknown.
        processing: Weight processing of that model.
        residual: How the suite numbers the residual stream: ``resid_pre`` 0..n, or ``resid_post`` 0..n − 1.
        context: Positions per sequence it was trained on; 0 if unknown.
        bos: Token id that began every sequence, or None.
        vocabulary: Token vocabulary of the model.
        measured: Per site what was measured: ``l0``, ``variance_explained``, ``dead_share`` and others.
        left_out: Tokens whose vectors were not learned, such as BOS.
    """

    name: str
    model: str
    model_fingerprint: str = ""
    processing: Literal["raw", "folded"] = "raw"
    residual: Literal["resid_pre", "resid_post"] = "resid_pre"
    context: int = 0
    bos: int | None = None
    vocabulary: str = ""
    measured: Mapping[Site, Mapping[str, float]] = field(default_factory=dict)
    left_out: tuple[int, ...] = ()


class Suite(Mapping[Site, Dictionary]):
    """Site read → dictionary, in the order of depth.

    Args:
        info: What the suite is.
        configs: Config of every dictionary; known without reading weights.
        load: Reads the dictionary of a site; called at most once per site.
        fingerprints: Fingerprint of every dictionary's tensors, if recorded; otherwise each is computed when needed.
    """

    def __init__(
        self,
        info: SuiteInfo,
        configs: Sequence[DictionaryConfig],
        load: Callable[[Site], Dictionary],
        fingerprints: Mapping[Site, str] | None = None,
    ) -> None:
        self.info = info
        self.configs: dict[Site, DictionaryConfig] = {
            config.reads: config for config in sorted(configs, key=lambda config: config.reads)
        }
        if len(self.configs) != len(configs):
            raise InputError(f"{info.name} has two dictionaries at one site.")
        self._load = load
        self._loaded: dict[Site, Dictionary] = {}
        self.fingerprints: Mapping[Site, str] = (
            _Fingerprints(self) if fingerprints is None else {site: fingerprints[site] for site in self.configs}
        )

    @classmethod
    def of(cls, info: SuiteInfo, dictionaries: Sequence[Dictionary]) -> Suite:
        """A suite of dictionaries in memory."""
        by_site = {dictionary.config.reads: dictionary for dictionary in dictionaries}
        return cls(info, [one.config for one in dictionaries], by_site.__getitem__)

    def only(self, sites: Sequence[Site]) -> Suite:
        """The suite with some of its sites."""
        return Suite(self.info, [self.configs[site] for site in sites], self.__getitem__, self.fingerprints)

    def joined(self, other: Suite) -> Suite:
        """This suite with the dictionaries of another one of the same model beside its own.

        Raises:
            InputError: They were made for different models or weight processings, or both read one site.
        """
        for name in ("model", "model_fingerprint", "processing", "vocabulary", "residual", "bos"):
            mine, others = getattr(self.info, name), getattr(other.info, name)
            if mine != others:
                raise InputError(
                    f"{self.info.name} and {other.info.name} do not belong together: "
                    f"their {name.replace('_', ' ')} is {mine!r} and {others!r}."
                )
        info = replace(self.info, measured={**self.info.measured, **other.info.measured})
        configs = [*self.configs.values(), *other.configs.values()]
        here = dict.fromkeys(self, self) | dict.fromkeys(other, other)
        prints = {**self.fingerprints, **other.fingerprints}
        return Suite(info, configs, lambda site: here[site][site], prints)

    def __getitem__(self, site: Site) -> Dictionary:
        if site not in self.configs:
            raise KeyError(site)
        if site not in self._loaded:
            self._loaded[site] = self._load(site)
        return self._loaded[site]

    def some(self, sites: Sequence[Site]) -> Mapping[Site, Dictionary]:
        """The dictionaries of some sites.

        Those that are too large to be held together are read whenever they are asked for, and only the last is held:
        ask for one after the other, and do not change them.
        """
        if fit_together(self.configs[site] for site in sites):
            return {site: self[site] for site in sites}
        return Streamed(sites, self._passing)

    def _passing(self, site: Site) -> Dictionary:
        """A dictionary that is not kept for the next time, unless it is there or all fit together."""
        if site in self._loaded or fit_together(self.configs.values()):
            return self[site]
        return self._load(site)

    def __iter__(self) -> Iterator[Site]:
        return iter(self.configs)

    def __len__(self) -> int:
        return len(self.configs)

    def __contains__(self, site: object) -> bool:
        return site in self.configs

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites read, in the order of depth."""
        return tuple(self.configs)

    @property
    def usual_sites(self) -> tuple[Site, ...]:
        """Of several residual sites the one nearest to five eighths of the depth (5 of 8 layers), else all sites."""
        residual = [site for site in self if site.canonical.kind == "resid_pre"]
        if len(residual) < 2:
            return self.sites
        middle = _USUAL * max(site.canonical.layer for site in residual)
        return (min(residual, key=lambda site: abs(site.canonical.layer - middle)),)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of all dictionaries."""
        return fingerprint_parts((str(site.canonical), value) for site, value in self.fingerprints.items())

    def label(self, site: Site) -> str:
        """``7`` for the residual stream in the suite's own numbers, else ``7.attn_out``."""
        return site_label(site, self.info.residual)

    def reconstruct(self, inputs: Mapping[Site, Tensor]) -> dict[Site, Tensor]:
        """What the dictionaries together make of every site they write, each given what it reads.

        Contributions of several dictionaries to one site are summed; the ``b_dec`` of a cross-layer transcoder belongs
        to the first site it writes.

        Args:
            inputs: Site read → [..., width], all of the same leading shape, for every dictionary.

        Raises:
            UsageError: The input of a dictionary is missing, without which the sums would be wrong.
        """
        if missing := [str(site) for site in self if site not in inputs]:
            raise UsageError(f"{self.info.name} cannot be summed without the input at {', '.join(missing)}.")
        total: dict[Site, Tensor] = {}
        for site, dictionary in self.items():
            for written, part in dictionary.contributions(inputs[site]).items():
                total[written] = total[written] + part if written in total else part
        return total

    # --- which sites a command means --------------------------------------------------------------------------------

    def resolve(self, layers: str | None = None, kinds: Sequence[str] = ()) -> tuple[Site, ...]:
        """The sites that ``--layers`` and ``--kind`` choose.

        ``layers`` is a slice of the suite's own labels of the residual stream: the chosen residual sites, and every
        other site between the first and the last of them (with resid_post labels also those that write the first).
        For a suite without residual sites it is a slice of block numbers.

        Args:
            layers: ``6:9``, ``:``, ``-2:``, ``5``; None chooses everything.
            kinds: Site kinds to keep; none keeps all. ``resid_pre`` and ``resid_post`` mean the same.

        Returns:
            Sites in the order of depth.

        Raises:
            UsageError: No slice, an unknown kind, or nothing is left.
        """
        chosen = self.sites if layers is None else self._in_layers(layers)
        if not kinds:
            return chosen
        here = {_stream(site.kind) for site in self.sites}
        for kind in kinds:
            if kind not in KINDS or _stream(kind) not in here:
                raise UsageError(f"--kind {kind}: {self.info.name} has {', '.join(self._kinds(self.sites))}.")
        wanted = {_stream(kind) for kind in kinds}
        kept = tuple(site for site in chosen if _stream(site.kind) in wanted)
        if not kept:
            raise UsageError(
                f"--layers {layers} with --kind {' '.join(kinds)} selects no site of {self.info.name}.",
                f"These layers have {', '.join(self._kinds(chosen))}.",
            )
        return kept

    def _in_layers(self, text: str) -> tuple[Site, ...]:
        shift = 1 if self.info.residual == "resid_post" else 0
        labels = {site: site.canonical.layer - shift for site in self.sites if site.canonical.kind == "resid_pre"}
        labels = {site: label for site, label in labels.items() if label >= 0}
        if not labels:
            return self._in_blocks(text)
        numbers = sorted(labels.values())
        try:
            wanted = set(parse_layers(text, numbers[-1] + 1))
        except EmptySelection:
            wanted = set()
        residual = [site for site, label in labels.items() if label in wanted]
        if not residual:
            raise UsageError(
                f"--layers {text} selects no residual site: {self.info.name} has {_ranges(numbers)};",
                _suggestion(numbers),
            )
        first, last = residual[0].canonical, residual[-1].canonical

        def between(site: Site) -> bool:
            if site.canonical.kind == "resid_pre":
                return site in residual
            return first < site < last or bool(shift and site.layer == first.layer - 1)

        return tuple(site for site in self.sites if between(site))

    def _in_blocks(self, text: str) -> tuple[Site, ...]:
        numbers = sorted({site.layer for site in self.sites})
        try:
            wanted = set(parse_layers(text, numbers[-1] + 1))
        except EmptySelection:
            wanted = set()
        chosen = tuple(site for site in self.sites if site.layer in wanted)
        if not chosen:
            raise UsageError(
                f"--layers {text} selects no site: {self.info.name} has blocks {_ranges(numbers)};",
                _suggestion(numbers),
            )
        return chosen

    def _kinds(self, sites: Sequence[Site]) -> list[str]:
        kinds = {self.info.residual if site.canonical.kind == "resid_pre" else site.kind for site in sites}
        return sorted(kinds, key=KINDS.index)

    # --- which model it belongs to -----------------------------------------------------------------------------------

    def attach(self, model: HookedModel, *, model_fingerprint: str | None = None) -> Suite:
        """Check that the suite was made for this model.

        Args:
            model: The model.
            model_fingerprint: Of the model's parameters as stored, if known; otherwise it is computed.

        Returns:
            The suite itself.

        Raises:
            InputError: Another vocabulary, width, weight processing or other weights; the message names both.
        """
        info, name = model.info, self.info.name
        if self.info.vocabulary and info.vocabulary and self.info.vocabulary != info.vocabulary:
            raise InputError(
                f"{name} was made for the vocabulary {self.info.vocabulary!r}, {info.name} has {info.vocabulary!r}.",
                f"Use it with {self.info.model}.",
            )
        for config in self.configs.values():
            for site, width in ((config.reads, config.d_in), *((site, config.d_out) for site in config.written)):
                try:
                    info.check(site)
                except UsageError as error:
                    raise InputError(
                        f"{name} has a dictionary at {site}, which {info.name} does not have.",
                        f"Use it with {self.info.model}.",
                    ) from error
                if info.width(site) != width:
                    raise InputError(
                        f"{name} has a dictionary of width {width} at {site}, "
                        f"where {info.name} has {info.width(site)}.",
                        f"Use it with {self.info.model}.",
                    )
        if self.info.processing != info.processing:
            raise InputError(
                f"{name} was made for {self.info.processing} weights of {self.info.model}, "
                f"and {info.name} has {info.processing} weights."
            )
        if self.info.model_fingerprint:
            actual = model_fingerprint or fingerprint_module(model.module)
            if actual != self.info.model_fingerprint:
                raise InputError(
                    f"{name} was made for {self.info.model} ({_short(self.info.model_fingerprint)}), "
                    f"and the weights of {info.name} are others ({_short(actual)}).",
                    f"Use it with {self.info.model}, or train a suite for {info.name}.",
                )
        return self


class _Fingerprints(Mapping[Site, str]):
    """Fingerprints of a suite's dictionaries, each computed when it is asked for."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._known: dict[Site, str] = {}

    def __getitem__(self, site: Site) -> str:
        if site not in self._known:
            self._known[site] = fingerprint_tensors(self._suite._passing(site).state_dict())
        return self._known[site]

    def __iter__(self) -> Iterator[Site]:
        return iter(self._suite)

    def __len__(self) -> int:
        return len(self._suite)


def _stream(kind: str) -> str:
    return "resid_pre" if kind == "resid_post" else kind


def _ranges(numbers: Sequence[int]) -> str:
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}..{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    return ", ".join(map(str, numbers))


def _suggestion(numbers: Sequence[int]) -> str:
    return f"try --layers {max(numbers[0], numbers[-1] - 2)}:{numbers[-1] + 1}"


def _short(fingerprint: str) -> str:
    version, _, digest = fingerprint.partition(":")
    return f"{version}:{digest[:8]}"
