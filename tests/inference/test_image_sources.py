"""What files, folders, patterns and addresses come to."""

import contextlib
import functools
import http.server
import os
import socket
import threading
import time

import pytest
from PIL import Image

from imgcls.data.images import UnreadableImageError
from imgcls.inference.fetching import FetchError, fetch
from imgcls.inference.sources import find_sources, read


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with images of which some lie in folders."""
    for name in ("a.png", "b.png", "deep/er/c.png", ".hidden/d.png", "[odd].png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    (tmp_path / "notes.txt").write_text("no image")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*named):
    return [source.name for source in find_sources(named).images]


def reason(name):
    with pytest.raises(UnreadableImageError) as error:
        read(find_sources([name]).images[0])
    return str(error.value)


def test_a_folder_stands_for_all_images_below_it_but_hidden_ones(folder):
    assert names(".") == ["./[odd].png", "./a.png", "./b.png", "./deep/er/c.png"]
    assert names(folder / "deep") == [str(folder / "deep/er/c.png")]
    told = {finding.code for finding in find_sources(["."]).findings}
    assert told == {"hidden_left_out", "other_endings_left_out"}


def test_patterns_are_expanded_unless_a_file_is_called_so(folder):
    assert names("?.png") == ["a.png", "b.png"]
    assert names("**/c.png") == ["deep/er/c.png"]
    assert names("[odd].png") == ["[odd].png"]
    assert names("d*") == ["deep/er/c.png"]


def test_what_is_named_twice_counts_once(folder):
    assert names("a.png", "./a.png", folder / "a.png", "[ab].png") == ["a.png", "b.png"]


def test_an_address_of_a_file_is_that_file(folder):
    image = folder / "a blank.png"
    Image.new("RGB", (4, 4)).save(image)
    assert names(image.as_uri()) == [str(image)]


def test_what_is_no_file_is_never_opened(folder):
    os.mkfifo("pipe.png")
    assert reason("pipe.png") == "a pipe and not a file"
    assert reason("/dev/zero") == "a device and not a file"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        assert reason("socket.png") == "a socket and not a file"


def test_what_is_missing_says_how(folder):
    (folder / "link.png").symlink_to("nowhere")
    (folder / "empty").mkdir()
    assert reason("nothing.png") == "there is no such file or folder"
    assert reason("nothing*.png") == "no file has a name of this pattern"
    assert reason("link.png") == "a link to a file that is not there"
    assert "null" in reason("a\0b.png")
    assert reason("x" * 300) == "File name too long"
    assert [failure.reason for failure in find_sources(["empty"]).failures] == ["the folder has no images"]


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/to-a-file":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # until the other end has enough
                while True:
                    self.wfile.write(b"x" * 1000)
        elif self.path == "/drop-by-drop":
            self.send_response(200)
            self.end_headers()
            for _ in range(40):
                self.wfile.write(b"x")
                time.sleep(0.05)
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"x")
        else:
            super().do_GET()


@pytest.fixture
def server(folder):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_image_is_fetched_from_its_address(server, folder):
    Image.new("RGB", (4, 4)).save("ä b.png")
    for name in ("a.png", "ä b.png", "a.png?size=2"):
        assert fetch(f"{server}/{name}", max_bytes=1000, timeout_s=5)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nothing.png", "the server answers 404"),
        ("/to-a-file", "302"),
        ("/endless", "larger than 1.0 kB"),
        ("/drop-by-drop", "no answer within 0.5 s"),
        ("/cut", "the connection broke off"),
    ],
)
def test_an_address_that_gives_no_image_says_why(server, path, message):
    with pytest.raises(FetchError, match=message):
        fetch(server + path, max_bytes=1000, timeout_s=0.5)


def test_hosts_that_are_not_there_or_silent_are_named_so():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with pytest.raises(FetchError, match="refused"):
            fetch(f"http://127.0.0.1:{port}/", max_bytes=1000, timeout_s=1)
        silent.listen()
        with pytest.raises(FetchError, match="no answer within"):
            fetch(f"http://127.0.0.1:{port}/", max_bytes=1000, timeout_s=0.2)
    with pytest.raises(FetchError, match="cannot be fetched"):
        fetch("http://[", max_bytes=1000, timeout_s=1)
