"""OpenTelemetry's own instrumentation of Tornado, as `opentelemetry-instrument` sets it up, sends right spans."""

import tempfile
import threading
import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.helpers.api import wait_until
from tests.helpers.processes import SERVER, ServiceProcess
from tests.helpers.raw import Peer, peer, request
from tests.helpers.running import write_config

PACKAGES = ("opentelemetry.instrumentation.tornado", "opentelemetry.exporter.otlp.proto.http", "opentelemetry.distro")
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TASK = b'{"title": "a"}'

Span = Mapping[str, Any]
"""What is looked at of a span: its name, the attributes, kind, trace, parent, and whether it is one of an error."""


class Receiver:
    """What an OTLP collector is to its clients: it takes traces, over HTTP, as protobuf."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        message = import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2").ExportTraceServiceRequest
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):

            def do_POST(self) -> None:
                received = message.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                spans.extend(
                    _facts(span) for resource in received.resource_spans
                    for scope in resource.scope_spans for span in scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()


def _facts(span: Any) -> Span:
    values = {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}
    return {
        "name": span.name, "method": values.get("http.request.method"), "path": values.get("url.path"),
        "status": values.get("http.response.status_code"), "kind": span.kind, "trace": span.trace_id.hex(),
        "parent": span.parent_span_id.hex(), "failed": span.status.code == 2}


@unittest.skipIf(
    find_spec("opentelemetry") is None or any(find_spec(name) is None for name in PACKAGES),
    "needs OpenTelemetry (requirements-dev.txt)")
class TracingTest(unittest.TestCase):

    server = "taskservice"

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)

    @contextmanager
    def service(self, *options: str) -> Iterator[Peer]:
        """Run the service with the instrumentation; give a client."""
        config = write_config(
            self.folder, {"sqlite": str(self.folder / "tasks.db")}, http={"server": self.server})
        service = ServiceProcess(
            ["opentelemetry-instrument", "--", *SERVER, "--config", str(config), "--port", "0", *options], variables={
                "OTEL_SERVICE_NAME": "taskservice", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.receiver.port}",
                "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "100",
                "OTEL_SEMCONV_STABILITY_OPT_IN": "http"})
        try:
            with peer(service.port) as client:
                yield client
            self.assertEqual(service.stop(), 0, service.stderr)
        finally:
            service.close()

    def received(self, count: int) -> list[Span]:
        """Wait for so many spans."""
        wait_until(lambda: len(self.receiver.spans) >= count, "spans come")
        self.assertEqual(len(self.receiver.spans), count)
        return self.receiver.spans

    def test_a_span_a_request(self) -> None:
        asked = []
        with self.service() as client:
            _, headers, _ = client.ask("POST", "/tasks", TASK)
            path = headers["location"]
            for method, target, body in (
                    ("GET", path, b""), ("PUT", path, TASK), ("GET", "/tasks/", b""), ("GET", "/tasks?limit=5", b""),
                    ("GET", "/tasks/there-is-none", b""), ("PUT", path, b"no JSON"), ("PUT", "/tasks", TASK),
                    ("GET", "/no/such/path", b""), ("DELETE", path, b""), ("GET", "/readyz", b"")):
                asked.append((method, target, client.ask(method, target, body)[0]))
        spans = self.received(1 + len(asked))
        self.assertEqual(
            [(span["method"], span["path"], span["status"]) for span in spans],
            [("POST", "/tasks", 201), *((method, target.partition("?")[0], code) for method, target, code in asked)])
        self.assertEqual([code for _, _, code in asked], [200, 204, 200, 200, 404, 400, 405, 404, 204, 200])
        one, many = "/tasks/{task_id}", "/tasks"
        self.assertEqual([span["name"] for span in spans], [
            f"POST {many}", f"GET {one}", f"PUT {one}", f"GET {many}/", f"GET {many}", f"GET {one}", f"PUT {one}",
            f"PUT {many}", "GET", f"DELETE {one}", "GET /readyz"])
        self.assertEqual({span["kind"] for span in spans}, {2})  # a server's
        self.assertEqual({span["failed"] for span in spans}, {False})  # 4xx is none of the server's
        self.assertEqual({span["parent"] for span in spans}, {""})
        self.assertEqual(len({span["trace"] for span in spans}), len(spans))

    def test_a_span_belongs_to_the_trace_of_its_client(self) -> None:
        with self.service() as client:
            client.ask("GET", "/tasks", traceparent=f"00-{TRACE}-{PARENT}-01")
            client.ask("GET", "/tasks", traceparent="00-none")
        first, second = self.received(2)
        self.assertEqual((first["trace"], first["parent"]), (TRACE, PARENT))
        self.assertEqual((second["trace"] == TRACE, second["parent"]), (False, ""))

    def test_a_method_that_there_is_not(self) -> None:
        with self.service() as client:
            self.assertEqual(client.ask("PROPFIND", "/tasks/a")[0], 405)

    def test_an_event_stream(self) -> None:
        with self.service() as client:
            with peer(client.sock.getpeername()[1]) as follower:
                follower.send(request("GET", "/changes", Accept="text/event-stream"))
                follower.read_until(b"id:")
            wait_until(lambda: self.receiver.spans, "it ended, as its client has left")
        [span] = self.received(1)
        self.assertEqual((span["name"], span["status"], span["failed"]), ("GET /changes", 200, False))

    def test_workers(self) -> None:
        with self.service("--workers", "2") as client:
            client.ask("GET", "/tasks")
        self.assertEqual([span["name"] for span in self.received(1)], ["GET /tasks"])


class TracingOnTornadosServerTest(TracingTest):

    server = "tornado"


if __name__ == "__main__":
    unittest.main()
