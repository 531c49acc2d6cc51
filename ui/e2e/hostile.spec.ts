/**
 * Names that are markup, reach far, or turn the writing round, wherever they come from.
 *
 * The user's vocabulary calls three words so; a studio, a title, the files and what is written in a
 * picture are so too. The page of each test says besides that nothing of it was run.
 */
import type { Page } from "@playwright/test";
import { expectNoFaultsInBoth } from "./faults";
import {
  expect,
  HOSTILE_TITLE,
  inState,
  type Library,
  OWN_STASH,
  overhang,
  wearLight,
} from "./fixtures";

const test = inState("hostile");
test.skip(OWN_STASH, "the words of somebody's own vocabulary are theirs");

const ROUTE = "/plugins/stash-sense";
const ROWS = "[role=listitem][data-row]";
const FILE = `<img src=x onerror="window.hacked=1">.mp4`;
const DAMAGED = "<b onmouseover=alert(1)>damaged.mp4";
/** What a name would have made of the page, had it been read as markup. */
const MADE = "script:text('hacked'), img[src=x], [onerror], [onmouseover], [class*=sense] b";

interface Row {
  scene_id: string;
  name: string;
  kind: string;
}

async function waiting(library: Library): Promise<Row[]> {
  const { suggestions } = await library.operate<{ suggestions: Row[] }>("suggestions", {
    decision: "ask",
    limit: 100,
  });
  return suggestions;
}

/** The tags that the vocabulary of this library calls by hostile names. */
async function hostileTags(library: Library): Promise<string[]> {
  const names = new Set((await waiting(library)).map(({ name }) => name));
  const found = [
    /^<img src=x onerror="window\.hacked=1">$/,
    /^.{190,}$/,
    /<\/script>.*\u{1F525}/u,
  ].map((pattern) => [...names].find((name) => pattern.test(name)) ?? String(pattern));
  expect([...names]).toEqual(expect.arrayContaining(found));
  return found;
}

async function openTab(page: Page, id: string) {
  await page.goto(`/scenes/${id}`);
  await page.getByRole("tab", { name: "Sense", exact: true }).click();
  const tab = page.getByRole("tabpanel").filter({ visible: true });
  await expect(tab.getByRole("button", { name: "Tag this scene" })).toBeVisible();
  return tab;
}

test.beforeAll(async ({ library }) => {
  const { id } = await library.scene(FILE);
  await library.graphql(
    "mutation ($input: SceneUpdateInput!) { sceneUpdate(input: $input) { id } }",
    { input: { id, title: HOSTILE_TITLE } },
  );
});

test("suggested tags are text in a scene's tab, and are accepted as they are", async ({
  page,
  library,
  complaints,
}) => {
  const { id } = await library.scene(FILE);
  const tab = await openTab(page, id);
  for (const name of await hostileTags(library)) {
    // Beside the tag stand its markers.
    await expect(tab.locator(".badge").getByText(name, { exact: true }).first()).toBeVisible();
    await tab.getByRole("button", { name: `Accept ${name}`, exact: true }).click();
    await expect(tab.getByRole("status").getByText(`Accepted ${name}`)).toBeVisible();
    await expect.poll(() => library.tags(id)).toContain(name);
    await page.getByRole("tab", { name: "Details", exact: true }).click();
    await expect(page.getByRole("link", { name, exact: true })).toBeVisible();
    await page.getByRole("tab", { name: "Sense", exact: true }).click();
    await tab.getByRole("button", { name: `Undo accepted ${name}`, exact: true }).click();
    await expect(tab.getByRole("button", { name: `Accept ${name}`, exact: true })).toBeVisible();
    await expect.poll(() => library.tags(id)).not.toContain(name);
  }
  for (const fold of await tab.locator("summary").all()) await fold.click();
  await expect(page.locator(MADE)).toHaveCount(0);
  await expectNoFaultsInBoth(page, ".sense-scene-pane");
  expect(complaints).toEqual([]);
});

test("a studio's name and what is read in the picture are text", async ({ page, library }) => {
  const { id } = await library.scene("titles.mp4");
  const tab = await openTab(page, id);
  const studio = (await waiting(library)).find(({ kind }) => kind === "studio");
  expect(studio?.name).toMatch(/^\u202E<script>window\.hacked=1<\/script>/);
  await expect(tab.getByRole("region", { name: "Studio" })).toContainText(studio?.name ?? "-");
  const { texts } = await library.operate<{ texts: { text: string }[] }>("scene", {
    scene_id: id,
  });
  await tab.getByText("What was looked at").click();
  const read = tab.locator(".sense-texts");
  expect(texts.some(({ text }) => /<.*HACKED/i.test(text))).toBe(true);
  for (const { text } of texts) await expect(read).toContainText(text);
  await expect(page.locator(MADE)).toHaveCount(0);
});

test("names, titles and files are text in Review, wherever they are shown", async ({
  page,
  library,
  complaints,
}) => {
  await page.goto(ROUTE);
  const tags = await hostileTags(library);
  const names = page.getByRole("list", { name: "Names with suggestions" });
  for (const name of tags) await expect(names.getByText(name, { exact: true })).toBeVisible();
  for (const name of tags) {
    await page.goto(`${ROUTE}?${new URLSearchParams({ by: "tag", tag: name })}`);
    await expect(page.getByRole("heading", { level: 3 }).filter({ hasText: name })).toBeVisible();
    const row = page.locator(ROWS).filter({ hasText: HOSTILE_TITLE });
    await expect(row.getByRole("link", { name: HOSTILE_TITLE, exact: true })).toBeVisible();
    // A scene without a title goes by its file.
    await expect(page.getByText(/; rm -rf "\$HOME"; #\.mp4/).first()).toBeVisible();
    await page.getByRole("slider", { name: "Least confidence to accept" }).fill("0");
    await page.getByRole("button", { name: /^Accept all above/ }).click();
    await expect(page.getByRole("dialog")).toContainText(`Accept ${name} above 0%?`);
    await expect(page.getByRole("dialog").getByText(/would get/)).toContainText(name);
    await page.keyboard.press("Escape");
    await expect(page.locator(MADE)).toHaveCount(0);
  }
  await page.goto(`${ROUTE}?by=scene`);
  await expect(page.getByRole("heading", { name: HOSTILE_TITLE, exact: true })).toBeVisible();
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  await page.keyboard.press("r");
  await expect(page.getByRole("status").filter({ hasText: /^Refused/ })).toBeVisible();
  await expect(page.getByText(/^Saving/)).toHaveCount(0);
  await page.goto(`${ROUTE}?by=refused`);
  await expect(page.locator(`${ROWS}:focus`)).toHaveCount(1);
  await page.keyboard.press("t");
  await expect(page.getByText("Nothing is refused")).toBeVisible();
  await expect(page.getByText(/^Saving/)).toHaveCount(0);
  await expect(page.locator(MADE)).toHaveCount(0);
  expect(complaints).toEqual([]);
});

test("a file that failed is named as text on the dashboard", async ({ page, complaints }) => {
  await page.goto(`${ROUTE}/dashboard`);
  const errors = page.getByRole("region", { name: "Errors", exact: true });
  await expect(errors.getByRole("link", { name: DAMAGED, exact: true })).toBeVisible();
  await errors.getByRole("button", { name: `Try ${DAMAGED} again`, exact: true }).click();
  await expect(errors.getByText(`${DAMAGED}, tried again:`)).toBeVisible();
  await expect(page.locator(MADE)).toHaveCount(0);
  expect(complaints).toEqual([]);
});

test("long names widen no page on a phone, in a dark or a light theme", async ({
  page,
  library,
}) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const [, long = ""] = await hostileTags(library);
  const { id } = await library.scene(FILE);
  const byName = new URLSearchParams({ by: "tag", tag: long });
  for (const path of [
    `/scenes/${id}`,
    `${ROUTE}?${byName}`,
    `${ROUTE}?by=scene`,
    `${ROUTE}/dashboard`,
  ]) {
    if (path.startsWith("/scenes")) await openTab(page, id);
    else await page.goto(path);
    await page.waitForLoadState("networkidle");
    expect(await overhang(page), path).toBe(0);
    await wearLight(page);
    expect(await overhang(page), `${path}, light`).toBe(0);
  }
});
