"""``saecli download``."""

from saecli.cli.door import Door

DOOR = Door(
    config="saecli.download.config:DownloadConfig",
    engine="saecli.download.engine:run",
    result="saecli.download.result:DownloadResult",
    summary="Fetch models, dictionaries and data sets; what was begun is continued, what is here is checked.",
    examples=[
        ("saecli download --search gpt2", "what the zoo has of GPT-2"),
        ("saecli download gpt2", "a model by its name"),
        ("saecli download hf:org/repo/layer_8@v1 --plan", "files and bytes only"),
        ("saecli download https://host/a.zip!/folder", "members of an archive"),
        ("saecli download --lock saecli.lock.json", "what a lock file says"),
    ],
    keeps_run=False,
)
