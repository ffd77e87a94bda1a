"""Tokens a second of llama.cpp: `<its environment>/bin/python bench/llama_speed.py MODEL.gguf TEXTS PROMPT_FILE`.

Runs in an environment of its own (`bench/llama_env.sh`), so it imports nothing of ours. `TEXTS` sequences are written in parallel, each
`TOKENS` long, drawn with min-p and a temperature as ours are; the prompts stand in a JSON list. Prints one JSON line.
"""

import ctypes
import json
import sys
import time

import llama_cpp as ll

TOKENS = 64
THREADS = 2
QUIET = ll.llama_log_callback(lambda *_: None)
"""Kept, since C calls it later."""


def main() -> None:
    path, texts, prompts = sys.argv[1], int(sys.argv[2]), json.load(open(sys.argv[3]))
    ll.llama_log_set(QUIET, ctypes.c_void_p())
    ll.llama_backend_init()
    model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
    vocabulary = ll.llama_model_get_vocab(model)
    settings = ll.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch, settings.n_seq_max = 512 * texts, 2048, 512, texts
    settings.n_threads = settings.n_threads_batch = THREADS
    context = ll.llama_init_from_model(model, settings)
    samplers = []
    for seed in range(texts):
        chain = ll.llama_sampler_chain_init(ll.llama_sampler_chain_default_params())
        ll.llama_sampler_chain_add(chain, ll.llama_sampler_init_min_p(0.05, 1))
        ll.llama_sampler_chain_add(chain, ll.llama_sampler_init_temp(1.0))
        ll.llama_sampler_chain_add(chain, ll.llama_sampler_init_dist(seed))
        samplers.append(chain)
    batch = ll.llama_batch_init(2048, 0, 1)

    def add(token: int, position: int, sequence: int, wanted: bool) -> None:
        at = batch.n_tokens
        batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.logits[at] = token, position, 1, wanted
        batch.seq_id[at][0] = sequence
        batch.n_tokens = at + 1

    def once(tokens: int) -> float:
        ll.llama_memory_clear(ll.llama_get_memory(context), True)
        began = time.perf_counter()
        batch.n_tokens, places, positions = 0, [], []
        for sequence in range(texts):
            text = prompts[sequence % len(prompts)].encode()
            ids = (ll.llama_token * 512)()
            count = ll.llama_tokenize(vocabulary, text, len(text), ids, 512, False, True)
            for at in range(count):
                add(ids[at], at, sequence, at == count - 1)
            places.append(batch.n_tokens - 1)
            positions.append(count)
            if batch.n_tokens > 1500 and sequence < texts - 1:
                raise SystemExit("the prompts are longer than this script reads at once")
        assert ll.llama_decode(context, batch) == 0
        for step in range(tokens):
            drawn = [ll.llama_sampler_sample(chain, context, place) for chain, place in zip(samplers, places, strict=True)]
            if step == tokens - 1:
                break
            batch.n_tokens = 0
            for sequence, token in enumerate(drawn):
                add(token, positions[sequence] + step, sequence, True)
            places = list(range(texts))
            assert ll.llama_decode(context, batch) == 0
        return texts * tokens / (time.perf_counter() - began)

    once(8)
    print(json.dumps({"tokens_a_second": once(TOKENS)}))


if __name__ == "__main__":
    main()
