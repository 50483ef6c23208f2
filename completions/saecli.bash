# Completion of saecli for bash; source it, or: eval "$(saecli --show-completion bash)"
# Generated: see saecli/cli/completion_scripts.py

_saecli() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} path= words= paths= i
    local typed=${COMP_LINE:0:COMP_POINT} colon=
    typed=${typed##*[[:blank:]]}
    if [[ $typed == *:* && $typed != *=* && $typed != "$cur" ]]; then  # bash splits words at colons
        local before=${COMP_LINE:0:COMP_POINT-${#typed}}
        before=${before%"${before##*[![:blank:]]}"}
        cur=$typed prev=${before##*[[:blank:]]} colon=${typed%"${typed##*:}"}
    fi
    if [[ $cur == "=" ]]; then
        cur=
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$path|${COMP_WORDS[i]}" in
            '|trace') path='trace' ;;
            '|train') path='train' ;;
            '|connect') path='connect' ;;
            '|finetune') path='finetune' ;;
            '|validate') path='validate' ;;
            '|f1') path='f1' ;;
            '|cooc') path='cooc' ;;
            '|graph') path='graph' ;;
            '|download') path='download' ;;
            '|convert') path='convert' ;;
            '|run') path='run' ;;
            '|zoo') path='zoo' ;;
            '|schema') path='schema' ;;
            'train|lm') path='train lm' ;;
            'train|sae') path='train sae' ;;
            'graph|show') path='graph show' ;;
            'graph|diff') path='graph diff' ;;
            'graph|merge') path='graph merge' ;;
            'graph|prune') path='graph prune' ;;
            'graph|export') path='graph export' ;;
            'zoo|list') path='zoo list' ;;
            'zoo|show') path='zoo show' ;;
            'zoo|cache') path='zoo cache' ;;
            'zoo cache|ls') path='zoo cache ls' ;;
            'zoo cache|prune') path='zoo cache prune' ;;
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
        files) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$cur") ;;
        dirs) compopt -o filenames; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$cur") ;;
    esac
    [[ -z $colon ]] || COMPREPLY=("${COMPREPLY[@]#"$colon"}")
}

_saecli_flags() {
    case "$1" in
        '') words='--version --show-completion --help' ;;
        'trace') words='--suite --probe --benchmark --game --prompt --patch --prompts --n-prompts --aggregate --at --target --metric --method --steps --rule --ablation --data --sequences --positions --keep --top-nodes --node-threshold --top-edges --edge-threshold --pin --labels --contexts --context-width --context-sequences --explanations --threshold --samples --neighbours --position-weight --max-tokens --window --norms --influence --first-fraction --extend --calibrate --percentile --cluster --calibrate-sequences --rules --layers --kind --device --dtype --batch-size --max-memory --seed --threads --out --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'train') words='--help' ;;
        'train lm') words='--data --tokenizer --n-ctx --batch-size --micro-batch --targets --n-layer --n-head --d-model --norm --tanh-alpha --steps --optimizer --lr --muon-lr --warmup --schedule --min-lr --weight-decay --grad-clip --device --precision --keep --save-dtype --eval-every --held-out --pack --no-pack --log-every --checkpoint-seconds --wandb --max-memory --resume --seed --threads --out --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'train sae') words='--kind --arch --k --latents --sparsity-weight --target-l0 --sparsity-p --l0-loss --groups --widths --sharing --stairs --tied --no-tied --skip --no-skip --decoder-norm --processing --data --context --drop --cache-activations --activations --site --tokens --batch --buffer --sequences --lr --beta1 --warmup --decay --sparsity-warmup --k-anneal --init --b-dec-init --resample-every --grad-clip --dead-after --aux-k --aux-coefficient --bandwidth --tanh-scale --anneal-start --device --precision --compile --no-compile --save-dtype --held-out --pack --no-pack --log-every --checkpoint-seconds --wandb --max-memory --resume --seed --threads --out --overwrite --plan --config --template --show-config --json --quiet -q --layers --help' ;;
        'connect') words='--suite --data --sequences --n-ctx --score --c --keep --embed --logits --compat --device --dtype --pack --no-pack --batch-size --max-memory --seed --threads --out --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'finetune') words='--model --connections --c --data --context --sequences --loss --steps --lr --warmup --decay --stagger --grad-clip --decoder-norm --dead-after --aux-k --aux-coefficient --compat --held-out --save-dtype --device --pack --no-pack --log-every --checkpoint-seconds --wandb --max-memory --resume --seed --threads --out --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'validate') words='--model --data --sequences --n-ctx --firing --suite --connections --c --compat --prompts --ablation --errors --draws --features --set --generate --temperature --prompt --game --at --target --metric --min-faithfulness --require --device --pack --no-pack --layers --kind --dtype --batch-size --max-memory --seed --threads --out --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'f1') words='--model --data --games --indexing --positions --property --thresholds --precision --min-true-positives --min-support --label-f1 --compat --fidelity --no-fidelity --control --wide --plot --require --cache-codes --resume --layers --kind --device --dtype --batch-size --max-memory --seed --threads --out --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'cooc') words='--suite --data --sequences --n-ctx --special --threshold --min-count --min-pair --jaccard-floor --weight --edge-threshold --min-size --max-size --cut --recut --communities --size --per-size --max-examples --context --views --page-bytes --probe --h5 --neuronpedia --compat --require --cache-codes --pack --no-pack --layers --kind --device --dtype --batch-size --max-memory --seed --threads --out --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'graph') words='--help' ;;
        'graph show') words='--node --top --json --quiet -q --help' ;;
        'graph diff') words='--positions --top --out --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'graph merge') words='--how --positions --out --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'graph prune') words='--node-threshold --top-nodes --influence --connected --pin --edge-threshold --top-edges --top-edges-out --edge-influence --group --out --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'graph export') words='--to --out --supernodes --overwrite --plan --config --template --show-config --json --quiet -q --help' ;;
        'download') words='--include --revision --lock --list --search --cache-dir --plan --config --template --show-config --json --quiet -q --help' ;;
        'convert') words='--to --overwrite --tokenizer --column --documents --separator --split --val-fraction --shard-tokens --include --site --norm-scale --parallel --no-parallel --dtype --as --lossy --plan --config --template --show-config --json --quiet -q --help' ;;
        'run') words='--set --list --check --plan --out --overwrite --resume --json --quiet -q --help' ;;
        'zoo') words='--help' ;;
        'zoo list') words='--search --json --quiet -q --help' ;;
        'zoo show') words='--include --site --probe --model --json --quiet -q --help' ;;
        'zoo cache') words='--help' ;;
        'zoo cache ls') words='--cache-dir --json --quiet -q --help' ;;
        'zoo cache prune') words='--older-than --cache-dir --plan --config --template --show-config --json --quiet -q --help' ;;
        'schema') words='--help' ;;
    esac
}

# what a flag's value or a positional argument may be; fails if the flag takes none
_saecli_values() {
    [[ $1 == *"|" && $cur == -* ]] && return 1
    case "$1" in
        '|--show-completion') words='bash zsh fish' paths='' ;;
        '|') words='trace train connect finetune validate f1 cooc graph download convert run zoo schema' paths='' ;;
        'trace|--suite') words='gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' paths='files' ;;
        'trace|--game') words='' paths='' ;;
        'trace|--prompt') words='' paths='' ;;
        'trace|--patch') words='' paths='' ;;
        'trace|--prompts') words='' paths='files' ;;
        'trace|--n-prompts') words='' paths='' ;;
        'trace|--aggregate') words='none sum mean' paths='' ;;
        'trace|--at') words='' paths='' ;;
        'trace|--target') words='' paths='' ;;
        'trace|--metric') words='auto over-illegal over-mean logit logit-diff ce kl feature' paths='' ;;
        'trace|--method') words='gradient ig ablation exact search direct' paths='' ;;
        'trace|--steps') words='' paths='' ;;
        'trace|--rule') words='midpoint left' paths='' ;;
        'trace|--ablation') words='zero mean resample patch' paths='' ;;
        'trace|--data') words='' paths='files' ;;
        'trace|--sequences') words='' paths='' ;;
        'trace|--positions') words='each all last' paths='' ;;
        'trace|--keep') words='' paths='' ;;
        'trace|--top-nodes') words='' paths='' ;;
        'trace|--node-threshold') words='' paths='' ;;
        'trace|--top-edges') words='' paths='' ;;
        'trace|--edge-threshold') words='' paths='' ;;
        'trace|--pin') words='' paths='' ;;
        'trace|--labels') words='' paths='files' ;;
        'trace|--contexts') words='' paths='' ;;
        'trace|--context-width') words='' paths='' ;;
        'trace|--context-sequences') words='' paths='' ;;
        'trace|--explanations') words='none neuronpedia' paths='' ;;
        'trace|--threshold') words='' paths='' ;;
        'trace|--samples') words='' paths='' ;;
        'trace|--neighbours') words='' paths='' ;;
        'trace|--position-weight') words='' paths='' ;;
        'trace|--max-tokens') words='' paths='' ;;
        'trace|--window') words='' paths='' ;;
        'trace|--norms') words='frozen live' paths='' ;;
        'trace|--influence') words='' paths='' ;;
        'trace|--first-fraction') words='' paths='' ;;
        'trace|--extend') words='' paths='files' ;;
        'trace|--calibrate') words='' paths='files' ;;
        'trace|--percentile') words='' paths='' ;;
        'trace|--cluster') words='' paths='' ;;
        'trace|--calibrate-sequences') words='' paths='' ;;
        'trace|--rules') words='' paths='' ;;
        'trace|--layers') words='' paths='' ;;
        'trace|--kind') words='resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post' paths='' ;;
        'trace|--device') words='auto cpu cuda mps' paths='' ;;
        'trace|--dtype') words='auto float32 bfloat16 float16 float64' paths='' ;;
        'trace|--batch-size') words='' paths='' ;;
        'trace|--max-memory') words='' paths='' ;;
        'trace|--seed') words='' paths='' ;;
        'trace|--threads') words='' paths='' ;;
        'trace|--out') words='' paths='dirs' ;;
        'trace|--config') words='' paths='files' ;;
        'trace|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'trace|') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' paths='files' ;;
        'train|') words='lm sae' paths='' ;;
        'train lm|--data') words='' paths='files' ;;
        'train lm|--tokenizer') words='' paths='' ;;
        'train lm|--n-ctx') words='' paths='' ;;
        'train lm|--batch-size') words='' paths='' ;;
        'train lm|--micro-batch') words='' paths='' ;;
        'train lm|--targets') words='auto sampled expected' paths='' ;;
        'train lm|--n-layer') words='' paths='' ;;
        'train lm|--n-head') words='' paths='' ;;
        'train lm|--d-model') words='' paths='' ;;
        'train lm|--norm') words='layernorm dynamic-tanh' paths='' ;;
        'train lm|--tanh-alpha') words='' paths='' ;;
        'train lm|--steps') words='' paths='' ;;
        'train lm|--optimizer') words='muon adamw' paths='' ;;
        'train lm|--lr') words='' paths='' ;;
        'train lm|--muon-lr') words='' paths='' ;;
        'train lm|--warmup') words='' paths='' ;;
        'train lm|--schedule') words='cosine constant' paths='' ;;
        'train lm|--min-lr') words='' paths='' ;;
        'train lm|--weight-decay') words='' paths='' ;;
        'train lm|--grad-clip') words='' paths='' ;;
        'train lm|--device') words='cpu cuda mps' paths='' ;;
        'train lm|--precision') words='fp32 bf16 fp64' paths='' ;;
        'train lm|--keep') words='last best' paths='' ;;
        'train lm|--save-dtype') words='float32 float16 bfloat16' paths='' ;;
        'train lm|--eval-every') words='' paths='' ;;
        'train lm|--held-out') words='' paths='' ;;
        'train lm|--log-every') words='' paths='' ;;
        'train lm|--checkpoint-seconds') words='' paths='' ;;
        'train lm|--wandb') words='' paths='' ;;
        'train lm|--max-memory') words='' paths='' ;;
        'train lm|--seed') words='' paths='' ;;
        'train lm|--threads') words='' paths='' ;;
        'train lm|--out') words='' paths='dirs' ;;
        'train lm|--config') words='' paths='files' ;;
        'train lm|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'train sae|--kind') words='resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post' paths='' ;;
        'train sae|--arch') words='standard topk batchtopk matryoshka gated jumprelu identity random staircase staircase-jumprelu' paths='' ;;
        'train sae|--k') words='' paths='' ;;
        'train sae|--latents') words='' paths='' ;;
        'train sae|--sparsity-weight') words='' paths='' ;;
        'train sae|--target-l0') words='' paths='' ;;
        'train sae|--sparsity-p') words='' paths='' ;;
        'train sae|--l0-loss') words='target l0 tanh' paths='' ;;
        'train sae|--groups') words='' paths='' ;;
        'train sae|--widths') words='' paths='' ;;
        'train sae|--sharing') words='weights detached b-dec none' paths='' ;;
        'train sae|--stairs') words='sites blocks' paths='' ;;
        'train sae|--decoder-norm') words='unit free' paths='' ;;
        'train sae|--processing') words='raw folded' paths='' ;;
        'train sae|--data') words='' paths='files' ;;
        'train sae|--context') words='' paths='' ;;
        'train sae|--drop') words='' paths='' ;;
        'train sae|--cache-activations') words='' paths='' ;;
        'train sae|--activations') words='' paths='files' ;;
        'train sae|--site') words='' paths='' ;;
        'train sae|--tokens') words='' paths='' ;;
        'train sae|--batch') words='' paths='' ;;
        'train sae|--buffer') words='' paths='' ;;
        'train sae|--sequences') words='' paths='' ;;
        'train sae|--lr') words='' paths='' ;;
        'train sae|--beta1') words='' paths='' ;;
        'train sae|--warmup') words='' paths='' ;;
        'train sae|--decay') words='' paths='' ;;
        'train sae|--sparsity-warmup') words='' paths='' ;;
        'train sae|--k-anneal') words='' paths='' ;;
        'train sae|--init') words='auto random active-subspace mlp' paths='' ;;
        'train sae|--b-dec-init') words='mean geometric-median zero' paths='' ;;
        'train sae|--resample-every') words='' paths='' ;;
        'train sae|--grad-clip') words='' paths='' ;;
        'train sae|--dead-after') words='' paths='' ;;
        'train sae|--aux-k') words='' paths='' ;;
        'train sae|--aux-coefficient') words='' paths='' ;;
        'train sae|--bandwidth') words='' paths='' ;;
        'train sae|--tanh-scale') words='' paths='' ;;
        'train sae|--anneal-start') words='' paths='' ;;
        'train sae|--device') words='cpu cuda mps' paths='' ;;
        'train sae|--precision') words='fp32 fp64 bf16 bf16-screen' paths='' ;;
        'train sae|--save-dtype') words='float32 float16 bfloat16' paths='' ;;
        'train sae|--held-out') words='' paths='' ;;
        'train sae|--log-every') words='' paths='' ;;
        'train sae|--checkpoint-seconds') words='' paths='' ;;
        'train sae|--wandb') words='' paths='' ;;
        'train sae|--max-memory') words='' paths='' ;;
        'train sae|--seed') words='' paths='' ;;
        'train sae|--threads') words='' paths='' ;;
        'train sae|--out') words='' paths='dirs' ;;
        'train sae|--config') words='' paths='files' ;;
        'train sae|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'train sae|--layers') words='' paths='' ;;
        'train sae|') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' paths='files' ;;
        'connect|--suite') words='gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' paths='files' ;;
        'connect|--data') words='' paths='files' ;;
        'connect|--sequences') words='' paths='' ;;
        'connect|--n-ctx') words='' paths='' ;;
        'connect|--score') words='active-mean mean max weight gradient random' paths='' ;;
        'connect|--c') words='' paths='' ;;
        'connect|--keep') words='' paths='' ;;
        'connect|--compat') words='scae' paths='' ;;
        'connect|--device') words='auto cpu cuda' paths='' ;;
        'connect|--dtype') words='auto float32 float64' paths='' ;;
        'connect|--batch-size') words='' paths='' ;;
        'connect|--max-memory') words='' paths='' ;;
        'connect|--seed') words='' paths='' ;;
        'connect|--threads') words='' paths='' ;;
        'connect|--out') words='' paths='dirs' ;;
        'connect|--config') words='' paths='files' ;;
        'connect|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'connect|') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' paths='files' ;;
        'finetune|--model') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' paths='files' ;;
        'finetune|--connections') words='' paths='files' ;;
        'finetune|--c') words='' paths='' ;;
        'finetune|--data') words='' paths='files' ;;
        'finetune|--context') words='' paths='' ;;
        'finetune|--sequences') words='' paths='' ;;
        'finetune|--loss') words='' paths='' ;;
        'finetune|--steps') words='' paths='' ;;
        'finetune|--lr') words='' paths='' ;;
        'finetune|--warmup') words='' paths='' ;;
        'finetune|--decay') words='' paths='' ;;
        'finetune|--stagger') words='' paths='' ;;
        'finetune|--grad-clip') words='' paths='' ;;
        'finetune|--decoder-norm') words='free kept' paths='' ;;
        'finetune|--dead-after') words='' paths='' ;;
        'finetune|--aux-k') words='' paths='' ;;
        'finetune|--aux-coefficient') words='' paths='' ;;
        'finetune|--compat') words='none scae' paths='' ;;
        'finetune|--held-out') words='' paths='' ;;
        'finetune|--save-dtype') words='float32 float16 bfloat16' paths='' ;;
        'finetune|--device') words='auto cpu cuda' paths='' ;;
        'finetune|--log-every') words='' paths='' ;;
        'finetune|--checkpoint-seconds') words='' paths='' ;;
        'finetune|--wandb') words='' paths='' ;;
        'finetune|--max-memory') words='' paths='' ;;
        'finetune|--seed') words='' paths='' ;;
        'finetune|--threads') words='' paths='' ;;
        'finetune|--out') words='' paths='dirs' ;;
        'finetune|--config') words='' paths='files' ;;
        'finetune|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'finetune|') words='gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' paths='files' ;;
        'validate|--model') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' paths='files' ;;
        'validate|--data') words='' paths='files' ;;
        'validate|--sequences') words='' paths='' ;;
        'validate|--n-ctx') words='' paths='' ;;
        'validate|--firing') words='' paths='' ;;
        'validate|--suite') words='gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' paths='files' ;;
        'validate|--connections') words='' paths='files' ;;
        'validate|--c') words='' paths='' ;;
        'validate|--compat') words='none scae' paths='' ;;
        'validate|--prompts') words='' paths='files' ;;
        'validate|--ablation') words='zero mean resample' paths='' ;;
        'validate|--errors') words='circuit kept removed' paths='' ;;
        'validate|--draws') words='' paths='' ;;
        'validate|--features') words='' paths='' ;;
        'validate|--set') words='' paths='' ;;
        'validate|--generate') words='' paths='' ;;
        'validate|--temperature') words='' paths='' ;;
        'validate|--prompt') words='' paths='' ;;
        'validate|--game') words='' paths='' ;;
        'validate|--at') words='' paths='' ;;
        'validate|--target') words='' paths='' ;;
        'validate|--metric') words='auto over-illegal over-mean logit logit-diff ce kl feature' paths='' ;;
        'validate|--min-faithfulness') words='' paths='' ;;
        'validate|--require') words='' paths='' ;;
        'validate|--device') words='auto cpu cuda' paths='' ;;
        'validate|--layers') words='' paths='' ;;
        'validate|--kind') words='resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post' paths='' ;;
        'validate|--dtype') words='auto float32 bfloat16 float16 float64' paths='' ;;
        'validate|--batch-size') words='' paths='' ;;
        'validate|--max-memory') words='' paths='' ;;
        'validate|--seed') words='' paths='' ;;
        'validate|--threads') words='' paths='' ;;
        'validate|--out') words='' paths='dirs' ;;
        'validate|--config') words='' paths='files' ;;
        'validate|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'validate|') words='gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' paths='files' ;;
        'f1|--model') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' paths='files' ;;
        'f1|--data') words='' paths='files' ;;
        'f1|--games') words='' paths='' ;;
        'f1|--indexing') words='dots spaces even-spaces odd-spaces after-dots after-even-spaces after-odd-spaces numbers white black all even odd' paths='' ;;
        'f1|--positions') words='' paths='' ;;
        'f1|--property') words='state mine-yours mine-yours-no-blank valid-moves lines-mine lines-yours length-lines-mine opponent-length-lines-mine piece piece-no-blank piece-moved colour pin threat check legal-move specific-fork any-fork castling-rights queenside-castling kingside-castling en-passant pseudo-legal-move claim-draw check-next bishop-pair mate-threat capture-queen queen connected-rooks ambiguous-moves previous-piece stalemate material piece-count last-move all' paths='' ;;
        'f1|--thresholds') words='' paths='' ;;
        'f1|--precision') words='' paths='' ;;
        'f1|--min-true-positives') words='' paths='' ;;
        'f1|--min-support') words='' paths='' ;;
        'f1|--label-f1') words='' paths='' ;;
        'f1|--compat') words='paper' paths='' ;;
        'f1|--control') words='random-weights neurons none' paths='' ;;
        'f1|--plot') words='' paths='files' ;;
        'f1|--require') words='' paths='' ;;
        'f1|--cache-codes') words='' paths='' ;;
        'f1|--layers') words='' paths='' ;;
        'f1|--kind') words='resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post' paths='' ;;
        'f1|--device') words='auto cpu cuda mps' paths='' ;;
        'f1|--dtype') words='auto float32 bfloat16 float16 float64' paths='' ;;
        'f1|--batch-size') words='' paths='' ;;
        'f1|--max-memory') words='' paths='' ;;
        'f1|--seed') words='' paths='' ;;
        'f1|--threads') words='' paths='' ;;
        'f1|--out') words='' paths='dirs' ;;
        'f1|--config') words='' paths='files' ;;
        'f1|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'f1|') words='gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' paths='files' ;;
        'cooc|--suite') words='gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' paths='files' ;;
        'cooc|--data') words='' paths='files' ;;
        'cooc|--sequences') words='' paths='' ;;
        'cooc|--n-ctx') words='' paths='' ;;
        'cooc|--special') words='drop keep' paths='' ;;
        'cooc|--threshold') words='' paths='' ;;
        'cooc|--min-count') words='' paths='' ;;
        'cooc|--min-pair') words='' paths='' ;;
        'cooc|--jaccard-floor') words='' paths='' ;;
        'cooc|--weight') words='jaccard lift pmi' paths='' ;;
        'cooc|--edge-threshold') words='' paths='' ;;
        'cooc|--min-size') words='' paths='' ;;
        'cooc|--max-size') words='' paths='' ;;
        'cooc|--cut') words='exact bisect' paths='' ;;
        'cooc|--recut') words='' paths='' ;;
        'cooc|--size') words='' paths='' ;;
        'cooc|--per-size') words='' paths='' ;;
        'cooc|--max-examples') words='' paths='' ;;
        'cooc|--context') words='' paths='' ;;
        'cooc|--views') words='' paths='files' ;;
        'cooc|--page-bytes') words='' paths='' ;;
        'cooc|--probe') words='' paths='' ;;
        'cooc|--neuronpedia') words='' paths='' ;;
        'cooc|--compat') words='cooc' paths='' ;;
        'cooc|--require') words='' paths='' ;;
        'cooc|--cache-codes') words='' paths='' ;;
        'cooc|--layers') words='' paths='' ;;
        'cooc|--kind') words='resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post' paths='' ;;
        'cooc|--device') words='auto cpu cuda mps' paths='' ;;
        'cooc|--dtype') words='auto float32 bfloat16 float16 float64' paths='' ;;
        'cooc|--batch-size') words='' paths='' ;;
        'cooc|--max-memory') words='' paths='' ;;
        'cooc|--seed') words='' paths='' ;;
        'cooc|--threads') words='' paths='' ;;
        'cooc|--out') words='' paths='dirs' ;;
        'cooc|--config') words='' paths='files' ;;
        'cooc|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'cooc|') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' paths='files' ;;
        'graph|') words='show diff merge prune export' paths='' ;;
        'graph show|--node') words='' paths='' ;;
        'graph show|--top') words='' paths='' ;;
        'graph show|') words='' paths='files' ;;
        'graph diff|--positions') words='auto keep sum' paths='' ;;
        'graph diff|--top') words='' paths='' ;;
        'graph diff|--out') words='' paths='dirs' ;;
        'graph diff|--config') words='' paths='files' ;;
        'graph diff|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'graph diff|') words='' paths='files' ;;
        'graph merge|--how') words='union intersection' paths='' ;;
        'graph merge|--positions') words='auto keep sum' paths='' ;;
        'graph merge|--out') words='' paths='dirs' ;;
        'graph merge|--config') words='' paths='files' ;;
        'graph merge|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'graph merge|') words='' paths='files' ;;
        'graph prune|--node-threshold') words='' paths='' ;;
        'graph prune|--top-nodes') words='' paths='' ;;
        'graph prune|--influence') words='' paths='' ;;
        'graph prune|--pin') words='' paths='' ;;
        'graph prune|--edge-threshold') words='' paths='' ;;
        'graph prune|--top-edges') words='' paths='' ;;
        'graph prune|--top-edges-out') words='' paths='' ;;
        'graph prune|--edge-influence') words='' paths='' ;;
        'graph prune|--group') words='none labels' paths='' ;;
        'graph prune|--out') words='' paths='dirs' ;;
        'graph prune|--config') words='' paths='files' ;;
        'graph prune|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'graph prune|') words='' paths='files' ;;
        'graph export|--to') words='neuronpedia circuit-tracer saecli dot graphml csv svg png pdf html' paths='' ;;
        'graph export|--out') words='' paths='files' ;;
        'graph export|--supernodes') words='' paths='files' ;;
        'graph export|--config') words='' paths='files' ;;
        'graph export|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'graph export|') words='' paths='files' ;;
        'download|--include') words='' paths='' ;;
        'download|--revision') words='' paths='' ;;
        'download|--lock') words='' paths='files' ;;
        'download|--search') words='' paths='' ;;
        'download|--cache-dir') words='' paths='dirs' ;;
        'download|--config') words='' paths='files' ;;
        'download|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'download|') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b data:openwebtext data:pile-10k data:chess-random data:chess data:chess-train data:othello data:othello-synthetic data:python data:shakespeare data:tinystories data:simplestories' paths='' ;;
        'convert|--to') words='shards saelens dictionary_learning sparsify circuit-tracer gpt-circuits connections' paths='' ;;
        'convert|--tokenizer') words='' paths='' ;;
        'convert|--column') words='' paths='' ;;
        'convert|--documents') words='' paths='' ;;
        'convert|--separator') words='none newline eos' paths='' ;;
        'convert|--split') words='auto documents head names' paths='' ;;
        'convert|--val-fraction') words='' paths='' ;;
        'convert|--shard-tokens') words='' paths='' ;;
        'convert|--include') words='' paths='' ;;
        'convert|--site') words='' paths='' ;;
        'convert|--norm-scale') words='' paths='' ;;
        'convert|--dtype') words='float32 float16 bfloat16' paths='' ;;
        'convert|--as') words='jumprelu' paths='' ;;
        'convert|--config') words='' paths='files' ;;
        'convert|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'convert|') words='' paths='files' ;;
        'run|--set') words='' paths='' ;;
        'run|--out') words='' paths='dirs' ;;
        'run|') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='files' ;;
        'zoo|') words='list show cache' paths='' ;;
        'zoo list|--search') words='' paths='' ;;
        'zoo list|') words='models suites data' paths='' ;;
        'zoo show|--include') words='' paths='' ;;
        'zoo show|--site') words='' paths='' ;;
        'zoo show|--model') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' paths='' ;;
        'zoo show|') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' paths='' ;;
        'zoo cache|') words='ls prune' paths='' ;;
        'zoo cache ls|--cache-dir') words='' paths='dirs' ;;
        'zoo cache prune|--older-than') words='' paths='' ;;
        'zoo cache prune|--cache-dir') words='' paths='dirs' ;;
        'zoo cache prune|--config') words='' paths='files' ;;
        'zoo cache prune|--template') words='boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop othello-mini python-mini scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m' paths='' ;;
        'zoo cache prune|') words='gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b data:openwebtext data:pile-10k data:chess-random data:chess data:chess-train data:othello data:othello-synthetic data:python data:shakespeare data:tinystories data:simplestories' paths='' ;;
        'schema|') words='trace train connect finetune validate f1 cooc graph download convert run zoo' paths='' ;;
        *) return 1 ;;
    esac
}

complete -F _saecli saecli
