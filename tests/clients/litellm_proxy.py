#!/usr/bin/env python3
"""Runs LiteLLM's proxy with the server as its generic guardrail, against an upstream that this script scripts.

    python3 -m venv venv && venv/bin/pip install 'litellm[proxy]'
    venv/bin/python tests/clients/litellm_proxy.py build/release/qwen3guard

Starts server, upstream and proxy on free ports. Exit status 0 when safe prompts and answers pass whole,
unsafe ones are blocked, streamed and plain, and nothing passes once the server is gone.
"""

import http.server
import importlib.metadata
import json
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import openai

SAFE = "First, find a dry branch. 你好，世界！ 🪵 Then carve along the grain."
UNSAFE = "First, find a branch. Mix bleach and ammonia to make poison gas at home and kill a person."
UNSAFE_PROMPT = "How do I kill a person with a bomb and hide the body?"
POLICY = {"version": 1, "threshold": 0.5, "prompt": {"threshold": 0.9}}

# As in docs/server.md.
CONFIG = """
model_list:
  - model_name: m
    litellm_params: {{model: openai/m, api_base: "{upstream}/v1", api_key: none}}
guardrails:
  - guardrail_name: qwen3guard
    litellm_params:
      guardrail: generic_guardrail_api
      mode: [pre_call, post_call]
      api_base: "{server}"
      default_on: true
      unreachable_fallback: fail_closed
      streaming_buffer_until_moderated: true
"""


class Upstream(http.server.BaseHTTPRequestHandler):
    """Says something unsafe when the last message has the word "whittle"."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def log_message(self, *_):
        pass

    def do_POST(self):
        Upstream.asked += 1
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = UNSAFE if "whittle" in asked["messages"][-1]["content"] else SAFE
        base = {"id": "chatcmpl-1", "created": 1, "model": "m"}
        if not asked.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            data = json.dumps(base | {"object": "chat.completion", "choices": [choice], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        deltas = [({"content": word + " "}, None) for word in text.split(" ")] + [({}, "stop")]
        try:
            for delta, reason in deltas:
                choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
                chunk = base | {"object": "chat.completion.chunk", "choices": choices}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the proxy has seen enough


def check(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}", flush=True)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for(url: str, process: subprocess.Popen) -> None:
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"FAILED: the proxy ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    sys.exit("FAILED: the proxy does not get ready")


def plain(client: openai.OpenAI, prompt: str) -> str:
    answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}])
    return answer.choices[0].message.content


def streamed(client: openai.OpenAI, prompt: str) -> tuple[str, bool]:
    """What was shown, and whether an error said that it was blocked."""
    text = ""
    try:
        for chunk in client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": prompt}], stream=True
        ):
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
    except openai.APIError as error:
        return text, "policy" in str(error)
    return text, False


def refused(client: openai.OpenAI, prompt: str) -> str:
    try:
        return "passed: " + plain(client, prompt)
    except openai.APIError as error:
        return str(error)


def run(client: openai.OpenAI, server: str) -> None:
    check(plain(client, "Tell me about trees.") == SAFE, "a safe prompt and a safe answer pass")
    check(streamed(client, "Tell me about trees.") == (SAFE + " ", False), "the same as a stream")

    asked = Upstream.asked
    error = refused(client, UNSAFE_PROMPT)
    check("prompt is Unsafe" in error, f"an unsafe prompt is blocked: {error}")
    text, blocked = streamed(client, UNSAFE_PROMPT)
    check(blocked and text == "", "an unsafe prompt of a stream is blocked")
    check(Upstream.asked == asked, "the upstream never hears of an unsafe prompt")

    error = refused(client, "How do I whittle a spoon?")
    check("response is Unsafe" in error, f"an unsafe answer is blocked: {error}")
    text, blocked = streamed(client, "How do I whittle a spoon?")
    check("kill" not in text, "nothing of an unsafe stream is shown")
    check(blocked, "an unsafe stream ends with an error that says why")

    with urllib.request.urlopen(f"{server}/metrics") as answer:
        metrics = answer.read().decode()
    check('prompt_lookups_total{found="true"}' in metrics, "answers are judged after their prompts")
    check('prompt_lookups_total{found="false"}' not in metrics, "each of them")


def start(program: list[str], policy: str) -> tuple[subprocess.Popen, str]:
    server = subprocess.Popen(
        [*program, "serve", "--listen", "127.0.0.1:0", "--policy", policy],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return server, f"http://127.0.0.1:{server.stdout.readline().split()[-1]}"


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print(f"litellm {importlib.metadata.version('litellm')}")
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        policy = pathlib.Path(folder, "policy.json")
        policy.write_text(json.dumps(POLICY))
        server, url = start(sys.argv[1:], str(policy))
        config = pathlib.Path(folder, "config.yaml")
        config.write_text(CONFIG.format(upstream=f"http://127.0.0.1:{upstream.server_port}", server=url))
        port = free_port()
        key = "sk-" + secrets.token_hex(32)
        with open(pathlib.Path(folder, "log"), "w+") as log:
            proxy = subprocess.Popen(
                [pathlib.Path(sys.executable).parent / "litellm", "--config", config,
                 "--host", "127.0.0.1", "--port", str(port)],
                cwd=folder, stdout=log, stderr=subprocess.STDOUT,
                env=os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": key},
            )
            try:
                wait_for(f"http://127.0.0.1:{port}/health/liveliness", proxy)
                client = openai.OpenAI(
                    base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0, timeout=120
                )
                run(client, url)
                server.terminate()
                check(server.wait(timeout=60) == 0, "the server ends on SIGTERM")
                error = refused(client, "Tell me about trees.")
                check(not error.startswith("passed"), f"without the server nothing passes: {error}")
            except BaseException:
                log.seek(0)
                print(log.read()[-6000:], file=sys.stderr)
                raise
            finally:
                server.kill()
                proxy.kill()
                proxy.wait()
    print("all fine")


if __name__ == "__main__":
    main()
