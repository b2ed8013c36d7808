"""Writes rope.json: rotary angles and attention factors as Hugging Face transformers computes them.

    python rope.py > rope.json        # torch 2.15.0, transformers 5.23.0; angles are f32

One case a line. A case with `last` went through a fresh LlamaRotaryEmbedding's forward pass over `seq_len` positions:
`inv_freq` is what the module held afterwards, `last` the cosines and sines of the last position, attention factor
included. The others come from ROPE_INIT_FUNCTIONS.
"""

import json

import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
SHORT = [1.0 + 0.05 * i for i in range(16)]
LONG = [1.0 + 0.5 * i for i in range(16)]
LONGROPE = {"short_factor": SHORT, "long_factor": LONG}
# As the long divisors of Phi-3: 48 pairs, of a head of 96.
PHI3 = {"short_factor": [1.0 + 0.02 * i for i in range(48)], "long_factor": [1.0 + i * i / 36 for i in range(48)]}

# (kind, parameters, rotary_dim, theta, trained positions, length); a negative length is of a forward
# pass. `max` in the parameters is max_position_embeddings where it is not the trained length.
CASES = [
    ("linear", {"factor": 4.0}, 64, 10000.0, 2048, 2048),
    ("linear", {"factor": 2.5}, 80, 10000.0, 2048, -50),
    ("dynamic", {"factor": 2.0}, 64, 10000.0, 2048, 1000),
    ("dynamic", {"factor": 2.0}, 64, 10000.0, 2048, 2048),
    ("dynamic", {"factor": 2.0}, 64, 10000.0, 2048, 2049),
    ("dynamic", {"factor": 2.0}, 64, 10000.0, 2048, 7000),
    ("dynamic", {"factor": 4.0}, 16, 10000.0, 64, -40),
    ("dynamic", {"factor": 4.0}, 16, 10000.0, 64, -64),
    ("dynamic", {"factor": 4.0}, 16, 10000.0, 64, -65),
    ("dynamic", {"factor": 4.0}, 16, 10000.0, 64, -200),
    ("llama3", LLAMA3, 128, 500000.0, 8192, 8192),
    ("llama3", LLAMA3 | {"factor": 32.0}, 64, 500000.0, 8192, 8192),
    ("llama3", LLAMA3, 32, 500000.0, 64, -100),
    ("yarn", {"factor": 4.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": True}, 128, 1e6, 32768, 32768),
    ("yarn", {"factor": 4.0}, 128, 1e6, 32768, 32768),
    ("yarn", {"factor": 16.0, "truncate": False}, 64, 10000.0, 4096, 4096),
    ("yarn", {"factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False}, 64, 150000.0, 4096, 4096),
    ("yarn", {"factor": 40.0, "mscale": 1.0, "mscale_all_dim": 0.5}, 64, 10000.0, 4096, 4096),
    ("yarn", {"factor": 40.0, "mscale": 1.0, "mscale_all_dim": 1.0}, 64, 10000.0, 4096, 4096),
    ("yarn", {"factor": 40.0, "mscale": 0.7, "mscale_all_dim": 0.0}, 64, 10000.0, 4096, 4096),
    ("yarn", {"factor": 8.0, "attention_factor": 1.25, "mscale": 2.0, "mscale_all_dim": 1.0}, 64, 1e4, 4096, 4096),
    ("yarn", {"factor": 0.5}, 64, 10000.0, 4096, 4096),
    # The ramp's ends meet; the ramp begins beyond the last pair; it ends before the first.
    ("yarn", {"factor": 4.0, "beta_fast": 2.0, "beta_slow": 2.0, "truncate": False}, 32, 1e4, 4096, 4096),
    ("yarn", {"factor": 4.0, "beta_fast": 4.0}, 16, 100.0, 1000000, 1000000),
    ("yarn", {"factor": 4.0}, 16, 10000.0, 4, 4),
    ("yarn", {"factor": 8.0, "beta_fast": 8.0, "beta_slow": 2.0}, 32, 10000.0, 64, -100),
    ("longrope", LONGROPE | {"factor": 1.0}, 32, 10000.0, 4096, 4096),
    ("longrope", LONGROPE | {"factor": 1.0}, 32, 10000.0, 4096, 4097),
    ("longrope", PHI3 | {"max": 131072}, 96, 10000.0, 4096, 4096),
    ("longrope", PHI3 | {"max": 131072}, 96, 10000.0, 4096, 5000),
    ("longrope", LONGROPE | {"factor": 8.0, "attention_factor": 1.1}, 32, 10000.0, 64, 65),
    ("longrope", LONGROPE | {"factor": 8.0}, 32, 10000.0, 64, -64),
    ("longrope", LONGROPE | {"factor": 8.0}, 32, 10000.0, 64, -65),
    ("proportional", {"proportion": 0.25, "factor": 1.0}, 512, 1e6, 1024, 1024),
    ("proportional", {"proportion": 0.5, "factor": 8.0}, 18, 10000.0, 1024, 1024),
    ("proportional", {"proportion": 1.0, "factor": 2.0}, 16, 10000.0, 64, -70),
]

OURS = {"dynamic": "dynamic-ntk"}
cases = []
for kind, parameters, dim, theta, trained, length in CASES:
    parameters = dict(parameters)
    longest = parameters.pop("max", trained)
    theirs = {"rope_type": kind, "rope_theta": theta} | parameters
    ours = {"kind": OURS.get(kind, kind)} | parameters
    if kind == "proportional":
        theirs["partial_rotary_factor"] = theirs.pop("proportion")
    elif kind == "dynamic":
        ours["max_position"] = trained
    elif kind != "linear":
        theirs["original_max_position_embeddings"] = ours["original_max_position"] = trained
    if kind == "longrope":
        ours.setdefault("factor", longest / trained)
    config = LlamaConfig(
        hidden_size=4 * dim,
        num_attention_heads=4,
        head_dim=dim,
        max_position_embeddings=longest,
        rope_parameters=theirs,
    )
    case = {"scaling": ours, "rotary_dim": dim, "theta": theta, "seq_len": abs(length)}
    if length < 0:
        rope = LlamaRotaryEmbedding(config)
        cos, sin = rope(torch.zeros(1), torch.arange(-length)[None])
        case |= {"inv_freq": rope.inv_freq.tolist(), "attention_factor": rope.attention_scaling}
        case["last"] = {"cos": cos[0, -1, : dim // 2].tolist(), "sin": sin[0, -1, : dim // 2].tolist()}
    else:
        angles, factor = ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=length)
        case |= {"inv_freq": angles.tolist(), "attention_factor": factor}
    cases.append(case)


def shorter(value):
    """Nine digits tell any f32 from the next."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [shorter(item) for item in value]
    if isinstance(value, dict):
        return {key: item if key in ("scaling", "attention_factor") else shorter(item) for key, item in value.items()}
    return value


print("[\n" + ",\n".join(json.dumps(shorter(case)) for case in cases) + "\n]")
