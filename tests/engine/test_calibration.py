"""Calibrated 4-bit codes: nearer to what the model computes than rounding is, held by bitsandbytes as chosen, kept for the next start."""

import msgspec
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, Gemma3TextConfig, GPT2Config, LlamaConfig

from core.config import Lora, Sampling
from core.errors import FlavorError
from core.protocol import Candidate, Load, Loaded, Row, Sample, Usable
from core.worker import bits, calibration
from core.worker import codes as fourbit
from core.worker.calibration import calibrate, choose_codes, dequantised
from core.worker.codes import BLOCK
from core.worker.engine import Engine
from core.worker.model import Base, load
from tests.engine.conftest import make_tiny


def rounded(weight):
    """Every weight to its nearest level, as bitsandbytes does it."""
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    return dequantize_4bit(*quantize_4bit(weight.clone(), blocksize=BLOCK, quant_type="nf4"))


def make_problem(seed=0, rows=64, width=2 * BLOCK, count=500):
    """A matrix, and inputs whose channels hang together, as a model's do."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(width // 4, width, generator=generator)
    x = torch.randn(count, width // 4, generator=generator) @ mix + 0.1 * torch.randn(count, width, generator=generator)
    return torch.randn(rows, width, generator=generator), x


def test_chosen_codes_change_the_products_less_than_rounding():
    for seed in range(3):
        weight, x = make_problem(seed)
        chosen = dequantised(*choose_codes(weight, x.t() @ x))
        ours, plain = ((x @ (other - weight).t()).square().mean() for other in (chosen, rounded(weight)))
        assert ours < 0.5 * plain


def test_every_weight_is_one_of_its_blocks_sixteen_levels():
    weight, x = make_problem()
    codes, scales = choose_codes(weight, x.t() @ x)
    assert codes.shape == weight.shape and codes.dtype == torch.uint8 and codes.max() <= 15
    assert scales.shape == (64, 2) and (scales > 0).all()
    assert (dequantised(codes, scales).view(64, 2, BLOCK).abs().amax(-1) <= scales * 1.0001).all()


def test_the_table_finds_the_level_that_the_search_finds():
    levels = calibration._Levels(torch.device("cpu"))
    numbers = torch.cat([torch.linspace(-1.3, 1.3, 200_000), levels.middles, levels.values, torch.linspace(-1, 1, levels.CELLS + 1)])
    assert torch.equal(levels.nearest_of_many(numbers).long(), levels.nearest(numbers))
    assert torch.equal(levels.value(levels.nearest(levels.values)), levels.values)
    assert levels.nearest_of_many(torch.tensor([torch.nan, torch.inf, -torch.inf])).max() <= 15  # of weights that are none: no fault


def test_the_root_is_upper_and_gives_the_inverse():
    _, x = make_problem()
    hessian = x.t() @ x
    hessian += torch.eye(len(hessian)) * hessian.diagonal().mean() * calibration.DAMPING
    root = calibration._upper_root_of_inverse(hessian)
    assert torch.equal(root, root.triu())
    assert torch.allclose(root.t() @ root @ hessian, torch.eye(x.shape[1]), atol=1e-3)


def test_layers_of_one_input_are_calibrated_together_as_they_are_alone(tiny):
    torch.manual_seed(0)
    layer = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).get_decoder().layers[0]
    unused = torch.nn.Linear(BLOCK, BLOCK)
    layer.unused = unused
    hidden = torch.randn(1, 5, layer.self_attn.q_proj.in_features)
    angles = torch.ones(1, 5, layer.self_attn.head_dim)
    groups = calibration._sharing(layer, hidden, {"position_embeddings": (angles, angles), "attention_mask": None})
    attention, mlp = layer.self_attn, layer.mlp
    together = [attention.q_proj, attention.k_proj, attention.v_proj]
    assert groups == [together, [attention.o_proj], [mlp.gate_proj, mlp.up_proj], [mlp.down_proj], [unused]]
    weight, x = make_problem(rows=60)
    whole = dequantised(*choose_codes(weight, x.t() @ x))
    alone = torch.cat([dequantised(*choose_codes(part, x.t() @ x)) for part in weight.split([30, 20, 10])])
    assert ((whole - alone).abs() > 1e-5).float().mean() < 0.01  # a code may fall otherwise by the order of a sum


@pytest.mark.parametrize("config", [Gemma3TextConfig, LlamaConfig])
def test_layer_by_layer_it_computes_what_the_model_does(tmp_path, config):
    """Layers with a window have masks and positions of their own."""
    kinds = {"head_dim": 16, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"] * 2}
    shape = config(
        vocab_size=258, hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        pad_token_id=1, **(kinds if config is Gemma3TextConfig else {}),
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(make_tiny(tmp_path / "tiny", config=shape), dtype=torch.float32).eval()
    layers, ids = model.get_decoder().layers, list(range(3, 43))
    with torch.no_grad():
        ((hidden, given),) = calibration._first_inputs(model, layers, [ids])
        whole = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
        for number, layer in enumerate(layers):
            assert torch.allclose(hidden, whole[number], atol=1e-5), number
            hidden = calibration._hidden(layer(hidden, **given[number]))


@pytest.fixture
def four_bits(tiny):
    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16, bnb_4bit_use_double_quant=True
    )

    def make():
        return AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16, device_map={"": "cpu"}, quantization_config=quantization)

    return make


def weights_of(model):
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    return [dequantize_4bit(layer.weight.data, layer.weight.quant_state).float() for layer in layers]


def test_bitsandbytes_holds_the_codes_as_chosen(tiny, four_bits):
    plain = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16)
    *progress, codes = calibrate(plain, AutoTokenizer.from_pretrained(tiny))
    assert [share for stage, share in progress if stage == calibration.CALIBRATING] == [0.0, 0.5]
    written = [share for stage, share in progress if stage == calibration.WRITING]
    assert written[0] is None and written[1:] == sorted(written[1:]) and len(written) > 2 and written[-1] <= 1
    model = four_bits()
    assert fourbit.apply(model, codes) == len(codes) // 2 == 14
    held = weights_of(model)
    names = [name for name, module in plain.named_modules() if f"{name}.codes" in codes]
    for name, weight in zip(names, held, strict=True):
        meant = plain.get_submodule(name).weight.float()  # rounded in place on the way
        assert (weight - meant).abs().max() < 0.02 * meant.abs().max()  # the scales themselves are in eight bits


def rounds(*args, **settings):
    raise AssertionError("a weight was rounded whose code is known")


def test_a_layer_without_codes_is_rounded_as_it_is_loaded(tiny, four_bits):
    *_, codes = calibrate(AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16), AutoTokenizer.from_pretrained(tiny))
    some = {name: held for name, held in codes.items() if "layers.0." in name}
    with fourbit.given(some):
        mixed = four_bits()
    rounded, after = four_bits(), four_bits()
    assert fourbit.apply(after, some) == len(some) // 2 == 7
    assert all(torch.equal(one, two) for one, two in zip(weights_of(mixed), weights_of(after), strict=True))
    assert [torch.equal(one, two) for one, two in zip(weights_of(mixed), weights_of(rounded), strict=True)] == [False] * 7 + [True] * 7


def test_the_second_start_takes_what_the_first_one_kept(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path))

    def start():
        *steps, base = load(str(tiny), "nf4", calibrate=True)
        assert not base.rounded
        return any("calibrating" in stage for stage, _ in steps), weights_of(base.model)

    made, first = start()
    assert made
    (kept,) = (tmp_path / "nf4").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("bitsandbytes.functional.quantize_4bit", rounds)
        made, second = start()
    assert not made
    kept.write_bytes(kept.read_bytes()[:1000])  # damaged: made again
    made, third = start()
    assert made
    for one, two, three in zip(first, second, third, strict=True):
        assert torch.equal(one, two) and torch.equal(one, three)


def asking(tiny, early):
    """A load of the base at its first use."""
    return Load(id=1, base=str(tiny), quantization="nf4", lora=Lora(r=4, alpha=8), calibrate=True, early=early)


@pytest.mark.parametrize("full", [False, True])
def test_a_base_can_be_sampled_while_its_codes_are_chosen(tiny, tmp_path, monkeypatch, full):
    """And is the same afterwards as one that was waited for, also where there is no room to keep the codes."""
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path / "one"))
    waited = Engine()
    assert not any(isinstance(event, Usable) for event in waited.load(asking(tiny, False)))
    meant = weights_of(waited._base.model)
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path / "two"))
    if full:
        (tmp_path / "two").write_text("no folder")
    engine, order, texts = Engine(), [], []
    command = Sample(id=2, checkpoint=None, prompts=[[("# x\n\n", 0.0)]] * 2, seeds=[0, 1], settings=Sampling(max_tokens=8))
    for event in engine.load(asking(tiny, True)):
        order.append(type(event))
        if engine.usable and len(texts) < 4:
            texts += [each.text for each in engine.between(command) if isinstance(each, Candidate)]
            assert any(not torch.equal(one, two) for one, two in zip(weights_of(engine._base.model), meant, strict=True))
            with pytest.raises(FlavorError, match="still being prepared"):
                list(engine.between(msgspec.structs.replace(command, checkpoint=str(tmp_path))))
    assert order.count(Usable) == 1 and order[-1] is Loaded and len(texts) == 4 and texts[:2] == texts[2:]
    assert all(torch.equal(one, two) for one, two in zip(weights_of(engine._base.model), meant, strict=True))
    again = [type(event) for event in engine.load(asking(tiny, True))]
    assert (Usable in again) == full


@pytest.mark.parametrize("early", [False, True])
def test_a_base_whose_codes_cannot_be_chosen_is_used_as_it_is(tiny, tmp_path, monkeypatch, early):
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path))
    *_, plain = load(str(tiny), "nf4")

    def fails(weight, hessian):
        raise torch.linalg.LinAlgError("not positive definite")

    with monkeypatch.context() as patch:
        patch.setattr(calibration, "choose_codes", fails)
        engine = Engine()
        *_, loaded = engine.load(asking(tiny, early))
    assert isinstance(loaded, Loaded) and not loaded.rounded and "could not be chosen" in loaded.note
    assert all(torch.equal(one, two) for one, two in zip(weights_of(engine._base.model), weights_of(plain.model), strict=True))
    *_, later = Engine().load(asking(tiny, early))  # it is tried again
    assert not later.note and not later.rounded


def test_a_base_is_calibrated_where_it_is_asked_for(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path))
    *_, plain = load(str(tiny), "nf4")
    *steps, chosen = load(str(tiny), "nf4", calibrate=True)
    assert isinstance(chosen, Base) and any("calibrating" in step[0] for step in steps)
    assert any(not torch.equal(one, two) for one, two in zip(weights_of(plain.model), weights_of(chosen.model), strict=True))
    *_, whole = load(str(tiny), "none", calibrate=True)
    assert not whole.four_bit


def test_what_4_bits_cost_is_of_the_rows_that_the_base_can_read(tmp_path):
    make_tiny(tmp_path / "tiny", config=GPT2Config(vocab_size=258, n_embd=64, n_layer=2, n_head=4, n_positions=64))
    rows = [Row(str(at), [("# Heading\n\n", 0.0)], "A dish." * times) for at, times in enumerate((1, 2, 90))]
    asked = {"base": str(tmp_path / "tiny"), "calibrate": False, "rows": msgspec.to_builtins(rows)}
    assert bits.answer(asked)["rows"] == 2
