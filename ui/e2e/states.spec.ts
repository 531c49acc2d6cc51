/** Our pages where something is missing: the worker, what Set up makes, Stash itself, scenes. */
import type { Page, Route } from "@playwright/test";
import { expect, HOSTILE_TAG, HOSTILE_TITLE, OWN_STASH, test } from "./fixtures";

const PAGES = ["", "/dashboard", "/settings"].map((path) => `/plugins/stash-sense${path}`);

interface Asked {
  operationName?: string;
  variables?: { args?: Record<string, unknown> };
}

/** Answer calls of the plugin in Stash's place: what `answer` leaves goes through. */
async function answerInstead(
  page: Page,
  answer: (mode: string, route: Route) => Promise<void> | undefined,
): Promise<void> {
  await page.route("**/graphql", async (route) => {
    const asked = route.request().postDataJSON() as Asked | null;
    const mode = String(asked?.variables?.args?.mode ?? "");
    const isOurs = asked?.operationName === "Operate" || asked?.operationName === "RunTask";
    await ((isOurs ? answer(mode, route) : undefined) ?? route.fallback());
  });
}

const refused = (route: Route, message: string) =>
  route.fulfill({ json: { data: null, errors: [{ message }] } });
const told = (route: Route, output: unknown) =>
  route.fulfill({ json: { data: { runPluginOperation: output } } });

const SETTING_UP = {
  __typename: "Job",
  id: "4711",
  status: "RUNNING",
  description: "Stash Sense: Set up",
  progress: null,
  error: null,
  subTasks: null,
};

test("where nothing is set up one button does it, on each page", async ({ page }) => {
  const tasks: string[] = [];
  await answerInstead(page, (mode, route) => {
    if (mode !== "set_up") {
      return refused(route, "Stash Sense is not set up yet: run the task Set up");
    }
    tasks.push(mode);
    return route.fulfill({ json: { data: { runPluginTask: "4711" } } });
  });
  // Stash's queue is asked as well: what is not in it has ended.
  await page.route("**/graphql", (route) => {
    const asked = route.request().postDataJSON() as Asked | null;
    if (asked?.operationName !== "Queue") return route.fallback();
    return route.fulfill({ json: { data: { jobQueue: tasks.map(() => SETTING_UP) } } });
  });
  for (const path of PAGES.slice(0, 2)) {
    await page.goto(path);
    await expect(page.getByText("Stash Sense is not ready yet").first()).toBeVisible();
  }
  // The settings can be changed before.
  await page.goto("/plugins/stash-sense/settings");
  await expect(page.getByLabel("Suggest only", { exact: true })).toBeVisible();
  await expect(page.getByText(/The list of models cannot be had now/)).toBeVisible();
  await page.goto("/plugins/stash-sense");
  await page.getByRole("button", { name: "Set up", exact: true }).click();
  await expect(page.getByRole("progressbar", { name: "Setting up" })).toBeVisible();
  expect(tasks).toEqual(["set_up"]);
});

test("a scene's page stands where nothing is set up", async ({ page, library }) => {
  await answerInstead(page, (_, route) =>
    refused(route, "Stash Sense is not set up yet: run the task Set up"),
  );
  const [scene] = await library.scenes();
  await page.goto(`/scenes/${scene?.id}`);
  await page.getByRole("tab", { name: "Sense", exact: true }).click();
  await expect(page.getByRole("button", { name: "Set up", exact: true })).toBeVisible();
  await expect(page.getByRole("tab", { name: "Details" })).toBeVisible();
});

test("a worker and a Stash that do not answer are told apart, and come back", async ({ page }) => {
  let fault = "worker";
  await answerInstead(page, (_, route) => {
    if (fault === "worker") {
      return refused(route, "The background process of Stash Sense did not answer for 60 s: see x");
    }
    return fault === "stash" ? route.abort() : undefined;
  });
  await page.goto("/plugins/stash-sense");
  await expect(page.getByText("The background process does not answer").first()).toBeVisible();
  fault = "stash";
  await page.getByRole("button", { name: "Try again" }).first().click();
  await expect(page.getByText("Stash does not answer").first()).toBeVisible();
  fault = "";
  // Asked again by itself.
  await expect(page.getByText("Stash does not answer")).toHaveCount(0);
});

/** What a worker tells of a library without a scene. */
const EMPTY: Record<string, unknown> = {
  overview: {
    version: "0",
    scenes: { in_stash: 0, looked_at: 0, failed: 0, to_do: 0, tagged: 0, errored: 0 },
    suggestions: { ask: 0, apply: 0, refused: 0 },
    coverage: [],
    speed: null,
    workflow: { to_do: "TagMe", tagged: "Tagged", errored: "Errored" },
    complaints: [],
  },
  counts: { tags: [], next: null },
  suggestions: { suggestions: [], next: null },
  errors: { errors: [], next: null },
  runs: { runs: [], next: null },
  jobs: { jobs: [] },
};

/** The words of each page for that; new.spec.ts asks a library that is so. */
const SAID = ["No scene was looked at yet", "Stash has no scenes yet.", "Preset and hardware"];

test("a library without a scene looks right", async ({ page, complaints }) => {
  await answerInstead(page, (mode, route) =>
    EMPTY[mode] === undefined ? undefined : told(route, EMPTY[mode]),
  );
  for (const [place, path] of PAGES.entries()) {
    await page.goto(path);
    await expect(
      page
        .getByRole("main")
        .getByText(SAID[place] ?? "")
        .first(),
    ).toBeVisible();
    await page.waitForLoadState("networkidle");
    await expect(page.locator(".sense-fault, .sense-trouble")).toHaveCount(0);
  }
  expect(complaints).toEqual([]);
});

test("a scene says who did not look at it, and the dashboard what is to be fetched", async ({
  page,
  library,
}) => {
  interface Scene {
    skipped: { detector: string; reason: string; remedy: string }[];
  }
  const { id } = await library.scene("interview.mp4");
  const { skipped } = await library.operate<Scene>("scene", { scene_id: id });
  test.skip(OWN_STASH && skipped.length === 0, "all that is wanted is here");
  expect(skipped.length).toBeGreaterThan(0);
  await page.goto(`/scenes/${id}`);
  await page.getByRole("tab", { name: "Sense", exact: true }).click();
  const tab = page.getByRole("tabpanel").filter({ visible: true });
  await tab.getByText(`(${skipped.length} did not look)`).click();
  for (const { reason, remedy } of skipped) {
    await expect(tab).toContainText(reason);
    await expect(tab).toContainText(remedy);
  }
  await tab.getByRole("link", { name: "See the models on the dashboard" }).click();
  const models = page.getByRole("region", { name: "Models", exact: true });
  await expect(models.getByText(/(is|are) wanted and not here/)).toBeVisible();
  await expect(
    models.getByRole("button", { name: /^Download (it|them) \(\d.* MB.*\)$/ }),
  ).toBeEnabled();
});

test("hostile names are text on each page", async ({ page, complaints }) => {
  const named = { kind: "tag", name: HOSTILE_TAG, ask: 3, apply: 0, refused: 0 };
  const failed = {
    scene_id: "1",
    source: HOSTILE_TITLE,
    run_id: "r",
    failed_at_s: 1.7e9,
    kind: "MediaUnreadable",
    message: HOSTILE_TAG,
    remedy: HOSTILE_TITLE,
  };
  const hostile: Record<string, unknown> = {
    counts: { tags: [named], next: null },
    errors: { errors: [failed], next: null },
  };
  await answerInstead(page, (mode, route) =>
    hostile[mode] === undefined ? undefined : told(route, hostile[mode]),
  );
  for (const path of PAGES.slice(0, 2)) {
    await page.goto(path);
    await expect(page.getByText(HOSTILE_TAG).first()).toBeVisible();
    await page.waitForLoadState("networkidle");
    await expect(page.locator(".sense-pages script, .sense-pages img[src=x]")).toHaveCount(0);
  }
  expect(complaints).toEqual([]);
});

test("no page is wider than a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const path of [...PAGES, "/settings?tab=plugins"]) {
    await page.goto(path);
    await page.locator(".sense-pages, .sense-settings").first().waitFor();
    await page.waitForLoadState("networkidle");
    const over = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(over, path).toBeLessThanOrEqual(0);
  }
});

test("keys lead past the tabs to the content", async ({ page }) => {
  await page.goto("/plugins/stash-sense/settings");
  await page.getByRole("button", { name: /^Preset and hardware/ }).waitFor();
  await page.getByRole("button", { name: "Skip to the content" }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: /^Preset and hardware/ })).toBeFocused();
  await expect(page).toHaveTitle(/^Settings \| Stash Sense \| /);
});
