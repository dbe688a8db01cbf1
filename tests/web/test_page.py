"""The search page in headless Chromium, against a real server with a fake searcher."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fakeshop import FakeShop, draw
from http_requests import EASY, serve_in_thread
from shopsight.web.jsonlog import QueryLog

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--no-first-run", "--disable-dev-shm-usage",
]  # fmt: skip
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SECRET = "a-token-of-some-length"
WAIT = 20_000  # milliseconds; a machine may be busy


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        expect.set_options(timeout=WAIT)
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve_in_thread(FakeShop()) as url:
        yield url


class Visit:
    """A browser page that records its errors and requests."""

    def __init__(self, browser: Any, address: str, **settings: Any) -> None:
        self.address, self.errors, self.requests = address, [], []
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._on_console)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def open(self, rest: str = "") -> Any:
        self.page.goto(f"{self.address}/{rest}")
        return self.page

    def close(self) -> None:
        self.context.close()
        own = (self.address, "blob:", "data:")
        assert [url for url in self.requests if not url.startswith(own)] == []
        assert self.errors == []


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    opened = Visit(browser, address)
    yield opened
    opened.close()


def cards(page: Any) -> Any:
    return page.locator("#grid a[data-product]")


def titles(page: Any) -> list[str]:
    return page.locator("#grid .name").all_inner_texts()


def query_of(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_the_start_page_shows_suggestions_and_shelves(visit: Visit) -> None:
    page = visit.open()
    page.get_by_role("heading", name="Search 144 products by what their photos show").wait_for()
    page.locator(".shelf").nth(3).wait_for()
    assert page.locator(".shelf").count() == 4
    page.locator(".suggestions a", has_text="dress").click()
    cards(page).first.wait_for()
    assert query_of(page) == {"q": ["dress"]}
    page.locator(".brand").click()
    page.locator(".hero").wait_for()
    assert query_of(page) == {}


def test_typing_searches_and_updates_the_url(visit: Visit) -> None:
    page = visit.open()
    page.locator(".hero").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("red striped dress", delay=15)
    cards(page).first.wait_for()
    expect(page.locator("#grid .name").first).to_have_text("Red striped dress")
    page.wait_for_url("**/?q=red+striped+dress")
    assert "24 of 144 products" in page.locator("#status").inner_text()
    assert page.title() == "red striped dress · shopsight"
    searches = [url for url in visit.requests if "/search?" in url and "explain=true" in url]
    assert len(searches) < len("red striped dress")  # debounced, not one request per letter
    page.go_back()
    page.locator(".hero").wait_for()
    assert page.locator("#query").input_value() == ""
    page.go_forward()
    cards(page).first.wait_for()
    assert page.locator("#query").input_value() == "red striped dress"


def test_hover_and_focus_show_boxes_and_words(visit: Visit) -> None:
    page = visit.open("?q=red+striped+dress+frobnicate")
    card = cards(page).first
    card.wait_for()
    boxes, why = card.locator(".boxes"), card.locator(".why")
    boxes.wait_for(state="attached")
    expect(boxes).to_have_css("opacity", "0")
    card.hover()
    for overlay in (boxes, why):
        expect(overlay).to_have_css("opacity", "1")
    words = why.locator("li").all_inner_texts()
    assert [word.split()[0] for word in words] == ["frobnicate", "striped", "dress", "red"]
    assert "new" in words[0]
    assert boxes.locator("rect.c0").count() == 1
    assert "frobnicate" in page.locator("#unknown").inner_text()
    assert card.locator("img").bounding_box() == boxes.bounding_box()
    page.mouse.move(5, 5)
    page.locator("#query").focus()
    page.keyboard.press("ArrowDown")
    expect(why).to_have_css("opacity", "1")


def test_filters_restrict_the_search_and_are_in_the_url(visit: Visit) -> None:
    page = visit.open("?q=dress")
    cards(page).first.wait_for()
    page.get_by_label("Colour").select_option("navy")
    expect(cards(page)).to_have_count(3)
    page.get_by_label("Price, to").fill("60")
    page.get_by_label("Price, to").press("Enter")
    expect(cards(page)).to_have_count(1)
    assert titles(page) == ["Navy dotted dress"]
    assert sorted(query_of(page)["filter"]) == ["colour=navy", "price=..60"]
    page.reload()
    cards(page).first.wait_for()
    assert titles(page) == ["Navy dotted dress"]
    assert page.get_by_label("Colour").input_value() == "navy"
    page.get_by_text("In stock").click()
    page.get_by_label("Price, to").fill("1")
    page.get_by_label("Price, to").press("Enter")
    page.get_by_role("heading", name="No results").wait_for()
    page.get_by_role("button", name="Clear filters").last.click()
    cards(page).nth(3).wait_for()
    assert query_of(page) == {"q": ["dress"]}


def test_keyboard_navigation(visit: Visit) -> None:
    page = visit.open("?q=red")
    cards(page).first.wait_for()
    shown = [link.get_attribute("data-product") for link in cards(page).all()]
    across = page.evaluate(
        "getComputedStyle(document.querySelector('#grid')).gridTemplateColumns.split(' ').length"
    )

    def focused() -> int:
        return shown.index(page.evaluate("document.activeElement.dataset.product"))

    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    assert focused() == 0
    for key, index in [("ArrowRight", 1), ("ArrowDown", 1 + across), ("ArrowLeft", across),
                       ("ArrowUp", 0), ("End", len(shown) - 1), ("Home", 0)]:  # fmt: skip
        page.keyboard.press(key)
        assert focused() == index, key
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator("#detail[open] h2").wait_for()
    assert query_of(page)["product"] == [shown[1]]
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**product={shown[2]}")
    page.keyboard.press("Escape")
    page.wait_for_url("**/?q=red")
    page.locator("#detail").wait_for(state="hidden")
    assert focused() == 2
    page.keyboard.press("s")
    page.get_by_role("heading", name="Similar to").last.wait_for()
    assert query_of(page) == {"like": [shown[2]]}
    page.keyboard.press("/")
    page.keyboard.type("hat")
    page.wait_for_url("**/?q=hat")


def test_the_product_dialog(visit: Visit) -> None:
    page = visit.open("?q=red+dress+with+dots&product=1000")
    dialog = page.locator("#detail")
    dialog.locator("h2", has_text="Red dress").wait_for()
    dialog.locator(".big .boxes rect.c0").wait_for()
    words = dialog.locator(".words li").all_inner_texts()
    assert [text.split("\n")[0].split()[0] for text in words] == ["red", "dress", "with", "dots"]
    assert "ignored" in words[2]
    assert "unknown to the model" in words[3]
    assert dialog.locator(".contributions tr").count() == 3
    assert "Colour" in dialog.locator("dl").inner_text()
    dialog.locator(".strip a").first.click()
    dialog.locator("h2", has_text="Red striped dress").wait_for()
    page.go_back()
    dialog.locator("h2", has_text="Red dress").wait_for()
    dialog.get_by_role("link", name="All similar products").click()
    page.locator("#context h2", has_text="Similar to Red dress").wait_for()
    assert not page.locator("#detail[open]").count()
    page.get_by_role("button", name="New search").click()
    page.locator(".hero").wait_for()


def test_similar_products_and_show_more(visit: Visit) -> None:
    page = visit.open("?q=dress+striped")
    cards(page).nth(23).wait_for()
    page.get_by_role("button", name="Show more").click()
    cards(page).nth(24).wait_for()
    assert page.evaluate("document.activeElement.dataset.product")
    page.locator("#grid a[data-similar]").first.click()
    page.locator("#context h2", has_text="Similar to").wait_for()
    assert list(query_of(page)) == ["like"]


def test_search_by_a_chosen_or_dropped_photo(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "teal.jpg"
    path.write_bytes(draw("hat", "teal", "plain", (3000, 4000)))
    page = visit.open()
    page.locator(".hero").wait_for()
    page.locator("#photo").set_input_files(path)
    page.locator("#context h2", has_text="Similar to your photo").wait_for()
    cards(page).first.wait_for()
    assert titles(page)[0].startswith("Teal")
    page.get_by_label("Kind").select_option("boots")
    expect(cards(page)).to_have_count(3)
    page.get_by_role("button", name="New search").click()
    page.locator(".hero").wait_for()
    page.evaluate(
        """bytes => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "red.jpg", {type: "image/jpeg"}));
          for (const kind of ["dragover", "drop"]) {
            document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true,
              cancelable: true}));
          }
        }""",
        list(draw("dress", "red", "plain")),
    )
    page.locator("#context h2", has_text="Similar to your photo").wait_for()
    expect(page.locator("#grid .name").first).to_contain_text("Red")
    path.write_bytes(b"not a photo")
    page.locator("#photo").set_input_files(path)
    page.get_by_text("Your browser cannot read this file as a photo.").wait_for()


def test_progress_and_errors_are_shown(browser: Any) -> None:
    shop = FakeShop()
    with serve_in_thread(shop, replace(EASY, timeout=3.0)) as address:
        visit = Visit(browser, address)
        page = visit.open()
        page.locator(".shelf").first.wait_for()
        shop.hold.clear()
        page.locator("#query").fill("red")
        page.locator("#view[aria-busy=true] .skeleton").first.wait_for()
        assert page.locator("#status").inner_text() == "Searching…"
        page.get_by_role("heading", name="Server busy").wait_for()
        assert "No answer within 3 s; try again." in page.locator(".message").inner_text()
        shop.hold.set()
        page.get_by_role("button", name="Try again").click()
        cards(page).first.wait_for()
        page.locator("#query").fill("!crash")
        page.get_by_role("heading", name="Search failed").wait_for()
        page.route("**/search?*", lambda route: route.abort())
        page.locator("#query").fill("blue")
        page.get_by_role("heading", name="Connection failed").wait_for()
        page.unroute("**/search?*")
        page.goto(f"{address}/?product=nothing")
        page.get_by_role("heading", name="Not found").wait_for()
        visit.close()


def test_the_page_asks_for_the_token(browser: Any) -> None:
    with serve_in_thread(FakeShop(), token=SECRET) as address:
        visit = Visit(browser, address)
        page = visit.open("?q=red+hat")
        page.locator("#token-dialog[open]").wait_for()
        page.get_by_label("Token", exact=True).fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Wrong token.").wait_for()
        page.get_by_label("Token", exact=True).fill(SECRET)
        page.get_by_role("button", name="Sign in").click()
        cards(page).first.wait_for()
        expect(page.locator("#grid img").first).to_have_js_property("complete", True)
        assert page.locator("#grid img").first.evaluate("image => image.naturalWidth") > 0
        page.reload()
        cards(page).first.wait_for()
        visit.close()


def test_missing_photos_are_drawn_as_regions(browser: Any) -> None:
    with serve_in_thread(FakeShop(photos=False)) as address:
        visit = Visit(browser, address)
        page = visit.open("?q=red+dress")
        cards(page).first.locator(".schematic rect").first.wait_for(state="attached")
        assert page.locator("img").count() == 0
        assert [url for url in visit.requests if url.endswith("/photo")] == []
        visit.close()


def test_clicks_are_sent_if_the_server_logs_them(browser: Any, tmp_path: Path) -> None:
    log = QueryLog(tmp_path / "log")
    with serve_in_thread(FakeShop(), log=log) as address:
        visit = Visit(browser, address)
        page = visit.open("?q=red+hat")
        with page.expect_response("**/clicks") as answer:
            cards(page).first.click()
        assert answer.value.status == 204
        visit.close()
    log.close()
    assert (
        '"event": "click", "query": "red hat", "product": "1096"' in (tmp_path / "log").read_text()
    )


def test_markup_in_data_stays_text(browser: Any) -> None:
    shop = FakeShop()
    shop.products["1000"]["title"] = "<img src=x onerror=alert(1)>"
    with serve_in_thread(shop) as address:
        visit = Visit(browser, address)
        page = visit.open("?q=red+dress+%3Cb%3E&product=1000")
        page.locator("#detail h2", has_text="<img src=x").wait_for()
        assert page.locator("[onerror]").count() == 0
        visit.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desk", "phone"])
def test_accessibility(browser: Any, address: str, scheme: str, device: str) -> None:
    """axe finds no violations in any state; nothing is wider than the screen."""
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
    settings = PHONE if device == "phone" else {"viewport": {"width": 1280, "height": 800}}
    visit = Visit(browser, address, color_scheme=scheme, reduced_motion="reduce", **settings)
    states = {
        "": ".shelf", "?q=red+dress+frobnicate": "#grid .boxes", "?like=1000": "#grid img",
        "?q=red&filter=price%3D1..2": ".message", "?q=red+dress&product=1000": "#detail .strip a",
        "?q=a&filter=size%3D1": ".message", "docs": ".operation",
    }  # fmt: skip
    for rest, selector in states.items():
        page = visit.open(rest)
        page.locator(selector).first.wait_for(state="attached")
        page.evaluate(axe)
        report = page.evaluate("axe.run({resultTypes: ['violations']})")
        violations = [(v["id"], v["nodes"][0]["html"]) for v in report["violations"]]
        assert violations == [], rest
        assert len(report["passes"]) > 10
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), rest
    visit.close()


def test_long_words_do_not_widen_the_page(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    long = "word" * 60
    page = visit.open(f"?q=red+{long}+dress")
    cards(page).first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_only_the_last_query_of_quick_typing_is_shown(browser: Any) -> None:
    shop = FakeShop()
    with serve_in_thread(shop) as address:
        visit = Visit(browser, address)
        page = visit.open()
        page.locator(".shelf").first.wait_for()
        seen = len(shop.batches)
        shop.hold.clear()
        page.locator("#query").fill("red hat")
        while len(shop.batches) == seen:
            threading.Event().wait(0.01)
        page.locator("#query").fill("navy hat")
        page.wait_for_url("**/?q=navy+hat")
        shop.hold.set()
        cards(page).first.wait_for()
        expect(page.locator("#grid .name").first).to_have_text("Navy hat")
        assert page.locator("#query").input_value() == "navy hat"
        visit.close()
