#!/usr/bin/env python3
"""chat_server.py FOLDER [CERT KEY]: a chat server for tests, on 127.0.0.1 and a free port.

Writes the port to FOLDER/port. What it answers stands in FOLDER/mode, read anew for each request;
every request is kept in FOLDER/request-N (headers) and FOLDER/body-N (JSON), so that a test sees
what left the program. With CERT and KEY it speaks TLS.
"""
import http.server
import json
import pathlib
import ssl
import sys
import time

here = pathlib.Path(sys.argv[1])
count = 0


def delta(text, finish=None):
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text} if text is not None else {},
                                    "finish_reason": finish}]})


USAGE = json.dumps({"choices": [], "usage": {"prompt_tokens": 1234, "completion_tokens": 7}})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def refuse(self, status, message, **headers):
        body = json.dumps({"error": {"message": message, "type": "test"}}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, data):
        if isinstance(data, str):
            data = data.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, data):
        self.chunk("data: " + data + "\n\n")

    def stream(self, kind="text/event-stream"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def do_POST(self):
        global count
        count += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        (here / f"body-{count}").write_bytes(body)
        (here / f"request-{count}").write_text(self.path + "\n" + str(self.headers))
        mode = (here / "mode").read_text().strip()
        try:
            getattr(self, "mode_" + mode)(json.loads(body))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def mode_normal(self, asked):
        last = asked["messages"][-1]["content"].split("\n")[-1]
        self.stream()
        self.chunk(": welcome\n\n")
        for piece in ("Remote says ", "“", last, "” ", "\U0001f600"):
            self.event(delta(piece))
        self.event(delta(None, "stop"))
        self.event(USAGE)
        self.event("[DONE]")
        self.chunk("")

    def mode_quote(self, asked):
        self.stream()
        self.event(delta('It says "one two three four five" there.'))
        self.event(delta(None, "stop"))
        self.event(USAGE)
        self.event("[DONE]")
        self.chunk("")

    def mode_uncounted(self, asked):
        self.stream()
        self.event(delta("twelve bytes"))
        self.event(delta(None, "stop"))
        self.event("[DONE]")
        self.chunk("")

    def mode_length(self, asked):
        self.stream()
        self.event(delta("cut at a"))
        self.event(delta(None, "length"))
        self.event("[DONE]")
        self.chunk("")

    def mode_crlf(self, asked):
        self.stream()
        for c in ("data: " + delta("by bytes") + "\r\n\r\ndata: [DONE]\r\n\r\n").encode():
            self.chunk(bytes([c]))
        self.chunk("")

    def mode_escape(self, asked):
        self.stream()
        self.event(delta("red \x1b[31mtext\u202e"))
        self.event("[DONE]")
        self.chunk("")

    def mode_slow(self, asked):
        self.stream()
        for i in range(600):
            self.event(delta(f"word{i} "))
            time.sleep(0.1)

    def mode_silent(self, asked):
        time.sleep(60)

    def mode_cut(self, asked):  # the connection goes down inside an event
        self.stream()
        self.event(delta("half an "))
        self.event(delta("answer"))
        self.chunk('data: {"choi')
        self.close_connection = True

    def mode_short(self, asked):  # a proper end of the body, and no end of the answer
        self.stream()
        self.event(delta("half an answer"))
        self.chunk("")

    def mode_told(self, asked):
        self.stream()
        self.event(delta("some "))
        self.event(json.dumps({"error": {"message": "out of memory on device 3"}}))
        self.chunk("")

    def mode_malformed(self, asked):
        self.stream()
        self.event(delta("good "))
        self.event('{"choices": [}')
        self.chunk("")

    def mode_foreign(self, asked):
        self.stream()
        self.event('{"weather": "fine"}')
        self.chunk("")

    def mode_long_line(self, asked):
        self.stream()
        self.event(delta("before "))
        self.chunk("data: ")
        for _ in range(160):
            self.chunk(b"x" * 65536)
        self.chunk("\n\n")
        self.chunk("")

    def mode_html(self, asked):
        body = b"<html><body>Welcome to nginx!</body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def mode_empty(self, asked):
        self.stream()
        self.chunk("")

    def mode_hangup(self, asked):
        self.close_connection = True

    def mode_redirect(self, asked):
        self.refuse(307, "moved", Location="http://127.0.0.1:9/v1/chat/completions")

    def mode_unauthorized(self, asked):
        self.refuse(401, "Incorrect API key provided")

    def mode_missing(self, asked):
        self.refuse(404, "The model does not exist")

    def mode_toolong(self, asked):
        self.refuse(400, "maximum context length is 4096 tokens")

    def mode_busy(self, asked):
        self.refuse(429, "Rate limit reached", Retry_After="17")

    def mode_busy_forever(self, asked):
        self.refuse(429, "Quota used up")

    def mode_broken(self, asked):
        self.refuse(503, "loading \x1b[31mmodel")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
(here / "port.new").write_text(str(server.server_address[1]))
(here / "port.new").rename(here / "port")
server.serve_forever()
