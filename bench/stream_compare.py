#!/usr/bin/env python3
"""Compares streaming with the official algorithm, which reads the whole prefix again for every token.

    bench/stream_compare.py --bench build/bench/stream_bench --model DIR/guard --tokens 1024

Needs torch and transformers. The peer is `transformers` on the processor: its Qwen3 body in bf16 (the type that is
published, and the faster one where the processor multiplies it) with the four heads on top. Its total for an answer
of N tokens is the integral through calls measured at 16 lengths from 1 to N, two each, the faster counts. "with a
cache" feeds one token at a time to a DynamicCache, measured over 16 tokens at 4 depths. Ours is `stream_bench`, the
whole answer, once before and once after the peer: the mean counts. Run nothing else meanwhile.
"""
import argparse
import json
import os
import subprocess
import time


def ours(options):
    command = [options.bench, options.model, str(options.tokens), options.weights, str(options.threads), "1", "16"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


class Official:
    """The official streaming code's arithmetic (methods: Qwen3ForGuardModel): body, then both pairs of heads."""

    def __init__(self, options):
        import torch
        import transformers
        from safetensors import safe_open

        self.torch = torch
        torch.set_num_threads(options.threads)
        self.version = f"torch {torch.__version__}, transformers {transformers.__version__}"
        self.type = getattr(torch, options.dtype)
        config = transformers.AutoConfig.from_pretrained(options.model)
        self.body = transformers.Qwen3Model(config).to(self.type).eval()
        tensors = {}
        for file in sorted(os.listdir(options.model)):
            if file.endswith(".safetensors"):
                with safe_open(os.path.join(options.model, file), "pt") as opened:
                    tensors |= {name: opened.get_tensor(name).to(self.type) for name in opened.keys()}
        missing, unexpected = self.body.load_state_dict(
            {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}, strict=False)
        assert not missing and not unexpected, (missing, unexpected)
        self.heads = {name: t for name, t in tensors.items() if not name.startswith("model.")}
        self.ids = torch.randint(1000, 21000, (1, options.tokens + 32), generator=torch.Generator().manual_seed(1))

    def judge(self, ids, cache=None):
        with self.torch.inference_mode():
            hidden = self.body(input_ids=ids, past_key_values=cache, use_cache=cache is not None).last_hidden_state
            for side in ("", "query_"):
                inner = hidden @ self.heads[f"{side}risk_level_category_pre.weight"].T
                inner = inner * self.torch.rsqrt(inner.float().pow(2).mean(-1, keepdim=True) + 1e-6).to(self.type)
                inner = inner * self.heads[f"{side}risk_level_category_layernorm.weight"]
                for head in ("risk_level", "category"):
                    inner @ self.heads[f"{side}{head}_head.weight"].T

    def timed(self, run):
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    def whole_prefix(self, tokens, prompt=16):
        lengths = sorted({round(1 + (tokens - 1) * i / 15) for i in range(16)})
        self.judge(self.ids[:, :prompt + lengths[-1]])  # warm
        seconds = [min(self.timed(lambda: self.judge(self.ids[:, :prompt + n])) for _ in range(2)) for n in lengths]
        total = sum((b - a) * (s + t) / 2 for a, b, s, t in zip(lengths, lengths[1:], seconds, seconds[1:])) + seconds[0]
        return total, dict(zip(lengths, seconds))

    def cached(self, tokens):
        from transformers import DynamicCache

        rates = []
        for depth in (16, tokens // 3, 2 * tokens // 3, tokens):
            cache = DynamicCache()
            self.judge(self.ids[:, :depth], cache)
            self.judge(self.ids[:, :1], cache)  # warm
            rates.append(self.timed(lambda: [self.judge(self.ids[:, i:i + 1], cache) for i in range(16)]) / 16)
        return tokens * sum(rates) / len(rates)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--model", required=True, help="a Stream checkpoint (random_checkpoint.py --guard)")
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--weights", default="q8")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    before = ours(options)
    peer = Official(options)
    total, calls = peer.whole_prefix(options.tokens)
    cached = peer.cached(options.tokens)
    after = ours(options)
    processor = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    print(f"{processor}, {options.threads} threads; ours {before['backend']} {options.weights}; "
          f"peer {peer.version}, {options.dtype}; {options.tokens} response tokens")
    print("peer, seconds a call: " + ", ".join(f"{n}: {s:.3f}" for n, s in calls.items()))
    print(f"peer, whole prefix each token: {total:.1f} s; with a cache: {cached:.1f} s")
    for chunk in ("1", "16"):
        mean = (before["seconds"][chunk] + after["seconds"][chunk]) / 2
        print(f"ours, {chunk} token(s) at a time: {before['seconds'][chunk]:.2f} and {after['seconds'][chunk]:.2f} s; "
              f"{total / mean:.0f} times the whole prefix, {cached / mean:.1f} times the cache")


if __name__ == "__main__":
    main()
