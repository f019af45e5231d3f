#!/usr/bin/env python3
"""Compares our engine with llama.cpp in one run, alternating, and writes a report.

    bench/compare.py --ours build/bench/engine_bench --peer build/bench/llama_peer \\
        --pair q8 DIR/q8_0.gguf --pair q4 DIR/q4_0.gguf --output report

Both sides read the same GGUF file (bench/README.md says how it is made). Every measurement is asked
of both in turn, --rounds times; a side's figure is the median of its rounds, the ratio that of the
two medians. Writes report.json and report.md. Nothing else may run meanwhile.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

# (title, ours, peer's): bench/measurement.h has the grammar.
MEASUREMENTS = [
    ("prefill of 512 tokens", "prefill 512", "prefill 512"),
    ("one stream, token by token, depth 1", "decode 1", "decode 1"),
    ("one stream, token by token, depth 430", "decode 430", "decode 430"),
    ("the same, the peer without its LM head", "decode 430", "decode 430 head=0"),
    ("one stream in 16-token chunks, the peer token by token", "verdict 446 430 0", "decode 430"),
    ("16 streams together, depth 64", "batch 16 64", "batch 16 64"),
    ("Gen prompt of 430 tokens, 330 kept; the peer decodes 15 more", "verdict 430 330 0", "verdict 430 330 15"),
    ("Gen prompt, 330 kept by us only; the peer decodes 15 more", "verdict 430 330 0", "verdict 430 0 15"),
]
# The rows above that compare whole verdicts, not tokens a second.
PER_VERDICT = {6, 7}


class Side:
    def __init__(self, command, isa=None):
        environment = dict(os.environ, **({"QWEN3GUARD_ISA": isa} if isa else {}))
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.info = json.loads(self.process.stdout.readline())

    def ask(self, measurement):
        self.process.stdin.write(measurement + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            sys.exit(f"{measurement}: {answer['error']}")
        return answer

    def close(self):
        self.process.stdin.write("quit\n")
        self.process.stdin.close()
        self.process.wait()


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def compare(name, path, options):
    threads = ["--threads", str(options.threads)]
    our_command = [options.ours, path, *threads]
    peer_command = [options.peer, path, *threads, *(["--variant", options.variant] if options.variant else [])]
    ours, peer = Side(our_command, options.isa), Side(peer_command)
    rows = []
    for index, (title, our_line, peer_line) in enumerate(MEASUREMENTS):
        samples = {"ours": [], "peer": []}
        for _ in range(options.rounds):
            for side, program, line in (("ours", ours, our_line), ("peer", peer, peer_line)):
                answer = program.ask(f"{line} repeats={options.repeats}")
                seconds = answer["median_seconds"]
                samples[side].append(1 / seconds if index in PER_VERDICT else answer["tokens"] / seconds)
            print(f"{name}  {title}  {samples['ours'][-1]:.1f}  {samples['peer'][-1]:.1f}", file=sys.stderr)
        row = {"title": title, "unit": "verdicts/s" if index in PER_VERDICT else "tokens/s", **samples}
        row["ratio"] = statistics.median(samples["ours"]) / statistics.median(samples["peer"])
        rows.append(row)
    memory = {}
    for side, command in (("ours", our_command), ("peer", peer_command)):
        fresh = Side(command, options.isa)
        memory[side] = fresh.ask("memory 16 128")["peak_bytes"]
        fresh.close()
    result = {"name": name, "ours": ours.info, "peer": peer.info, "rows": rows, "memory_16x128": memory}
    ours.close()
    peer.close()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--pair", nargs=2, action="append", metavar=("NAME", "FILE"), required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa", help="our instruction set (QWEN3GUARD_ISA); else the best here")
    parser.add_argument("--variant", help="the peer's processor library, such as haswell; else its own choice")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    report = {"processor": processor(), "threads": options.threads, "rounds": options.rounds,
              "repeats": options.repeats, "results": [compare(n, p, options) for n, p in options.pair]}
    with open(options.output + ".json", "w") as file:
        json.dump(report, file, indent=1)
    with open(options.output + ".md", "w") as file:
        file.write(f"{report['processor']}, {options.threads} threads, {options.rounds} rounds of {options.repeats} repeats\n")
        for result in report["results"]:
            peer = result["peer"]
            file.write(f"\n{result['name']}: ours {result['ours']['backend']}, llama.cpp {peer['version']} {peer['backend']}\n\n"
                       "| | ours | llama.cpp | ratio |\n|---|---|---|---|\n")
            for row in result["rows"]:
                ours, theirs = statistics.median(row["ours"]), statistics.median(row["peer"])
                digits = 2 if row["unit"] == "verdicts/s" else 1
                file.write(f"| {row['title']}, {row['unit']} | {ours:.{digits}f} | {theirs:.{digits}f} | {row['ratio']:.2f} |\n")
            memory = result["memory_16x128"]
            file.write(f"| peak memory, 16 x 128 tokens, MB | {memory['ours'] / 1e6:.0f} | {memory['peer'] / 1e6:.0f} | |\n")
    print(open(options.output + ".md").read())


if __name__ == "__main__":
    main()
