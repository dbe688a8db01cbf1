"""The search page in headless Chromium, against a real server with a fake searcher."""

from __future__ import annotations

import json
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
    assert query_of(page) == {"filter": ["kind=dress"]}
    expect(page.locator("#status")).to_contain_text("24 of 24 products")
    page.locator(".brand").click()
    page.locator(".shelf a", has_text="See all 24").first.click()
    expect(page.locator("#status")).to_contain_text("24 of 24 products")
    assert query_of(page) == {"filter": ["kind=boots"]}
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
    assert "24 of 74 products" in page.locator("#status").inner_text()
    assert page.title() == "red striped dress · shopsight"
    searches = [url for url in visit.requests if "/search?" in url and "explain=true" in url]
    assert all("log=false" in url for url in searches)
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
    expect(page.locator(".chip")).to_have_text(["Colour: navy×", "Price: ≤ 60×"])
    page.get_by_text("In stock").click()
    page.get_by_label("Price, to").fill("1")
    page.get_by_label("Price, to").press("Enter")
    page.get_by_role("heading", name="No results").wait_for()
    page.locator(".message").get_by_role("button", name="Clear filters").click()
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
    for count in (48, 64):
        page.get_by_role("button", name="Show more").click()
        expect(cards(page)).to_have_count(count)
        assert page.evaluate("document.activeElement.dataset.product")
    expect(page.locator("#end")).to_have_text("All 64 products are shown.")
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    assert len(set(titles(page))) == 64
    page.reload()
    expect(cards(page)).to_have_count(64)
    page.locator("#grid a[data-similar]").first.click()
    page.locator("#context h2", has_text="Similar to").wait_for()
    assert list(query_of(page)) == ["like"]
    expect(page.locator("#context h2")).to_be_focused()
    page.go_back()
    expect(cards(page)).to_have_count(64)


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


def test_only_settled_searches_and_clicks_are_logged(browser: Any, tmp_path: Path) -> None:
    log = QueryLog(tmp_path / "log")
    with serve_in_thread(FakeShop(), log=log) as address:
        visit = Visit(browser, address)
        page = visit.open()
        page.locator(".shelf").nth(3).wait_for()
        page.keyboard.press("/")
        for word in ("red", "red ha", "red hat"):  # pauses long enough for a search each
            page.locator("#query").fill(word)
            page.wait_for_url(f"**/?q={word.replace(' ', '+')}")
            cards(page).first.wait_for()
        with page.expect_response("**/events") as answer:
            page.keyboard.press("Enter")
        assert answer.value.status == 204
        with page.expect_response("**/events"):
            cards(page).nth(1).click()
        page.locator("#detail[open] h2").wait_for()
        page.keyboard.press("Escape")
        page.wait_for_url("**/?q=red+hat")
        page.reload()
        cards(page).first.wait_for()
        page.locator("#query").fill("navy boots")
        with page.expect_response("**/events"):  # after a while without typing
            pass
        visit.close()
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["kind"], line["query"]) for line in lines] == [
        ("impression", "red hat"), ("click", "red hat"), ("impression", "navy boots"),
    ]  # fmt: skip
    assert (lines[1]["product"], lines[1]["position"]) == (lines[0]["products"][1], 1)
    assert lines[0]["search_id"] == lines[1]["search_id"] != lines[2]["search_id"]


@pytest.mark.parametrize("device", ["desk", "phone"])
def test_filters_of_an_address(browser: Any, address: str, device: str) -> None:
    """Comparisons, alternatives and exclusions; chips remove them one by one."""
    visit = Visit(browser, address, **(PHONE if device == "phone" else {}))
    page = visit.open("?q=dress&filter=price%3C%3D120&filter=colour%3Dred&filter=colour%3Dnavy"
                      "&filter=-pattern%3Dplain")  # fmt: skip
    cards(page).first.wait_for()
    chips = page.locator(".chip")
    assert [text.rstrip("×").strip() for text in chips.all_inner_texts()] == [
        "Price: ≤ 120", "Colour: red", "Colour: navy", "Not pattern: plain",
    ]  # fmt: skip
    shown = titles(page)
    assert shown
    assert all("striped" in title or "dotted" in title for title in shown)
    assert page.get_by_label("Price, to").input_value() == "120"
    page.get_by_label("Price, from").fill("10")
    page.get_by_label("Price, from").press("Enter")
    page.wait_for_url("**price%3D10..120**")
    page.get_by_role("button", name="Remove filter Colour: red").click()
    expect(chips).to_have_count(3)
    expect(page.locator("#grid .name", has_text="Red")).to_have_count(0)
    assert all(title.startswith("Navy") for title in titles(page))
    page.locator("select[name=colour]").select_option("white")
    expect(chips.filter(has_text="Colour")).to_have_count(2)
    page.get_by_role("button", name="Clear filters").click()
    expect(chips).to_have_count(0)
    assert query_of(page) == {"q": ["dress"]}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visit.close()


@pytest.mark.parametrize("device", ["desk", "phone"])
def test_misspelt_words_are_corrected(browser: Any, address: str, device: str) -> None:
    visit = Visit(browser, address, **(PHONE if device == "phone" else {}))
    page = visit.open("?q=red+drses")
    cards(page).first.wait_for()
    line = page.locator("#corrected")
    expect(line).to_have_text("Showing results for red dress. Search instead for red drses.")
    assert titles(page)[0] == "Red dress"
    line.get_by_role("link").click()
    page.wait_for_url("**exact=1")
    expect(line).to_be_hidden()
    page.reload()
    page.locator("#unknown b", has_text="drses").wait_for()
    expect(line).to_be_hidden()
    page.locator("#query").fill("red drses hat")
    expect(line).to_contain_text("red dress hat")
    visit.close()


def test_counts_and_order_follow_the_query(visit: Visit) -> None:
    page = visit.open("?q=hat")
    cards(page).first.wait_for()
    options = page.get_by_label("Colour").locator("option")
    expect(options.filter(has_text="red")).to_have_text("red (3)")
    page.get_by_label("Sort").select_option("price")
    page.wait_for_url("**sort=price")
    expect(page.locator("#grid")).not_to_have_class("grid stale")
    expect(page.locator(".facts b").first).to_have_text("23.50")
    prices = [float(text) for text in page.locator(".facts b").all_inner_texts()]
    assert prices == sorted(prices)
    page.reload()
    cards(page).first.wait_for()
    assert page.get_by_label("Sort").input_value() == "price"


@pytest.mark.parametrize("device", ["desk", "phone"])
def test_back_after_closing_a_product(browser: Any, address: str, device: str) -> None:
    visit = Visit(browser, address, **(PHONE if device == "phone" else {}))
    page = visit.open()
    page.locator(".hero").wait_for()
    page.goto(f"{address}/?q=red")
    cards(page).first.wait_for()
    cards(page).first.click()
    dialog = page.locator("#detail")
    dialog.locator("h2").wait_for()
    dialog.locator(".strip a").first.click()
    page.wait_for_function("history.state.opened === 2")
    dialog.get_by_role("button", name="Close").click()
    page.wait_for_url("**/?q=red")
    expect(dialog).to_be_hidden()
    page.go_back()
    page.locator(".hero").wait_for()
    expect(dialog).to_be_hidden()
    page.goto(f"{address}/?q=red&product=1000")  # opened by its address: closing stays here
    dialog.locator("h2").wait_for()
    dialog.get_by_role("button", name="Close").click()
    page.wait_for_url("**/?q=red")
    visit.close()


def test_a_photo_is_kept_on_reload_and_back(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "teal.jpg"
    path.write_bytes(draw("hat", "teal", "plain", (3000, 4000)))
    page = visit.open()
    page.locator(".hero").wait_for()
    page.locator("#photo").set_input_files(path)
    own = page.locator("#context h2", has_text="Similar to your photo")
    own.wait_for()
    page.reload()
    own.wait_for()
    assert page.locator("#context img").evaluate("image => image.decode().then(() => 1)") == 1
    cards(page).first.wait_for()
    assert titles(page)[0].startswith("Teal")
    page.locator("#query").fill("red hat")
    page.wait_for_url("**/?q=red+hat")
    expect(own).to_be_hidden()
    page.go_back()
    own.wait_for()
    expect(page.locator("#grid .name").first).to_contain_text("Teal")
    page.go_back()
    page.locator(".hero").wait_for()


def test_links_and_frames_of_a_product(visit: Visit) -> None:
    page = visit.open("?q=red+dress&product=1000")
    dialog = page.locator("#detail")
    link = dialog.locator("dl a")
    expect(link).to_have_text("shop.example/p/1000")
    assert link.get_attribute("href") == "https://www.shop.example/p/1000/"
    assert "noreferrer" in link.get_attribute("rel")
    frames = dialog.get_by_role("button", name="Frames")
    boxes = dialog.locator(".big .boxes")
    expect(boxes).to_be_visible()
    frames.click()
    expect(boxes).to_be_hidden()
    expect(frames).to_have_attribute("aria-pressed", "false")
    page.reload()
    dialog.locator("h2").wait_for()
    expect(boxes).to_be_hidden()
    dialog.get_by_role("button", name="Frames").click()
    expect(boxes).to_be_visible()
    page = visit.open("?product=1001")
    expect(dialog.locator("dl")).to_contain_text("javascript:1")
    assert dialog.locator("dl a").count() == 0


@pytest.mark.parametrize(
    ("rest", "heading", "button", "after"),
    [
        ("?q=frobnicate", "No good match", None, {}),
        ("?q=red&filter=price%3D1..2", "No results", "Clear filters", {"q": ["red"]}),
        ("?q=red&filter=size%3D1", "Search failed", "Clear filters", {"q": ["red"]}),
        ("?like=nothing", "Not found", "New search", {}),
        ("?q=red&sort=size", "Search failed", "New search", {}),
    ],
)
def test_messages_offer_what_helps(
    visit: Visit, rest: str, heading: str, button: str | None, after: dict[str, list[str]]
) -> None:
    page = visit.open(rest)
    page.get_by_role("heading", name=heading).wait_for()
    buttons = page.locator(".message button")
    expect(buttons).to_have_count(0 if button is None else 1)
    if button is None:
        page.locator(".message .suggestions a").first.click()
        cards(page).first.wait_for()
        return
    buttons.click()
    (cards(page).first if after else page.locator(".hero")).wait_for()
    assert query_of(page) == after


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
