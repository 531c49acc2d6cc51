/** What the user says of suggestions, and Stash's own pages made to show what came of it. */

import { type Mode, type Modes, operate, type SenseError, type Shapes } from "./calls";
import { stash } from "./plugin_api";

export type SuggestionRow = Shapes["SuggestionRow"];
export type Named = Shapes["Named"];
type Verdict = NonNullable<SuggestionRow["said"]>;
export type AcceptTold = Shapes["AcceptTold"];
export type RefuseTold = Shapes["RefuseTold"];
export type UnsayTold = Shapes["UnsayTold"];

/** What of a row names it. */
export type Spoken = Pick<SuggestionRow, "scene_id" | "kind" | "name" | "target_id">;

/** With what was said of it, where that alone is to be taken back. */
export type Unsaid = Spoken & { said?: Verdict | null };

/** Of a reply's failures the first hundred are named: so many to a call, and none stays unnamed. */
const PART = 100;

/** Write what the rows suggest. Raises SenseError where not one of them could be spoken of. */
export async function accept(rows: readonly Spoken[]): Promise<AcceptTold> {
  const none: AcceptTold = { ...NOTHING, accepted: 0, written: 0, there: 0, markers: 0 };
  return inParts("accept", rows, none, (sum, told) => ({
    ...joined(sum, told),
    accepted: sum.accepted + told.accepted,
    written: sum.written + told.written,
    there: sum.there + told.there,
    markers: sum.markers + told.markers,
  }));
}

/** Refuse them, and take back what Stash Sense wrote of them; as `accept`. */
export async function refuse(rows: readonly Spoken[]): Promise<RefuseTold> {
  const none: RefuseTold = {
    ...NOTHING,
    refused: 0,
    taken_back: 0,
    markers: 0,
    not_ours: 0,
    left: [],
  };
  return inParts("refuse", rows, none, (sum, told) => ({
    ...joined(sum, told),
    refused: sum.refused + told.refused,
    taken_back: sum.taken_back + told.taken_back,
    markers: sum.markers + told.markers,
    not_ours: sum.not_ours + told.not_ours,
    left: [...sum.left, ...told.left],
  }));
}

/**
 * Take back what was said of them last; as `accept`. With `said` it may be asked for twice, where
 * a reply was lost: what was said before that stays said.
 */
export async function unsay(rows: readonly Unsaid[]): Promise<UnsayTold> {
  const none: UnsayTold = {
    ...NOTHING,
    unsaid: 0,
    taken_back: 0,
    written: 0,
    markers: 0,
    left: [],
  };
  const add = (sum: UnsayTold, told: UnsayTold): UnsayTold => ({
    ...joined(sum, told),
    unsaid: sum.unsaid + told.unsaid,
    taken_back: sum.taken_back + told.taken_back,
    written: sum.written + told.written,
    markers: sum.markers + told.markers,
    left: [...sum.left, ...told.left],
  });
  return inParts("unsay", rows, none, add, meant);
}

/** Whether nothing came of `unsay` because what was meant is not said, or not any more. */
export function wasNotSaid({ said }: Unsaid, { message }: Pick<Shapes["NotDone"], "message">) {
  return !!said && message === `it is not ${said}`;
}

function meant(row: Unsaid): Shapes["NamedSaid"] {
  return { ...named(row), ...(row.said ? { said: row.said } : {}) };
}

export function named(row: Spoken): Named {
  return {
    scene_id: row.scene_id,
    kind: row.kind,
    name: row.name,
    ...(row.target_id === null ? {} : { target_id: row.target_id }),
  };
}

const NOTHING = { run_id: null, dry_run: false, failed: 0, failures: [] };

type VerdictTold = Pick<AcceptTold, "run_id" | "dry_run" | "failed" | "failures">;

function joined(sum: VerdictTold, told: VerdictTold): VerdictTold {
  return {
    run_id: told.run_id ?? sum.run_id,
    dry_run: told.dry_run,
    failed: sum.failed + told.failed,
    failures: [...sum.failures, ...told.failures],
  };
}

type Saying = Extract<Mode, "accept" | "refuse" | "unsay">;

async function inParts<M extends Saying, R extends Spoken>(
  mode: M,
  rows: readonly R[],
  none: Modes[M]["told"],
  add: (sum: Modes[M]["told"], told: Modes[M]["told"]) => Modes[M]["told"],
  item: (row: R) => Named = named,
): Promise<Modes[M]["told"]> {
  let sum = none;
  let done = 0;
  try {
    while (done < rows.length) {
      const items = rows.slice(done, done + PART).map(item);
      sum = add(sum, await operate(mode, { items }));
      done += items.length;
    }
  } catch (why) {
    if (done === 0) throw why;
    const left = rows.slice(done);
    const failures = left.map((row) => notDone(row, why as SenseError));
    sum = add(sum, { ...none, failed: failures.length, failures });
  } finally {
    void readAgain(rows.slice(0, done).map((row) => row.scene_id));
  }
  return sum;
}

function notDone(row: Spoken, why: SenseError): Shapes["NotDone"] {
  const { scene_id, kind, name, target_id } = row;
  const what = { scene_id, kind, name, target_id: target_id ?? "" };
  return { ...what, message: why.message, remedy: "try again" };
}

/** Stash's lists of these things may be others now. */
const LISTS = ["findScenes", "findSceneMarkers", "sceneMarkerTags", "findTags"];

/** Make Stash's own pages read these scenes again: what we write does not pass through them. */
export async function readAgain(sceneIds: readonly string[]): Promise<void> {
  if (sceneIds.length === 0) return;
  const client = stash().utils.StashService.getClient();
  try {
    await client.refetchQueries({
      updateCache(cache) {
        for (const fieldName of LISTS) cache.evict({ id: "ROOT_QUERY", fieldName });
        for (const id of new Set(sceneIds)) {
          const scene = cache.identify({ __typename: "Scene", id });
          // Never evicted: a page that shows the scene would go blank until it is there again.
          if (scene) cache.modify({ id: scene, fields: (_, { INVALIDATE }) => INVALIDATE });
        }
      },
    });
  } catch {
    // What was said is done; the page shows it when it is opened the next time.
  }
}
