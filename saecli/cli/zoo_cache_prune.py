"""``saecli zoo cache prune``."""

from saecli.cli.door import Door

DOOR = Door(
    config="saecli.download.config:CachePruneConfig",
    engine="saecli.download.shelf:prune",
    result="saecli.download.shelf:CachePruneResult",
    summary="Remove what was downloaded by saecli; files that other programs fetched stay unless they are named.",
    examples=[
        ("saecli zoo cache prune --plan", "what would go: unfinished downloads"),
        ("saecli zoo cache prune gpt2", "a name and the files that no other name has"),
        ("saecli zoo cache prune --older-than 90", "what was not used for three months"),
    ],
    keeps_run=False,
)
