"""`/metrics` of real workers, as Prometheus would read them."""

import signal

from prometheus_client.parser import text_string_to_metric_families

URL = "/v1/models/line/predict"


def ask(client, *features):
    return client.post(URL, json={"rows": [{"feature": f} for f in features]})


def scraped(client):
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(found, name, **labels):
    return found.get((f"everbake_{name}", *sorted(labels.items())))


ARM = {"model": "line", "version": "1", "role": "champion"}


def test_tells_what_was_answered_refused_and_failed(project):
    project.deploy(1, project.bundle(2.0, "native"))
    project.start()
    with project.client() as client:
        for features in ((1,), (1, 2), (555,), (666,), ()):
            ask(client, *features)
        client.get("/nowhere")
        found = scraped(client)
    assert value(found, "request_seconds_count", **ARM) == 3
    assert value(found, "request_seconds_bucket", **ARM, le="0.1") <= 2
    assert value(found, "request_seconds_bucket", **ARM, le="+Inf") == 3
    assert value(found, "request_seconds_sum", **ARM) >= 0.2
    assert value(found, "rows_total", **ARM) == 4
    assert value(found, "failures_total", **ARM, code="EB517") == 1
    assert value(found, "problems_total", code="EB517") == 1
    assert value(found, "problems_total", code="EB501") == 1
    assert value(found, "problems_total", code="EB509") == 1
    assert value(found, "waiting", model="line") == 0
    pid = str(project.processes[0].pid)
    assert value(found, "in_flight", pid=pid) == 1  # this one
    assert value(found, "resident_bytes", pid=pid) > 1e6
    assert value(found, "log_bytes", model="line") > 100
    # Nobody records here.
    assert value(found, "log_unrecorded_bytes", model="line") == value(
        found, "log_bytes", model="line"
    )


def test_one_address_tells_the_numbers_of_all_workers(project):
    project.deploy(1, project.bundle(2.0))
    project.start(worker=0)
    first = project.client()
    with first:
        for _ in range(5):
            ask(first, 1)
        project.start(worker=1)
        project.processes[0].send_signal(signal.SIGTERM)
        project.processes[0].wait(20)
    with project.client() as second:
        ask(second, 1)
        assert value(scraped(second), "request_seconds_count", **ARM) == 6


def test_numbers_survive_the_worker(project):
    project.deploy(1, project.bundle(2.0))
    project.start()
    with project.client() as client:
        ask(client, 1, 2, 3)

    def written():
        texts = [p.read_text() for p in (project.path / ".everbake/serving").glob("*.counts")]
        return any('"rows":3' in text for text in texts)

    project.wait(written)
    project.processes[0].kill()
    project.processes[0].wait()
    project.start()
    with project.client() as client:
        ask(client, 1)
        project.wait(lambda: value(scraped(client), "rows_total", **ARM) == 4)
    files = list((project.path / ".everbake" / "serving").glob("*.counts"))
    assert [path.stem for path in files] == [f"0-{project.processes[-1].pid}"]
