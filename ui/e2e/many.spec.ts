/** Fifty thousand scenes, six suggestions of each of which wait: what is shown is what there is. */
import type { Page } from "@playwright/test";
import { expectNoFaultsInBoth } from "./faults";
import { expect, inState, OWN_STASH, overhang } from "./fixtures";

const test = inState("many");
test.skip(OWN_STASH, "a library of somebody's has as many scenes as it has");

const ROUTE = "/plugins/stash-sense";
const ROWS = "[role=listitem][data-row]";
/** As demo/states.py plants them: two of eight were written, of two hundred names. */
const SCENES = "50,000";
const WAITING = "300,000";
const OF_A_NAME = "1,500";
/** So many rows are in the page, however many there are. */
const MOST_ROWS = 60;

function card(page: Page, name: string) {
  return page.getByRole("region", { name, exact: true });
}

/** Go down a list, screen by screen, to this row; the most rows that were in the page meanwhile. */
async function downTo(page: Page, row: number): Promise<number> {
  return page.locator(".sense-review-scroll").evaluate(async (list, to) => {
    const places = () =>
      [...list.querySelectorAll("[data-row]")].map((each) => Number(each.ariaPosInSet));
    let most = 0;
    while (Math.max(...places()) < to) {
      most = Math.max(most, places().length);
      list.scrollTop += list.clientHeight;
      await new Promise((drawn) => requestAnimationFrame(drawn));
    }
    return most;
  }, row);
}

test("the dashboard counts them all", async ({ page, complaints }) => {
  await page.goto(`${ROUTE}/dashboard`);
  const library = card(page, "Library");
  await expect(library).toContainText(`${SCENES} of ${SCENES} scenes (100%) looked at`);
  for (const [what, count] of [
    ["To do", "45,000"],
    ["Done", "5,000"],
    ["Failed", "0"],
    ["Wait for you", WAITING],
    ["Sure enough to write", "100,000"],
    ["Refused by you", "0"],
  ]) {
    const figure = library.locator("dl > div").filter({ hasText: what ?? "" });
    await expect(figure.locator("dd")).toHaveText(count ?? "");
  }
  await expect(library.getByRole("row")).toHaveCount(6);
  for (const row of await library.getByRole("row").all()) {
    await expect(row).toContainText(/Scenes|50,000/);
  }
  await expect(
    card(page, "Now").getByRole("button", { name: "Tag all with TagMe (45,000)" }),
  ).toBeEnabled();
  await card(page, "Now").getByRole("button", { name: "Tag the whole library" }).click();
  await expect(page.getByRole("dialog")).toContainText(
    `45,000 scenes of ${SCENES} without the tag Tagged are looked at.`,
  );
  await page.keyboard.press("Escape");
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await overhang(page)).toBe(0);
  expect(complaints).toEqual([]);
});

test("names with their counts, of which those in sight are drawn", async ({ page }) => {
  await page.goto(ROUTE);
  await expect(page.getByText(`${WAITING} suggestions of 200 names wait`)).toBeVisible();
  const names = page.getByRole("list", { name: "Names with suggestions" });
  expect(await names.getByRole("listitem").count()).toBeLessThan(MOST_ROWS);
  await page.getByRole("searchbox", { name: "Filter names" }).fill("thing 19");
  await expect(names.getByRole("listitem")).toHaveCount(10);
  await expect(names.getByRole("link").first()).toContainText("1,500");
});

test("the chosen name is in sight among the others, and the tab key reaches them", async ({
  page,
}) => {
  await page.goto(`${ROUTE}?${new URLSearchParams({ by: "tag", tag: "Thing 150" })}`);
  const names = page.getByRole("list", { name: "Names with suggestions" });
  await expect(names.locator("[aria-current=page]")).toBeInViewport();
  await expect(names.locator("[aria-current=page]")).toHaveAttribute("tabindex", "0");
  await page.locator(".sense-review-names-scroll").evaluate((list) => list.scrollTo(0, 0));
  await expect(names.locator("[aria-current=page]")).toHaveCount(0);
  await expect(names.locator("[tabindex='0']")).toHaveCount(1);
});

test("far down a name's scenes few rows are in the page, and all are counted", async ({
  page,
  complaints,
}) => {
  await page.goto(`${ROUTE}?${new URLSearchParams({ by: "tag", tag: "Thing 042" })}`);
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  const confidence = async () => {
    const label = (await page.locator(ROWS).last().getAttribute("aria-label")) ?? "";
    return Number(/(\d+)%/.exec(label)?.[1]);
  };
  const first = await confidence();
  expect(await downTo(page, 400)).toBeLessThan(MOST_ROWS);
  expect(await confidence()).toBeLessThan(first);
  await page.getByRole("slider", { name: "Least confidence to accept" }).fill("0");
  await page.getByRole("button", { name: /^Accept all above 0% \(\d+\+\)$/ }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByText(`${OF_A_NAME} scenes would get Thing 042`)).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  expect(complaints).toEqual([]);
});

test("scene by scene, two hundred rows on", async ({ page, library }) => {
  await page.goto(`${ROUTE}?by=scene`);
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  await expect(page.getByText(`${WAITING} suggestions wait`)).toBeVisible();
  expect(await downTo(page, 200)).toBeLessThan(MOST_ROWS);
  await page.locator(ROWS).last().focus();
  const now = page.locator(`${ROWS}:focus`);
  await expect(now).toHaveAttribute("aria-setsize", "-1");
  await page.keyboard.press("a");
  await expect(page.getByText(/^Saving/)).toHaveCount(0);
  await expect(page.getByText("299,999 suggestions wait")).toBeVisible();
  await page.keyboard.press("u");
  await expect(page.getByText(`${WAITING} suggestions wait`)).toBeVisible();
  await expect(page.getByText(/^Saving/)).toHaveCount(0);
  const { suggestions } = await library.operate<{ suggestions: { ask: number } }>("overview");
  expect(suggestions.ask).toBe(300_000);
});

test("the last of them has its suggestions in its tab", async ({ page }) => {
  await page.goto("/scenes/50000");
  await page.getByRole("tab", { name: "Sense", exact: true }).click();
  const tab = page.getByRole("tabpanel").filter({ visible: true });
  await expect(tab.getByRole("region", { name: "Tags" })).toContainText("8");
});

for (const [name, path] of [
  ["by name", `?${new URLSearchParams({ by: "tag", tag: "Thing 042" })}`],
  ["by scene", "?by=scene"],
  ["the dashboard", "/dashboard"],
] as const) {
  test(`axe has nothing to say of long lists: ${name}`, async ({ page }) => {
    await page.goto(`${ROUTE}${path}`);
    if (path !== "/dashboard") {
      await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
      await downTo(page, 200);
    }
    await expectNoFaultsInBoth(page, ".sense-pages");
  });
}
