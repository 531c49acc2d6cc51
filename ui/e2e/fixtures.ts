/** A prepared library behind every test, and a page in it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test as base, expect, type Page } from "@playwright/test";
import { ADDRESS } from "./prepare";
import { Library, type State, start } from "./stash";

export { HOSTILE_TAG, HOSTILE_TITLE, Library, PLUGIN, type SceneNamed } from "./stash";
export { expect };

const LIGHT = readFileSync(join(import.meta.dirname, "..", "page", "light.css"), "utf-8");
const CAST = /^https:\/\/www\.gstatic\.com\/cv\/js\/sender\//;
/** What Stash's own pages ask for although there is none. */
const OWN = /\/scene\/(\d+\/(interactive_heatmap|funscript)|[^/]+_thumbs\.vtt)$/;

interface PerTest {
  /** What the page said to its console as an error, and exceptions that nobody caught. */
  complaints: string[];
}

interface PerWorker {
  library: Library;
}

export const test = base.extend<PerTest, PerWorker>({
  library: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads its names
    async ({}, use) => use(new Library(process.env[ADDRESS] ?? "")),
    { scope: "worker" },
  ],
  baseURL: async ({ library }, use) => use(library.url),
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads its names
  complaints: async ({}, use) => use([]),
  page: async ({ page, library, complaints }, use) => {
    const { host } = new URL(library.url);
    // Stash's own player looks for a Chromecast.
    await page.route(CAST, (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
    const elsewhere: string[] = [];
    const note = (address: string) => {
      const url = new URL(address);
      if (!/^(https?|wss?):$/.test(url.protocol) || CAST.test(address)) return;
      if (url.host !== host) elsewhere.push(address);
    };
    page.on("request", (request) => note(request.url()));
    page.on("websocket", (socket) => note(socket.url()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      const { url } = message.location();
      if (message.type() !== "error" || OWN.test(url)) return;
      complaints.push(`${message.text()} (${url})`);
    });
    await use(page);
    expect(elsewhere, "nothing but Stash is asked").toEqual([]);
    expect(await page.evaluate("window.hacked"), "what is text is never run").toBeUndefined();
  },
});

/** A user's own Stash is not put into such a state. */
export const OWN_STASH = process.env.SENSE_STASH !== undefined;

/** Tests of a library of their own, which is started for them. */
export function inState(state: State) {
  return test.extend<object, PerWorker>({
    library: [
      // biome-ignore lint/correctness/noEmptyPattern: Playwright reads its names
      async ({}, use) => {
        const { url, end } = await start(state);
        try {
          await use(new Library(url));
        } finally {
          await end();
        }
      },
      { scope: "worker", timeout: 300_000 },
    ],
  });
}

/** Stash's messages go after three seconds, and what looks at them may take longer. */
export async function keepMessages(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const begin = window.setTimeout.bind(window);
    const later = (act: TimerHandler, ms = 0, ...rest: unknown[]) =>
      begin(act, ms === 3000 ? 300_000 : ms, ...rest);
    Object.assign(window, { setTimeout: later });
  });
}

/** How many pixels the page is wider than the window. */
export function overhang(page: Page): Promise<number> {
  return page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
}

/** Lay a light theme over the page, as a user's own style sheet does. */
export async function wearLight(page: Page): Promise<void> {
  await page.addStyleTag({ content: LIGHT });
}
