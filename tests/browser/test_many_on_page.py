"""A file of edits on the page: what is wrong with it is seen at once, and the rest is applied."""

from playwright.sync_api import expect
from steps import finished, unfold, violations

LINES = (
    "subject,prompt,target_new,target_true",
    "Slovenia,{} belongs to the continent of,Antarctica,Europe",
    "Japan,The capital of {} is,Berlin,Tokyo",
    "France,The capital of {} is <b>not</b> {},Berlin,Paris",
    "Peru,{} belongs to the continent of,Asia,South America",
    "Kenya,The capital of {} is,Rome,Nairobi",
    "Canada,{} belongs to the continent of,Africa,North America",
)


def test_a_file_with_a_bad_row_is_mended_by_a_tick_and_applied(visit, tmp_path):
    page = visit()
    path = tmp_path / "six.csv"
    path.write_text("\n".join(LINES), encoding="utf-8")
    unfold(page, "drawer")
    page.get_by_role("button", name="Edits from a file").click()
    page.locator("#drawer input[type=file]").set_input_files(path)
    said = page.locator("#many-said")
    expect(said).to_contain_text("six.csv: 5 of 6 edits are valid; correct or skip the other row.")
    expect(page.locator("#many .faults td")).to_have_text(
        ["prompt", "The prompt has 2 {}. Leave the one where the subject stands."]
    )
    expect(page.locator("#many-apply")).to_be_disabled()
    page.get_by_label("Skip invalid rows").check()
    expect(said).to_contain_text("1 row is skipped")
    assert violations(page) == []
    page.get_by_label("Batch size").fill("3")
    page.get_by_role("button", name="Apply 5 edits").click()
    expect(said).to_contain_text("5 edits of the file are applied")
    finished(page)
    expect(page.locator("#edits .name b")).to_have_text(["Slovenia → Antarctica and 2 more", "Kenya → Rome and 1 more"])
    expect(page.locator("#many-apply")).to_be_disabled()
    page.locator("#edits .batch summary").first.click()
    page.locator("#edits .batch button", has_text="Japan").click()
    expect(page.locator("#question")).to_contain_text("The capital of Japan is")
    finished(page)
    expect(page.locator("#edits .batch button", has_text="Japan")).to_be_visible()
    assert violations(page) == []
