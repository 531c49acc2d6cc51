import { expect, HOSTILE_TAG, type Library, test } from "./fixtures";

interface Row {
  scene_id: string;
  name: string;
  kind: string;
}

interface Page {
  suggestions: Row[];
  next: string | null;
}

const ROUTE = "/plugins/stash-sense";
const ROWS = "[role=listitem][data-row]";

/** All that stands so, as the plugin itself lists it. */
async function listed(library: Library, decision: "ask" | "refused"): Promise<Row[]> {
  const found: Row[] = [];
  let after: string | undefined;
  do {
    const page = await library.operate<Page>("suggestions", {
      decision,
      limit: 500,
      ...(after ? { after } : {}),
    });
    found.push(...page.suggestions);
    after = page.next ?? undefined;
  } while (after);
  return found;
}

/** What the tests of a library said is taken back, so that each finds it as it was. */
async function takeBack(library: Library, rows: readonly Row[]): Promise<void> {
  const items = rows.map(({ scene_id, name, kind }) => ({ scene_id, name, kind }));
  for (let i = 0; i < items.length; i += 100) {
    await library.operate("unsay", { items: items.slice(i, i + 100) });
  }
}

test("two hundred are reviewed by keys alone", async ({ page, library, complaints }) => {
  test.slow();
  const before = await listed(library, "ask");
  expect(before.length).toBeGreaterThanOrEqual(200);
  const once = (await listed(library, "refused")).length;
  await page.goto(`${ROUTE}?by=scene`);
  const rows = page.locator(ROWS);
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  const refused: string[] = [];
  for (let i = 0; i < 200; i++) {
    const now = page.locator(`${ROWS}:focus`);
    const label = await now.getAttribute("aria-label");
    if (i % 10 === 9) refused.push(label ?? "");
    await page.keyboard.press(i % 10 === 9 ? "r" : "a");
    expect(await rows.count()).toBeLessThan(60);
  }
  expect(new Set(refused).size).toBe(20);
  await expect(page.getByText(/^Saving/)).toHaveCount(0);
  const after = await listed(library, "ask");
  expect(after.length).toBe(before.length - 200);
  expect(await listed(library, "refused")).toHaveLength(once + 20);

  await page.reload();
  await expect(
    page.getByText(`${after.length} suggestion${after.length === 1 ? " waits" : "s wait"}`),
  ).toBeVisible();
  await page.getByRole("link", { name: /^Refused/ }).click();
  await expect(page).toHaveURL(/by=refused/);
  await page.reload();
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  await page.keyboard.press("t");
  await expect(page.getByText(/^Saving/)).toHaveCount(0);
  await expect.poll(async () => (await listed(library, "refused")).length).toBe(once + 19);
  expect(complaints).toEqual([]);

  const left = new Set(after.map((row) => JSON.stringify([row.scene_id, row.kind, row.name])));
  await takeBack(
    library,
    before.filter((row) => !left.has(JSON.stringify([row.scene_id, row.kind, row.name]))),
  );
});

test("by name: what is undone stands as before, and the address leads back", async ({
  page,
  library,
  complaints,
}) => {
  const before = await listed(library, "ask");
  await page.goto(ROUTE);
  await page.getByRole("link", { name: /^Begin with/ }).click();
  await expect(page).toHaveURL(/by=tag&tag=/);
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  const first = await page.locator(`${ROWS}:focus`).getAttribute("aria-label");
  await page.keyboard.press("a");
  await expect(page.getByRole("status").filter({ hasText: /^Accepted/ })).toBeVisible();
  await expect(page.getByText(/^Saving/)).toHaveCount(0);
  await expect.poll(async () => (await listed(library, "ask")).length).toBe(before.length - 1);
  await page.keyboard.press("u");
  await expect(page.locator(`${ROWS}:focus`)).toHaveAttribute("aria-label", first ?? "");
  await expect(page.getByText(/^Saving/)).toHaveCount(0);
  await expect.poll(async () => (await listed(library, "ask")).length).toBe(before.length);
  await page.keyboard.press("o");
  await expect(page).toHaveURL(/\/scenes\/\d+/);
  await page.goBack();
  await expect(page).toHaveURL(/by=tag&tag=/);
  await page.goBack();
  await expect(page.getByRole("link", { name: /^Begin with/ })).toBeVisible();
  expect(complaints).toEqual([]);
});

test("all above a confidence are counted and asked about before", async ({ page, library }) => {
  const before = await listed(library, "ask");
  await page.goto(ROUTE);
  await page.getByRole("link", { name: /^Begin with/ }).click();
  await page.getByRole("slider", { name: "Least confidence to accept" }).fill("0");
  await page.getByRole("button", { name: /^Accept all above 0%/ }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByText(/would get/)).toBeVisible();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(dialog).toHaveCount(0);
  expect(await listed(library, "ask")).toHaveLength(before.length);
});

test("by keys alone all above are accepted, and undone; the focus stays where keys work", async ({
  page,
  library,
  complaints,
}) => {
  const before = await listed(library, "ask");
  await page.goto(ROUTE);
  await page.getByRole("link", { name: /^Begin with/ }).click();
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  await page.getByRole("slider", { name: "Least confidence to accept" }).fill("0");
  await page.getByRole("button", { name: /^Accept all above 0%/ }).press("Enter");
  const accept = page.getByRole("dialog").getByRole("button", { name: /^Accept \d/ });
  await expect(accept).toBeEnabled();
  await accept.press("Enter");
  await expect(page.getByRole("status").filter({ hasText: /^Accepted/ })).toBeVisible();
  await expect(page.getByRole("link", { name: /^Next: / })).toBeFocused();
  expect((await listed(library, "ask")).length).toBeLessThan(before.length);
  await page.keyboard.press("u");
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  await expect(page.getByText(/^Saving/)).toHaveCount(0);
  await expect.poll(async () => (await listed(library, "ask")).length).toBe(before.length);
  await page.keyboard.press("r");
  await page.keyboard.press("r");
  const undo = page.getByRole("button", { name: "Undo", exact: true });
  await undo.click();
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  await page.keyboard.press("u");
  await expect(undo).toBeDisabled();
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  await expect(page.getByText(/^Saving/)).toHaveCount(0);
  expect(await listed(library, "ask")).toHaveLength(before.length);
  expect(complaints).toEqual([]);
});

test("a name is text, whatever is in it", async ({ page, complaints }) => {
  await page.goto(`${ROUTE}?${new URLSearchParams({ by: "tag", tag: HOSTILE_TAG })}`);
  await expect(page.getByRole("heading", { name: HOSTILE_TAG, exact: true })).toBeVisible();
  expect(complaints).toEqual([]);
});

test("on a phone the names come first, then a list with large buttons", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 800 });
  await page.goto(ROUTE);
  const names = page.getByRole("list", { name: "Names with suggestions" });
  await names.getByRole("link").first().click();
  await expect(names).toBeHidden();
  const accept = page.getByRole("button", { name: /^Accept / }).filter({ hasText: /^\s*Accept$/ });
  const box = await accept.first().boundingBox();
  expect(box?.height).toBeGreaterThanOrEqual(44);
  expect(box?.width).toBeGreaterThan(120);
  await page.getByRole("link", { name: "All names" }).click();
  await expect(names).toBeVisible();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(wide).toBeLessThanOrEqual(390);
});
