"""The suite that ``saecli train lm --sae`` leaves: measured as it is stored, in the model as it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from saecli.core.dictionary import Dictionary
from saecli.core.fidelity import SuiteFidelity, measure_suites
from saecli.core.fingerprint import fingerprint_module
from saecli.core.gpt import GPT
from saecli.core.hooks import thin_gpt
from saecli.core.machine import DTYPES
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.core.result import field_doc
from saecli.core.run import Run
from saecli.core.suite import Suite, SuiteInfo
from saecli.data.samples import open_samples
from saecli.data.shard_source import ShardSource
from saecli.data.source import TokenSource
from saecli.formats.suite import rounded, suite_files, with_measurements
from saecli.train.lm_config import TrainLMConfig

SUITE: Final = "suite"
FIDELITY: Final = "fidelity.json"
_FIRING: Final = 10  # times the sequences measured: a feature is dead if it is silent in all of these


@dataclass(frozen=True, kw_only=True)
class JointDictionary:
    """One dictionary that was trained with the model."""

    site: str = field_doc("Site", "Where it reads and writes.")
    latents: int = field_doc("Latents", "Number of features.")
    l0: float = field_doc("L0", "Active features per token, on average.")
    variance_explained: float = field_doc("Variance explained", "Pooled over tokens and dimensions, at most 1.")
    dead_share: float = field_doc("Dead share", "Share of features that no held-out token activates.")
    ce_increase: float = field_doc("CE increase", "Of the model with this site replaced, nats per token.")


@dataclass(frozen=True, kw_only=True)
class JointSuite:
    """The dictionaries that were trained with the model, on held-out data."""

    suite: str = field_doc("Suite", "Folder of the suite in the run directory.")
    arch: str = field_doc("Architecture", "Of its dictionaries.")
    ce: float = field_doc("CE", "Of the model itself on the sequences that the suite was measured on, nats per token.")
    compound_ce_increase: float = field_doc("Compound CE increase", "With all sites replaced at once.")
    dictionaries: list[JointDictionary] = field_doc("Dictionaries", "In the order of depth.")

    def summary_lines(self) -> list[str]:
        """One line."""
        rows = self.dictionaries
        explained, active = [one.variance_explained for one in rows], [one.l0 for one in rows]
        return [
            f"{self.suite}: {len(rows)} {self.arch} dictionaries, L0 {min(active):.1f} to {max(active):.1f}, variance "
            f"explained {min(explained):.3f} to {max(explained):.3f}, dead at most "
            f"{max(one.dead_share for one in rows):.1%}; CE increase of all together {self.compound_ce_increase:.3f}"
        ]


def write_joint_suite(
    config: TrainLMConfig,
    dictionaries: Sequence[Dictionary],
    stored: GPT,
    source: TokenSource,
    name: str,
    run: Run,
    progress: Progress,
) -> JointSuite:
    """Round, measure and write the dictionaries.

    Args:
        config: The recipe.
        dictionaries: At least one.
        stored: The model as it reads back from its folder.
        source: The data.
        name: Of that folder.
        run: Where the files go.
        progress: Told of every step.
    """
    model = thin_gpt(stored, name, vocabulary=source.vocabulary)
    info = SuiteInfo(
        name=name,
        model=name,
        model_fingerprint=fingerprint_module(stored),
        context=source.n_ctx,
        vocabulary=source.vocabulary,
    )
    dtype = DTYPES[config.save_dtype]
    suite = rounded(Suite.of(info, list(dictionaries)), dtype)
    fidelity = _measured(config, suite, model, source, progress)
    run.record(sites={SUITE: [str(site) for site in suite.sites]})
    run.write_json(FIDELITY, {SUITE: fidelity.to_json()})
    for path, content in suite_files(with_measurements(suite, fidelity.measured()), dtype).items():
        run.write_bytes(f"{SUITE}/{path}", content)
    increases = {one.site: one.dictionary.ce_increase.value for one in fidelity.sites}
    together = {one.group: one.outcome.ce_increase.value for one in fidelity.compound}
    return JointSuite(
        suite=SUITE,
        arch=dictionaries[0].config.arch,
        ce=fidelity.ce.value,
        compound_ce_increase=together["all"] if len(suite) > 1 else increases[suite.sites[0]],
        dictionaries=[
            JointDictionary(
                site=str(one.site),
                latents=suite.configs[one.site].n_latents,
                l0=one.l0.value,
                variance_explained=one.dictionary.variance_explained.value,
                dead_share=one.dead_share,
                ce_increase=increases[one.site],
            )
            for one in fidelity.sites
        ],
    )


def _measured(
    config: TrainLMConfig, suite: Suite, model: HookedModel, source: TokenSource, progress: Progress
) -> SuiteFidelity:
    """On as many held-out sequences as ``--held-out`` says, or as there are."""
    from zoo.data import tokenizer

    count = min(config.held_out, source.count("val")) if isinstance(source, ShardSource) else config.held_out
    samples = open_samples(
        config.data,
        count,
        firing=_FIRING * count,
        n_ctx=config.n_ctx,
        pack=config.pack,
        vocabulary=lambda: tokenizer(config.tokenizer),
    )
    return measure_suites(
        model,
        {SUITE: suite},
        samples.held_out,
        samples.fitting,
        firing=samples.firing,
        seed=config.seed,
        progress=progress,
    )[SUITE]
