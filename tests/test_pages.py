"""Pages stand alone, show what they speak of, and take nothing from data for markup."""

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from imgcls.data import Cache, load_dataset
from imgcls.data.pixels import check_pixels
from imgcls.pages import write_data_page
from imgcls.pages.rendering import thumbnail
from imgcls.spec.data import DataSpec


class Page(HTMLParser):
    """What a browser would see: tags, text, images."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.images, self.open = [], "", [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in ("img", "meta", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def picture(seed, size=(40, 30)):
    noise = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def root(tmp_path):
    for part, seed, count in (("train", 0, 12), ("validation", 50, 3), ("test", 100, 4)):
        for label, name in enumerate(("<script>alert(1)</script>", "b & b")):
            folder = tmp_path / "photos" / part / name.replace("/", "_")
            folder.mkdir(parents=True)
            for number in range(count):
                picture(1000 * label + seed + number).save(folder / f"{number}.png")
    return tmp_path / "photos"


def page_of(root):
    spec = DataSpec(source="folder", path=str(root))
    dataset = load_dataset(
        spec, base=root, resolution=(32, 32), color="rgb", resize="stretch", cache=Cache(root.parent / "cache")
    )
    dataset = replace(dataset, findings=(*dataset.findings, *check_pixels(dataset)))
    write_data_page(root.parent / "page.html", dataset, str(root))
    text = (root.parent / "page.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_a_page_has_counts_and_samples_and_needs_nothing_else(root):
    text, page = page_of(root)
    assert "Nothing is wrong with it" in page.text
    assert len(page.images) == 16
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in page.images)
    assert "http" not in text
    assert "24" in page.text


def test_names_are_text_and_never_markup(root):
    _, page = page_of(root)
    assert "script" not in page.tags
    assert "<script>alert(1)<_script>" in page.text
    assert "b & b" in page.text


def test_what_was_found_is_shown_with_the_images_it_is_about(root):
    copy = root / "test" / "b & b" / "copy.png"
    copy.write_bytes((root / "train" / "b & b" / "3.png").read_bytes())
    Image.new("RGB", (40, 30), (7, 7, 7)).save(root / "train" / "b & b" / "empty.png")
    _, page = page_of(root)
    assert "duplicate_across_splits" in page.text
    assert "flat_images" in page.text
    assert "What to do: remove them from one part" in page.text
    alts = [image["alt"] for image in page.images]
    assert sum(alt.startswith(("test/b & b/copy.png", "train/b & b/3.png")) for alt in alts) >= 2
    assert any(alt.startswith("train/b & b/empty.png") for alt in alts)


@pytest.mark.parametrize(
    ("shape", "kind", "size"),
    [((32, 20, 3), "png", (20, 32)), ((300, 150, 3), "jpeg", (64, 128)), ((28, 28, 1), "png", (28, 28))],
)
def test_thumbnails_keep_the_shape_and_are_small(shape, kind, size):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    head, _, body = thumbnail(pixels).partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(body)))
    assert (head, image.size) == (f"data:image/{kind};base64", size)
    if kind == "png":
        assert (np.asarray(image).reshape(shape) == pixels).all()
