"""``saecli zoo cache ls``."""

from saecli.cli.door import Door

DOOR = Door(
    config="saecli.download.config:CacheListConfig",
    engine="saecli.download.shelf:ls",
    result="saecli.download.shelf:CacheListResult",
    summary="What was downloaded or kept of data: revision, size, last use, and whether all of it is there.",
    examples=[("saecli zoo cache ls", ""), ("saecli zoo cache ls --json", "for scripts")],
    keeps_run=False,
)
