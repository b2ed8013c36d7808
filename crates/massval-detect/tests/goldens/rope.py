"""Writes rope.json: the rotary angles that Hugging Face transformers computes, for each kind of scaling.

    python rope.py > rope.json        # torch 2.15.0, transformers 5.23.0; angles are f32
"""

import json

from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"factor": 4.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": True}
SHORT = [1.0 + 0.05 * i for i in range(16)]
LONG = [1.0 + 0.5 * i for i in range(16)]

# (kind here, kind there, parameters, head_dim, theta, trained positions, positions in use)
CASES = [
    ("linear", "linear", {"factor": 4.0}, 64, 10000.0, 2048, 2048),
    ("dynamic-ntk", "dynamic", {"factor": 2.0}, 64, 10000.0, 2048, 1000),
    ("dynamic-ntk", "dynamic", {"factor": 2.0}, 64, 10000.0, 2048, 7000),
    ("llama3", "llama3", LLAMA3, 128, 500000.0, 8192, 8192),
    ("llama3", "llama3", LLAMA3 | {"factor": 32.0}, 64, 500000.0, 8192, 8192),
    ("yarn", "yarn", YARN, 128, 1000000.0, 32768, 32768),
    ("yarn", "yarn", YARN | {"truncate": False, "factor": 16.0}, 64, 10000.0, 4096, 4096),
    ("longrope", "longrope", {"short_factor": SHORT, "long_factor": LONG}, 32, 10000.0, 4096, 4096),
    ("longrope", "longrope", {"short_factor": SHORT, "long_factor": LONG}, 32, 10000.0, 4096, 4097),
]

cases = []
for kind, theirs, parameters, dim, theta, trained, seq_len in CASES:
    original = {} if theirs in ("linear", "dynamic") else {"original_max_position_embeddings": trained}
    config = LlamaConfig(
        hidden_size=4 * dim,
        num_attention_heads=4,
        head_dim=dim,
        max_position_embeddings=trained,
        rope_parameters={"rope_type": theirs, "rope_theta": theta} | parameters | original,
    )
    angles, _ = ROPE_INIT_FUNCTIONS[theirs](config, "cpu", seq_len=seq_len)
    scaling = {"kind": kind} | parameters
    if kind == "dynamic-ntk":
        scaling["max_position"] = trained
    elif kind != "linear":
        scaling["original_max_position"] = trained
    cases.append(
        {"scaling": scaling, "rotary_dim": dim, "theta": theta, "seq_len": seq_len, "inv_freq": angles.tolist()}
    )
print(json.dumps(cases, indent=1))
