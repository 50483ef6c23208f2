"""The completion scripts of bash, zsh and fish, generated from the command table and the configurations.

They answer from tables inside themselves: completing a command, a flag or a choice starts no Python. The scripts in
completions/ are what this module writes (`make completions`); a test keeps them in step.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saecli.cli import complete
from saecli.core.config import ConfigField, config_fields
from saecli.core.errors import UsageError, did_you_mean

SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class Word:
    """A flag or a positional argument: what to offer for it."""

    names: tuple[str, ...]
    help: str
    takes_value: bool = True
    repeats: bool = False
    values: dict[str, str] = field(default_factory=dict)
    paths: str = ""


@dataclass(frozen=True)
class Node:
    """A command or a group of commands."""

    path: tuple[str, ...]
    help: str
    below: dict[str, Node]
    flags: list[Word]
    positional: Word | None = None

    def walk(self) -> Iterator[Node]:
        yield self
        for node in self.below.values():
            yield from node.walk()


HELP = Word(("--help",), "Show this message and exit.", takes_value=False)


def tree(table: dict[str, Any]) -> Node:
    """Returns the command tree with everything to complete."""
    top = [
        Word(("--version",), "Print the version and stop.", takes_value=False),
        Word(("--show-completion",), "Print the completion script of a shell.", values=dict.fromkeys(SHELLS, "")),
        HELP,
    ]
    return Node((), "", _below(table, ()), top)


def _below(table: dict[str, Any], prefix: tuple[str, ...]) -> dict[str, Node]:
    nodes = {}
    for name, lazy in table.items():
        path = (*prefix, name)
        if lazy.below is not None:
            nodes[name] = Node(path, lazy.help, _below(lazy.below, path), [HELP])
            continue
        module = importlib.import_module(lazy.module)
        if hasattr(module, "DOOR"):
            words = [_word(item) for item in config_fields(module.DOOR.config_class) if item.option.table is None]
            positional = next((word for word in words if not word.names[0].startswith("-")), None)
            flags = [word for word in words if word is not positional]
        else:
            values = {command.split()[0]: "" for command in table if command != name}
            positional, flags = Word(("COMMAND",), "Command", repeats=True, values=values), []
        nodes[name] = Node(path, lazy.help, {}, [*flags, HELP], positional)
    return nodes


def _word(item: ConfigField) -> Word:
    meta = item.option
    if meta.positional:
        names: tuple[str, ...] = (item.flag,)
    else:
        flags = (meta.flag or item.flag).split("/")
        if item.base is bool and meta.flag is None:
            flags.append("--no-" + flags[0].removeprefix("--"))
        names = (*flags, *([meta.short] if meta.short else []))
    offered = complete.names(meta.complete) if meta.complete else dict.fromkeys(meta.choices or (), "")
    paths = meta.complete if meta.complete in complete.PATHS else ("files" if meta.input else "")
    return Word(names, meta.help, item.base is not bool, item.many, offered, paths or "")


def script(shell: str, table: dict[str, Any]) -> str:
    """Returns the completion script of a shell (`bash`, `zsh`, `fish`)."""
    writers = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}
    if shell not in writers:
        hint = did_you_mean(shell, SHELLS) or f"Known: {', '.join(SHELLS)}."
        raise UsageError(f"--show-completion {shell}: expected the name of a shell.", hint)
    return writers[shell](tree(table))


def bash_script(root: Node) -> str:
    """Returns the script for bash (no other program is started, no bash-completion package is needed)."""
    walk, flags, values = [], [], []
    for node in root.walk():
        here = " ".join(node.path)
        for name, n in node.below.items():
            walk.append(f"            {_sh(f'{here}|{name}')}) path={_sh(' '.join(n.path))} ;;")
        names = [name for word in node.flags for name in word.names]
        flags.append(f"        {_sh(here)}) words={_sh(' '.join(names))} ;;")
        offers = [(name, word) for word in node.flags if word.takes_value for name in word.names]
        if node.below:
            offers.append(("", Word((), "", values=dict.fromkeys(node.below, ""))))
        elif node.positional is not None:
            offers.append(("", node.positional))
        for name, word in offers:
            pattern = _sh(f"{here}|{name}")
            values.append(f"        {pattern}) words={_sh(' '.join(word.values))} paths={_sh(word.paths)} ;;")
    return f"""# Completion of saecli for bash; source it, or: eval "$(saecli --show-completion bash)"
# Generated: see saecli/cli/completion_scripts.py

_saecli() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} path= words= paths= i
    local typed=${{COMP_LINE:0:COMP_POINT}} colon=
    typed=${{typed##*[[:blank:]]}}
    if [[ $typed == *:* && $typed != *=* && $typed != "$cur" ]]; then  # bash splits words at colons
        local before=${{COMP_LINE:0:COMP_POINT-${{#typed}}}}
        before=${{before%"${{before##*[![:blank:]]}}"}}
        cur=$typed prev=${{before##*[[:blank:]]}} colon=${{typed%"${{typed##*:}}"}}
    fi
    if [[ $cur == "=" ]]; then
        cur=
    elif [[ $prev == "=" ]]; then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$path|${{COMP_WORDS[i]}}" in
{_lines(walk)}
        esac
    done
    COMPREPLY=()
    [[ $prev == -* ]] || prev=
    if [[ $cur == -* ]] && ! _saecli_values "$path|$prev"; then
        _saecli_flags "$path"
    else
        _saecli_values "$path|$prev" || _saecli_values "$path|" || return 0
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    case $paths in
        files) compopt -o filenames; mapfile -t -O ${{#COMPREPLY[@]}} COMPREPLY < <(compgen -f -- "$cur") ;;
        dirs) compopt -o filenames; mapfile -t -O ${{#COMPREPLY[@]}} COMPREPLY < <(compgen -d -- "$cur") ;;
    esac
    [[ -z $colon ]] || COMPREPLY=("${{COMPREPLY[@]#"$colon"}}")
}}

_saecli_flags() {{
    case "$1" in
{_lines(flags)}
    esac
}}

# what a flag's value or a positional argument may be; fails if the flag takes none
_saecli_values() {{
    [[ $1 == *"|" && $cur == -* ]] && return 1
    case "$1" in
{_lines(values)}
        *) return 1 ;;
    esac
}}

complete -F _saecli saecli
"""


def zsh_script(root: Node) -> str:
    """Returns the script for zsh: one function per command, with descriptions."""
    functions = "\n\n".join(_zsh_function(node) for node in root.walk())
    return f"""#compdef saecli
# Completion of saecli for zsh; put it into a folder of $fpath as _saecli, or: eval "$(saecli --show-completion zsh)"
# Generated: see saecli/cli/completion_scripts.py

{functions}

if [ "$funcstack[1]" = "_saecli" ]; then
    _saecli "$@"
else
    compdef _saecli saecli
fi
"""


def _zsh_function(node: Node) -> str:
    name = "_".join(["_saecli", *node.path])
    specs = [_sh(spec) for word in node.flags for spec in _zsh_flag(word)]
    if node.below:
        specs += ["'1: :->command'", "'*:: :->rest'"]
    elif node.positional is not None:
        count = "*" if node.positional.repeats else "1"
        specs.append(_sh(f"{count}:{node.positional.names[0].lower()}:{_zsh_action(node.positional)}"))
    arguments = " \\\n        ".join(specs)
    if not node.below:
        return f"{name}() {{\n    _arguments \\\n        {arguments}\n}}"
    commands = "\n".join(f"                {_sh(f'{key}:{_one_line(n.help)}')}" for key, n in node.below.items())
    cases = "\n".join(f"                {key}) {name}_{key} ;;" for key in node.below)
    return f"""{name}() {{
    local line state
    local -a commands
    _arguments -C \\
        {arguments}
    case $state in
        command)
            commands=(
{commands}
            )
            _describe command commands
            ;;
        rest)
            case $line[1] in
{cases}
            esac
            ;;
    esac
}}"""


def _zsh_flag(word: Word) -> list[str]:
    described = "[" + _one_line(word.help).replace("[", r"\[").replace("]", r"\]") + "]"
    again = "*" if word.repeats else ""
    if not word.takes_value:
        return [f"{again}{name}{described}" for name in word.names]
    value = f"{described}:value:{_zsh_action(word)}"
    return [f"{again}{name}{'=' if name.startswith('--') else ''}{value}" for name in word.names]


def _zsh_action(word: Word) -> str:
    files = {"files": "_files", "dirs": "_files -/", "": ""}[word.paths]
    if not word.values:
        return files or " "
    offered = " ".join(word.values).replace(":", r"\:")
    return f"{{ compadd -- {offered}; {files} }}" if files else f"({offered})"


def fish_script(root: Node) -> str:
    """Returns the script for fish, with descriptions."""
    cases, rules = [], []
    for node in root.walk():
        here = " ".join(node.path)
        for name, n in node.below.items():
            case = f"            case {_fish(f'{here}|{name}')}"
            cases += [case, f"                set path {_fish(' '.join(n.path))}"]
            rules.append(f"{_fish_at(here)} -f -a {name} -d {_fish(_one_line(n.help))}")
        for word in node.flags:
            rules += [f"{_fish_at(here)} {rule}" for rule in _fish_flag(word)]
        if node.positional is not None:
            word = node.positional
            offered = f" -a {_fish(' '.join(word.values))}" if word.values else ""
            if offered or not word.paths:
                rules.append(f"{_fish_at(here)}{'' if word.paths else ' -f'}{offered}".rstrip())
    return f"""# Completion of saecli for fish; source it, or: saecli --show-completion fish | source
# Generated: see saecli/cli/completion_scripts.py

function __saecli_at --description 'True if the command line has come to this command'
    set -l path ''
    for word in (commandline -opc)[2..-1]
        switch "$path|$word"
{_lines(cases)}
        end
    end
    test "$path" = "$argv[1]"
end

{_lines(rules)}
"""


def _fish_at(here: str) -> str:
    condition = f'__saecli_at "{here}"'
    return f"complete -c saecli -n {_fish(condition)}"


def _fish_flag(word: Word) -> list[str]:
    value = ""
    if word.takes_value:
        offered = " ".join(word.values)
        paths = {"files": " -F", "dirs": " -a '(__fish_complete_directories)'", "": ""}[word.paths]
        value = (" -r" if word.paths == "files" else " -x") + (f" -a {_fish(offered)}" if offered else "") + paths
    rules = []
    for name in word.names:
        option = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
        rules.append(f"{option} -d {_fish(_one_line(word.help))}{value}")
    return rules


def _sh(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _lines(lines: list[str]) -> str:
    return "\n".join(lines)


def main(folder: str) -> None:
    """Writes the scripts into a folder."""
    from saecli.cli.app import COMMANDS
    from saecli.core.atomic import write_text

    for shell in SHELLS:
        write_text(Path(folder) / f"saecli.{shell}", script(shell, COMMANDS))


if __name__ == "__main__":
    main(*sys.argv[1:])
