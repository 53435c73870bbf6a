"""A load over HTTP: every kind of request that the board's endpoint answers, and some that it refuses, from several clients at
once, on connections that are kept, closed and cut off.

Run as a program it puts the board behind `http://127.0.0.1:PORT/mcp` under it (`load.py PORT`).
"""

import json
import socket
import sys
import threading

CLIENTS = 8
ROUNDS = 6
PATIENCE = 20  # seconds for an answer


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def load(port):
    """Returns how many requests were answered. A client that is turned away, for all sockets were taken, comes again."""
    answered, failures = [0] * CLIENTS, []

    def client(number):
        try:
            for round in range(ROUNDS):
                for data, wanted in requests(number + round):
                    answered[number] += ask(port, data, wanted)
        except Exception as error:  # of a thread: told by the one that waits for it
            failures.append(error)

    with socket.create_connection(("127.0.0.1", port), PATIENCE) as subscription:
        uris = {"notifications": {"resourceSubscriptions": ["board://state/led"]}}
        subscription.sendall(post("subscriptions/listen", uris))
        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        if b"notifications/resources/updated" not in subscription.recv(65536, socket.MSG_DONTWAIT):
            raise ValueError("the subscription has heard nothing")
    return sum(answered)


def requests(turn):
    """Requests, with the status that each is to be answered with; None for one that is cut off."""
    led = {"name": "set_led", "arguments": {"on": turn % 2 == 0, "level": 200}}
    call = post("tools/call", led, "set_led")
    yield call + post("tools/list") + post("prompts/list", close=True), 200
    yield post("resources/read", {"uri": "board://flash"}, "board://flash", close=True), 200
    yield post("prompts/get", {"name": "explain", "arguments": {"part": "led"}}, "explain", close=True), 200
    reference = {"ref": {"type": "ref/prompt", "name": "explain"}, "argument": {"name": "part", "value": "l"}}
    yield post("completion/complete", reference, close=True), 200
    yield post("server/discover", close=True), 200
    yield post("resources/read", {"uri": "board://nothing"}, "board://nothing", close=True), 200
    yield legacy([{"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": led} for id in range(3)]), 200
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "load", "version": "1"}}
    yield legacy({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}), 200
    yield post("tools/call", {**led, "pad": "x" * 3000}, "set_led", close=True), 413
    yield post("tools/call", led, "set_led", close=True).replace(b"host: localhost", b"host: evil.example"), 403
    yield b"GET /mcp HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 2000 + b"\r\n\r\n", 431
    yield call[:-10], None


def post(method, params=None, name=None, close=False):
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}
    fields = ["mcp-protocol-version: 2026-07-28", f"mcp-method: {method}"]
    return request(message, fields + ([f"mcp-name: {name}"] if name else []), close)


def legacy(message):
    return request(message, [], True)


def request(message, fields, close):
    body = json.dumps(message).encode()
    head = ["POST /mcp HTTP/1.1", "host: localhost", "content-type: application/json",
            "accept: application/json, text/event-stream", f"content-length: {len(body)}", *fields]
    head += ["connection: close"] if close else []
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def ask(port, data, wanted):
    """Sends requests on one connection and reads to its end. How many were answered."""
    for _ in range(50):
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
                connection.sendall(data)
                if wanted is None:
                    return 0
                answer = b""
                while part := connection.recv(65536):
                    answer += part
        except (ConnectionResetError, BrokenPipeError):
            continue
        if not answer:
            continue
        if not answer.startswith(b"HTTP/1.1 %d " % wanted):
            raise ValueError(f"not a {wanted}: {answer[:200]}")
        return answer.count(b"HTTP/1.1 ")
    raise ValueError("turned away fifty times")


if __name__ == "__main__":
    print(load(int(sys.argv[1])), "requests were answered")
