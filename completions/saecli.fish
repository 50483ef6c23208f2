# Completion of saecli for fish; source it, or: saecli --show-completion fish | source
# Generated: see saecli/cli/completion_scripts.py

function __saecli_at --description 'True if the command line has come to this command'
    set -l path ''
    for word in (commandline -opc)[2..-1]
        switch "$path|$word"
            case '|trace'
                set path 'trace'
            case '|train'
                set path 'train'
            case '|connect'
                set path 'connect'
            case '|finetune'
                set path 'finetune'
            case '|validate'
                set path 'validate'
            case '|f1'
                set path 'f1'
            case '|cooc'
                set path 'cooc'
            case '|graph'
                set path 'graph'
            case '|view'
                set path 'view'
            case '|download'
                set path 'download'
            case '|convert'
                set path 'convert'
            case '|run'
                set path 'run'
            case '|zoo'
                set path 'zoo'
            case '|schema'
                set path 'schema'
            case 'train|lm'
                set path 'train lm'
            case 'train|sae'
                set path 'train sae'
            case 'graph|show'
                set path 'graph show'
            case 'graph|diff'
                set path 'graph diff'
            case 'graph|merge'
                set path 'graph merge'
            case 'graph|prune'
                set path 'graph prune'
            case 'graph|export'
                set path 'graph export'
            case 'zoo|list'
                set path 'zoo list'
            case 'zoo|show'
                set path 'zoo show'
            case 'zoo|cache'
                set path 'zoo cache'
            case 'zoo cache|ls'
                set path 'zoo cache ls'
            case 'zoo cache|prune'
                set path 'zoo cache prune'
        end
    end
    test "$path" = "$argv[1]"
end

complete -c saecli -n '__saecli_at ""' -f -a trace -d 'Circuit graph of a prediction: what helps or hurts it, and through what.'
complete -c saecli -n '__saecli_at ""' -f -a train -d 'Train what the other commands need.'
complete -c saecli -n '__saecli_at ""' -f -a connect -d 'The few upstream features that each feature of a suite may depend on.'
complete -c saecli -n '__saecli_at ""' -f -a finetune -d 'Train a suite of dictionaries through its sparse connections.'
complete -c saecli -n '__saecli_at ""' -f -a validate -d 'Whether suites keep what a model does, and circuits carry it; controls.'
complete -c saecli -n '__saecli_at ""' -f -a f1 -d 'What dictionaries know of the board: F1 of features, coverage, reconstruction.'
complete -c saecli -n '__saecli_at ""' -f -a cooc -d 'Latents that fire together: pairs, clusters, the subspaces they span.'
complete -c saecli -n '__saecli_at ""' -f -a graph -d 'Work on stored circuit graphs, without a model.'
complete -c saecli -n '__saecli_at ""' -f -a view -d 'Open a report, or the page of a feature.'
complete -c saecli -n '__saecli_at ""' -f -a download -d 'Fetch models, dictionaries and data sets, or list what there is.'
complete -c saecli -n '__saecli_at ""' -f -a convert -d 'Dictionaries into other formats, text into token shards.'
complete -c saecli -n '__saecli_at ""' -f -a run -d 'The steps of a template one after the other; a finished run again, with --check.'
complete -c saecli -n '__saecli_at ""' -f -a zoo -d 'What there is: models, dictionaries and data sets by name, and what a file or folder is.'
complete -c saecli -n '__saecli_at ""' -f -a schema -d 'Print the JSON schema of what a command prints with --json.'
complete -c saecli -n '__saecli_at ""' -l version -d 'Print the version and stop.'
complete -c saecli -n '__saecli_at ""' -l show-completion -d 'Print the completion script of a shell.' -x -a 'bash zsh fish'
complete -c saecli -n '__saecli_at ""' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "trace"' -l suite -d 'The model\'s dictionaries; its own suite if not given.' -r -a 'gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' -F
complete -c saecli -n '__saecli_at "trace"' -l probe -d 'First check on 1,000 tokens that the dictionaries do what is recorded of them.'
complete -c saecli -n '__saecli_at "trace"' -l benchmark -d 'Trace circuits planted in small models, by every method, and tell how much of them is found; takes no model.'
complete -c saecli -n '__saecli_at "trace"' -l game -d 'For models of games: moves of Othello, F5D6C3… or token ids, or of chess, \'1. e4 e5 2. Nf3\' (\';1.e4 e5 2.N\' to the character); a fixed held-out game if not given.' -x
complete -c saecli -n '__saecli_at "trace"' -l prompt -d 'For models of text: the text; a fixed one if not given.' -x
complete -c saecli -n '__saecli_at "trace"' -l patch -d 'A counterfactual text or game of equal length: what is removed takes its activation there.' -x
complete -c saecli -n '__saecli_at "trace"' -l prompts -d 'Many prompts: JSON lines with clean_prefix and clean_answer, and patch_prefix and patch_answer for counterfactuals; games of chess in a PGN file; or data, as --data names them. Of games and data the model\'s own top choice at --at is explained (with --metric ce the token that follows).' -r -F
complete -c saecli -n '__saecli_at "trace"' -l n-prompts -d 'The first so many of --prompts; if not given, all of a file, 100 sequences of data.' -x
complete -c saecli -n '__saecli_at "trace"' -l aggregate -d 'With --prompts: add up the positions of a prompt, take their mean, or keep them (prompts of one length); then the mean over prompts.' -x -a 'none sum mean'
complete -c saecli -n '__saecli_at "trace"' -l at -d 'Explain the prediction at this position, from 0 (negative: from the end); if not given, the last, 19 of data in --prompts.' -x
complete -c saecli -n '__saecli_at "trace"' -l target -d 'What to explain: a move F5, a token \' the\', a pair F5-C3, or a feature 8:331@19; the model\'s top choice if not given.' -x
complete -c saecli -n '__saecli_at "trace"' -l metric -d 'What effects are measured in; auto fits the model and the target.' -x -a 'auto over-illegal over-mean logit logit-diff ce kl feature'
complete -c saecli -n '__saecli_at "trace"' -l method -d 'First-order effects; integrated gradients, first-order effects averaged on the way to the removal of a whole site; ablation, removing features one by one and watching activations change; exact, removing features and errors one by one and measuring every edge by itself; search, the fewest features of each residual site that keep the prediction; or direct, for transcoders: what features do to each other where norms keep their scales and attention its patterns. If not given, direct for transcoders and gradient else.' -x -a 'gradient ig ablation exact search direct'
complete -c saecli -n '__saecli_at "trace"' -l steps -d 'With ig: points on the way.' -x
complete -c saecli -n '__saecli_at "trace"' -l rule -d 'With ig: the points lie in the middle of equal parts, or at their beginning.' -x -a 'midpoint left'
complete -c saecli -n '__saecli_at "trace"' -l ablation -d 'What takes the place of what is removed: nothing, the mean over --data, another sequence of --data (by --seed), or its activation on --patch; if not given, --patch if there is one, else nothing (with search: tokens of --data).' -x -a 'zero mean resample patch'
complete -c saecli -n '__saecli_at "trace"' -l data -d 'For mean, resample, search and --contexts; if not given, what the zoo names for the model: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME[/CONFIG][@REVISION] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.' -r -F
complete -c saecli -n '__saecli_at "trace"' -l sequences -d 'For mean, resample and search: sequences of --data, as long as the input.' -x
complete -c saecli -n '__saecli_at "trace"' -l positions -d 'With ablation: remove a feature at each position by itself, at all at once, or at the last only.' -x -a 'each all last'
complete -c saecli -n '__saecli_at "trace"' -l keep -d 'Keep, per site, the strongest nodes that carry this share of the absolute effect (0.8 if no other limit on nodes is given).' -x
complete -c saecli -n '__saecli_at "trace"' -l top-nodes -d 'Keep at most this many nodes per site, by absolute effect.' -x
complete -c saecli -n '__saecli_at "trace"' -l node-threshold -d 'Keep nodes of at least this absolute effect, 0.05 or 2**-4; calibrated: features that exceed their threshold of --calibrate.' -x
complete -c saecli -n '__saecli_at "trace"' -l top-edges -d 'Keep, per child and the target, this many most positive and as many most negative edges.' -x
complete -c saecli -n '__saecli_at "trace"' -l edge-threshold -d 'Keep edges of at least this absolute weight: 0.01 or 2**5.' -x
complete -c saecli -n '__saecli_at "trace"' -l pin -d 'Keep this feature whatever its effect; with ablation, remove only pinned features of its site. Repeatable.' -x
complete -c saecli -n '__saecli_at "trace"' -l labels -d 'Feature labels: a file, auto (beside the suite, or kept by saecli f1), or none.' -r -F
complete -c saecli -n '__saecli_at "trace"' -l contexts -d 'Show, of every feature, this many contexts in which it fires most strongly: sequences of --data, with the board of a game. The first time the model runs over them; then they are kept.' -x
complete -c saecli -n '__saecli_at "trace"' -l context-width -d 'With --contexts: tokens on either side.' -x
complete -c saecli -n '__saecli_at "trace"' -l context-sequences -d 'With --contexts: sequences that are looked through.' -x
complete -c saecli -n '__saecli_at "trace"' -l explanations -d 'Ask Neuronpedia\'s server what it says of every feature, if it shows the suite; answers are kept.' -x -a 'none neuronpedia'
complete -c saecli -n '__saecli_at "trace"' -l threshold -d 'Keep as few features as leave the prediction within this KL divergence, in nats.' -x
complete -c saecli -n '__saecli_at "trace"' -l samples -d 'What the other features have is drawn so often; the predictions are averaged.' -x
complete -c saecli -n '__saecli_at "trace"' -l neighbours -d 'Draw among so many tokens of --data that are nearest in the features kept; 0: among all tokens.' -x
complete -c saecli -n '__saecli_at "trace"' -l position-weight -d 'What a difference of positions counts in the distance at the first layer, falling to nothing at the last; with --neighbours 0, draw from the same position; 0: from any.' -x
complete -c saecli -n '__saecli_at "trace"' -l max-tokens -d 'Choose the features of at most this many tokens at the first site.' -x
complete -c saecli -n '__saecli_at "trace"' -l window -d 'Stop adding features, too, when the divergence exceeds its mean over the last so many; 0: do not.' -x
complete -c saecli -n '__saecli_at "trace"' -l norms -d 'With gradient and ig, of dictionaries that norm their input: mean and deviation are held fixed, so that what acts through them is left to errors; or live, they follow the input.' -x -a 'frozen live'
complete -c saecli -n '__saecli_at "trace"' -l influence -d 'With direct: keep the nodes through which this share of what reaches the target passes, the most influential first.' -x
complete -c saecli -n '__saecli_at "trace"' -l first-fraction -d 'Of the features that are active at the first chosen site look at this share only, drawn by --seed.' -x
complete -c saecli -n '__saecli_at "trace"' -l extend -d 'Grow this graph by the sites chosen here, from a residual site that both have: of the same model, dictionaries, input, metric and method.' -r -F
complete -c saecli -n '__saecli_at "trace"' -l calibrate -d 'Trace nothing: find the percentile of every feature\'s activation over these data (as of --data), and keep it for --node-threshold calibrated.' -r -F
complete -c saecli -n '__saecli_at "trace"' -l percentile -d 'With --calibrate: which one.' -x
complete -c saecli -n '__saecli_at "trace"' -l cluster -d 'With --calibrate: only the tokens of cluster n of k (0 is the largest), by k-means of the first site\'s vectors, each at length 1.' -x
complete -c saecli -n '__saecli_at "trace"' -l calibrate-sequences -d 'With --calibrate: how many sequences are read; 0 for about 131,000 tokens.' -x
complete -c saecli -n '__saecli_at "trace"' -l rules -d 'Draw no graph: over this many held-out games of Othello, each at one of its moves, find which labels of features carry the effect on the model\'s choice, beside what chance would give.' -x
complete -c saecli -n '__saecli_at "trace"' -l layers -d 'Layers as a Python slice of the site labels, such as 6:9.' -x
complete -c saecli -n '__saecli_at "trace"' -l kind -d 'Site kinds to use; all the suite has if not given. Repeatable.' -x -a 'resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post'
complete -c saecli -n '__saecli_at "trace"' -l device -d 'Where to compute.' -x -a 'auto cpu cuda mps'
complete -c saecli -n '__saecli_at "trace"' -l dtype -d 'Number type of the model.' -x -a 'auto float32 bfloat16 float16 float64'
complete -c saecli -n '__saecli_at "trace"' -l batch-size -d 'Items computed together: a number or auto.' -x
complete -c saecli -n '__saecli_at "trace"' -l max-memory -d 'Memory to stay below, such as 4G; what is free if not given.' -x
complete -c saecli -n '__saecli_at "trace"' -l seed -d 'Seed of everything random.' -x
complete -c saecli -n '__saecli_at "trace"' -l threads -d 'CPU threads; 0 means one per physical core.' -x
complete -c saecli -n '__saecli_at "trace"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "trace"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "trace"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "trace"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "trace"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "trace"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "trace"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "trace"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "trace"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "trace"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "trace"' -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b'
complete -c saecli -n '__saecli_at "train"' -f -a lm -d 'Small GPTs, saved as Hugging Face GPT-2 folders.'
complete -c saecli -n '__saecli_at "train"' -f -a sae -d 'Sparse autoencoders at many sites of a model, in one pass.'
complete -c saecli -n '__saecli_at "train"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "train lm"' -l data -d 'What to train on: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME[/CONFIG][@REVISION] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.' -r -F
complete -c saecli -n '__saecli_at "train lm"' -l tokenizer -d 'Vocabulary of text that is no token shards yet: ascii, gpt2, chess, othello, or a folder with tokenizer.json.' -x
complete -c saecli -n '__saecli_at "train lm"' -l n-ctx -d 'Positions per sequence; 0 for the data\'s own: 59 for Othello, 256 for chess, 128 for text.' -x
complete -c saecli -n '__saecli_at "train lm"' -l batch-size -d 'Sequences (games) per step.' -x
complete -c saecli -n '__saecli_at "train lm"' -l micro-batch -d 'Sequences computed at a time, their gradients added up; 0 for all of a step. Fewer take less memory; the step stays the same but for rounding.' -x
complete -c saecli -n '__saecli_at "train lm"' -l targets -d 'Learn from the sampled next token, or from its distribution where the data\'s generator knows it (auto).' -x -a 'auto sampled expected'
complete -c saecli -n '__saecli_at "train lm"' -l n-layer -d 'Number of blocks.' -x
complete -c saecli -n '__saecli_at "train lm"' -l n-head -d 'Attention heads per block.' -x
complete -c saecli -n '__saecli_at "train lm"' -l d-model -d 'Width of the residual stream.' -x
complete -c saecli -n '__saecli_at "train lm"' -l norm -d 'What stands before the MLPs: LayerNorm, or DynamicTanh, weight * tanh(alpha * x) + bias.' -x -a 'layernorm dynamic-tanh'
complete -c saecli -n '__saecli_at "train lm"' -l tanh-alpha -d 'First value of DynamicTanh\'s alpha.' -x
complete -c saecli -n '__saecli_at "train lm"' -l steps -d 'Optimiser steps.' -x
complete -c saecli -n '__saecli_at "train lm"' -l optimizer -d 'Muon on the matrices inside blocks and AdamW on the rest, or AdamW on everything.' -x -a 'muon adamw'
complete -c saecli -n '__saecli_at "train lm"' -l lr -d 'Highest learning rate of AdamW.' -x
complete -c saecli -n '__saecli_at "train lm"' -l muon-lr -d 'Highest learning rate of Muon.' -x
complete -c saecli -n '__saecli_at "train lm"' -l warmup -d 'Steps of linear warm-up.' -x
complete -c saecli -n '__saecli_at "train lm"' -l schedule -d 'After the warm-up: half a cosine down to --min-lr, or constant.' -x -a 'cosine constant'
complete -c saecli -n '__saecli_at "train lm"' -l min-lr -d 'Learning rate at the cosine\'s end; Muon\'s falls by the same factor.' -x
complete -c saecli -n '__saecli_at "train lm"' -l weight-decay -d 'Decoupled weight decay of the matrices, embeddings included.' -x
complete -c saecli -n '__saecli_at "train lm"' -l grad-clip -d 'Largest norm of the gradient; 0 for no limit.' -x
complete -c saecli -n '__saecli_at "train lm"' -l device -d 'Where to train.' -x -a 'cpu cuda mps'
complete -c saecli -n '__saecli_at "train lm"' -l precision -d 'bf16 is autocast with attention in fp32; it pays on hardware with bf16 units only.' -x -a 'fp32 bf16 fp64'
complete -c saecli -n '__saecli_at "train lm"' -l keep -d 'The weights to keep: those of the last step, or those with the lowest cross-entropy on held-out data (measured every --eval-every steps; of equal ones the earlier).' -x -a 'last best'
complete -c saecli -n '__saecli_at "train lm"' -l save-dtype -d 'Number type of the stored model.' -x -a 'float32 float16 bfloat16'
complete -c saecli -n '__saecli_at "train lm"' -l eval-every -d 'Steps between measurements on held-out data.' -x
complete -c saecli -n '__saecli_at "train lm"' -l held-out -d 'Held-out sequences to measure on.' -x
complete -c saecli -n '__saecli_at "train lm"' -l sae -d 'Train dictionaries of this architecture along with the model, in one loss, so that it becomes a model that they reconstruct well; they are stored as a suite beside it.' -x -a 'standard gated jumprelu topk'
complete -c saecli -n '__saecli_at "train lm"' -l sae-kind -d 'Site kinds that have dictionaries, in every layer. Repeatable.' -x -a 'resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post'
complete -c saecli -n '__saecli_at "train lm"' -l sae-latents -d 'Features per dictionary.' -x
complete -c saecli -n '__saecli_at "train lm"' -l sae-k -d 'Active features per token (topk).' -x
complete -c saecli -n '__saecli_at "train lm"' -l sae-sparsity-weight -d 'Weight of the sparsity penalty (standard, gated, jumprelu): one number, or one for every site in the order of depth, as in 0.02,0.035,0.085,0.07,0.075.' -x
complete -c saecli -n '__saecli_at "train lm"' -l sae-tied -d 'The encoder is the decoder, transposed (standard, gated).'
complete -c saecli -n '__saecli_at "train lm"' -l no-sae-tied -d 'The encoder is the decoder, transposed (standard, gated).'
complete -c saecli -n '__saecli_at "train lm"' -l sae-lr -d 'Highest learning rate of the dictionaries; if not given, 1e-3 times the root of 2^14 over the latents.' -x
complete -c saecli -n '__saecli_at "train lm"' -l regularisation -d 'Weight of the dictionaries\' errors in the loss; 3 if not given, of gated 2. Made for --optimizer adamw; Muon wants less.' -x
complete -c saecli -n '__saecli_at "train lm"' -l pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "train lm"' -l no-pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "train lm"' -l log-every -d 'Steps per line of metrics.' -x
complete -c saecli -n '__saecli_at "train lm"' -l checkpoint-seconds -d 'Wall-clock seconds between checkpoints.' -x
complete -c saecli -n '__saecli_at "train lm"' -l wandb -d 'Project of Weights & Biases that the metrics are sent to as well.' -x
complete -c saecli -n '__saecli_at "train lm"' -l max-memory -d 'Memory to stay below, such as 4G; what is free if not given.' -x
complete -c saecli -n '__saecli_at "train lm"' -l resume -d 'Insist on continuing: an error if there is no unfinished run.'
complete -c saecli -n '__saecli_at "train lm"' -l seed -d 'Seed of everything random.' -x
complete -c saecli -n '__saecli_at "train lm"' -l threads -d 'CPU threads; 0 means one per physical core.' -x
complete -c saecli -n '__saecli_at "train lm"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "train lm"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "train lm"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "train lm"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "train lm"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "train lm"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "train lm"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "train lm"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "train lm"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "train lm"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "train sae"' -l kind -d 'Site kinds; if not given resid_pre, of jacobian mlp_in and mlp_out. mlp_in>mlp_out is a transcoder. Repeatable.' -x -a 'resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post'
complete -c saecli -n '__saecli_at "train sae"' -l arch -d 'Architecture. identity and random are untrained controls: the site\'s own dimensions, and random directions with TopK. jacobian is a pair of TopK dictionaries at the two ends of an MLP, trained for few and small derivatives between their features. A staircase (of TopK or JumpReLU) gets wider from site to site.' -x -a 'standard topk batchtopk matryoshka gated jumprelu identity random staircase staircase-jumprelu jacobian'
complete -c saecli -n '__saecli_at "train sae"' -l k -d 'Active features per token (topk, random; on average: batchtopk, matryoshka). Repeatable: each value trains a suite.' -x
complete -c saecli -n '__saecli_at "train sae"' -l latents -d 'Features per dictionary. Repeatable.' -x
complete -c saecli -n '__saecli_at "train sae"' -l sparsity-weight -d 'Weight of the sparsity penalty (standard, gated, jumprelu). Repeatable.' -x
complete -c saecli -n '__saecli_at "train sae"' -l target-l0 -d 'Active features per token that are aimed at (jumprelu). Repeatable.' -x
complete -c saecli -n '__saecli_at "train sae"' -l sparsity-p -d 'Exponent to which the penalty falls in steps, from 1 (standard, gated): p-annealing, 0.2 is usual.' -x
complete -c saecli -n '__saecli_at "train sae"' -l l0-loss -d 'Penalty on active features (jumprelu): target, (L0 / --target-l0 - 1) squared; l0, their number; tanh of their size. The last two are swept by --sparsity-weight, and --target-l0 is what thresholds begin at.' -x -a 'target l0 tanh'
complete -c saecli -n '__saecli_at "train sae"' -l groups -d 'Shares of the latents that the nested groups have, the most general first (matryoshka).' -x
complete -c saecli -n '__saecli_at "train sae"' -l widths -d 'Features of every dictionary of a staircase in order of depth, as numbers or as multiples of the site\'s width (8x,16x,24x); if not given, --latents times 1, 2, 3 and so on.' -x
complete -c saecli -n '__saecli_at "train sae"' -l sharing -d 'What the dictionaries of a staircase have in common: weights, the first rows of one encoder and decoder; detached, those too, each row trained by the first dictionary that has it; b-dec, the decoder\'s bias as well; none.' -x -a 'weights detached b-dec none'
complete -c saecli -n '__saecli_at "train sae"' -l stairs -d 'One staircase over all sites, or one in every block (--kind resid_mid --kind resid_post).' -x -a 'sites blocks'
complete -c saecli -n '__saecli_at "train sae"' -l tied -d 'The encoder is the decoder, transposed (standard, gated).'
complete -c saecli -n '__saecli_at "train sae"' -l no-tied -d 'The encoder is the decoder, transposed (standard, gated).'
complete -c saecli -n '__saecli_at "train sae"' -l jacobian-coefficient -d 'Weight of the Jacobian penalty (jacobian): one number, or one for every layer as in 0.3,1,3. Repeatable.' -x
complete -c saecli -n '__saecli_at "train sae"' -l jacobian-reduction -d 'What the penalty is over the tokens of a batch (jacobian); sum makes the weight depend on --batch.' -x -a 'mean sum'
complete -c saecli -n '__saecli_at "train sae"' -l jacobian-tokens -d 'Share of the tokens that the penalty is computed of (jacobian), other ones in every step: 1/8 takes one in eight and counts it eight times.' -x
complete -c saecli -n '__saecli_at "train sae"' -l jacobian-at -d 'Where the slopes of the model within the penalty are taken (jacobian): its own activations, or what the first dictionary makes of them.' -x -a 'clean reconstruction'
complete -c saecli -n '__saecli_at "train sae"' -l skip -d 'Learn a linear path from input to output beside the features (transcoders).'
complete -c saecli -n '__saecli_at "train sae"' -l no-skip -d 'Learn a linear path from input to output beside the features (transcoders).'
complete -c saecli -n '__saecli_at "train sae"' -l decoder-norm -d 'Decoder rows are kept at norm 1 (unit) or not (free); if not given, free for standard, else unit.' -x -a 'unit free'
complete -c saecli -n '__saecli_at "train sae"' -l processing -d 'Weights of the model as they are, or folded as TransformerLens does.' -x -a 'raw folded'
complete -c saecli -n '__saecli_at "train sae"' -l data -d 'What the model reads; if not given, what the zoo names for it: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME[/CONFIG][@REVISION] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.' -r -F
complete -c saecli -n '__saecli_at "train sae"' -l context -d 'Positions per sequence; 0 for the data\'s own, at most the model\'s.' -x
complete -c saecli -n '__saecli_at "train sae"' -l drop -d 'Leave out the vectors of these tokens: bos (of sequences that begin with it), eos, pad, special (each of them that there is), none, or the number of a token. Repeatable.' -x
complete -c saecli -n '__saecli_at "train sae"' -l cache-activations -d 'Keep the model\'s activations on disk for later runs on the same data, in so much room at most: 20G.' -x
complete -c saecli -n '__saecli_at "train sae"' -l activations -d 'Vectors of one\'s own instead of a model\'s: .npy arrays [rows, width] or safetensors. Repeatable.' -r -F
complete -c saecli -n '__saecli_at "train sae"' -l site -d 'Site that the vectors of --activations are from; 0.resid_pre if not given.' -x
complete -c saecli -n '__saecli_at "train sae"' -l tokens -d 'Vectors per dictionary in all.' -x
complete -c saecli -n '__saecli_at "train sae"' -l batch -d 'Vectors per step, nearly.' -x
complete -c saecli -n '__saecli_at "train sae"' -l buffer -d 'Vectors per site that are mixed with each other.' -x
complete -c saecli -n '__saecli_at "train sae"' -l sequences -d 'Sequences (games) per forward pass of the model.' -x
complete -c saecli -n '__saecli_at "train sae"' -l loss -d 'What a dictionary is trained for: reconstruction, vectors like those there are; end-to-end, that with its reconstruction in their place the model predicts the same and later sites have the same. That runs the model from every site in every step, on whole sequences as they come (no --buffer).' -x -a 'reconstruction end-to-end'
complete -c saecli -n '__saecli_at "train sae"' -l downstream-weight -d 'Weight of the squared error at later sites of the suite, as a share of their variance, beside the divergence of predictions in nats (--loss end-to-end).' -x
complete -c saecli -n '__saecli_at "train sae"' -l lr -d 'Highest learning rate; if not given, 1e-3 times the root of 2^14 over the latents.' -x
complete -c saecli -n '__saecli_at "train sae"' -l beta1 -d 'Decay of Adam\'s running mean of gradients (of their squares: 0.999); 0 in some recipes for gated and jumprelu.' -x
complete -c saecli -n '__saecli_at "train sae"' -l warmup -d 'Share of the tokens with a rising learning rate.' -x
complete -c saecli -n '__saecli_at "train sae"' -l decay -d 'Share of the tokens, at the end, in which the learning rate falls to zero.' -x
complete -c saecli -n '__saecli_at "train sae"' -l sparsity-warmup -d 'Share of the tokens in which the weight of the penalty rises from 0 (standard, gated, jumprelu).' -x
complete -c saecli -n '__saecli_at "train sae"' -l k-anneal -d 'Share of the tokens in which the active features fall from the width to --k (topk, batchtopk, matryoshka); steps with a large k are slow.' -x
complete -c saecli -n '__saecli_at "train sae"' -l init -d 'Directions to begin with: random; active-subspace, where the outputs vary; mlp, the neurons of the MLP that a transcoder stands for. auto is mlp where it can be, else random.' -x -a 'auto random active-subspace mlp'
complete -c saecli -n '__saecli_at "train sae"' -l b-dec-init -d 'What the decoder\'s bias begins as, of the outputs.' -x -a 'mean geometric-median zero'
complete -c saecli -n '__saecli_at "train sae"' -l resample-every -d 'Vectors after which dead latents begin again as badly reconstructed inputs, while the learning rate is at its highest (standard, gated); 0 for never.' -x
complete -c saecli -n '__saecli_at "train sae"' -l grad-clip -d 'Largest gradient norm of a dictionary; 0 for no limit.' -x
complete -c saecli -n '__saecli_at "train sae"' -l dead-after -d 'Vectors without firing after which a latent is dead.' -x
complete -c saecli -n '__saecli_at "train sae"' -l aux-k -d 'Dead latents that reconstruct the residual error; half the width if not given.' -x
complete -c saecli -n '__saecli_at "train sae"' -l aux-coefficient -d 'Weight of the auxiliary loss for dead latents.' -x
complete -c saecli -n '__saecli_at "train sae"' -l bandwidth -d 'Width of the window around a threshold in which it learns, in root mean square norms of the input (jumprelu).' -x
complete -c saecli -n '__saecli_at "train sae"' -l tanh-scale -d 'How steep --l0-loss tanh is: tanh(scale times activation times decoder norm).' -x
complete -c saecli -n '__saecli_at "train sae"' -l anneal-start -d 'Share of the tokens after which the exponent of an annealed penalty falls.' -x
complete -c saecli -n '__saecli_at "train sae"' -l device -d 'Where to train.' -x -a 'cpu cuda mps'
complete -c saecli -n '__saecli_at "train sae"' -l precision -d 'Number type of weights and arithmetic. bf16: of matrix products alone, which pays on hardware with bf16 units only; bf16-screen (topk): candidates in bf16, their values computed anew.' -x -a 'fp32 fp64 bf16 bf16-screen'
complete -c saecli -n '__saecli_at "train sae"' -l compile -d 'Fuse the step with torch.compile (standard, gated); for accelerators, on a CPU the other way is faster.'
complete -c saecli -n '__saecli_at "train sae"' -l no-compile -d 'Fuse the step with torch.compile (standard, gated); for accelerators, on a CPU the other way is faster.'
complete -c saecli -n '__saecli_at "train sae"' -l save-dtype -d 'Number type of the files.' -x -a 'float32 float16 bfloat16'
complete -c saecli -n '__saecli_at "train sae"' -l held-out -d 'Held-out sequences to measure on at the end, at most; 0 for none.' -x
complete -c saecli -n '__saecli_at "train sae"' -l pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "train sae"' -l no-pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "train sae"' -l log-every -d 'Steps per line of metrics.' -x
complete -c saecli -n '__saecli_at "train sae"' -l checkpoint-seconds -d 'Wall-clock seconds between checkpoints.' -x
complete -c saecli -n '__saecli_at "train sae"' -l wandb -d 'Project of Weights & Biases that the metrics are sent to as well.' -x
complete -c saecli -n '__saecli_at "train sae"' -l max-memory -d 'Memory to stay below, such as 4G; what is free if not given.' -x
complete -c saecli -n '__saecli_at "train sae"' -l resume -d 'Insist on continuing: an error if there is no unfinished run.'
complete -c saecli -n '__saecli_at "train sae"' -l seed -d 'Seed of everything random.' -x
complete -c saecli -n '__saecli_at "train sae"' -l threads -d 'CPU threads; 0 means one per physical core.' -x
complete -c saecli -n '__saecli_at "train sae"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "train sae"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "train sae"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "train sae"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "train sae"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "train sae"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "train sae"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "train sae"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "train sae"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "train sae"' -l layers -d 'Layers as a Python slice of the site labels, such as 6:9.' -x
complete -c saecli -n '__saecli_at "train sae"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "train sae"' -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b'
complete -c saecli -n '__saecli_at "connect"' -l suite -d 'A suite of the model with a dictionary of attn_out and a transcoder from mlp_in to mlp_out in every layer; if not given, MODEL-transcoders of the zoo, else the model\'s own.' -r -a 'gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' -F
complete -c saecli -n '__saecli_at "connect"' -l data -d 'What the model reads; if not given, what the zoo names: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME[/CONFIG][@REVISION] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.' -r -F
complete -c saecli -n '__saecli_at "connect"' -l sequences -d 'Sequences to score on, held-out ones first; 0 for as many as have about 32,768 tokens.' -x
complete -c saecli -n '__saecli_at "connect"' -l n-ctx -d 'Positions per sequence; 0 for those that the dictionaries were trained on, or 128.' -x
complete -c saecli -n '__saecli_at "connect"' -l pair -d 'Connect the features of two autoencoders with an MLP (3.mlp_in:3.mlp_out), an MLP with its norm and skip path (3.resid_mid:3.resid_post) or a block (3.resid_pre:4.resid_pre) between them, through that part itself. Repeatable: one file has them all.' -x
complete -c saecli -n '__saecli_at "connect"' -l score -d 'What makes a connection important: the mean contribution to the feature where it is active, or everywhere; the largest where it is active; the weight alone; the mean where it is active, weighed by how much the loss depends on the feature; or chance, as many per row as active-mean keeps. active-mean if not given, with --compat scae mean. With --pair: ig (integrated gradients, the default), jacobian (the mean size of the derivative) or ablation (the mean change when the source is set to 0).' -x -a 'active-mean mean max weight gradient random ig jacobian ablation'
complete -c saecli -n '__saecli_at "connect"' -l c -d 'Keep so many upstream features of each feature, over all upstream modules together; 10,30,100 if neither this nor --keep is given. Several numbers make a file each; all keeps everything.' -x
complete -c saecli -n '__saecli_at "connect"' -l keep -d 'Keep so many connections of the whole suite, or of each pair (there also all, the default). Several numbers make a file each.' -x
complete -c saecli -n '__saecli_at "connect"' -l steps -d 'With --pair and ig: points at which gradients are taken.' -x
complete -c saecli -n '__saecli_at "connect"' -l embed -d 'Connect the embeddings of tokens too, upstream of all features.'
complete -c saecli -n '__saecli_at "connect"' -l logits -d 'Connect the logits of tokens too, downstream of all features.'
complete -c saecli -n '__saecli_at "connect"' -l compat -d 'Do as a reference does: scae scores by unconditional sums over the features of the pruned pass with everything connected, and in parallel blocks counts connections from attention to MLP that cannot be. With --pair, gpt-circuits: gradients times the length of all source features together, roots of sums of squares.' -x -a 'scae gpt-circuits'
complete -c saecli -n '__saecli_at "connect"' -l device -d 'Where to compute.' -x -a 'auto cpu cuda'
complete -c saecli -n '__saecli_at "connect"' -l dtype -d 'Number type of the model and the sums.' -x -a 'auto float32 float64'
complete -c saecli -n '__saecli_at "connect"' -l half -d 'Of the held-out sequences all, or those of one half: what was chosen by the first is to be reported on the second.' -x -a 'all first second'
complete -c saecli -n '__saecli_at "connect"' -l pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "connect"' -l no-pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "connect"' -l batch-size -d 'Items computed together: a number or auto.' -x
complete -c saecli -n '__saecli_at "connect"' -l max-memory -d 'Memory to stay below, such as 4G; what is free if not given.' -x
complete -c saecli -n '__saecli_at "connect"' -l seed -d 'Seed of everything random.' -x
complete -c saecli -n '__saecli_at "connect"' -l threads -d 'CPU threads; 0 means one per physical core.' -x
complete -c saecli -n '__saecli_at "connect"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "connect"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "connect"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "connect"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "connect"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "connect"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "connect"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "connect"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "connect"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "connect"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "connect"' -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b'
complete -c saecli -n '__saecli_at "finetune"' -l model -d 'The model; the one that the suite was made for if not given.' -r -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' -F
complete -c saecli -n '__saecli_at "finetune"' -l connections -d 'Connections of saecli connect; those beside the suite if not given.' -r -F
complete -c saecli -n '__saecli_at "finetune"' -l c -d 'Keep so many connections of each feature, the strongest; several values train several suites: 10,30,100.' -x
complete -c saecli -n '__saecli_at "finetune"' -l masks -d 'Learn which of the connections to keep, so many of each feature on average: gates that open or close.' -x
complete -c saecli -n '__saecli_at "finetune"' -l data -d 'What the model reads; if not given, what the zoo names for it: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME[/CONFIG][@REVISION] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.' -r -F
complete -c saecli -n '__saecli_at "finetune"' -l context -d 'Positions per sequence; 0 for those the suite was trained on.' -x
complete -c saecli -n '__saecli_at "finetune"' -l sequences -d 'Sequences per step.' -x
complete -c saecli -n '__saecli_at "finetune"' -l loss -d 'What is made small: fvu (unexplained variance of every module), ce (of the next token), kl (of the model\'s predictions from the suite\'s), or a mixture, kl,fvu=0.1.' -x
complete -c saecli -n '__saecli_at "finetune"' -l steps -d 'Optimiser steps.' -x
complete -c saecli -n '__saecli_at "finetune"' -l lr -d 'Highest learning rate of every dictionary; if not given, 1e-3 times the root of 2^14 over its latents.' -x
complete -c saecli -n '__saecli_at "finetune"' -l warmup -d 'Share of the steps with a rising learning rate.' -x
complete -c saecli -n '__saecli_at "finetune"' -l decay -d 'Share of the steps, at the end, in which the learning rate falls to zero.' -x
complete -c saecli -n '__saecli_at "finetune"' -l stagger -d 'With fvu: a module counts from this number of steps on times the modules before it.' -x
complete -c saecli -n '__saecli_at "finetune"' -l grad-clip -d 'Largest gradient norm of a dictionary; 0 for no limit.' -x
complete -c saecli -n '__saecli_at "finetune"' -l decoder-norm -d 'Decoder rows take any norm, or keep the one they have.' -x -a 'free kept'
complete -c saecli -n '__saecli_at "finetune"' -l dead-after -d 'Tokens without firing after which a latent is dead.' -x
complete -c saecli -n '__saecli_at "finetune"' -l aux-k -d 'Dead latents that reconstruct what the module leaves unexplained; half the width if not given.' -x
complete -c saecli -n '__saecli_at "finetune"' -l aux-coefficient -d 'Weight of the auxiliary loss for dead latents; 0 for none.' -x
complete -c saecli -n '__saecli_at "finetune"' -l compat -d 'scae: biases, dropped biases and unexplained variance as the reference computes them, of folded weights.' -x -a 'none scae'
complete -c saecli -n '__saecli_at "finetune"' -l held-out -d 'Held-out sequences to measure on, before and after.' -x
complete -c saecli -n '__saecli_at "finetune"' -l save-dtype -d 'Number type of the stored weights.' -x -a 'float32 float16 bfloat16'
complete -c saecli -n '__saecli_at "finetune"' -l device -d 'Where to compute.' -x -a 'auto cpu cuda'
complete -c saecli -n '__saecli_at "finetune"' -l pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "finetune"' -l no-pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "finetune"' -l log-every -d 'Steps per line of metrics.' -x
complete -c saecli -n '__saecli_at "finetune"' -l checkpoint-seconds -d 'Wall-clock seconds between checkpoints.' -x
complete -c saecli -n '__saecli_at "finetune"' -l wandb -d 'Project of Weights & Biases that the metrics are sent to as well.' -x
complete -c saecli -n '__saecli_at "finetune"' -l max-memory -d 'Memory to stay below, such as 4G; what is free if not given.' -x
complete -c saecli -n '__saecli_at "finetune"' -l resume -d 'Insist on continuing: an error if there is no unfinished run.'
complete -c saecli -n '__saecli_at "finetune"' -l seed -d 'Seed of everything random.' -x
complete -c saecli -n '__saecli_at "finetune"' -l threads -d 'CPU threads; 0 means one per physical core.' -x
complete -c saecli -n '__saecli_at "finetune"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "finetune"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "finetune"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "finetune"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "finetune"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "finetune"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "finetune"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "finetune"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "finetune"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "finetune"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "finetune"' -a 'gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b'
complete -c saecli -n '__saecli_at "validate"' -l model -d 'The model; the one that the first suite was made for if not given.' -r -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' -F
complete -c saecli -n '__saecli_at "validate"' -l data -d 'What it reads, of which the held-out side is measured; if not given, what the zoo names: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME[/CONFIG][@REVISION] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.' -r -F
complete -c saecli -n '__saecli_at "validate"' -l sequences -d 'Held-out sequences, or prompts for a circuit without positions.' -x
complete -c saecli -n '__saecli_at "validate"' -l n-ctx -d 'Positions per sequence; 0 for those that the dictionaries were trained on, or 128.' -x
complete -c saecli -n '__saecli_at "validate"' -l firing -d 'More held-out sequences, only to see which features ever fire.' -x
complete -c saecli -n '__saecli_at "validate"' -l suite -d 'Of a graph: the dictionaries it was traced with, if its run does not tell where they are.' -r -a 'gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' -F
complete -c saecli -n '__saecli_at "validate"' -l connections -d 'Compute the suite through these connections, of saecli connect, beside random ones; auto: those that lie beside it.' -r -F
complete -c saecli -n '__saecli_at "validate"' -l edges -d 'Keep only the strongest of these edges between two sites, of saecli connect --pair, many numbers of them one after the other, beside random orders: a file or a run, whose largest file is taken. Repeatable, for several suites, which are compared.' -r -F
complete -c saecli -n '__saecli_at "validate"' -l counts -d 'With --edges: how many to keep, several numbers, of which those above all pairs mean all; if not given, powers of the root of 2 up to all pairs.' -x
complete -c saecli -n '__saecli_at "validate"' -l c -d 'With --connections: keep so many of each feature, the strongest; several numbers are measured side by side: 10,30,100.' -x
complete -c saecli -n '__saecli_at "validate"' -l compat -d 'With --connections: scae computes biases and unexplained variance as the reference does, of folded weights.' -x -a 'none scae'
complete -c saecli -n '__saecli_at "validate"' -l prompts -d 'Of a graph of many prompts: those to measure on, its own or held-out ones of their kind, as of saecli trace.' -r -F
complete -c saecli -n '__saecli_at "validate"' -l ablation -d 'Of a graph: what takes the place of everything outside the circuit, for the curve and --min-faithfulness: nothing but the dictionaries\' biases, the mean over data, or another prompt.' -x -a 'zero mean resample'
complete -c saecli -n '__saecli_at "validate"' -l errors -d 'Of a graph: errors of dictionaries stay as the circuit has them, are all kept, or all removed; decides what --min-faithfulness asks. With --connections: kept adds them to what every module writes.' -x -a 'circuit kept removed'
complete -c saecli -n '__saecli_at "validate"' -l draws -d 'Random circuits per circuit, random connections or feature sets, and prompts that resampled ablation takes from.' -x
complete -c saecli -n '__saecli_at "validate"' -l features -d 'Remove these features of a suite together, at every position: 6:839,104 7:331. Repeatable.' -x
complete -c saecli -n '__saecli_at "validate"' -l set -d 'Change a feature on one input, at one position or all: set it, scale it, or add to it (7:331=0, 7.mlp_out:12@42=2x, 7:331=+5); of a graph, on its own input, beside what its edges predict. Repeatable. 7:331=0..2x scales it in steps of 0.1: dose and response.' -x
complete -c saecli -n '__saecli_at "validate"' -l generate -d 'With --set: also write so many tokens, with and without the change.' -x
complete -c saecli -n '__saecli_at "validate"' -l temperature -d 'With --generate: draw tokens (by --seed) from the distribution at this temperature; 0 takes the most likely one.' -x
complete -c saecli -n '__saecli_at "validate"' -l prompt -d 'With --set, for models of text: the text; a fixed one if not given.' -x
complete -c saecli -n '__saecli_at "validate"' -l game -d 'With --set, for models of games: its moves, as of saecli trace; a fixed held-out game if not given.' -x
complete -c saecli -n '__saecli_at "validate"' -l at -d 'With --set: look at the prediction at this position (negative: from the end); the last if not given.' -x
complete -c saecli -n '__saecli_at "validate"' -l target -d 'With --set: what the metric is of, as of saecli trace; the model\'s top choice if not given.' -x
complete -c saecli -n '__saecli_at "validate"' -l metric -d 'With --set: what effects are measured in; auto fits the model and the target.' -x -a 'auto over-illegal over-mean logit logit-diff ce kl feature'
complete -c saecli -n '__saecli_at "validate"' -l min-faithfulness -d 'Of a graph: fail (exit code 4) if it is less faithful.' -x
complete -c saecli -n '__saecli_at "validate"' -l require -d 'Fail (exit code 4) unless this holds at every chosen site: \'ce_recovered>=0.95\'. Repeatable.' -x
complete -c saecli -n '__saecli_at "validate"' -l choose -d 'Of several suites keep one, as chosen/ of the run: the last named whose CE increase with all sites replaced is at most so many nats above that of the first. Choose by --half first what --half second reports.' -x
complete -c saecli -n '__saecli_at "validate"' -l device -d 'Where to compute.' -x -a 'auto cpu cuda'
complete -c saecli -n '__saecli_at "validate"' -l half -d 'Of the held-out sequences all, or those of one half: what was chosen by the first is to be reported on the second.' -x -a 'all first second'
complete -c saecli -n '__saecli_at "validate"' -l pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "validate"' -l no-pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "validate"' -l layers -d 'Layers as a Python slice of the site labels, such as 6:9.' -x
complete -c saecli -n '__saecli_at "validate"' -l kind -d 'Site kinds to use; all the suite has if not given. Repeatable.' -x -a 'resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post'
complete -c saecli -n '__saecli_at "validate"' -l dtype -d 'Number type of the model.' -x -a 'auto float32 bfloat16 float16 float64'
complete -c saecli -n '__saecli_at "validate"' -l batch-size -d 'Items computed together: a number or auto.' -x
complete -c saecli -n '__saecli_at "validate"' -l max-memory -d 'Memory to stay below, such as 4G; what is free if not given.' -x
complete -c saecli -n '__saecli_at "validate"' -l seed -d 'Seed of everything random.' -x
complete -c saecli -n '__saecli_at "validate"' -l threads -d 'CPU threads; 0 means one per physical core.' -x
complete -c saecli -n '__saecli_at "validate"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "validate"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "validate"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "validate"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "validate"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "validate"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "validate"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "validate"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "validate"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "validate"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "validate"' -a 'gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b'
complete -c saecli -n '__saecli_at "f1"' -l model -d 'The model; if not given, the one that each dictionary was made for.' -r -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b' -F
complete -c saecli -n '__saecli_at "f1"' -l data -d 'Its games; if not given, what the zoo names: othello or chess-random (random games that no training saw), data:NAME, a folder of token shards, text with a game per line as FILE, FOLDER or GLOB, or hf:ORG/NAME[/CONFIG][@REVISION] of the hub; :COLUMN after text or hf: names the column.' -r -F
complete -c saecli -n '__saecli_at "f1"' -l games -d 'Games on which thresholds, labels and best features are found, and as many others on which they are checked.' -x
complete -c saecli -n '__saecli_at "f1"' -l indexing -d 'Positions that are scored; if not given, dots in chess (White moves next), all in Othello.' -x -a 'dots spaces even-spaces odd-spaces after-dots after-even-spaces after-odd-spaces numbers white black all even odd'
complete -c saecli -n '__saecli_at "f1"' -l positions -d 'Scored positions per game at most, the first ones; 0 for all. If not given, 20 dots in chess, else all. With --compat paper, games with fewer are left out.' -x
complete -c saecli -n '__saecli_at "f1"' -l property -d 'Board-state properties, or all; the usual ones of the game if not given. Repeatable.' -x -a 'state mine-yours mine-yours-no-blank valid-moves lines-mine lines-yours length-lines-mine opponent-length-lines-mine piece piece-no-blank piece-moved colour pin threat check legal-move specific-fork any-fork castling-rights queenside-castling kingside-castling en-passant pseudo-legal-move claim-draw check-next bishop-pair mate-threat capture-queen queen connected-rooks ambiguous-moves previous-piece stalemate material piece-count last-move all'
complete -c saecli -n '__saecli_at "f1"' -l thresholds -d 'Thresholds at even distances from 0 to 1, shares of the largest activation of each feature.' -x
complete -c saecli -n '__saecli_at "f1"' -l precision -d 'Precision from which on a feature\'s firing is a label of a square.' -x
complete -c saecli -n '__saecli_at "f1"' -l min-true-positives -d 'Times that a label must have been right.' -x
complete -c saecli -n '__saecli_at "f1"' -l min-support -d 'Times that a question must be true to count as supported.' -x
complete -c saecli -n '__saecli_at "f1"' -l label-f1 -d 'F1 on held-out games from which on a property names a feature.' -x
complete -c saecli -n '__saecli_at "f1"' -l compat -d 'Follow the paper\'s code (SAE_BoardGameEval) in its quirks too.' -x -a 'paper'
complete -c saecli -n '__saecli_at "f1"' -l fidelity -d 'Also measure what the model keeps with each dictionary in place.'
complete -c saecli -n '__saecli_at "f1"' -l no-fidelity -d 'Also measure what the model keeps with each dictionary in place.'
complete -c saecli -n '__saecli_at "f1"' -l control -d 'What to compare with: random-weights (dictionaries of a model with random weights, where the zoo has them), neurons, or none; random-weights if not given. Repeatable.' -x -a 'random-weights neurons none'
complete -c saecli -n '__saecli_at "f1"' -l wide -d 'Also write wide.csv, a row per dictionary with the column names of the paper\'s tables.'
complete -c saecli -n '__saecli_at "f1"' -l plot -d 'Only draw the figures of tables: scores.csv of earlier runs, or the paper\'s wide tables. Repeatable; further files may follow.' -r -F
complete -c saecli -n '__saecli_at "f1"' -l require -d 'Fail (exit code 4) unless every dictionary holds to this: \'coverage>=0.4\', or of one property \'mine-yours.coverage>=0.4\'. Repeatable.' -x
complete -c saecli -n '__saecli_at "f1"' -l cache-codes -d 'Room for codes in the user\'s cache, from which they come when the same dictionaries are scored again; 0 for none.' -x
complete -c saecli -n '__saecli_at "f1"' -l resume -d 'Insist on continuing: an error if there is no unfinished run.'
complete -c saecli -n '__saecli_at "f1"' -l layers -d 'Layers as a Python slice of the site labels, such as 4:7. If neither this nor --kind is given, of a suite with several residual sites the one at five eighths of the depth, else every dictionary.' -x
complete -c saecli -n '__saecli_at "f1"' -l kind -d 'Site kinds to use. Repeatable.' -x -a 'resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post'
complete -c saecli -n '__saecli_at "f1"' -l device -d 'Where to compute.' -x -a 'auto cpu cuda mps'
complete -c saecli -n '__saecli_at "f1"' -l dtype -d 'Number type of the model.' -x -a 'auto float32 bfloat16 float16 float64'
complete -c saecli -n '__saecli_at "f1"' -l batch-size -d 'Items computed together: a number or auto.' -x
complete -c saecli -n '__saecli_at "f1"' -l max-memory -d 'Memory to stay below, such as 4G; what is free if not given.' -x
complete -c saecli -n '__saecli_at "f1"' -l seed -d 'Seed of everything random.' -x
complete -c saecli -n '__saecli_at "f1"' -l threads -d 'CPU threads; 0 means one per physical core.' -x
complete -c saecli -n '__saecli_at "f1"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "f1"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "f1"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "f1"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "f1"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "f1"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "f1"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "f1"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "f1"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "f1"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "f1"' -a 'gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b'
complete -c saecli -n '__saecli_at "cooc"' -l suite -d 'Suites of dictionaries of the model; its own if not given. Repeatable: the sizes of dictionaries are compared in one table.' -r -a 'gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b' -F
complete -c saecli -n '__saecli_at "cooc"' -l data -d 'What the model reads; if not given, what the zoo names: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME[/CONFIG][@REVISION] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.' -r -F
complete -c saecli -n '__saecli_at "cooc"' -l sequences -d 'Sequences to count on, held-out ones first; 0 for as many as have about 131,072 tokens.' -x
complete -c saecli -n '__saecli_at "cooc"' -l n-ctx -d 'Positions per sequence; 0 for those that the dictionaries were trained on, or 128.' -x
complete -c saecli -n '__saecli_at "cooc"' -l special -d 'Whether tokens that begin, end and fill up sequences count; if not given, they are dropped, with --compat kept.' -x -a 'drop keep'
complete -c saecli -n '__saecli_at "cooc"' -l threshold -d 'Activation above which a latent fires, in units of its decoder direction\'s length, beyond the gate of a JumpReLU. Repeatable.' -x
complete -c saecli -n '__saecli_at "cooc"' -l min-count -d 'Tokens on which a latent must fire to have pairs; 10 if not given, with --compat 1.' -x
complete -c saecli -n '__saecli_at "cooc"' -l min-pair -d 'Tokens on which a pair must fire; 5 if not given, with --compat 1.' -x
complete -c saecli -n '__saecli_at "cooc"' -l jaccard-floor -d 'Pairs of a lower Jaccard are not listed; 0.01 if not given, with --compat 0.' -x
complete -c saecli -n '__saecli_at "cooc"' -l weight -d 'The weight of a pair, by which the graph is cut.' -x -a 'jaccard lift pmi'
complete -c saecli -n '__saecli_at "cooc"' -l edge-threshold -d 'Cut the graph at this weight, instead of looking for one.' -x
complete -c saecli -n '__saecli_at "cooc"' -l min-size -d 'Latents that the largest cluster should have at least; 31 of 1,024 live ones if not given, and with the square root of their number more, with --compat 150.' -x
complete -c saecli -n '__saecli_at "cooc"' -l max-size -d 'Latents that the largest cluster may have; 41 of 1,024 live ones if not given, with --compat 200.' -x
complete -c saecli -n '__saecli_at "cooc"' -l cut -d 'How the edge threshold is found: the lowest one that fits, exactly, or by halving as the reference does; exact if not given, with --compat bisect.' -x -a 'exact bisect'
complete -c saecli -n '__saecli_at "cooc"' -l recut -d 'Cut every cluster of more latents at thresholds of its own.' -x
complete -c saecli -n '__saecli_at "cooc"' -l communities -d 'Split every cluster into communities (Louvain).'
complete -c saecli -n '__saecli_at "cooc"' -l size -d 'Look closely at clusters of this size; the clearest clusters of any size if not given, with --compat 4 to 13. Repeatable.' -x
complete -c saecli -n '__saecli_at "cooc"' -l per-size -d 'So many clusters of each size, the clearest ones; 3 if not given (16 where no size is), with --compat all.' -x
complete -c saecli -n '__saecli_at "cooc"' -l max-examples -d 'Tokens per cluster of which the subspace is made.' -x
complete -c saecli -n '__saecli_at "cooc"' -l context -d 'Tokens on either side of an example that are written down.' -x
complete -c saecli -n '__saecli_at "cooc"' -l views -d 'TOML file of recommended views, buttons of the report: tables [recommended_views.NAME] with display_name and cluster.' -r -F
complete -c saecli -n '__saecli_at "cooc"' -l page-bytes -d 'Data of one HTML file of the report; what does not fit goes to further ones.' -x
complete -c saecli -n '__saecli_at "cooc"' -l probe -d 'Ask how well it can be read off linearly from a cluster whether a context (before|token|after) has this regular expression. Repeatable.' -x
complete -c saecli -n '__saecli_at "cooc"' -l h5 -d 'Also write the subspaces as the reference\'s HDF5 files (needs h5py).'
complete -c saecli -n '__saecli_at "cooc"' -l neuronpedia -d 'Where Neuronpedia shows the latents, for links in the tables: gpt2-small/8-res-jb.' -x
complete -c saecli -n '__saecli_at "cooc"' -l compat -d 'Follow sae_cooccurrence (the reference) in its choices, and write its files too.' -x -a 'cooc'
complete -c saecli -n '__saecli_at "cooc"' -l require -d 'Fail (exit code 4) unless every analysis holds to this: \'clusters>=3\'. Repeatable.' -x
complete -c saecli -n '__saecli_at "cooc"' -l cache-codes -d 'Room for codes in the user\'s cache, from which they come when the same dictionaries are counted again; 0 for none.' -x
complete -c saecli -n '__saecli_at "cooc"' -l pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "cooc"' -l no-pack -d 'Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.'
complete -c saecli -n '__saecli_at "cooc"' -l layers -d 'Layers as a Python slice of the site labels, such as 4:7. If neither this nor --kind is given, of a suite with several residual sites the one at five eighths of the depth, else every dictionary.' -x
complete -c saecli -n '__saecli_at "cooc"' -l kind -d 'Site kinds to use. Repeatable.' -x -a 'resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post'
complete -c saecli -n '__saecli_at "cooc"' -l device -d 'Where to compute.' -x -a 'auto cpu cuda mps'
complete -c saecli -n '__saecli_at "cooc"' -l dtype -d 'Number type of the model.' -x -a 'auto float32 bfloat16 float16 float64'
complete -c saecli -n '__saecli_at "cooc"' -l batch-size -d 'Items computed together: a number or auto.' -x
complete -c saecli -n '__saecli_at "cooc"' -l max-memory -d 'Memory to stay below, such as 4G; what is free if not given.' -x
complete -c saecli -n '__saecli_at "cooc"' -l seed -d 'Seed of everything random.' -x
complete -c saecli -n '__saecli_at "cooc"' -l threads -d 'CPU threads; 0 means one per physical core.' -x
complete -c saecli -n '__saecli_at "cooc"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "cooc"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "cooc"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "cooc"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "cooc"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "cooc"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "cooc"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "cooc"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "cooc"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "cooc"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "cooc"' -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b'
complete -c saecli -n '__saecli_at "graph"' -f -a show -d 'What a graph says, and what is wrong with it.'
complete -c saecli -n '__saecli_at "graph"' -f -a diff -d 'What two graphs have in common and where they differ.'
complete -c saecli -n '__saecli_at "graph"' -f -a merge -d 'One graph of many inputs: means, and how often each node occurs.'
complete -c saecli -n '__saecli_at "graph"' -f -a prune -d 'A smaller graph, by effects, influence or reach.'
complete -c saecli -n '__saecli_at "graph"' -f -a export -d 'A graph for other programs, or to look at and print.'
complete -c saecli -n '__saecli_at "graph"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "graph show"' -l node -d 'List the strongest edges into and out of this node.' -x
complete -c saecli -n '__saecli_at "graph show"' -l top -d 'Nodes and edges of each sign to list.' -x
complete -c saecli -n '__saecli_at "graph show"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "graph show"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "graph show"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "graph show"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "graph diff"' -l positions -d 'Match nodes position by position, or sum over positions; auto keeps them if the inputs are the same.' -x -a 'auto keep sum'
complete -c saecli -n '__saecli_at "graph diff"' -l top -d 'Differences of each kind to list; the tables have all.' -x
complete -c saecli -n '__saecli_at "graph diff"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "graph diff"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "graph diff"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "graph diff"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "graph diff"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "graph diff"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "graph diff"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "graph diff"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "graph diff"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "graph diff"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "graph merge"' -l how -d 'Keep what any graph has, or only what all have.' -x -a 'union intersection'
complete -c saecli -n '__saecli_at "graph merge"' -l positions -d 'Match nodes position by position, or sum over positions; auto keeps them if all inputs are the same.' -x -a 'auto keep sum'
complete -c saecli -n '__saecli_at "graph merge"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "graph merge"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "graph merge"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "graph merge"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "graph merge"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "graph merge"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "graph merge"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "graph merge"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "graph merge"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "graph merge"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "graph prune"' -l node-threshold -d 'Keep nodes of at least this absolute effect: 0.05 or 2**-4.' -x
complete -c saecli -n '__saecli_at "graph prune"' -l top-nodes -d 'Keep at most this many nodes per site, by absolute effect.' -x
complete -c saecli -n '__saecli_at "graph prune"' -l influence -d 'Keep the most influential nodes up to this share of all influence on the targets (circuit-tracer\'s rule; its default is 0.8).' -x
complete -c saecli -n '__saecli_at "graph prune"' -l connected -d 'Keep only nodes from which kept edges lead to a target.'
complete -c saecli -n '__saecli_at "graph prune"' -l pin -d 'Keep this node whatever the rules say. Repeatable.' -x
complete -c saecli -n '__saecli_at "graph prune"' -l edge-threshold -d 'Keep edges of at least this absolute weight: 0.01 or 2**-6.' -x
complete -c saecli -n '__saecli_at "graph prune"' -l top-edges -d 'Keep, into every node, this many most positive and as many most negative edges.' -x
complete -c saecli -n '__saecli_at "graph prune"' -l top-edges-out -d 'Keep, out of every node, this many most positive and as many most negative edges.' -x
complete -c saecli -n '__saecli_at "graph prune"' -l edge-influence -d 'Keep the most influential edges up to this share of all influence (circuit-tracer\'s default is 0.98), and no node that ends loose.' -x
complete -c saecli -n '__saecli_at "graph prune"' -l group -d 'Make a supernode of the features that share a label.' -x -a 'none labels'
complete -c saecli -n '__saecli_at "graph prune"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "graph prune"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "graph prune"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "graph prune"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "graph prune"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "graph prune"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "graph prune"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "graph prune"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "graph prune"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "graph prune"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "graph export"' -l to -d 'Format to write.' -x -a 'neuronpedia circuit-tracer saecli dot graphml csv svg png pdf html'
complete -c saecli -n '__saecli_at "graph export"' -l out -d 'File to write (csv and circuit-tracer: folder); named after the graph if not given.' -r -F
complete -c saecli -n '__saecli_at "graph export"' -l supernodes -d 'Groups of nodes in place of the graph\'s own: a file that its page saved.' -r -F
complete -c saecli -n '__saecli_at "graph export"' -l overwrite -d 'Replace what is there.'
complete -c saecli -n '__saecli_at "graph export"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "graph export"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "graph export"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "graph export"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "graph export"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "graph export"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "graph export"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "graph export"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "view"' -l model -d 'The model; the one that the suite was made for if not given.' -x -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b'
complete -c saecli -n '__saecli_at "view"' -l data -d 'What the model reads; if not given, what the zoo names: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME[/CONFIG][@REVISION] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.' -r -F
complete -c saecli -n '__saecli_at "view"' -l sequences -d 'Sequences to look through, held-out ones first; 0 for as many as have about 32,768 tokens.' -x
complete -c saecli -n '__saecli_at "view"' -l labels -d 'Feature labels: a file, auto (beside the suite, or kept by saecli f1), or none.' -r -F
complete -c saecli -n '__saecli_at "view"' -l contexts -d 'Contexts in which the feature fires most strongly.' -x
complete -c saecli -n '__saecli_at "view"' -l context-width -d 'Tokens on either side of them; 8 moves or 24 tokens of text if not given.' -x
complete -c saecli -n '__saecli_at "view"' -l connections -d 'Connections of the suite: a file, a run of saecli connect, auto (beside the suite), or none.' -r -F
complete -c saecli -n '__saecli_at "view"' -l top -d 'Connections shown each way, the strongest.' -x
complete -c saecli -n '__saecli_at "view"' -l neighbours -d 'Make the pages of so many of the most strongly connected features each way, too.' -x
complete -c saecli -n '__saecli_at "view"' -l runs -d 'Folders of runs, whose circuits and clusters are searched for the features. Repeatable.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "view"' -l open -d 'Open the page in the browser, if this is a terminal.'
complete -c saecli -n '__saecli_at "view"' -l no-open -d 'Open the page in the browser, if this is a terminal.'
complete -c saecli -n '__saecli_at "view"' -l device -d 'Where to compute.' -x -a 'auto cpu cuda'
complete -c saecli -n '__saecli_at "view"' -l out -d 'Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "view"' -l overwrite -d 'Replace an earlier run in that directory.'
complete -c saecli -n '__saecli_at "view"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "view"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "view"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "view"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "view"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "view"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "view"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "view"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "view"' -a 'gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b'
complete -c saecli -n '__saecli_at "download"' -l include -d 'Fetch only files (or members of a zip archive) like this. Repeatable.' -x
complete -c saecli -n '__saecli_at "download"' -l revision -d 'Branch, tag or commit on the hub; otherwise the one in the lock, or the newest.' -x
complete -c saecli -n '__saecli_at "download"' -l lock -d 'Lock file of a project: what it names is fetched exactly as it says, what is new is added.' -r -F
complete -c saecli -n '__saecli_at "download"' -l list -d 'List what can be fetched by name.'
complete -c saecli -n '__saecli_at "download"' -l search -d 'List only what has all of these words in its name, source or description.' -x
complete -c saecli -n '__saecli_at "download"' -l cache-dir -d 'Folder of the cache, instead of the usual ones; SAECLI_CACHE sets it for all commands.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "download"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "download"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "download"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "download"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "download"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "download"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "download"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "download"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "download"' -f -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini-connected tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b data:openwebtext data:pile-10k data:chess-random data:chess data:chess-train data:othello data:othello-synthetic data:python data:shakespeare data:tinystories data:simplestories'
complete -c saecli -n '__saecli_at "convert"' -l to -d 'What to make.' -x -a 'shards saelens dictionary_learning sparsify circuit-tracer gpt-circuits connections'
complete -c saecli -n '__saecli_at "convert"' -l overwrite -d 'Replace DST if it is there.'
complete -c saecli -n '__saecli_at "convert"' -l tokenizer -d 'Vocabulary (ascii, gpt2, chess, othello) or a folder with tokenizer.json.' -x
complete -c saecli -n '__saecli_at "convert"' -l column -d 'Column of tables; text, tokens, input_ids, story or content if not given.' -x
complete -c saecli -n '__saecli_at "convert"' -l documents -d 'What a document of a .txt is: the file, its lines, or what stands between two of a text given here.' -x
complete -c saecli -n '__saecli_at "convert"' -l separator -d 'Token written after every document.' -x -a 'none newline eos'
complete -c saecli -n '__saecli_at "convert"' -l split -d 'Held out: documents by their hash, all but the head of the tokens, or files by train and val in their names; auto is names if all say it, head for one text that is one document, else documents.' -x -a 'auto documents head names'
complete -c saecli -n '__saecli_at "convert"' -l val-fraction -d 'Share that is held out.' -x
complete -c saecli -n '__saecli_at "convert"' -l shard-tokens -d 'Most tokens of a shard.' -x
complete -c saecli -n '__saecli_at "convert"' -l include -d 'Only the dictionaries whose name fits this pattern.' -x
complete -c saecli -n '__saecli_at "convert"' -l site -d 'Where a dictionary reads (and writes), if its files do not say.' -x
complete -c saecli -n '__saecli_at "convert"' -l norm-scale -d 'What inputs were multiplied by in training, if the files lack it.' -x
complete -c saecli -n '__saecli_at "convert"' -l parallel -d 'Attention and MLP of the model\'s blocks run in parallel (Pythia).'
complete -c saecli -n '__saecli_at "convert"' -l no-parallel -d 'Attention and MLP of the model\'s blocks run in parallel (Pythia).'
complete -c saecli -n '__saecli_at "convert"' -l dtype -d 'Number type of the weights written.' -x -a 'float32 float16 bfloat16'
complete -c saecli -n '__saecli_at "convert"' -l as -d 'Another architecture on the way: TopK with the threshold it learned in training becomes JumpReLU, which has somewhat fewer than k active features on average.' -x -a 'jumprelu'
complete -c saecli -n '__saecli_at "convert"' -l lossy -d 'Accept a result that differs from the source.'
complete -c saecli -n '__saecli_at "convert"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "convert"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "convert"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "convert"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "convert"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "convert"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "convert"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "convert"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "run"' -l set -d 'A value for a step, or for all that have this key, as in TOML: train-sae.k=[8, 16]. Repeatable.' -x
complete -c saecli -n '__saecli_at "run"' -l list -d 'List the templates.'
complete -c saecli -n '__saecli_at "run"' -l check -d 'Compute a finished run again, elsewhere, and compare its files: exit code 4 if one differs.'
complete -c saecli -n '__saecli_at "run"' -l plan -d 'Say what would be done and stop: every step\'s command.'
complete -c saecli -n '__saecli_at "run"' -l out -d 'Directory of the results; otherwise saecli-runs/run-FINGERPRINT.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "run"' -l overwrite -d 'Take every step again, replacing what is there.'
complete -c saecli -n '__saecli_at "run"' -l resume -d 'Insist on continuing: an error if there is no unfinished run.'
complete -c saecli -n '__saecli_at "run"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "run"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "run"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "run"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "run"' -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "zoo"' -f -a list -d 'Models, suites of dictionaries and data sets that have a name.'
complete -c saecli -n '__saecli_at "zoo"' -f -a show -d 'What a file, a folder or a name is; nothing of it is run.'
complete -c saecli -n '__saecli_at "zoo"' -f -a cache -d 'What was downloaded.'
complete -c saecli -n '__saecli_at "zoo"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "zoo list"' -l search -d 'Only what has all of these words in its name, source or description.' -x
complete -c saecli -n '__saecli_at "zoo list"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "zoo list"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "zoo list"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "zoo list"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "zoo list"' -f -a 'models suites data'
complete -c saecli -n '__saecli_at "zoo show"' -l include -d 'Only the dictionaries whose name fits this pattern.' -x
complete -c saecli -n '__saecli_at "zoo show"' -l site -d 'Where a dictionary reads (and writes), if its files do not say.' -x
complete -c saecli -n '__saecli_at "zoo show"' -l probe -d 'Check on 1,000 tokens that they do on their model what is recorded of them.'
complete -c saecli -n '__saecli_at "zoo show"' -l model -d 'The model to probe with, if it is not the one they name.' -x -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b'
complete -c saecli -n '__saecli_at "zoo show"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "zoo show"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "zoo show"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "zoo show"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "zoo show"' -f -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b'
complete -c saecli -n '__saecli_at "zoo cache"' -f -a ls -d 'List it: revision, size, last use, completeness.'
complete -c saecli -n '__saecli_at "zoo cache"' -f -a prune -d 'Remove names, what is old, unfinished downloads.'
complete -c saecli -n '__saecli_at "zoo cache"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "zoo cache ls"' -l cache-dir -d 'Folder of the cache, instead of the usual ones; SAECLI_CACHE sets it for all commands.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "zoo cache ls"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "zoo cache ls"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "zoo cache ls"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "zoo cache ls"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "zoo cache prune"' -l older-than -d 'Also what was not used for this many days.' -x
complete -c saecli -n '__saecli_at "zoo cache prune"' -l cache-dir -d 'Folder of the cache, instead of the usual ones; SAECLI_CACHE sets it for all commands.' -x -a '(__fish_complete_directories)'
complete -c saecli -n '__saecli_at "zoo cache prune"' -l plan -d 'Say what would be done and stop.'
complete -c saecli -n '__saecli_at "zoo cache prune"' -l config -d 'TOML file with values for these flags.' -r -F
complete -c saecli -n '__saecli_at "zoo cache prune"' -l template -d 'Named template with values for these flags.' -x -a 'boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m'
complete -c saecli -n '__saecli_at "zoo cache prune"' -l show-config -d 'Print every value and where it comes from, and stop.'
complete -c saecli -n '__saecli_at "zoo cache prune"' -l json -d 'Print one JSON document instead of text.'
complete -c saecli -n '__saecli_at "zoo cache prune"' -l quiet -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "zoo cache prune"' -s q -d 'Print nothing but the result and errors.'
complete -c saecli -n '__saecli_at "zoo cache prune"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "zoo cache prune"' -f -a 'gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini-connected tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b data:openwebtext data:pile-10k data:chess-random data:chess data:chess-train data:othello data:othello-synthetic data:python data:shakespeare data:tinystories data:simplestories'
complete -c saecli -n '__saecli_at "schema"' -l help -d 'Show this message and exit.'
complete -c saecli -n '__saecli_at "schema"' -f -a 'trace train connect finetune validate f1 cooc graph view download convert run zoo'
