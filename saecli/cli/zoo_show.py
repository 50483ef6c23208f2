"""``saecli zoo show``."""

from saecli.cli.door import Door

DOOR = Door(
    config="zoo.show:ShowConfig",
    engine="zoo.show:run",
    result="zoo.shown:ShowResult",
    summary="What a file, a folder or a name of the zoo is: format, architecture, sites, widths, norms, what is odd.",
    examples=[
        ("saecli zoo show othello-mini", "the embedded model and its dictionaries"),
        ("saecli zoo show downloads/trainer_0/ae.pt", "a file from somewhere; nothing of it is run"),
    ],
    keeps_run=False,
)
