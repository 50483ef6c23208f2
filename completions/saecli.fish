# Completion of saecli for fish; source it, or: saecli --show-completion fish | source
# Generated: see saecli/cli/completion_scripts.py

function __saecli_at --description 'True if the command line has come to this command'
    set -l path ''
    for word in (commandline -opc)[2..-1]
        switch "$path|$word"
            case '|schema'
                set path 'schema'
        end
    end
    test "$path" = "$argv[1]"
end

complete -c saecli -n '__saecli_at ""' -f -a schema -d 'Print the JSON schema of what a command prints with --json.'
complete -c saecli -n '__saecli_at ""' -l version -d 'Print the version and stop.'
complete -c saecli -n '__saecli_at ""' -l show-completion -d 'Print the completion script of a shell.' -x -a 'bash zsh fish'
complete -c saecli -n '__saecli_at ""' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "schema"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "schema"' -f
