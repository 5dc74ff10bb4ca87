# SPDX-License-Identifier: Apache-2.0
# made by: freezectl help completion
# shellcheck shell=bash
_freezectl() {
        local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words= subs=
        COMPREPLY=()
        case $verb in
        "evidence") subs="list show verify export witness decrypt hold unhold delete" ;;
        "trust") subs="init show verify rotate send" ;;
        "fleet") subs="certify inventory hosts watch setup head nkey nats-config" ;;
        esac
        if [ "$COMP_CWORD" -eq 1 ]; then
                words="contain isolate freeze snapshot escalate openc2 release extend status health plan sign approve send evidence trust enroll fleet help"
        elif [ -n "$subs" ] && [ "$COMP_CWORD" -eq 2 ]; then
                words=$subs
        elif [[ $cur == -* ]]; then
                [ -n "$subs" ] && verb="$verb ${COMP_WORDS[2]}"
                case $verb in
                "contain") words="--to --key --severity --incident --reason --profile --lease --permit --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet --nats --inventory --max-hosts --wave --wait-wave" ;;
                "isolate") words="--to --key --severity --incident --reason --lease --permit --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet --nats --inventory --max-hosts --wave --wait-wave" ;;
                "freeze") words="--to --key --severity --incident --reason --lease --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet --nats --inventory --max-hosts --wave --wait-wave" ;;
                "snapshot") words="--to --key --severity --incident --reason --profile --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet --nats --inventory --max-hosts --wave --wait-wave" ;;
                "escalate") words="--key --expires --json --timeout --socket --hosts-file --trust --fleet --state-dir --rules --stdin --listen --token-file --tls --dry-run --webhook --nats --inventory" ;;
                "openc2") words="--key --lease --expires --json --timeout --socket --hosts-file --trust --fleet --export --nats --inventory" ;;
                "release") words="--to --key --severity --incident --reason --expires --step --out --json --timeout --yes --socket --hosts-file --trust --fleet --nats --inventory --max-hosts --wave --wait-wave" ;;
                "extend") words="--to --key --severity --incident --reason --lease --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet --nats --inventory --max-hosts --wave --wait-wave" ;;
                "status") words="--json --timeout --socket --hosts-file" ;;
                "health") words="--json --timeout --socket --hosts-file" ;;
                "plan") words="--to --key --severity --incident --reason --profile --lease --permit --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet --nats --inventory --max-hosts --wave --wait-wave" ;;
                "sign") words="--key --out --json --yes --hosts-file --trust --nats" ;;
                "approve") words="--key --out --json --yes --hosts-file --trust --nats" ;;
                "send") words="--json --timeout --yes --socket --hosts-file --trust --nats --inventory --wait-wave" ;;
                "evidence list") words="--json --socket --hosts-file --state-dir" ;;
                "evidence show") words="--json --socket --hosts-file --state-dir" ;;
                "evidence verify") words="--json --socket --hosts-file --trust --state-dir" ;;
                "evidence export") words="--out --json --socket --hosts-file --trust --identity --state-dir" ;;
                "evidence witness") words="--json --timeout --trust --state-dir" ;;
                "evidence decrypt") words="--out --json --socket --hosts-file --identity --state-dir" ;;
                "evidence hold") words="--to --key --severity --incident --reason --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet --state-dir" ;;
                "evidence unhold") words="--to --key --severity --incident --reason --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet" ;;
                "evidence delete") words="--to --key --severity --incident --reason --expires --out --json --timeout --yes --socket --hosts-file --trust --fleet --state-dir" ;;
                "trust init") words="--key --expires --out --json --fleet --person --responder --automation --custodian --registrar --herald --role --rule --default-rules --root --root-threshold --recipient --retention --witness" ;;
                "trust show") words="--json" ;;
                "trust verify") words="--json --from" ;;
                "trust rotate") words="--key --expires --out --json --responder --automation --custodian --registrar --herald --role --rule --root --root-threshold --recipient --retention --witness --add-person --remove-person" ;;
                "trust send") words="--json --timeout --yes --socket --hosts-file --trust --nats --inventory" ;;
                "enroll") words="--json --hosts-file --config-dir --state-dir --name" ;;
                "fleet certify") words="--key --out --json --timeout --socket --hosts-file --trust --name --host --key-file --group --serial" ;;
                "fleet inventory") words="--out --json --trust --nats --inventory" ;;
                "fleet hosts") words="--json --timeout --trust --nats --inventory" ;;
                "fleet watch") words="--json --timeout --trust --nats --inventory" ;;
                "fleet setup") words="--json --yes --trust --fleet --nats" ;;
                "fleet head") words="--key --json --trust --state-dir --nats --once --orders" ;;
                "fleet nkey") words="--json --name" ;;
                "fleet nats-config") words="--trust --inventory --nkeys" ;;
                "help") words="" ;;
                esac
        fi
        # shellcheck disable=SC2207
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _freezectl freezectl
