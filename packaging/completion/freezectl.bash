# SPDX-License-Identifier: Apache-2.0
# made by: freezectl help completion
# shellcheck shell=bash
_freezectl() {
        local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words=
        COMPREPLY=()
        if [ "$COMP_CWORD" -eq 1 ]; then
                words="contain isolate freeze snapshot release extend status health plan sign approve send trust enroll help"
        elif [ "$verb" = trust ] && [ "$COMP_CWORD" -eq 2 ]; then
                words="init show verify rotate"
        elif [[ $cur == -* ]]; then
                [ "$verb" = trust ] && verb="trust ${COMP_WORDS[2]}"
                case $verb in
                "contain") words="--to --key --severity --incident --reason --lease --permit --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet" ;;
                "isolate") words="--to --key --severity --incident --reason --lease --permit --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet" ;;
                "freeze") words="--to --key --severity --incident --reason --lease --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet" ;;
                "snapshot") words="--to --key --severity --incident --reason --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet" ;;
                "release") words="--to --key --severity --incident --reason --expires --step --out --json --timeout --yes --socket --hosts-file --trust --fleet" ;;
                "extend") words="--to --key --severity --incident --reason --lease --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet" ;;
                "status") words="--json --timeout --socket --hosts-file" ;;
                "health") words="--json --timeout --socket --hosts-file" ;;
                "plan") words="--to --key --severity --incident --reason --lease --permit --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet" ;;
                "sign") words="--key --out --json --yes --hosts-file --trust" ;;
                "approve") words="--key --out --json --yes --hosts-file --trust" ;;
                "send") words="--json --timeout --yes --socket --hosts-file --trust" ;;
                "trust init") words="--key --expires --out --json --fleet --person --responder --automation --role --rule --default-rules --root --root-threshold" ;;
                "trust show") words="--json" ;;
                "trust verify") words="--json --from" ;;
                "trust rotate") words="--key --expires --out --json --responder --automation --role --rule --root --root-threshold --add-person --remove-person" ;;
                "enroll") words="--json --hosts-file --config-dir --state-dir --name" ;;
                "help") words="" ;;
                esac
        fi
        # shellcheck disable=SC2207
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _freezectl freezectl
