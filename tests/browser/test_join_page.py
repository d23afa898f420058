"""A workshop as a room meets it: the presenter's panel, and a phone that joins by the link, guesses and sees the answer."""

import re

from playwright.sync_api import Page, expect
from steps import LEAVING, everybody_can_use, field, open_tab, reload

TOUCHED = 44
"""Pixels that a thumb finds."""


def opens_a_workshop(page: Page) -> str:
    """Open a workshop and return its link."""
    open_tab(page, "Workshop")
    page.click("#room > button")
    title = field(page, "room-title")
    expect(title).to_be_visible()
    page.wait_for_load_state("networkidle")  # the tab has been drawn: what is typed stays
    title.fill("Editing facts")
    title.press("Tab")
    page.click("#room-begin")
    expect(page.locator("#room-door .code svg")).to_be_visible()
    expect(page.locator("#room-door .problem")).to_contain_text("Phones cannot reach this address")
    return page.locator("#room-door .link").inner_text()


def joins(page: Page, link: str) -> None:
    LEAVING.add(page)
    page.goto(link)
    LEAVING.discard(page)
    expect(page.locator("h1")).to_have_text("Editing facts")
    page.click("text=Join")
    expect(page.locator(".strip header")).to_contain_text("participant")


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_phone_joins_by_the_link_guesses_and_sees_the_answer(visit):
    presenter, phone = visit(), visit(size="phone")
    own = phone.locator("#where [data-workspace]").get_attribute("data-workspace")
    link = opens_a_workshop(presenter)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/join/[\w-]{22}", link)
    joins(phone, link)
    expect(phone.locator("#where")).to_contain_text("Editing facts")
    expect(presenter.locator("#room-people tbody tr")).to_have_count(1)

    presenter.click('#stage [data-press="enter"][data-scenario="long-text"]')
    for place in range(2):  # the edit, and the guess
        presenter.locator("#stage-nav .go").click()
        expect(presenter.locator("#stage-nav .place")).to_have_attribute("data-place", str(place))
        expect(presenter.locator("#stage-progress progress")).to_have_count(0)
        expect(presenter.locator("#stage-stop")).to_be_hidden()
    expect(presenter.locator("#stage .card.is-guess")).to_be_visible()
    options = phone.locator(".strip [data-choice]")
    expect(options.first).to_be_visible()
    assert all(options.nth(place).bounding_box()["height"] >= TOUCHED for place in range(options.count())) and fits(phone)

    options.nth(1).click()
    expect(phone.locator(".strip .said")).to_contain_text("Sent:")
    expect(options.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(presenter.locator("#room-guesses .number").nth(1)).to_have_text("1")
    everybody_can_use(phone)
    reload(phone)
    expect(phone.locator('.strip [aria-pressed="true"]')).to_have_attribute("data-choice", "1")
    options.nth(0).click()
    expect(presenter.locator("#room-guesses .number").nth(0)).to_have_text("1")
    expect(presenter.locator("#room-guesses .number").nth(1)).to_have_text("0")

    second = phone.context.new_page()
    second.goto(link)
    expect(second.locator('.strip [aria-pressed="true"]')).to_have_attribute("data-choice", "0")
    LEAVING.add(second)
    second.close()

    presenter.locator("#stage-nav .go").click()
    expect(phone.locator(".strip .said")).to_contain_text("You said")
    expect(phone.locator(".strip .guesses .right")).to_have_count(1)
    expect(phone.locator(".strip [data-choice]")).to_have_count(0)
    assert fits(phone)

    LEAVING.add(phone)
    phone.click("text=Leave")
    expect(phone.locator(f'#where [data-workspace="{own}"]')).to_be_attached()
    expect(phone.locator(".strip")).to_have_count(0)
