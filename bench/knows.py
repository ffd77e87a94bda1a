"""What the starter knows of the checks' attributes: `python -m bench.knows`.

The probability that it puts on an ability which the judge takes for fitting the action, of all six, over the rows that nothing is trained
on: of the base, of the base with examples before the prompt, and after each epoch on the twelve written rows. Chance is what an ability drawn blindly
would get; the last column divides each ability by how likely it is over all actions, so that a favourite of the checkpoint does not hide what is known.
"""

from __future__ import annotations

from typing import Any

import torch

from bench import cases, rules
from bench.cases import Case
from bench.contenders import engine
from core.config import Training
from core.protocol import Row
from core.worker.encoding import Curriculum, encode_prompt
from core.worker.training import EpochDone, train
from dataset.rows import Example
from tui.session.shown import few_shot

EPOCHS, SEED, SHOWN = 5, 1, 4


@torch.no_grad()
def abilities(made: Any, case: Case, examples: int = 0) -> torch.Tensor:
    """Each held-out row's probabilities of the six abilities (rows x 6), as its first sentence would name them."""
    tokenizer, model = made._base.tokenizer, made._base.model

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False).input_ids)

    rows = [Example(str(at), text, fields, "written", "") for at, (text, fields) in enumerate(case.written)]
    found = []
    for number, (_, fields) in enumerate(case.held_out):
        before = few_shot(case.task, rows, examples, SEED + number)
        prompt = encode_prompt(tokenizer, before + case.task.segments(fields))[0]
        after = {}
        for words in ("Make", "Make a", "Make an"):
            logits = model(input_ids=torch.tensor([prompt + ids(words)]), use_cache=False, logits_to_keep=1).logits
            after[words] = logits[0, -1].float().softmax(-1)
        article = {name: " an" if name == "Intelligence" else " a" for name in rules.ABILITIES}
        row = torch.stack([after["Make"][ids(a)[0]] * after["Make" + a][ids(" " + name)[0]] for name, a in article.items()])
        found.append(row / row.sum())
    return torch.stack(found)


def told(name: str, found: torch.Tensor, fitting: torch.Tensor) -> None:
    fair = found / found.mean(0)
    fair = fair / fair.sum(-1, keepdim=True)
    print(f"| {name} | {(found * fitting).sum(-1).mean():.3f} | {(fair * fitting).sum(-1).mean():.3f} |", flush=True)


def main() -> None:
    made, case = engine(four_bit=True), cases.load("checks")
    fitting = torch.tensor([
        [bool(rules.found(lexicon, fields.get("Action", ""))) for lexicon in rules.ABILITIES.values()] for _, fields in case.held_out
    ])  # fmt: skip
    print("| | on fitting abilities | favourites taken out |\n|---|---|---|")
    print(f"| chance | {fitting.float().mean():.3f} | |")
    made._forms.train(with_adapter=False)
    made._base.model.eval()
    told("the base", abilities(made, case), fitting)
    told(f"the base, shown {SHOWN} examples", abilities(made, case, SHOWN), fitting)
    settings, forms = Training(), made._forms
    rows = [Row(str(at), case.task.segments(fields), text, fields=fields) for at, (text, fields) in enumerate(case.written)]
    forms.fresh_adapter(SEED)
    forms.train()
    curriculum = Curriculum(made._base.tokenizer, rows, settings, case.task, SEED)
    loop = train(made._base.model, forms.parameters(), curriculum, settings, epochs=EPOCHS, peak=settings.learning_rate, seed=SEED)
    for event in loop:
        if isinstance(event, EpochDone):
            made._base.model.eval()
            told(f"12 rows, epoch {event.epoch}", abilities(made, case), fitting)
            made._base.model.train()


if __name__ == "__main__":
    main()
