/** Ten thousand suggestions: how long the page is busy at a stretch while they fly past. */
import { expect, type Page, test } from "@playwright/test";
import { start } from "./stash";

const ROWS = 10_000;
const SCENES = 40;
const LIMIT_MS = 50;
/** The machine is quiet where the page's own thread had the processor for all but this of its
 * time: on two cores that draw without a graphics card, some 0.38 is the least there is. */
const QUIET = 0.4;
/** Two to three rows a frame, a hundred and fifty a second: faster than anyone reads. */
const STEP_PX = 300;
const KEYS = ["j", "a", "k", "r", "u", "a"];

interface Asked {
  mode: string;
  after?: string;
  limit?: number;
  times_s?: number[];
}

function suggestion(i: number) {
  const score = 0.99 - (i / ROWS) * 0.5;
  return {
    scene_id: String((i % SCENES) + 1),
    title: `Scene ${i} of ten thousand`,
    source: `/library/${i}.mp4`,
    kind: "tag",
    name: "Beach",
    label: "beach",
    target_id: String(i),
    confidence: score,
    decision: "ASK",
    said: null,
    in_stash: "absent",
    duration_s: 600,
    ranges: Array.from({ length: 1 + (i % 12) }, (_, at) => ({
      start_s: at * 45,
      end_s: at * 45 + 20,
      score,
    })),
    evidence: Array.from({ length: 5 }, (_, at) => ({
      time_s: at * 97 + (i % 90),
      score,
      detector: "clip",
      model: "clip-vit-b32@1",
      box: null,
      text: null,
    })),
  };
}

/** One tile of a sheet for each moment: what a library with sprites answers. */
function picture(time_s: number) {
  const tile = { path: "/scene/1/screenshot", x: 0, y: 0, width: 160, height: 90 };
  return { time_s, tile: { ...tile, sheet_width: 1440, sheet_height: 810 }, data: null };
}

function told(asked: Asked): unknown {
  switch (asked.mode) {
    case "counts":
      return {
        tags: [{ kind: "tag", name: "Beach", ask: ROWS, apply: 0, refused: 0 }],
        next: null,
      };
    case "suggestions": {
      const from = Number(asked.after ?? 0);
      const to = Math.min(ROWS, from + (asked.limit ?? 50));
      const suggestions = Array.from({ length: to - from }, (_, i) => suggestion(from + i));
      return { suggestions, next: to < ROWS ? String(to) : null };
    }
    case "pictures":
      return { pictures: (asked.times_s ?? []).map(picture), note: "" };
    default:
      return { failed: 0, failures: [], left: [] };
  }
}

async function answerItself(page: Page) {
  await page.route("**/graphql", async (route) => {
    const asked = route.request().postDataJSON()?.variables?.args as Asked | undefined;
    if (asked?.mode === undefined) return route.continue();
    return route.fulfill({ json: { data: { runPluginOperation: told(asked) } } });
  });
}

interface Traced {
  name: string;
  ts: number;
  dur?: number;
  tdur?: number;
  pid: number;
  tid: number;
  args?: { name?: string };
}

interface Tasks {
  /** The long tasks as the browser itself tells them, by the clock: a busy machine is in them. */
  long_ms: readonly number[];
  /** What the processor did for the page in its longest task. */
  processor_ms: number;
  /** The share of all tasks' time in which the processor did something else: 0..1. */
  kept_waiting: number;
}

/** Do something, and tell how long the page's own thread was busy at a stretch meanwhile. */
async function traced(page: Page, act: () => Promise<void>): Promise<Tasks> {
  const session = await page.context().newCDPSession(page);
  const events: Traced[] = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...(value as never[])));
  const ended = new Promise<void>((done) => session.once("Tracing.tracingComplete", () => done()));
  await watch(page);
  const categories = "devtools.timeline,disabled-by-default-devtools.timeline";
  await session.send("Tracing.start", { categories, transferMode: "ReportEvents" });
  await act();
  await session.send("Tracing.end");
  await ended;
  const { pid, tid } = busiest(events);
  const tasks = events.filter((each) => isTask(each) && each.pid === pid && each.tid === tid);
  const sum = (of: "dur" | "tdur") => tasks.reduce((all, each) => all + (each[of] ?? 0), 0);
  return {
    long_ms: await longTasks(page),
    processor_ms: tasks.reduce((most, { tdur = 0 }) => Math.max(most, tdur / 1000), 0),
    kept_waiting: 1 - sum("tdur") / sum("dur"),
  };
}

function isTask({ name }: Traced): boolean {
  return name === "RunTask" || name === "ThreadControllerImpl::RunTask";
}

/** The thread of the page: the one that runs its scripts most. */
function busiest(events: readonly Traced[]): Traced {
  const spent = new Map<string, { of: Traced; dur: number }>();
  for (const each of events) {
    if (each.name !== "FunctionCall" && each.name !== "FireAnimationFrame") continue;
    const key = `${each.pid} ${each.tid}`;
    spent.set(key, { of: each, dur: (spent.get(key)?.dur ?? 0) + (each.dur ?? 0) });
  }
  const [first] = [...spent.values()].sort((a, b) => b.dur - a.dur);
  if (first === undefined) throw new Error("Chromium traced no script");
  return first.of;
}

/** What the browser itself calls a long task is over 50 ms. */
async function watch(page: Page) {
  await page.evaluate(() => {
    const seen: number[] = [];
    Object.assign(window, { longTasks: seen });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) seen.push(entry.duration);
    }).observe({ entryTypes: ["longtask"] });
  });
}

/** Scroll to the very end, a step each frame, as the list grows; how deep, and the most rows. */
async function fling(step: number): Promise<{ depth: number; most: number }> {
  const scroll = document.querySelector(".sense-review-scroll");
  if (scroll === null) throw new Error("There is no list");
  let most = 0;
  let still = 0;
  for (let frame = 0; still < 120; frame++) {
    const before = scroll.scrollTop;
    scroll.scrollTop += step;
    still = scroll.scrollTop === before ? still + 1 : 0;
    await new Promise((drawn) => requestAnimationFrame(drawn));
    if (frame % 10 === 0) most = Math.max(most, scroll.querySelectorAll("[data-row]").length);
  }
  return { depth: Math.round(scroll.scrollTop), most };
}

const longTasks = (page: Page) =>
  page.evaluate(() => (window as unknown as { longTasks: number[] }).longTasks.splice(0));

function say(what: string, { long_ms, processor_ms, kept_waiting }: Tasks, rows: number) {
  const clock = long_ms.length > 0 ? long_ms.map(Math.round).join(", ") : "none";
  const asserted =
    kept_waiting <= QUIET ? "and none may be" : "and not asserted, as the machine is busy";
  console.log(
    `${what}: longest task ${processor_ms.toFixed(0)} ms of the processor, of ${LIMIT_MS} allowed;` +
      ` the browser's own long tasks, in ms by the clock: ${clock}, ${asserted}` +
      ` (the page was kept waiting ${(kept_waiting * 100).toFixed(0)}% of its time);` +
      ` ${rows} rows in the page`,
  );
}

/**
 * No task of over 50 ms: by the processor always; by the clock, as the browser has it, where the
 * machine left the page its processor. On a busy one the clock measures the others.
 */
function expectNoLongTask(what: string, { long_ms, processor_ms, kept_waiting }: Tasks) {
  expect(processor_ms, what).toBeLessThanOrEqual(LIMIT_MS);
  if (kept_waiting <= QUIET) expect(long_ms, what).toEqual([]);
}

test("scrolling and answering in ten thousand rows", async ({ page }) => {
  const named = process.env.SENSE_STASH?.replace(/\/$/, "");
  const started = named ? undefined : await start();
  try {
    await answerItself(page);
    await page.goto(`${named ?? started?.url}/plugins/stash-sense?by=tag&tag=Beach`);
    const rows = page.locator("[role=listitem][data-row]");
    await rows.first().waitFor();
    await page.waitForTimeout(1000);

    let flung = { depth: 0, most: 0 };
    const scrolling = await traced(page, async () => {
      flung = await page.evaluate(fling, STEP_PX);
    });
    say(`scrolled ${flung.depth} px down`, scrolling, flung.most);

    await page.waitForTimeout(1000);
    await rows.nth(5).focus();
    const answering = await traced(page, async () => {
      for (let i = 0; i < 200; i++) await page.keyboard.press(KEYS[i % KEYS.length] ?? "j");
    });
    say("200 keys", answering, await rows.count());

    expect(flung.most).toBeLessThan(60);
    expectNoLongTask("scrolling", scrolling);
    expectNoLongTask("answering", answering);
  } finally {
    await started?.end();
  }
});
