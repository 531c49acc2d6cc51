/** A Stash to test in: the stand-in that is started for it, or the one that SENSE_STASH names. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { BUILT } from "./build";

const ROOT = join(import.meta.dirname, "..", "..");
const POLL_MS = 250;
const ENDS_MS = 30_000;

/** What is asked for in tests; the plugin's own id where it is installed under its own name. */
export const PLUGIN = "stash-sense";

const CHOICES = { preset: "fast", suggest_only: true, frames: 12, text_frames: 4 };
/** What the small clips are looked at for: the picture's facts alone, which takes no model. */
const FACTS_ONLY = { skip_text: true, skip_objects: true, skip_labels: true, skip_acts: true };

export const HOSTILE_TITLE = `<img src=x onerror="window.hacked=1"> "; rm -rf \u202Eelif\u202C`;
export const HOSTILE_TAG = `<script>window.hacked=1</script> & "quoted" \u0645\u0631\u062D\u0628\u0627`;

export interface SceneNamed {
  id: string;
  title: string;
  /** Its file's name. */
  file: string;
}

interface Answer<T> {
  data?: T;
  errors?: { message: string }[];
}

export class Library {
  constructor(readonly url: string) {}

  /** Ask Stash. Raises its own words. */
  async graphql<T = Record<string, unknown>>(
    query: string,
    variables: Record<string, unknown> = {},
  ): Promise<T> {
    const answer = await fetch(`${this.url}/graphql`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await answer.json()) as Answer<T>;
    if (errors?.[0]) throw new Error(errors[0].message);
    if (data === undefined) throw new Error(`${this.url} gave no answer`);
    return data;
  }

  /** Ask the plugin for one thing, as its pages do. */
  async operate<T = Record<string, unknown>>(mode: string, args: object = {}): Promise<T> {
    const { runPluginOperation } = await this.graphql<{ runPluginOperation: T }>(
      "mutation ($plugin: ID!, $args: Map) { runPluginOperation(plugin_id: $plugin, args: $args) }",
      { plugin: PLUGIN, args: { ...args, mode } },
    );
    return runPluginOperation;
  }

  /** Run a task of the plugin in Stash's queue, to its end. */
  async task(mode: string, args: object = {}): Promise<void> {
    await this.graphql(
      "mutation ($plugin: ID!, $args: Map) { runPluginTask(plugin_id: $plugin, args_map: $args) }",
      { plugin: PLUGIN, args: { ...args, mode } },
    );
    await this.idle();
  }

  /** Wait until Stash's queue is empty. */
  async idle(): Promise<void> {
    for (;;) {
      const { jobQueue } = await this.graphql<{ jobQueue: unknown[] | null }>(
        "{ jobQueue { id } }",
      );
      if (!jobQueue?.length) return;
      await new Promise((done) => setTimeout(done, POLL_MS));
    }
  }

  /** Every scene, by its id. */
  async scenes(): Promise<SceneNamed[]> {
    const { findScenes } = await this.graphql<{
      findScenes: { scenes: { id: string; title: string; files: { basename: string }[] }[] };
    }>(
      `{ findScenes(filter: {per_page: -1, sort: "id", direction: ASC}) {
        scenes { id title files { basename } } } }`,
    );
    return findScenes.scenes.map(({ id, title, files }) => ({
      id,
      title,
      file: files[0]?.basename ?? "",
    }));
  }

  /** The scene of a file. */
  async scene(file: string): Promise<SceneNamed> {
    const found = (await this.scenes()).find((scene) => scene.file === file);
    if (found === undefined) throw new Error(`${this.url} has no scene of ${file}`);
    return found;
  }

  /** The names of a scene's tags. */
  async tags(scene: string): Promise<string[]> {
    const { findScene } = await this.graphql<{ findScene: { tags: { name: string }[] } }>(
      "query ($id: ID!) { findScene(id: $id) { tags { name } } }",
      { id: scene },
    );
    return findScene.tags.map(({ name }) => name);
  }

  /** Replace all that the user set for the plugin. */
  async configure(input: object): Promise<void> {
    await this.graphql(
      "mutation ($plugin: ID!, $input: Map!) { configurePlugin(plugin_id: $plugin, input: $input) }",
      { plugin: PLUGIN, input },
    );
  }

  /** The settings that the tests begin with. */
  async reset(): Promise<void> {
    await this.configure(CHOICES);
  }
}

const WANTED = 200;

async function waiting(library: Library): Promise<number> {
  const { tags } = await library.operate<{ tags: { ask: number }[] }>("counts");
  return tags.reduce((sum, { ask }) => sum + ask, 0);
}

/** Scan, name, and look at every scene, so that there are two hundred suggestions and more. */
export async function prepare(library: Library): Promise<void> {
  await scan(library);
  await nameThings(library);
  await library.reset();
  // A Stash that was tried before may still have enough of them.
  if ((await waiting(library)) < WANTED) await look(library);
  const found = await waiting(library);
  if (found >= WANTED) return;
  throw new Error(`${found} suggestions wait in ${library.url}, and ${WANTED} are needed`);
}

async function scan(library: Library): Promise<void> {
  await library.graphql("mutation { metadataScan(input: {scanGenerateCovers: true}) }");
  await library.idle();
}

async function look(library: Library): Promise<void> {
  const scenes = await library.scenes();
  const ids = (small: boolean) =>
    scenes.filter(({ file }) => isSmall(file) === small).map(({ id }) => id);
  await library.graphql(
    "mutation ($ids: [ID!]) { metadataGenerate(input: {sprites: true, sceneIDs: $ids}) }",
    { ids: ids(false) },
  );
  await library.idle();
  await library.task("tag_scenes", { ids: ids(false) });
  await library.configure({ ...CHOICES, ...FACTS_ONLY });
  await library.task("tag_scenes", { ids: ids(true) });
  await library.reset();
}

/** Drawn in many kinds: their names say what is in them. */
function isSmall(file: string): boolean {
  return /-(vertical|grey|dark|boxed|still)/.test(file);
}

/** A scene whose title, and a tag whose name, are text and nothing else; a studio to be found. */
async function nameThings(library: Library): Promise<void> {
  const { id } = await library.scene("medley.mp4");
  await library.graphql(
    "mutation ($input: SceneUpdateInput!) { sceneUpdate(input: $input) { id } }",
    {
      input: { id, title: HOSTILE_TITLE },
    },
  );
  // What we would call Letterboxed goes by the name that the user has for it.
  const tag = await made(library, "Tag", { name: HOSTILE_TAG, aliases: ["Letterboxed"] });
  await library.graphql(
    "mutation ($input: BulkSceneUpdateInput!) { bulkSceneUpdate(input: $input) { id } }",
    { input: { ids: [id], tag_ids: { ids: [tag], mode: "ADD" } } },
  );
  await made(library, "Studio", { name: "Northlight Studio", aliases: ["NL Studios"] });
}

/** The id of a tag or studio of that name, which is made where there is none. */
async function made(
  library: Library,
  kind: "Tag" | "Studio",
  input: { name: string; aliases: string[] },
): Promise<string> {
  const [many, create] = [`${kind.toLowerCase()}s`, `${kind.toLowerCase()}Create`];
  const { found } = await library.graphql<{
    found: Record<string, { id: string; name: string }[]>;
  }>(`{ found: find${kind}s(filter: {per_page: -1}) { ${many} { id name } } }`);
  const known = found[many]?.find(({ name }) => name === input.name);
  if (known !== undefined) return known.id;
  const { created } = await library.graphql<{ created: { id: string } }>(
    `mutation ($input: ${kind}CreateInput!) { created: ${create}(input: $input) { id } }`,
    { input },
  );
  return created.id;
}

export interface Started {
  url: string;
  end(): Promise<void>;
}

/** What a library is like that is started for a test: see demo/states.py. */
export type State = "sample" | "new" | "many" | "hostile";

/** Start the stand-in with the pages that were built just now; it ends with this process. */
export async function start(state: State = "sample"): Promise<Started> {
  const own = join(ROOT, ".venv", "bin", "python");
  const python = process.env.SENSE_PYTHON ?? (existsSync(own) ? own : "python3");
  const folder = process.env[BUILT];
  const built = folder === undefined ? [] : ["--ui", folder];
  const serving = spawn(python, ["-m", "demo.states", state, ...built], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const url = await firstLine(serving);
  return { url, end: () => ended(serving) };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("exit", (status) => fail(new Error(`demo.states ended with ${status}`)));
    if (child.stdout) createInterface(child.stdout).once("line", done);
  });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), ENDS_MS);
    child.removeAllListeners("exit");
    child.once("exit", () => {
      clearTimeout(timer);
      done();
    });
    child.stdin?.end();
  });
}
