"""What `massval disrupt` does, in transformers: the peer that scripts/bench-disrupt.sh measures against.

usage: peer_disrupt.py FOLDER [--items F.jsonl] [--perplexity FILE] [--arm ARM].. [--batch N] [--attention eager|sdpa]
       [--limit N] [--max-new-tokens N] [--seed N] [--threads N] [--margins]

Loads a Hugging Face Llama in f32 on the CPU and disrupts Q and K after RoPE in all layers and heads, in every pass over
more than one token; the disrupted K enters the KV cache. An ARM is `none` or `SELECTION[/OPERATOR[/SITES]]`:

  SELECTION  of each head, by the channels' L2 norms over the sequence: `top-k:K`, `bottom-k:K`, or `random-k:K`, drawn
             from all but the K largest, the same draw in every pass (other channels than massval draws)
  OPERATOR   `mean` (the joint mean of the selected channels; the default) or `zero`
  SITES      `qk` (the default), `q`, `k`

Without --arm: `none`, `bottom-k:1`, `top-k:1`. Norms and means are those of one sequence, also in a batch. Items of
one length share a batch, so nothing is padded; `--batch 1` (the default) is how the reference runs them. Items are
lines that `massval data` writes, with a prompt and the digits that answer it. Answers are greedy; `reference` counts
the digits anywhere in the answer as right, `strict` wants them to be the first run of digits. Perplexity is
exp(mean negative log-probability) of a text's tokens but the first, read in one pass without special tokens.

Prints one JSON object. Times are in seconds: `import_s`, `load_s`, `tokenize_s`, `generate_s` of each arm and `run_s`,
tokenizing and all answers together (perplexities are outside); `peak_rss_bytes` is the process's maximum. With
--margins each answer has `least_margin`, the least distance of the two best logits along it: where that is small,
another answer is rounding.
"""
import argparse
import dataclasses
import itertools
import json
import math
import os
import re
import resource
import time

started = time.perf_counter()
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.llama import modeling_llama

IMPORT_SECONDS = time.perf_counter() - started
ARM = re.compile(r"(top|bottom|random)-k:([1-9][0-9]*)(?:/(mean|zero)(?:/(qk|q|k))?)?")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--items", help="a JSON object per line, with `prompt` and `gold.digits`")
    parser.add_argument("--perplexity", metavar="FILE", help="a UTF-8 text")
    parser.add_argument("--arm", type=Arm.parse, action="append", help="what is disrupted; repeatable")
    parser.add_argument("--batch", type=int, default=1, help="the most items that run together (default 1)")
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="eager")
    parser.add_argument("--limit", type=int, help="only the first items")
    parser.add_argument("--max-new-tokens", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of random-k")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--margins", action="store_true")
    arguments = parser.parse_args()
    if not arguments.items and not arguments.perplexity:
        parser.error("nothing to do: give --items, --perplexity or both")
    if min(arguments.batch, arguments.max_new_tokens, arguments.threads, arguments.limit or 1) < 1:
        parser.error("--batch, --limit, --max-new-tokens and --threads must be at least 1")
    arms = arguments.arm or [Arm.parse(text) for text in ("none", "bottom-k:1", "top-k:1")]
    items = read_items(parser, arguments) if arguments.items else []
    torch.set_num_threads(arguments.threads)

    began = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(
        arguments.folder, dtype=torch.float32, attn_implementation=arguments.attention
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(arguments.folder)
    load_seconds = time.perf_counter() - began
    if model.config.model_type != "llama":
        parser.error(f"{arguments.folder} is a {model.config.model_type}; only Llama is disrupted here")
    for arm in arms:
        if arm.taken > model.model.layers[0].self_attn.head_dim:
            parser.error(f"{arm.name} takes {arm.taken} channels, more than a head has")

    disruption = Disruption(model, arguments.seed)
    began = time.perf_counter()
    ids = [tokenizer.encode(item["prompt"]) for item in items]
    tokenize_seconds = time.perf_counter() - began
    results = []
    with torch.inference_mode():
        for disruption.arm in arms:
            began = time.perf_counter()
            answers = generate(model, tokenizer, ids, arguments)
            seconds = time.perf_counter() - began
            results.append({"arm": disruption.arm.name, "generate_s": seconds} | score(items, answers))
        run_seconds = tokenize_seconds + sum(result["generate_s"] for result in results)
        if arguments.perplexity:
            with open(arguments.perplexity, encoding="utf-8") as file:
                text = torch.tensor([tokenizer.encode(file.read(), add_special_tokens=False)])
            for disruption.arm, result in zip(arms, results):
                result["perplexity"] = perplexity(model, text)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    result = {
        "items": len(items),
        "prompt_tokens": sorted({len(prompt) for prompt in ids}),
        "batch": arguments.batch,
        "attention": arguments.attention,
        "max_new_tokens": arguments.max_new_tokens,
        "threads": arguments.threads,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "import_s": IMPORT_SECONDS,
        "load_s": load_seconds,
        "tokenize_s": tokenize_seconds,
        "run_s": run_seconds,
        "peak_rss_bytes": peak,
        "weights_bytes": sum(parameter.nbytes for parameter in model.parameters()),
        "arms": results,
    }
    print(json.dumps(result, indent=1))


@dataclasses.dataclass(frozen=True)
class Arm:
    """What is overwritten with what; nothing where `selection` is None."""

    name: str
    selection: str | None = None
    k: int = 0
    operator: str = "mean"
    sites: str = "qk"

    @classmethod
    def parse(cls, text):
        if text == "none":
            return cls(text)
        match = ARM.fullmatch(text)
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r} is neither none nor like top-k:1 or bottom-k:2/zero/q")
        selection, k, operator, sites = match.groups()
        return cls(text, selection, int(k), operator or "mean", sites or "qk")

    @property
    def taken(self):
        """How many channels of a head are selected or passed over."""
        return 2 * self.k if self.selection == "random" else self.k


class Disruption:
    """Overwrites channels of Q and K after RoPE while the model runs, as `arm` says."""

    def __init__(self, model, seed):
        self.arm = Arm("none")
        self.seed = seed
        self.layer = None
        self.draws = {}
        for index, layer in enumerate(model.model.layers):
            layer.self_attn.register_forward_pre_hook(self.entering(index))
        original = modeling_llama.apply_rotary_pos_emb

        def rotate(*args, **kwargs):
            query, key = original(*args, **kwargs)  # [batch, heads, seq, head_dim], K not yet repeated
            if self.arm.selection and query.shape[2] > 1:
                for site, heads in (("q", query), ("k", key)):
                    if site in self.arm.sites:
                        self.overwrite(site, heads)
            return query, key

        modeling_llama.apply_rotary_pos_emb = rotate

    def entering(self, index):
        def hook(_module, _inputs):
            self.layer = index

        return hook

    def overwrite(self, site, heads):
        channels = self.select(site, heads.norm(dim=2))
        channels = channels.unsqueeze(2).expand(-1, -1, heads.shape[2], -1)
        if self.arm.operator == "zero":
            heads.scatter_(-1, channels, 0.0)
        else:
            mean = heads.gather(-1, channels).mean(dim=(2, 3), keepdim=True)
            heads.scatter_(-1, channels, mean.expand_as(channels))

    def select(self, site, norms):
        """The channels to overwrite, [batch, heads, k], by their norms, [batch, heads, head_dim]."""
        largest = norms.topk(self.arm.k).indices
        if self.arm.selection == "top":
            return largest
        if self.arm.selection == "bottom":
            return norms.topk(self.arm.k, largest=False).indices
        ranks = self.draw(site, norms.shape[1:]).expand_as(norms).scatter(-1, largest, -1.0)
        return ranks.topk(self.arm.k).indices

    def draw(self, site, shape):
        """Numbers from 0 to 1 that depend on the seed, the layer and the site alone."""
        place = self.layer, site
        if place not in self.draws:
            generator = torch.Generator().manual_seed((self.seed << 20) + 2 * self.layer + (site == "k"))
            self.draws[place] = torch.rand(shape, generator=generator)
        return self.draws[place]


def read_items(parser, arguments):
    items = []
    with open(arguments.items, encoding="utf-8") as file:
        for number, line in enumerate(itertools.islice(file, arguments.limit), 1):
            try:
                item = json.loads(line)
                items.append({"prompt": str(item["prompt"]), "digits": str(item["gold"]["digits"])})
            except (ValueError, KeyError, TypeError) as error:
                parser.error(f"{arguments.items}, line {number}: no item with prompt and gold.digits: {error!r}")
    if len(items) < (arguments.limit or 1):
        parser.error(f"{arguments.items} has {len(items)} items, {arguments.limit or 'at least one'} asked for")
    return items


def generate(model, tokenizer, ids, arguments):
    """An answer to each prompt, prompts of one length together."""
    answers = [None] * len(ids)
    by_length = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    for length, group in itertools.groupby(by_length, key=lambda index: len(ids[index])):
        group = list(group)
        for batch in (group[at : at + arguments.batch] for at in range(0, len(group), arguments.batch)):
            prompts = torch.tensor([ids[index] for index in batch])
            output = model.generate(
                input_ids=prompts,
                attention_mask=torch.ones_like(prompts),
                do_sample=False,
                max_new_tokens=arguments.max_new_tokens,
                pad_token_id=tokenizer.eos_token_id,
                return_dict_in_generate=True,
                output_logits=arguments.margins,
            )
            written = output.sequences[:, length:]
            texts = tokenizer.batch_decode(written, skip_special_tokens=True)
            for row, (index, text) in enumerate(zip(batch, texts)):
                answers[index] = {"text": text}
                if arguments.margins:
                    ended = (written[row] == tokenizer.eos_token_id).nonzero()
                    steps = int(ended[0]) + 1 if len(ended) else written.shape[1]
                    best = torch.stack([step[row] for step in output.logits[:steps]]).topk(2).values
                    answers[index]["least_margin"] = float((best[:, 0] - best[:, 1]).min())
    return answers


def score(items, answers):
    for item, answer in zip(items, answers):
        first = re.search("[0-9]+", answer["text"])
        answer["gold"] = item["digits"]
        answer["reference"] = item["digits"] in answer["text"]
        answer["strict"] = first is not None and first.group() == item["digits"]
    right = {rule: sum(answer[rule] for answer in answers) for rule in ("reference", "strict")}
    accuracy = {rule: count / len(items) for rule, count in right.items()} if items else None
    return {"right": right, "accuracy": accuracy, "answers": answers}


def perplexity(model, ids):
    logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
    return math.exp(torch.nn.functional.cross_entropy(logits, ids[0, 1:]))


if __name__ == "__main__":
    main()
