"""What `massval scan` does, in transformers: the peer that scripts/bench-scan.sh measures against.

usage: peer_scan.py FOLDER (--text FILE | --token-ids 1,2,3) [--max-tokens N] [--repeat N] [--threads N] [--norms F.npz]

Loads a Hugging Face Llama in f32 (eager attention, on the CPU, one thread per core unless told otherwise), runs the
decoder once over the tokens without a KV cache, and takes Q, K and V before and Q and K after RoPE in every layer. Each
is reduced to its channel norms M[h,d] where it arises and is not kept, which is the cheapest way to do this in
PyTorch. No head is run, so no logits are computed: `model.model`, not `model`. Massive values (M > 5 times the head's
mean) are counted outside the measured time, so that both sides can be seen to have done the same work.

Prints one JSON object. Times are in seconds: `import_s`, `load_s`, `first_s` (the first pass of the process) and
`forward_s`, the median of `--repeat` further passes; `peak_rss_bytes` is the process's maximum.
"""
import argparse
import json
import os
import resource
import statistics
import time

started = time.perf_counter()
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.llama import modeling_llama

IMPORT_SECONDS = time.perf_counter() - started
LAMBDA = 5.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", help="a UTF-8 file; tokenized without adding special tokens")
    source.add_argument("--token-ids", help="ids separated by commas")
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--repeat", type=int, default=5, help="timed passes after the first (default 5)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--norms", help="write the channel norms here, [layer, head, channel] per site")
    arguments = parser.parse_args()
    if arguments.repeat < 1:
        parser.error("--repeat must be at least 1")
    torch.set_num_threads(arguments.threads)

    began = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(
        arguments.folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    load_seconds = time.perf_counter() - began
    if model.config.model_type != "llama":
        parser.error(f"{arguments.folder} is a {model.config.model_type}; only Llama is captured here")
    ids = read_ids(arguments)

    scan = Scan(model)
    seconds = []
    for _ in range(1 + arguments.repeat):
        scan.norms.clear()
        began = time.perf_counter()
        with torch.inference_mode():
            model.model(input_ids=ids, use_cache=False)
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    norms = {
        site: torch.stack([scan.norms[site, layer] for layer in range(model.config.num_hidden_layers)])
        for site in ("q", "k", "v", "rot_q", "rot_k")
    }
    if arguments.norms:
        import numpy

        numpy.savez(arguments.norms, **{site: value.numpy() for site, value in norms.items()})
    result = {
        "tokens": ids.shape[1],
        "threads": arguments.threads,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "import_s": IMPORT_SECONDS,
        "load_s": load_seconds,
        "first_s": seconds[0],
        "forward_s": statistics.median(seconds[1:]),
        "forward_all_s": seconds[1:],
        "peak_rss_bytes": peak,
        "weights_bytes": sum(parameter.nbytes for parameter in model.parameters()),
        "massive_values": {site: count_massive(value) for site, value in norms.items()},
    }
    print(json.dumps(result, indent=1))


def read_ids(arguments):
    if arguments.token_ids:
        ids = [int(part) for part in arguments.token_ids.split(",")]
    else:
        with open(arguments.text, encoding="utf-8") as file:
            ids = AutoTokenizer.from_pretrained(arguments.folder).encode(file.read(), add_special_tokens=False)
    return torch.tensor([ids[: arguments.max_tokens]])


def count_massive(norms):
    return int((norms > LAMBDA * norms.mean(-1, keepdim=True)).sum())


class Scan:
    """Reduces Q, K and V to channel norms while the model runs."""

    def __init__(self, model):
        self.norms = {}
        for index, layer in enumerate(model.model.layers):
            for site in "qkv":
                projection = getattr(layer.self_attn, site + "_proj")
                projection.register_forward_hook(self.before_rope(site, index, layer.self_attn.head_dim))
        original = modeling_llama.eager_attention_forward

        def attention(module, query, key, *rest, **kwargs):
            # [batch, heads, seq, head_dim], K not yet repeated
            self.norms["rot_q", module.layer_idx] = query[0].norm(dim=1)
            self.norms["rot_k", module.layer_idx] = key[0].norm(dim=1)
            return original(module, query, key, *rest, **kwargs)

        modeling_llama.eager_attention_forward = attention

    def before_rope(self, site, layer, head_dim):
        def hook(_module, _inputs, output):  # [batch, seq, heads * head_dim]
            self.norms[site, layer] = output[0].norm(dim=0).view(-1, head_dim)

        return hook


if __name__ == "__main__":
    main()
