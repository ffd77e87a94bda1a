"""What llama.cpp makes of a GGUF file: run by the environment of `bench/llama_env.sh`, which has none of the program's packages.

One JSON object on stdin: `model`, `lora` (or null), `prompts` (lists of token ids), `texts` (to be tokenised), `tokens` (greedy ones to write).
One on stdout: `greedy` (token ids), `logits` (after each prompt), `ids` (of the texts), `seconds`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def probe(asked: dict[str, Any]) -> dict[str, Any]:
    from llama_cpp import Llama

    model = Llama(
        asked["model"], lora_path=asked.get("lora"), n_ctx=1024, n_threads=asked.get("threads", 1), verbose=False, logits_all=False
    )
    end = model.token_eos()
    greedy, logits, began, written = [], [], time.perf_counter(), 0
    for prompt in asked.get("prompts", []):
        model.reset()
        model.eval(prompt)
        tokens: list[int] = []
        for place in range(asked.get("tokens", 0)):
            scores = model.scores[model.n_tokens - 1] if model._logits_all else model._ctx.get_logits_ith(-1)[: model.n_vocab()]
            if place == 0:
                logits.append([float(value) for value in scores])
            best = max(range(model.n_vocab()), key=scores.__getitem__)
            tokens.append(best)
            written += 1
            if best == end:
                break
            model.eval([best])
        greedy.append(tokens)
    seconds = time.perf_counter() - began
    ids = [model.tokenize(text.encode(), add_bos=True, special=False) for text in asked.get("texts", [])]
    return {"greedy": greedy, "logits": logits, "ids": ids, "seconds": seconds, "tokens": written}


def main() -> None:
    wire = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp prints
    wire.write(json.dumps(probe(json.load(sys.stdin))) + "\n")
    wire.flush()


if __name__ == "__main__":
    main()
