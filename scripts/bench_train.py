#!/usr/bin/env python3
"""Seconds of a training step of the preset `small`: massval against the same model in PyTorch.

Both run on the same number of threads, one after the other, in several rounds; medians and their ratio are printed.
Needs PyTorch; MASSVAL_STEP_TIME names a built `step_time` example, else cargo builds it.
"""

import argparse
import os
import statistics
import subprocess
import time

import torch
from torch import nn
from torch.nn import functional as F

LAYERS, WIDTH, HEADS, MLP, VOCAB, ROWS, SEQ = 4, 128, 2, 512, 278, 32, 64


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, MLP), nn.Linear(MLP, WIDTH)

    def forward(self, x, cos, sin):
        rows, seq, _ = x.shape
        heads = self.qkv(self.ln_1(x)).view(rows, seq, 3, HEADS, WIDTH // HEADS)
        q, k, v = heads.permute(2, 0, 3, 1, 4)

        def rotate(x):
            first, second = x.chunk(2, -1)
            return x * cos + torch.cat((-second, first), -1) * sin

        z = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        x = x + self.out(z.transpose(1, 2).reshape(rows, seq, WIDTH))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        dim = WIDTH // HEADS
        freqs = 10_000.0 ** (-torch.arange(0, dim, 2) / dim)
        angles = torch.outer(torch.arange(SEQ).float(), freqs).repeat(1, 2)
        self.cos, self.sin = angles.cos(), angles.sin()

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.norm(x) @ self.embed.weight.T


def pytorch(steps):
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, (0.9, 0.95), 1e-7, 0.1)
    times = []
    for _ in range(steps):
        ids = torch.randint(VOCAB, (ROWS, SEQ + 1))
        begun = time.perf_counter()
        logits = model(ids[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, VOCAB), ids[:, 1:].reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        times.append(time.perf_counter() - begun)
    return times[3:]


def massval(binary, steps):
    command = [binary] if binary else ["cargo", "run", "-q", "--example", "step_time", "--"]
    out = subprocess.run(command + ["small", str(steps)], capture_output=True, text=True, check=True)
    return [float(line.split()[0]) for line in out.stdout.splitlines()][3:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=23)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        ours += massval(os.environ.get("MASSVAL_STEP_TIME"), arguments.steps)
        theirs += pytorch(arguments.steps)
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"massval {a * 1e3:.0f} ms, PyTorch {torch.__version__} {b * 1e3:.0f} ms, ratio {a / b:.2f}")


if __name__ == "__main__":
    main()
