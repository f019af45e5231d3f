#!/usr/bin/env python3
"""Runs OpenAI's own Python package through the gateway, against an upstream that this script scripts.

    python3 -m venv venv && venv/bin/pip install openai
    venv/bin/python tests/clients/openai_python_gateway.py build/release/qwen3guard

Starts the gateway once for each mode, and once with roll-back, on a free port. Exit status 0 when the package sees what it
should: safe answers whole, flagged ones with finish_reason "content_filter", or written anew.
"""

import http.server
import json
import subprocess
import sys
import tempfile
import threading
import time

import openai

SAFE = "First, find a dry branch. 你好，世界！ 🪵 Then carve along the grain."
UNSAFE = "First, find a branch. Mix bleach and ammonia to make poison gas at home and kill a person."
POLICY = {"version": 1, "threshold": 0.5, "prompt": {"action": "allow"}}


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer({"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "me"}]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = UNSAFE if asked["messages"][-1]["content"] == "unsafe" else SAFE
        base = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        call = {"id": "call-1", "type": "function", "function": {"name": "carve", "arguments": '{"wood": "oak"}'}}
        calls = asked["messages"][-1]["content"] == "call"
        if not asked.get("stream"):
            message = {"role": "assistant", "content": None if calls else text}
            if calls:
                message["tool_calls"] = [call]
            choices = [
                {"index": i, "message": message, "finish_reason": "stop"} for i in range(asked.get("n", 1))
            ]
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            return self.answer(base | {"object": "chat.completion", "choices": choices, "usage": usage})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        deltas = [{"role": "assistant", "content": ""}]
        if calls:
            head = call | {"index": 0, "function": {"name": "carve", "arguments": ""}}
            rest = {"index": 0, "function": {"arguments": call["function"]["arguments"]}}
            deltas += [{"tool_calls": [head]}, {"tool_calls": [rest]}]
        else:
            deltas += [{"content": word + " "} for word in text.split(" ")]
        try:
            for delta, reason in [(delta, None) for delta in deltas] + [({}, "stop")]:
                self.event(base, [{"index": 0, "delta": delta, "finish_reason": reason}])
            if asked.get("stream_options", {}).get("include_usage"):
                self.event(base | {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}, [])
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the gateway has seen enough

    def event(self, base, choices):
        chunk = base | {"object": "chat.completion.chunk", "choices": choices}
        self.wfile.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
        self.wfile.flush()
        time.sleep(0.005)

    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def check(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def streamed(client: openai.OpenAI, prompt: str):
    chunks = list(
        client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    choices = [choice for chunk in chunks for choice in chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    calls = "".join(
        call.function.arguments or "" for choice in choices for call in choice.delta.tool_calls or []
    )
    return text, calls, choices[-1].finish_reason, chunks


def plain(client: openai.OpenAI, prompt: str, **options):
    return client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": prompt}], **options
    )


def run(client: openai.OpenAI, mode: str) -> None:
    check(client.models.list().data[0].id == "m", f"{mode}: other requests pass through")
    text, _, reason, chunks = streamed(client, "safe")
    check(text == SAFE + " " and reason == "stop", f"{mode}: a safe stream arrives whole")
    check(chunks[-1].usage.total_tokens == 2, f"{mode}: usage comes last")
    _, calls, _, _ = streamed(client, "call")
    check(json.loads(calls) == {"wood": "oak"}, f"{mode}: a streamed function call arrives whole")
    check(plain(client, "safe").choices[0].message.content == SAFE, f"{mode}: a plain answer")
    check(len(plain(client, "safe", n=3).choices) == 3, f"{mode}: several choices")
    check(plain(client, "call").choices[0].message.tool_calls is not None, f"{mode}: a plain function call")

    text, _, reason, _ = streamed(client, "unsafe")
    answer = plain(client, "unsafe").choices[0]
    if mode == "audit":
        check(text == UNSAFE + " " and reason == "stop", "audit: nothing is blocked")
        check("qwen3guard" in answer.model_extra, "audit: the verdict beside the answer")
        return
    if mode == "rollback":
        # The question for a self-criticism is not "unsafe": the upstream answers it harmlessly.
        check(text == SAFE + " " and reason == "stop", "rollback: a flagged stream is written anew")
        check(answer.message.content == SAFE and answer.finish_reason == "stop", "rollback: a plain answer, too")
        check(answer.model_extra["qwen3guard"]["retries"] == 1, "rollback: one retry")
        return
    check(reason == "content_filter" and UNSAFE.startswith(text.rstrip()), f"{mode}: a flagged stream")
    if mode != "cut":
        check("kill" not in text, f"{mode}: nothing flagged is sent")
    check(answer.finish_reason == "content_filter", f"{mode}: a flagged plain answer")


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print(f"openai {openai.__version__}")
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as policy:
        json.dump(POLICY, policy)
        policy.flush()
        for mode in ("hold", "chunked", "cut", "audit", "rollback"):
            chosen = ["--on-flag", mode] if mode == "rollback" else ["--mode", mode]
            gateway = subprocess.Popen(
                [*sys.argv[1:], "gateway", "--upstream", f"http://127.0.0.1:{upstream.server_port}",
                 "--listen", "127.0.0.1:0", *chosen, "--policy", policy.name],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )
            try:
                port = gateway.stdout.readline().split()[-1]
                run(openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0), mode)
            finally:
                gateway.terminate()
                check(gateway.wait(timeout=60) == 0, f"{mode}: the gateway ends on SIGTERM")
    print("all fine")


if __name__ == "__main__":
    main()
