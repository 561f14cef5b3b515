"""The service: what it answers, and what it refuses; through a client, and as a process of its own."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import httpx
import pytest
import uvicorn
from PIL import Image

import imgcls
from imgcls import RunError
from imgcls.inference import open_classifier
from imgcls.serving import running, service
from imgcls.serving.connections import impatient


@contextmanager
def serving(classifier):
    """A client of the service, which runs in a thread."""
    with running._listener("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(service.build_service(classifier), log_level="critical", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def client(color_run):
    with serving(open_classifier(color_run)) as client:
        yield client


def upload(*paths):
    return [("files", (path.name, path.read_bytes())) for path in paths]


def post(client, *contents, top=None):
    files = [("files", (f"{number}.png", content)) for number, content in enumerate(contents)]
    return client.post("/predict", files=files, params={} if top is None else {"top": top})


def test_answers_are_those_of_predict(client, color_run, photos):
    paths = [photos / "red/00.png", photos / "green/01.png", photos / "blue/02.png"]
    answers = client.post("/predict", files=upload(*paths)).json()
    expected = imgcls.predict(color_run, paths).records()

    assert answers["classes"] == ["blue", "green", "red"]
    for got, wanted, path in zip(answers["images"], expected, paths, strict=True):
        assert got["path"] == path.name
        assert got["predicted"] == wanted["predicted"]
        assert got["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-6)
        assert [*got["probabilities"]] == [*wanted["probabilities"]]


def test_only_as_many_classes_are_told_as_are_asked_for(client, photos):
    content = (photos / "red/00.png").read_bytes()
    assert [len(post(client, content, top=top).json()["images"][0]["probabilities"]) for top in (1, 2, 99)] == [1, 2, 3]
    assert post(client, content, top=0).status_code == 422


def test_health_and_the_description_tell_what_it_is(client, color_run):
    assert client.get("/health").json() == {
        "status": "ok", "run": color_run.name, "classes": ["blue", "green", "red"], "resolution": [12, 16],
        "color": "rgb",
    }  # fmt: skip
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/health", "/predict"}
    form = paths["/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert (form["required"], form["properties"]["files"]["type"]) == (["files"], "array")
    assert [each["name"] for each in paths["/predict"]["post"]["parameters"]] == ["top"]


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff" * 100])
def test_what_is_no_image_is_refused_with_its_name_and_the_reason(client, content, photos):
    done = post(client, (photos / "red/00.png").read_bytes(), content)
    assert done.status_code == 422
    assert done.json()["detail"].startswith("1.png: ")


def test_too_many_and_too_large_files_are_refused(client, monkeypatch):
    assert post(client, *[b"x"] * (service.MAX_FILES + 1)).status_code == 413
    monkeypatch.setattr(service, "MAX_FILE_BYTES", 1000)
    done = post(client, b"x" * 1001)
    assert done.status_code == 413
    assert done.json()["detail"] == "0.png: larger than 1.0 kB"


def test_a_field_that_is_no_file_is_refused_before_it_fills_the_memory(client, photos):
    done = client.post("/predict", files=upload(photos / "red/00.png"), data={"note": "x" * 500_000})
    assert (done.status_code, done.json()["detail"]) == (413, "16 files at a time are accepted, and no other fields")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_what_only_this_machine_reaches_is_asked_for_by_its_names_alone(host):
    assert {"localhost", "127.0.0.1", "[::1]"} <= {*running.names_of(host)}
    assert "*" not in running.names_of(host)
    assert running.names_of("0.0.0.0") == running.names_of("::") == ("*",)


def test_a_body_beyond_all_limits_is_not_read_to_its_end(color_run, monkeypatch):
    monkeypatch.setattr(service, "MAX_FILE_BYTES", 1000)
    with serving(open_classifier(color_run)) as client:
        assert post(client, b"x" * 500_000).status_code == 413
        assert post_in_drops(client).status_code == 413


def post_in_drops(client):
    """Send half a megabyte, without telling before how much it is."""

    def drops():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(500):
            yield b"x" * 1000
        yield b"\r\n--x--\r\n"

    return client.post("/predict", content=drops(), headers={"Content-Type": "multipart/form-data; boundary=x"})


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"data": {"files": "text"}},
        {"json": {}},
        {"content": b"\xff", "headers": {"Content-Type": "multipart/form-data"}},
    ],
)
def test_requests_without_files_are_the_clients_fault(client, request_):
    assert 400 <= client.post("/predict", **request_).status_code < 500


def test_several_threads_get_the_right_answers(client, photos):
    paths = [photos / name / f"0{number}.png" for name in ("red", "green", "blue") for number in range(4)]
    alone = [client.post("/predict", files=upload(path)).json() for path in paths]
    together = {}
    threads = [
        threading.Thread(target=lambda p=path: together.update({p: client.post("/predict", files=upload(p)).json()}))
        for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[path] for path in paths] == alone


def test_the_page_needs_nothing_from_elsewhere(client):
    page = client.get("/")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert not re.findall(r"""(?:src|href)=["'](?!blob:)|url\(|https?://""", page.text)
    for needed in ('lang="en"', "prefers-color-scheme: dark", 'for="files"', 'aria-live="polite"', "blue, green, red"):
        assert needed in page.text


def test_class_names_are_text_on_the_page(color_run):
    classifier = open_classifier(color_run)
    odd = type(classifier)(classifier.run, classifier.spec, ("<script>", "b", "c"), classifier.geometry)
    with serving(odd) as client:
        assert "&lt;script&gt;, b, c" in client.get("/").text


def test_missing_packages_and_taken_ports_are_told(color_run, monkeypatch):
    with running._listener("127.0.0.1", 0) as taken, pytest.raises(RunError, match="cannot listen on 127"):
        running._listener("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(RunError, match="cannot listen on no such host"):
        running._listener("no such host", 0)
    monkeypatch.setattr(running, "_PACKAGES", {"no_such_module": "fastapi"})
    with pytest.raises(RunError, match=r"pip install 'imgcls\[serve\]'"):
        running.require_packages()


def test_the_command_serves_until_a_signal_ends_it(color_run):
    command = [sys.executable, "-m", "imgcls_cli", "serve", str(color_run.folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        try:
            address = next(found[0] for line in process.stderr if (found := re.search(r"http://\S+", line)))
            assert address.startswith("http://127.0.0.1:")
            assert httpx.get(f"{address}health").json()["run"] == color_run.name
            assert httpx.get(f"{address}health", headers={"Host": "elsewhere.example"}).status_code == 400
            file = io.BytesIO()
            Image.new("RGB", (20, 20), (255, 0, 0)).save(file, "JPEG")
            answer = httpx.post(f"{address}predict", files={"files": ("a.jpg", file.getvalue())}).json()
            assert len(answer["images"][0]["probabilities"]) == 3
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


async def _answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_connections_that_stand_still_are_closed_and_take_no_place_for_ever():
    config = uvicorn.Config(_answer, http=impatient(6, patience_s=0.5), log_level="critical", ws="none", lifespan="off")
    with running._listener("127.0.0.1", 0) as listener:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = listener.getsockname()
        try:
            idle = [socket.create_connection(address, timeout=10) for _ in range(20)]
            for each in idle:
                with suppress(OSError):  # those beyond six are closed at once
                    each.sendall(b"GET / HT")
            for each in idle:
                with suppress(ConnectionResetError):
                    assert each.recv(1) == b"", "closed without an answer"
                each.close()
            with socket.create_connection(address, timeout=10) as second:
                second.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert second.recv(1000).startswith(b"HTTP/1.1 200")
                second.sendall(b"GET / HT")  # an answered one, which asks half a thing more
                with suppress(ConnectionResetError):
                    while rest := second.recv(1000):
                        assert rest == b"ok"
            assert httpx.get(f"http://127.0.0.1:{address[1]}/").text == "ok"
            assert len(server.server_state.connections) <= 1, "the answered one, perhaps"
        finally:
            server.should_exit = True
            thread.join()
