"""Trains dictionaries at many sites of a model in one pass of the model.

for every block of activations:                  (saecli.train.activations)
    for every batch of its vectors:              (saecli.train.sae_loop)
        every dictionary takes one step          (saecli.train.trainer, saecli.train.step)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from saecli.core.errors import InputError, UsageError
from saecli.core.fingerprint import fingerprint_module
from saecli.core.machine import DTYPES
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.ranks import ONE, Ranks
from saecli.core.site import Site
from saecli.core.suite import SuiteInfo
from saecli.data.source import TokenSource
from saecli.learning.checkpoint import Mirror
from saecli.learning.reading import data_fingerprint, open_data
from saecli.train.activations import ActivationStream
from saecli.train.end_to_end import EndToEnd
from saecli.train.left_out import left_out
from saecli.train.recipes import END_TO_END
from saecli.train.sae_config import PRECISIONS, TrainSaeConfig
from saecli.train.sae_loop import SaeResult, Training
from saecli.train.sae_plan import plan_dictionaries, plan_on_vectors
from saecli.train.sequences import SequenceStream
from saecli.train.start import mlp_neurons
from saecli.train.vectors import VectorFiles, VectorStream


def train_sae(
    config: TrainSaeConfig,
    model: HookedModel,
    folder: Path,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
    source: TokenSource | None = None,
    threads: int | None = None,
    ranks: Ranks = ONE,
    mirror: Mirror | None = None,
) -> SaeResult:
    """Trains the dictionaries of a configuration; continues if the folder holds a checkpoint of the same recipe.

    Args:
        config: The dictionaries and the recipe. With ``resume`` there must be a checkpoint; ``overwrite`` ignores it.
        model: The model to read.
        folder: Where the checkpoint and the metrics (JSON lines) go; created if needed.
        progress: Told of every logged step and checkpoint.
        stop: Asked after every step; when it returns True, a checkpoint is written and the run ends early.
        source: The data, if not those the configuration names.
        threads: CPU threads; those torch has if not given.
        ranks: The processes that train together: each runs the model on its part of the sequences and steps on its
            part of every batch.
        mirror: Told of every record of metrics.

    Raises:
        InputError: The checkpoint is of another recipe or damaged; or as :func:`saecli.learning.reading.open_data`.
        Failure: A loss is no longer finite; the last checkpoint is kept.
        UsageError: See :func:`plan_dictionaries`.
    """
    info, source = model.info, source or open_data(config, model.info)
    plans = plan_dictionaries(config, info)
    sites = {site for plan in plans for site in (plan.dictionary.reads, plan.dictionary.writes)}
    special = tuple(sorted(left_out(config, info, source)))
    if end_to_end := config.loss == END_TO_END:
        sites |= {Site(plan.dictionary.writes.canonical.layer, "resid_pre") for plan in plans}
        stream = SequenceStream(model, source, sites, config.batch, special, ranks)
    else:
        stream = ActivationStream(model, source, sites, config.buffer, config.seed, special, ranks)
    name = Path(info.name).name  # of a folder given by its path, the last part
    fingerprint = fingerprint_module(model.module)
    header = SuiteInfo(
        name=name,
        model=name,
        model_fingerprint=fingerprint,
        processing=info.processing,
        context=source.n_ctx,
        bos=info.bos,
        vocabulary=info.vocabulary,
        left_out=special,
    )
    identity = {"data": data_fingerprint(source), "model": fingerprint}
    training = Training(config, plans, stream, header, identity, folder, progress, threads, ranks, mirror)
    for trainer in training.trainers:
        if trainer.config.settings.init in ("auto", "mlp"):
            trainer.neurons = mlp_neurons(model, trainer.config.dictionary)
            if trainer.neurons is None and trainer.config.settings.init == "mlp":
                raise UsageError(
                    f"--init mlp: {trainer.config.name} is no transcoder from mlp_in to mlp_out of an ungated MLP.",
                    "Try --init auto.",
                )
    for pair in training.pairs:
        pair.lay(model)
    if end_to_end:
        training.end_to_end = EndToEnd(model, training.trainers, config.downstream_weight)
    as_it_was = next(model.module.parameters()).dtype
    if config.precision == "fp64":
        model.module.double()
    try:
        return _trained(training, config, folder, stop)
    finally:
        model.module.to(as_it_was)


def train_on_vectors(
    config: TrainSaeConfig,
    files: VectorFiles,
    folder: Path,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
    threads: int | None = None,
    ranks: Ranks = ONE,
    mirror: Mirror | None = None,
) -> SaeResult:
    """Trains dictionaries on vectors of one's own, as :func:`train_sae` does on a model's; the suites name no model."""
    plans = plan_on_vectors(config, files.width)
    site = plans[0].dictionary.reads
    dtype = DTYPES[PRECISIONS[config.precision]]
    device = torch.device(config.device)
    stream = VectorStream(files, site, config.buffer, config.seed, device, dtype, ranks, progress)
    header = SuiteInfo(name=Path(config.activations[0]).stem, model="")
    training = Training(
        config, plans, stream, header, {"data": files.identity}, folder, progress, threads, ranks, mirror
    )
    return _trained(training, config, folder, stop)


def _trained(training: Training, config: TrainSaeConfig, folder: Path, stop: Callable[[], bool]) -> SaeResult:
    continued = not config.overwrite and training.load()
    if config.resume and not continued:
        raise InputError(f"{folder} has no checkpoint to resume.", "Start without --resume.")
    return training.run(stop)
