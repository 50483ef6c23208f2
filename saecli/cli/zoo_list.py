"""``saecli zoo list``."""

from saecli.cli.door import Door

DOOR = Door(
    config="zoo.listing:ListConfig",
    engine="zoo.listing:run",
    result="zoo.listing:ListResult",
    summary="What can be asked for by name, and what of it is on this machine.",
    examples=[
        ("saecli zoo list", "everything"),
        ("saecli zoo list models --search pythia", "models with this word in their description"),
        ("saecli zoo list suites --json", "suites of dictionaries, for programs"),
    ],
    keeps_run=False,
)
