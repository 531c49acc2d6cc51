/** Frames of scenes for evidence: asked for together, and kept while the page is open. */
import { operate, type Shapes } from "../stash/calls";
import { BASE } from "../stash/plugin_api";

export interface Picture extends Pick<Shapes["Picture"], "tile" | "data"> {
  /** Why there is none. */
  note: string;
}

/** As many as one call may ask for. */
const MOST = 24;
/** Each call is a process of its own: what the user says must not wait behind a dozen. */
const AT_ONCE = 2;
/** A strip's neighbours ask in the same moment. */
const WAIT_MS = 40;
/** Some 10 kB each. */
const KEPT = 600;
const WIDTH_PX = 240;

interface Wanted {
  time_s: number;
  give(picture: Picture): void;
  fail(why: unknown): void;
}

const kept = new Map<string, Promise<Picture>>();
const waiting = new Map<string, Wanted[]>();
/** Calls that are under way, and those that have still to begin. */
let calls = 0;
const line: (() => Promise<void>)[] = [];

/** The frame of a scene at a time. Raises SenseError. */
export function picture(sceneId: string, time_s: number): Promise<Picture> {
  const key = `${sceneId} ${time_s.toFixed(2)}`;
  const known = kept.get(key);
  if (known) return known;
  const asked = new Promise<Picture>((give, fail) => {
    const wanted = waiting.get(sceneId) ?? [];
    if (wanted.length === 0) {
      waiting.set(sceneId, wanted);
      window.setTimeout(() => queue(() => fetchAll(sceneId)), WAIT_MS);
    }
    wanted.push({ time_s, give, fail });
  });
  kept.set(key, asked);
  // What failed or is not there is asked for again by the next one who shows it.
  asked.then(
    ({ tile, data }) => tile === null && data === null && kept.delete(key),
    () => kept.delete(key),
  );
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT) break;
    kept.delete(oldest);
  }
  return asked;
}

/** Forget a scene's frames: it was looked at again, or its file is another one. */
export function forgetPictures(sceneId: string): void {
  for (const key of [...kept.keys()]) if (key.startsWith(`${sceneId} `)) kept.delete(key);
}

function queue(call: () => Promise<void>): void {
  line.push(call);
  if (calls < AT_ONCE) void work();
}

async function work(): Promise<void> {
  calls += 1;
  // What came into sight last is what is looked at now.
  for (let call = line.pop(); call !== undefined; call = line.pop()) await call();
  calls -= 1;
}

async function fetchAll(sceneId: string): Promise<void> {
  const wanted = waiting.get(sceneId) ?? [];
  waiting.delete(sceneId);
  for (let start = 0; start < wanted.length; start += MOST) {
    const part = wanted.slice(start, start + MOST);
    try {
      const { pictures, note } = await operate("pictures", {
        scene_id: sceneId,
        times_s: part.map((each) => each.time_s),
        width_px: WIDTH_PX,
      });
      for (const [i, each] of part.entries()) {
        const { tile = null, data = null } = pictures[i] ?? {};
        each.give({ tile, data, note });
      }
    } catch (why) {
      for (const each of part) each.fail(why);
    }
  }
}

/** The address of a picture in a reply, or nothing where it is none that may be shown. */
export function dataAddress(data: string | null): string | undefined {
  return data !== null && /^data:image\/(jpeg|png|webp);base64,[A-Za-z0-9+/=]+$/.test(data)
    ? data
    : undefined;
}

/** The address of a sheet of Stash's own, or nothing where it leads elsewhere. */
export function sheetAddress(path: string): string | undefined {
  if (!/^\/(?!\/)/.test(path) || path.includes("\\")) return undefined;
  const escaped = path.replace(/["'()\s<>]/g, (sign) => `%${hex(sign)}`);
  return BASE !== "" && path.startsWith(`${BASE}/`) ? escaped : `${BASE}${escaped}`;
}

function hex(sign: string): string {
  return (sign.codePointAt(0) ?? 32).toString(16).toUpperCase().padStart(2, "0");
}
