#compdef saecli
# Completion of saecli for zsh; put it into a folder of $fpath as _saecli, or: eval "$(saecli --show-completion zsh)"
# Generated: see saecli/cli/completion_scripts.py

_saecli() {
    local line state
    local -a commands
    _arguments -C \
        '--version[Print the version and stop.]' \
        '--show-completion=[Print the completion script of a shell.]:value:(bash zsh fish)' \
        '--help[Show this message and exit.]' \
        '1: :->command' \
        '*:: :->rest'
    case $state in
        command)
            commands=(
                'schema:Print the JSON schema of what a command prints with --json.'
            )
            _describe command commands
            ;;
        rest)
            case $line[1] in
                schema) _saecli_schema ;;
            esac
            ;;
    esac
}

_saecli_schema() {
    _arguments \
        '--help[Show this message and exit.]' \
        '*:command: '
}

if [ "$funcstack[1]" = "_saecli" ]; then
    _saecli "$@"
else
    compdef _saecli saecli
fi
