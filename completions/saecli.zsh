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
                'trace:Circuit graph of a prediction: what helps or hurts it, and through what.'
                'train:Train what the other commands need.'
                'connect:The few upstream features that each feature of a suite may depend on.'
                'finetune:Train a suite of dictionaries through its sparse connections.'
                'validate:Whether suites keep what a model does, and circuits carry it; controls.'
                'f1:What dictionaries know of the board: F1 of features, coverage, reconstruction.'
                'cooc:Latents that fire together: pairs, clusters, the subspaces they span.'
                'graph:Work on stored circuit graphs, without a model.'
                'view:Open a report, or the page of a feature.'
                'download:Fetch models, dictionaries and data sets, or list what there is.'
                'convert:Dictionaries into other formats, text into token shards.'
                'run:The steps of a template one after the other; a finished run again, with --check.'
                'zoo:What there is: models, dictionaries and data sets by name, and what a file or folder is.'
                'schema:Print the JSON schema of what a command prints with --json.'
            )
            _describe command commands
            ;;
        rest)
            case $line[1] in
                trace) _saecli_trace ;;
                train) _saecli_train ;;
                connect) _saecli_connect ;;
                finetune) _saecli_finetune ;;
                validate) _saecli_validate ;;
                f1) _saecli_f1 ;;
                cooc) _saecli_cooc ;;
                graph) _saecli_graph ;;
                view) _saecli_view ;;
                download) _saecli_download ;;
                convert) _saecli_convert ;;
                run) _saecli_run ;;
                zoo) _saecli_zoo ;;
                schema) _saecli_schema ;;
            esac
            ;;
    esac
}

_saecli_trace() {
    _arguments \
        '--suite=[The model'\''s dictionaries; its own suite if not given.]:value:{ compadd -- gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b; _files }' \
        '--probe[First check on 1,000 tokens that the dictionaries do what is recorded of them.]' \
        '--benchmark[Trace circuits planted in small models, by every method, and tell how much of them is found; takes no model.]' \
        '--game=[For models of games: moves of Othello, F5D6C3… or token ids, or of chess, '\''1. e4 e5 2. Nf3'\'' ('\'';1.e4 e5 2.N'\'' to the character); a fixed held-out game if not given.]:value: ' \
        '--prompt=[For models of text: the text; a fixed one if not given.]:value: ' \
        '--patch=[A counterfactual text or game of equal length: what is removed takes its activation there.]:value: ' \
        '--prompts=[Many prompts: JSON lines with clean_prefix and clean_answer, and patch_prefix and patch_answer for counterfactuals; games of chess in a PGN file; or data, as --data names them. Of games and data the model'\''s own top choice at --at is explained (with --metric ce the token that follows).]:value:_files' \
        '--n-prompts=[The first so many of --prompts; if not given, all of a file, 100 sequences of data.]:value: ' \
        '--aggregate=[With --prompts: add up the positions of a prompt, take their mean, or keep them (prompts of one length); then the mean over prompts.]:value:(none sum mean)' \
        '--at=[Explain the prediction at this position, from 0 (negative: from the end); if not given, the last, 19 of data in --prompts.]:value: ' \
        '--target=[What to explain: a move F5, a token '\'' the'\'', a pair F5-C3, or a feature 8:331@19; the model'\''s top choice if not given.]:value: ' \
        '--metric=[What effects are measured in; auto fits the model and the target.]:value:(auto over-illegal over-mean logit logit-diff ce kl feature)' \
        '--method=[First-order effects; integrated gradients, first-order effects averaged on the way to the removal of a whole site; ablation, removing features one by one and watching activations change; exact, removing features and errors one by one and measuring every edge by itself; search, the fewest features of each residual site that keep the prediction; or direct, for transcoders: what features do to each other where norms keep their scales and attention its patterns. If not given, direct for transcoders and gradient else.]:value:(gradient ig ablation exact search direct)' \
        '--steps=[With ig: points on the way.]:value: ' \
        '--rule=[With ig: the points lie in the middle of equal parts, or at their beginning.]:value:(midpoint left)' \
        '--ablation=[What takes the place of what is removed: nothing, the mean over --data, another sequence of --data (by --seed), or its activation on --patch; if not given, --patch if there is one, else nothing (with search: tokens of --data).]:value:(zero mean resample patch)' \
        '--data=[For mean, resample, search and --contexts; if not given, what the zoo names for the model: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME\[/CONFIG\]\[@REVISION\] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.]:value:_files' \
        '--sequences=[For mean, resample and search: sequences of --data, as long as the input.]:value: ' \
        '--positions=[With ablation: remove a feature at each position by itself, at all at once, or at the last only.]:value:(each all last)' \
        '--keep=[Keep, per site, the strongest nodes that carry this share of the absolute effect (0.8 if no other limit on nodes is given).]:value: ' \
        '--top-nodes=[Keep at most this many nodes per site, by absolute effect.]:value: ' \
        '--node-threshold=[Keep nodes of at least this absolute effect, 0.05 or 2**-4; calibrated: features that exceed their threshold of --calibrate.]:value: ' \
        '--top-edges=[Keep, per child and the target, this many most positive and as many most negative edges.]:value: ' \
        '--edge-threshold=[Keep edges of at least this absolute weight: 0.01 or 2**5.]:value: ' \
        '*--pin=[Keep this feature whatever its effect; with ablation, remove only pinned features of its site. Repeatable.]:value: ' \
        '--labels=[Feature labels: a file, auto (beside the suite, or kept by saecli f1), or none.]:value:_files' \
        '--contexts=[Show, of every feature, this many contexts in which it fires most strongly: sequences of --data, with the board of a game. The first time the model runs over them; then they are kept.]:value: ' \
        '--context-width=[With --contexts: tokens on either side.]:value: ' \
        '--context-sequences=[With --contexts: sequences that are looked through.]:value: ' \
        '--explanations=[Ask Neuronpedia'\''s server what it says of every feature, if it shows the suite; answers are kept.]:value:(none neuronpedia)' \
        '--threshold=[Keep as few features as leave the prediction within this KL divergence, in nats.]:value: ' \
        '--samples=[What the other features have is drawn so often; the predictions are averaged.]:value: ' \
        '--neighbours=[Draw among so many tokens of --data that are nearest in the features kept; 0: among all tokens.]:value: ' \
        '--position-weight=[What a difference of positions counts in the distance at the first layer, falling to nothing at the last; with --neighbours 0, draw from the same position; 0: from any.]:value: ' \
        '--max-tokens=[Choose the features of at most this many tokens at the first site.]:value: ' \
        '--window=[Stop adding features, too, when the divergence exceeds its mean over the last so many; 0: do not.]:value: ' \
        '--norms=[With gradient and ig, of dictionaries that norm their input: mean and deviation are held fixed, so that what acts through them is left to errors; or live, they follow the input.]:value:(frozen live)' \
        '--influence=[With direct: keep the nodes through which this share of what reaches the target passes, the most influential first.]:value: ' \
        '--first-fraction=[Of the features that are active at the first chosen site look at this share only, drawn by --seed.]:value: ' \
        '--extend=[Grow this graph by the sites chosen here, from a residual site that both have: of the same model, dictionaries, input, metric and method.]:value:_files' \
        '--calibrate=[Trace nothing: find the percentile of every feature'\''s activation over these data (as of --data), and keep it for --node-threshold calibrated.]:value:_files' \
        '--percentile=[With --calibrate: which one.]:value: ' \
        '--cluster=[With --calibrate: only the tokens of cluster n of k (0 is the largest), by k-means of the first site'\''s vectors, each at length 1.]:value: ' \
        '--calibrate-sequences=[With --calibrate: how many sequences are read; 0 for about 131,000 tokens.]:value: ' \
        '--rules=[Draw no graph: over this many held-out games of Othello, each at one of its moves, find which labels of features carry the effect on the model'\''s choice, beside what chance would give.]:value: ' \
        '--layers=[Layers as a Python slice of the site labels, such as 6:9.]:value: ' \
        '*--kind=[Site kinds to use; all the suite has if not given. Repeatable.]:value:(resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post)' \
        '--device=[Where to compute.]:value:(auto cpu cuda mps)' \
        '--dtype=[Number type of the model.]:value:(auto float32 bfloat16 float16 float64)' \
        '--batch-size=[Items computed together: a number or auto.]:value: ' \
        '--max-memory=[Memory to stay below, such as 4G; what is free if not given.]:value: ' \
        '--seed=[Seed of everything random.]:value: ' \
        '--threads=[CPU threads; 0 means one per physical core.]:value: ' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '1:model:{ compadd -- gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b; _files }'
}

_saecli_train() {
    local line state
    local -a commands
    _arguments -C \
        '--help[Show this message and exit.]' \
        '1: :->command' \
        '*:: :->rest'
    case $state in
        command)
            commands=(
                'lm:Small GPTs, saved as Hugging Face GPT-2 folders.'
                'sae:Sparse autoencoders at many sites of a model, in one pass.'
            )
            _describe command commands
            ;;
        rest)
            case $line[1] in
                lm) _saecli_train_lm ;;
                sae) _saecli_train_sae ;;
            esac
            ;;
    esac
}

_saecli_train_lm() {
    _arguments \
        '--data=[What to train on: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME\[/CONFIG\]\[@REVISION\] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.]:value:_files' \
        '--tokenizer=[Vocabulary of text that is no token shards yet: ascii, gpt2, chess, othello, or a folder with tokenizer.json.]:value: ' \
        '--n-ctx=[Positions per sequence; 0 for the data'\''s own: 59 for Othello, 256 for chess, 128 for text.]:value: ' \
        '--batch-size=[Sequences (games) per step.]:value: ' \
        '--micro-batch=[Sequences computed at a time, their gradients added up; 0 for all of a step. Fewer take less memory; the step stays the same but for rounding.]:value: ' \
        '--targets=[Learn from the sampled next token, or from its distribution where the data'\''s generator knows it (auto).]:value:(auto sampled expected)' \
        '--n-layer=[Number of blocks.]:value: ' \
        '--n-head=[Attention heads per block.]:value: ' \
        '--d-model=[Width of the residual stream.]:value: ' \
        '--norm=[What stands before the MLPs: LayerNorm, or DynamicTanh, weight * tanh(alpha * x) + bias.]:value:(layernorm dynamic-tanh)' \
        '--tanh-alpha=[First value of DynamicTanh'\''s alpha.]:value: ' \
        '--steps=[Optimiser steps.]:value: ' \
        '--optimizer=[Muon on the matrices inside blocks and AdamW on the rest, or AdamW on everything.]:value:(muon adamw)' \
        '--lr=[Highest learning rate of AdamW.]:value: ' \
        '--muon-lr=[Highest learning rate of Muon.]:value: ' \
        '--warmup=[Steps of linear warm-up.]:value: ' \
        '--schedule=[After the warm-up: half a cosine down to --min-lr, or constant.]:value:(cosine constant)' \
        '--min-lr=[Learning rate at the cosine'\''s end; Muon'\''s falls by the same factor.]:value: ' \
        '--weight-decay=[Decoupled weight decay of the matrices, embeddings included.]:value: ' \
        '--grad-clip=[Largest norm of the gradient; 0 for no limit.]:value: ' \
        '--device=[Where to train.]:value:(cpu cuda mps)' \
        '--precision=[bf16 is autocast with attention in fp32; it pays on hardware with bf16 units only.]:value:(fp32 bf16 fp64)' \
        '--keep=[The weights to keep: those of the last step, or those with the lowest cross-entropy on held-out data (measured every --eval-every steps; of equal ones the earlier).]:value:(last best)' \
        '--save-dtype=[Number type of the stored model.]:value:(float32 float16 bfloat16)' \
        '--eval-every=[Steps between measurements on held-out data.]:value: ' \
        '--held-out=[Held-out sequences to measure on.]:value: ' \
        '--sae=[Train dictionaries of this architecture along with the model, in one loss, so that it becomes a model that they reconstruct well; they are stored as a suite beside it.]:value:(standard gated jumprelu topk)' \
        '*--sae-kind=[Site kinds that have dictionaries, in every layer. Repeatable.]:value:(resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post)' \
        '--sae-latents=[Features per dictionary.]:value: ' \
        '--sae-k=[Active features per token (topk).]:value: ' \
        '--sae-sparsity-weight=[Weight of the sparsity penalty (standard, gated, jumprelu): one number, or one for every site in the order of depth, as in 0.02,0.035,0.085,0.07,0.075.]:value: ' \
        '--sae-tied[The encoder is the decoder, transposed (standard, gated).]' \
        '--no-sae-tied[The encoder is the decoder, transposed (standard, gated).]' \
        '--sae-lr=[Highest learning rate of the dictionaries; if not given, 1e-3 times the root of 2^14 over the latents.]:value: ' \
        '--regularisation=[Weight of the dictionaries'\'' errors in the loss; 3 if not given, of gated 2. Made for --optimizer adamw; Muon wants less.]:value: ' \
        '--pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--no-pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--log-every=[Steps per line of metrics.]:value: ' \
        '--checkpoint-seconds=[Wall-clock seconds between checkpoints.]:value: ' \
        '--wandb=[Project of Weights & Biases that the metrics are sent to as well.]:value: ' \
        '--max-memory=[Memory to stay below, such as 4G; what is free if not given.]:value: ' \
        '--resume[Insist on continuing: an error if there is no unfinished run.]' \
        '--seed=[Seed of everything random.]:value: ' \
        '--threads=[CPU threads; 0 means one per physical core.]:value: ' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]'
}

_saecli_train_sae() {
    _arguments \
        '*--kind=[Site kinds; if not given resid_pre, of jacobian mlp_in and mlp_out. mlp_in>mlp_out is a transcoder. Repeatable.]:value:(resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post)' \
        '--arch=[Architecture. identity and random are untrained controls: the site'\''s own dimensions, and random directions with TopK. jacobian is a pair of TopK dictionaries at the two ends of an MLP, trained for few and small derivatives between their features. A staircase (of TopK or JumpReLU) gets wider from site to site.]:value:(standard topk batchtopk matryoshka gated jumprelu identity random staircase staircase-jumprelu jacobian)' \
        '*--k=[Active features per token (topk, random; on average: batchtopk, matryoshka). Repeatable: each value trains a suite.]:value: ' \
        '*--latents=[Features per dictionary. Repeatable.]:value: ' \
        '*--sparsity-weight=[Weight of the sparsity penalty (standard, gated, jumprelu). Repeatable.]:value: ' \
        '*--target-l0=[Active features per token that are aimed at (jumprelu). Repeatable.]:value: ' \
        '--sparsity-p=[Exponent to which the penalty falls in steps, from 1 (standard, gated): p-annealing, 0.2 is usual.]:value: ' \
        '--l0-loss=[Penalty on active features (jumprelu): target, (L0 / --target-l0 - 1) squared; l0, their number; tanh of their size. The last two are swept by --sparsity-weight, and --target-l0 is what thresholds begin at.]:value:(target l0 tanh)' \
        '--groups=[Shares of the latents that the nested groups have, the most general first (matryoshka).]:value: ' \
        '--widths=[Features of every dictionary of a staircase in order of depth, as numbers or as multiples of the site'\''s width (8x,16x,24x); if not given, --latents times 1, 2, 3 and so on.]:value: ' \
        '--sharing=[What the dictionaries of a staircase have in common: weights, the first rows of one encoder and decoder; detached, those too, each row trained by the first dictionary that has it; b-dec, the decoder'\''s bias as well; none.]:value:(weights detached b-dec none)' \
        '--stairs=[One staircase over all sites, or one in every block (--kind resid_mid --kind resid_post).]:value:(sites blocks)' \
        '--tied[The encoder is the decoder, transposed (standard, gated).]' \
        '--no-tied[The encoder is the decoder, transposed (standard, gated).]' \
        '*--jacobian-coefficient=[Weight of the Jacobian penalty (jacobian): one number, or one for every layer as in 0.3,1,3. Repeatable.]:value: ' \
        '--jacobian-reduction=[What the penalty is over the tokens of a batch (jacobian); sum makes the weight depend on --batch.]:value:(mean sum)' \
        '--jacobian-tokens=[Share of the tokens that the penalty is computed of (jacobian), other ones in every step: 1/8 takes one in eight and counts it eight times.]:value: ' \
        '--jacobian-at=[Where the slopes of the model within the penalty are taken (jacobian): its own activations, or what the first dictionary makes of them.]:value:(clean reconstruction)' \
        '--skip[Learn a linear path from input to output beside the features (transcoders).]' \
        '--no-skip[Learn a linear path from input to output beside the features (transcoders).]' \
        '--decoder-norm=[Decoder rows are kept at norm 1 (unit) or not (free); if not given, free for standard, else unit.]:value:(unit free)' \
        '--processing=[Weights of the model as they are, or folded as TransformerLens does.]:value:(raw folded)' \
        '--data=[What the model reads; if not given, what the zoo names for it: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME\[/CONFIG\]\[@REVISION\] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.]:value:_files' \
        '--context=[Positions per sequence; 0 for the data'\''s own, at most the model'\''s.]:value: ' \
        '*--drop=[Leave out the vectors of these tokens: bos (of sequences that begin with it), eos, pad, special (each of them that there is), none, or the number of a token. Repeatable.]:value: ' \
        '--cache-activations=[Keep the model'\''s activations on disk for later runs on the same data, in so much room at most: 20G.]:value: ' \
        '*--activations=[Vectors of one'\''s own instead of a model'\''s: .npy arrays \[rows, width\] or safetensors. Repeatable.]:value:_files' \
        '--site=[Site that the vectors of --activations are from; 0.resid_pre if not given.]:value: ' \
        '--tokens=[Vectors per dictionary in all.]:value: ' \
        '--batch=[Vectors per step, nearly.]:value: ' \
        '--buffer=[Vectors per site that are mixed with each other.]:value: ' \
        '--sequences=[Sequences (games) per forward pass of the model.]:value: ' \
        '--loss=[What a dictionary is trained for: reconstruction, vectors like those there are; end-to-end, that with its reconstruction in their place the model predicts the same and later sites have the same. That runs the model from every site in every step, on whole sequences as they come (no --buffer).]:value:(reconstruction end-to-end)' \
        '--downstream-weight=[Weight of the squared error at later sites of the suite, as a share of their variance, beside the divergence of predictions in nats (--loss end-to-end).]:value: ' \
        '--lr=[Highest learning rate; if not given, 1e-3 times the root of 2^14 over the latents.]:value: ' \
        '--beta1=[Decay of Adam'\''s running mean of gradients (of their squares: 0.999); 0 in some recipes for gated and jumprelu.]:value: ' \
        '--warmup=[Share of the tokens with a rising learning rate.]:value: ' \
        '--decay=[Share of the tokens, at the end, in which the learning rate falls to zero.]:value: ' \
        '--sparsity-warmup=[Share of the tokens in which the weight of the penalty rises from 0 (standard, gated, jumprelu).]:value: ' \
        '--k-anneal=[Share of the tokens in which the active features fall from the width to --k (topk, batchtopk, matryoshka); steps with a large k are slow.]:value: ' \
        '--init=[Directions to begin with: random; active-subspace, where the outputs vary; mlp, the neurons of the MLP that a transcoder stands for. auto is mlp where it can be, else random.]:value:(auto random active-subspace mlp)' \
        '--b-dec-init=[What the decoder'\''s bias begins as, of the outputs.]:value:(mean geometric-median zero)' \
        '--resample-every=[Vectors after which dead latents begin again as badly reconstructed inputs, while the learning rate is at its highest (standard, gated); 0 for never.]:value: ' \
        '--grad-clip=[Largest gradient norm of a dictionary; 0 for no limit.]:value: ' \
        '--dead-after=[Vectors without firing after which a latent is dead.]:value: ' \
        '--aux-k=[Dead latents that reconstruct the residual error; half the width if not given.]:value: ' \
        '--aux-coefficient=[Weight of the auxiliary loss for dead latents.]:value: ' \
        '--bandwidth=[Width of the window around a threshold in which it learns, in root mean square norms of the input (jumprelu).]:value: ' \
        '--tanh-scale=[How steep --l0-loss tanh is: tanh(scale times activation times decoder norm).]:value: ' \
        '--anneal-start=[Share of the tokens after which the exponent of an annealed penalty falls.]:value: ' \
        '--device=[Where to train.]:value:(cpu cuda mps)' \
        '--precision=[Number type of weights and arithmetic. bf16: of matrix products alone, which pays on hardware with bf16 units only; bf16-screen (topk): candidates in bf16, their values computed anew.]:value:(fp32 fp64 bf16 bf16-screen)' \
        '--compile[Fuse the step with torch.compile (standard, gated); for accelerators, on a CPU the other way is faster.]' \
        '--no-compile[Fuse the step with torch.compile (standard, gated); for accelerators, on a CPU the other way is faster.]' \
        '--save-dtype=[Number type of the files.]:value:(float32 float16 bfloat16)' \
        '--held-out=[Held-out sequences to measure on at the end, at most; 0 for none.]:value: ' \
        '--pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--no-pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--log-every=[Steps per line of metrics.]:value: ' \
        '--checkpoint-seconds=[Wall-clock seconds between checkpoints.]:value: ' \
        '--wandb=[Project of Weights & Biases that the metrics are sent to as well.]:value: ' \
        '--max-memory=[Memory to stay below, such as 4G; what is free if not given.]:value: ' \
        '--resume[Insist on continuing: an error if there is no unfinished run.]' \
        '--seed=[Seed of everything random.]:value: ' \
        '--threads=[CPU threads; 0 means one per physical core.]:value: ' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--layers=[Layers as a Python slice of the site labels, such as 6:9.]:value: ' \
        '--help[Show this message and exit.]' \
        '1:model:{ compadd -- gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b; _files }'
}

_saecli_connect() {
    _arguments \
        '--suite=[A suite of the model with a dictionary of attn_out and a transcoder from mlp_in to mlp_out in every layer; if not given, MODEL-transcoders of the zoo, else the model'\''s own.]:value:{ compadd -- gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b; _files }' \
        '--data=[What the model reads; if not given, what the zoo names: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME\[/CONFIG\]\[@REVISION\] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.]:value:_files' \
        '--sequences=[Sequences to score on, held-out ones first; 0 for as many as have about 32,768 tokens.]:value: ' \
        '--n-ctx=[Positions per sequence; 0 for those that the dictionaries were trained on, or 128.]:value: ' \
        '*--pair=[Connect the features of two autoencoders with an MLP (3.mlp_in:3.mlp_out), an MLP with its norm and skip path (3.resid_mid:3.resid_post) or a block (3.resid_pre:4.resid_pre) between them, through that part itself. Repeatable: one file has them all.]:value: ' \
        '--score=[What makes a connection important: the mean contribution to the feature where it is active, or everywhere; the largest where it is active; the weight alone; the mean where it is active, weighed by how much the loss depends on the feature; or chance, as many per row as active-mean keeps. active-mean if not given, with --compat scae mean. With --pair: ig (integrated gradients, the default), jacobian (the mean size of the derivative) or ablation (the mean change when the source is set to 0).]:value:(active-mean mean max weight gradient random ig jacobian ablation)' \
        '--c=[Keep so many upstream features of each feature, over all upstream modules together; 10,30,100 if neither this nor --keep is given. Several numbers make a file each; all keeps everything.]:value: ' \
        '--keep=[Keep so many connections of the whole suite, or of each pair (there also all, the default). Several numbers make a file each.]:value: ' \
        '--steps=[With --pair and ig: points at which gradients are taken.]:value: ' \
        '--embed[Connect the embeddings of tokens too, upstream of all features.]' \
        '--logits[Connect the logits of tokens too, downstream of all features.]' \
        '--compat=[Do as a reference does: scae scores by unconditional sums over the features of the pruned pass with everything connected, and in parallel blocks counts connections from attention to MLP that cannot be. With --pair, gpt-circuits: gradients times the length of all source features together, roots of sums of squares.]:value:(scae gpt-circuits)' \
        '--device=[Where to compute.]:value:(auto cpu cuda)' \
        '--dtype=[Number type of the model and the sums.]:value:(auto float32 float64)' \
        '--half=[Of the held-out sequences all, or those of one half: what was chosen by the first is to be reported on the second.]:value:(all first second)' \
        '--pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--no-pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--batch-size=[Items computed together: a number or auto.]:value: ' \
        '--max-memory=[Memory to stay below, such as 4G; what is free if not given.]:value: ' \
        '--seed=[Seed of everything random.]:value: ' \
        '--threads=[CPU threads; 0 means one per physical core.]:value: ' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '1:model:{ compadd -- gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b; _files }'
}

_saecli_finetune() {
    _arguments \
        '--model=[The model; the one that the suite was made for if not given.]:value:{ compadd -- gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b; _files }' \
        '--connections=[Connections of saecli connect; those beside the suite if not given.]:value:_files' \
        '--c=[Keep so many connections of each feature, the strongest; several values train several suites: 10,30,100.]:value: ' \
        '--masks=[Learn which of the connections to keep, so many of each feature on average: gates that open or close.]:value: ' \
        '--data=[What the model reads; if not given, what the zoo names for it: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME\[/CONFIG\]\[@REVISION\] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.]:value:_files' \
        '--context=[Positions per sequence; 0 for those the suite was trained on.]:value: ' \
        '--sequences=[Sequences per step.]:value: ' \
        '--loss=[What is made small: fvu (unexplained variance of every module), ce (of the next token), kl (of the model'\''s predictions from the suite'\''s), or a mixture, kl,fvu=0.1.]:value: ' \
        '--steps=[Optimiser steps.]:value: ' \
        '--lr=[Highest learning rate of every dictionary; if not given, 1e-3 times the root of 2^14 over its latents.]:value: ' \
        '--warmup=[Share of the steps with a rising learning rate.]:value: ' \
        '--decay=[Share of the steps, at the end, in which the learning rate falls to zero.]:value: ' \
        '--stagger=[With fvu: a module counts from this number of steps on times the modules before it.]:value: ' \
        '--grad-clip=[Largest gradient norm of a dictionary; 0 for no limit.]:value: ' \
        '--decoder-norm=[Decoder rows take any norm, or keep the one they have.]:value:(free kept)' \
        '--dead-after=[Tokens without firing after which a latent is dead.]:value: ' \
        '--aux-k=[Dead latents that reconstruct what the module leaves unexplained; half the width if not given.]:value: ' \
        '--aux-coefficient=[Weight of the auxiliary loss for dead latents; 0 for none.]:value: ' \
        '--compat=[scae: biases, dropped biases and unexplained variance as the reference computes them, of folded weights.]:value:(none scae)' \
        '--held-out=[Held-out sequences to measure on, before and after.]:value: ' \
        '--save-dtype=[Number type of the stored weights.]:value:(float32 float16 bfloat16)' \
        '--device=[Where to compute.]:value:(auto cpu cuda)' \
        '--pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--no-pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--log-every=[Steps per line of metrics.]:value: ' \
        '--checkpoint-seconds=[Wall-clock seconds between checkpoints.]:value: ' \
        '--wandb=[Project of Weights & Biases that the metrics are sent to as well.]:value: ' \
        '--max-memory=[Memory to stay below, such as 4G; what is free if not given.]:value: ' \
        '--resume[Insist on continuing: an error if there is no unfinished run.]' \
        '--seed=[Seed of everything random.]:value: ' \
        '--threads=[CPU threads; 0 means one per physical core.]:value: ' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '1:suite:{ compadd -- gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b; _files }'
}

_saecli_validate() {
    _arguments \
        '--model=[The model; the one that the first suite was made for if not given.]:value:{ compadd -- gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b; _files }' \
        '--data=[What it reads, of which the held-out side is measured; if not given, what the zoo names: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME\[/CONFIG\]\[@REVISION\] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.]:value:_files' \
        '--sequences=[Held-out sequences, or prompts for a circuit without positions.]:value: ' \
        '--n-ctx=[Positions per sequence; 0 for those that the dictionaries were trained on, or 128.]:value: ' \
        '--firing=[More held-out sequences, only to see which features ever fire.]:value: ' \
        '--suite=[Of a graph: the dictionaries it was traced with, if its run does not tell where they are.]:value:{ compadd -- gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b; _files }' \
        '--connections=[Compute the suite through these connections, of saecli connect, beside random ones; auto: those that lie beside it.]:value:_files' \
        '*--edges=[Keep only the strongest of these edges between two sites, of saecli connect --pair, many numbers of them one after the other, beside random orders: a file or a run, whose largest file is taken. Repeatable, for several suites, which are compared.]:value:_files' \
        '--counts=[With --edges: how many to keep, several numbers, of which those above all pairs mean all; if not given, powers of the root of 2 up to all pairs.]:value: ' \
        '--c=[With --connections: keep so many of each feature, the strongest; several numbers are measured side by side: 10,30,100.]:value: ' \
        '--compat=[With --connections: scae computes biases and unexplained variance as the reference does, of folded weights.]:value:(none scae)' \
        '--prompts=[Of a graph of many prompts: those to measure on, its own or held-out ones of their kind, as of saecli trace.]:value:_files' \
        '--ablation=[Of a graph: what takes the place of everything outside the circuit, for the curve and --min-faithfulness: nothing but the dictionaries'\'' biases, the mean over data, or another prompt.]:value:(zero mean resample)' \
        '--errors=[Of a graph: errors of dictionaries stay as the circuit has them, are all kept, or all removed; decides what --min-faithfulness asks. With --connections: kept adds them to what every module writes.]:value:(circuit kept removed)' \
        '--draws=[Random circuits per circuit, random connections or feature sets, and prompts that resampled ablation takes from.]:value: ' \
        '*--features=[Remove these features of a suite together, at every position: 6:839,104 7:331. Repeatable.]:value: ' \
        '*--set=[Change a feature on one input, at one position or all: set it, scale it, or add to it (7:331=0, 7.mlp_out:12@42=2x, 7:331=+5); of a graph, on its own input, beside what its edges predict. Repeatable. 7:331=0..2x scales it in steps of 0.1: dose and response.]:value: ' \
        '--generate=[With --set: also write so many tokens, with and without the change.]:value: ' \
        '--temperature=[With --generate: draw tokens (by --seed) from the distribution at this temperature; 0 takes the most likely one.]:value: ' \
        '--prompt=[With --set, for models of text: the text; a fixed one if not given.]:value: ' \
        '--game=[With --set, for models of games: its moves, as of saecli trace; a fixed held-out game if not given.]:value: ' \
        '--at=[With --set: look at the prediction at this position (negative: from the end); the last if not given.]:value: ' \
        '--target=[With --set: what the metric is of, as of saecli trace; the model'\''s top choice if not given.]:value: ' \
        '--metric=[With --set: what effects are measured in; auto fits the model and the target.]:value:(auto over-illegal over-mean logit logit-diff ce kl feature)' \
        '--min-faithfulness=[Of a graph: fail (exit code 4) if it is less faithful.]:value: ' \
        '*--require=[Fail (exit code 4) unless this holds at every chosen site: '\''ce_recovered>=0.95'\''. Repeatable.]:value: ' \
        '--choose=[Of several suites keep one, as chosen/ of the run: the last named whose CE increase with all sites replaced is at most so many nats above that of the first. Choose by --half first what --half second reports.]:value: ' \
        '--device=[Where to compute.]:value:(auto cpu cuda)' \
        '--half=[Of the held-out sequences all, or those of one half: what was chosen by the first is to be reported on the second.]:value:(all first second)' \
        '--pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--no-pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--layers=[Layers as a Python slice of the site labels, such as 6:9.]:value: ' \
        '*--kind=[Site kinds to use; all the suite has if not given. Repeatable.]:value:(resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post)' \
        '--dtype=[Number type of the model.]:value:(auto float32 bfloat16 float16 float64)' \
        '--batch-size=[Items computed together: a number or auto.]:value: ' \
        '--max-memory=[Memory to stay below, such as 4G; what is free if not given.]:value: ' \
        '--seed=[Seed of everything random.]:value: ' \
        '--threads=[CPU threads; 0 means one per physical core.]:value: ' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '*:suite|graph…:{ compadd -- gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b; _files }'
}

_saecli_f1() {
    _arguments \
        '--model=[The model; if not given, the one that each dictionary was made for.]:value:{ compadd -- gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b; _files }' \
        '--data=[Its games; if not given, what the zoo names: othello or chess-random (random games that no training saw), data:NAME, a folder of token shards, text with a game per line as FILE, FOLDER or GLOB, or hf:ORG/NAME\[/CONFIG\]\[@REVISION\] of the hub; :COLUMN after text or hf: names the column.]:value:_files' \
        '--games=[Games on which thresholds, labels and best features are found, and as many others on which they are checked.]:value: ' \
        '--indexing=[Positions that are scored; if not given, dots in chess (White moves next), all in Othello.]:value:(dots spaces even-spaces odd-spaces after-dots after-even-spaces after-odd-spaces numbers white black all even odd)' \
        '--positions=[Scored positions per game at most, the first ones; 0 for all. If not given, 20 dots in chess, else all. With --compat paper, games with fewer are left out.]:value: ' \
        '*--property=[Board-state properties, or all; the usual ones of the game if not given. Repeatable.]:value:(state mine-yours mine-yours-no-blank valid-moves lines-mine lines-yours length-lines-mine opponent-length-lines-mine piece piece-no-blank piece-moved colour pin threat check legal-move specific-fork any-fork castling-rights queenside-castling kingside-castling en-passant pseudo-legal-move claim-draw check-next bishop-pair mate-threat capture-queen queen connected-rooks ambiguous-moves previous-piece stalemate material piece-count last-move all)' \
        '--thresholds=[Thresholds at even distances from 0 to 1, shares of the largest activation of each feature.]:value: ' \
        '--precision=[Precision from which on a feature'\''s firing is a label of a square.]:value: ' \
        '--min-true-positives=[Times that a label must have been right.]:value: ' \
        '--min-support=[Times that a question must be true to count as supported.]:value: ' \
        '--label-f1=[F1 on held-out games from which on a property names a feature.]:value: ' \
        '--compat=[Follow the paper'\''s code (SAE_BoardGameEval) in its quirks too.]:value:(paper)' \
        '--fidelity[Also measure what the model keeps with each dictionary in place.]' \
        '--no-fidelity[Also measure what the model keeps with each dictionary in place.]' \
        '*--control=[What to compare with: random-weights (dictionaries of a model with random weights, where the zoo has them), neurons, or none; random-weights if not given. Repeatable.]:value:(random-weights neurons none)' \
        '--wide[Also write wide.csv, a row per dictionary with the column names of the paper'\''s tables.]' \
        '*--plot=[Only draw the figures of tables: scores.csv of earlier runs, or the paper'\''s wide tables. Repeatable; further files may follow.]:value:_files' \
        '*--require=[Fail (exit code 4) unless every dictionary holds to this: '\''coverage>=0.4'\'', or of one property '\''mine-yours.coverage>=0.4'\''. Repeatable.]:value: ' \
        '--cache-codes=[Room for codes in the user'\''s cache, from which they come when the same dictionaries are scored again; 0 for none.]:value: ' \
        '--resume[Insist on continuing: an error if there is no unfinished run.]' \
        '--layers=[Layers as a Python slice of the site labels, such as 4:7. If neither this nor --kind is given, of a suite with several residual sites the one at five eighths of the depth, else every dictionary.]:value: ' \
        '*--kind=[Site kinds to use. Repeatable.]:value:(resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post)' \
        '--device=[Where to compute.]:value:(auto cpu cuda mps)' \
        '--dtype=[Number type of the model.]:value:(auto float32 bfloat16 float16 float64)' \
        '--batch-size=[Items computed together: a number or auto.]:value: ' \
        '--max-memory=[Memory to stay below, such as 4G; what is free if not given.]:value: ' \
        '--seed=[Seed of everything random.]:value: ' \
        '--threads=[CPU threads; 0 means one per physical core.]:value: ' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '*:suite…:{ compadd -- gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b; _files }'
}

_saecli_cooc() {
    _arguments \
        '*--suite=[Suites of dictionaries of the model; its own if not given. Repeatable: the sizes of dictionaries are compared in one table.]:value:{ compadd -- gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b; _files }' \
        '--data=[What the model reads; if not given, what the zoo names: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME\[/CONFIG\]\[@REVISION\] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.]:value:_files' \
        '--sequences=[Sequences to count on, held-out ones first; 0 for as many as have about 131,072 tokens.]:value: ' \
        '--n-ctx=[Positions per sequence; 0 for those that the dictionaries were trained on, or 128.]:value: ' \
        '--special=[Whether tokens that begin, end and fill up sequences count; if not given, they are dropped, with --compat kept.]:value:(drop keep)' \
        '*--threshold=[Activation above which a latent fires, in units of its decoder direction'\''s length, beyond the gate of a JumpReLU. Repeatable.]:value: ' \
        '--min-count=[Tokens on which a latent must fire to have pairs; 10 if not given, with --compat 1.]:value: ' \
        '--min-pair=[Tokens on which a pair must fire; 5 if not given, with --compat 1.]:value: ' \
        '--jaccard-floor=[Pairs of a lower Jaccard are not listed; 0.01 if not given, with --compat 0.]:value: ' \
        '--weight=[The weight of a pair, by which the graph is cut.]:value:(jaccard lift pmi)' \
        '--edge-threshold=[Cut the graph at this weight, instead of looking for one.]:value: ' \
        '--min-size=[Latents that the largest cluster should have at least; 31 of 1,024 live ones if not given, and with the square root of their number more, with --compat 150.]:value: ' \
        '--max-size=[Latents that the largest cluster may have; 41 of 1,024 live ones if not given, with --compat 200.]:value: ' \
        '--cut=[How the edge threshold is found: the lowest one that fits, exactly, or by halving as the reference does; exact if not given, with --compat bisect.]:value:(exact bisect)' \
        '--recut=[Cut every cluster of more latents at thresholds of its own.]:value: ' \
        '--communities[Split every cluster into communities (Louvain).]' \
        '*--size=[Look closely at clusters of this size; the clearest clusters of any size if not given, with --compat 4 to 13. Repeatable.]:value: ' \
        '--per-size=[So many clusters of each size, the clearest ones; 3 if not given (16 where no size is), with --compat all.]:value: ' \
        '--max-examples=[Tokens per cluster of which the subspace is made.]:value: ' \
        '--context=[Tokens on either side of an example that are written down.]:value: ' \
        '--views=[TOML file of recommended views, buttons of the report: tables \[recommended_views.NAME\] with display_name and cluster.]:value:_files' \
        '--page-bytes=[Data of one HTML file of the report; what does not fit goes to further ones.]:value: ' \
        '*--probe=[Ask how well it can be read off linearly from a cluster whether a context (before|token|after) has this regular expression. Repeatable.]:value: ' \
        '--h5[Also write the subspaces as the reference'\''s HDF5 files (needs h5py).]' \
        '--neuronpedia=[Where Neuronpedia shows the latents, for links in the tables: gpt2-small/8-res-jb.]:value: ' \
        '--compat=[Follow sae_cooccurrence (the reference) in its choices, and write its files too.]:value:(cooc)' \
        '*--require=[Fail (exit code 4) unless every analysis holds to this: '\''clusters>=3'\''. Repeatable.]:value: ' \
        '--cache-codes=[Room for codes in the user'\''s cache, from which they come when the same dictionaries are counted again; 0 for none.]:value: ' \
        '--pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--no-pack[Sequences run on across documents, or each document makes one, cut at the context; if not given, text runs on and games do not.]' \
        '--layers=[Layers as a Python slice of the site labels, such as 4:7. If neither this nor --kind is given, of a suite with several residual sites the one at five eighths of the depth, else every dictionary.]:value: ' \
        '*--kind=[Site kinds to use. Repeatable.]:value:(resid_pre attn_in attn_z attn_out resid_mid mlp_in mlp_post mlp_out resid_post)' \
        '--device=[Where to compute.]:value:(auto cpu cuda mps)' \
        '--dtype=[Number type of the model.]:value:(auto float32 bfloat16 float16 float64)' \
        '--batch-size=[Items computed together: a number or auto.]:value: ' \
        '--max-memory=[Memory to stay below, such as 4G; what is free if not given.]:value: ' \
        '--seed=[Seed of everything random.]:value: ' \
        '--threads=[CPU threads; 0 means one per physical core.]:value: ' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '1:model:{ compadd -- gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b; _files }'
}

_saecli_graph() {
    local line state
    local -a commands
    _arguments -C \
        '--help[Show this message and exit.]' \
        '1: :->command' \
        '*:: :->rest'
    case $state in
        command)
            commands=(
                'show:What a graph says, and what is wrong with it.'
                'diff:What two graphs have in common and where they differ.'
                'merge:One graph of many inputs: means, and how often each node occurs.'
                'prune:A smaller graph, by effects, influence or reach.'
                'export:A graph for other programs, or to look at and print.'
            )
            _describe command commands
            ;;
        rest)
            case $line[1] in
                show) _saecli_graph_show ;;
                diff) _saecli_graph_diff ;;
                merge) _saecli_graph_merge ;;
                prune) _saecli_graph_prune ;;
                export) _saecli_graph_export ;;
            esac
            ;;
    esac
}

_saecli_graph_show() {
    _arguments \
        '--node=[List the strongest edges into and out of this node.]:value: ' \
        '--top=[Nodes and edges of each sign to list.]:value: ' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '1:file:_files'
}

_saecli_graph_diff() {
    _arguments \
        '--positions=[Match nodes position by position, or sum over positions; auto keeps them if the inputs are the same.]:value:(auto keep sum)' \
        '--top=[Differences of each kind to list; the tables have all.]:value: ' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '*:a b:_files'
}

_saecli_graph_merge() {
    _arguments \
        '--how=[Keep what any graph has, or only what all have.]:value:(union intersection)' \
        '--positions=[Match nodes position by position, or sum over positions; auto keeps them if all inputs are the same.]:value:(auto keep sum)' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '*:file…:_files'
}

_saecli_graph_prune() {
    _arguments \
        '--node-threshold=[Keep nodes of at least this absolute effect: 0.05 or 2**-4.]:value: ' \
        '--top-nodes=[Keep at most this many nodes per site, by absolute effect.]:value: ' \
        '--influence=[Keep the most influential nodes up to this share of all influence on the targets (circuit-tracer'\''s rule; its default is 0.8).]:value: ' \
        '--connected[Keep only nodes from which kept edges lead to a target.]' \
        '*--pin=[Keep this node whatever the rules say. Repeatable.]:value: ' \
        '--edge-threshold=[Keep edges of at least this absolute weight: 0.01 or 2**-6.]:value: ' \
        '--top-edges=[Keep, into every node, this many most positive and as many most negative edges.]:value: ' \
        '--top-edges-out=[Keep, out of every node, this many most positive and as many most negative edges.]:value: ' \
        '--edge-influence=[Keep the most influential edges up to this share of all influence (circuit-tracer'\''s default is 0.98), and no node that ends loose.]:value: ' \
        '--group=[Make a supernode of the features that share a label.]:value:(none labels)' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '1:file:_files'
}

_saecli_graph_export() {
    _arguments \
        '--to=[Format to write.]:value:(neuronpedia circuit-tracer saecli dot graphml csv svg png pdf html)' \
        '--out=[File to write (csv and circuit-tracer: folder); named after the graph if not given.]:value:_files' \
        '--supernodes=[Groups of nodes in place of the graph'\''s own: a file that its page saved.]:value:_files' \
        '--overwrite[Replace what is there.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '1:file:_files'
}

_saecli_view() {
    _arguments \
        '--model=[The model; the one that the suite was made for if not given.]:value:(gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b)' \
        '--data=[What the model reads; if not given, what the zoo names: othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or GLOB, or hf:ORG/NAME\[/CONFIG\]\[@REVISION\] of the hub, streamed; :COLUMN after text or hf: names the column. Data that end early are read again.]:value:_files' \
        '--sequences=[Sequences to look through, held-out ones first; 0 for as many as have about 32,768 tokens.]:value: ' \
        '--labels=[Feature labels: a file, auto (beside the suite, or kept by saecli f1), or none.]:value:_files' \
        '--contexts=[Contexts in which the feature fires most strongly.]:value: ' \
        '--context-width=[Tokens on either side of them; 8 moves or 24 tokens of text if not given.]:value: ' \
        '--connections=[Connections of the suite: a file, a run of saecli connect, auto (beside the suite), or none.]:value:_files' \
        '--top=[Connections shown each way, the strongest.]:value: ' \
        '--neighbours=[Make the pages of so many of the most strongly connected features each way, too.]:value: ' \
        '*--runs=[Folders of runs, whose circuits and clusters are searched for the features. Repeatable.]:value:_files -/' \
        '--open[Open the page in the browser, if this is a terminal.]' \
        '--no-open[Open the page in the browser, if this is a terminal.]' \
        '--device=[Where to compute.]:value:(auto cpu cuda)' \
        '--out=[Directory of the results; otherwise saecli-runs/COMMAND-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Replace an earlier run in that directory.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '*:[suite] feature…|run|file.html:{ compadd -- gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini python-mini-connected shakespeare-64x4-staircase tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b; _files }'
}

_saecli_download() {
    _arguments \
        '*--include=[Fetch only files (or members of a zip archive) like this. Repeatable.]:value: ' \
        '--revision=[Branch, tag or commit on the hub; otherwise the one in the lock, or the newest.]:value: ' \
        '--lock=[Lock file of a project: what it names is fetched exactly as it says, what is new is added.]:value:_files' \
        '--list[List what can be fetched by name.]' \
        '--search=[List only what has all of these words in its name, source or description.]:value: ' \
        '--cache-dir=[Folder of the cache, instead of the usual ones; SAECLI_CACHE sets it for all commands.]:value:_files -/' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '*:name:(gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini-connected tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b data\:openwebtext data\:pile-10k data\:chess-random data\:chess data\:chess-train data\:othello data\:othello-synthetic data\:python data\:shakespeare data\:tinystories data\:simplestories)'
}

_saecli_convert() {
    _arguments \
        '--to=[What to make.]:value:(shards saelens dictionary_learning sparsify circuit-tracer gpt-circuits connections)' \
        '--overwrite[Replace DST if it is there.]' \
        '--tokenizer=[Vocabulary (ascii, gpt2, chess, othello) or a folder with tokenizer.json.]:value: ' \
        '--column=[Column of tables; text, tokens, input_ids, story or content if not given.]:value: ' \
        '--documents=[What a document of a .txt is: the file, its lines, or what stands between two of a text given here.]:value: ' \
        '--separator=[Token written after every document.]:value:(none newline eos)' \
        '--split=[Held out: documents by their hash, all but the head of the tokens, or files by train and val in their names; auto is names if all say it, head for one text that is one document, else documents.]:value:(auto documents head names)' \
        '--val-fraction=[Share that is held out.]:value: ' \
        '--shard-tokens=[Most tokens of a shard.]:value: ' \
        '*--include=[Only the dictionaries whose name fits this pattern.]:value: ' \
        '--site=[Where a dictionary reads (and writes), if its files do not say.]:value: ' \
        '--norm-scale=[What inputs were multiplied by in training, if the files lack it.]:value: ' \
        '--parallel[Attention and MLP of the model'\''s blocks run in parallel (Pythia).]' \
        '--no-parallel[Attention and MLP of the model'\''s blocks run in parallel (Pythia).]' \
        '--dtype=[Number type of the weights written.]:value:(float32 float16 bfloat16)' \
        '--as=[Another architecture on the way: TopK with the threshold it learned in training becomes JumpReLU, which has somewhat fewer than k active features on average.]:value:(jumprelu)' \
        '--lossy[Accept a result that differs from the source.]' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '*:src… dst:_files'
}

_saecli_run() {
    _arguments \
        '*--set=[A value for a step, or for all that have this key, as in TOML: train-sae.k=\[8, 16\]. Repeatable.]:value: ' \
        '--list[List the templates.]' \
        '--check[Compute a finished run again, elsewhere, and compare its files: exit code 4 if one differs.]' \
        '--plan[Say what would be done and stop: every step'\''s command.]' \
        '--out=[Directory of the results; otherwise saecli-runs/run-FINGERPRINT.]:value:_files -/' \
        '--overwrite[Take every step again, replacing what is there.]' \
        '--resume[Insist on continuing: an error if there is no unfinished run.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '1:template|file:{ compadd -- boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m; _files }'
}

_saecli_zoo() {
    local line state
    local -a commands
    _arguments -C \
        '--help[Show this message and exit.]' \
        '1: :->command' \
        '*:: :->rest'
    case $state in
        command)
            commands=(
                'list:Models, suites of dictionaries and data sets that have a name.'
                'show:What a file, a folder or a name is; nothing of it is run.'
                'cache:What was downloaded.'
            )
            _describe command commands
            ;;
        rest)
            case $line[1] in
                list) _saecli_zoo_list ;;
                show) _saecli_zoo_show ;;
                cache) _saecli_zoo_cache ;;
            esac
            ;;
    esac
}

_saecli_zoo_list() {
    _arguments \
        '--search=[Only what has all of these words in its name, source or description.]:value: ' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '1:kind:(models suites data)'
}

_saecli_zoo_show() {
    _arguments \
        '*--include=[Only the dictionaries whose name fits this pattern.]:value: ' \
        '--site=[Where a dictionary reads (and writes), if its files do not say.]:value: ' \
        '--probe[Check on 1,000 tokens that they do on their model what is recorded of them.]' \
        '--model=[The model to probe with, if it is not the one they name.]:value:(gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b)' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '1:target:(gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b)'
}

_saecli_zoo_cache() {
    local line state
    local -a commands
    _arguments -C \
        '--help[Show this message and exit.]' \
        '1: :->command' \
        '*:: :->rest'
    case $state in
        command)
            commands=(
                'ls:List it: revision, size, last use, completeness.'
                'prune:Remove names, what is old, unfinished downloads.'
            )
            _describe command commands
            ;;
        rest)
            case $line[1] in
                ls) _saecli_zoo_cache_ls ;;
                prune) _saecli_zoo_cache_prune ;;
            esac
            ;;
    esac
}

_saecli_zoo_cache_ls() {
    _arguments \
        '--cache-dir=[Folder of the cache, instead of the usual ones; SAECLI_CACHE sets it for all commands.]:value:_files -/' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]'
}

_saecli_zoo_cache_prune() {
    _arguments \
        '--older-than=[Also what was not used for this many days.]:value: ' \
        '--cache-dir=[Folder of the cache, instead of the usual ones; SAECLI_CACHE sets it for all commands.]:value:_files -/' \
        '--plan[Say what would be done and stop.]' \
        '--config=[TOML file with values for these flags.]:value:_files' \
        '--template=[Named template with values for these flags.]:value:(boards-chess boards-chess-laptop boards-othello boards-othello-laptop chess-mini gpt-circuits-128x6 gpt-circuits-128x6-laptop gpt-circuits-256x4 gpt-circuits-256x4-laptop gpt-circuits-64x4 gpt-circuits-64x4-dyt gpt-circuits-64x4-dyt-laptop gpt-circuits-64x4-laptop gpt-circuits-64x4-regularized gpt-circuits-64x4-regularized-laptop gpt-circuits-ff-block gpt-circuits-ff-block-laptop gpt-circuits-ff-layer gpt-circuits-ff-layer-laptop gpt-circuits-transformer-block gpt-circuits-transformer-block-laptop othello-mini python-mini python-mini-connected scae-gpt2 scae-laptop scae-pythia-70m scae-tinystories-33m)' \
        '--show-config[Print every value and where it comes from, and stop.]' \
        '--json[Print one JSON document instead of text.]' \
        '--quiet[Print nothing but the result and errors.]' \
        '-q[Print nothing but the result and errors.]' \
        '--help[Show this message and exit.]' \
        '*:name:(gpt2 gpt2-medium gpt2-large gpt2-xl distilgpt2 pythia-14m pythia-31m pythia-70m pythia-160m pythia-410m pythia-1b pythia-1.4b pythia-2.8b pythia-6.9b pythia-12b pythia-70m-deduped pythia-160m-deduped pythia-410m-deduped pythia-1b-deduped pythia-1.4b-deduped pythia-2.8b-deduped pythia-6.9b-deduped pythia-12b-deduped gemma-2-2b gemma-2-2b-it gemma-2-9b gemma-2-9b-it gemma-2-27b gemma-2-27b-it gemma-3-270m gemma-3-270m-it gemma-3-1b-pt gemma-3-1b-it gemma-3-4b-pt gemma-3-4b-it gemma-3-12b-pt gemma-3-12b-it gemma-3-27b-pt gemma-3-27b-it chess-mini chessgpt chessgpt-random chessgpt-nanogpt chessgpt-nanogpt-16 othello-mini othellogpt othellogpt-random python-mini shakespeare-64x4-staircase tinystories-1m tinystories-33m llama-3.2-1b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b gpt2-small-res-jb gpt2-small-resid-post-v5-32k gpt2-small-resid-post-v5-128k gpt2-small-resid-mid-v5-32k gpt2-small-resid-mid-v5-128k gpt2-small-attn-out-v5-32k gpt2-small-attn-out-v5-128k gpt2-small-mlp-out-v5-32k gpt2-small-mlp-out-v5-128k gpt2-small-hook-z-kk gpt2-small-mlp-tm gpt2-small-res-jb-feature-splitting gpt2-scae-suite gpt2-scae sae-pythia-70m-32k sae-pythia-160m-32k saebench-pythia-160m-deduped-4k saebench-pythia-160m-deduped-16k saebench-pythia-160m-deduped-65k pythia-70m-deduped-res-sm pythia-70m-deduped-att-sm pythia-70m-deduped-mlp-sm pythia-70m-deduped-saes pythia-70m-scae-all-mse pythia-70m-scae-100-mse pythia-70m-scae-100-ce gemma-scope-2b-pt-res gemma-scope-2b-pt-att gemma-scope-2b-pt-mlp gemma-scope-2b-pt-transcoders gemma-scope-9b-pt-res gemma-scope-9b-pt-att gemma-scope-9b-pt-mlp gemma-scope-9b-it-res gemma-scope-27b-pt-res gemma-scope-2-270m-pt gemma-scope-2-270m-it gemma-scope-2-1b-pt gemma-scope-2-1b-it gemma-scope-2-4b-pt gemma-scope-2-4b-it gemma-scope-2-12b-pt gemma-scope-2-12b-it gemma-scope-2-27b-pt gemma-scope-2-27b-it gemma-scope-transcoders clt-gemma-2-2b-426k clt-gemma-2-2b-2.5M transcoders-gemma-3-270m chess-mini-random chess-saes-layer-5 chess-saes-layer-0 chess-saes-random-layer-5 chess-saes-all-layers othello-mini-transcoders othello-mini-random othello-saes-layer-5 othello-saes-layer-0 othello-saes-random-layer-5 othello-saes-all-layers othello-saes-all-mlps othello-arena-mlp-5 python-mini-connected tinystories-33m-suite tinystories-33m-scae-all-mse tinystories-33m-scae-10-mse tinystories-33m-scae-10-ce tinystories-33m-scae-30-mse tinystories-33m-scae-30-ce tinystories-33m-scae-100-mse tinystories-33m-scae-100-ce tinystories-33m-scae-300-mse tinystories-33m-scae-300-ce transcoder-llama-3.2-1b clt-llama-3.2-1b-524k transcoders-qwen3-0.6b transcoders-qwen3-1.7b transcoders-qwen3-4b transcoders-qwen3-8b transcoders-qwen3-14b data\:openwebtext data\:pile-10k data\:chess-random data\:chess data\:chess-train data\:othello data\:othello-synthetic data\:python data\:shakespeare data\:tinystories data\:simplestories)'
}

_saecli_schema() {
    _arguments \
        '--help[Show this message and exit.]' \
        '*:command:(trace train connect finetune validate f1 cooc graph view download convert run zoo)'
}

if [ "$funcstack[1]" = "_saecli" ]; then
    _saecli "$@"
else
    compdef _saecli saecli
fi
