# Completion of saecli for bash; source it, or: eval "$(saecli --show-completion bash)"
# Generated: see saecli/cli/completion_scripts.py

_saecli() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} path= words= paths= i
    if [[ $cur == "=" ]]; then
        cur=
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$path|${COMP_WORDS[i]}" in
            '|schema') path='schema' ;;
        esac
    done
    COMPREPLY=()
    [[ $prev == -* ]] || prev=
    if [[ $cur == -* ]] && ! _saecli_values "$path|$prev"; then
        _saecli_flags "$path"
    else
        _saecli_values "$path|$prev" || _saecli_values "$path|" || return 0
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    case $paths in
        files) compopt -o filenames; COMPREPLY+=($(compgen -f -- "$cur")) ;;
        dirs) compopt -o filenames; COMPREPLY+=($(compgen -d -- "$cur")) ;;
    esac
}

_saecli_flags() {
    case "$1" in
        '') words='--version --show-completion --help' ;;
        'schema') words='--help' ;;
    esac
}

# what a flag's value or a positional argument may be; fails if the flag takes none
_saecli_values() {
    [[ $1 == *"|" && $cur == -* ]] && return 1
    case "$1" in
        '|--show-completion') words='bash zsh fish' paths='' ;;
        '|') words='schema' paths='' ;;
        'schema|') words='' paths='' ;;
        *) return 1 ;;
    esac
}

complete -F _saecli saecli
