# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of virtgate for bash. Asks no host: a Tab logs in nowhere.

_virtgate_hosts()
{
    [ -r ~/.ssh/config ] || return 0
    sed -n 's/^[[:blank:]]*[Hh][Oo][Ss][Tt][[:blank:]=]\{1,\}//p' ~/.ssh/config | tr -s '[:blank:]' '\n' | grep -v '[*?!]'
}

_virtgate()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb='' i words='' n=0
    local general='--batch --config --help --identity --quiet --ssh --version'

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --config | --identity | --ssh | --viewer | --listen | --screenshot | -F | -i) ((i++)) ;;
            --other | --other-uuid | --other-port | --other-path | --expect | --only | --timeout | --max-time | --rate) ((i++)) ;;
            -*) ;;
            *) if [ -z "$verb" ]; then verb=${COMP_WORDS[i]}; else ((n++)); fi ;;
        esac
    done
    COMPREPLY=()
    case $prev in
        --config | --identity | --screenshot | -F | -i)
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        --ssh | --viewer)
            mapfile -t COMPREPLY < <(compgen -c -- "$cur")
            return ;;
        --listen)
            words='127.0.0.1:' ;;
    esac
    if [ -n "$words" ]; then
        :
    elif [ -z "$verb" ]; then
        words="console info list power probe proxy ssh view $general"
    elif [[ $cur == -* ]]; then
        case $verb in
            console) words="--reconnect --takeover $general" ;;
            info) words="--json $general" ;;
            list) words="--json --watch $general" ;;
            probe)
                words="--against-open-sshd --as-json --expect --max-time --only --other --other-path --other-port --other-runs
                    --other-uuid --rate --timeout $general" ;;
            view) words="--listen --screenshot --viewer $general" ;;
            *) words=$general ;;
        esac
    elif [ "$verb" = power ] && [ $n = 0 ]; then
        words='start shutdown reboot reset off suspend resume'
    elif [ "$verb" = list ] || [ $n = 0 ] || { [ "$verb" = power ] && [ $n = 1 ]; }; then
        words=$(_virtgate_hosts)
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _virtgate virtgate
