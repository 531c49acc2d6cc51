import type { Locator, Page } from "@playwright/test";
import { expect, HOSTILE_TAG, type Library, test, wearLight } from "./fixtures";

/** Drawn so that the picture's own facts tell all five of these. */
const FIVE = "astronaut-vertical-grey-dark-boxed-still.mp4";
const ANOTHER = "chelsea-vertical-grey-dark-boxed-still.mp4";
/** Long enough to be cancelled in, where more frames are asked for than were ever looked at. */
const LONG = "interview.mp4";
const MORE_FRAMES = { preset: "fast", suggest_only: true, frames: 240, text_frames: 120 };

const WITH_MARKERS = { preset: "fast", suggest_only: true, markers: true };

interface Told {
  suggestions: { name: string; said: string | null; scene_id: string; kind: string }[];
}

async function open(page: Page, library: Library, file: string) {
  const { id } = await library.scene(file);
  await page.goto(`/scenes/${id}`);
  await page.getByRole("tab", { name: "Sense", exact: true }).click();
  const tab = page.getByRole("tabpanel").filter({ visible: true });
  await expect(tab.getByRole("button", { name: "Tag this scene" })).toBeVisible();
  return { id, tab };
}

/** Take back whatever was said of a scene, so that each test begins alike. */
async function unsaid(library: Library, file: string) {
  const { id } = await library.scene(file);
  const { suggestions } = await library.operate<Told>("scene", { scene_id: id });
  const items = suggestions
    .filter(({ said }) => said !== null)
    .map(({ scene_id, kind, name }) => ({ scene_id, kind, name }));
  if (items.length > 0) await library.operate("unsay", { items });
}

test.afterEach(async ({ library }) => {
  await unsaid(library, FIVE);
});

test("a scene is tagged from its page", async ({ page, library, complaints }) => {
  const { tab } = await open(page, library, ANOTHER);
  await tab.getByRole("button", { name: "Tag this scene" }).click();
  await expect(tab.getByRole("status").filter({ hasText: /^Tagged$/ })).toBeAttached();
  await expect(tab.getByRole("button", { name: "Tag this scene" })).toBeEnabled();
  await expect(tab.getByRole("button", { name: /^Vertical/ })).toBeVisible();
  expect(complaints).toEqual([]);
});

test("a job is found again after a reload, and cancelled", async ({ page, library }) => {
  await library.configure(MORE_FRAMES);
  try {
    const { tab } = await open(page, library, LONG);
    await tab.getByRole("button", { name: "Tag this scene" }).click();
    await expect(tab.getByRole("progressbar", { name: "Tagging this scene" })).toBeVisible();
    await expect(tab.getByRole("button", { name: "Cancel" })).toBeEnabled();
    await page.reload();
    await page.getByRole("tab", { name: "Sense", exact: true }).click();
    await tab.getByRole("button", { name: "Cancel" }).click();
    await expect(tab.getByText("It was cancelled.")).toBeVisible();
    await expect(tab.getByRole("button", { name: "Tag this scene" })).toBeEnabled();
  } finally {
    await library.reset();
  }
});

test("an accepted tag is on the scene at once, and gone after undo", async ({ page, library }) => {
  const { id, tab } = await open(page, library, FIVE);
  await tab.getByRole("button", { name: "Accept Dark" }).click();
  await expect(tab.getByText("Accepted, and on the scene")).toBeVisible();
  expect(await library.tags(id)).toContain("Dark");
  await page.getByRole("tab", { name: "Details", exact: true }).click();
  await expect(page.getByRole("link", { name: "Dark", exact: true })).toBeVisible();
  await page.getByRole("tab", { name: "Sense", exact: true }).click();
  await tab.getByRole("button", { name: "Undo", exact: true }).click();
  await expect(tab.getByRole("button", { name: "Accept Dark" })).toBeVisible();
  await expect.poll(() => library.tags(id)).not.toContain("Dark");
});

test("a refused one is folded away and stays refused, with a way back", async ({
  page,
  library,
}) => {
  const { tab } = await open(page, library, FIVE);
  await tab.getByRole("button", { name: "Refuse Still Picture" }).click();
  await expect(tab.getByText("Refused (1)")).toBeVisible();
  await expect(tab.getByText("Refused Still Picture")).toBeVisible();
  await page.reload();
  await page.getByRole("tab", { name: "Sense", exact: true }).click();
  await tab.getByText("Refused (1)").click();
  await tab.getByRole("button", { name: "Undo refused Still Picture" }).click();
  await expect(tab.getByRole("button", { name: "Accept Still Picture" })).toBeVisible();
  await expect(tab.getByText(/^Refused \(/)).toHaveCount(0);
});

test("the keyboard says all of it, and Stash's own keys stay quiet", async ({ page, library }) => {
  const { id, tab } = await open(page, library, FIVE);
  const heads = tab.locator("[data-sense-row]");
  await heads.first().focus();
  const first = (await heads.first().locator(".badge").textContent()) ?? "";
  await page.keyboard.press("j");
  await expect(heads.nth(1)).toBeFocused();
  await page.keyboard.press("k");
  await expect(heads.first()).toBeFocused();
  await page.keyboard.press("a");
  await expect(tab.getByRole("status").filter({ hasText: `Accepted ${first}` })).toBeVisible();
  await expect(heads.nth(1)).toBeFocused();
  const second = (await heads.nth(1).locator(".badge").textContent()) ?? "";
  await page.keyboard.press("r");
  await expect(tab.getByRole("status").filter({ hasText: `Refused ${second}` })).toBeVisible();
  await page.keyboard.press("u");
  await expect(tab.getByRole("status").filter({ hasText: `Undone: ${second}` })).toBeVisible();
  await page.keyboard.press("u");
  await expect(tab.getByRole("status").filter({ hasText: `Undone: ${first}` })).toBeVisible();
  await expect.poll(() => library.tags(id)).not.toContain(first);
  // `a` and `k` are Stash's keys for other tabs.
  await expect(page.getByRole("tab", { name: "Sense", exact: true })).toHaveAttribute(
    "aria-selected",
    "true",
  );
});

test("all above the slider are shown, accepted and undone", async ({ page, library }) => {
  const { id, tab } = await open(page, library, FIVE);
  const before = await library.tags(id);
  await tab.getByRole("slider", { name: "Least confidence to accept" }).fill("0");
  await tab.getByRole("button", { name: /^Accept all above 0% \(\d+\)$/ }).click();
  await expect(tab.getByRole("status").filter({ hasText: /^Accepted \d+ sugg/ })).toBeVisible();
  await expect.poll(async () => (await library.tags(id)).length).toBeGreaterThan(before.length + 2);
  await tab.getByRole("button", { name: "Undo", exact: true }).click();
  await expect(tab.getByRole("status").filter({ hasText: /^Undone: \d+ sugg/ })).toBeVisible();
  await expect.poll(async () => (await library.tags(id)).sort()).toEqual(before.sort());
});

test("what is done by keys leaves the keys where they go on", async ({ page, library }) => {
  const { id, tab } = await open(page, library, FIVE);
  const before = await library.tags(id);
  await tab.getByRole("slider", { name: "Least confidence to accept" }).fill("0");
  await tab.getByRole("button", { name: /^Accept all above 0%/ }).focus();
  await page.keyboard.press("Enter");
  await said(tab, "Accepted");
  await expect(tab.locator("[data-sense-row]:focus")).toHaveCount(1);
  await page.keyboard.press("u");
  await said(tab, "Undone:");
  await expect.poll(async () => (await library.tags(id)).sort()).toEqual(before.sort());

  const rows = tab.locator("[data-sense-row]");
  await rows.first().focus();
  for (let left = await rows.count(); left > 0; left = await rows.count()) {
    const sent = answered(page, "refuse");
    await page.keyboard.press("r");
    await expect.poll(() => rows.count()).toBeLessThan(left);
    await sent;
  }
  const folded = tab.getByText(/^Refused \(\d+\)$/);
  await expect(folded).toBeFocused();
  const back = answered(page, "unsay");
  await page.keyboard.press("u");
  await said(tab, "Undone:");
  await expect(tab.locator("[data-sense-row]:focus")).toHaveCount(1);
  await back;
});

test("the button that tags a scene keeps the focus, and has it back from Cancel", async ({
  page,
  library,
}) => {
  await library.configure(MORE_FRAMES);
  try {
    const { tab } = await open(page, library, LONG);
    const button = tab.getByRole("button", { name: "Tag this scene" });
    await button.focus();
    await page.keyboard.press("Enter");
    const cancel = tab.getByRole("button", { name: "Cancel", exact: true });
    await expect(cancel).toBeEnabled();
    await expect(button).toBeFocused();
    await cancel.focus();
    await page.keyboard.press("Enter");
    await expect(tab.getByText("It was cancelled.")).toBeVisible();
    await expect(button).toBeFocused();
  } finally {
    await library.reset();
  }
});

test("a range is hit by a finger beside what is seen of it", async ({ page, library }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const { tab } = await open(page, library, LONG);
  const track = tab.locator(".sense-timeline-track").first();
  await track.scrollIntoViewIfNeeded();
  const hits = await track.evaluate((each) => {
    const button = each.querySelector(".sense-timeline-range") as HTMLElement;
    // As the shortest are drawn, in the middle of its scene.
    Object.assign(button.style, { left: "50%", width: "0" });
    const { left, top, width, height } = button.getBoundingClientRect();
    const [x, y] = [left + width / 2, top + height / 2];
    const at = (dx: number, dy: number) => document.elementFromPoint(x + dx, y + dy) === button;
    return [width, at(10, 0), at(-10, 0), at(0, 11), at(0, -11), at(20, 0)];
  });
  expect(hits).toEqual([3, true, true, true, true, false]);
});

/** Wait until it is done, and told. */
async function said(tab: Locator, words: string): Promise<void> {
  await expect(tab.getByRole("status").filter({ hasText: words })).toBeVisible();
}

/** Until what the page asks of the plugin next, in this mode, has been answered. */
function answered(page: Page, mode: string): Promise<unknown> {
  return page.waitForResponse((response) => {
    const asked: { variables?: { args?: { mode?: string } } } | null = response
      .request()
      .postDataJSON();
    return asked?.variables?.args?.mode === mode;
  });
}

/** The times of a scene's markers of one tag. */
async function markersOf(library: Library, scene: string, tag: string): Promise<number[]> {
  const { findScene } = await library.graphql<{
    findScene: { scene_markers: { seconds: number; primary_tag: { name: string } }[] };
  }>("query ($id: ID!) { findScene(id: $id) { scene_markers { seconds primary_tag { name } } } }", {
    id: scene,
  });
  const own = findScene.scene_markers.filter(({ primary_tag }) => primary_tag.name === tag);
  return own.map(({ seconds }) => seconds);
}

test("markers are accepted with their tag, and undone with it", async ({ page, library }) => {
  const { id, tab } = await open(page, library, FIVE);
  const group = tab.getByRole("region", { name: "Markers" });
  const head = group.getByRole("button", { name: /^Markers of Dark/ });
  await expect(head).toHaveAttribute("aria-expanded", "false");
  await group.getByRole("button", { name: "Accept markers of Dark, and the tag" }).click();
  await said(tab, "Accepted Dark and its markers");
  const written = await markersOf(library, id, "Dark");
  expect(written.length).toBeGreaterThan(0);
  expect(await library.tags(id)).toContain("Dark");
  await head.click();
  await expect(group.getByRole("button", { name: /^Play from/ })).toHaveCount(written.length);
  await tab.getByRole("button", { name: "Undo", exact: true }).click();
  await said(tab, "Undone: Dark and its markers");
  expect(await markersOf(library, id, "Dark")).toEqual([]);
  expect(await library.tags(id)).not.toContain("Dark");
});

test("markers are refused without their tag, and come back", async ({ page, library }) => {
  await library.configure(WITH_MARKERS);
  try {
    const { id, tab } = await open(page, library, FIVE);
    const group = tab.getByRole("region", { name: "Markers" });
    await expect(group.getByText("Come with the tag when it is accepted").first()).toBeVisible();
    await tab.getByRole("button", { name: "Accept Dark", exact: true }).click();
    await said(tab, "Accepted Dark");
    await expect(group.getByText("On the scene, written by Stash Sense")).toBeVisible();
    const written = await markersOf(library, id, "Dark");
    expect(written.length).toBeGreaterThan(0);

    await group.getByRole("button", { name: "Refuse markers of Dark" }).click();
    await said(tab, "Refused markers of Dark");
    expect(await markersOf(library, id, "Dark")).toEqual([]);
    expect(await library.tags(id)).toContain("Dark");
    await page.reload();
    await page.getByRole("tab", { name: "Sense", exact: true }).click();
    await tab.getByText("Refused (1)").click();
    await tab.getByRole("button", { name: "Undo refused markers of Dark" }).click();
    await said(tab, "Undone: markers of Dark");
    expect(await markersOf(library, id, "Dark")).toEqual(written);
    expect(await library.tags(id)).toContain("Dark");
  } finally {
    await library.reset();
  }
});

test("keys reach the frames and ranges of a row, and play from there", async ({
  page,
  library,
}) => {
  const { tab } = await open(page, library, LONG);
  const rows = tab.locator("li.sense-row").filter({ has: page.locator(".sense-timeline-range") });
  const range = rows.last().locator(".sense-timeline-range").last();
  await rows.last().locator("[data-sense-row]").focus();
  const stops = await rows.last().locator("button, a").count();
  for (let i = 0; i < stops; i++) {
    if (await range.evaluate((each) => each === document.activeElement)) break;
    await page.keyboard.press("ArrowRight");
  }
  await expect(range).toBeFocused();
  const [minutes = 0, seconds = 0] = ((await range.getAttribute("title")) ?? "")
    .split(" to ")[0]
    ?.split(":")
    .map(Number) ?? [0, 0];
  await page.keyboard.press("Enter");
  const at = () => page.evaluate(() => document.querySelector("video")?.currentTime ?? -1);
  await expect.poll(at).toBeGreaterThanOrEqual(minutes * 60 + seconds - 1);
  await page.keyboard.press("ArrowLeft");
  await expect(tab.getByRole("button", { name: /^Play/ }).and(page.locator(":focus"))).toHaveCount(
    1,
  );
});

test("a click on a frame plays from there", async ({ page, library }) => {
  const { tab } = await open(page, library, LONG);
  const frames = tab.getByRole("button", { name: /^Play from/ });
  await expect(frames.first()).toBeVisible();
  const names = await frames.evaluateAll((all) => all.map((each) => each.ariaLabel ?? ""));
  const late = names.filter((name) => name !== "Play from 0:00").at(-1) ?? "none but the first";
  const [minutes = 0, seconds = 0] = late.replace("Play from ", "").split(":").map(Number);
  await tab.getByRole("button", { name: late, exact: true }).first().click();
  const at = () => page.evaluate(() => document.querySelector("video")?.currentTime ?? -1);
  await expect.poll(at).toBeGreaterThanOrEqual(minutes * 60 + seconds - 1);
});

test("the frames that show why are pictures", async ({ page, library }) => {
  const { tab } = await open(page, library, LONG);
  const drawn = tab.locator(".sense-frame-tile, .sense-frame-image img");
  await expect(drawn.first()).toBeVisible();
});

test("hostile names are text", async ({ page, library, complaints }) => {
  const { id, tab } = await open(page, library, FIVE);
  // The user's own tag goes by this name, and has ours as an alias.
  await tab.getByRole("button", { name: `Accept ${HOSTILE_TAG}`, exact: true }).click();
  await expect(tab.getByText("Accepted, and on the scene")).toBeVisible();
  expect(await library.tags(id)).toContain(HOSTILE_TAG);
  await page.getByRole("tab", { name: "Details", exact: true }).click();
  await expect(page.getByRole("link", { name: HOSTILE_TAG })).toBeVisible();
  await open(page, library, "medley.mp4");
  await expect(page.locator("script:text('hacked'), img[src=x]")).toHaveCount(0);
  expect(complaints).toEqual([]);
});

for (const light of [false, true]) {
  test(`nothing is wider than a phone${light ? " in a light theme" : ""}`, async ({
    page,
    library,
  }) => {
    await page.setViewportSize({ width: 390, height: 844 });
    const { tab } = await open(page, library, FIVE);
    if (light) await wearLight(page);
    await expect(tab.getByRole("button", { name: "Accept Dark" })).toBeVisible();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBeLessThanOrEqual(390);
  });
}
