"""Runs of the load generator wrk, pinned to the core that the server does not have."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from serving.processes import LOAD, cpu_seconds, pinned, settled
from serving.report import middle
from serving.servers import Server

_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[BODY]==]
done = function(summary, latency)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format(
    '\\n{"requests":%d,"microseconds":%d,"failed":%d,"p50":%f,"p99":%f,"p999":%f,"worst":%f}\\n',
    summary.requests, summary.duration, failed, latency:percentile(50),
    latency:percentile(99), latency:percentile(99.9), latency.max))
end
"""


@dataclass(frozen=True)
class Run:
    """One run of wrk: latencies in milliseconds, processor time in microseconds a request."""

    rate: float
    good: float  # of the rate, what was answered
    p50: float
    p99: float
    p999: float
    cpu: float
    failed: int


def run(server: Server, connections: int, seconds: float) -> Run:
    """Ask the server's one request as fast as it answers, over kept connections."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(_SCRIPT.replace("BODY", server.body))
        load = ("-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s")
        before = cpu_seconds(server.process.pid)
        words = pinned(LOAD, "wrk", *load, "--timeout", "10s", "-s", script, server.url)
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        used = cpu_seconds(server.process.pid) - before
    told = json.loads(done.stdout.strip().splitlines()[-1])
    count = max(1, told["requests"])
    return Run(
        rate=told["requests"] / told["microseconds"] * 1e6,
        good=(told["requests"] - told["failed"]) / told["microseconds"] * 1e6,
        p50=told["p50"] / 1000,
        p99=told["p99"] / 1000,
        p999=told["p999"] / 1000,
        cpu=used * 1e6 / count,
        failed=told["failed"],
    )


def median(runs: list[Run]) -> Run:
    """Each figure's median; failures are added up."""
    figures = {
        name: middle([getattr(each, name) for each in runs])
        for name in ("rate", "good", "p50", "p99", "p999", "cpu")
    }
    return Run(**figures, failed=sum(each.failed for each in runs))


def in_turns(servers: list[Server], connections: int, seconds: float, times: int) -> list[Run]:
    """Medians for several servers, measured in turns so that a disturbance meets all of them."""
    runs: list[list[Run]] = [[] for _ in servers]
    for server in servers:
        settled(server.process.pid)
        run(server, connections, 1)  # warm
    for _ in range(times):
        for server, into in zip(servers, runs, strict=True):
            into.append(run(server, connections, seconds))
    return [median(each) for each in runs]


def table(servers: list[Server], found: list[Run]) -> None:
    """Print absolute numbers, a server a line."""
    titles = ("requests/s", "p50 ms", "p99 ms", "p99.9 ms", "CPU us", "failed")
    print(f"  {'':<34}" + "".join(f"{title:>11}" for title in titles))
    for server, each in zip(servers, found, strict=True):
        numbers = f"{each.rate:11,.0f}{each.p50:11.2f}{each.p99:11.2f}{each.p999:11.2f}"
        print(f"  {server.name:<34}{numbers}{each.cpu:11.1f}{each.failed:11d}", flush=True)
