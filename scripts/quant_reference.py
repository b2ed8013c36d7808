"""SmoothQuant, AWQ and GPTQ written plainly in PyTorch from their papers, to compare massval-quant with.

usage: quant_reference.py dump --model FOLDER --out FILE.safetensors [--layers 0,15,29] [--samples 32] [--tokens 512]
                               [--text FILE..] [--threads N]
       quant_reference.py compare ...the same...    dumps, runs massval-quant on the dump, prints both side by side
       quant_reference.py time --method gptq|awq --model FOLDER [--blocks N] ...the same...
                                                    quantizes the model block by block, as `massval quantize` does

`dump` runs the model in f32 on windows of the texts, keeps the inputs of the linears of some layers, quantizes them,
times it, and writes weights, inputs and results. The Rust side is `cargo run -p massval-quant --example
against_reference -- FILE`; `compare` runs it. The functions are also what fixtures/quant/export.py uses.

SmoothQuant: arXiv 2211.10438, Eq. 4. AWQ: arXiv 2306.00978, Eq. 4 and 5, and the ratio grid with weight magnitudes.
GPTQ: arXiv 2210.17323, Algorithm 1. Weights are [out, in], rows of activations [tokens, in].
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from safetensors.torch import save_file


# --- grids: value = scale * (code - zero), codes from 0 to 2^bits - 1 -------------------------------------------------


def fit_grid(values, bits, symmetric, searched=False):
    """Scale and zero point of each row of `values` [rows, n], in f32; the range includes zero."""
    values = values.float()
    low, high = values.amin(1).clamp(max=0), values.amax(1).clamp(min=0)
    if not searched:
        return grid_over(low, high, bits, symmetric)
    best = torch.full_like(low, math.inf)
    scale, zero = torch.ones_like(low), torch.zeros_like(low)
    for i in range(80):
        factor = torch.tensor(1.0) - torch.tensor(float(i)) / 100.0
        s, z = grid_over(low * factor, high * factor, bits, symmetric)
        error = (snap(values, s[:, None], z[:, None], bits) - values).square().sum(1)
        better = error < best
        best = torch.where(better, error, best)
        scale, zero = torch.where(better, s, scale), torch.where(better, z, zero)
    return scale, zero


def grid_over(low, high, bits, symmetric):
    largest_code, middle = 2**bits - 1, 2 ** (bits - 1)
    if symmetric:
        scale = torch.maximum(high, -low) / (largest_code / 2)
        zero = torch.full_like(scale, middle)
    else:
        scale = (high - low) / largest_code
        zero = (-low / scale).round().clamp(0, largest_code)
    empty = (high == 0) & (low == 0)
    return torch.where(empty, 1.0, scale), torch.where(empty, float(middle), zero)


def encode(values, scale, zero, bits):
    return ((values / scale).round() + zero).clamp(0, 2**bits - 1)


def snap(values, scale, zero, bits):
    return scale * (encode(values, scale, zero, bits) - zero)


def round_to_nearest(weight, bits, group, symmetric):
    """The weight rounded, and its codes."""
    groups = weight.reshape(-1, group or weight.shape[1])
    scale, zero = (x[:, None] for x in fit_grid(groups, bits, symmetric))
    codes = encode(groups, scale, zero, bits)
    return (scale * (codes - zero)).reshape(weight.shape), codes.to(torch.uint8).reshape(weight.shape)


# --- SmoothQuant ------------------------------------------------------------------------------------------------------


def smooth_scales(rows, weights, alpha):
    in_rows = rows.abs().amax(0)
    in_weights = torch.stack([weight.abs().amax(0) for weight in weights]).amax(0)
    scales = (in_rows.pow(alpha) / in_weights.pow(1 - alpha)).clamp(min=1e-5)
    # Nothing is known of a channel that was never active or that nothing reads.
    return torch.where((in_rows == 0) | (in_weights == 0), 1.0, scales)


# --- AWQ --------------------------------------------------------------------------------------------------------------


def awq_search(rows, weights, bits, group, symmetric, ratios=20, duo=True, tied=None):
    """Scales, ratio and the mean squared output error of each ratio; `tied` lists which channels share a scale."""
    width = rows.shape[1]
    tied = torch.arange(width) if tied is None else tied
    x = share(rows.abs().double().mean(0).float(), tied)
    every = torch.cat(weights)
    groups = every.abs().reshape(-1, group or width)
    relative = groups / (groups.amax(1, keepdim=True) + 1e-6)
    w = share(relative.reshape(every.shape).double().mean(0).float(), tied)
    exact = rows @ every.T
    best, losses = None, []
    for i in range(ratios):
        ratio = i / ratios
        scales = (x.pow(ratio) / (w.pow(1 - ratio) + 1e-4)).clamp(min=1e-4) if duo else x.pow(ratio).clamp(min=1e-4)
        scales = (scales / (scales.max() * scales.min()).sqrt())[tied]
        rounded = torch.cat([round_to_nearest(weight * scales, bits, group, symmetric)[0] for weight in weights]) / scales
        loss = float((rows @ rounded.T - exact).square().mean(dtype=torch.float64))
        losses.append(loss)
        if best is None or loss < best[0]:
            best = (loss, ratio, scales)
    return best[2], best[1], losses


def share(values, tied):
    sums = torch.zeros(int(tied.max()) + 1, dtype=torch.float64).index_add_(0, tied, values.double())
    return (sums / torch.bincount(tied)).float()


def awq_clip(rows, weight, bits, group, symmetric, steps=20, max_shrink=0.5):
    """The magnitude beyond which the weights of each group are cut, [out, groups]."""
    group = group or weight.shape[1]
    parts = weight.reshape(weight.shape[0], -1, group)
    x = rows.reshape(rows.shape[0], -1, group)
    largest = parts.abs().amax(2)
    best_error, best = torch.full_like(largest, math.inf), largest.clone()
    for i in range(int(max_shrink * steps)):
        limit = largest * (1 - i / steps)
        cut = parts.clamp(-limit[..., None], limit[..., None])
        change = round_to_nearest(cut.reshape(weight.shape), bits, group, symmetric)[0].reshape(parts.shape) - parts
        error = torch.einsum("tgi,ogi->tog", x, change).square().mean(0)
        better = error < best_error
        best_error, best = torch.where(better, error, best_error), torch.where(better, limit, best)
    return best


# --- GPTQ -------------------------------------------------------------------------------------------------------------


def hessian_of(rows, dtype=torch.float32):
    """The mean of x x^T, token by token summed as the algorithm streams it."""
    rows = rows.to(dtype)
    total = torch.zeros(rows.shape[1], rows.shape[1], dtype=dtype)
    for window in rows.split(512):
        total += window.T @ window
    return total / rows.shape[0]


def gptq(weight, hessian, bits, group, symmetric, searched=False, damping=0.01, order="natural", static_groups=False,
         block=128, dtype=torch.float32, margins=False):
    """Codes [out, in], scales and zero points [out, groups], the group of each input, the loss, and on request how far
    each weight was from the middle between two codes, in steps, when it was rounded."""
    inputs = weight.shape[1]
    length = group or inputs
    w, hessian = weight.to(dtype).clone(), hessian.to(dtype).clone()
    diagonal = hessian.diagonal().clone()
    dead = diagonal == 0
    mean = diagonal[~dead].mean()
    w[:, dead] = 0
    hessian[dead, dead] = mean
    permutation = torch.arange(inputs)
    if order == "activation":
        permutation = torch.sort(diagonal, descending=True, stable=True).indices
    fixed = None
    if static_groups or group is None:
        fixed = [fit_grid(w[:, i : i + length], bits, symmetric, searched) for i in range(0, inputs, length)]
    w, hessian = w[:, permutation], hessian[permutation][:, permutation]
    hessian += damping * mean * torch.eye(inputs, dtype=dtype)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    upper = torch.linalg.cholesky(inverse, upper=True)

    codes = torch.zeros(weight.shape, dtype=torch.uint8)
    margin = torch.ones(weight.shape) if margins else None
    grids, loss = [], 0.0
    group_of = (permutation if fixed else torch.arange(inputs)) // length
    # A group that is fitted on the way must not begin within a block that it does not end in.
    step = block if fixed else (block // length * length or block)
    starts = range(0, inputs, step) if fixed or length <= block else [
        i + j for i in range(0, inputs, length) for j in range(0, length, block)]
    ends = list(starts)[1:] + [inputs]
    for start, end in zip(starts, ends):
        part, errors = w[:, start:end].clone(), torch.zeros(w.shape[0], end - start, dtype=dtype)
        for i in range(end - start):
            column = start + i
            if not fixed and column % length == 0:
                current = torch.cat([part[:, i:], w[:, end:]], 1)[:, :length]
                grids.append(fit_grid(current, bits, symmetric, searched))
            scale, zero = (x.to(dtype) for x in (fixed or grids)[group_of[column]])
            code = encode(part[:, i], scale, zero, bits)
            codes[:, permutation[column]] = code.to(torch.uint8)
            if margins:
                place = part[:, i] / scale + zero
                near = ((place - place.floor()) - 0.5).abs()
                inside = (place > 0) & (place < 2**bits - 1)
                margin[:, permutation[column]] = torch.where(inside, near, 1.0).float()
            error = (part[:, i] - scale * (code - zero)) / upper[column, column]
            loss += float(error.square().sum())
            part[:, i + 1 :] -= error[:, None] * upper[column, column + 1 : end]
            errors[:, i] = error
        w[:, end:] -= errors @ upper[start:end, end:]
    grids = fixed or grids
    index = torch.zeros(inputs, dtype=torch.int32)
    index[permutation] = group_of.int()
    scales, zeros = torch.stack([s for s, _ in grids], 1), torch.stack([z for _, z in grids], 1).to(torch.uint8)
    result = {"codes": codes, "scales": scales.float(), "zeros": zeros, "index": index, "loss": loss}
    return result | ({"margins": margin} if margins else {})


# --- files that the Rust side reads -----------------------------------------------------------------------------------


class Cases:
    """Tensors and, as metadata, what was done with them."""

    def __init__(self):
        self.tensors, self.cases = {}, []

    def tensor(self, name, value):
        self.tensors.setdefault(name, value.contiguous())

    def add(self, name, method, weights, rows, results, **settings):
        for key, value in list(results.items()):
            if isinstance(value, torch.Tensor):
                self.tensors[f"{name}/{key}"] = value.contiguous().clone()
                results.pop(key)
        self.cases.append({"name": name, "method": method, "weights": weights, "rows": rows, **settings, **results})

    def save(self, path, **about):
        metadata = {"cases": json.dumps(self.cases), **{key: str(value) for key, value in about.items()}}
        save_file(self.tensors, path, metadata=metadata)


def timed(function, *arguments, **settings):
    begun = time.perf_counter()
    result = function(*arguments, **settings)
    return result, time.perf_counter() - begun


def add_smooth(cases, name, rows, weights, alpha):
    tensors = cases.tensors
    scales = smooth_scales(tensors[rows], [tensors[w] for w in weights], alpha)
    cases.add(name, "smooth", weights, rows, {"scales": scales}, alpha=alpha)


def add_awq(cases, name, rows, weights, heads=None, **settings):
    """`heads`: heads of V, query heads that read each, channels of a head, where inputs are tied."""
    tensors = cases.tensors
    tied = None
    if heads:
        channels = torch.arange(math.prod(heads))
        tied = channels // heads[2] // heads[1] * heads[2] + channels % heads[2]
    found, seconds = timed(awq_search, tensors[rows], [tensors[w] for w in weights], tied=tied, **settings)
    scales, ratio, losses = found
    results = {"scales": scales, "ratio": ratio, "losses": losses, "seconds": seconds}
    cases.add(name, "awq", weights, rows, results, heads=heads, **settings)


def add_clip(cases, name, rows, weight, **settings):
    limits, seconds = timed(awq_clip, cases.tensors[rows], cases.tensors[weight], **settings)
    cases.add(name, "clip", [weight], rows, {"limits": limits, "seconds": seconds}, **settings)


def add_gptq(cases, name, rows, weight, timing=False, **settings):
    """Codes from f64 arithmetic; with `timing` also how long f32 takes, Hessian included, as one would run it."""
    tensors = cases.tensors
    cases.tensor(f"{rows}/hessian", hessian_of(tensors[rows], torch.float64).float())
    result = gptq(tensors[weight], tensors[f"{rows}/hessian"], dtype=torch.float64, margins=True, **settings)
    if timing:
        hessian, result["hessian_seconds"] = timed(hessian_of, tensors[rows])
        _, result["seconds"] = timed(gptq, tensors[weight], hessian, **settings)
    cases.add(name, "gptq", [weight], rows, result, **settings)


# --- a real model -----------------------------------------------------------------------------------------------------

INPUTS = {
    "attn": ("self_attn", ["q_proj", "k_proj", "v_proj"]),
    "o": ("self_attn", ["o_proj"]),
    "mlp": ("mlp", ["gate_proj", "up_proj"]),
    "down": ("mlp", ["down_proj"]),
}


def capture(model, windows, layers):
    """The inputs of each layer's linears, rows of all windows one after the other."""
    kept, handles = {}, []

    def keep(name):
        return lambda module, inputs: kept.setdefault(name, []).append(inputs[0].reshape(-1, inputs[0].shape[-1]))

    for layer in layers:
        block = model.model.layers[layer]
        for name, (part, linears) in INPUTS.items():
            module = getattr(getattr(block, part), linears[0])
            handles.append(module.register_forward_pre_hook(keep(f"{layer}.{name}")))
    with torch.no_grad():
        for window in windows:
            model(window[None])
    for handle in handles:
        handle.remove()
    return {name: torch.cat(rows) for name, rows in kept.items()}


def dump(arguments):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    text = "\n".join(pathlib.Path(path).read_text(encoding="utf-8", errors="replace") for path in arguments.text)
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids[0]
    count = min(arguments.samples, len(ids) // arguments.tokens)
    if count == 0:
        sys.exit(f"the text has {len(ids)} tokens, too few for one window of {arguments.tokens}")
    if count < arguments.samples:
        print(f"the text fills {count} windows of {arguments.tokens} tokens only", file=sys.stderr)
    windows = ids[: count * arguments.tokens].reshape(count, arguments.tokens)
    layers = [int(layer) for layer in arguments.layers.split(",")]
    rows = capture(model, windows, layers)
    config = model.config
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    repeats = config.num_attention_heads // config.num_key_value_heads
    heads = [config.num_key_value_heads, repeats, head_dim] if repeats > 1 else None

    cases = Cases()
    with torch.no_grad():
        for layer in layers:
            for name, (part, linears) in INPUTS.items():
                reads = f"{layer}.{name}"
                cases.tensor(reads, rows.pop(reads))
                for linear in linears:
                    module = getattr(getattr(model.model.layers[layer], part), linear)
                    cases.tensor(f"{layer}.{linear}", module.weight)
                weights = [f"{layer}.{linear}" for linear in linears]
                add_smooth(cases, f"{reads}/smooth", reads, weights, 0.5)
                settings = {"bits": 4, "group": 64, "symmetric": False}
                add_awq(cases, f"{reads}/awq", reads, weights, heads=heads if name == "o" else None, **settings)
                if name != "attn":
                    add_clip(cases, f"{weights[0]}/clip", reads, weights[0], **settings)
                for weight in weights:
                    for order in ["natural", "activation"]:
                        add_gptq(cases, f"{weight}/gptq-{order}", reads, weight, timing=True, order=order, bits=4,
                                 group=64, symmetric=True)
                    print(f"{weight} done", file=sys.stderr)
    cases.save(arguments.out, model=arguments.model, tokens=count * arguments.tokens, torch=torch.__version__,
               threads=torch.get_num_threads())


def compare(arguments):
    with tempfile.TemporaryDirectory() as scratch:
        arguments.out = arguments.out or os.path.join(scratch, "reference.safetensors")
        dump(arguments)
        repository = pathlib.Path(__file__).resolve().parent.parent
        command = ["cargo", "run", "-q", "-p", "massval-quant", "--example", "against_reference", "--", arguments.out]
        subprocess.run(command, cwd=repository, check=True)


def whole(arguments):
    """The time that a model's blocks take: inputs captured, weights quantized and put back, outputs computed."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    text = "\n".join(pathlib.Path(path).read_text(encoding="utf-8", errors="replace") for path in arguments.text)
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids[0]
    count = min(arguments.samples, len(ids) // arguments.tokens)
    windows = ids[: count * arguments.tokens].reshape(count, arguments.tokens)
    layers = model.model.layers
    config = model.config
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kv_heads, repeats = config.num_key_value_heads, config.num_attention_heads // config.num_key_value_heads
    channels = torch.arange(kv_heads * repeats * head_dim)
    tied = channels // head_dim // repeats * head_dim + channels % head_dim if repeats > 1 else None
    streams, others = [], {}

    class Caught(Exception):
        pass

    def catch(module, inputs, keywords):
        streams.append(inputs[0])
        others.update(keywords)
        raise Caught

    handle = layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    begun = time.perf_counter()
    with torch.no_grad():
        for window in windows:
            try:
                model(window[None], use_cache=False)
            except Caught:
                pass
        handle.remove()
        for block in layers[: arguments.blocks]:
            quantize_block(block, streams, others, arguments.method, tied)
    seconds = time.perf_counter() - begun
    blocks = len(layers[: arguments.blocks])
    every = seconds / blocks * len(layers)
    print(f"{arguments.method}: {blocks} blocks, {count} x {arguments.tokens} tokens, {torch.get_num_threads()} threads: "
          f"{seconds:.1f} s, {every:.1f} s for all {len(layers)}")
    return every


def quantize_block(block, streams, others, method, tied):
    """One block in place; the streams become those behind it, for AWQ of the block as it was."""
    rows, handles = {}, []
    hessians = {}

    def keep(name):
        def see(module, inputs):
            x = inputs[0].reshape(-1, inputs[0].shape[-1])
            if method == "gptq":
                hessians[name] = hessians.get(name, 0) + x.T @ x
            else:
                rows.setdefault(name, []).append(x)
        return see

    for name, (part, linears) in INPUTS.items():
        handles.append(getattr(getattr(block, part), linears[0]).register_forward_pre_hook(keep(name)))

    def run():
        outputs = [block(stream, **others) for stream in streams]
        return [output[0] if isinstance(output, tuple) else output for output in outputs]

    before = run()
    for handle in handles:
        handle.remove()
    tokens = sum(stream.shape[1] for stream in streams)
    for name, (part, linears) in INPUTS.items():
        modules = [getattr(getattr(block, part), linear) for linear in linears]
        if method == "gptq":
            for module in modules:
                found = gptq(module.weight, hessians[name] / tokens, bits=4, group=64, symmetric=True)
                index = found["index"].long()
                steps = found["codes"].float() - found["zeros"][:, index].float()
                module.weight.copy_(found["scales"][:, index] * steps)
            continue
        x = torch.cat(rows[name])
        weights = [module.weight.detach() for module in modules]
        settings = {"bits": 4, "group": 64, "symmetric": False}
        scales = awq_search(x, weights, tied=tied if name == "o" else None, **settings)[0]
        for module, weight in zip(modules, weights):
            scaled = weight * scales
            if name != "attn":
                # The authors' program looks at 512 tokens here.
                few = x[:: max(1, len(x) // 512)] / scales
                limits = awq_clip(few, scaled, **settings).reshape(weight.shape[0], -1, 1)
                scaled = scaled.reshape(limits.shape[0], limits.shape[1], -1).clamp(-limits, limits)
            round_to_nearest(scaled.reshape(weight.shape), 4, 64, False)
    streams[:] = run() if method == "gptq" else before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["dump", "compare", "time"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--out")
    parser.add_argument("--layers", default="0,15,29")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--method", choices=["gptq", "awq"], default="gptq")
    parser.add_argument("--blocks", type=int, help="only the first blocks, multiplied")
    licences = "/usr/share/common-licenses"
    default = [f"{licences}/GPL-3", f"{licences}/GPL-2", f"{licences}/LGPL-2.1", f"{licences}/MPL-2.0"]
    parser.add_argument("--text", nargs="+", default=default)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.command == "compare":
        return compare(arguments)
    if arguments.command == "time":
        return whole(arguments)
    if not arguments.out:
        parser.error("dump needs --out")
    dump(arguments)


if __name__ == "__main__":
    main()
