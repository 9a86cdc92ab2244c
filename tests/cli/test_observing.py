"""Spans and the access log of a real `everbake up`."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

URL = "/v1/models/line/predict"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Receiver(BaseHTTPRequestHandler):
    """Takes what an OTLP exporter sends."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def receiver():
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.received = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def spans_of(receiver):
    found = []
    for path, body in receiver.received:
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        found += [
            span
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
    return found


def attributes(span):
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def ask(client, rows, **headers):
    return client.post(URL, json={"rows": rows}, headers=headers)


def test_each_request_is_a_span_and_a_line(line, receiver):
    line.json("ingest", "line", "old.csv")
    line.environment = {
        "EVERBAKE_OTEL_ENDPOINT": f"http://127.0.0.1:{receiver.server_port}",
        "EVERBAKE_ACCESS_LOG": "access.log",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with line.up() as client:
        ask(client, [{"feature": 1}, {"feature": 2}], traceparent=PARENT)
        ask(client, [{"feature": "x"}])
        client.get("/nowhere")
    good, bad, nowhere = spans_of(receiver)
    expected = {
        "http.request.method": "POST",
        "url.path": URL,
        "http.response.status_code": 200,
        "everbake.model": "line",
        "everbake.version": 1,
        "everbake.role": "champion",
        "everbake.rows": 2,
    }
    assert attributes(good) == expected
    assert good.trace_id.hex() == PARENT.split("-")[1]
    assert good.parent_span_id.hex() == PARENT.split("-")[2]
    assert attributes(bad)["error.type"] == "EB515"
    assert attributes(nowhere)["http.response.status_code"] == 404
    lines = [json.loads(text) for text in (line.path / "access.log").read_text().splitlines()]
    told = [(each["status"], each["model"], each["rows"], each["code"]) for each in lines]
    assert told == [(200, "line", 2, None), (422, "line", 0, "EB515"), (404, None, 0, "EB501")]


def test_nothing_is_imported_without_being_asked(tmp_path):
    code = (
        "import sys; from pathlib import Path; import everbake.interfaces.serve;"
        "from everbake.serving.observing import observers_of;"
        "from everbake.serving.service import Service;"
        "assert observers_of('', '', Path()).all == [];"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
