"""Connection pickles of jacobcd52/dictionary_learning into ``connections.safetensors``."""

from __future__ import annotations

from pathlib import Path

from saecli.convert.config import ConvertConfig
from saecli.convert.engine import only_source, refuse_file
from saecli.convert.result import ConvertResult
from saecli.core.progress import Progress
from saecli.formats.connections import write_connections
from saecli.formats.scae_connections import read_scae_connections


def convert(config: ConvertConfig, progress: Progress) -> ConvertResult:
    """Convert one file.

    Raises:
        UsageError: Several sources.
        InputError: No connections, or a destination that is there already.
    """
    source, target = only_source(config), Path(config.destination)
    refuse_file(config)
    connections, notes = read_scae_connections(source, parallel=config.parallel)
    fact = f"{connections.n_edges:,} connections between {len(connections.modules)} modules"
    if config.plan:
        steps = (f"{fact} would be written as {target}", *notes)
        return ConvertResult(to="connections", destination=config.destination, steps=steps)
    write_connections(connections, target)
    return ConvertResult(to="connections", destination=config.destination, facts=(fact, *notes))
