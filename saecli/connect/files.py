"""What a run of ``saecli connect`` leaves: connections, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saecli.connect.tables import COLUMNS, Table
from saecli.core.connections import Connections
from saecli.core.run import Run
from saecli.formats.connections import write_connections
from saecli.formats.tables import as_csv
from saecli.report.connect_figures import connect_figures
from saecli.report.figure import as_png, as_svg


def name_of(connections: Connections) -> str:
    """``connections-c30.safetensors``, ``connections-e10000.safetensors`` or ``connections-all.safetensors``."""
    letter = {"per-feature": "c", "overall": "e", "all": ""}[connections.rule]
    return f"connections-{letter}{'all' if connections.limit is None else connections.limit}.safetensors"


def write_files(run: Run, chosen: Mapping[str, Connections], tables: Mapping[str, Table]) -> list[str]:
    """Write everything but the result; returns the names of the files.

    Args:
        run: The run.
        chosen: Connections by file.
        tables: By name, as of :data:`saecli.connect.tables.COLUMNS`.
    """
    names = list(chosen)
    for name, connections in chosen.items():
        with run.writing(name) as temporary:
            write_connections(connections, temporary)
    for name, rows in tables.items():
        if rows:
            run.write_text(f"{name}.csv", as_csv(rows, COLUMNS[name]))
            names.append(f"{name}.csv")
    for name, figure in connect_figures(tables, _called(chosen)).items():
        run.write_bytes(f"{name}.png", as_png(figure))
        run.write_bytes(f"{name}.svg", as_svg(figure))
        names += [f"{name}.png", f"{name}.svg"]
    return names


def _called(chosen: Mapping[str, Connections]) -> dict[str, str]:
    said = {"per-feature": "{} per feature", "overall": "{} overall"}
    drawn: Sequence[tuple[str, Connections]] = [(name, one) for name, one in chosen.items() if one.rule != "all"]
    return {name: said[one.rule].format(f"{one.limit:,}") for name, one in drawn}
