//! What monitoring of others makes of the server: Prometheus' own reader of metrics, and OpenTelemetry's reader of traces.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::bare_account::{BareAccount, Place, Queue, submission};
use crate::process::{PATIENCE, wait_until};
use crate::server::{Server, free_tcp_port};

/// Reads metrics strictly, by the rules of OpenMetrics, and writes each sample as a line of JSON.
const READ_METRICS: &str = "\
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        print(json.dumps([family.name, family.type, family.documentation, sample.name, sample.labels, sample.value]))
";

/// Takes traces over HTTP and writes each span as a line of JSON; first of all its port.
const COLLECT_TRACES: &str = "\
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        request = ExportTraceServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers['content-length'])))
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    print(json.dumps({'path': self.path, 'resource': MessageToDict(resource.resource), 'span': MessageToDict(span)}), flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = HTTPServer(('127.0.0.1', 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
";

/// Python with what the scripts import.
fn python(script: &str) -> Command {
    let imports =
        "import prometheus_client.openmetrics.parser, opentelemetry.proto.collector.trace.v1.trace_service_pb2";
    let mut probe = Command::new("python3");
    let works = probe.args(["-c", imports]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(
        works.is_ok_and(|status| status.success()),
        "python3 has no prometheus_client or opentelemetry-proto: `cargo xtask test --install end-to-end`"
    );
    let mut command = Command::new("python3");
    command.args(["-c", script]);
    command
}

/// The body of an answer of the admin port.
pub fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// A server that an account has been registered with, written to and fetched from.
async fn busy_server(folder: &Path, settings: &str) -> (Server, BareAccount) {
    let server = Server::start_with(folder, settings);
    let (account, place) = (BareAccount::new("karim", 1), Place::of(&server));
    account.register(&server).await;
    let sender = place.connect().await.unwrap();
    for id in 0..3 {
        sender.request(&submission((&account.address, account.device_id), [id; 16])).await.unwrap();
    }
    let device = account.connect(&place).await.unwrap();
    let mut queue = Queue::open(&device).await.unwrap();
    queue.next(PATIENCE).await.unwrap();
    (server, account)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_the_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_tcp_port();
    let (_server, _) = busy_server(folder.path(), &format!("[admin]\nlisten = \"127.0.0.1:{port}\"\n")).await;
    let text = get(port, "/metrics");
    let mut reader =
        python(READ_METRICS).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let read = reader.wait_with_output().unwrap();
    assert!(read.status.success(), "{}\n{text}", String::from_utf8_lossy(&read.stderr));
    let samples: Vec<Value> =
        String::from_utf8(read.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let value = |name: &str| samples.iter().find(|sample| sample[3] == name).expect(name)[5].as_f64().unwrap();
    assert!((value("medipeps_envelopes_enqueued_total") - 3.0).abs() < f64::EPSILON);
    assert!(value("medipeps_commit_duration_seconds_count") >= 4.0, "the store on the disk counts its commits");
    assert!(value("medipeps_sync_duration_seconds_sum") > 0.0);
    for sample in &samples {
        assert!(sample[0].as_str().unwrap().starts_with("medipeps_") && sample[1] != "unknown", "{sample}");
        assert!(!sample[2].as_str().unwrap().is_empty(), "{sample} has no help");
    }
    let described = include_str!("../../spec/operation.md");
    for sample in &samples {
        let family = sample[0].as_str().unwrap();
        assert!(described.contains(family), "spec/operation.md says nothing of {family}");
    }
    assert!(samples.len() > 100, "{}", samples.len());
}

/// A collector that runs.
struct Collector {
    process: Child,
    port: u16,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Collector {
    fn start() -> Self {
        let mut process = python(COLLECT_TRACES).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = output.next().unwrap().unwrap().parse().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || output.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, port, lines }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_reads_the_traces_and_learns_of_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let endpoint = format!("http://127.0.0.1:{}/v1/traces", collector.port);
    let (mut server, account) =
        busy_server(folder.path(), &format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\n")).await;
    // What has not been sent by then goes out before it ends.
    tokio::task::block_in_place(|| server.stop());
    let mut lines = Vec::new();
    wait_until("the last spans came", || {
        lines.extend(collector.lines.try_iter());
        lines.iter().any(|line| line.contains("\"Subscribe\""))
    });
    let spans: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let submits: Vec<_> = spans.iter().filter(|span| span["span"]["name"] == "Submit").collect();
    assert_eq!(submits.len(), 3, "{lines:?}");
    for one in &spans {
        assert_eq!(one["path"], "/v1/traces");
        let resource = one["resource"]["attributes"].as_array().unwrap();
        assert_eq!(resource.len(), 1, "{one}");
        assert_eq!(
            (&resource[0]["key"], &resource[0]["value"]["stringValue"]),
            (&"service.name".into(), &"medipeps-server".into())
        );
        let attributes = one["span"]["attributes"].as_array().unwrap();
        let mut keys: Vec<_> = attributes.iter().map(|one| one["key"].as_str().unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["medipeps.code", "medipeps.transport"], "nothing else: {one}");
        let known = [
            "kind",
            "name",
            "traceId",
            "spanId",
            "startTimeUnixNano",
            "endTimeUnixNano",
            "attributes",
            "status",
            "flags",
        ];
        let span = one["span"].as_object().unwrap();
        assert!(span.keys().all(|key| known.contains(&key.as_str())), "{one}");
        assert!(span["startTimeUnixNano"].as_str().unwrap() < span["endTimeUnixNano"].as_str().unwrap());
    }
    let all = lines.join("\n");
    for secret in ["karim", "clinic.example", account.address.as_str()] {
        assert!(!all.contains(secret), "{secret} is in\n{all}");
    }
}
